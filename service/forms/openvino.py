"""Forms that OpenVINO compiles for the processor from an exported graph."""

from typing import Any

import torch
from torch import Tensor

from service.exactness import FormName
from service.forms.eager import has_bfloat16
from service.forms.exported import can_run, export
from service.forms.form import Form, Place
from service.forms.whole import example_of, whole_of
from service.store import Model


def is_possible(place: Place) -> bool:
    """Whether OpenVINO is here, and this is the processor."""
    return can_run("openvino", place)


def is_possible_in_bfloat16(place: Place) -> bool:
    """Whether the processor multiplies bfloat16 as well."""
    return is_possible(place) and has_bfloat16(place)


def in_float32(model: Model, place: Place) -> Form:
    """In full precision."""
    return _make("openvino", model, place, precision="f32")


def in_bfloat16(model: Model, place: Place) -> Form:
    """In bfloat16, where OpenVINO finds that a layer is faster so."""
    return _make("openvino-bfloat16", model, place, precision="bf16")


def _make(name: FormName, model: Model, place: Place, *, precision: str) -> Form:
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": place.threads,
        "INFERENCE_PRECISION_HINT": precision,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
    }
    graph = core.read_model(export(whole_of(model), example_of(model)))
    request: Any = core.compile_model(graph, "CPU", settings).create_infer_request()

    def logits(images: Tensor) -> Tensor:
        request.infer({0: openvino.Tensor(images.numpy(), shared_memory=True)}, share_inputs=True)
        return torch.from_numpy(request.get_output_tensor(0).data.copy())

    return Form(name, logits)
