"""The form in which onnxruntime multiplies whole numbers of 8 bits, by the ranges of weights and of maps.

A weight's range is its channel's, a map's that of a few training images (Jacob et al. 2018, arXiv 1712.05877); what the
rounding costs, the card says.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from service.environment import silence_onnxruntime
from service.forms import onnx_runtime
from service.forms.exported import export
from service.forms.form import Form, Place
from service.forms.training_images import training_images_of
from service.forms.whole import example_of, whole_of
from service.imaging import Pixels
from service.machine import processor_flags
from service.store import Model

WHOLE_NUMBER_FLAGS = frozenset({"amx_int8", "avx512_vnni", "avx_vnni"})
"""What a processor says that adds up products of whole numbers; on others sums of two may overflow."""
PREPARED = {"onnx.quant.pre_process": "onnxruntime.quant"}
"""Says that a graph is as it should be: folded it is, and without this each form would be followed by two warnings."""
ROWS = 16
"""Images that are looked at at a time."""


def is_possible(place: Place) -> bool:
    """Whether onnxruntime is here, and the processor multiplies whole numbers of 8 bits."""
    return onnx_runtime.is_possible(place) and bool(WHOLE_NUMBER_FLAGS & processor_flags())


def make(model: Model, place: Place) -> Form:
    """The folded net in 8 bits. Raises InvalidManifest where there are no training images to take ranges from."""
    images = training_images_of(model)
    graph = quantise(export(whole_of(model), example_of(model)), images)
    return replace(onnx_runtime.form_of(graph, place), name="int8")


def quantise(graph: bytes, images: Pixels) -> bytes:
    """An exported graph with its convolutions and products in 8 bits, by the ranges that these images lead to."""
    silence_onnxruntime()
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc] # which has no types
        def __init__(self) -> None:
            self._parts = _parts(images)

        def get_next(self) -> dict[str, Pixels] | None:
            return next(self._parts, None)

    shaped = onnx.shape_inference.infer_shapes(onnx.load_from_string(graph))
    onnx.helper.set_model_props(shaped, PREPARED)
    with tempfile.TemporaryDirectory(prefix="chapterhouse-") as directory:
        target = Path(directory) / "int8.onnx"
        quantize_static(
            shaped,
            target,
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return target.read_bytes()


def _parts(images: Pixels) -> Iterator[dict[str, Pixels]]:
    for start in range(0, len(images), ROWS):
        yield {"images": images[start : start + ROWS]}
