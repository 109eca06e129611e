"""The messages of gRPC, of the description beside this file; and what of them JSON can say, in either direction."""

import json
import math
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass

from service.errors import InvalidRequest

PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"

_DESCRIPTION = json.loads((Path(__file__).parent / "inference.json").read_text("utf-8"))
_POOL = DescriptorPool()  # one of our own: a client in the same process may bring the same names
_POOL.Add(ParseDict(_DESCRIPTION, FileDescriptorProto()))

METHODS: dict[str, Any] = {method.name: method for method in _POOL.FindServiceByName(SERVICE).methods}
"""What can be called, by its name, with its messages."""


def message_class(name: str) -> Any:
    """The class of a message."""
    return GetMessageClass(_POOL.FindMessageTypeByName(f"{PACKAGE}.{name}"))


def message_of(name: str, document: dict[str, Any]) -> Any:
    """A message with what a document says; members that it has not are passed over."""
    return ParseDict(document, message_class(name)(), ignore_unknown_fields=True)


def parameters_of(given: Any) -> dict[str, Any]:
    """The parameters of a message, as JSON has them. Raises InvalidRequest for a number that JSON has not."""
    found = {}
    for name, parameter in given.items():
        kind = parameter.WhichOneof("parameter_choice")
        if kind is not None:
            value = getattr(parameter, kind)
            found[name] = f"{len(value)} bytes" if isinstance(value, bytes) else _said(name, value)
    return found


def _said(name: str, value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidRequest.of_field(name[:100], "must be a finite number")
    return value


def set_parameters(target: Any, given: dict[str, Any]) -> None:
    """Give a message these parameters."""
    kinds = {bool: "bool_param", int: "int64_param", float: "double_param", str: "string_param"}
    for name, value in given.items():
        setattr(target[name], kinds[type(value)], value)


def as_document(message: Any) -> dict[str, Any]:
    """A message as JSON, with the names of the description."""
    found: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return found
