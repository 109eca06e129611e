import re
from pathlib import Path

import pytest
from cli.conftest import Run
from doubles import images
from typer.testing import Result

from service.cli.bench import address_of, drawn_image
from service.imaging import decode, encode_png
from service.settings import Settings


def bench(run: Run, server: str, *arguments: object, until: str) -> Result:
    """What the command comes to when it is given as long as a slow machine takes to get answers of this kind."""
    for seconds in (0.2, 2, 20):
        result = run("bench", "--server", server, "--connections", 2, *arguments, "--seconds", seconds)
        if re.search(until, result.stdout):
            break
    return result


def test_a_running_service_is_measured(run: Run, server: str, tmp_path: Path) -> None:
    picture = tmp_path / "bright.png"
    picture.write_bytes(encode_png(images(200)[0]))
    result = bench(run, server, "--image", picture, "--model", "echo", until=r"requests/s +[1-9]")
    assert result.exit_code == 0, result.output
    assert f"{server}/classify?model=echo" in result.stdout
    assert "requests/s" in result.stdout
    assert "p99" in result.stdout
    assert "errors" not in result.stdout


def test_errors_are_printed_by_status_and_nothing_else_ends_with_2(run: Run, server: str) -> None:
    result = bench(run, server, "--model", "nobody", until="errors")
    assert result.exit_code == 2
    assert "× 404" in result.stdout
    assert "requests/s  0" in result.stdout


def test_without_a_service_one_sentence_says_so(run: Run, silent_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAPTERHOUSE_PORT", str(silent_port))
    result = run("bench")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"chapterhouse: 127.0.0.1:{silent_port} cannot be reached")


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "http://127.0.0.1:80"), ("0.0.0.0", "http://127.0.0.1:80"), ("::", "http://[::1]:80")],
)
def test_a_service_is_looked_for_where_it_would_listen(host: str, address: str) -> None:
    assert address_of(Settings(host=host, port=80)) == address


def test_the_drawn_image_is_a_small_grey_png() -> None:
    assert decode(drawn_image(), limit_pixels=1000).shape == (28, 28, 1)
