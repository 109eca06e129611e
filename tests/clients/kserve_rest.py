"""KServe's client over HTTP: with JSON and with bytes."""

# SERVER is written before the first line

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

if TYPE_CHECKING:
    SERVER = ""

MODEL = "lenet5-mnist"


def given(name: str, array: Any, datatype: str, *, binary: bool) -> Any:
    """An input."""
    tensor = InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


async def main() -> None:
    """Ask."""
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    assert await client.is_server_live(SERVER)
    assert await client.is_server_ready(SERVER)
    assert await client.is_model_ready(SERVER, MODEL)
    pixels = np.zeros((64, 28, 28, 1), np.uint8)
    pixels[:, 4:24, 13:15] = 255
    for binary in (False, True):
        outputs = [RequestedOutput("probabilities", {"binary_data": binary})]
        request = InferRequest(
            model_name=MODEL,
            infer_inputs=[given("image", pixels, "UINT8", binary=binary)],
            request_outputs=outputs,
            request_id="64",
        )
        reply = await client.infer(SERVER, request, model_name=MODEL)
        [output] = reply.outputs
        assert output.as_numpy().shape == (64, 10)
        assert (output.as_numpy().argmax(axis=1) == 1).all()
        print(reply.id, reply.model_version, output.name, output.shape)
    drawing = open("seven.png", "rb").read()  # noqa: ASYNC230, SIM115, PTH123
    files = given("image", np.array([drawing], dtype=object), "BYTES", binary=True)
    reply = await client.infer(SERVER, InferRequest(model_name=MODEL, infer_inputs=[files]), model_name=MODEL)
    print([(output.name, output.datatype, output.shape) for output in reply.outputs])
    try:
        await client.infer(SERVER, InferRequest(model_name=MODEL, infer_inputs=[]), model_name=MODEL)
    except httpx.HTTPStatusError as error:
        print(error)
        assert "image: this input is needed" in str(error)
    else:
        raise AssertionError("nobody missed the image")
    print("all as it should be")


asyncio.run(main())
