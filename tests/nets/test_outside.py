import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from service.errors import InvalidManifest, PackageMissing
from service.nets.registry import build_net
from service.nets.weights import save_weights

CODE = """
from torch import nn

class Own(nn.Linear):
    def __init__(self, *, width: int) -> None:
        super().__init__(width, 2)

class NoNet:
    pass
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trusted folder of one file."""
    folder = tmp_path / "nets"
    folder.mkdir(mode=0o755)
    (folder / "own.py").write_text(CODE)
    monkeypatch.setenv("CHAPTERHOUSE_NETS_DIR", str(folder))
    return folder


def test_a_net_of_a_trusted_folder_is_built(folder: Path) -> None:
    net = build_net("python:own.Own", {"width": 3})
    assert isinstance(net, nn.Linear)
    save_weights(net, folder / "weights.safetensors")


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("python:own.Own", {"breadth": 3}, "Own: TypeError: .*breadth"),
        ("python:own.Nothing", {}, r"own\.py: it has no net called Nothing"),
        ("python:own.NoNet", {}, "no net called NoNet"),
        ("python:other.Own", {}, "No such file"),
        ("python:../own.Own", {}, "names no class of a file"),
        ("python:os.path.join", {}, "names no class of a file"),
        ("python:own", {}, "names no class of a file"),
        ("timm:hf-hub:somebody/net", {}, "no name of timm's; others would fetch something"),
        ("timm:resnet18", {"checkpoint_path": "/etc/passwd"}, "are taken, not checkpoint_path"),
        ("timm:resnet18", {"pretrained": True}, "are taken, not pretrained"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_is_no_such_net_is_told(name: str, options: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidManifest, match=reason):
        build_net(name, options)


def test_without_the_setting_no_file_is_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHAPTERHOUSE_NETS_DIR")
    assert folder.is_dir()
    with pytest.raises(InvalidManifest, match="CHAPTERHOUSE_NETS_DIR names; it is not set"):
        build_net("python:own.Own", {"width": 3})


def test_a_file_that_anybody_may_write_is_not_run(folder: Path) -> None:
    for place in (folder, folder / "own.py"):
        place.chmod(0o777)
        with pytest.raises(InvalidManifest, match="anybody may write it"):
            build_net("python:own.Own", {"width": 3})
        place.chmod(0o755)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import nothing_of_that_name", "it does not run: ModuleNotFoundError"),
        ("raise SystemExit(2)", "it does not run: SystemExit: 2"),
        ("import torch\n\nclass Own(torch.nn.Module):\n    def __init__(self): exit(3)", "Own: SystemExit: 3"),
    ],
)
def test_a_file_that_fails_or_ends_the_program_says_how(folder: Path, text: str, reason: str) -> None:
    (folder / "own.py").write_text(text)
    with pytest.raises(InvalidManifest, match=rf"own\.py: {reason}"):
        build_net("python:own.Own", {})


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(PackageMissing, match=r"pip install 'chapterhouse\[timm\]'"):
        build_net("timm:resnet18")


def test_a_timm_that_cannot_be_imported_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "timm.py").write_text("raise RuntimeError('built for another torch')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    with pytest.raises(PackageMissing, match=r"where torch did\. RuntimeError: built for another torch"):
        build_net("timm:resnet18")


TIMM = """
import torch

class Net(torch.nn.Module): pass

def create_model(name, pretrained): return Net()

@torch.library.register_fake("torchvision::nms")
def nms(dets, scores, iou_threshold): return dets
"""


def test_timm_is_imported_where_torchvision_was_built_for_another_torch(tmp_path: Path) -> None:
    (tmp_path / "timm.py").write_text(TIMM)
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from service.nets.registry import build_net; "
        "print(type(build_net('timm:resnet18')).__name__)"
    )
    command, root = [sys.executable, "-c", program], Path(__file__).parents[2]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert (ran.stdout.strip(), ran.returncode) == ("Net", 0), ran.stderr


def test_features_of_timms_nets_lie_before_their_classifier(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of the same calls, in the place of timm."""

    class Net(nn.Module):
        def forward_features(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2

        def forward_head(self, x: torch.Tensor, *, pre_logits: bool = False) -> torch.Tensor:
            return x.flatten(1) if pre_logits else x.flatten(1) + 1

    class Package:
        @staticmethod
        def create_model(name: str, *, pretrained: bool, num_classes: int) -> nn.Module:
            assert (name, pretrained, num_classes) == ("small.v1", False, 2)
            return Net()

    monkeypatch.setitem(sys.modules, "timm", Package)
    net = build_net("timm:small.v1", {"num_classes": 2})
    hidden, logits = net.see(torch.ones(1, 1, 1, 2))  # type: ignore[operator]
    assert (hidden.tolist(), logits.tolist()) == ([[2.0, 2.0]], [[3.0, 3.0]])
