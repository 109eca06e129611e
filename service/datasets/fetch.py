"""Downloads datasets from their publishers, each file whole or not at all."""

import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import httpx

from service.datasets.publication import Dataset, PublishedFile
from service.errors import DatasetMissing

TIMEOUT_S = 30.0

OnDownload = Callable[[str, int, int | None], None]
"""Told a file's name, the bytes that have come, and how many there will be where the publisher says so."""


def fetch(
    dataset: Dataset, data_dir: Path, *, client: httpx.Client | None = None, report: OnDownload | None = None
) -> list[Path]:
    """The dataset's files in its folder of the data directory, downloaded unless they are there.

    Raises DatasetMissing where a publisher cannot be reached or sends another file than the one that was published.
    """
    folder = data_dir / dataset.name
    folder.mkdir(parents=True, exist_ok=True)
    with nullcontext(client) if client else httpx.Client(timeout=TIMEOUT_S) as connection:
        for file in dataset.files:
            if not (folder / file.name).is_file():
                _download(file, folder, connection, report or _stay_silent)
    return [folder / file.name for file in dataset.files]


def _download(file: PublishedFile, folder: Path, client: httpx.Client, report: OnDownload) -> None:
    staged = folder / f"{file.name}.staged"
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with client.stream("GET", file.url, follow_redirects=True) as reply, staged.open("wb") as target:
            reply.raise_for_status()
            length = int(reply.headers["Content-Length"]) if "Content-Length" in reply.headers else None
            for chunk in reply.iter_raw():
                target.write(chunk)
                digest.update(chunk)
                report(file.name, reply.num_bytes_downloaded, length)
        if digest.hexdigest() != file.md5:
            raise DatasetMissing(f"{file.url} sent another file than the published one: md5 {digest.hexdigest()}.")
        staged.replace(folder / file.name)
    except httpx.HTTPError as error:
        raise DatasetMissing(f"{file.url} cannot be downloaded: {error}") from error
    finally:
        staged.unlink(missing_ok=True)


def _stay_silent(name: str, received: int, total: int | None) -> None:
    """Nobody watches."""
