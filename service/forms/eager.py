"""Forms that torch itself runs: folded with channels last, in TF32 or bfloat16, and traced."""

import warnings

import torch
from torch import Tensor

from service.forms.form import Form, Place
from service.forms.whole import example_of, whole_of
from service.machine import processor_flags
from service.nets.arithmetic import multiplying
from service.store import Model

BFLOAT16_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})
"""What a processor says that multiplies bfloat16; the others would convert each number first, and take longer."""


def is_possible(_place: Place) -> bool:
    """Torch is always there."""
    return True


def is_on_cpu(place: Place) -> bool:
    """Whether this is the processor itself."""
    return place.device == "cpu"


def has_bfloat16(place: Place) -> bool:
    """Whether the device multiplies bfloat16: a GPU does, a processor that says so does."""
    return not is_on_cpu(place) or bool(BFLOAT16_FLAGS & processor_flags())


def fold(model: Model, place: Place) -> Form:
    """Fewer steps, and maps whose channels lie side by side."""
    return Form("folded", whole_of(model).to(place.device))


def is_on_card(place: Place) -> bool:
    """Whether this is a card, which has TF32 or multiplies float32 all the same."""
    return not is_on_cpu(place)


def in_tf32(model: Model, place: Place) -> Form:
    """The folded one, whose products a card may take with 10 bits of a number's 23."""
    whole = whole_of(model).to(place.device)

    def logits(images: Tensor) -> Tensor:
        with multiplying(tf32=True):  # the device's one thread launches all, so nothing else is computed so
            found: Tensor = whole(images)
        return found

    return Form("tf32", logits)


def in_bfloat16(model: Model, place: Place) -> Form:
    """The same in half the bits: 8 of the 24 that float32 has for a number's digits."""
    return Form("bfloat16", whole_of(model, torch.bfloat16).to(place.device))


def trace(model: Model, _place: Place) -> Form:
    """The folded one, recorded once and run without Python."""
    whole = whole_of(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that tracing grows old, and that it records sizes, which the images share
        traced = torch.jit.trace(whole, example_of(model), check_trace=False)  # type: ignore[no-untyped-call]
        frozen = torch.jit.optimize_for_inference(torch.jit.freeze(traced))
    return Form("traced", frozen)
