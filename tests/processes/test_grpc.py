"""The grpc process of a whole service: it answers, comes back, drains, and is missed where it cannot be."""

import base64
import socket
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from serving import Service
from waiting import PATIENCE_S, until

from benchmarks.load.machine import free_port
from service.processes.checking import check, plan_of
from service.rpc.messages import METHODS, SERVICE, message_class, message_of
from service.settings import Settings


def ask(port: int, name: str, document: dict[str, Any], **metadata: str) -> Any:
    """One call over a connection of its own; it waits for a server that starts."""
    method = METHODS[name]
    asked, answered = (message_class(kind.name) for kind in (method.input_type, method.output_type))
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(
            f"/{SERVICE}/{name}", request_serializer=asked.SerializeToString, response_deserializer=answered.FromString
        )
        message = message_of(method.input_type.name, document)
        return call(message, timeout=PATIENCE_S, wait_for_ready=True, metadata=tuple(metadata.items()))


@pytest.mark.slow
def test_a_service_answers_over_grpc_what_it_answers_over_http(tmp_path: Path) -> None:
    port = free_port()
    pixels = np.random.default_rng(0).integers(0, 256, (2, 28, 28, 1), np.uint8)
    given = {"name": "image", "datatype": "UINT8", "shape": list(pixels.shape)}
    raw = base64.b64encode(pixels.tobytes()).decode()
    wanted = [{"name": "probabilities"}]
    request = {"model_name": "lenet5-none", "inputs": [given], "raw_input_contents": [raw], "outputs": wanted}
    with Service(tmp_path, GRPC_PORT=port) as running:
        running.wait_until_ready()
        answer = ask(port, "ModelInfer", request)
        document = {"inputs": [{**given, "data": pixels.ravel().tolist()}], "outputs": wanted}
        own = httpx.post(f"{running.url}/v2/models/lenet5-none/infer", json=document, timeout=PATIENCE_S).json()
        found = np.frombuffer(answer.raw_output_contents[0], np.float32)
        np.testing.assert_allclose(found, own["outputs"][0]["data"], rtol=1e-5)
        running.wait_until_replaced("grpc", running.kill("grpc"))
        assert ask(port, "ServerReady", {}).ready
        ask(port, "RepositoryModelLoad", {"model_name": "lenet5-other"}, **running.bearing)
        until(lambda: ask(port, "ModelReady", {"name": "lenet5-other"}).ready)  # engines tell of it themselves
        running.process.terminate()
        assert running.exit_status() == 0


def test_a_port_that_is_taken_is_found_before_the_start(service_settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = service_settings.model_copy(update={"port": 0, "grpc_port": port})
        assert any(f"127.0.0.1:{port}" in found.words for found in check(settings) if found.prevents)
        assert f"grpc         127.0.0.1:{port}" in list(plan_of(settings))
