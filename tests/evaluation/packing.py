"""Small sets of images and the ways in which callers pack them."""

import io
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.evaluation.samples.limits import Limits
from service.imaging import encode_png

Files = Iterable[tuple[str, bytes]]
Pixels = NDArray[np.uint8]

LIMITS = Limits(unpacked_bytes=8 << 20, image_pixels=1 << 16, entries=500)


def digits(count: int, *, seed: int = 0, size: int = 12, channels: int = 1) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, channels), dtype=np.uint8)


def pngs(images: Pixels) -> list[tuple[str, bytes]]:
    return [(f"{place:03}.png", encode_png(image)) for place, image in enumerate(images)]


def zipped(path: Path, files: Files, *, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return path


def tarred(path: Path, files: Files, *, gzipped: bool = False, layout: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w:gz" if gzipped else "w", format=layout) as archive:
        for name, data in files:
            header = tarfile.TarInfo(name)
            header.size = len(data)
            header.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            archive.addfile(header, io.BytesIO(data))
    return path


def npz(path: Path, arrays: Mapping[str, NDArray[Any]], *, compressed: bool = False) -> Path:
    with path.open("wb") as file:
        (np.savez_compressed if compressed else np.savez)(file, allow_pickle=True, **arrays)
    return path


def npy(path: Path, array: NDArray[Any]) -> Path:
    with path.open("wb") as file:
        np.save(file, array)
    return path
