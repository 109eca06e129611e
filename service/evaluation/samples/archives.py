"""An uploaded file, whatever it is called, as samples: images, features or statistics.

Nothing is unpickled, nothing is written under a name that the file gives, nothing is unpacked past the limits, and the
order of the samples is that of their hashes. Every byte of the file is used, named as not used, or refused.
"""

import gzip
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from zipfile import ZipFile, ZipInfo

from service.errors import InvalidSamples, UnreadableArchive, UnreadableImage
from service.evaluation.samples.arrays import spool_array
from service.evaluation.samples.decoding import in_order
from service.evaluation.samples.features import (
    CERTAINTIES,
    Arrays,
    feature_samples,
    statistics_samples,
    with_statistics,
)
from service.evaluation.samples.image_arrays import image_samples
from service.evaluation.samples.limits import Budget, Entry, EntryDamaged, Limits, pieces, short
from service.evaluation.samples.reading import Fault, Reading, Samples, samples_of
from service.evaluation.samples.spool import Fitted, ImageShape, fit
from service.evaluation.samples.tars import BLOCK_BYTES, DAMAGE, is_tar, tar_entries
from service.evaluation.samples.zips import members_of, opened_member, opened_zip, zip_entries
from service.evaluation.threads import Stop, in_thread
from service.imaging import read_picture
from service.settings import Settings
from service.store import ImageInput

KINDS = "a zip, tar or tar.gz of images, or an npy or npz file"
STATISTICS = ("mu", "sigma")
ARRAYS = ("features", *CERTAINTIES, "images", "arr_0", *STATISTICS)
NAMED = 5
"""Names that an error or a warning lists."""
GZIP, NPY, ZIP = b"\x1f\x8b", b"\x93NUMPY", b"PK"
SAVE_AS_ARRAY = "save the samples with np.savez(file, images=…) as uint8 (N, H, W, C), or features=… as (N, d)"
PICKLE = "a Python pickle, which is never opened here"
ONE_IMAGE = "one image; put the images into a zip or a tar"
OTHER_KINDS = {
    b"PAR1": "a Parquet table",
    b"\x89HDF": "an HDF5 file",
    b"\x80\x02": PICKLE,
    b"\x80\x03": PICKLE,
    b"\x80\x04": PICKLE,
    b"\x80\x05": PICKLE,
    b"BZh": "compressed by bzip2; a tar.gz is read",
    b"\xfd7zXZ": "compressed by xz; a tar.gz is read",
    b"\x28\xb5\x2f\xfd": "compressed by zstd; a tar.gz is read",
    b"7z\xbc\xaf": "a 7z archive; a zip is read",
    b"Rar!": "a RAR archive; a zip is read",
    b"\x89PNG": ONE_IMAGE,
    b"\xff\xd8\xff": ONE_IMAGE,
    b"GIF8": ONE_IMAGE,
    b"RIFF": ONE_IMAGE,
    b"II*\0": ONE_IMAGE,
    b"MM\0*": ONE_IMAGE,
}
"""What people send beside what is read, by how it begins."""
IMAGE_SUFFIXES = frozenset(
    {"", ".bmp", ".dib", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm"}
    | {".tif", ".tiff", ".webp"}
)
"""Of files that are taken for images: what they do not hold is an error."""
ARRAYS_INSIDE = f"arrays inside an archive are not read; join them and {SAVE_AS_ARRAY}."
ARCHIVE_INSIDE = "an archive or a compressed file inside an archive is not read; pack all images into one archive."
OTHER_IMAGES = "images of this kind are not read; send them as PNG, JPEG, WebP or TIFF."
NOT_READ = {
    **dict.fromkeys((".npy", ".npz", ".parquet", ".pkl", ".pt", ".pth", ".safetensors"), ARRAYS_INSIDE),
    **dict.fromkeys((".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zip", ".zst"), ARCHIVE_INSIDE),
    **dict.fromkeys((".avif", ".exr", ".heic", ".heif", ".j2k", ".jp2", ".jxl", ".tga"), OTHER_IMAGES),
}
"""By the suffix of files that may hold samples and cannot be read where they lie: to pass them over would measure less
than was sent."""


async def read_samples(
    upload: Path, working_dir: Path, spec: ImageInput, settings: Settings, *, skip_unreadable: bool, whose: str = ""
) -> Samples:
    """The samples of an upload, which from now on lie in a new folder of `working_dir`.

    Raises UnreadableArchive and InvalidSamples, which begin with whose samples they are. Cancelled, it returns when
    nothing is written there any more.
    """
    folder = Path(tempfile.mkdtemp(prefix="samples-", dir=working_dir))
    try:
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
    except (UnreadableArchive, InvalidSamples) as error:
        raise type(error)(f"{whose}: {error.detail}" if whose else error.detail) from error


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
    reading = Reading(working_dir, shape, Budget(limits, stop), skip_unreadable)
    with path.open("rb") as file:
        start = file.read(BLOCK_BYTES)
    if start.startswith(GZIP):
        return _from_gzip(path, reading)
    return _from_file(path, start, reading)


def _from_file(path: Path, start: bytes, reading: Reading) -> Samples:
    """The samples of a file that is not compressed as a whole."""
    if start.startswith(ZIP):
        return _from_zip(path, reading)
    if start.startswith(NPY):
        return _from_arrays(_npy(path, reading), reading)
    if is_tar(start):
        return _from_entries(tar_entries(path, reading.budget, gzipped=False), reading, "tar")
    raise _unknown(start)


def _from_gzip(path: Path, reading: Reading) -> Samples:
    """A compressed tar as a stream; any other compressed file unpacked first."""
    try:
        with gzip.open(path) as stream:
            start = stream.read(BLOCK_BYTES)
            if is_tar(start):
                return _from_entries(tar_entries(path, reading.budget, gzipped=True), reading, "tar.gz")
            if start.startswith(GZIP):
                raise UnreadableArchive("The file is compressed by gzip twice; send it compressed once.")
            unpacked = reading.working_dir / "unpacked"
            with unpacked.open("wb") as file:
                reading.budget.spend(len(start))
                file.write(start)
                file.writelines(pieces(stream, reading.budget))
    except DAMAGE as error:
        raise UnreadableArchive(f"The gzip file is damaged or cut short: {error}.") from error
    return _from_file(unpacked, start, reading)


def _unknown(start: bytes) -> UnreadableArchive:
    for mark, words in OTHER_KINDS.items():
        if start.startswith(mark):
            return UnreadableArchive(f"The file is {words}. {KINDS[0].upper()}{KINDS[1:]} is read.")
    if start[8:10] == b'{"':
        return UnreadableArchive(f"The file is one of safetensors, which is not read here; {SAVE_AS_ARRAY}.")
    return UnreadableArchive(f"The file is {'not ' + KINDS if start else 'empty'}.")


def _from_zip(path: Path, reading: Reading) -> Samples:
    with opened_zip(path, reading.budget.limits) as archive:
        members = members_of(archive, reading.budget)
        if any(member.filename.endswith("/data.pkl") for member in members):
            raise UnreadableArchive(
                f"The file is one of torch.save, whose pickles are never opened here; {SAVE_AS_ARRAY}."
            )
        if members and all(member.filename.endswith(".npy") for member in members):
            arrays = _npz(archive, members, reading)
            unused = [member.filename.removesuffix(".npy") for member in members]
            return _from_arrays(arrays, reading, [name for name in unused if name not in arrays])
        return _from_entries(zip_entries(archive, members, reading.budget), reading, "zip")


def _from_entries(entries: Iterable[Entry], reading: Reading, kind: str) -> Samples:
    def read(entry: Entry) -> Fitted | Fault:
        if entry.hidden:
            return Fault(short(entry.name), hidden=True)
        if entry.fault:
            return _fault(entry, entry.fault)
        try:
            picture = read_picture(entry.data, limit_pixels=reading.budget.limits.image_pixels)
        except UnreadableImage as error:
            return _fault(entry, error.detail)
        return fit(picture, reading.shape, entry.name)

    images = in_order(entries, read, size_of=lambda entry: len(entry.data))
    return samples_of(images, reading, f"a {kind} of {{count:,}} images of {{shape}}")


def _fault(entry: Entry, reason: str) -> Fault:
    suffix = PurePosixPath(entry.name).suffix.lower()
    if suffix in NOT_READ:
        return Fault(f"{short(entry.name)}: {NOT_READ[suffix]}")
    if suffix not in IMAGE_SUFFIXES and not entry.fault:
        return Fault(short(entry.name), foreign=True)
    return Fault(f"{short(entry.name)}: {reason}")


def _npy(path: Path, reading: Reading) -> Arrays:
    with path.open("rb") as stream:
        try:
            return {"arr_0": spool_array(stream, "arr_0", reading.working_dir / "arr_0.sent", reading.budget)}
        except EOFError as error:
            raise UnreadableArchive(f"The array is cut short: {error}.") from error


def _npz(archive: ZipFile, members: list[ZipInfo], reading: Reading) -> Arrays:
    """The arrays that are looked at. Raises UnreadableArchive, naming what there is, where there are none."""
    arrays = {}
    for member in members:
        name = member.filename.removesuffix(".npy")
        if name not in ARRAYS:
            continue
        if name in arrays:
            raise UnreadableArchive(f"The npz file holds two arrays called {name!r}.")
        try:
            with opened_member(archive, member) as stream:
                arrays[name] = spool_array(stream, name, reading.working_dir / f"{name}.sent", reading.budget)
        except EntryDamaged as fault:
            raise UnreadableArchive(f"The array {name!r} cannot be read: {fault}") from fault
    if not ({"images", "arr_0", "features"} & arrays.keys() or arrays.keys() >= set(STATISTICS)):
        found = _listed([member.filename.removesuffix(".npy") for member in members])
        sure = next((name for name in CERTAINTIES if name in arrays), None)
        wanted = f"Join all samples into one array, and {SAVE_AS_ARRAY}"
        wanted = f"Send `{sure}` beside the `features` of the same samples" if sure else wanted
        raise UnreadableArchive(
            "The npz file holds none of `images`, `arr_0`, `features`, or `mu` with `sigma`; it holds"
            f" {found}. {wanted}."
        )
    return arrays


def _from_arrays(arrays: Arrays, reading: Reading, others: Iterable[str] = ()) -> Samples:
    """Features come before images; statistics beside images, as in guided-diffusion's reference batches, stay theirs.

    What is left over, here and among `others`, is named in a warning.
    """
    image_name = "images" if "images" in arrays else "arr_0"
    has_statistics = arrays.keys() >= set(STATISTICS)
    if "features" in arrays:
        used = {"features", *CERTAINTIES}
        samples = feature_samples(arrays, reading)
    elif image_name in arrays:
        used = {image_name, *STATISTICS} if has_statistics else {image_name}
        samples = image_samples(arrays[image_name], image_name, reading)
        samples = with_statistics(samples, arrays) if has_statistics else samples
    else:
        used = set(STATISTICS)
        samples = statistics_samples(*(arrays[name] for name in STATISTICS))
    unused = [name for name in (*arrays, *others) if name not in used]
    warnings = (f"Of the npz file {_listed(unused)} is not used.",) if unused else ()
    return replace(samples, warnings=(*warnings, *samples.warnings))


def _listed(names: list[str]) -> str:
    return ", ".join(map(short, names[:NAMED])) + (", …" if len(names) > NAMED else "")
