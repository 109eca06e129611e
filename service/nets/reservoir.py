"""The reservoir of echo state networks: Lukoševičius, A practical guide to applying Echo State Networks, 2012."""

import warnings
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from service.nets.pauses import PAUSE_STEPS, pause

Precision = Literal["single", "double"]

_DRAWN_APART = ("recurrent", "bias", "input")
"""Each kind of weight has a stream of its own, so that W stays the same whatever is fed in."""


def _uniform(seed: int, kind: str, place: int, count: int) -> NDArray[np.float64]:
    """Numbers of U(−1, 1) from raw words, whose stream numpy promises never to change."""
    words = np.random.PCG64([seed, _DRAWN_APART.index(kind), place]).random_raw(count)
    return ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-52 - 1.0


@lru_cache(maxsize=16)
def _recurrent(units: int, connections: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """W of spectral radius 1: the units that each unit hears, ascending, and how loudly; both (units, connections)."""
    order = np.argsort(_uniform(seed, "recurrent", 0, units * units).reshape(units, units), axis=1, kind="stable")
    places = np.sort(order[:, :connections], axis=1)
    values = _uniform(seed, "recurrent", 1, units * connections).reshape(units, connections)
    dense = np.zeros((units, units))
    np.put_along_axis(dense, places, values, axis=1)
    return places, values / np.abs(np.linalg.eigvals(dense)).max()


class Reservoir(nn.Module):
    """x(t) = (1−a)·x(t−1) + a·tanh(W·x(t−1) + b + W_in·v(t)), drawn from a seed and never trained.

    `spectral_radius` is W's alone, leak apart. With `connections`, each unit hears only so many others. States are
    float64; of single `precision`, float32, they are heard twice as fast, good enough to classify by but not for a
    readout that is to go on by itself.
    """

    def __init__(
        self,
        *,
        inputs: int = 1,
        units: int = 400,
        spectral_radius: float = 0.9,
        leak: float = 1.0,
        input_scaling: float = 1.0,
        bias_scaling: float = 0.2,
        connections: int | None = None,
        precision: Precision = "double",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.inputs, self.units, self.leak = inputs, units, leak
        self.size = 1 + inputs + units
        places, values = _recurrent(units, min(connections or units, units), seed)
        columns = [_uniform(seed, "input", place, units) * input_scaling for place in range(inputs)]
        bias = _uniform(seed, "bias", 0, units) * bias_scaling
        beside = np.stack([bias, *columns], axis=1)  # (N, 1 + inputs)
        weights = np.concatenate([spectral_radius * values, beside], axis=1, dtype=precision)
        self.entries = weights.size
        heard = np.concatenate([places, np.broadcast_to(units + np.arange(1 + inputs), beside.shape)], axis=1)
        self.register_buffer(
            "weights", _matrix(weights, heard, (units, self.size), dense=connections is None), persistent=False
        )

    weights: Tensor
    """[W b W_in], (N, F): what meets x(t−1), 1 and v(t)."""

    @torch.no_grad()
    def forward(self, v: Tensor, x: Tensor | None = None) -> Tensor:
        """Inputs (n, T, inputs), and x(0) (n, N) unless it is zero, to z(t) = [1, v(t), x(t)], (n, T, F)."""
        rows, steps, _ = v.shape
        # row t is [x(t−1), 1, v(t)], what W meets; from x(t−1) on, the next F numbers are z(t), what the readout meets
        tape = self.weights.new_empty(steps + 1, self.size, rows, layout=torch.strided)
        tape[:, self.units] = 1
        tape[:-1, self.units + 1 :] = v.permute(1, 2, 0)
        tape[0, : self.units] = 0 if x is None else x.T
        pause()
        if rows == 1 and tape.device.type == "cpu":
            self._walk_alone(tape[..., 0])
        else:
            self._walk(tape)
        z = tape.view(-1, rows)[self.units : self.units + steps * self.size]
        return z.view(steps, self.size, rows).permute(2, 0, 1)

    def _walk(self, tape: Tensor) -> None:
        """Fill in x(1) to x(T) of many series, (T + 1, F, n)."""
        a, move = self.activation(tape.shape[2])
        steps = zip(tape[:-1].unbind(), pairwise(tape[:, : self.units].unbind()), strict=True)
        for t, (met, (old, new)) in enumerate(steps):
            torch.mm(self.weights, met, out=a)
            move(old, new)
            if t % (PAUSE_STEPS // 8) == 0:
                pause()

    def _walk_alone(self, tape: Tensor) -> None:
        """The same for one series on a CPU, (T + 1, F): short vectors, for which numpy's calls take half of torch's."""
        heard = tape.new_empty(self.units)
        a = heard.numpy()
        steps = zip(tape[:-1].unbind(), pairwise(tape.numpy()[:, : self.units]), strict=True)
        for t, (met, (old, new)) in enumerate(steps):
            if t % PAUSE_STEPS == 0:
                pause()
            torch.mv(self.weights, met, out=heard)
            if self.leak == 1:
                np.tanh(a, new)
                continue
            np.tanh(a, a)
            np.subtract(a, old, a)
            np.multiply(a, self.leak, a)
            np.add(old, a, new)

    def activation(self, rows: int) -> tuple[Tensor, Callable[[Tensor, Tensor], object]]:
        """Room for what all units hear, (N, rows), and what makes of it and of x(t−1) the x(t), both (N, rows)."""
        a = self.weights.new_zeros(self.units, rows, layout=torch.strided)
        if a.device.type != "cpu":
            return a, lambda old, new: torch.lerp(old, a.tanh_(), self.leak, out=new)
        array = a.numpy()  # whose tanh takes a fifth of torch's time
        if self.leak == 1:
            return a, lambda _, new: np.tanh(array, new.numpy())

        def move(old: Tensor, new: Tensor) -> None:
            np.tanh(array, array)
            torch.lerp(old, a, self.leak, out=new)

        return a, move

    def count_macs(self, output: Tensor) -> int:
        """Multiply-accumulates of one series: of what each unit hears at every step, bias and inputs among it."""
        return output.shape[1] * self.entries


def _matrix(values: NDArray[np.floating], places: NDArray[np.int64], shape: tuple[int, int], *, dense: bool) -> Tensor:
    if dense:
        matrix = np.zeros(shape, dtype=values.dtype)
        np.put_along_axis(matrix, places, values, axis=1)
        return torch.from_numpy(matrix)
    starts = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    # 32-bit indices are what MKL reads; wider ones are converted anew in every product
    columns, entries = torch.from_numpy(places.astype(np.int32).ravel()), torch.from_numpy(values.ravel())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")  # products with vectors are not new
        return torch.sparse_csr_tensor(torch.from_numpy(starts), columns, entries, shape, check_invariants=False)
