"""The folded net as an ONNX file, for other runtimes: exported by torch, which can leave things out in silence."""

import io
import threading
import warnings
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from service.forms.form import Place

OPSET = 17
_ONE_EXPORTS = threading.Lock()
"""That an export goes on, and filters of warnings, torch and Python keep for the whole process."""


def can_run(package: str, place: Place) -> bool:
    """Whether a package that runs such files on the processor is here, and the one that torch exports with."""
    return place.device == "cpu" and all(find_spec(name) is not None for name in ("onnx", package))


def export(whole: nn.Module, example: Tensor) -> bytes:
    """The file of a net from pixels to logits, for any number of images. One at a time: others wait for their turn."""
    file = io.BytesIO()
    with _ONE_EXPORTS, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter is the old one; the new one needs another package, and longer
        torch.onnx.export(
            whole,
            (example,),
            file,  # type: ignore[arg-type] # the old exporter takes one
            dynamo=False,
            opset_version=OPSET,
            input_names=["images"],
            output_names=["logits"],
            dynamic_axes={"images": {0: "rows"}, "logits": {0: "rows"}},
        )
    return file.getvalue()
