import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cli.conftest import Run

from service.datasets.mnist import MNIST
from service.datasets.publication import Dataset, PublishedFile
from service.datasets.registry import DATASETS
from service.settings import Settings

CONTENT = b"what was published"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """What the publisher of the dataset `letters` sends, one request after another."""
    waiting: list[bytes] = []

    class Publisher(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(waiting.pop(0))

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Publisher) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        file = PublishedFile("a.gz", f"http://127.0.0.1:{server.server_port}/a.gz", hashlib.md5(CONTENT).hexdigest())
        letters = Dataset(name="letters", classes=26, files=(file,), read=MNIST.read)
        monkeypatch.setitem(DATASETS, "letters", letters)
        yield waiting
        server.shutdown()


def test_the_list_says_where_and_what(run: Run, local_settings: Settings) -> None:
    folder = local_settings.data / "mnist"
    folder.mkdir(parents=True)
    (folder / MNIST.files[0].name).write_bytes(b"")
    shown = run("data", "list").stdout
    assert str(local_settings.data) in shown
    assert "mnist  3 of 4 files missing" in shown
    for file in MNIST.files:
        (folder / file.name).write_bytes(b"")
    assert "\nmnist  here\n" in run("data", "list").stdout


def test_a_dataset_comes_from_its_publisher_once(run: Run, local_settings: Settings, sent: list[bytes]) -> None:
    sent.append(CONTENT)
    for _ in range(2):
        result = run("data", "fetch", "letters")
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout == f"{local_settings.data / 'letters' / 'a.gz'}  18 bytes\n"


def test_by_force_it_comes_again_and_replaces_what_is_there(
    run: Run, local_settings: Settings, sent: list[bytes]
) -> None:
    target = local_settings.data / "letters" / "a.gz"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"spoilt")
    sent.append(b"another file")
    assert run("data", "fetch", "letters", "--force").exit_code == 2
    assert target.read_bytes() == b"spoilt"
    sent.append(CONTENT)
    assert run("data", "fetch", "letters", "--force").exit_code == 0
    assert target.read_bytes() == CONTENT
    assert left(local_settings.data) == ["letters"]


def left(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_an_unknown_dataset_is_said(run: Run) -> None:
    result = run("data", "fetch", "nobody")
    assert result.exit_code == 2
    assert result.stderr.startswith("chapterhouse: There is no dataset called 'nobody'; there are ")
