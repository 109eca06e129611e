from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from evaluation.packing import npz
from evaluation.reporting import figures

from service.evaluation.figures.data import KINDS, Figures, pack, unpack


@pytest.mark.parametrize("shown", [figures(), figures(real_images=False), Figures(curve=figures().curve), Figures()])
def test_what_is_packed_is_what_is_unpacked(shown: Figures) -> None:
    again = unpack(pack(shown))
    assert again is not None
    for name, kind in KINDS.items():
        one, other = getattr(shown, name), getattr(again, name)
        assert (one is None) == (other is None)
        for field in fields(kind) if one is not None else ():
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and then nothing", b"no archive at all"])
def test_a_damaged_file_holds_no_figures(content: bytes) -> None:
    assert unpack(content) is None


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    trap = {"curve.sizes": np.array([{"a": 1}], dtype=object), "curve.values": np.ones((1, 1))}
    assert unpack(npz(tmp_path / "exhibits.npz", trap).read_bytes()) is None
