"""KServe's client over gRPC."""

# GRPC is written before the first line

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
from kserve import InferenceGRPCClient, InferInput, InferRequest

if TYPE_CHECKING:
    GRPC = ""

MODEL = "lenet5-mnist"


def given(name: str, array: Any, datatype: str, *, binary: bool) -> Any:
    """An input."""
    tensor = InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


async def main() -> None:
    """Ask."""
    client = InferenceGRPCClient(GRPC)
    assert await client.is_server_live()
    assert await client.is_server_ready()
    assert await client.is_model_ready(MODEL)
    pixels = np.zeros((64, 28, 28, 1), np.uint8)
    pixels[:, 4:24, 13:15] = 255
    for binary in (False, True):
        request = InferRequest(model_name=MODEL, infer_inputs=[given("image", pixels, "UINT8", binary=binary)])
        reply = await client.infer(request)
        [probabilities] = [output for output in reply.outputs if output.name == "probabilities"]
        assert (probabilities.as_numpy().argmax(axis=1) == 1).all()
        print(reply.model_version, [(output.name, output.shape) for output in reply.outputs])
    try:
        await client.infer(InferRequest(model_name="nobody", infer_inputs=request.inputs))
    except grpc.RpcError as error:
        print(error)
        assert error.code() is grpc.StatusCode.NOT_FOUND
    else:
        raise AssertionError("somebody answered for nobody")
    print("all as it should be")


asyncio.run(main())
