"""`Evaluation`: samples measured batch by batch, as a training loop makes them, to the numbers of `/evaluate`.

    evaluation = Evaluation("mnist-test", metrics=["fid", "kid"], value_range=(-1, 1))
    for batch in samples:
        evaluation.update(batch)
    print(evaluation.compute().fid)

What comes in goes into a file, and is looked at when the report is asked for, in the order and the blocks of
`/evaluate`. So the size of the batches moves no bit, and of a sample no more than 32 bytes stay in memory.
"""

import asyncio
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

from service.batches import Array, Layout, ValueRange, pixels_of
from service.client.requests import Options, Progress, evaluation_request, untold
from service.client.samples import sample_file
from service.errors import InvalidRequest, InvalidSamples
from service.evaluation.extraction import side_of_images
from service.evaluation.measure import side_of
from service.evaluation.pipeline import FEATURES_WANTED, plan
from service.evaluation.report.schema import Report
from service.evaluation.samples.archives import read_samples
from service.evaluation.samples.decoding import in_order
from service.evaluation.samples.reading import Samples, spooled_samples
from service.evaluation.samples.spool import ImageShape, fit
from service.evaluation.threads import in_thread
from service.imaging import Picture
from service.local.blocking import Local
from service.local.spools import GENERATED, REFERENCE, Spools
from service.schemas import Inconclusive

Reference: TypeAlias = str | PathLike[str] | Array
"""A stored reference's name; the path of a file; real images."""
GIVEN = ("_request", "_path", "_layout", "_value_range", "_grey")
UNDERSTOOD = "{count:,} images of {shape}, in batches"


class Evaluation:
    """Samples that come in batches, and how good they are beside a reference.

    `reference` is the name of a stored one, the Path of a file that `/evaluate` takes or of a folder of images, or an
    array of real images; without it batches of real images come by `update(batch, real=True)`. Batches are uint8, or
    real numbers in `value_range`, (0, 1) or (−1, 1); `layout` says NCHW or NHWC where the shape does not. The arguments
    from `metrics` to `intervals` mean what they mean to `/evaluate`. An engine is opened for it unless `local` lends
    its own.

    Raises InvalidRequest, InvalidSamples, ModelNotFound, WrongTask and ReferenceNotFound.
    """

    def __init__(
        self,
        reference: Reference | None = None,
        metrics: Sequence[str] | None = None,
        features: str | None = None,
        *,
        options: Options | None = None,
        thresholds: str | None = None,
        inconclusive: Inconclusive | None = None,
        seed: int = 0,
        intervals: bool = True,
        layout: Layout | None = None,
        value_range: ValueRange | None = None,
        local: Local | None = None,
    ) -> None:
        self._request = evaluation_request(
            reference_name=reference if isinstance(reference, str) else None,
            metrics=metrics,
            options=options,
            features=features,
            thresholds=thresholds,
            inconclusive=inconclusive,
            seed=seed,
            intervals=intervals,
        )
        self._path = Path(reference) if isinstance(reference, PathLike) else None
        if self._path is not None and not self._path.exists():
            raise InvalidRequest.of_field("reference", f"{self._path} does not exist")
        self._layout, self._value_range = layout, value_range
        self._grey = False
        self._local, self._lent = local or Local(), local is not None
        self._begin()
        if reference is not None and not isinstance(reference, str | PathLike):
            self.update(reference, real=True)

    def _begin(self) -> None:
        """Check the request, and make room for images."""
        named = self._request.reference_name is not None
        chosen = plan(self._request, self._local.asynchronous.bench, has_file=not named)
        if chosen.wants_features:
            raise InvalidSamples(FEATURES_WANTED)
        self._model = chosen.extractor
        self._shape = ImageShape.of(self._model.input)
        self.spools = Spools(self._shape)
        self._known: Samples | None = None
        self._end = weakref.finalize(self, self.spools.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """How many samples were taken."""
        return self.spools.count(GENERATED)

    def __repr__(self) -> str:
        beside = self.reference or f"{self.spools.count(REFERENCE):,} real images"
        metrics = ",".join(self._request.metrics or ("the usual metrics",))
        return f"Evaluation({len(self):,} samples beside {beside}: {metrics} on {self.extractor})"

    def __getstate__(self) -> dict[str, Any]:
        """All that it has taken, for another process; as large as the images."""
        given = {name: vars(self)[name] for name in GIVEN}
        return {**given, "settings": self._local.asynchronous.settings, "spooled": self.spools.packed()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._local, self._lent = Local(state.pop("settings")), False
        spooled = state.pop("spooled")
        vars(self).update(state)
        self._begin()
        self.spools.extend(spooled)

    @property
    def extractor(self) -> str:
        """The model that looks at the images."""
        return self._model.id

    @property
    def reference(self) -> str | Path | None:
        """The name or the path of the reference; None for one of images that came here."""
        return self._request.reference_name or self._path

    def update(self, batch: Array, *, real: bool = False) -> None:
        """Take some more samples; with `real`, of the reference, where none was given.

        Raises InvalidSamples for what is no batch of images, and InvalidRequest where something of it has to be named.
        """
        if real and self.reference:
            raise InvalidRequest(f"There is a reference already: {self.reference}.")
        pixels = pixels_of(batch, layout=self._layout, value_range=self._value_range, grey=self._grey)
        self._grey = self._grey or batch.ndim == 3  # of these the last batch may be one of any size
        spool = self.spools[REFERENCE if real else GENERATED]
        for image in in_order(pixels, lambda row: fit(Picture(row), self._shape), size_of=lambda row: row.nbytes):
            spool.add(image)
        if real:
            self._known = None

    def merge(self, *others: "Evaluation") -> Self:
        """Take what others took, after what is here, in the order in which they are named: that of their ranks.

        Raises InvalidSamples where they have another extractor or reference.
        """
        for other in others:
            if other is self:
                raise InvalidSamples("An evaluation has its own samples already; merge those of the others.")
            if other.extractor != self.extractor:
                raise InvalidSamples(f"{other.extractor} looks at its images, {self.extractor} at these.")
            if other.reference != self.reference:
                theirs, ours = (str(one or "images that came") for one in (other.reference, self.reference))
                raise InvalidSamples(f"It is compared with {theirs}, this one with {ours}.")
            self.spools.extend(other.spools.content())
        self._known = None
        return self

    def compute(self, *, on_progress: Progress = untold) -> Report:
        """The report on all samples so far; more may come after it.

        `on_progress` is told shares from 0 to 1. Raises the ServiceError that ends the evaluation.
        """
        if not len(self):
            raise InvalidSamples("There are no samples yet; `update` takes some.")
        if not (self.reference or self.spools.count(REFERENCE)):
            raise InvalidSamples("There is no reference yet; `update(batch, real=True)` takes real images.")
        return self._local.run(self._report(on_progress))

    def reset(self) -> None:
        """Forget the samples; the reference stays."""
        self.spools.empty(GENERATED)

    def close(self) -> None:
        """Remove what was taken, and let go of the engine unless it was lent."""
        self._end()
        if not self._lent:
            self._local.close()

    async def _report(self, on_progress: Progress) -> Report:
        with tempfile.TemporaryDirectory(dir=self.spools.folder) as directory:
            if self._known is None and self._request.reference_name is None:
                self._known = await self._reference()
            return await self._local.asynchronous.measure(
                self._request,
                await self._spooled(GENERATED),
                self._known,
                working_dir=Path(directory),
                on_progress=on_progress,
            )

    async def _spooled(self, whose: str) -> Samples:
        spool = self.spools[whose]
        return spooled_samples(spool, await in_thread(spool.images), UNDERSTOOD)

    async def _reference(self) -> Samples:
        """The reference with its features, which do not change from one report to the next."""
        bench, folder = self._local.asynchronous.bench, self.spools.folder
        if self._path is None:
            samples = await self._spooled(REFERENCE)
        else:
            file = await asyncio.to_thread(sample_file, self._path, folder / "reference.zip")
            samples = await read_samples(
                file, folder, self._model.input, bench.settings, skip_unreadable=False, whose=REFERENCE
            )
        if samples.images is None:
            return replace(samples, side=side_of(samples, REFERENCE))
        return replace(samples, side=await side_of_images(bench.engine, self._model, samples, folder=folder))
