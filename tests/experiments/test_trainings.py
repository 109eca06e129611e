"""docs/training.md is what the recipes and the cards say."""

from experiments.trainings import NEVER, PAGE, render
from service.settings import Settings
from service.store import ModelStore


def test_the_page_is_what_the_recipes_and_the_cards_say() -> None:
    page = render(ModelStore(Settings().shipped_models_dir))
    assert page == PAGE.read_text("utf-8"), "`python -m experiments.trainings --write` puts it right"


def test_every_recipe_says_how_long_it_takes_or_that_nobody_knows() -> None:
    rows = [row.split(" | ") for row in PAGE.read_text("utf-8").splitlines() if row.startswith("| `")]
    assert len({row[0] for row in rows}) > 40
    assert all(time.endswith(("thread)", "threads)")) or time == NEVER for row in rows for time in (row[4],))
