"""The form that onnxruntime runs on the processor."""

from typing import Any

import torch
from torch import Tensor

from service.environment import silence_onnxruntime
from service.forms.exported import can_run, export
from service.forms.form import Form, Place
from service.forms.whole import example_of, whole_of
from service.store import Model


def is_possible(place: Place) -> bool:
    """Whether onnxruntime is here, and this is the processor."""
    return can_run("onnxruntime", place)


def make(model: Model, place: Place) -> Form:
    """The folded net as a graph."""
    return form_of(export(whole_of(model), example_of(model)), place)


def form_of(graph: bytes, place: Place) -> Form:
    """An exported graph, ready to run."""
    session = _open(graph, place.threads)

    def logits(images: Tensor) -> Tensor:
        [found] = session.run(None, {"images": images.numpy()})
        return torch.from_numpy(found)

    return Form("onnxruntime", logits)


def _open(graph: bytes, threads: int) -> Any:
    silence_onnxruntime()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # its warnings are about graphs, which nobody here can change
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # whoever waits keeps no core busy
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
