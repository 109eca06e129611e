"""Stored references: what was extracted from a real set once, so that only generated samples are uploaded.

A reference is one safetensors file: `mu` and `sigma` of all samples in float64, the `features` and `probabilities` of
at most 2,000 of them in half precision where they are known, `digests` of all, and a description that names the
extractor's weights.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from service.errors import (
    InvalidManifest,
    InvalidRequest,
    InvalidSamples,
    ReferenceNotFound,
    ReferenceShipped,
    reason_of,
)
from service.files import stage, sweep_staged
from service.metrics.floor import FloorLaw
from service.metrics.metric import Side
from service.metrics.samples import check_features, checked_probabilities
from service.metrics.statistics import Statistics, statistics_of
from service.schemas import ReferenceSummary
from service.settings import Settings
from service.spelling import meant

CALLER = "caller"
"""The extractor of features that were sent."""
KEPT_ROWS = 2000
SUFFIX = ".safetensors"
KINDS = ("F16", "F32", "F64", "U8")
"""The numbers of its arrays, as safetensors calls them."""
ROWS = ("features", "probabilities", "digests")
DESCRIPTION = "reference"  # one key, because safetensors writes several in no fixed order
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


class Description(BaseModel):
    """Where a reference comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=rf"^{NAME.pattern}$")
    extractor: str = Field(description="Id of the model that made the features.")
    weights_sha256: str = Field(description="Sha256 of that model's weights file.")
    dataset: str
    sha256: str = Field(description="Sha256 of the samples, as `Samples.sha256`.")
    dim: int = Field(ge=1, description="Length of one feature vector.")
    count: int | None = Field(ge=2, description="Samples behind `mu` and `sigma`; null where only these were sent.")
    seed: int = Field(description="Seed that chose the rows which were kept.")
    floors: dict[str, FloorLaw] = Field({}, description="What other real samples score against these, by metric.")

    def check_extractor(self, extractor: str, weights_sha256: str | None) -> None:
        """Refuse features of another extractor, or of other weights where these are named. Raises ReferenceNotFound."""
        if extractor != self.extractor or weights_sha256 not in (None, self.weights_sha256):
            raise ReferenceNotFound(
                f"The reference {self.name!r} was made with {self.extractor} (weights {self.weights_sha256[:12]}), "
                f"not with {extractor} (weights {(weights_sha256 or '')[:12] or 'any'}); features of the two cannot "
                "be compared."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A description and what it describes: statistics of all samples; features and probabilities of some, if known."""

    description: Description
    statistics: Statistics
    features: NDArray[Any] | None
    probabilities: NDArray[Any] | None
    digests: NDArray[np.uint8] | None = None

    def summary(self, *, shipped: bool) -> ReferenceSummary:
        """The reference as `GET /references` lists it."""
        return _summary(self.description, digests=self.digests is not None, shipped=shipped)

    @property
    def side(self) -> Side:
        """What the metrics see."""
        return Side(
            self.features, self.probabilities, self.statistics, digests=self.digests, floors=self.description.floors
        )


def make_reference(
    name: str,
    features: NDArray[Any] | None,
    probabilities: NDArray[Any] | None,
    *,
    extractor: str,
    weights_sha256: str,
    dataset: str,
    sha256: str,
    statistics: Statistics | None = None,
    digests: NDArray[np.uint8] | None = None,
    seed: int = 0,
) -> Reference:
    """A reference of features (n, d) and probabilities (n, classes), both in the order of the samples' hashes.

    `statistics`, where given, are of more samples than these, or are all that is known. Raises InvalidSamples where
    the samples cannot be measured and InvalidRequest for a name that is no word.
    """
    check_name(name)
    kept = _kept_rows(features, probabilities, seed)
    if statistics is None:
        if features is None:
            raise InvalidSamples("A reference needs features or statistics.")
        statistics = statistics_of(features, "reference")
    description = Description(
        name=name,
        extractor=extractor,
        weights_sha256=weights_sha256,
        dataset=dataset,
        sha256=sha256,
        dim=len(statistics.mean),
        count=statistics.count,
        seed=seed,
    )
    return Reference(description, statistics, *kept, digests)


def _kept_rows(
    features: NDArray[Any] | None, probabilities: NDArray[Any] | None, seed: int
) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
    """The rows that are kept, the same ones of both. Raises InvalidSamples."""
    if features is None:
        return None, None
    check_features(features, "reference")
    kept = np.sort(np.random.default_rng(seed).permutation(len(features))[:KEPT_ROWS])
    if probabilities is None:
        return _half(features[kept]), None
    checked_probabilities(probabilities, "reference")
    return _half(features[kept]), _half(probabilities[kept])


def save_reference(reference: Reference, folder: Path) -> Path:
    """Write `<folder>/<name>.safetensors`, so that a reader sees the old file or the new one, never half of one."""
    return stage_reference(reference, folder)()


def stage_reference(reference: Reference, folder: Path) -> Callable[[], Path]:
    """Write a reference beside its place, and return what puts it there at once."""
    folder.mkdir(parents=True, exist_ok=True)
    return stage(folder / f"{reference.description.name}{SUFFIX}", pack(reference))


def pack(reference: Reference) -> bytes:
    """The file of a reference."""
    tensors = {
        "mu": reference.statistics.mean,
        "sigma": reference.statistics.covariance,
        **{name: rows for name in ROWS if (rows := getattr(reference, name)) is not None},
    }
    words = json.dumps(reference.description.model_dump(), sort_keys=True)
    return save(tensors, metadata={DESCRIPTION: words})


class References:
    """Folders of references; where two hold the same name, the first wins."""

    def __init__(self, *folders: Path) -> None:
        self._folders = folders

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The references that these settings name: the state directory's, then the shipped ones."""
        return cls(*settings.reference_dirs)

    def names(self) -> list[str]:
        """Every reference, in alphabetical order."""
        files = (file for folder in self._folders for file in folder.glob(f"*{SUFFIX}"))
        return sorted({file.name.removesuffix(SUFFIX) for file in files if not file.name.startswith(".")})

    def test_set_of(self, dataset: str) -> str:
        """The name of the first reference of a dataset's test set. Raises ReferenceNotFound, InvalidManifest."""
        wanted = f"{dataset} test"
        for name in self.names():
            if self.describe(name).dataset == wanted:
                return name
        raise ReferenceNotFound(
            f"There is no stored reference of {wanted}; "
            f"`chapterhouse references make NAME --dataset {dataset}` makes one."
        )

    def summary(self, name: str) -> ReferenceSummary:
        """A reference as `GET /references` lists it. Raises ReferenceNotFound, InvalidManifest."""
        path = self._find(name)
        with _opened(path) as file:
            description, digests = _description(file, path), "digests" in file.keys()  # noqa: SIM118 - no mapping
        return _summary(description, digests=digests, shipped=self._is_shipped(path))

    def check_free(self, name: str) -> None:
        """Refuse a name under which nothing can be stored. Raises InvalidRequest, ReferenceShipped.

        What came with the store is never hidden: the same name means the same numbers everywhere.
        """
        check_name(name)
        if any((folder / f"{name}{SUFFIX}").is_file() for folder in self._folders[1:]):
            raise ReferenceShipped(f"{name} came with the store, which is read-only; choose another name.")

    def stage(self, reference: Reference) -> Callable[[], object]:
        """Write a reference beside its place in the state directory, and return what puts it there at once."""
        return stage_reference(reference, self._folders[0])

    def sweep(self) -> None:
        """Delete what processes that died had begun to write into the state directory."""
        sweep_staged(self._folders[0])

    def remove(self, name: str) -> None:
        """Remove a reference from the state directory. Raises ReferenceNotFound, ReferenceShipped."""
        path = self._find(name)
        if self._is_shipped(path):
            raise ReferenceShipped(f"{name} came with the store, which is read-only.")
        self._remove(path)

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def _is_shipped(self, path: Path) -> bool:
        return path.parent in self._folders[1:]

    def describe(self, name: str) -> Description:
        """Where a reference comes from, without reading its arrays. Raises ReferenceNotFound, InvalidManifest."""
        path = self._find(name)
        with _opened(path) as file:
            return _description(file, path)

    def get(self, name: str) -> Reference:
        """A whole reference. Raises ReferenceNotFound, and InvalidManifest for a damaged file."""
        path = self._find(name)
        with _opened(path) as file:
            description = _description(file, path)
            try:
                arrays = {key: _array(file, key) for key in ("mu", "sigma", *(set(ROWS) & set(file.keys())))}
            except (SafetensorError, TypeError) as error:
                raise InvalidManifest.of_file(path, error) from error
        statistics = Statistics(arrays["mu"], arrays["sigma"], description.count)
        return Reference(description, statistics, *(arrays.get(name) for name in ROWS))

    def _find(self, name: str) -> Path:
        if NAME.fullmatch(name) and (path := self._path(name)) is not None:
            return path
        known = ", ".join(self.names()) or "none"
        raise ReferenceNotFound(
            f"There is no stored reference called {name!r}; stored: {known}.{meant(name, self.names())}"
        )

    def _path(self, name: str) -> Path | None:
        """The file of the first folder that has one of this name."""
        paths = (folder / f"{name}{SUFFIX}" for folder in self._folders)
        return next((path for path in paths if path.is_file()), None)


def check_name(name: str) -> None:
    """Refuse what cannot name a reference. Raises InvalidRequest."""
    if not NAME.fullmatch(name):
        raise InvalidRequest(f"{name[:100]!r} cannot name a reference; use a–z, 0–9, '.', '_' and '-'.")


def _half(rows: NDArray[Any]) -> NDArray[Any]:
    """Rows in half precision, or in single where half would lose the spread of a column."""
    wide = rows.astype(np.float32)
    with np.errstate(over="ignore"):
        half = wide.astype(np.float16)
    lost = np.abs(half.astype(np.float32) - wide).max(axis=0)
    return half if bool((lost <= 0.01 * wide.std(axis=0)).all()) else wide


def _summary(description: Description, *, digests: bool, shipped: bool) -> ReferenceSummary:
    described = description.model_dump(exclude={"seed", "floors"})
    return ReferenceSummary(**described, digests=digests, floors=tuple(description.floors), shipped=shipped)


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="numpy")
    except SafetensorError as error:
        raise InvalidManifest.of_file(path, error) from error


def _array(file: Any, key: str) -> NDArray[Any]:
    """One array. Raises TypeError for numbers that NumPy knows only where another library has taught it."""
    if (kind := file.get_slice(key).get_dtype()) not in KINDS:
        raise TypeError(f"{key} has numbers of the type {kind}")
    array: NDArray[Any] = file.get_tensor(key)
    return array


def _description(file: Any, path: Path) -> Description:
    try:
        return Description.model_validate_json((file.metadata() or {})[DESCRIPTION])
    except (KeyError, ValidationError) as error:
        raise InvalidManifest.of_file(path, f"it does not describe a reference: {reason_of(error)}") from error
