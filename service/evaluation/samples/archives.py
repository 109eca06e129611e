"""An uploaded file, whatever it is called, as samples: images, features or statistics.

Nothing is unpickled, nothing is written under a name that the file gives, nothing is unpacked past the limits, and the
order of the samples is that of their hashes.
"""

import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from service.errors import UnreadableArchive, UnreadableImage
from service.evaluation.samples.album import Images
from service.evaluation.samples.arrays import spool_array
from service.evaluation.samples.decoding import in_order
from service.evaluation.samples.limits import Budget, Entry, EntryDamaged, Limits, short
from service.evaluation.samples.spool import Digests, Fitted, ImageShape, ImageSpool, digest, fit, ordered_copy
from service.evaluation.samples.tars import DAMAGE as CUT_SHORT
from service.evaluation.samples.tars import tar_entries
from service.evaluation.samples.zips import members_of, opened_member, opened_zip, zip_entries
from service.evaluation.threads import Stop, in_thread
from service.imaging import Picture, read_picture
from service.metrics.metric import Side
from service.metrics.samples import check_features
from service.metrics.statistics import Statistics
from service.settings import Settings
from service.store import ImageInput

Arrays = Mapping[str, NDArray[Any]]

KINDS = "a zip, tar or tar.gz of images, or an npy or npz file"
ARRAYS = ("features", "logits", "images", "arr_0", "mu", "sigma")
FAULTS_NAMED = 3


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """One side of an evaluation as it was sent: images, or features with or without logits, or statistics.

    Statistics that were sent beside images stand for more samples than these.

    images:  uint8 (n, height, width, channels) as the extractor wants them, mapped from a file; an album where it is
             the extractor that resamples them and they have several sizes
    features, logits: (n, d) and (n, classes)
    count:   n; None for statistics
    sha256:  of the content, the same for the same samples in any order and packing
    side:    what the metrics see of them, where that is known already
    """

    count: int | None
    sha256: str
    images: Images | None = None
    features: NDArray[Any] | None = None
    logits: NDArray[Any] | None = None
    statistics: Statistics | None = None
    warnings: tuple[str, ...] = ()
    side: Side | None = None


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the caller wants of one upload."""

    working_dir: Path
    shape: ImageShape
    budget: Budget
    skip_unreadable: bool


async def read_samples(
    upload: Path, working_dir: Path, spec: ImageInput, settings: Settings, *, skip_unreadable: bool
) -> Samples:
    """The samples of an upload, which from now on lie in a new folder of `working_dir`.

    Raises UnreadableArchive and InvalidSamples. Cancelled, it returns when nothing is written there any more.
    """
    folder = Path(tempfile.mkdtemp(prefix="samples-", dir=working_dir))
    return await in_thread(
        lambda stop: open_samples(
            upload,
            working_dir=folder,
            shape=ImageShape.of(spec),
            limits=Limits(settings.upload_limit_bytes, settings.image_limit_pixels),
            skip_unreadable=skip_unreadable,
            stop=stop,
        )
    )


def open_samples(
    path: Path,
    *,
    working_dir: Path,
    shape: ImageShape,
    limits: Limits,
    skip_unreadable: bool = False,
    stop: Stop | None = None,
) -> Samples:
    """The samples of an uploaded file; images fitted to `shape`.

    The result lives in files in `working_dir`, which must be empty, belong to this one upload and outlive the result.
    Raises UnreadableArchive, which names the file inside the archive unless `skip_unreadable` makes it a warning,
    InvalidSamples for statistics that are none and features that are not finite, and Stopped.
    """
    reading = _Reading(working_dir, shape, Budget(limits, stop), skip_unreadable)
    with path.open("rb") as file:
        start = file.read(tarfile.BLOCKSIZE)
    if start.startswith(b"PK"):
        return _from_zip(path, reading)
    if start.startswith(b"\x1f\x8b"):
        return _from_entries(tar_entries(path, reading.budget, gzipped=True), reading)
    if start.startswith(b"\x93NUMPY"):
        return _from_arrays(_npy(path, reading), reading)
    if _is_tar(start):
        return _from_entries(tar_entries(path, reading.budget, gzipped=False), reading)
    raise UnreadableArchive(f"The file is {'not ' + KINDS if start else 'empty'}.")


def _is_tar(start: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except CUT_SHORT:
        return False
    return True


def _from_zip(path: Path, reading: _Reading) -> Samples:
    with opened_zip(path, reading.budget.limits) as archive:
        members = members_of(archive, reading.budget)
        if members and all(member.filename.endswith(".npy") for member in members):
            return _from_arrays(_npz(archive, members, reading), reading)
        return _from_entries(zip_entries(archive, members, reading.budget), reading)


def _from_entries(entries: Iterable[Entry], reading: _Reading) -> Samples:
    def read(entry: Entry) -> Fitted | str:
        try:
            return fit(_picture(entry, reading.budget.limits), reading.shape)
        except UnreadableImage as error:
            return f"{short(entry.name)}: {error.detail}"

    return _spooled(in_order(entries, read, size_of=lambda entry: len(entry.data)), reading)


def _picture(entry: Entry, limits: Limits) -> Picture:
    if entry.fault:
        raise UnreadableImage(entry.fault)
    return read_picture(entry.data, limit_pixels=limits.image_pixels)


def _spooled(images: Iterable[Fitted | str], reading: _Reading) -> Samples:
    """The samples of images, some of which may be faults instead."""
    faults: list[str] = []
    with ImageSpool(reading.working_dir, reading.shape) as spool:
        for image in images:
            if isinstance(image, Fitted):
                spool.add(image)
            elif reading.skip_unreadable:
                faults.append(image)
            else:
                raise UnreadableArchive(image)
        samples = samples_of(spool, spool.finish(reading.budget.stop))
    skipped = (_skipped(faults, len(spool.digests) + len(faults)),) if faults else ()
    return replace(samples, warnings=(*skipped, *samples.warnings))


def samples_of(spool: ImageSpool, images: Images) -> Samples:
    """The samples of a spool, whose images these are, ordered."""
    return Samples(len(images), spool.digests.content_sha256("images"), images=images, warnings=spool.warnings)


def _skipped(faults: list[str], files: int) -> str:
    named = "; ".join(faults[:FAULTS_NAMED]) + ("; …" if len(faults) > FAULTS_NAMED else "")
    return f"{len(faults):,} of {files:,} files could not be read and were skipped: {named}"


def _npy(path: Path, reading: _Reading) -> Arrays:
    with path.open("rb") as stream:
        try:
            return {"arr_0": spool_array(stream, "arr_0", reading.working_dir / "arr_0.sent", reading.budget)}
        except EOFError as error:
            raise UnreadableArchive(f"The array is cut short: {error}.") from error


def _npz(archive: ZipFile, members: list[ZipInfo], reading: _Reading) -> Arrays:
    arrays = {}
    for member in members:
        name = member.filename.removesuffix(".npy")
        if name not in ARRAYS:
            continue
        try:
            with opened_member(archive, member) as stream:
                arrays[name] = spool_array(stream, name, reading.working_dir / f"{name}.sent", reading.budget)
        except EntryDamaged as fault:
            raise UnreadableArchive(f"The array {name!r} cannot be read: {fault}") from fault
    return arrays


def _from_arrays(arrays: Arrays, reading: _Reading) -> Samples:
    """Features come before images; statistics beside images, as in guided-diffusion's reference batches, stay theirs.

    What is left over is not looked at.
    """
    images = arrays.get("images", arrays.get("arr_0"))
    if "features" in arrays:
        return _features(arrays["features"], arrays.get("logits"), reading)
    if images is not None:
        return _with_statistics(_from_image_array(images, reading), arrays)
    if "mu" in arrays and "sigma" in arrays:
        return _statistics(arrays["mu"], arrays["sigma"])
    raise UnreadableArchive("The npz file holds none of `images`, `arr_0`, `features`, or `mu` with `sigma`.")


def _with_statistics(samples: Samples, arrays: Arrays) -> Samples:
    if "mu" not in arrays or "sigma" not in arrays:
        return samples
    given = _statistics(arrays["mu"], arrays["sigma"])
    content = sha256(f"images and statistics {samples.sha256} {given.sha256}".encode())
    return replace(samples, statistics=given.statistics, sha256=content.hexdigest())


def _from_image_array(images: NDArray[Any], reading: _Reading) -> Samples:
    if images.ndim == 3:
        images = images[..., None]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise UnreadableArchive(
            f"The array of images is {images.dtype} {images.shape}; uint8 (N, H, W), (N, H, W, 1) or (N, H, W, 3) "
            "is read."
        )
    _, height, width, _ = images.shape
    if height * width > reading.budget.limits.image_pixels:
        raise UnreadableArchive(
            f"The images are {height}×{width}; at most {reading.budget.limits.image_pixels:,} pixels are read."
        )
    fitted = in_order(
        _rows(images, reading.budget.stop),
        lambda pixels: fit(Picture(pixels), reading.shape),
        size_of=lambda pixels: pixels.nbytes,
    )
    return _spooled(fitted, reading)


def _features(features: NDArray[Any], logits: NDArray[Any] | None, reading: _Reading) -> Samples:
    beside = features[:, :0] if logits is None and features.ndim == 2 else logits
    if features.ndim != 2 or beside is None or beside.ndim != 2 or len(beside) != len(features):
        shapes = features.shape if logits is None else (features.shape, logits.shape)
        raise UnreadableArchive(f"Features (N, d), and logits (N, classes) if any, are read; the shapes are {shapes}.")
    for rows, what in ((features, "uploaded"), (beside, "uploaded logits'")):
        if rows.shape[1]:
            check_features(rows, what, fewest=1)  # before they are ordered: the row that is named is the caller's
    stop = reading.budget.stop
    pairs = zip(_rows(features, stop), beside, strict=True)
    digests = Digests(digest(np.concatenate(row, dtype=np.float64)) for row in pairs)
    order = digests.order()
    ordered = ordered_copy(features, order, reading.working_dir / "features.ordered", stop)
    if logits is not None:
        logits = ordered_copy(logits, order, reading.working_dir / "logits.ordered", stop)
    sha = digests.content_sha256("features")
    return Samples(len(features), sha, features=ordered, logits=logits, warnings=digests.warnings)


def _rows(array: NDArray[Any], stop: Stop) -> Iterator[NDArray[Any]]:
    for row in array:
        stop.check()
        yield row


def _statistics(mu: NDArray[Any], sigma: NDArray[Any]) -> Samples:
    statistics = Statistics.given(np.array(mu), np.array(sigma), "uploaded")
    content = sha256(b"statistics" + statistics.mean.tobytes() + statistics.covariance.tobytes())
    return Samples(None, content.hexdigest(), statistics=statistics)
