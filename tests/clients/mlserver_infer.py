"""MLServer's own: its types and codecs, and its program for many requests."""

# SERVER is written before the first line

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
from mlserver.codecs import Base64Codec, NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse, MetadataModelResponse, MetadataServerResponse

if TYPE_CHECKING:
    SERVER = ""

MODEL = "lenet5-mnist"
print(MetadataServerResponse.model_validate(httpx.get(f"{SERVER}/v2").json()))
print(MetadataModelResponse.model_validate(httpx.get(f"{SERVER}/v2/models/{MODEL}").json()))

pixels = np.zeros((2, 28, 28, 1), np.uint8)
pixels[:, 4:24, 13:15] = 255
drawing = Path("seven.png").read_bytes()
as_pixels = InferenceRequest(id="pixels", inputs=[NumpyCodec.encode_input("image", pixels)])
as_file = InferenceRequest(id="file", inputs=[Base64Codec.encode_input("image", [drawing], use_bytes=False)])
for request, label in ((as_pixels, "1"), (as_file, "7")):
    reply = httpx.post(f"{SERVER}/v2/models/{MODEL}/infer", json=request.model_dump())
    assert reply.status_code == 200, reply.text
    answer = InferenceResponse.model_validate_json(reply.content)
    outputs = {output.name: output for output in answer.outputs}
    assert NumpyCodec.decode_output(outputs["probabilities"]).shape[1] == 10
    assert StringCodec.decode_output(outputs["labels"])[0] == label
    print(answer.id, answer.model_version, label)

Path("requests.txt").write_text("".join(f"{request.model_dump_json()}\n" for request in (as_pixels, as_file)), "utf-8")
program = [str(Path(sys.executable).parent / "mlserver"), "infer", "--url", SERVER.removeprefix("http://")]
asked = ["--model-name", MODEL, "--input-data-path", "requests.txt", "--output-data-path", "replies.txt"]
subprocess.run([*program, *asked], check=True)
replies = Path("replies.txt").read_text("utf-8")
print(replies)
assert replies.count("probabilities") == 2
print("all as it should be")
