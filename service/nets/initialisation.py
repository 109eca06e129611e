"""How weights are drawn before training, as the papers say and as is done today."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn
from torch.overrides import TorchFunctionMode

from service.errors import InvalidManifest

LAYERS = (nn.Conv2d, nn.Linear)
DRAWS = frozenset({"normal_", "uniform_", "kaiming_normal_", "kaiming_uniform_", "xavier_normal_", "xavier_uniform_"})
"""Functions that fill a tensor which is there already."""


class Undrawn(TorchFunctionMode):
    """While it is entered, weights are left as memory has them: for nets whose weights are read from a file next."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Leave the tensor alone, or do anything else as ever."""
        kwargs = kwargs or {}
        if getattr(function, "__name__", "") in DRAWS:
            return args[0] if args else kwargs["tensor"]
        return function(*args, **kwargs)


def initialise_normal(net: nn.Module, std: float, *, bias: float = 0.0) -> None:
    """Every convolution's and dense layer's weights from N(0, std²), their biases at one value."""
    for module in net.modules():
        if isinstance(module, LAYERS):
            nn.init.normal_(module.weight, 0.0, std)
            if module.bias is not None:
                nn.init.constant_(module.bias, bias)


def initialise_kaiming(net: nn.Module) -> None:
    """N(0, 2 / fan-in), biases 0: He et al., ICCV 2015; keeps the signal's size through layers of ReLU."""
    for module in net.modules():
        if isinstance(module, LAYERS):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def initialise_xavier(net: nn.Module, *, bias: float = 0.0) -> None:
    """U(±√(6 / (fan-in + fan-out))): Glorot, Bengio, AISTATS 2010."""
    for module in net.modules():
        if isinstance(module, LAYERS):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.constant_(module.bias, bias)


def initialised_as_published(drawing: str) -> bool:
    """Whether `drawing` is `paper` rather than `kaiming`. Raises InvalidManifest for any other word."""
    if drawing not in ("kaiming", "paper"):
        raise InvalidManifest(f"There is no drawing called {drawing!r}; there are kaiming and paper.")
    return drawing == "paper"


def scaled(maps: int, width: float) -> int:
    """So many maps at this width, at least one."""
    return max(1, round(maps * width))
