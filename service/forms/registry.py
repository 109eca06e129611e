"""Every form, by its name in cards, settings and answers."""

from collections.abc import Callable
from typing import NamedTuple

from service.exactness import PLAIN, FormName, Precision
from service.forms import eager, onnx_runtime, openvino, quantised
from service.forms.form import Form, Place
from service.store import Model


class Kind(NamedTuple):
    """How a form is made."""

    precision: Precision
    """What its weights and layers compute in."""
    is_possible: Callable[[Place], bool]
    """Whether this machine has what it needs."""
    make: Callable[[Model, Place], Form]
    versions: tuple[str, ...] = ("torch",)
    """The packages that compute it."""


ONNX_RUNTIME = ("torch", "onnx", "onnxruntime")
OPENVINO = ("torch", "onnx", "openvino")
FORMS: dict[FormName, Kind] = {
    "folded": Kind("float32", eager.is_possible, eager.fold),
    "traced": Kind("float32", eager.is_on_cpu, eager.trace),
    "onnxruntime": Kind("float32", onnx_runtime.is_possible, onnx_runtime.make, ONNX_RUNTIME),
    "openvino": Kind("float32", openvino.is_possible, openvino.in_float32, OPENVINO),
    "tf32": Kind("bfloat16", eager.is_on_card, eager.in_tf32),  # more precise, and where that may serve it may, too
    "bfloat16": Kind("bfloat16", eager.has_bfloat16, eager.in_bfloat16),
    "openvino-bfloat16": Kind("bfloat16", openvino.is_possible_in_bfloat16, openvino.in_bfloat16, OPENVINO),
    "int8": Kind("int8", quantised.is_possible, quantised.make, ONNX_RUNTIME),
}
"""All but the plain one; of equally fast ones the first is taken."""


def possible(place: Place) -> dict[FormName, Kind]:
    """The forms for which this machine has what they need."""
    return {name: kind for name, kind in FORMS.items() if kind.is_possible(place)}


def make_form(name: FormName, model: Model, place: Place) -> Form:
    """A model's form of this name."""
    assert name != PLAIN, "the plain form is the net itself"
    return FORMS[name].make(model, place)
