"""Uploads of every kind become the same samples, and what is none becomes a sentence."""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation.packing import LIMITS, digits, npy, npz, pngs, tarred, zipped
from numpy.typing import NDArray
from PIL import Image

from service.errors import InvalidSamples, UnreadableArchive
from service.evaluation.samples.archives import open_samples
from service.evaluation.samples.limits import Limits
from service.evaluation.samples.reading import Samples
from service.evaluation.samples.spool import ImageShape
from service.evaluation.threads import Stop, Stopped
from service.imaging import FRAMES

Open = Callable[..., Samples]


def deep_png(channels: int) -> bytes:
    """A PNG of 12×12 with 16 bits a channel, which Pillow does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    values = np.random.default_rng(0).integers(0, 65536, (12, 12 * channels)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    header = struct.pack(">IIBBBBB", 12, 12, 16, {1: 0, 3: 2}[channels], 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def turned(orientation: int) -> bytes:
    """A camera's note."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    def open_upload(
        path: Path,
        *,
        size: tuple[int, int] = (12, 12),
        channels: int = 1,
        limits: Limits = LIMITS,
        skip_unreadable: bool = False,
        stop: Stop | None = None,
    ) -> Samples:
        number = len(list(tmp_path.glob("work*")))
        working_dir = tmp_path / f"work{number}"
        working_dir.mkdir()
        return open_samples(
            path,
            working_dir=working_dir,
            shape=ImageShape(size, channels),
            limits=limits,
            skip_unreadable=skip_unreadable,
            stop=stop,
        )

    return open_upload


def test_every_packing_of_the_same_images_is_the_same_set(tmp_path: Path, opened: Open) -> None:
    images = digits(30)
    files = pngs(images)
    shuffled = [files[place] for place in np.random.default_rng(1).permutation(30)]
    uploads = [
        zipped(tmp_path / "a", files),
        zipped(tmp_path / "b", [(f"deep/er/{name}.dat", data) for name, data in shuffled], method=zipfile.ZIP_STORED),
        tarred(tmp_path / "c", shuffled),
        tarred(tmp_path / "d", files, gzipped=True),
        npy(tmp_path / "e", images),
        npy(tmp_path / "f", np.asfortranarray(images[::-1, :, :, 0])),
        npz(tmp_path / "g", {"images": images}),
        npz(tmp_path / "h", {"arr_0": images}, compressed=True),
    ]
    sets = [opened(upload) for upload in uploads]
    first = sets[0]
    assert isinstance(first.images, np.ndarray)
    assert first.count == 30
    assert sorted(image.tobytes() for image in first.images) == sorted(image.tobytes() for image in images)
    for other in sets:
        assert other.sha256 == first.sha256
        assert isinstance(other.images, np.ndarray)
        np.testing.assert_array_equal(other.images, first.images)
        assert other.warnings == ()


def test_another_pixel_is_another_set(tmp_path: Path, opened: Open) -> None:
    images = digits(5)
    first = opened(npy(tmp_path / "a", images))
    images[3, 0, 0, 0] ^= 1
    assert opened(npy(tmp_path / "b", images)).sha256 != first.sha256


def test_images_are_fitted_to_the_extractor_and_the_report_can_say_so(tmp_path: Path, opened: Open) -> None:
    files = pngs(digits(3)) + [(f"c{name}", data) for name, data in pngs(digits(2, size=20, channels=3))]
    samples = opened(zipped(tmp_path / "a", files))
    assert isinstance(samples.images, np.ndarray)
    assert samples.images.shape == (5, 12, 12, 1)
    assert samples.warnings == (
        "2 of 5 images were converted to grey.",
        "2 of 5 images were resized to 12×12.",
    )


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


COLOUR = Image.fromarray(digits(1, size=12, channels=3)[0])


@pytest.mark.parametrize(
    ("data", "done"),
    [
        (saved(COLOUR.convert("L"), "PNG"), "were converted to colour"),
        (saved(COLOUR.quantize(8), "PNG"), "had a palette, which was resolved"),
        (saved(COLOUR.quantize(8), "GIF"), "had a palette, which was resolved"),
        (
            saved(Image.new("RGBA", (12, 12), (9, 8, 7, 99)), "PNG"),
            "were transparent in places and were laid over black",
        ),
        (
            saved(COLOUR, "PNG", transparency=COLOUR.getpixel((0, 0))),
            "were transparent in places and were laid over black",
        ),
        (saved(COLOUR.convert("CMYK"), "JPEG"), "were in CMYK or another space than RGB and were converted to it"),
        (saved(COLOUR.convert("CMYK"), "TIFF"), "were in CMYK or another space than RGB and were converted to it"),
        (deep_png(3), "had 16 bits a channel and were scaled to 8"),
        (saved(COLOUR, "GIF", save_all=True, append_images=[COLOUR.rotate(90)]), FRAMES),
        (saved(COLOUR, "JPEG", exif=turned(6)), "were turned upright, as the camera noted"),
        (saved(COLOUR.resize((7, 9)), "PNG"), "were resized to 12×12"),
    ],
)
def test_what_is_done_to_an_image_is_said(data: bytes, done: str, tmp_path: Path, opened: Open) -> None:
    files = [*pngs(digits(2, channels=3)), ("other", data)]
    samples = opened(zipped(tmp_path / "a", files), channels=3)
    assert samples.count == 3
    assert f"1 of 3 images {done}." in samples.warnings


def test_of_an_image_that_is_what_it_should_be_nothing_is_said(tmp_path: Path, opened: Open) -> None:
    opaque = COLOUR.convert("RGBA")
    files = [("a", saved(COLOUR, "PNG")), ("b", saved(opaque, "PNG")), ("c", saved(COLOUR, "JPEG"))]
    assert opened(zipped(tmp_path / "a", files[1:]), channels=3).warnings == ()
    assert opened(zipped(tmp_path / "b", files[:1]), channels=3).warnings == ()


def test_an_image_whose_white_nobody_knows_is_refused(tmp_path: Path, opened: Open) -> None:
    for number, values in enumerate((np.ones((3, 3), np.float32), np.full((3, 3), 70_000, np.int32))):
        upload = zipped(tmp_path / str(number), [("deep.tif", saved(Image.fromarray(values), "TIFF"))])
        with pytest.raises(UnreadableArchive, match=r"'deep\.tif': .*what is white is not known"):
            opened(upload)


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "npy", "features"])
def test_reading_ends_soon_when_it_is_told_to_stop(kind: str, tmp_path: Path, opened: Open) -> None:
    images, path = digits(40), tmp_path / "a"
    pack: dict[str, Callable[[], Path]] = {
        "zip": lambda: zipped(path, pngs(images)),
        "tar": lambda: tarred(path, pngs(images)),
        "tar.gz": lambda: tarred(path, pngs(images), gzipped=True),
        "npy": lambda: npy(path, images),
        "features": lambda: npz(path, {"features": images.reshape(40, -1)}),
    }
    stop = Stop()
    upload = pack[kind]()
    opened(upload, stop=stop)
    stop.ask()
    with pytest.raises(Stopped):
        opened(upload, stop=stop)


def test_the_first_bad_file_is_the_one_that_is_named(tmp_path: Path, opened: Open) -> None:
    later = [(f"later-{name}", data) for name, data in pngs(digits(200))]
    files = [*pngs(digits(3)), ("first.png", b"no"), *later, ("second.png", b"no")]
    for pack in (zipped, tarred):
        with pytest.raises(UnreadableArchive, match=r"^'first\.png'"):
            opened(pack(tmp_path / pack.__name__, files))
    cut = tarred(tmp_path / "whole", files).read_bytes()[:-2048]
    (tmp_path / "cut").write_bytes(cut)
    with pytest.raises(UnreadableArchive, match=r"^'first\.png'"):
        opened(tmp_path / "cut")


def test_copies_are_counted(tmp_path: Path, opened: Open) -> None:
    samples = opened(npy(tmp_path / "a", np.repeat(digits(4), 3, axis=0)))
    assert samples.warnings == ("8 of 12 samples are exact copies of others.",)


def test_the_clutter_of_operating_systems_is_passed_over(tmp_path: Path, opened: Open) -> None:
    clutter = [
        ("__MACOSX/._000.png", b"resource fork"),
        ("pictures/.DS_Store", b"x"),
        (".hidden/000.png", b"x"),
        ("pictures/Thumbs.db", b"x"),
        ("pictures/", b""),
    ]
    for pack in (zipped, tarred):
        assert opened(pack(tmp_path / pack.__name__, [*clutter, *pngs(digits(4))])).count == 4


def test_names_that_climb_or_start_at_the_root_are_only_names(tmp_path: Path, opened: Open) -> None:
    (_, first), (_, second) = pngs(digits(2))
    samples = opened(zipped(tmp_path / "a", [("../../escaped.png", first), ("/etc/escaped.png", second)]))
    assert samples.count == 2
    assert not list(tmp_path.parent.rglob("escaped*"))


def test_a_bad_file_fails_the_set_by_name(tmp_path: Path, opened: Open) -> None:
    whole = pngs(digits(3))
    files = [*whole, ("bad.png", whole[0][1][:-20]), ("notes.txt", b"read me")]
    for pack in (zipped, tarred):
        upload = pack(tmp_path / pack.__name__, files)
        with pytest.raises(UnreadableArchive, match=r"^'bad\.png': "):
            opened(upload)
        samples = opened(upload, skip_unreadable=True)
        assert samples.count == 3
        passed_over, skipped = samples.warnings[:2]
        assert passed_over == "1 file is no image by its name and was passed over: 'notes.txt'."
        assert skipped.startswith("1 of 4 files could not be read and was skipped: 'bad.png': ")


def test_a_set_of_nothing_but_bad_files_is_refused(tmp_path: Path, opened: Open) -> None:
    with pytest.raises(UnreadableArchive, match="holds no image"):
        opened(zipped(tmp_path / "a", [("a.png", b"no"), ("b.png", b"no")]), skip_unreadable=True)


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_an_archive_without_files_is_refused(pack: Callable[..., Path], tmp_path: Path, opened: Open) -> None:
    with pytest.raises(UnreadableArchive, match=r"holds no image|not a zip"):
        opened(pack(tmp_path / "a", []))


def test_an_image_over_the_pixel_limit_is_refused_by_name(tmp_path: Path, opened: Open) -> None:
    stream = io.BytesIO()
    Image.new("1", (4096, 4096)).save(stream, "PNG")
    with pytest.raises(UnreadableArchive, match=r"'large\.png': The image is 4096×4096"):
        opened(zipped(tmp_path / "a", [("large.png", stream.getvalue())]))
    with pytest.raises(UnreadableArchive, match="300×300"):
        opened(npy(tmp_path / "b", np.zeros((2, 300, 300), np.uint8)))


def test_an_archive_inside_an_archive_is_a_file_that_is_no_image(tmp_path: Path, opened: Open) -> None:
    inner = zipped(tmp_path / "inner", pngs(digits(2))).read_bytes()
    with pytest.raises(UnreadableArchive, match=r"'inner\.zip'"):
        opened(zipped(tmp_path / "outer", [("inner.zip", inner)]))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"hello", "not a zip, tar or tar.gz of images, or an npy or npz file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(600), "one image; put the images into a zip"),
        (bytes(1024), "not a zip"),
        (b"PK\x03\x04 and nothing more", "zip file is damaged"),
        (b"\x1f\x8b and nothing more", "damaged or cut short"),
        (b"\x93NUMPY", "no valid npy header"),
    ],
)
def test_a_file_of_another_kind_is_refused(content: bytes, sentence: str, tmp_path: Path, opened: Open) -> None:
    upload = tmp_path / "upload.zip"
    upload.write_bytes(content)
    with pytest.raises(UnreadableArchive, match=sentence):
        opened(upload)


def test_an_upload_cut_at_any_place_is_an_error_and_never_a_smaller_set(tmp_path: Path, opened: Open) -> None:
    files = pngs(digits(6))
    uploads = [
        zipped(tmp_path / "a", files),
        tarred(tmp_path / "b", files),
        tarred(tmp_path / "c", files, gzipped=True),
        npy(tmp_path / "d", digits(6)),
        npz(tmp_path / "e", {"images": digits(6)}),
    ]
    for upload in uploads:
        whole = upload.read_bytes()
        # the end of a tar is 20 blocks of zeros, of which the first one counts
        needed = whole.rstrip(b"\0") if upload.name == "b" else whole
        for cut in range(0, len(needed) - 8, 97):
            upload.write_bytes(whole[:cut])
            with pytest.raises(UnreadableArchive):
                opened(upload)


def test_features_are_taken_as_they_are_in_the_order_of_their_values(tmp_path: Path, opened: Open) -> None:
    rng = np.random.default_rng(0)
    features, logits = rng.standard_normal((20, 5)).astype(np.float32), rng.standard_normal((20, 3))
    order = rng.permutation(20)
    first = opened(npz(tmp_path / "a", {"features": features, "logits": logits}))
    other = opened(npz(tmp_path / "b", {"logits": logits[order], "features": features[order].astype(np.float64)}))
    for samples in (first, other):
        assert samples.features is not None
        assert samples.logits is not None
        pairs = {row.tobytes(): beside for row, beside in zip(features, logits, strict=True)}
        for row, beside in zip(samples.features, samples.logits, strict=True):
            np.testing.assert_array_equal(pairs[row.astype(np.float32).tobytes()], beside)
    np.testing.assert_array_equal(np.asarray(first.features, np.float64), other.features)
    assert first.sha256 == other.sha256
    assert first.count == 20


def test_features_go_without_logits(tmp_path: Path, opened: Open) -> None:
    samples = opened(npz(tmp_path / "a", {"features": np.ones((3, 2), np.float16)}))
    assert samples.logits is None
    assert samples.warnings == ("2 of 3 samples are exact copies of others.",)


def test_statistics_are_read_as_pytorch_fid_and_guided_diffusion_write_them(tmp_path: Path, opened: Open) -> None:
    mu, sigma = np.arange(3.0), np.eye(3) * 2
    samples = opened(npz(tmp_path / "a", {"mu": mu, "sigma": sigma, "mu_s": mu, "sigma_s": sigma}))
    assert samples.statistics is not None
    np.testing.assert_array_equal(samples.statistics.mean, mu)
    np.testing.assert_array_equal(samples.statistics.covariance, sigma)
    assert samples.statistics.count is samples.count is None
    assert opened(npz(tmp_path / "b", {"sigma": sigma, "mu": mu})).sha256 == samples.sha256


def test_statistics_beside_images_stay_with_them(tmp_path: Path, opened: Open) -> None:
    arrays: dict[str, NDArray[Any]] = {"arr_0": digits(4), "mu": np.zeros(3), "sigma": np.eye(3)}
    samples = opened(npz(tmp_path / "a", arrays))
    assert samples.images is not None
    assert samples.statistics is not None
    np.testing.assert_array_equal(samples.statistics.covariance, np.eye(3))
    assert samples.sha256 != opened(npz(tmp_path / "b", {"arr_0": digits(4)})).sha256


def test_statistics_that_are_none_are_refused(tmp_path: Path, opened: Open) -> None:
    with pytest.raises(InvalidSamples, match="NaN"):
        opened(npz(tmp_path / "a", {"mu": np.full(3, np.nan), "sigma": np.eye(3)}))


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"images": np.full((2, 4, 4, 1), 256.0)}, r"float64 \(2, 4, 4, 1\), holds numbers from 256 to 256"),
        ({"images": np.zeros((2, 4, 4, 4), np.uint8)}, r"uint8 \(2, 4, 4, 4\)"),
        ({"arr_0": np.zeros((4, 4), np.uint8)}, r"uint8 \(4, 4\)"),
        ({"images": np.zeros((0, 4, 4, 1), np.uint8)}, "is empty"),
        ({"images": np.array([{}, []], object)}, "Python objects"),
        ({"images": np.array(["a", "b"])}, "<U1"),
        ({"features": np.zeros(4)}, r"shapes are \(4,\)"),
        ({"features": np.zeros((4, 2)), "logits": np.zeros((3, 2))}, r"shapes are \(\(4, 2\), \(3, 2\)\)"),
        ({"features": np.zeros((4, 2), complex)}, "complex128"),
        ({"mu": np.zeros(3)}, "holds none of"),
        ({"labels": np.zeros(3)}, "holds none of"),
    ],
)
def test_arrays_that_are_no_samples_are_refused(
    arrays: dict[str, NDArray[Any]], sentence: str, tmp_path: Path, opened: Open
) -> None:
    with pytest.raises(UnreadableArchive, match=sentence):
        opened(npz(tmp_path / "a", arrays))


class _Trap:
    """An object that would leave a file behind if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return Path.touch, (self._path,)


def test_nothing_is_ever_unpickled(tmp_path: Path, opened: Open) -> None:
    sprung = tmp_path / "sprung"
    trap = np.array([_Trap(sprung)], object)
    with (tmp_path / "npy").open("wb") as file:
        np.save(file, trap, allow_pickle=True)
    for upload in (npz(tmp_path / "npz", {"features": trap}), tmp_path / "npy"):
        with pytest.raises(UnreadableArchive, match="Python objects"):
            opened(upload)
    assert not sprung.exists()


def test_long_and_foreign_names_survive_in_tars(tmp_path: Path, opened: Open) -> None:
    files = [("ü" * 90 + f"/{name}", data) for name, data in pngs(digits(2))]
    for layout in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        upload = tarred(tmp_path / str(layout), [*files, ("x" * 200 + "/bad", b"no")], layout=layout)
        assert opened(upload, skip_unreadable=True).count == 2
        with pytest.raises(UnreadableArchive, match=r"'x{60}…x{55}/bad'"):
            opened(upload)
