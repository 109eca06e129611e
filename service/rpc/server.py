"""The gRPC server: calls in, answers out, and errors as gRPC has them."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import orjson
from google.protobuf.message import DecodeError
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from service.api.gate import Application
from service.errors import ConfigurationError, InvalidRequest, Overloaded, ServiceError
from service.rpc.asking import Reply, ask, headers_of
from service.rpc.calls import CALLS, NOT_READY, Call
from service.rpc.health import Health
from service.rpc.messages import METHODS, SERVICE, message_class
from service.rpc.reading import Reading
from service.rpc.weighing import NoMessage, weigh
from service.settings import Settings

INFER, STREAM = "ModelInfer", "ModelStreamInfer"
MOST_CALLS = 128
"""Calls that are open at a time."""
METADATA_BYTES = 16 << 10
FAILED = 300
CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    405: grpc.StatusCode.UNIMPLEMENTED,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    415: grpc.StatusCode.INVALID_ARGUMENT,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    499: grpc.StatusCode.CANCELLED,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""What a status of HTTP is called; any other is INTERNAL."""
TOLD = ("retry-after", "x-model", "x-model-version", "x-request-id")
"""Headers of an answer that a caller gets as metadata behind it."""


class Inference:
    """The calls, over an application in this process."""

    def __init__(self, app: Application, reading: Reading) -> None:
        self._app = app
        self._reading = reading

    async def answer(self, name: str, messages: AsyncIterator[Any], context: Any) -> Any:
        """What one call answers; an error ends it."""
        call = CALLS[name]
        try:
            message = await self._reading.only(messages, context.peer())
            reply = await self._ask(call, understood(name, message), context)
        except ServiceError as error:
            await context.abort(CODES[error.status], error.detail)
        told = tuple((header, reply.headers[header]) for header in TOLD if header in reply.headers)
        if _is_error(reply, call):
            await context.abort(CODES.get(reply.status, grpc.StatusCode.INTERNAL), error_of(reply), told)
        context.set_trailing_metadata(told)
        return call.answer(reply)

    async def stream(self, messages: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        """An answer, or what is wrong, for each message of a stream, in their order."""
        call = CALLS[INFER]
        kind = message_class("ModelStreamInferResponse")
        async for message in self._read(messages, context):
            try:
                reply = await self._ask(call, understood(INFER, message), context)
            except InvalidRequest as error:
                yield kind(error_message=error.detail)
                continue
            if _is_error(reply, call):
                yield kind(error_message=error_of(reply))
            else:
                yield kind(infer_response=call.answer(reply))

    async def _read(self, messages: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        try:
            async for message in self._reading.each(messages, context.peer()):
                yield message
        except Overloaded as error:
            await context.abort(CODES[error.status], error.detail)

    async def _ask(self, call: Call, message: Any, context: Any) -> Reply:
        """What the application answers. Raises InvalidRequest for a message that is no request."""
        asked = call.ask(message)
        asked.headers.update(headers_of(context.invocation_metadata(), context.time_remaining()))
        return await ask(self._app, asked, context.peer())


def understood(name: str, message: bytes) -> Any:
    """The message that bytes sent to a method are. Raises InvalidRequest where they are none, or hold too much."""
    try:
        weigh(message, METHODS[name].input_type)
        return message_class(METHODS[name].input_type.name).FromString(message)
    except (DecodeError, NoMessage):
        raise InvalidRequest(f"The bytes are no {METHODS[name].input_type.name}.") from None


def error_of(reply: Reply) -> str:
    """What an answer that is an error says."""
    try:
        return str(orjson.loads(reply.body)["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "The service failed."


def create_server(app: Application, settings: Settings) -> Any:
    """A server over an application; creating it starts nothing."""
    options = [
        ("grpc.max_receive_message_length", settings.body_limit_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", METADATA_BYTES),
        ("grpc.max_concurrent_streams", MOST_CALLS),
        ("grpc.so_reuseport", 0),
        ("grpc.http2.bdp_probe", 0),  # else more and more is buffered of a message that nobody reads yet
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ]
    server = grpc.aio.server(options=options, maximum_concurrent_rpcs=MOST_CALLS)
    inference = Inference(app, Reading(settings))
    handlers = {name: _unary(inference, name) for name in CALLS}
    handlers[STREAM] = grpc.stream_stream_rpc_method_handler(inference.stream, **_codec(STREAM))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    add_HealthServicer_to_server(Health(app), server)
    return server


def bind(server: Any, host: str, port: int) -> int:
    """Let a server listen; the port it has. Raises ConfigurationError where it is taken."""
    try:
        bound: int = server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except RuntimeError as error:
        raise ConfigurationError(
            f"CHAPTERHOUSE_GRPC_PORT: cannot listen on {host}:{port}. Is another service running there?"
        ) from error
    return bound


def _unary(inference: Inference, name: str) -> Any:
    async def handle(messages: AsyncIterator[Any], context: Any) -> Any:
        return await inference.answer(name, messages, context)

    # A handler of a stream reads a message when it asks for it, one of a single message before it is called.
    return grpc.stream_unary_rpc_method_handler(handle, **_codec(name))


def _codec(name: str) -> dict[str, Any]:
    """How the answers of a method are written; what is asked is handed over as bytes, and told where they are none."""
    return {"response_serializer": message_class(METHODS[name].output_type.name).SerializeToString}


def _is_error(reply: Reply, call: Call) -> bool:
    return reply.status >= FAILED and (call.refuses or reply.status != NOT_READY)
