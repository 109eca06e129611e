"""An optimiser's steps as functions of the gradient, so that a gradient flows through them."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

Weights = dict[str, Tensor]
TINY = 1e-30
"""Keeps the root of Adam's second moment differentiable where it is zero."""


class Rule(Protocol):
    """How weights and their gradients, by name, become the next weights."""

    @abstractmethod
    def step(self, weights: Weights, slopes: Weights) -> Weights:
        """The next weights, differentiable in both."""


class Descent:
    """Plain stochastic gradient descent."""

    def __init__(self, rate: float) -> None:
        self._rate = rate

    def step(self, weights: Weights, slopes: Weights) -> Weights:
        """θ − η g."""
        return {name: weight - self._rate * slopes[name] for name, weight in weights.items()}


class Adam:
    """Adam (Kingma and Ba, ICLR 2015, algorithm 1) from where an optimiser of torch stands, which stays there."""

    def __init__(self, group: Mapping[str, Any], state: Mapping[str, Mapping[str, Tensor]]) -> None:
        self._rate, self._epsilon, self._betas = group["lr"], group["eps"], group["betas"]
        self._t = {name: int(known["step"]) if known else 0 for name, known in state.items()}
        self._m = {name: known["exp_avg"].clone() if known else 0.0 for name, known in state.items()}
        self._v = {name: known["exp_avg_sq"].clone() if known else 0.0 for name, known in state.items()}

    def step(self, weights: Weights, slopes: Weights) -> Weights:
        """θ − η m̂ / (√v̂ + ε); moments go on from step to step with their gradients."""
        return {name: self._next(name, weight, slopes[name]) for name, weight in weights.items()}

    def _next(self, name: str, weight: Tensor, g: Tensor) -> Tensor:
        first, second = self._betas
        self._t[name] += 1
        m = self._m[name] = first * self._m[name] + (1 - first) * g
        v = self._v[name] = second * self._v[name] + (1 - second) * g * g
        m_hat = m / (1 - first ** self._t[name])
        v_hat = v / (1 - second ** self._t[name])
        following: Tensor = weight - self._rate * m_hat / (v_hat.clamp_min(TINY).sqrt() + self._epsilon)
        return following


def unrolls(optimiser: type[torch.optim.Optimizer]) -> bool:
    """Whether an optimiser of this kind has a rule here."""
    return optimiser in (torch.optim.Adam, torch.optim.SGD)


def rule_of(optimiser: torch.optim.Optimizer, weights: Mapping[str, nn.Parameter]) -> Rule:
    """The rule of an optimiser of torch over these weights, from where it stands: Adam, or SGD without momentum."""
    (group,) = optimiser.param_groups
    if isinstance(optimiser, torch.optim.SGD):
        assert not group["momentum"]
        return Descent(group["lr"])
    return Adam(group, {name: optimiser.state.get(weight, {}) for name, weight in weights.items()})
