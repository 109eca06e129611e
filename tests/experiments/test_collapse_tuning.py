"""What was tried for recipes of points is kept, shown, and done with a recipe that is one."""

from pathlib import Path

from experiments.collapse.tuning import Tried, ending_of, read_tried, tell
from service.settings import Settings
from service.store import Model
from service.training.adversarial.recipe import AdversarialRecipe
from service.training.registry import REDUCED

STORE = Settings().shipped_models_dir


def recipe_of(model_id: str) -> dict[str, object]:
    training = Model(STORE / model_id).manifest.training
    return {name: value for name, value in training.items() if name != REDUCED}


def test_everything_that_was_tried_is_a_recipe_of_a_model_that_is_there() -> None:
    for tried in read_tried():
        AdversarialRecipe.model_validate(recipe_of(tried.model) | tried.changes)


def test_a_row_says_what_was_changed_as_a_recipe_would() -> None:
    changes = {"system_options": {"penalty": 0.1}, "betas": [0.0, 0.9]}
    tried = Tried(model="dragan-ring", changes=changes, seeds=5, iterations=25_000, modes=8, good=0.96)
    *_, row = tell([tried])
    changed = "`system_options = { penalty = 0.1 }`, `betas = [0.0, 0.9]`"
    assert row == f"| `dragan-ring` | {changed} | 5 | 25,000 | 8.0 | 96.0 % |"


def test_a_training_ends_with_the_numbers_of_each() -> None:
    short = {"iterations": 4, "stack": 2, "seed": 101, "appraised": {"every": 4}}
    ending = ending_of(recipe_of("gan-ring") | short, Model(STORE / "gan-ring").manifest, Path())
    assert ending["step"] == 4
    assert {"modes", "good", "modes_of_0", "modes_of_1"} <= ending.keys()


def test_nothing_is_read_where_nothing_was_tried(tmp_path: Path) -> None:
    assert read_tried(tmp_path / "nothing.jsonl") == []
