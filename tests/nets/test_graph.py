import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from nets.graphs import looking, seen
from nets.protobuf import node, port, runnable
from torch import Tensor, nn

from service.errors import InvalidManifest, PackageMissing, UntrustedWeights
from service.nets.registry import open_net

ROOT = Path(__file__).parents[2]
X = torch.linspace(0.0, 1.0, 5 * 16).view(5, 1, 4, 4).sin()


def opened(tmp_path: Path, data: bytes, **options: Any) -> nn.Module:
    (tmp_path / "weights.onnx").write_bytes(data)
    return open_net("onnx", options, tmp_path / "weights.onnx")


def see(net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    hidden, logits = net.see(x)  # type: ignore[operator]
    return hidden, logits


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("rows", [b"n", 1, 2, 8], ids=str)
def test_a_file_says_what_its_outputs_are_in_either_layout_and_for_any_number_of_images(
    tmp_path: Path, rows: int | bytes, *, channels_last: bool
) -> None:
    layout = "NHWC" if channels_last else "NCHW"
    data = looking(rows, channels_last=channels_last)
    maps, features, logits = seen(X)
    net = opened(tmp_path, data, features="features", logits="logits", layout=layout)
    found = see(net, X)
    torch.testing.assert_close(found[0], features)
    torch.testing.assert_close(found[1], logits)
    torch.testing.assert_close(net(X), logits)
    first, none = see(opened(tmp_path, data, layout=layout), X)
    torch.testing.assert_close(first, maps)
    assert none.shape == (5, 0)


def test_what_a_file_does_not_have_is_named_with_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(InvalidManifest, match=r"no output called pool3; there are \['maps', 'features', 'logits'\]"):
        opened(tmp_path, looking(), features="pool3")
    with pytest.raises(InvalidManifest, match="no layout called 'NHCW'; there are NCHW, NHWC, flat"):
        opened(tmp_path, looking(), layout="NHCW")
    with pytest.raises(InvalidManifest, match=r"onnx: .*unexpected keyword argument 'pool'"):
        opened(tmp_path, looking(), pool="mean")


def test_a_file_that_takes_something_else_than_images_is_refused(tmp_path: Path) -> None:
    two = runnable(
        node(b"Add", b"a", b"b", output=b"y"),
        *(port(11, name, b"n", 1, 4, 4) for name in (b"a", b"b")),
        port(12, b"y", b"n", 1, 4, 4),
    )
    with pytest.raises(
        InvalidManifest, match=r"takes a float32 \[\?, 1, 4, 4\]; b float32 .*; one tensor of numbers is given"
    ):
        opened(tmp_path, two)


@pytest.mark.parametrize("data", [b"", b"not a graph", looking()[:-30]], ids=["empty", "text", "cut"])
def test_what_is_no_graph_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(UntrustedWeights, match="is not an ONNX file that onnxruntime runs"):
        opened(tmp_path, data)


def test_without_its_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(PackageMissing, match=r"pip install 'chapterhouse\[onnx\]'"):
        opened(tmp_path, looking())


def test_a_file_and_a_net_of_different_kinds_are_refused(tmp_path: Path) -> None:
    for name, file in (("lenet5", "weights.onnx"), ("onnx", "weights.safetensors")):
        with pytest.raises(InvalidManifest, match=r"cannot be the weights of (lenet5|onnx), which are a file \."):
            open_net(name, {}, tmp_path / file)


def test_onnxruntime_leaves_no_file_for_its_makers_wherever_it_is_imported(tmp_path: Path) -> None:
    """From 1.32 on its import begins a session of telemetry, which would go out over the network."""
    program = "from service.environment import silence_onnxruntime; silence_onnxruntime(); import onnxruntime"
    where = {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program], env=where, check=True)
    assert list(tmp_path.iterdir()) == []
    for path in (ROOT / "service").rglob("*.py"):
        text = path.read_text("utf-8")
        if re.search(r"^ *(import|from) onnxruntime", text, re.MULTILINE):
            assert "silence_onnxruntime()" in text, path
