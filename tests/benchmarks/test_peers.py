"""What benchmarks/peers compares, on doubles of servers and of wrk."""

import os
import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.load.machine import free_ports
from benchmarks.peers import __main__ as peers
from benchmarks.peers.bodies import bodies
from benchmarks.peers.goals import goals
from benchmarks.peers.opened import call, moments
from benchmarks.peers.page import page_with
from benchmarks.peers.profile import spread
from benchmarks.peers.registry import PEERS, ROOT, Peer, Place, chosen
from benchmarks.peers.running import DoesNotServe, Server, marked, running
from benchmarks.peers.writing import PAGE, read_record
from service.imaging import decode

SERVER = """
import sys
from argparse import ArgumentTypeError
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        said = b'{"label": "%d", "probability": 1.0}' % (len(body) % 10 + int(sys.argv[2]))
        self.send_response(200)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
    def log_message(self, *_): pass

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
WRK = """#!{python}
import json
print("told " + json.dumps(dict(requests=500, seconds=1.0, failed=0, p50_ms=2.0, p99_ms=4.0)))
"""
MODEL = "lenet5-mnist"


def double(title: str, wrong_by: int = 0) -> Peer:
    """A server that answers with the length of the body, or something beside it."""
    return Peer(title, lambda place: [sys.executable, "-c", SERVER, str(place.port), str(wrong_by)])


@pytest.fixture
def wrk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "wrk"
    program.parent.mkdir()
    program.write_text(WRK.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(double("double"), MODEL, tmp_path / "double", b"image", threads=1) as found:
        yield found


@pytest.mark.usefixtures("wrk")
def test_servers_are_compared_in_rounds_and_one_that_sees_otherwise_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    doubles = {"chapterhouse": double("Chapterhouse"), "mosec": double("mosec"), "litserve": double("LitServe", 1)}
    for name, peer in doubles.items():
        monkeypatch.setitem(PEERS, name, peer)
    words = ["--peers", ",".join(doubles), "--models", MODEL, "--seconds", "0.2", "--rounds", "2", "--settle", "0"]
    monkeypatch.setattr(sys, "argv", ["peers", *words])
    run = peers.Run(peers.arguments(), tmp_path)
    run.rounds()
    assert set(run.record["closed"][MODEL]) == {"chapterhouse", "mosec"}
    assert {len(rounds) for rounds in run.record["closed"][MODEL].values()} == {2}
    assert {len(rows) for rows in run.record["open"][MODEL].values()} == {3}
    same = run.record["same"][MODEL]
    assert {tuple(row["per_s"] for row in rows) for rows in same.values()} == {(150, 300)}  # of 500
    assert "its labels are others" in run.record["absent"]["litserve"]
    assert "litserve" in capsys.readouterr().err
    page = page_with(PAGE.read_text("utf-8"), run.record)
    assert "| mosec | 500 | 500 | 500 | 500 | 4.0 |" in page
    assert "| open loop, of the best peer's capacity | 30%: offered/s |" in page
    assert "Not run: LitServe" in page
    outcomes = {goal.what: (goal.found, goal.outcome) for goal in goals(run.record)}
    assert outcomes["LeNet-5, requests/s to mosec at 1"] == (1.0, "missed")
    assert outcomes["LeNet-5, p99 to the lowest of all peers at 1"] == (1.0, "reached")
    assert outcomes["NIN in float32, requests/s to the best peer's at 16"] == (None, "not measured")


def test_a_server_is_known_by_its_mark_and_leaves_nothing(tmp_path: Path) -> None:
    with running(double("double"), MODEL, tmp_path, b"image", threads=1) as found:
        assert len(marked(found.mark)) == 1
        assert found.labels([b"12", b"123"]) == ["2", "3"]
    assert marked(found.mark) == []


def test_a_server_runs_in_its_own_folder_and_finds_the_checkout_from_there(tmp_path: Path) -> None:
    told = "import os, benchmarks; raise SystemExit(f'{os.getcwd()} {benchmarks.__path__[0]}')"
    lost = Peer("lost", lambda _: [sys.executable, "-c", told])
    folder = tmp_path / "lost"
    with (
        pytest.raises(DoesNotServe, match=f"{folder} {ROOT / 'benchmarks'}"),
        running(lost, MODEL, folder, b"", threads=1),
    ):
        pass


@pytest.mark.parametrize(("name", "file"), [("mlserver", "settings.json"), ("torchserve", "config.properties")])
def test_every_port_that_a_peer_is_told_is_one_that_the_machine_gave(name: str, file: str, tmp_path: Path) -> None:
    archiver = tmp_path / "torch-model-archiver"
    archiver.write_text("#!/bin/sh\n")
    archiver.chmod(0o755)
    ports = free_ports(PEERS[name].ports)
    PEERS[name].command(Place(tmp_path / "python", MODEL, ports, tmp_path))
    told = re.findall(r"port\b\D*(\d+)|address\b.*:(\d+)", (tmp_path / file).read_text("utf-8"))
    assert sorted(int("".join(found)) for found in told) == sorted(ports)


def test_no_two_ports_of_many_are_one() -> None:
    assert len(set(free_ports(200))) == 200


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    broken = Peer("broken", lambda _: [sys.executable, "-c", "raise SystemExit('no such thing')"])
    with pytest.raises(DoesNotServe, match="no such thing"), running(broken, MODEL, tmp_path, b"", threads=1):
        pass


def test_in_the_open_loop_every_request_of_the_schedule_is_answered_and_timed_from_its_moment(server: Server) -> None:
    asked = [b"POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 2\r\n\r\n12"]
    found = call(server.port, asked, 100, 0.5)
    assert (found.answered, found.failed) == (50, 0)
    assert 0 < found.p50_ms <= found.p99_ms <= found.p999_ms


def test_the_schedule_is_the_same_every_time_and_has_the_rate_that_was_asked() -> None:
    first = moments(1000, 10)
    assert first == moments(1000, 10)
    assert len(first) == 10_000
    assert first[-1] == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize(("model", "shape"), [(MODEL, (28, 28, 1)), ("nin-cifar10", (32, 32, 3))])
def test_everybody_is_asked_about_the_same_images(model: str, shape: tuple[int, ...]) -> None:
    asked = bodies(model)
    assert asked == bodies(model)
    assert len(set(asked)) == len(asked)
    assert {decode(body, limit_pixels=1 << 20).shape for body in asked} == {shape}


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_is_started_by_a_module_that_is_there(name: str, tmp_path: Path) -> None:
    if name == "torchserve":
        modules = ["benchmarks.peers.with_torchserve"]  # whose archive is packed by a program of its own
    else:
        words = PEERS[name].command(Place(Path(sys.executable), MODEL, free_ports(PEERS[name].ports), tmp_path))
        words += [file.read_text() for file in tmp_path.glob("*.json")]
        modules = [part.partition(":")[0] for word in words for part in word.split('"') if "benchmarks.peers" in part]
    for module in modules:
        path = ROOT.joinpath(*module.split("."))
        assert path.with_suffix(".py").is_file() or path.parent.with_suffix(".py").is_file(), module


def test_peers_are_chosen_by_their_names() -> None:
    assert chosen("mosec,raw") == ["mosec", "raw"]
    assert chosen("all") == list(PEERS)
    with pytest.raises(ArgumentTypeError, match="no peer called nobody"):
        chosen("mosec,nobody")


def test_samples_are_told_by_the_file_of_the_innermost_frame() -> None:
    lines = [
        "main (a.py:1);answer (/checkout/service/api/gate.py:12) 60",
        "main (a.py:1);read (/env/lib/python3.11/site-packages/starlette/requests.py:3) 39",
        "main (a.py:1);run (/usr/lib/python3.11/asyncio/base_events.py:9) 1",
    ]
    found = spread(200.0, lines)
    assert found == {"all": 200.0, "service/api/gate.py": 120.0, "starlette": 78.0, "the rest": pytest.approx(2.0)}


def test_the_page_is_written_from_the_record() -> None:
    page = PAGE.read_text("utf-8")
    record: dict[str, Any] = read_record()
    assert page == page_with(page, record), "docs/benchmarks.md is not what docs/benchmarks.json says"
