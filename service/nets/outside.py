"""Nets that others wrote as code: timm's by their names, and classes of a folder that the operator trusts."""

import importlib
import importlib.util
import re
import stat
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, library, nn

from service.errors import InvalidManifest, PackageMissing
from service.settings import read_settings

TIMM, PYTHON = "timm:", "python:"
"""How a manifest's word for such a net begins."""
TIMM_OPTIONS = frozenset({"num_classes", "in_chans", "img_size", "global_pool"})
"""Of timm's options those that name no file and fetch nothing."""
TIMM_NAME = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)?")
CLASS_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\.([A-Za-z_][A-Za-z0-9_]*)")
NEEDED = "A net of timm needs that package: pip install 'chapterhouse[timm]'."
BROKEN = "timm is installed and cannot be imported; its torchvision has to come from where torch did."
COMPILED = "operator torchvision::"
"""How torchvision's complaint begins where its compiled operators were built for another torch and did not load."""
RAISED = (Exception, SystemExit)
"""What code of others ends with: a program that is run as a module may want to end the process."""
DECLARED = tuple(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor" for name in ("nms", "qnms"))
"""Those of them that it registers something for as it is imported."""


def is_outside(name: str) -> bool:
    """Whether a manifest's net is code of others."""
    return name.startswith((TIMM, PYTHON))


def build_outside(name: str, options: Mapping[str, Any]) -> nn.Module:
    """A freshly drawn net of others. Raises InvalidManifest, and PackageMissing without timm."""
    if name.startswith(TIMM):
        return _of_timm(name.removeprefix(TIMM), options)
    return _of_folder(name.removeprefix(PYTHON), options)


def _of_timm(name: str, options: Mapping[str, Any]) -> nn.Module:
    if not TIMM_NAME.fullmatch(name):
        raise InvalidManifest(f"{name[:80]!r} is no name of timm's; others would fetch something.")
    if unknown := sorted(set(options) - TIMM_OPTIONS):
        raise InvalidManifest(
            f"Of timm's options {', '.join(sorted(TIMM_OPTIONS))} are taken, not {', '.join(unknown)}."
        )
    net: nn.Module = load_timm().create_model(name, pretrained=False, **options)
    net.see = partial(_see, net)  # type: ignore[assignment]
    return net


def load_timm() -> Any:
    """The package, also where torchvision, which it imports, was built for another torch. Raises PackageMissing.

    timm looks at torchvision's transforms alone, which are Python. The operators that torchvision misses are declared,
    so that it is imported without them; whoever called one would be told that it is not there.
    """
    try:
        try:
            return importlib.import_module("timm")
        except RuntimeError as error:
            if not str(error).startswith(COMPILED):
                raise
            _declare_operators()
            return importlib.import_module("timm")
    except ImportError as error:
        raise PackageMissing(NEEDED) from error
    except Exception as error:
        raise PackageMissing(f"{BROKEN} {type(error).__name__}: {str(error)[:200]}") from error


@cache
def _declare_operators() -> library.Library:
    """Kept for as long as the process runs: what is declared goes with the object."""
    declared = library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for operator in DECLARED:
        declared.define(operator)  # type: ignore[no-untyped-call]
    return declared


def _see(net: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """What lies before the classifier (n, d), and logits (n, classes), of one pass."""
    maps = net.forward_features(x)
    return net.forward_head(maps, pre_logits=True), net.forward_head(maps)


def _of_folder(name: str, options: Mapping[str, Any]) -> nn.Module:
    named = CLASS_NAME.fullmatch(name)
    if named is None:
        raise InvalidManifest(f"{name[:80]!r} names no class of a file: write {PYTHON}FILE.CLASS, without `.py`.")
    folder = read_settings().nets_dir
    if folder is None:
        raise InvalidManifest(
            "Nets of your own run only from the folder that CHAPTERHOUSE_NETS_DIR names; it is not set."
        )
    path = folder.expanduser() / f"{named[1]}.py"
    found = getattr(_module(path), named[2], None)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise InvalidManifest.of_file(path, f"it has no net called {named[2]}.")
    try:
        return found(**options)
    except RAISED as error:
        raise InvalidManifest.of_file(path, f"{named[2]}: {type(error).__name__}: {error}") from error


def _module(path: Path) -> ModuleType:
    """A file of the trusted folder, run. Raises InvalidManifest where anybody may write it, or it does not run."""
    try:
        modes = [place.stat().st_mode for place in (path.parent, path)]
    except OSError as error:
        raise InvalidManifest.of_file(path, error) from error
    if any(mode & stat.S_IWOTH for mode in modes):
        raise InvalidManifest.of_file(path, "anybody may write it, so that it is not run; chmod o-w.")
    spec = importlib.util.spec_from_file_location(f"chapterhouse_nets_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except RAISED as error:
        raise InvalidManifest.of_file(path, f"it does not run: {type(error).__name__}: {error}") from error
    return module
