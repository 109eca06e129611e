"""A program that torch.export wrote (.pt2) as a net, on whatever device the others are on."""

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from service.errors import UntrustedWeights
from service.nets.foreign import Foreign, Port
from service.nets.program_archive import HOW, clean_program

log = logging.getLogger(__name__)


class Program(Foreign):
    """What an exported program makes of its input, its outputs as the options of `Meaning` name them.

    Outputs that have no names are `output`, or `output_0`, `output_1` and so on. Raises UntrustedWeights for a file
    that is no such program or holds anything but tensors and ATen's operators; InvalidManifest where file and options
    do not fit.
    """

    def __init__(self, file: Path, **options: Any) -> None:
        program = _load(file)
        given, least = _given(program)
        super().__init__(file, given, _answered(program), options)
        self._program, self._least, self._device = program, least, torch.device("cpu")
        self.numbers = sum(tensor.numel() for tensor in program.parameters())
        self.module: nn.Module = program.module(check_guards=False)

    def answer(self, x: Tensor, wanted: Sequence[str]) -> list[Tensor]:
        """These outputs; of fewer rows than it was exported for, with zeros beside them."""
        short = max(0, self._least - len(x))
        found = self.module(torch.cat([x, x.new_zeros(short, *x.shape[1:])]) if short else x)
        outputs = dict(zip((port.name for port in self.answered), _flat(found), strict=True))
        return [outputs[name] for name in wanted]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:  # noqa: FBT001, FBT002 - torch's
        """Move it, and the devices that its operators name, to where `fn` brings tensors; precision stays."""
        del recurse
        device = fn(torch.zeros(0)).device
        if device != self._device:
            from torch.export.passes import move_to_device_pass  # which takes long to import

            self.module = move_to_device_pass(self._program, device).module(check_guards=False)
            self._device = device
        return self

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - as torch calls it
        """Nothing: a program has one mode, that in which it was exported."""
        del mode
        return self


def _load(file: Path) -> Any:
    """The program of a file. Raises UntrustedWeights."""
    copy = clean_program(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.load(copy)
    except Exception as error:
        log.debug("%s cannot be loaded", file, exc_info=True)
        why = f"torch {torch.__version__} cannot load it ({type(error).__name__}: {str(error)[:200]}). {HOW}"
        raise UntrustedWeights.of_file(file, why) from error
    program.example_inputs = None  # which were left out
    return program


def _given(program: Any) -> tuple[list[Port], int]:
    """What it takes, and how many rows at least."""
    names = set(program.graph_signature.user_inputs)
    values = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    rows = values[0].shape[0] if values and isinstance(values[0], Tensor) and values[0].ndim else 0
    known = program.range_constraints.get(rows.node.expr) if isinstance(rows, torch.SymInt) else None
    least = int(known.lower) if known is not None else 0
    return [_port(f"input_{place}", value) for place, value in enumerate(values)], least


def _answered(program: Any) -> list[Port]:
    [output] = [node for node in program.graph.nodes if node.op == "output"]
    mutated = len(program.graph_signature.output_specs) - len(program.graph_signature.user_outputs)
    values = [getattr(node, "meta", {}).get("val") for node in output.args[0][mutated:]]
    return [_port(name, value) for name, value in zip(_names(program, len(values)), values, strict=True)]


def _names(program: Any, count: int) -> list[str]:
    """The keys of a dict of outputs; else numbers, where there are several."""
    tree = program.call_spec.out_spec
    if tree.type is dict and len(tree.context) == count:
        return [str(key) for key in tree.context]
    return ["output"] if count == 1 else [f"output_{place}" for place in range(count)]


def _port(name: str, value: Any) -> Port:
    if not isinstance(value, Tensor):
        return Port(name, None, (), type(value).__name__)
    return Port(name, value.dtype, tuple(size if isinstance(size, int) else None for size in value.shape))


def _flat(found: Any) -> list[Tensor]:
    """The tensors of what a program answered, in their order."""
    if isinstance(found, Tensor):
        return [found]
    parts = found.values() if isinstance(found, Mapping) else found
    return [tensor for part in parts for tensor in _flat(part)]
