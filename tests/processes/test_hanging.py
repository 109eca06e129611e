"""Processes of a real service that are stopped: alive for the system, and dead for everybody who waits for them."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from serving import Service
from waiting import PATIENCE_S, until

from service.imaging import encode_png

PICTURE = encode_png(np.random.default_rng(0).integers(0, 256, (28, 28, 1), np.uint8))
PNG = {"content-type": "image/png"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service whose beats are quick, for the tests after which it still stands."""
    limits = {"BEAT_S": 0.25, "BEAT_LIMIT_S": 4.0}
    with Service(tmp_path_factory.mktemp("hanging"), **limits) as running:
        running.wait_until_ready()
        yield running


def classify(url: str, **headers: str) -> httpx.Response:
    """One question over a connection of its own."""
    return httpx.post(f"{url}/classify", content=PICTURE, headers={**PNG, **headers}, timeout=PATIENCE_S)


def stop(service: Service, role: str) -> int:
    """Stop a child of this role as a debugger would; its pid."""
    [pid] = service.children(role)
    os.kill(pid, signal.SIGSTOP)
    return pid


class Asking:
    """A question that is under way in a thread of its own."""

    def __init__(self, url: str) -> None:
        self._replies: list[httpx.Response] = []
        self._thread = threading.Thread(target=lambda: self._replies.append(classify(url)), daemon=True)
        self._thread.start()

    def reply(self) -> httpx.Response:
        """Its answer."""
        self._thread.join(PATIENCE_S)
        [reply] = self._replies
        return reply


def told(service: Service, sample: str) -> bool:
    reply = service.get("/metrics")
    return reply is not None and sample in reply.text.splitlines()


def is_told_while_it_stays_away(service: Service) -> bool:
    """Whether readiness and gauge say that the engine is away; whatever comes in its place is stopped, too."""
    for pid in service.children("engine"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    return not service.is_ready() and told(service, 'chapterhouse_device_up{device="cpu"} 0.0')


@pytest.mark.slow
def test_a_stopped_engine_is_replaced_and_everybody_has_an_answer_meanwhile(service: Service) -> None:
    engine = stop(service, "engine")
    waiting = Asking(service.url)
    late = classify(service.url, **{"x-deadline-ms": "100"})
    assert (late.status_code, late.headers["content-type"]) == (504, "application/problem+json")
    until(lambda: is_told_while_it_stays_away(service))
    assert waiting.reply().status_code in (200, 503)
    for pid in service.children("engine"):
        os.kill(pid, signal.SIGCONT)
    service.wait_until_replaced("engine", engine)
    service.wait_until_ready()
    until(lambda: told(service, 'chapterhouse_device_up{device="cpu"} 1.0'))
    assert classify(service.url).status_code == 200
    assert "the engine hangs: its event loop has not turned for" in service.log


@pytest.mark.slow
@pytest.mark.parametrize("role", ["front", "evaluator"])
def test_a_stopped_child_of_any_role_is_replaced(service: Service, role: str) -> None:
    service.wait_until_replaced(role, stop(service, role))
    service.wait_until_ready()
    assert f"the {role} hangs: its event loop has not turned for" in service.log


@pytest.mark.slow
def test_a_socket_whose_file_was_removed_comes_back(service: Service) -> None:
    [engine] = service.children("engine")
    words = Path(f"/proc/{engine}/cmdline").read_bytes().decode().split("\0")
    folder = Path(words[words.index("--socket") + 1]).parent
    sockets = sorted(folder.glob("*.sock"))
    assert len(sockets) == 2
    for path in sockets:
        path.unlink()
    until(lambda: all(path.exists() for path in sockets))
    service.wait_until_replaced("front", service.kill("front"))
    service.wait_until_ready()
    assert classify(service.url).status_code == 200
    assert service.children("engine") == [engine]


@pytest.mark.slow
def test_sigterm_with_a_stopped_engine_answers_everybody_within_the_drain(tmp_path: Path) -> None:
    with Service(tmp_path, DRAIN_TIMEOUT_S=7, BEAT_LIMIT_S=3600) as service:
        service.wait_until_ready()
        stop(service, "engine")
        waiting = [Asking(service.url) for _ in range(8)]
        until(lambda: told(service, "chapterhouse_open_requests 8.0"))
        service.process.send_signal(signal.SIGTERM)
        for asking in waiting:
            reply = asking.reply()
            assert reply.status_code == 503
            assert reply.headers["content-type"] == "application/problem+json"
            assert "shutting down" in reply.json()["detail"]
        assert service.exit_status() == 0
        assert "Traceback" not in service.log
