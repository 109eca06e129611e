"""Triton's client over gRPC, and its messages beside those of the service."""

# GRPC, TOKEN and DESCRIBED are written before the first line

import json
import queue
from typing import TYPE_CHECKING, Any

import numpy as np
import tritonclient.grpc as triton
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.json_format import ParseDict
from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.utils import InferenceServerException

if TYPE_CHECKING:
    GRPC, TOKEN, DESCRIBED = "", "", ""

client = triton.InferenceServerClient(GRPC)
MODEL, SECRET = "lenet5-mnist", {"authorization": f"Bearer {TOKEN}"}


def given(name: str, array: Any, datatype: str) -> Any:
    """An input."""
    tensor = triton.InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array)
    return tensor


def refused(call: Any, status: str, words: str) -> None:
    """A call fails with this status and these words."""
    try:
        call()
    except InferenceServerException as error:
        print(error)
        assert error.status() == f"StatusCode.{status}", error
        assert words in error.message(), error
    else:
        raise AssertionError(f"nobody said {words}")


def compare(own: Any, theirs: Any) -> None:
    """Every field of a message has the same number and type in the client's."""
    known = {field.name: (field.number, field.type, field.label) for field in theirs.field}
    for field in own.field:
        assert known[field.name] == (field.number, field.type, field.label), (own.name, field.name)
    inner = {message.name: message for message in theirs.nested_type}
    for message in own.nested_type:
        compare(message, inner[message.name])


with open(DESCRIBED, encoding="utf-8") as file:  # noqa: PTH123
    described = ParseDict(json.load(file), FileDescriptorProto())
for message in described.message_type:
    module = service_pb2 if hasattr(service_pb2, message.name) else model_config_pb2
    theirs = DescriptorProto()
    getattr(module, message.name).DESCRIPTOR.CopyToProto(theirs)
    compare(message, theirs)
print(f"{len(described.message_type)} messages agree")

assert client.is_server_live()
assert client.is_server_ready()
assert client.is_model_ready(MODEL)
print(client.get_server_metadata(as_json=True))
metadata = client.get_model_metadata(MODEL)
print(metadata)
[version] = metadata.versions
configuration = client.get_model_config(MODEL).config
print(configuration)
assert configuration.max_batch_size == 128
print(client.get_inference_statistics(MODEL, as_json=True)["model_stats"][0]["name"])

pixels = np.zeros((64, 28, 28, 1), np.uint8)
pixels[:, 4:24, 13:15] = 255
found = client.infer(MODEL, [given("image", pixels, "UINT8")], request_id="64", model_version=version)
assert found.get_response().id == "64"
assert found.as_numpy("probabilities").shape == (64, 10)
assert found.as_numpy("labels")[0][0] == b"1"
drawing = open("seven.png", "rb").read()  # noqa: SIM115, PTH123
files = given("image", np.array([drawing], dtype=object), "BYTES")
likeliest = triton.InferRequestedOutput("probabilities", class_count=3)
print(client.infer(MODEL, [files], outputs=[likeliest]).as_numpy("probabilities"))
seed, count = given("seed", np.array([7]), "INT64"), given("count", np.array([3], np.int32), "INT32")
assert client.infer("gan-mnist", [seed, count]).as_numpy("images").shape == (3, 28, 28, 1)
history = given("history", np.sin(np.arange(300) / 5), "FP64")
forecast = client.infer("esn-mackey-glass", [history, given("horizon", np.array([10]), "INT64")])
assert forecast.as_numpy("forecast").shape == (10,)

answers: Any = queue.Queue()
client.start_stream(lambda result, error: answers.put((result, error)))
for name in (MODEL, "nobody", MODEL):
    client.async_stream_infer(name, [files])
results = [answers.get(timeout=60) for _ in range(3)]
client.stop_stream()
assert [error is None for _, error in results] == [True, False, True]
assert results[2][0].as_numpy("labels")[0][0] == b"7"

refused(lambda: client.infer("nobody", [files]), "NOT_FOUND", "nobody")
refused(lambda: client.infer(MODEL, [given("image", pixels[:, :4], "UINT8")]), "INVALID_ARGUMENT", "the shape")
refused(lambda: client.infer(MODEL, [files], timeout=1), "DEADLINE_EXCEEDED", "deadline")
refused(lambda: client.load_model("gan-ring"), "UNAUTHENTICATED", "token")
client.load_model("gan-ring", headers=SECRET)
assert client.is_model_ready("gan-ring")
index = client.get_model_repository_index().models
assert {MODEL, "gan-ring"} <= {model.name for model in index if model.state == "READY"}
client.unload_model("gan-ring", headers=SECRET)
assert not client.is_model_ready("gan-ring")
print("all as it should be")
