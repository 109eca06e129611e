"""Where a long computation lets others go first: it calls `pause` again and again, and its thread decides what that is.

A pause changes no number: the computation goes on where it was. And what goes first is not part of it: tensors made
meanwhile are no inference tensors, which only inference could write to again.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

PAUSE_STEPS = 64
"""Steps of a series between two pauses."""


class Stopped(Exception):
    """Nobody waits any more for what was being computed."""


class _Local(threading.local):
    callback: Callable[[], None] | None = None


_local = _Local()


def pause() -> None:
    """Let others go first. Raises Stopped."""
    callback = _local.callback
    if callback is None:
        return
    _local.callback = None  # what goes first does not pause
    try:
        with torch.inference_mode(mode=False):
            callback()
    finally:
        _local.callback = callback


@contextmanager
def pausing(callback: Callable[[], None]) -> Iterator[None]:
    """Call back at every pause of this thread inside."""
    before, _local.callback = _local.callback, callback
    try:
        yield
    finally:
        _local.callback = before


@contextmanager
def pausing_between_layers(net: nn.Module) -> Iterator[None]:
    """Have the net pause before each of its layers. Not for what listens to layers itself: others may use the net."""
    layers = [module for module in net.modules() if next(module.children(), None) is None]
    hooks = [layer.register_forward_pre_hook(_before) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _before(_layer: nn.Module, _inputs: object) -> None:
    pause()
