"""Every reader keeps its promise for the corpus, and for what becomes of it: cut, damaged, repeated, spliced.

`make fuzz` looks for more, guided by the branches that bytes reach; what it finds belongs into the corpus.
"""

from pathlib import Path

import pytest
from fuzz.readers import KINDS
from hypothesis import given, settings
from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "corpus"
CORPUS_LIMIT_BYTES = 16_384
"""Of one kind."""
PATHS = sorted(path for path in CORPUS.rglob("*") if path.is_file())
SEEDS = {kind: [path.read_bytes() for path in PATHS if path.parent.name == kind] for kind in KINDS}
EDGES = [b"", b"\0", b"\xff", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"-1", b"1e999"]
TIMES = 4
"""As many examples as other tests draw: each is soon read."""


@st.composite
def damaged(draw: st.DrawFn, kind: str) -> bytes:
    """One of a kind's seeds, of which up to four pieces are something else: an edge, some bytes, another seed."""
    seeds = st.sampled_from(SEEDS[kind])
    data = draw(seeds)
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 8) | st.integers(0, len(data))))
        other = draw(st.sampled_from(EDGES) | st.binary(max_size=8) | seeds)
        data = data[:start] + other + data[end:]
    return data


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_the_corpus_is_read_or_refused_as_promised(path: Path) -> None:
    KINDS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("kind", KINDS)
def test_anything_is_read_or_refused_as_promised(kind: str) -> None:
    @settings(max_examples=settings().max_examples * TIMES)
    @given(damaged(kind) | st.binary(max_size=64))
    def hold(data: bytes) -> None:
        KINDS[kind](data)

    hold()


def test_every_kind_has_a_corpus_and_it_is_small() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} == set(KINDS)
    for kind, seeds in SEEDS.items():
        assert seeds, kind
        assert sum(map(len, seeds)) <= CORPUS_LIMIT_BYTES, kind
