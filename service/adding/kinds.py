"""Which kind of file somebody brings, by what is in it; and of those that are not taken, what to do instead."""

import struct
import zipfile
from pathlib import Path
from typing import Literal

from service.errors import ConfigurationError, UntrustedWeights
from service.machine import memory_bytes
from service.nets.onnx_checks import read_graph
from service.nets.program_archive import HOW

Kind = Literal["onnx", "torch-export", "safetensors"]

TO_ONNX = "torch.onnx.export(net.eval(), (x,), 'net.onnx', dynamo=True)"
TORCHSCRIPT = (
    "TorchScript is code that runs as it is loaded, and torch no longer develops it. Load it where you trust it, and"
    f" export the net: {HOW} Or as ONNX: {TO_ONNX}."
)
PICKLE = (
    "A pickle runs code as it is loaded. Load it where you trust it, and bring the net as ONNX (skl2onnx for"
    " scikit-learn) or as an exported program, or its weights alone: safetensors.torch.save_file(net.state_dict(),"
    " 'net.safetensors'), with --net timm:NAME or python:MODULE.CLASS."
)
KERAS = "Keras and TensorFlow files are not read; tf2onnx makes an ONNX file of them."
BEGINNINGS = {b"\x89HDF": KERAS, b"GGUF": "Language models are not served here."}
WITHIN = {b"TFL3": KERAS, b"ORTM": "This is onnxruntime's own format; bring the ONNX file that it was made of."}
"""What stands at the fifth byte."""
HEADER_LIMIT_BYTES = 100_000_000
"""Longest header of a safetensors file."""


def kind_of(file: Path) -> Kind:
    """The kind of a file. Raises ConfigurationError where it cannot be read, UntrustedWeights for what is not taken."""
    _check_size(file)
    try:
        with file.open("rb") as opened:
            head = opened.read(16)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}. One file is added at a time.") from error
    if head[:4] == b"PK\x03\x04":
        return _kind_of_archive(file)
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        raise UntrustedWeights.of_file(file, PICKLE)
    for start, words in (*((head[:4], BEGINNINGS), (head[4:8], WITHIN)),):
        if start in words:
            raise UntrustedWeights.of_file(file, words[start])
    if head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] < HEADER_LIMIT_BYTES:
        return "safetensors"
    read_graph(file)
    return "onnx"


def _check_size(file: Path) -> None:
    """Raise ConfigurationError for what cannot be read twice, as a pipe, or is more than this machine holds."""
    if not file.exists():
        return
    if not file.is_file():
        raise ConfigurationError(f"{file} cannot be read: it is no file. One file is added at a time.")
    if (size := file.stat().st_size) > (most := memory_bytes()):
        raise ConfigurationError(f"{file} has {size:,} bytes, and this machine a memory of {most:,}.")


def _kind_of_archive(file: Path) -> Kind:
    """The kind of a zip archive, as torch and others write them."""
    try:
        with zipfile.ZipFile(file) as archive:
            first = min((entry.header_offset for entry in archive.infolist()), default=0)
            names = [name.partition("/")[2] for name in archive.namelist()]
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise UntrustedWeights.of_file(file, f"it begins as an archive and is none: {error}") from error
    if first:  # what was found is an archive that lies within
        raise UntrustedWeights.of_file(file, "it begins as an archive and is none: its end is missing")
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        raise UntrustedWeights.of_file(file, TORCHSCRIPT)
    if "archive_format" in names or "models/model.json" in names:
        return "torch-export"
    if "data.pkl" in names:
        raise UntrustedWeights.of_file(file, PICKLE)
    raise UntrustedWeights.of_file(file, f"it is an archive of another kind. {KERAS} {HOW}")
