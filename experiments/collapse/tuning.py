"""Recipes of points with something changed, on a seed that no table shows: how the shipped ones were chosen.

    python -m experiments.collapse.tuning MODEL CHANGES [--iterations N] [--seeds N]

CHANGES is JSON, such as '{"betas": [0.0, 0.9]}'. What comes of it is a line of docs/mode-collapse-tuning.jsonl, which
docs/mode-collapse.md shows. A training takes minutes and cannot be resumed.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from experiments.collapse.points import train_points
from service.settings import Settings
from service.store import Manifest, Model
from service.training.registry import REDUCED

DOCS = Path(__file__).parents[2] / "docs"
TRIED = DOCS / "mode-collapse-tuning.jsonl"
SEED = 101


class Tried(BaseModel):
    """A recipe with something changed, and what it came to: means over some trainings side by side."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    changes: dict[str, Any]
    """To the recipe as it was then; beside them it is the one that is shipped."""
    seeds: int
    iterations: int
    modes: float
    good: float

    @property
    def changed(self) -> str:
        """What was changed, as a recipe would write it."""
        return ", ".join(f"`{name} = {_written(value)}`" for name, value in self.changes.items()) or "nothing"


def ending_of(recipe: Mapping[str, Any], manifest: Manifest, data_dir: Path) -> dict[str, float]:
    """Train points, and what was measured last. Raises TrainingFailed."""
    return train_points(recipe, manifest, data_dir)[0]


def read_tried(path: Path = TRIED) -> list[Tried]:
    """Everything that was tried, in order."""
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    return [Tried.model_validate_json(line) for line in lines]


def tell(tried: list[Tried]) -> Iterator[str]:
    """The rows of a table."""
    yield "| model | changed | seeds | iterations | modes | good samples |"
    yield "|---|---|---|---|---|---|"
    for one in sorted(tried, key=lambda one: one.model):
        reached = f"{one.modes:.1f} | {100 * one.good:.1f} %"
        yield f"| `{one.model}` | {one.changed} | {one.seeds} | {one.iterations:,} | {reached} |"


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{name} = {_written(inner)}' for name, inner in value.items())} }}"
    return json.dumps(value)


def main() -> None:
    """Train one, and write down what came of it."""
    parser = argparse.ArgumentParser(prog="python -m experiments.collapse.tuning")
    parser.add_argument("model")
    parser.add_argument("changes", type=json.loads)
    parser.add_argument("--iterations", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=4, help="trainings side by side")
    given = parser.parse_args()
    torch.set_num_threads(1)
    settings = Settings()
    manifest = Model(settings.shipped_models_dir / given.model).manifest
    recipe = {name: value for name, value in manifest.training.items() if name != REDUCED}
    recipe |= {**given.changes, "iterations": given.iterations, "stack": given.seeds, "seed": SEED}
    ending = ending_of(recipe, manifest, settings.data)
    found = Tried(
        model=given.model,
        changes=given.changes,
        seeds=given.seeds,
        iterations=given.iterations,
        modes=round(ending["modes"], 4),
        good=round(ending["good"], 4),
    )
    with TRIED.open("a", encoding="utf-8") as file:
        file.write(f"{found.model_dump_json()}\n")
    print(f"{given.model}: {found.modes:g} modes, {found.good:.1%} good")


if __name__ == "__main__":
    main()
