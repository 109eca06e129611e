"""What each call of the protocol asks of `/v2`, and what the answer is in its messages."""

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from service.errors import InvalidRequest
from service.rpc.asking import Asked, Reply
from service.rpc.messages import message_class, message_of, parameters_of
from service.rpc.tensors import answer_of, body_of

HEAD_LENGTH = "inference-header-content-length"
NOT_READY = 503


class Call(NamedTuple):
    """One of them."""

    ask: Callable[[Any], Asked]
    """The request that a message is. Raises InvalidRequest."""
    answer: Callable[[Reply], Any]
    """The message of an answer that is no error."""
    refuses: bool = True
    """Whether 503 is an error, and not an answer that says so."""


def _model(message: Any, behind: str = "") -> str:
    """The path of the model that a message names. Raises InvalidRequest where it names none."""
    return _path(message.name, message.version, behind)


def _path(name: str, version: str, behind: str) -> str:
    of_version = f"/versions/{quote(version, safe='')}" if version else ""
    return f"/v2/models/{_named(name)}{of_version}{behind}"


def _named(name: str) -> str:
    """A name as one step of a path, whatever is in it. Raises InvalidRequest for none."""
    if not name:
        raise InvalidRequest("The call names no model.")
    return quote(name, safe="")


def _infer(message: Any) -> Asked:
    body, head = body_of(message)
    return Asked("POST", _path(message.model_name, message.model_version, "/infer"), body, {HEAD_LENGTH: str(head)})


def _statistics(message: Any) -> Asked:
    return Asked("GET", _model(message, "/stats") if message.name else "/v2/models/stats")


def _index(message: Any) -> Asked:
    return Asked("POST", "/v2/repository/index", orjson.dumps({"ready": message.ready}))


def _change(message: Any, what: str) -> Asked:
    body = orjson.dumps({"parameters": parameters_of(message.parameters)})
    return Asked("POST", f"/v2/repository/models/{_named(message.model_name)}/{what}", body)


def _as(name: str) -> Callable[[Reply], Any]:
    """The message that a JSON object is."""
    return lambda reply: message_of(name, orjson.loads(reply.body))


def _empty(name: str) -> Callable[[Reply], Any]:
    return lambda _: message_class(name)()


def _ready(name: str) -> Callable[[Reply], Any]:
    return lambda reply: message_class(name)(ready=reply.status != NOT_READY)


CALLS: dict[str, Call] = {
    "ServerLive": Call(lambda _: Asked("GET", "/v2/health/live"), _as("ServerLiveResponse")),
    "ServerReady": Call(lambda _: Asked("GET", "/v2/health/ready"), _ready("ServerReadyResponse"), refuses=False),
    "ServerMetadata": Call(lambda _: Asked("GET", "/v2"), _as("ServerMetadataResponse")),
    "ModelReady": Call(
        lambda message: Asked("GET", _model(message, "/ready")), _ready("ModelReadyResponse"), refuses=False
    ),
    "ModelMetadata": Call(lambda message: Asked("GET", _model(message)), _as("ModelMetadataResponse")),
    "ModelConfig": Call(
        lambda message: Asked("GET", _model(message, "/config")),
        lambda reply: message_of("ModelConfigResponse", {"config": orjson.loads(reply.body)}),
    ),
    "ModelStatistics": Call(_statistics, _as("ModelStatisticsResponse")),
    "ModelInfer": Call(_infer, lambda reply: answer_of(reply.body, int(reply.headers[HEAD_LENGTH]))),
    "RepositoryIndex": Call(
        _index, lambda reply: message_of("RepositoryIndexResponse", {"models": orjson.loads(reply.body)})
    ),
    "RepositoryModelLoad": Call(lambda message: _change(message, "load"), _empty("RepositoryModelLoadResponse")),
    "RepositoryModelUnload": Call(lambda message: _change(message, "unload"), _empty("RepositoryModelUnloadResponse")),
}
