"""An inference request as any transport brings it, and what is checked of it whichever model it is for."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from service.errors import InvalidRequest
from service.operations.inference.tensors import Array, Parameters, Tensor, wrong

Named = TypeVar("Named", "Tensor", "Wanted")

MICROSECONDS = 1_000_000
EVERYWHERE = ("binary_data_output", "content_type", "timeout")
"""Parameters of a request that mean the same for every model; how an answer is sent, its transport knows."""
OF_INPUTS = ("binary_data_size", "content_type")
OF_OUTPUTS = ("binary_data", "classification", "content_type")
NOTHING_SAID = {"priority": 0, "sequence_id": 0, "sequence_start": False, "sequence_end": False}
"""Parameters with the values that ask for nothing; clients send them with every request."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An output that is asked for."""

    name: str
    parameters: Parameters = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InferRequest:
    """Tensors for a model, and which outputs are asked for: all that come by themselves where none is named."""

    inputs: Sequence[Tensor]
    outputs: Sequence[Wanted] = ()
    parameters: Parameters = field(default_factory=dict)
    id: str = ""

    @property
    def deadline(self) -> float | None:
        """The moment that its `timeout`, in microseconds, is over. Raises InvalidRequest."""
        timeout = self.parameters.get("timeout", 0)
        if isinstance(timeout, bool) or not isinstance(timeout, int) or timeout < 0:
            raise wrong("timeout", "must be a whole number of microseconds")
        return time.monotonic() + timeout / MICROSECONDS if timeout else None

    def check_parameters(self, known: Collection[str], of_inputs: Collection[str] = ()) -> None:
        """Raises InvalidRequest for a parameter that nobody here would heed."""
        _check(self.parameters, (*EVERYWHERE, *known), "this request")
        for given in self.inputs:
            _check(given.parameters, (*OF_INPUTS, *of_inputs), f"the input {given.name[:100]}")
        for wanted in self.outputs:
            _check(wanted.parameters, OF_OUTPUTS, f"the output {wanted.name[:100]}")

    def tensors(self, known: Collection[str]) -> dict[str, Tensor]:
        """The inputs by their names, each given once. Raises InvalidRequest for others."""
        return {given.name: given for given in _named_once(self.inputs, known, "input")}

    def wanted(self, known: Collection[str]) -> dict[str, Wanted]:
        """The outputs that are named, each once. Raises InvalidRequest for others."""
        return {wanted.name: wanted for wanted in _named_once(self.outputs, known, "output")}


def whole_number(name: str, array: Array) -> int:
    """The one whole number of a tensor. Raises InvalidRequest."""
    if array.size != 1 or array.dtype.kind not in "iu":
        raise wrong(name, "must be one whole number")
    return int(array.ravel()[0])


def truth(parameters: Parameters, name: str, *, otherwise: bool = False) -> bool:
    """A parameter that is true or false. Raises InvalidRequest."""
    value = parameters.get(name, otherwise)
    if not isinstance(value, bool):
        raise wrong(name, "must be true or false")
    return value


def natural(parameters: Parameters, name: str) -> int | None:
    """A parameter that is a whole number; None where it is not given. Raises InvalidRequest."""
    value = parameters.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise wrong(name, "must be a whole number")
    return value


def _check(given: Parameters, known: Collection[str], what: str) -> None:
    for name, value in given.items():
        if name in known or (name in NOTHING_SAID and value == NOTHING_SAID[name]):
            continue
        if name in NOTHING_SAID or name.startswith("shared_memory"):
            raise wrong(name, "no model here keeps a state or an order of its own, and memory is not shared")
        raise wrong(name, f"{what} has no such parameter; it has {', '.join(known)}")


def _named_once(given: Sequence[Named], known: Collection[str], kind: str) -> Sequence[Named]:
    names = [one.name for one in given]
    for name in names:
        if name not in known:
            raise wrong(name, f"the model has no such {kind}; it has {', '.join(known)}")
    if len(set(names)) != len(names):
        raise InvalidRequest(f"An {kind} is named twice.")
    return given
