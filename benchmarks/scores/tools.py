"""Imports other tools, also where torchvision was built for another torch: nothing here uses its operators."""

from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

COMPILED = "operator torchvision::"
"""How torchvision's complaint begins where its compiled operators did not load."""
DECLARED = tuple(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor" for name in ("nms", "qnms"))
"""Those of them that it registers something for as it is imported."""


def tool(name: str) -> ModuleType:
    """A module of a tool."""
    try:
        return import_module(name)
    except RuntimeError as error:
        if not str(error).startswith(COMPILED):
            raise
        _declare_operators()
        return import_module(name)


@cache
def _declare_operators() -> Any:
    """Kept for as long as the process runs: what is declared goes with the object."""
    declared = import_module("torch").library.Library("torchvision", "FRAGMENT")
    for operator in DECLARED:
        declared.define(operator)
    return declared
