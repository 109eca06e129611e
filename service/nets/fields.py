"""How much of an image each unit of a net sees, and where: receptive fields, followed through a forward pass."""

from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from operator import mul
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

Transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
Pair = tuple[int, ...]
"""Down the image and across."""


class Field(NamedTuple):
    """How many input pixels a unit sees, how far apart two neighbours look, and where the first one begins.

    Down the image and across; a field may reach into the padding, so that it begins before the image or ends behind it.
    """

    sides: Pair | None
    steps: Pair = (1, 1)
    starts: Pair = (0, 0)

    def widened(self, kernel: Pair, stride: Pair, dilation: Pair, padding: Pair) -> "Field":
        """That of a unit behind a convolution or a pool."""
        assert self.sides is not None
        axes = zip(self.sides, self.steps, kernel, dilation, strict=True)
        sides = tuple(side + (size - 1) * spread * step for side, step, size, spread in axes)
        starts = tuple(
            start - before * step for start, step, before in zip(self.starts, self.steps, padding, strict=True)
        )
        return Field(sides, tuple(map(mul, self.steps, stride)), starts)


class Fields(TorchFunctionMode):
    """The field of every tensor that comes out of a forward pass: all that those see that went into it.

    So that sums and concatenations of branches are followed, too.
    """

    def __init__(self, example: Tensor) -> None:
        super().__init__()
        is_image = example.ndim == 4
        self.limits = tuple(example.shape[-2:])
        self._known: MutableMapping[Tensor, Field] = WeakTensorKeyDictionary()
        self._known[example] = Field((1, 1) if is_image else None)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call the function, and hand the fields of what goes in to what comes out."""
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            given = [self._known[tensor] for tensor in _tensors(args) if tensor in self._known]
            if given:
                self._known[result] = _union(given)
        return result

    def pass_through(self, module: nn.Module, x: Tensor, y: Tensor) -> Field:
        """The field of what a layer makes of `x`."""
        field = self._known.get(x, Field(None))
        kernel, stride = sizes_of(module, "kernel_size"), sizes_of(module, "stride")
        if field.sides is None or isinstance(module, Transposed):
            field = Field(None)
        elif kernel and stride:
            dilation, padding = sizes_of(module, "dilation") or (1, 1), sizes_of(module, "padding") or (0, 0)
            field = field.widened(kernel, stride, dilation, padding)
        elif isinstance(module, (nn.Linear, nn.AdaptiveAvgPool2d)):
            field = Field(self.limits, field.steps)
        self._known[y] = field
        return field

    def side(self, field: Field) -> int | None:
        """The longer side of a field, within the image."""
        return None if field.sides is None else max(map(min, field.sides, self.limits))


def receptive_fields(net: nn.Module, example: Tensor) -> dict[str, Field]:
    """The field of each layer of a net that is in evaluation mode, by its name; `example` is one item, (1, …)."""
    found: dict[str, Field] = {}
    fields = Fields(example)

    def note(name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            found[name] = fields.pass_through(module, inputs[0], output)

        return hook

    leaves = [(name, module) for name, module in net.named_modules() if not any(module.children())]
    hooks = [module.register_forward_hook(note(name)) for name, module in leaves]
    try:
        with torch.no_grad(), fields:
            net(example)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def sizes_of(module: nn.Module, name: str) -> Pair | None:
    """A size of a layer, down and across; None for a layer without it."""
    value = getattr(module, name, None)
    if isinstance(value, int):
        return (value, value)
    return tuple(value) if isinstance(value, tuple) else None


def _union(fields: Sequence[Field]) -> Field:
    """What a unit sees that is made of units with these fields."""
    known = [field for field in fields if field.sides is not None]
    if len(known) < len(fields):
        return Field(None)
    starts = tuple(map(min, zip(*(field.starts for field in known), strict=True)))
    ends = [tuple(map(sum, zip(field.starts, field.sides or (), strict=True))) for field in known]
    sides = tuple(end - start for start, end in zip(starts, _largest(ends), strict=True))
    return Field(sides, _largest([field.steps for field in fields]), starts)


def _largest(pairs: Sequence[Pair]) -> Pair:
    """Down the largest of all, and across."""
    return tuple(map(max, zip(*pairs, strict=True)))


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    """The tensors among arguments, also those in a list or tuple."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)
