"""What stands below the picture of an explanation: which net, which layer, what it was asked, and what is drawn how."""

import math

from service.drawing.explanation import MOST, Array
from service.drawing.scales import Arrays, odds_words
from service.store import Model
from service.tasks.explain import Explain

COLOURS = (1, 3)
"""Inputs of a kernel that are drawn as one picture, in grey or colour."""
KERNELS = 4
"""Axes of kernels and of projections: the unit, its inputs or colours, rows, columns."""
PROJECTED: dict[str, str] = {
    "deconvnet": "sent back to pixels by the deconvnet",
    "guided": "sent back to pixels by the guided backward pass",
}


def caption_of(model: Model, task: Explain, arrays: Arrays) -> tuple[str, ...]:
    """The lines below the picture of what a task answered."""
    return f"{model.name} {model.version}: {_asked(model, task, arrays)}", _told(task, arrays)


def label_of(model: Model, arrays: Arrays) -> str:
    """The label that is explained; empty where none is."""
    return model.manifest.labels[int(arrays["label"])] if "label" in arrays else ""


def _asked(model: Model, task: Explain, arrays: Arrays) -> str:
    """The method, and the layer or the label that it was asked about."""
    layer = f" of layer {task.layer}" if task.layer else ""
    if task.method in PROJECTED:
        return f"the strongest units{layer}, {PROJECTED[task.method]}"
    return f"{task.method}{layer or f' of {label_of(model, arrays)}'}"


def _told(task: Explain, arrays: Arrays) -> str:
    """What is drawn, how large it is, and what the numbers on it are."""
    if task.method == "occlusion":
        side = int(arrays["square"])
        whole = odds_words(float(arrays["log_odds_whole"]))
        return f"Log-odds behind a grey square of {side}×{side} pixels; in the whole image {whole}."
    if task.method == "saliency":
        return f"How much the logit changes with each pixel; probability {float(arrays['probability']):.4g}."
    if task.method == "activations":
        values = "its least and its largest value" if arrays["maps"][0].size > 1 else "its value"
        return f"{_some('map', arrays['maps'])}; above each its unit, {values}."
    if task.method == "filters":
        kernels = arrays["kernels"]
        order = (
            "one for each unit" if kernels.shape[1] in COLOURS else f"{kernels.shape[1]} for each unit, one an input"
        )
        return f"{_some('kernel', kernels)}, {order}."
    return f"{_some('projection', arrays['projections'])}; above each its unit and the activation at its peak."


def _some(name: str, pictures: Array) -> str:
    """How many pictures (n, …, h, w) there are, of what size, and how many of them are shown."""
    height, width = pictures.shape[-2:]
    colours = pictures.shape[1] if pictures.ndim == KERNELS and pictures.shape[1] in COLOURS else 1
    count = math.prod(pictures.shape[:-2]) // colours
    shown = f"the first {MOST:,} of " if count > MOST else ""
    return f"{shown}{count:,} {name}{'' if count == 1 else 's'} of {height}×{width}"
