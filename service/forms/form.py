"""What a form is, and where it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from service.exactness import FormName


class Place(NamedTuple):
    """Where a form runs: a device, and how many threads of the processor it has."""

    device: str
    threads: int


@dataclass(frozen=True, slots=True)
class Form:
    """One way to a classifier's logits."""

    name: FormName
    logits: Callable[[Tensor], Tensor]
    """Stored pixels uint8 (n, H, W, C), on the device, to logits float32 (n, classes)."""
