"""Writes service/rpc/inference.json of service/rpc/inference.proto: the messages of gRPC as the service reads them.

    python -m deploy.protocol

Descriptions, not generated code, which one release of protobuf alone would take.
"""

import json
import sys
import tempfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.json_format import MessageToDict
from grpc_tools import protoc

FOLDER = Path(__file__).parent.parent / "service" / "rpc"
PROTO, WRITTEN = FOLDER / "inference.proto", FOLDER / "inference.json"


def describe() -> str:
    """What the file holds."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "inference.pb"
        if protoc.main(["protoc", f"-I{FOLDER}", f"--descriptor_set_out={output}", PROTO.name]):
            raise SystemExit(1)
        [file] = FileDescriptorSet.FromString(output.read_bytes()).file
    return json.dumps(MessageToDict(file), separators=(",", ":")) + "\n"


if __name__ == "__main__":
    WRITTEN.write_text(describe(), "utf-8")
    sys.exit(0)
