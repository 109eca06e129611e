"""What was measured while a net was trained: a file of JSON lines that stops and goes on with the checkpoint."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

FILE = "history.jsonl"
Row = dict[str, float]


class TrainingHistory:
    """Rows of numbers by name, one a line. Measures of single iterations are summed up until the next row, as means.

    The checkpoint keeps how long the file was, so that a resumed training writes on from there and ends with the same
    file as one that was never stopped.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._length = 0
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, **measures: Tensor) -> None:
        """Measures of one iteration; they stay on their device until the row is written."""
        for name, value in measures.items():
            value = value.detach().double()
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] = self._counts.get(name, 0) + 1

    def write(self, step: int, **measures: float) -> Row:
        """Write the row of a step: the means since the last row, and these."""
        means = {name: float(total) / self._counts[name] for name, total in self._sums.items()}
        self._sums, self._counts = {}, {}
        row: Row = {"step": step, **means, **measures}
        # JSON has no infinities and no NaN.
        line = json.dumps({name: value if math.isfinite(value) else str(value) for name, value in row.items()}) + "\n"
        with self.path.open("r+b" if self.path.exists() else "w+b") as file:
            file.truncate(self._length)
            file.seek(self._length)
            file.write(line.encode())
            self._length = file.tell()
        return row

    def rows(self) -> list[Row]:
        """All rows so far, in order."""
        return read_history(self.path) if self._length else []

    def state_dict(self) -> dict[str, Any]:
        """How long the file is, and what is not in it yet."""
        return {"length": self._length, "sums": dict(self._sums), "counts": dict(self._counts)}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Take it back: what the file holds beyond is written anew."""
        self._sums, self._counts = dict(state_dict["sums"]), dict(state_dict["counts"])
        self._length = min(state_dict["length"], self.path.stat().st_size) if self.path.exists() else 0
        if self._length:
            with self.path.open("r+b") as file:
                file.truncate(self._length)


def read_history(path: Path) -> list[Row]:
    """The rows of a history, in order; what was not finite is again."""
    rows = (json.loads(line) for line in path.read_text("utf-8").splitlines())
    return [{name: float(value) for name, value in row.items()} for row in rows]


def gradient_norm(net: torch.nn.Module) -> Tensor:
    """‖∇‖₂ over all parameters that have a gradient."""
    return torch.nn.utils.get_total_norm([weight.grad for weight in net.parameters() if weight.grad is not None])
