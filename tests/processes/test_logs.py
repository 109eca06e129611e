"""What a whole service logs: one request followed through all processes, and when it says that it serves."""

import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from serving import Service
from waiting import PATIENCE_S, until

from service.imaging import encode_png

PICTURE = encode_png(np.random.default_rng(0).integers(0, 256, (28, 28, 1), np.uint8))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {"LOG_FORMAT": "json", "LOG_REQUESTS": "all"}
    with Service(tmp_path_factory.mktemp("logging"), **settings) as running:
        running.wait_until_ready()
        yield running


def lines(service: Service) -> list[dict[str, Any]]:
    """Every line that it has written whole."""
    return [json.loads(line) for line in service.log.rpartition("\n")[0].splitlines() if line.startswith("{")]


def told_of(service: Service, request_id: str, role: str) -> list[dict[str, Any]]:
    return [line for line in lines(service) if line.get("request") == request_id and line["role"] == role]


def samples() -> bytes:
    file = io.BytesIO()
    np.save(file, np.random.default_rng(1).integers(0, 256, (24, 28, 28, 1), np.uint8))
    return file.getvalue()


@pytest.mark.slow
def test_a_request_is_followed_by_its_id_through_front_and_engine(service: Service) -> None:
    headers = {"content-type": "image/png", "x-request-id": "build-4711"}
    httpx.post(f"{service.url}/classify", content=PICTURE, headers=headers, timeout=PATIENCE_S).raise_for_status()
    until(lambda: told_of(service, "build-4711", "front") and told_of(service, "build-4711", "engine"))
    [front] = told_of(service, "build-4711", "front")
    [engine] = told_of(service, "build-4711", "engine")
    assert (front["message"], front["model"], front["status"]) == ("POST /classify answered", "lenet5-none", 200)
    assert (engine["message"], engine["model"], engine["rows"]) == ("classify answered", "lenet5-none", 1)
    assert engine["ms"] >= engine["work_ms"] > 0


@pytest.mark.slow
def test_an_evaluation_is_followed_through_all_three(service: Service) -> None:
    reply = httpx.post(
        f"{service.url}/evaluate",
        files={"generated": ("a.npy", samples()), "reference": ("b.npy", samples())},
        data={"metrics": "kid", "thresholds": "kid<=10"},
        headers={"x-request-id": "nightly-7", "prefer": f"wait={PATIENCE_S:.0f}"},
        timeout=PATIENCE_S,
    )
    assert reply.status_code == 200, reply.text
    until(lambda: [len(told_of(service, "nightly-7", role)) for role in ("evaluator", "front")] == [2, 2])
    begun, ended = told_of(service, "nightly-7", "evaluator")
    assert (begun["message"], ended["message"]) == ("evaluation begins", "evaluation ends")
    assert (ended["status"], ended["verdict"], ended["evaluation"]) == ("finished", "passed", reply.json()["id"])
    until(lambda: told_of(service, "nightly-7", "engine"))
    assert [line["message"] for line in told_of(service, "nightly-7", "front")] == [
        "POST /evaluate by anybody from 127.0.0.1: 200",
        "POST /evaluate answered",
    ]


@pytest.mark.slow
def test_it_says_that_it_serves_once_a_front_answers_and_not_before(service: Service) -> None:
    messages = [(line["role"], line["message"]) for line in lines(service)]
    assert [message for message in messages if message[1].startswith("serving on")] == [
        ("supervisor", f"serving on {service.url}")
    ]
    before_requests = [message for message in messages if not message[1].startswith(("GET", "POST", "evaluation"))]
    fronts = [place for place, (role, _) in enumerate(before_requests) if role == "front"]
    assert not fronts, "the address is the last word of a start: a front adds none to it"
    assert service.get("/health/live") is not None


@pytest.mark.slow
def test_processes_and_devices_and_the_queue_are_measured(service: Service) -> None:
    wanted = [
        *(f'chapterhouse_process_resident_memory_bytes{{role="{role}"}}' for role in ("supervisor", "front", "engine")),
        'chapterhouse_process_open_descriptors{role="evaluator"}',
        'chapterhouse_process_cpu_seconds_total{role="engine"}',
        'chapterhouse_device_memory_bytes{device="cpu",kind="used"}',
        'chapterhouse_evaluations_open{status="queued"}',
        'chapterhouse_disk_used_bytes{part="database"}',
        "chapterhouse_ready 1.0",
        "chapterhouse_build_info{",
        'chapterhouse_model_info{dataset="none",model="lenet5-none"',
        'chapterhouse_heartbeats_missed_total{role="front"}',
    ]

    def missing() -> list[str]:
        reply = service.get("/metrics")
        return [name for name in wanted if reply is None or name not in reply.text]

    until(lambda: not missing())
