"""What torch computes with where a number has to be the same every time: float32 as it is written, nothing tried out.

These settings are the whole process's. An engine's own process sets them once; a program that trains beside an engine
gets its own back as soon as no work is under way.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from types import TracebackType
from typing import Any, Self

import torch

FULL_PRECISION = {
    f"{library}.{work}.fp32_precision": "ieee"
    for library, works in {
        "cuda": ("matmul",),
        "cudnn": ("conv", "rnn"),
        "mkldnn": ("matmul", "conv", "rnn"),
    }.items()
    for work in works
}
WITHOUT_TF32 = {"cuda.matmul.allow_tf32": False, "cudnn.allow_tf32": False}
"""What torch before 2.9 knows instead."""
FLOAT32: dict[str, Any] = FULL_PRECISION if hasattr(torch.backends.cudnn, "conv") else WITHOUT_TF32
EXACT: dict[str, Any] = {**FLOAT32, "cudnn.benchmark": False, "cudnn.deterministic": True}
"""Attributes of `torch.backends`."""
TF32: dict[str, Any] = {
    name: True if value is False else "tf32" for name, value in FLOAT32.items() if not name.startswith("mkldnn")
}
"""The same where a card may multiply with 10 bits of a number's 23; a processor has nothing of the kind."""


def compute_exactly() -> None:
    """Set torch so that its results are those of float32, and the same every time."""
    _write(EXACT, torch.float32)


@contextmanager
def multiplying(*, tf32: bool) -> Iterator[None]:
    """Inside, cards multiply float32 as it is written, or with TF32 if that is wanted; outside, all is as it was."""
    found = {name: attrgetter(name)(torch.backends) for name in FLOAT32}
    try:
        _write({**FLOAT32, **(TF32 if tf32 else {})})
        yield
    finally:
        _write(found)


class Exactly:
    """While it is entered, by however many, torch computes exactly; after that as it did before."""

    def __init__(self) -> None:
        self._entered = 0
        self._found: tuple[dict[str, Any], torch.dtype] | None = None

    def __enter__(self) -> Self:
        if not self._entered:
            self._found = {name: attrgetter(name)(torch.backends) for name in EXACT}, torch.get_default_dtype()
            compute_exactly()
        self._entered += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered -= 1
        if not self._entered:
            assert self._found is not None
            _write(*self._found)


def _write(settings: dict[str, Any], dtype: torch.dtype | None = None) -> None:
    if dtype is not None:
        torch.set_default_dtype(dtype)
    for name, value in settings.items():
        owner, _, attribute = name.rpartition(".")
        setattr(attrgetter(owner)(torch.backends), attribute, value)
