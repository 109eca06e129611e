import base64
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from api.asking import LOCAL_TOKEN
from doubles import Slow, add_forecaster, images, likely, worked_on
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from deploy.protocol import WRITTEN, describe
from service.api.app import create_app
from service.api.gate import Application
from service.api.state import State
from service.imaging import encode_png
from service.rpc.messages import METHODS, SERVICE, as_document, message_class, message_of
from service.rpc.server import bind, create_server
from service.runtime.in_process import LocalEngine
from service.settings import Settings
from service.store import Model, ModelStore

Ask = Callable[..., Any]

BEARING = (("authorization", f"Bearer {LOCAL_TOKEN}"),)


@pytest.fixture
def app(service_settings: Settings, store: ModelStore, engine: LocalEngine, models_dir: Path) -> Application:
    """The application over an engine of doubles."""
    add_forecaster(models_dir)
    state = State.of(service_settings, store=store, engines=engine, control=engine, local_token=LOCAL_TOKEN)
    return create_app(state)


@pytest.fixture
async def channel(app: Application, service_settings: Settings) -> AsyncIterator[Any]:
    """A channel to a server over the application."""
    server = create_server(app, service_settings)
    port = bind(server, "127.0.0.1", 0)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(None)


@pytest.fixture
def ask(channel: Any) -> Ask:
    """Calls one method with what a document says."""

    def call(name: str, document: dict[str, Any] | None = None, **options: Any) -> Any:
        method = METHODS[name]
        asked, answered = (message_class(kind.name) for kind in (method.input_type, method.output_type))
        unary = channel.unary_unary(
            f"/{SERVICE}/{name}", request_serializer=asked.SerializeToString, response_deserializer=answered.FromString
        )
        return unary(message_of(method.input_type.name, document or {}), **options)

    return call


def pixels(*firsts: int, model: str = "echo", **more: Any) -> dict[str, Any]:
    """A request for images that are sent raw."""
    given = {"name": "image", "datatype": "UINT8", "shape": [len(firsts), 2, 2, 1]}
    raw = base64.b64encode(images(*firsts).tobytes()).decode()
    return {"model_name": model, "inputs": [given], "raw_input_contents": [raw], **more}


def output_of(answer: Any, name: str, dtype: Any) -> Any:
    place = [output.name for output in answer.outputs].index(name)
    return np.frombuffer(answer.raw_output_contents[place], dtype).reshape(answer.outputs[place].shape)


async def refused(call: Any, code: grpc.StatusCode, words: str = "") -> Any:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is code
    assert words in caught.value.details()
    return caught.value


async def test_what_is_asked_of_the_server_and_its_models_is_answered(ask: Ask, models_dir: Path) -> None:
    version = Model(models_dir / "echo").version
    assert (await ask("ServerLive")).live
    assert not (await ask("ServerReady")).ready
    assert not (await ask("ModelReady", {"name": "echo"})).ready
    for model in ("echo", "doodle"):
        await ask("RepositoryModelLoad", {"model_name": model}, metadata=BEARING)
    assert (await ask("ServerReady")).ready
    assert (await ask("ModelReady", {"name": "echo", "version": version})).ready
    assert (await ask("ServerMetadata")).name == "chapterhouse"
    metadata = await ask("ModelMetadata", {"name": "echo"})
    assert (list(metadata.versions), list(metadata.inputs[0].shape)) == ([version], [-1, 2, 2, 1])
    configuration = (await ask("ModelConfig", {"name": "echo"})).config
    assert (configuration.max_batch_size, list(configuration.input[0].dims)) == (8, [2, 2, 1])
    assert configuration.WhichOneof("scheduling_choice") == "dynamic_batching"
    [work] = (await ask("ModelStatistics", {"name": "echo", "version": version})).model_stats
    assert work.name == "echo"
    assert len((await ask("ModelStatistics")).model_stats) > 1
    ready = [model.name for model in (await ask("RepositoryIndex", {"ready": True})).models]
    assert ready == ["doodle", "echo"]
    await ask("RepositoryModelUnload", {"model_name": "echo"}, metadata=BEARING)
    assert not (await ask("ModelReady", {"name": "echo"})).ready


async def test_tensors_are_answered_by_tensors(ask: Ask) -> None:
    answer = await ask("ModelInfer", pixels(51, 204, id="mine"))
    assert (answer.model_name, answer.id) == ("echo", "mine")
    assert answer.parameters["calibrated"].bool_param is False
    np.testing.assert_allclose(output_of(answer, "probabilities", np.float32), likely(51, 204), rtol=1e-6)


async def test_contents_may_come_by_type(ask: Ask) -> None:
    given = {"name": "image", "datatype": "UINT8", "shape": [1, 2, 2, 1], "contents": {"uint_contents": [51, 0, 0, 0]}}
    answer = await ask("ModelInfer", {"model_name": "echo", "inputs": [given]})
    np.testing.assert_allclose(output_of(answer, "probabilities", np.float32), likely(51), rtol=1e-6)
    file = base64.b64encode(encode_png(images(51)[0])).decode()
    given = {"name": "image", "datatype": "BYTES", "shape": [1], "contents": {"bytes_contents": [file]}}
    outputs = [{"name": "probabilities", "parameters": {"classification": {"int64_param": 1}}}]
    answer = await ask("ModelInfer", {"model_name": "echo", "inputs": [given], "outputs": outputs})
    assert answer.raw_output_contents[0][4:] == f"{likely(51)[0, 0]:f}:0:a".encode()


async def test_a_series_and_a_seed_are_answered(ask: Ask) -> None:
    numbers = [{"name": name, "datatype": "INT64", "shape": [1]} for name in ("seed", "count")]
    given = [{**one, "contents": {"int64_contents": [value]}} for one, value in zip(numbers, (7, 3), strict=True)]
    answer = await ask("ModelInfer", {"model_name": "doodle", "inputs": given})
    assert output_of(answer, "images", np.uint8).shape == (3, 2, 2, 1)
    assert output_of(answer, "seed", np.int64).tolist() == [7]
    history = {"name": "history", "datatype": "FP64", "shape": [40], "contents": {"fp64_contents": [0.5, 1.0] * 20}}
    horizon = {"name": "horizon", "datatype": "INT32", "shape": [1], "contents": {"int_contents": [4]}}
    answer = await ask("ModelInfer", {"model_name": "murmur", "inputs": [history, horizon]})
    assert output_of(answer, "forecast", np.float64).shape == (4,)


async def test_a_stream_answers_each_message_in_its_turn(channel: Any) -> None:
    asked, answered = message_class("ModelInferRequest"), message_class("ModelStreamInferResponse")
    stream = channel.stream_stream(
        f"/{SERVICE}/ModelStreamInfer",
        request_serializer=asked.SerializeToString,
        response_deserializer=answered.FromString,
    )
    documents = [pixels(51), pixels(51, model="nobody"), {"model_name": ""}, pixels(204)]
    found = [one async for one in stream(iter([message_of("ModelInferRequest", each) for each in documents]))]
    assert [bool(one.error_message) for one in found] == [False, True, True, False]
    last = output_of(found[-1].infer_response, "probabilities", np.float32)
    np.testing.assert_allclose(last, likely(204), rtol=1e-6)


@pytest.mark.parametrize(
    ("document", "code", "words"),
    [
        ({"model_name": "nobody"}, grpc.StatusCode.NOT_FOUND, "nobody"),
        ({"model_name": ""}, grpc.StatusCode.INVALID_ARGUMENT, "names no model"),
        ({"model_name": "echo/config"}, grpc.StatusCode.NOT_FOUND, ""),
        (pixels(1, model_version="1"), grpc.StatusCode.NOT_FOUND, "not '1'"),
        (
            pixels(1, parameters={"top_k": {"double_param": "NaN"}}),
            grpc.StatusCode.INVALID_ARGUMENT,
            "top_k: must be a f",
        ),
        (pixels(1, parameters={"as_is": {"double_param": "Infinity"}}), grpc.StatusCode.INVALID_ARGUMENT, "finite"),
        ({"model_name": "echo", "inputs": [{}] * 30_000}, grpc.StatusCode.INVALID_ARGUMENT, "20,000 members"),
        (pixels(1, outputs=[{}] * 30_000), grpc.StatusCode.INVALID_ARGUMENT, "20,000 members"),
        (
            {"model_name": "echo", "inputs": [{"name": "image", "datatype": "UINT8", "shape": [1] * 30_000}]},
            grpc.StatusCode.INVALID_ARGUMENT,
            "20,000 members",
        ),
        ({"model_name": "x" * 20000}, grpc.StatusCode.NOT_FOUND, "x" * 100 + "'"),
        (pixels(1, raw_input_contents=[]), grpc.StatusCode.INVALID_ARGUMENT, "elements"),
        (pixels(1, raw_input_contents=["AAAA", "AAAA"]), grpc.StatusCode.INVALID_ARGUMENT, "raw contents of 2"),
        (pixels(1, raw_input_contents=["AAAA"]), grpc.StatusCode.INVALID_ARGUMENT, "takes 4 bytes, and 3 were sent"),
        (
            {"model_name": "echo", "inputs": [{"name": "image", "datatype": "BF16"}]},
            grpc.StatusCode.INVALID_ARGUMENT,
            "BF16",
        ),
        (
            {
                "model_name": "echo",
                "inputs": [{"name": "image", "datatype": "UINT8", "contents": {"fp32_contents": [1.0]}}],
            },
            grpc.StatusCode.INVALID_ARGUMENT,
            "has fp32_contents; its elements are uint_contents",
        ),
        (
            {
                "model_name": "echo",
                "inputs": [{"name": "image", "datatype": "UINT8", "shape": [1], "contents": {"uint_contents": [256]}}],
            },
            grpc.StatusCode.INVALID_ARGUMENT,
            "beyond UINT8",
        ),
    ],
)
async def test_what_is_wrong_is_told_as_grpc_tells_it(
    ask: Ask, document: dict[str, Any], code: grpc.StatusCode, words: str
) -> None:
    await refused(ask("ModelInfer", document), code, words)


async def test_keys_count_here_too(ask: Ask) -> None:
    error = await refused(ask("RepositoryModelLoad", {"model_name": "echo"}), grpc.StatusCode.UNAUTHENTICATED, "token")
    assert "x-request-id" in dict(error.trailing_metadata())
    metadata = (*BEARING, ("x-request-id", "mine"))
    call = ask("RepositoryModelLoad", {"model_name": "echo"}, metadata=metadata)
    await call
    assert dict(await call.trailing_metadata())["x-request-id"] == "mine"


async def test_a_deadline_is_kept_and_who_hangs_up_takes_the_work_along(ask: Ask, app: Application) -> None:
    late = ask("ModelInfer", pixels(1, model="slow"), metadata=(("x-deadline-ms", "1"),))
    await refused(late, grpc.StatusCode.DEADLINE_EXCEEDED)
    gone = ask("ModelInfer", pixels(1, model="slow"), timeout=0.05)
    await refused(gone, grpc.StatusCode.DEADLINE_EXCEEDED)
    Slow.let_go.set()
    await ask("ModelInfer", pixels(2))
    assert [2] in worked_on()
    assert app.gate.open <= 1


async def test_a_draining_server_refuses_work(ask: Ask, app: Application) -> None:
    app.gate.draining = True
    error = await refused(ask("ModelInfer", pixels(1)), grpc.StatusCode.UNAVAILABLE, "shutting down")
    assert dict(error.trailing_metadata())["retry-after"]
    assert not (await ask("ServerReady")).ready


async def test_a_probe_is_told_whether_the_service_is_ready(ask: Ask, channel: Any, app: Application) -> None:
    health = HealthStub(channel)
    kind = health_pb2.HealthCheckResponse
    assert (await health.Check(health_pb2.HealthCheckRequest())).status == kind.NOT_SERVING
    for model in ("echo", "doodle"):
        await ask("RepositoryModelLoad", {"model_name": model}, metadata=BEARING)
    assert (await health.Check(health_pb2.HealthCheckRequest())).status == kind.SERVING
    assert (await health.Check(health_pb2.HealthCheckRequest(service=SERVICE))).status == kind.SERVING
    await refused(health.Check(health_pb2.HealthCheckRequest(service="x")), grpc.StatusCode.NOT_FOUND, "'x'")
    app.gate.draining = True
    assert (await health.Check(health_pb2.HealthCheckRequest())).status == kind.NOT_SERVING


async def test_bytes_that_are_no_message_are_told_to_be_none(channel: Any) -> None:
    await refused(channel.unary_unary(f"/{SERVICE}/ModelInfer")(b"\xff" * 9), grpc.StatusCode.INVALID_ARGUMENT)


async def test_a_message_past_the_limit_is_not_read(ask: Ask, service_settings: Settings) -> None:
    raw = base64.b64encode(b" " * (service_settings.body_limit_bytes + 1)).decode()
    large = {"model_name": "echo", "raw_input_contents": [raw]}
    await refused(ask("ModelInfer", large), grpc.StatusCode.RESOURCE_EXHAUSTED)


async def test_a_message_that_unpacks_past_the_limit_is_not_read(ask: Ask, service_settings: Settings) -> None:
    large = {"model_name": " " * (service_settings.body_limit_bytes + 1)}
    await refused(ask("ModelInfer", large, compression=grpc.Compression.Gzip), grpc.StatusCode.RESOURCE_EXHAUSTED)


def test_the_description_is_the_protocols() -> None:
    assert WRITTEN.read_text("utf-8") == describe(), "python -m deploy.protocol writes it anew"
    assert as_document(message_of("ServerLiveResponse", {"live": True})) == {"live": True}
