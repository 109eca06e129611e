"""Generated samples that are reference samples: exact copies by their digests, near ones by their distances.

A set that was copied from the reference scores as well as real samples do, and better than any generator.
"""

from collections.abc import Iterator
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from service.evaluation.report.schema import Copies
from service.metrics.balls import NEIGHBOURS
from service.metrics.metric import Side
from service.metrics.neighbours import neighbourhood
from service.metrics.samples import Rows

Digested = NDArray[np.uint8]

ROWS_AT_ONCE = 1 << 16
NEAR = 1e-3
"""A near copy is closer to a reference sample than this share of the median distance between reference samples and
their nearest others."""


def exact_copies(generated: Side, reference: Side) -> NDArray[np.bool_] | None:
    """Which generated samples (n,) have a digest of the reference's; None where one side has none."""
    if generated.digests is None or reference.digests is None:
        return None
    return _shared(generated.digests, reference.digests)


def count_copies(generated: Side, reference: Side, *, by_distance: bool) -> Copies:
    """The copies among generated samples, as far as digests and features tell; near ones also by their distances."""
    exact = None if generated.copied is None else int(generated.copied.sum())
    if reference.features is None or generated.features is None:
        return Copies(exact=exact, near=None)
    halves = _halves(reference.features)
    near = np.zeros(len(generated.features), bool)
    if _tell_apart(halves, reference.features):
        near = _shared(_halves(generated.features), halves)
    if by_distance:
        around = neighbourhood(reference, generated, NEIGHBOURS)
        spacing = np.median(around.real.alone)  # squared, as all distances here
        near |= (around.to_real.squares <= NEAR**2 * spacing)[around.generated.points.of_sample]
    if generated.copied is not None:
        near &= ~generated.copied
    return Copies(exact=exact, near=int(near.sum()))


def _shared(rows: Digested, among: Digested) -> NDArray[np.bool_]:
    """Which rows of bytes (n, b) are among others (m, b); a part of the rows at a time, which may be many."""
    if rows.shape[1] != among.shape[1]:
        return np.zeros(len(rows), bool)
    whole = f"V{rows.shape[1]}"
    of_rows, of_others = (np.ascontiguousarray(side).view(whole).ravel() for side in (rows, among))
    others, found = np.unique(of_others), np.zeros(len(rows), bool)
    for start in range(0, len(rows) if len(others) else 0, ROWS_AT_ONCE):
        part = of_rows[start : start + ROWS_AT_ONCE]
        at = np.searchsorted(others, part).clip(max=len(others) - 1)
        found[start : start + len(part)] = others[at] == part
    return found


def _halves(features: Rows) -> Digested:
    """A digest (n, 16) of each row in half precision, as stored references keep it."""
    with np.errstate(over="ignore"):
        return _digests(row.astype(np.float16) for row in features)


def _tell_apart(halves: Digested, features: Rows) -> bool:
    """Whether half precision makes no two rows the same that differ: else who shares one may be anywhere near."""
    return features.dtype == np.float16 or _distinct(halves) == _distinct(_digests(iter(features)))


def _distinct(digests: Digested) -> int:
    return len(np.unique(digests.view(f"V{digests.shape[1]}")))


def _digests(rows: Iterator[NDArray[np.floating]]) -> Digested:
    joined = bytearray()
    for row in rows:
        joined += blake2b((row + 0).tobytes(), digest_size=16).digest()
    return np.frombuffer(joined, np.uint8).reshape(-1, 16)


def warnings_of(copies: Copies, generated: Side, reference: Side) -> Iterator[str]:
    """What the reader of the scores has to know."""
    count = generated.count_of_features
    if reference.features is not None and reference.digests is None and generated.digests is not None:
        yield (
            "The reference keeps no digests of its samples, as earlier versions stored it: exact copies of it are not"
            " counted."
        )
    if copies.exact:
        yield (
            f"{copies.exact:,} of {count:,} generated samples are exact copies of reference samples: the scores are"
            " those of copies, not of a generator."
        )
    if copies.near:
        yield (
            f"{copies.near:,} of {count:,} generated samples are nearly copies of reference samples: closer to one than"
            f" {NEAR:g} of the distance between neighbours there."
        )
