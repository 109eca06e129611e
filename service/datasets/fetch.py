"""Downloads, whole or not at all: datasets from their publishers, and whatever else lies at an address."""

import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Literal

import httpx

from service.datasets.publication import Dataset, PublishedFile
from service.errors import ConfigurationError, DatasetMissing
from service.files import written_whole

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
    with nullcontext(client) if client else _connection() as connection:
        for file in dataset.files:
            if not (folder / file.name).is_file():
                _fetch_file(file, folder, connection, report)
    return [folder / file.name for file in dataset.files]


def _fetch_file(file: PublishedFile, folder: Path, client: httpx.Client, report: OnDownload | None) -> None:
    def check(digest: str) -> None:
        if digest != file.md5:
            raise DatasetMissing(f"{file.url} sent another file than the published one: md5 {digest}.")

    try:
        download(file.url, folder / file.name, check=check, algorithm="md5", client=client, report=report)
    except httpx.HTTPError as error:
        raise DatasetMissing(f"{file.url} cannot be downloaded: {error}") from error


def download(
    url: str,
    path: Path,
    *,
    check: Callable[[str], None],
    algorithm: Literal["md5", "sha256"] = "sha256",
    client: httpx.Client | None = None,
    report: OnDownload | None = None,
) -> str:
    """Write what lies at an address, whole or not at all, once `check` has accepted its digest; the digest in hex.

    Raises httpx.HTTPError, OSError, and what `check` raises.
    """
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with (
        nullcontext(client) if client else _connection() as connection,
        connection.stream("GET", url, follow_redirects=True) as reply,
        written_whole(path) as file,
    ):
        reply.raise_for_status()
        length = int(reply.headers["Content-Length"]) if "Content-Length" in reply.headers else None
        for chunk in reply.iter_raw():
            file.write(chunk)
            digest.update(chunk)
            if report is not None:
                report(path.name, reply.num_bytes_downloaded, length)
        check(digest.hexdigest())
    return digest.hexdigest()


def _connection() -> httpx.Client:
    """A client of our own. Raises ConfigurationError for a proxy in the environment that is none."""
    try:
        return httpx.Client(timeout=TIMEOUT_S)
    except (httpx.InvalidURL, ValueError):  # what they say may hold a part of the password
        raise ConfigurationError("HTTP_PROXY, HTTPS_PROXY or ALL_PROXY does not hold the address of a proxy.") from None
