"""Generated samples that are reference samples: exact copies by their digests, near ones by their distances.

A set that was copied from the reference scores as well as real samples do, and better than any generator.
"""

from collections.abc import Iterator
from hashlib import blake2b

import numpy as np
from numpy.typing import DTypeLike, NDArray

from service.evaluation.report.schema import Copies
from service.evaluation.samples.digests import DIGEST_BYTES, WHOLE, Digested, by_first_byte, count_repeats
from service.metrics.balls import NEIGHBOURS
from service.metrics.metric import Side
from service.metrics.neighbours import neighbourhood
from service.metrics.samples import BLOCK_ROWS, Rows

Wholes = NDArray[np.void]
"""Digests (n,), each as one thing that is compared at once."""

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
    near = _near(generated.features, reference.features)
    if by_distance:
        around = neighbourhood(reference, generated, NEIGHBOURS)
        spacing = np.median(around.real.alone)  # squared, as all distances here
        near |= (around.to_real.squares <= NEAR**2 * spacing)[around.generated.points.of_sample]
    if generated.copied is not None:
        near &= ~generated.copied
    return Copies(exact=exact, near=int(near.sum()))


def _shared(rows: Digested, among: Digested) -> NDArray[np.bool_]:
    """Which digests (n, b) are among others (m, b); a part of both at a time, which may be many."""
    found = np.zeros(len(rows), bool)
    if rows.shape[1] == among.shape[1]:
        for these, others in zip(by_first_byte(rows), by_first_byte(among), strict=True):
            found[these] = _found(_whole(rows[these]), np.sort(_whole(among[others])))
    return found


def _near(features: Rows, among: Rows) -> NDArray[np.bool_]:
    """Which features (n, d) are some of others' (m, d) in half precision, as stored references keep them.

    None are where that makes any two of the others the same that differ: else who shares one may be anywhere near.
    """
    halves = _sorted_digests(among, np.float16)
    found = np.zeros(len(features), bool)
    if among.dtype != np.float16 and _distinct(halves) != _distinct(_sorted_digests(among, among.dtype)):
        return found
    for start, part in _digested(features, np.float16):
        found[start : start + len(part)] = _found(part, halves)
    return found


def _found(rows: Wholes, ordered: Wholes) -> NDArray[np.bool_]:
    """Which rows are among others, which are sorted."""
    if not len(ordered):
        return np.zeros(len(rows), bool)
    same: NDArray[np.bool_] = ordered[np.searchsorted(ordered, rows).clip(max=len(ordered) - 1)] == rows
    return same


def _sorted_digests(features: Rows, dtype: DTypeLike) -> Wholes:
    ordered = np.empty(len(features), WHOLE)
    for start, part in _digested(features, dtype):
        ordered[start : start + len(part)] = part
    ordered.sort()
    return ordered


def _distinct(ordered: Wholes) -> int:
    return len(ordered) - count_repeats(ordered)


def _digested(features: Rows, dtype: DTypeLike) -> Iterator[tuple[int, Wholes]]:
    """The digests of some rows at a time as numbers of a type, and where they begin; zeros are the same of any sign."""
    for start in range(0, len(features), BLOCK_ROWS):
        with np.errstate(over="ignore"):
            rows = features[start : start + BLOCK_ROWS].astype(dtype, order="C") + np.zeros((), dtype)
        joined = b"".join(blake2b(row.data, digest_size=DIGEST_BYTES).digest() for row in rows)
        yield start, np.frombuffer(joined, WHOLE)


def _whole(digests: Digested) -> Wholes:
    return np.ascontiguousarray(digests).view(f"V{digests.shape[1]}").ravel()


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
