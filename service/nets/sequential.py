"""Images read one part after another, by recurrent nets: Le, Jaitly, Hinton, arXiv 1504.00941, section 4.2."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from service.nets.clockwork import Clockwork
from service.nets.reservoir import Precision, Reservoir

View = Literal["rows", "pixels"]


def as_sequence(images: Tensor, view: View) -> Tensor:
    """Images (n, C, H, W) as sequences from top left on: of rows (n, H, W·C), or of pixels (n, H·W, C)."""
    lines = images.permute(0, 2, 3, 1)  # (n, H, W, C)
    return lines.flatten(2) if view == "rows" else lines.flatten(1, 2)


class EchoStateClassifier(nn.Module):
    """A reservoir that an image passes through, and a linear readout of `kept` of its states, the last among them.

    Takes images (n, C, H, W) whose rows have `inputs` numbers, or whose pixels have.
    """

    def __init__(
        self,
        *,
        view: View = "rows",
        inputs: int = 28,
        steps: int = 28,
        classes: int = 10,
        units: int = 500,
        spectral_radius: float = 0.9,
        leak: float = 0.5,
        input_scaling: float = 0.3,
        bias_scaling: float = 0.2,
        connections: int | None = 10,
        kept: int = 7,
        precision: Precision = "double",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.view = view
        self.reservoir = Reservoir(
            inputs=inputs,
            units=units,
            spectral_radius=spectral_radius,
            leak=leak,
            input_scaling=input_scaling,
            bias_scaling=bias_scaling,
            connections=connections,
            precision=precision,
            seed=seed,
        )
        self.looks = [steps * place // kept - 1 for place in range(1, kept + 1)]
        self.readout = nn.Linear(kept * units, classes)

    def features(self, x: Tensor) -> Tensor:
        """Images (n, C, H, W) to the states that are kept, (n, kept·units)."""
        states = self.reservoir(as_sequence(x, self.view))[:, self.looks, -self.reservoir.units :]
        return states.flatten(1).to(x.dtype)  # type: ignore[no-any-return]

    def head(self, features: Tensor) -> Tensor:
        """Logits (n, classes)."""
        return self.readout(features)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, C, H, W) to logits (n, classes)."""
        return self.head(self.features(x))


class ClockworkClassifier(nn.Module):
    """A Clockwork RNN that an image passes through, and a linear readout of what all modules end with."""

    def __init__(
        self,
        *,
        view: View = "rows",
        inputs: int = 28,
        classes: int = 10,
        units: int = 128,
        periods: Sequence[int] = (1, 2, 4, 8),
    ) -> None:
        super().__init__()
        self.view = view
        self.hidden = Clockwork(inputs=inputs, units=units, periods=periods)
        self.readout = nn.Linear(units, classes)

    def features(self, x: Tensor) -> Tensor:
        """Images (n, C, H, W) to the outputs of all modules after the last step, (n, units)."""
        return self.hidden(as_sequence(x, self.view))[:, -1]  # type: ignore[no-any-return]

    def head(self, features: Tensor) -> Tensor:
        """Logits (n, classes)."""
        return self.readout(features)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, C, H, W) to logits (n, classes)."""
        return self.head(self.features(x))
