"""Uploaded features, logits, probabilities and statistics: the caller's own extractor's, checked and put in order."""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidSamples, UnreadableArchive
from service.evaluation.samples.columns import Column
from service.evaluation.samples.digests import ROW, Digested, Digests, digest
from service.evaluation.samples.reading import Reading, Samples
from service.evaluation.samples.spool import ordered_copy
from service.metrics.samples import check_features
from service.metrics.statistics import Statistics

Arrays = Mapping[str, NDArray[Any]]

CERTAINTIES = ("logits", "probabilities")
"""What may lie beside features; one of them."""
SUMS = 1e-3
"""How far the sum of a row of probabilities may lie from 1."""
LIKE_PROBABILITIES = (
    "The rows under `logits` are not negative and have the same sum: they look like probabilities, of which the softmax"
    " would be taken once more. Send them as `probabilities`, summing to 1."
)


def feature_samples(arrays: Arrays, reading: Reading) -> Samples:
    """The samples of `features`, with `logits` or `probabilities` beside them.

    Raises UnreadableArchive for shapes that are none, InvalidSamples for numbers that are none.
    """
    features = arrays["features"]
    beside = [name for name in CERTAINTIES if name in arrays]
    if len(beside) > 1:
        raise UnreadableArchive("The npz holds both `logits` and `probabilities`; send one of them.")
    certainty = arrays[beside[0]] if beside else features[:, :0] if features.ndim == 2 else features
    if features.ndim != 2 or certainty.ndim != 2 or len(certainty) != len(features):
        shapes = (features.shape, certainty.shape) if beside else features.shape
        raise UnreadableArchive(
            f"Features (N, d), and logits or probabilities (N, classes) if any, are read; the shapes are {shapes}."
        )
    check_features(features, "uploaded", fewest=1)  # before they are ordered: the row that is named is the caller's
    warnings: tuple[str, ...] = ()
    if beside:
        check_features(certainty, f"uploaded {beside[0]}'", fewest=1)
        warnings = _check_certainty(beside[0], certainty)
    stop = reading.budget.stop
    with Digests(reading.working_dir) as found:
        for row, sure in zip(features, certainty, strict=True):
            stop.check()
            found.add(digest(np.concatenate((row, sure), dtype=np.float64)))
        ordered = {
            name: ordered_copy(arrays[name], found.order(), reading.working_dir / f"{name}.ordered", stop)
            for name in ("features", *beside)
        }
        words = [f"{name} {arrays[name].dtype} {arrays[name].shape}" for name in ordered]
        # Where features end and logits begin is part of what was sent.
        kinds = [f"{name} {arrays[name].shape[1]}" for name in ordered]
        return Samples(
            len(features),
            found.content_sha256("; ".join(kinds)),
            features=ordered["features"],
            logits=ordered.get("logits"),
            probabilities=ordered.get("probabilities"),
            as_sent=found.ranks(),
            digests=_digests_of(ordered["features"], reading),
            understood=" with ".join(words),
            warnings=(*warnings, *found.warnings),
        )


def _digests_of(features: NDArray[Any], reading: Reading) -> Digested:
    """Of each row alone (n, 16), whatever lies beside it."""
    with Column(reading.working_dir, ROW) as found:
        for row in features:
            found.add(digest(row.astype(np.float64)))
        return found.map()


def _check_certainty(name: str, rows: NDArray[Any]) -> tuple[str, ...]:
    """A warning for logits that look like probabilities. Raises InvalidSamples for probabilities that are none."""
    negative: NDArray[np.bool_] = np.asarray((rows < 0).any(axis=1), np.bool_)
    totals = rows.sum(axis=1, dtype=np.float64)
    if name == "logits":
        shares = not negative.any() and bool((np.abs(totals - totals[0]) <= SUMS * totals[0]).all())
        return (LIKE_PROBABILITIES,) if rows.shape[1] > 1 and shares and totals[0] > 0 else ()
    off: NDArray[np.bool_] = np.asarray(np.abs(totals - 1) > SUMS, np.bool_)
    if (negative | off).any():
        row = int((negative | off).argmax())
        what = "holds a negative number" if negative[row] else f"sums to {totals[row]:.6g}, not to 1"
        raise InvalidSamples(f"Row {row} of the uploaded probabilities {what}.")
    return ()


def statistics_samples(mu: NDArray[Any], sigma: NDArray[Any]) -> Samples:
    """Statistics that were sent. Raises InvalidSamples for what are none."""
    statistics = Statistics.given(np.array(mu), np.array(sigma), "uploaded")
    content = sha256(b"statistics" + statistics.mean.tobytes() + statistics.covariance.tobytes())
    words = f"statistics of {len(statistics.mean):,} dimensions"
    return Samples(None, content.hexdigest(), statistics=statistics, understood=words)


def with_statistics(samples: Samples, arrays: Arrays) -> Samples:
    """Images beside which statistics of more such images were sent, as in guided-diffusion's reference batches."""
    given = statistics_samples(arrays["mu"], arrays["sigma"])
    content = sha256(f"images and statistics {samples.sha256} {given.sha256}".encode())
    return replace(
        samples,
        statistics=given.statistics,
        sha256=content.hexdigest(),
        understood=f"{samples.understood}, with {given.understood}",
    )
