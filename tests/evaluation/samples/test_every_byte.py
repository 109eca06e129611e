"""Every byte of an upload is used, named as not used, or refused."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation.packing import LIMITS, digits, npy, npz, pngs, tarred, zipped
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.errors import InvalidSamples, UnreadableArchive
from service.evaluation.samples.archives import open_samples
from service.evaluation.samples.reading import Samples
from service.evaluation.samples.spool import ImageShape

Open = Callable[[Path | bytes], Samples]
IMAGES = digits(30, channels=3)
FILES = pngs(IMAGES)


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    def open_upload(upload: Path | bytes) -> Samples:
        number = len(list(tmp_path.glob("work*")))
        working_dir = tmp_path / f"work{number}"
        working_dir.mkdir()
        if isinstance(upload, bytes):
            path = tmp_path / f"upload{number}"
            path.write_bytes(upload)
        else:
            path = upload
        return open_samples(path, working_dir=working_dir, shape=ImageShape((12, 12), 3), limits=LIMITS)

    return open_upload


def saved(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize("gzipped", [False, True])
def test_tars_that_were_joined_are_read_one_after_the_other(tmp_path: Path, opened: Open, *, gzipped: bool) -> None:
    first = tarred(tmp_path / "first", FILES[:12], gzipped=gzipped).read_bytes()
    second = tarred(tmp_path / "second", FILES[12:], gzipped=gzipped).read_bytes()
    assert opened(first + second).sha256 == opened(tarred(tmp_path / "whole", FILES)).sha256


def test_a_tar_without_its_end_mark_or_with_something_behind_it_is_refused(tmp_path: Path, opened: Open) -> None:
    data = tarred(tmp_path / "a", FILES).read_bytes()
    end = len(data.rstrip(b"\0"))
    end += -end % tarfile.BLOCKSIZE
    for damaged in (data[:end], data + b"more", data + b"more" * 300):
        with pytest.raises(UnreadableArchive, match="damaged or cut short"):
            opened(damaged)


@pytest.mark.parametrize("place", [-8, -5, -4, -1])
def test_the_checksum_and_the_length_of_a_gzip_count(place: int, tmp_path: Path, opened: Open) -> None:
    data = bytearray(tarred(tmp_path / "a", FILES, gzipped=True).read_bytes())
    data[place] ^= 0xFF
    with pytest.raises(UnreadableArchive, match="damaged or cut short"):
        opened(bytes(data))


def test_any_file_may_be_compressed_by_gzip(tmp_path: Path, opened: Open) -> None:
    whole = opened(npy(tmp_path / "a.npy", IMAGES)).sha256
    for path in (
        npy(tmp_path / "b.npy", IMAGES),
        zipped(tmp_path / "b.zip", FILES),
        npz(tmp_path / "b", {"images": IMAGES}),
    ):
        assert opened(gzip.compress(path.read_bytes())).sha256 == whole
    with pytest.raises(UnreadableArchive, match="gzip twice"):
        opened(gzip.compress(gzip.compress(b"anything")))


def test_zips_that_were_joined_are_refused(tmp_path: Path, opened: Open) -> None:
    first, second = (zipped(tmp_path / f"{n}", FILES[n::2]).read_bytes() for n in (0, 1))
    with pytest.raises(UnreadableArchive, match="two zips were joined"):
        opened(first + second)
    with pytest.raises(UnreadableArchive, match="4 bytes behind its end"):
        opened(first + b"more")


def test_a_zip_that_was_changed_in_place_is_refused(tmp_path: Path, opened: Open) -> None:
    path = zipped(tmp_path / "a", FILES)
    with zipfile.ZipFile(path, "a") as archive:
        forgotten = archive.infolist()[3]
        archive.filelist.remove(forgotten)
        archive.writestr("new.png", FILES[0][1])
    with pytest.raises(UnreadableArchive, match="no file of its directory takes"):
        opened(path)


def test_a_zip_written_to_a_stream_and_one_with_a_comment_are_whole(tmp_path: Path, opened: Open) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:
        archive.comment = b"made by hand"
        for name, data in FILES:
            archive.writestr(name, data)
    assert opened(pipe.getvalue()).sha256 == opened(zipped(tmp_path / "a", FILES)).sha256


def test_what_follows_an_array_is_refused(tmp_path: Path, opened: Open) -> None:
    two = saved(IMAGES[:12]) + saved(IMAGES[12:])
    for data in (two, saved(IMAGES) + b"\0"):
        with pytest.raises(UnreadableArchive, match="more bytes follow"):
            opened(data)
        with pytest.raises(UnreadableArchive, match="more bytes follow"):
            opened(zipped(tmp_path / "images", [("images.npy", data)]))


def test_arrays_that_are_not_used_are_named(tmp_path: Path, opened: Open) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 3))
    some = npz(tmp_path / "a", {"features": rows, "mu": np.zeros(3), "sigma": np.eye(3), "steps": np.arange(9)})
    assert opened(some).warnings[0] == "Of the npz file 'mu', 'sigma', 'steps' is not used."
    with pytest.raises(UnreadableArchive, match=r"it holds 'feats', 'step'\."):
        opened(npz(tmp_path / "b", {"feats": rows, "step": np.arange(3)}))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PAR1" + bytes(600), "a Parquet table"),
        (b"\x80\x04" + bytes(600), "pickle, which is never opened"),
        (b"\xfd7zXZ\0" + bytes(600), "compressed by xz; a tar.gz is read"),
        (b"\x89HDF\r\n" + bytes(600), "an HDF5 file"),
        (FILES[0][1], "one image; put the images into a zip or a tar"),
    ],
)
def test_what_people_send_instead_is_told_by_name(content: bytes, words: str, opened: Open) -> None:
    with pytest.raises(UnreadableArchive, match=words):
        opened(content)


def test_arrays_and_checkpoints_inside_archives_are_refused_with_the_way_out(tmp_path: Path, opened: Open) -> None:
    arrays = saved(IMAGES)
    for files in ([("rank0.npz", arrays)], [("0.npy", arrays), ("a.png", FILES[0][1])]):
        for pack in (zipped, tarred):
            with pytest.raises(UnreadableArchive, match=r"join them and save the samples with np\.savez"):
                opened(pack(tmp_path / "a", files))
    with pytest.raises(UnreadableArchive, match="whose pickles are never opened here"):
        opened(zipped(tmp_path / "b", [("archive/data.pkl", b"x"), ("archive/data/0", b"y")]))
    with pytest.raises(UnreadableArchive, match="it holds 'samples_0', 'samples_1'"):
        opened(zipped(tmp_path / "c", [(f"samples_{n}.npy", arrays) for n in (0, 1)]))


@pytest.mark.parametrize("layout", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_a_name_that_is_no_utf_8_is_named(layout: int, tmp_path: Path, opened: Open) -> None:
    path = tmp_path / "a"
    with tarfile.open(
        path, "w", format=layout, encoding="latin-1" if layout == tarfile.GNU_FORMAT else "utf-8"
    ) as archive:
        member = tarfile.TarInfo("bl\xf6d.png" if layout == tarfile.GNU_FORMAT else "bl\udcf6d.png")
        member.size = 2
        archive.addfile(member, io.BytesIO(b"no"))
    with pytest.raises(UnreadableArchive) as refused:
        opened(path)
    assert str(refused.value).encode().startswith(b"'bl\\udcf6d.png': ")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (IMAGES.astype(np.float32) / 255, "held numbers from 0 to 1, which were scaled to 0 to 255 and rounded"),
        (IMAGES / 127.5 - 1, "held numbers from −1 to 1, which were scaled to 0 to 255 and rounded"),
        (IMAGES.astype(np.int64), "held numbers from 0 to 255 as int64, which were rounded to a byte"),
        (IMAGES.astype(np.float64), "held numbers from 0 to 255 as float64, which were rounded to a byte"),
    ],
)
@pytest.mark.parametrize("channels_first", [False, True])
def test_numbers_that_can_mean_one_thing_only_are_taken_for_it_and_said(
    array: NDArray[Any], words: str, tmp_path: Path, opened: Open, *, channels_first: bool
) -> None:
    sent = array.transpose(0, 3, 1, 2) if channels_first else array
    found = opened(npz(tmp_path / "a", {"images": sent}))
    assert found.sha256 == opened(npy(tmp_path / "b", IMAGES)).sha256
    assert found.warnings == (f"30 of 30 images {words}.",)
    axes = ", channels first" if channels_first else ""
    assert found.understood == f"array 'images', {sent.dtype} {sent.shape}: 30 images of 12×12×3{axes}"


def test_halves_are_rounded_to_even() -> None:
    from service.evaluation.samples.image_arrays import _Scale, _scaled

    halves = np.array([0.5, 1.5, 2.5, 254.5]) / 255
    assert _scaled(halves, _Scale(0.0, 1.0, "")).tolist() == [0, 2, 2, 254]


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (digits(1, size=40, channels=3)[0], "may be one image or 40 grey ones"),
        (digits(1, size=40, channels=3)[0].transpose(2, 0, 1), "may be one image or 3 grey ones"),
        (digits(1, size=12)[0, :, :, 0], "is no set of images in grey or RGB"),
        (np.zeros((2, 5, 12, 12, 1), np.uint8), "is no set of images in grey or RGB"),
        (np.zeros((1, 9, 12, 12), np.uint8), "is no set of images in grey or RGB"),
        (
            np.full((2, 4, 4, 1), 1000.0),
            "holds numbers from 1000 to 1000; what is black and what is white is not known",
        ),
        (np.full((2, 4, 4, 1), -3), "holds numbers from -3 to -3"),
        (np.array([0.0, np.nan] * 8).reshape(1, 4, 4, 1), "is not finite in row 0"),
    ],
)
def test_arrays_that_can_mean_two_things_are_refused(
    array: NDArray[Any], words: str, tmp_path: Path, opened: Open
) -> None:
    with pytest.raises(UnreadableArchive, match=words):
        opened(npy(tmp_path / "a", array))


def test_a_set_that_uses_little_of_its_range_is_told_so(tmp_path: Path, opened: Open) -> None:
    masks = opened(zipped(tmp_path / "a", pngs(IMAGES // 128)))
    assert "The smallest value of all images is 0 and the largest 1, where white is 255." in " ".join(masks.warnings)
    assert not opened(zipped(tmp_path / "b", FILES)).warnings


def test_probabilities_are_taken_as_they_are_and_logits_that_look_like_some_are_told(
    tmp_path: Path, opened: Open
) -> None:
    rng = np.random.default_rng(0)
    rows, p = rng.normal(size=(20, 3)), rng.dirichlet(np.ones(4), 20)
    found = opened(npz(tmp_path / "a", {"features": rows, "probabilities": p}))
    assert found.probabilities is not None
    assert found.as_sent is not None
    np.testing.assert_array_equal(found.probabilities[found.as_sent], p)
    assert found.logits is None
    for shares in (p, 100 * p):  # or percent
        told = opened(npz(tmp_path / "b", {"features": rows, "logits": shares})).warnings[0]
        assert "look like probabilities" in told
    assert opened(npz(tmp_path / "f", {"features": rows, "logits": np.log(p)})).warnings == ()
    with pytest.raises(UnreadableArchive, match="Send `logits` beside the `features` of the same samples"):
        opened(npz(tmp_path / "g", {"logits": p}))
    for wrong, words in ((p * 1.1, r"Row 0 .* sums to 1\.1"), (p - 0.5, "Row 0 .* holds a negative number")):
        with pytest.raises(InvalidSamples, match=words):
            opened(npz(tmp_path / "c", {"features": rows, "probabilities": wrong}))
    with pytest.raises(UnreadableArchive, match="both `logits` and `probabilities`"):
        opened(npz(tmp_path / "d", {"features": rows, "logits": p, "probabilities": p}))


def test_the_callers_order_is_kept_beside_that_of_the_content(tmp_path: Path, opened: Open) -> None:
    shuffled = [FILES[place] for place in np.random.default_rng(1).permutation(len(FILES))]
    for upload in (zipped(tmp_path / "a", shuffled), tarred(tmp_path / "b", shuffled), npy(tmp_path / "c", IMAGES)):
        found = opened(upload)
        assert found.images is not None
        assert found.as_sent is not None
        np.testing.assert_array_equal(np.stack([found.images[row] for row in found.as_sent]), IMAGES)


KEYS = st.sampled_from(["features", "logits", "probabilities"])


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_no_two_ways_to_cut_the_same_numbers_share_a_digest(
    tmp_path_factory: pytest.TempPathFactory, width: int, classes: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    joined = rng.dirichlet(np.ones(classes), 5)
    rows = np.hstack([rng.normal(size=(5, width)), joined])
    cuts = [{"features": rows}, *({"features": rows[:, :k], "logits": rows[:, k:]} for k in range(1, rows.shape[1]))]
    cuts.append({"features": rows[:, :width], "probabilities": joined})
    digests = set()
    for arrays in cuts:
        folder = tmp_path_factory.mktemp("cut")
        upload = npz(folder / "a", arrays)
        (folder / "work").mkdir()
        digests.add(
            open_samples(upload, working_dir=folder / "work", shape=ImageShape((1, 1), 1), limits=LIMITS).sha256
        )
    assert len(digests) == len(cuts)


@pytest.mark.parametrize("packed", [zipped, tarred])
def test_hidden_files_are_named_and_not_measured(packed: Callable[..., Path], tmp_path: Path, opened: Open) -> None:
    hidden = [(f".cache/{name}", data) for name, data in FILES[:12]]
    found = opened(packed(tmp_path / "a", [*hidden, *FILES[12:]]))
    assert found.count == len(FILES) - 12
    assert found.warnings[0] == (
        "12 files are hidden by their names or folders and were passed over: '.cache/000.png'; '.cache/001.png';"
        " '.cache/002.png'; …."
    )
    alone = opened(packed(tmp_path / "b", [*FILES, ("Thumbs.db", b"x")]))
    assert alone.warnings == ("1 file is hidden by its name and was passed over: 'Thumbs.db'.",)
    with pytest.raises(UnreadableArchive, match=r"holds no image: '\.cache/000\.png'"):
        opened(packed(tmp_path / "c", hidden))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("more.zip", "an archive or a compressed file inside an archive"),
        ("more.tar.gz", "an archive or a compressed file inside an archive"),
        ("000.png.gz", "an archive or a compressed file inside an archive"),
        ("rank0.npz", "arrays inside an archive"),
        ("030.avif", "images of this kind are not read"),
        ("030.HEIC", "images of this kind are not read"),
    ],
)
def test_files_that_may_hold_more_samples_are_not_passed_over(
    name: str, reason: str, tmp_path: Path, opened: Open
) -> None:
    with pytest.raises(UnreadableArchive, match=f"{name}.*{reason}.*skip_unreadable"):
        opened(tarred(tmp_path / "a", [*FILES, (name, b"whatever")]))


@pytest.mark.parametrize("start", [b"GIF89a", b"RIFF....WEBP", b"II*\0", b"MM\0*"])
def test_one_image_of_any_kind_is_known_for_one(start: bytes, opened: Open) -> None:
    with pytest.raises(UnreadableArchive, match="one image; put the images into a zip"):
        opened(start + bytes(600))


def test_other_ways_to_keep_arrays_are_told_how_to_send_them(tmp_path: Path, opened: Open) -> None:
    with pytest.raises(UnreadableArchive, match=r"safetensors.*np\.savez"):
        opened(b'\x20\0\0\0\0\0\0\0{"a":{"dtype":"U8"}}' + bytes(600))
    with pytest.raises(UnreadableArchive, match=r"Features are named: np\.savez\(file, features=…\)"):
        opened(saved(np.zeros((60, 16))))
    with pytest.raises(UnreadableArchive, match=r"it holds 's/0', 's/1'\. Join all samples into one array"):
        opened(npz(tmp_path / "folder", {"s/0": IMAGES[0], "s/1": IMAGES[1]}))


@pytest.mark.parametrize("shape", [(12, 12, 1), (12, 12, 2), (12, 12, 3), (12, 12, 4), (3, 12, 12), (4, 12, 12)])
def test_one_image_of_any_channels_is_not_taken_for_many(shape: tuple[int, ...], opened: Open) -> None:
    with pytest.raises(UnreadableArchive, match="may be one image"):
        opened(saved(np.zeros(shape, np.uint8)))
