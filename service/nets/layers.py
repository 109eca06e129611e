"""What a net is made of, layer by layer: sizes, parameters, multiplications, receptive fields."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

Convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
Transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


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


@torch.no_grad()
def layer_table(net: nn.Module, example: Tensor) -> list[LayerRow]:
    """One row for each layer that has parameters or changes the shape, in the order of the forward pass.

    `example` is one item as a batch, (1, …). The receptive field, in pixels along one side of an image, is that of a
    chain of layers and None from the first transposed convolution on.
    """
    rows: list[LayerRow] = []
    field = _Field.of(example)

    def note(name: str, module: nn.Module) -> Any:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            field.pass_through(module)
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
        net.eval()(example)
    finally:
        net.train(training)
        for hook in hooks:
            hook.remove()
    return rows


@dataclass(slots=True)
class _Field:
    """How many input pixels one unit sees, and how far apart two neighbours look."""

    limit: int
    side: int | None
    step: int = 1

    @classmethod
    def of(cls, example: Tensor) -> "_Field":
        is_image = example.ndim == 4
        return cls(limit=example.shape[-1], side=1 if is_image else None)

    def pass_through(self, module: nn.Module) -> None:
        if self.side is None or isinstance(module, Transposed):
            self.side = None
            return
        kernel, stride = _sizes(module, "kernel_size"), _sizes(module, "stride")
        if kernel and stride:
            dilation = _sizes(module, "dilation") or (1,)
            self.side = min(self.limit, self.side + (kernel[-1] - 1) * dilation[-1] * self.step)
            self.step *= stride[-1]
        elif isinstance(module, nn.Linear):
            self.side = self.limit


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
