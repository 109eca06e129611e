import io
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from nets.graphs import looking
from nets.programs import looking_program
from safetensors.torch import save

from service.adding.kinds import kind_of
from service.errors import ConfigurationError, UntrustedWeights


def archive(*names: str, within: bytes = b"x") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        for name in names:
            opened.writestr(name, within)
    return file.getvalue()


def kind(tmp_path: Path, data: bytes) -> str:
    file = tmp_path / "model.bin"
    file.write_bytes(data)
    return kind_of(file)


def test_a_file_is_known_by_what_is_in_it_whatever_it_is_called(tmp_path: Path) -> None:
    assert kind(tmp_path, looking()) == "onnx"
    assert kind(tmp_path, looking_program()) == "torch-export"
    assert kind(tmp_path, save({"w": torch.zeros(2)})) == "safetensors"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (
            archive("net/data.pkl", "net/constants.pkl", "net/code/__torch__.py"),
            "TorchScript is code .*torch.export.save",
        ),
        (archive("net/data.pkl", "net/data/0"), "A pickle runs code .*safetensors.torch.save_file"),
        (pickle.dumps({"w": 1}), "A pickle runs code .*skl2onnx"),
        (archive("config.json", "model.weights.h5"), "archive of another kind. Keras .*tf2onnx"),
        (archive("serialized_exported_program.json", "version"), "archive of another kind.*torch 2.8 or later"),
        (b"\x89HDF\r\n\x1a\n" + bytes(16), "tf2onnx makes an ONNX file"),
        (b"\x1c\0\0\0TFL3" + bytes(16), "tf2onnx makes an ONNX file"),
        (b"\x1c\0\0\0ORTM" + bytes(16), "bring the ONNX file that it was made of"),
        (b"GGUF" + bytes(16), "Language models are not served here"),
        (b"PK\x03\x04" + bytes(40), "begins as an archive and is none"),
        (archive("net/byteorder", within=archive("net/data.pkl"))[:-30], "begins as an archive and is none: its end"),
        (b"\xff" * 40, "not an ONNX file"),
    ],
    ids=[
        "torchscript",
        "torch",
        "pickle",
        "keras",
        "old program",
        "hdf5",
        "tflite",
        "ort",
        "gguf",
        "cut",
        "an end within",
        "noise",
    ],
)
def test_what_is_not_taken_is_told_what_to_do_instead(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(UntrustedWeights, match=reason):
        kind(tmp_path, data)


def test_a_folder_or_nothing_at_all_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "nothing", tmp_path / "pipe"):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            kind_of(path)


def test_a_file_that_no_machine_could_hold_is_not_read(tmp_path: Path) -> None:
    for size, reason in (
        (1 << 42, r"has 4,398,046,511,104 bytes, and this machine"),
        (1 << 31, "more than 2,147,483,647"),
    ):
        with (tmp_path / "net.onnx").open("wb") as file:
            file.truncate(size)
        with pytest.raises(ConfigurationError, match=reason):
            kind_of(tmp_path / "net.onnx")
