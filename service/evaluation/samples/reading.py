"""One upload while it is read: what the caller wants of it, and what it comes to."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from service.errors import UnreadableArchive
from service.evaluation.samples.album import Images
from service.evaluation.samples.digests import Digested, RowNumbers
from service.evaluation.samples.limits import Budget
from service.evaluation.samples.spool import Fitted, ImageShape, ImageSpool
from service.metrics.metric import Side
from service.metrics.statistics import Statistics

FAULTS_NAMED = 3


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """One side of an evaluation as it was sent: images, or features with or without probabilities, or statistics.

    Statistics that were sent beside images stand for more samples than these.

    images:  uint8 (n, height, width, channels) as the extractor wants them, mapped from a file; an album where it is
             the extractor that resamples them and they have several sizes
    features, logits, probabilities: (n, d) and (n, classes), of the last two at most one
    count:   n; None for statistics
    sha256:  of the content, the same for the same samples in any order and packing
    digests: uint8 (n, 16) of what each sample is, its pixels or its features; of equal samples equal
    as_sent: the rows in the caller's order: an archive's by name, as Python sorts strings, an array's as they lie
    understood: what the file was taken for, in words
    side:    what the metrics see of them, where that is known already
    """

    count: int | None
    sha256: str
    images: Images | None = None
    features: NDArray[Any] | None = None
    logits: NDArray[Any] | None = None
    probabilities: NDArray[Any] | None = None
    statistics: Statistics | None = None
    as_sent: RowNumbers | None = None
    digests: Digested | None = None
    understood: str = ""
    warnings: tuple[str, ...] = ()
    side: Side | None = None

    @property
    def order_sha256(self) -> str | None:
        """What stands for the caller's order."""
        return None if self.as_sent is None else sha256(self.as_sent.astype("<i8", copy=False).data).hexdigest()


@dataclass(frozen=True, slots=True)
class Reading:
    """What the caller wants of one upload."""

    working_dir: Path
    shape: ImageShape
    budget: Budget
    skip_unreadable: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a file of an archive is no image.

    foreign: it does not even claim to be one by its name
    hidden:  its name, or that of its folder, is one of those that are there for an operating system
    """

    words: str
    foreign: bool = False
    hidden: bool = False


def samples_of(images: Iterable[Fitted | Fault], reading: Reading, understood: str) -> Samples:
    """The samples of images, of which some may be faults instead. Raises UnreadableArchive for the first of these.

    What is no image by its name is passed over, and so is what cannot be read where the caller wants it skipped.
    """
    foreign: list[str] = []
    hidden: list[str] = []
    faults: list[str] = []
    with ImageSpool(reading.working_dir, reading.shape) as spool:
        for image in images:
            if isinstance(image, Fitted):
                spool.add(image)
            elif image.hidden:
                hidden.append(image.words)
            elif image.foreign:
                foreign.append(image.words)
            elif reading.skip_unreadable:
                faults.append(image.words)
            else:
                raise UnreadableArchive(f"{image.words} To measure the other files, set skip_unreadable.")
        if not len(spool.digests):
            raise UnreadableArchive(f"The file holds no image{_named(foreign + faults + hidden)}.")
        samples = spooled_samples(spool, spool.finish(reading.budget.stop), understood)
    said = (*_passed_over(foreign), *_hidden(hidden), *_skipped(faults, len(spool.digests) + len(faults)))
    return replace(samples, warnings=(*said, *samples.warnings))


def spooled_samples(spool: ImageSpool, images: Images, understood: str) -> Samples:
    """The samples of a spool, whose images these are, ordered."""
    return Samples(
        len(images),
        spool.digests.content_sha256("images"),
        images=images,
        as_sent=spool.as_sent(),
        digests=spool.digests.ordered(),
        understood=understood.format(count=len(images), shape=spool.shape_words),
        warnings=spool.warnings,
    )


def _passed_over(foreign: list[str]) -> Iterator[str]:
    if len(foreign) == 1:
        yield f"1 file is no image by its name and was passed over{_named(foreign)}."
    elif foreign:
        yield f"{len(foreign):,} files are no images by their names and were passed over{_named(foreign)}."


def _hidden(hidden: list[str]) -> Iterator[str]:
    if hidden:
        files = (
            "1 file is hidden by its name and was"
            if len(hidden) == 1
            else f"{len(hidden):,} files are hidden by their names or folders and were"
        )
        yield f"{files} passed over{_named(hidden)}."


def _skipped(faults: list[str], files: int) -> Iterator[str]:
    if faults:
        were = "was" if len(faults) == 1 else "were"
        yield f"{len(faults):,} of {files:,} files could not be read and {were} skipped{_named(faults)}"


def _named(faults: list[str]) -> str:
    """The first faults, as the end of a sentence."""
    return (": " + "; ".join(faults[:FAULTS_NAMED]) + ("; …" if len(faults) > FAULTS_NAMED else "")) if faults else ""
