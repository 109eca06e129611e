"""Triton's client over HTTP: every call that it has for what the service has."""

# SERVER, GRPC and TOKEN are written before the first line

from typing import TYPE_CHECKING, Any

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

if TYPE_CHECKING:
    SERVER, TOKEN = "", ""

client = triton.InferenceServerClient(SERVER.removeprefix("http://"), concurrency=4)
MODEL, SECRET = "lenet5-mnist", {"authorization": f"Bearer {TOKEN}"}


def given(name: str, array: Any, datatype: str, *, binary: bool = True) -> Any:
    """An input."""
    tensor = triton.InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


def refused(call: Any, status: str, words: str) -> None:
    """A call fails with this status and these words."""
    try:
        call()
    except InferenceServerException as error:
        print(error)
        assert error.status() == status, error
        assert words in error.message(), error
    else:
        raise AssertionError(f"nobody said {words}")


assert client.is_server_live()
assert client.is_server_ready()
assert client.is_model_ready(MODEL)
print(client.get_server_metadata())
metadata = client.get_model_metadata(MODEL)
print(metadata)
[version] = metadata["versions"]
assert client.is_model_ready(MODEL, version)
configuration = client.get_model_config(MODEL)
print(configuration["max_batch_size"], configuration["input"])
print(client.get_inference_statistics(MODEL)["model_stats"][0]["inference_count"])
assert len(client.get_inference_statistics()["model_stats"]) > 5

pixels = np.zeros((64, 28, 28, 1), np.uint8)
pixels[:, 4:24, 13:15] = 255
before = client.get_inference_statistics(MODEL)["model_stats"][0]["inference_count"]
found = client.infer(MODEL, [given("image", pixels, "UINT8")], request_id="64", model_version=version)
assert found.get_response()["id"] == "64"
whole = found.as_numpy("probabilities")
assert whole.shape == (64, 10)
assert found.as_numpy("labels")[0][0] == b"1"
as_json = client.infer(
    MODEL,
    [given("image", pixels, "UINT8", binary=False)],
    outputs=[triton.InferRequestedOutput("probabilities", binary_data=False)],
)
np.testing.assert_array_equal(as_json.as_numpy("probabilities"), whole)
real = given("image", (pixels / 255).astype(np.float32), "FP32")
real._parameters["value_range"] = "0,1"
np.testing.assert_array_equal(client.infer(MODEL, [real]).as_numpy("probabilities"), whole)

drawing = open("seven.png", "rb").read()  # noqa: SIM115, PTH123
files = given("image", np.array([drawing, drawing], dtype=object), "BYTES")
likeliest = triton.InferRequestedOutput("probabilities", class_count=3)
print(client.infer(MODEL, [files], outputs=[likeliest], parameters={"top_k": 1}).as_numpy("probabilities"))
waiting = [client.async_infer(MODEL, [files]) for _ in range(8)]
assert {one.get_result().as_numpy("labels")[0][0] for one in waiting} == {b"7"}

seed, count = given("seed", np.array([7]), "INT64"), given("count", np.array([3], np.int32), "INT32")
assert client.infer("gan-mnist", [seed, count]).as_numpy("images").shape == (3, 28, 28, 1)
history = given("history", np.sin(np.arange(300) / 5), "FP64")
horizon = given("horizon", np.array([10]), "INT64")
forecast = client.infer("esn-mackey-glass", [history, horizon], parameters={"fit": True})
assert forecast.as_numpy("forecast").shape == forecast.as_numpy("low").shape == (10,)

refused(lambda: client.infer("nobody", [files]), "404", "nobody")
refused(lambda: client.infer(MODEL, [files], model_version="1"), "404", "not '1'")
refused(lambda: client.infer(MODEL, [given("image", pixels[:, :4], "UINT8")]), "400", "the shape [64, 4, 28, 1]")
refused(lambda: client.infer(MODEL, [files], sequence_id=7), "400", "keeps a state")
refused(lambda: client.infer(MODEL, [files], timeout=1), "504", "deadline")
refused(lambda: client.load_model("gan-ring"), "401", "token")

client.load_model("gan-ring", headers=SECRET)
assert client.is_model_ready("gan-ring")
names = [model["name"] for model in client.get_model_repository_index() if model["state"] == "READY"]
assert {MODEL, "gan-ring"} <= set(names)
client.unload_model("gan-ring", headers=SECRET)
assert not client.is_model_ready("gan-ring")
after = client.get_inference_statistics(MODEL)["model_stats"][0]["inference_count"]
assert after >= before
print(f"{after - before} rows; all as it should be")
