"""How long forms take, and what they answer, a few images at a time."""

import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from service.forms.form import Place
from service.forms.verifying import Logits
from service.imaging import Pixels
from service.store import Model
from service.tasks.classify import Classify

Compute = Callable[[Tensor], Tensor]
"""Stored pixels to logits."""
Seconds = Mapping[int, float]
"""By number of rows: how long a forward pass of so many takes."""
MOMENT_S = 0.02
"""How long one size is forwarded again and again at a time."""


def plainly(net: nn.Module, model: Model) -> Compute:
    """The plain form: the net itself, as every other answer of it is computed."""
    return lambda images: Classify().forward(net, [images], model.manifest)[0]


def answer(compute: Compute, images: Pixels, place: Place) -> Logits:
    """What a form answers to images; the thread that asks has the place's number of threads from now on."""
    if torch.get_num_threads() != place.threads:
        torch.set_num_threads(place.threads)
    with torch.inference_mode():
        logits: Logits = compute(torch.from_numpy(images).to(place.device)).cpu().numpy()
    return logits


def time_once(compute: Compute, images: Pixels, place: Place) -> float:
    """The least time of a forward pass among as many as fit into a moment, and one at least."""
    least, end = float("inf"), time.perf_counter() + MOMENT_S
    while True:
        began = time.perf_counter()
        answer(compute, images, place)
        ended = time.perf_counter()
        least = min(least, ended - began)
        if ended >= end:
            return least
