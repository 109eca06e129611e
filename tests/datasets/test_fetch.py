import hashlib
from pathlib import Path

import httpx
import pytest

from service.datasets.fetch import fetch
from service.datasets.mnist import MNIST
from service.datasets.publication import Dataset, PublishedFile
from service.errors import DatasetMissing

CONTENT = b"what was published" * 1000
DATASET = Dataset(
    name="letters",
    classes=26,
    files=(
        PublishedFile("a.gz", "https://publisher.test/a.gz", hashlib.md5(CONTENT).hexdigest()),
        PublishedFile("b.gz", "https://publisher.test/b.gz", hashlib.md5(CONTENT).hexdigest()),
    ),
    read=MNIST.read,
)


def sent(content: bytes) -> httpx.Response:
    return httpx.Response(200, stream=httpx.ByteStream(content), headers={"Content-Length": str(len(content))})


def client_of(*replies: httpx.Response) -> httpx.Client:
    """A publisher that answers one request after another with these."""
    waiting = list(replies)
    return httpx.Client(transport=httpx.MockTransport(lambda _: waiting.pop(0)))


def test_files_come_from_the_publisher_and_lie_in_the_datasets_folder(tmp_path: Path) -> None:
    heard: list[tuple[str, int, int | None]] = []
    client = client_of(sent(CONTENT), sent(CONTENT))
    paths = fetch(DATASET, tmp_path, client=client, report=lambda *words: heard.append(words))
    assert paths == [tmp_path / "letters" / "a.gz", tmp_path / "letters" / "b.gz"]
    assert [path.read_bytes() for path in paths] == [CONTENT, CONTENT]
    assert sorted(tmp_path.rglob("*.gz*")) == paths
    assert heard[-1] == ("b.gz", len(CONTENT), len(CONTENT))


def test_what_is_there_is_not_downloaded_again(tmp_path: Path) -> None:
    fetch(DATASET, tmp_path, client=client_of(sent(CONTENT), sent(CONTENT)))
    assert len(fetch(DATASET, tmp_path, client=client_of())) == 2


def test_another_file_than_the_published_one_is_refused_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing, match="another file than the published one"):
        fetch(DATASET, tmp_path, client=client_of(sent(b"something else")))
    assert list((tmp_path / "letters").iterdir()) == []


def test_a_publisher_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing, match=r"https://publisher\.test/a\.gz cannot be downloaded: .*503"):
        fetch(DATASET, tmp_path, client=client_of(httpx.Response(503)))
    assert list((tmp_path / "letters").iterdir()) == []
