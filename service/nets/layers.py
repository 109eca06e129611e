"""What a net is made of, layer by layer: sizes, parameters, multiplications, receptive fields."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from service.nets.fields import Fields, Transposed, sizes_of

Convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


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
    fields = Fields(example)

    def note(name: str, module: nn.Module) -> Any:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            field = fields.pass_through(module, inputs[0], output)
            parameters = count_parameters(module)
            if parameters or output.shape != inputs[0].shape:
                rows.append(
                    LayerRow(
                        name=name,
                        kind=type(module).__name__,
                        kernel=sizes_of(module, "kernel_size"),
                        stride=sizes_of(module, "stride"),
                        output=tuple(output.shape[1:]),
                        parameters=parameters,
                        macs=_macs(module, inputs[0], output),
                        receptive_field=fields.side(field),
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
