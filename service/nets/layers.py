"""What a net is made of, layer by layer: sizes, parameters, multiplications, receptive fields."""

from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from operator import mul
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

Convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
Transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
Pair = tuple[int, ...]
"""Down the image and across."""


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer; sizes are those of one item, without the batch."""

    name: str
    kind: str
    kernel: tuple[int, ...] | None
    stride: tuple[int, ...] | None
    output: tuple[int, ...]
    parameters: int
    macs: int
    receptive_field: int | None


@runtime_checkable
class CountsMacs(Protocol):
    """A layer of our own that multiplies, and says how often."""

    def count_macs(self, output: Tensor) -> int:
        """Multiply-accumulates of one item."""
        ...


def count_parameters(module: nn.Module) -> int:
    """Trainable numbers; buffers are not among them."""
    return sum(parameter.numel() for parameter in module.parameters())


def count_macs(net: nn.Module, example: Tensor) -> int:
    """Multiply-accumulates of one item in convolutions, dense layers and distances; additions are none."""
    return sum(row.macs for row in layer_table(net, example))


def side_after(side: int, kernel: int, stride: int, padding: int = 0, *, ceil: bool = False) -> int:
    """The side of a map behind a convolution or a pool; `ceil` as in `nn.MaxPool2d(ceil_mode=True)`."""
    span = side + 2 * padding - kernel
    steps = -(-span // stride) if ceil else span // stride
    if ceil and steps * stride >= side + padding:  # torch lets no window begin in the padding
        steps -= 1
    return steps + 1


@torch.no_grad()
def layer_table(net: nn.Module, example: Tensor) -> list[LayerRow]:
    """One row for each layer that has parameters or changes the shape, in the order of the forward pass.

    `example` is one item as a batch, (1, …); net and example may lie on the meta device. The receptive field, in pixels
    along the longer of its two sides, is the largest of any way from the input to the layer, and None from the first
    transposed convolution on.
    """
    rows: list[LayerRow] = []
    fields = _Fields(example)

    def note(name: str, module: nn.Module) -> Any:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            field = fields.pass_through(module, inputs[0], output)
            parameters = count_parameters(module)
            if parameters or output.shape != inputs[0].shape:
                rows.append(
                    LayerRow(
                        name=name,
                        kind=type(module).__name__,
                        kernel=_sizes(module, "kernel_size"),
                        stride=_sizes(module, "stride"),
                        output=tuple(output.shape[1:]),
                        parameters=parameters,
                        macs=_macs(module, inputs[0], output),
                        receptive_field=field.side,
                    )
                )

        return hook

    leaves = [(name, module) for name, module in net.named_modules() if not any(module.children())]
    hooks = [module.register_forward_hook(note(name, module)) for name, module in leaves]
    training = net.training
    try:
        with fields:
            net.eval()(example)
    finally:
        net.train(training)
        for hook in hooks:
            hook.remove()
    return rows


class _Field(NamedTuple):
    """How many input pixels one unit sees, down and across, and how far apart two neighbours look."""

    sides: Pair | None
    steps: Pair = (1, 1)

    @property
    def side(self) -> int | None:
        """The longer side."""
        return None if self.sides is None else max(self.sides)

    def widened(self, kernel: Pair, stride: Pair, dilation: Pair, limits: Pair) -> "_Field":
        """That of a unit behind a convolution or a pool, within the image."""
        assert self.sides is not None
        axes = zip(self.sides, self.steps, kernel, dilation, limits, strict=True)
        sides = [min(limit, side + (size - 1) * spread * step) for side, step, size, spread, limit in axes]
        return _Field(tuple(sides), tuple(map(mul, self.steps, stride)))


class _Fields(TorchFunctionMode):
    """The field of every tensor that comes out of a forward pass: the largest of those that went into it.

    So that sums and concatenations of branches are followed, too.
    """

    def __init__(self, example: Tensor) -> None:
        super().__init__()
        is_image = example.ndim == 4
        self._limits = tuple(example.shape[-2:])
        self._known: MutableMapping[Tensor, _Field] = WeakTensorKeyDictionary()
        self._known[example] = _Field((1, 1) if is_image else None)

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

    def pass_through(self, module: nn.Module, x: Tensor, y: Tensor) -> _Field:
        """The field of what a layer makes of `x`."""
        field = self._known.get(x, _Field(None))
        kernel, stride = _sizes(module, "kernel_size"), _sizes(module, "stride")
        if field.sides is None or isinstance(module, Transposed):
            field = _Field(None)
        elif kernel and stride:
            field = field.widened(kernel, stride, _sizes(module, "dilation") or (1, 1), self._limits)
        elif isinstance(module, (nn.Linear, nn.AdaptiveAvgPool2d)):
            field = _Field(self._limits, field.steps)
        self._known[y] = field
        return field


def _union(fields: Sequence[_Field]) -> _Field:
    """What a unit sees that is made of units with these fields, one inside the other."""
    known = [field.sides for field in fields if field.sides is not None]
    if len(known) < len(fields):
        return _Field(None)
    return _Field(_largest(known), _largest([field.steps for field in fields]))


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


def _sizes(module: nn.Module, name: str) -> tuple[int, ...] | None:
    value = getattr(module, name, None)
    if isinstance(value, int):
        return (value, value)
    return tuple(value) if isinstance(value, tuple) else None


def _macs(module: nn.Module, x: Tensor, y: Tensor) -> int:
    if isinstance(module, CountsMacs):
        return module.count_macs(y)
    if isinstance(module, Convolution):
        return module.weight.numel() * y[0, 0].numel()
    if isinstance(module, Transposed):
        return module.weight.numel() * x[0, 0].numel()
    if isinstance(module, nn.Linear):
        return module.weight.numel() * (y[0].numel() // module.out_features)
    return 0
