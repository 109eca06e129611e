"""The multi-layer perceptron of LeCun, Bottou, Bengio, Haffner, Proc. IEEE 1998, section III-C: 784-300-100-10."""

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from service.nets.activations import build_activation


class MLP(nn.Module):
    """Images (n, …) of `inputs` numbers to logits (n, classes), through hidden layers of the paper's scaled tanh."""

    def __init__(
        self,
        *,
        inputs: int = 784,
        hidden: Sequence[int] = (300, 100),
        classes: int = 10,
        activation: str = "squash",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.body = nn.Sequential()
        for place, (fan_in, units) in enumerate(itertools.pairwise((inputs, *hidden)), start=1):
            self.body.add_module(f"dense{place}", nn.Linear(fan_in, units))
            self.body.add_module(f"{activation}{place}", build_activation(activation))
            if dropout:
                self.body.add_module(f"dropout{place}", nn.Dropout(dropout))
        self.output = nn.Linear((inputs, *hidden)[-1], classes)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                bound = 2.4 / layer.in_features  # appendix A
                nn.init.uniform_(layer.weight, -bound, bound)
                nn.init.uniform_(layer.bias, -bound, bound)

    def features(self, x: Tensor) -> Tensor:
        """The last hidden layer, (n, hidden[-1])."""
        hidden: Tensor = self.body(x.flatten(1))
        return hidden

    def head(self, features: Tensor) -> Tensor:
        """Logits (n, classes)."""
        logits: Tensor = self.output(features)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes)."""
        return self.head(self.features(x))
