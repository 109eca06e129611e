"""The tables of docs/models.md: models, and scores beside what was published, from the manifests and the cards.

python experiments/scores.py            # print the tables
python experiments/scores.py --write    # put them into docs/models.md in the place of those that are there
"""

import argparse
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from service.datasets.registry import STACKED
from service.settings import Settings
from service.store import Card, Model, ModelStore

PAGE = Path(__file__).parents[1] / "docs" / "models.md"
CHAPTERS = (4, 5)


class Reported(NamedTuple):
    """What others report on the same data, and what the full recipe is to reach; in words, empty where nobody says."""

    published: str = ""
    goal: str = ""


REPORTED: dict[str, Reported] = {
    "alexnet-cifar10": Reported(
        "89 % (a four-layer net of the paper with response normalisation, section 3.3)", "87 %"
    ),
    "googlenet-cifar10": Reported("", "92 %"),
    "lenet5-mnist": Reported("99.05 %, 99.2 % with distortions (LeCun et al. 1998)"),
    "mlp-mnist": Reported("96.95 % (LeCun et al. 1998)"),
    "mobilenet-cifar10": Reported("", "92 %"),
    "nin-cifar10": Reported("91.19 % (Lin et al. 2014, table 1)", "91.2 %"),
    "nin-mnist": Reported("99.53 % (Lin et al. 2014, table 4)", "99.5 %"),
    "vgg16-bn-cifar10": Reported("94.16 % (chenyaofo's re-implementation, full width)", "93 %"),
    "xception-cifar10": Reported("94.56 % (dyfcalid's re-implementation of 1.36 M parameters)", "93.5 %"),
    "zfnet-cifar10": Reported("", "87 %"),
}


class Table(NamedTuple):
    """A table of the page, which its first line tells from all others."""

    head: str
    rows: Callable[[], Iterator[str]]

    def __str__(self) -> str:
        rule = "|" + (self.head.count("|") - 1) * "---|"
        return "".join(f"{line}\n" for line in (self.head, rule, *self.rows()))

    def put_into(self, page: str) -> str:
        """The page with this table as it is now. Raises ValueError where it has none."""
        place = re.compile(rf"^{re.escape(self.head)}\n(?:\|.*\n)+", re.MULTILINE)
        if not place.search(page):
            raise ValueError(f"docs/models.md has no table that begins with {self.head}")
        return place.sub(lambda _: str(self), page)


def _shipped() -> list[Model]:
    """Every model that has weights, by chapter."""
    store = ModelStore(Settings().shipped_models_dir)
    return sorted(map(store.get, store.ids()), key=lambda model: model.manifest.chapter)


def model_rows() -> Iterator[str]:
    """One for every model but those that `docs/mode-collapse.md` is about: points in the plane and stacked digits."""
    for model in _shipped():
        manifest, scores = model.manifest, model.card.scores if model.card else {}
        if manifest.points is None and manifest.dataset not in STACKED:
            told = ", ".join(_phrase(name, score.value) for name, score in scores.items())
            yield f"| `{model.id}` | {manifest.chapter} | {manifest.summary} | {told} |"


def _phrase(name: str, value: float) -> str:
    return f"{name.replace('_', ' ')} " + (f"{100 * value:.2f} %" if name == "accuracy" else f"{value:.3g}")


def score_rows() -> Iterator[str]:
    """One for every classifier of chapters 4 and 5 that has a card."""
    for model in _shipped():
        if model.card and model.manifest.task == "classify" and model.manifest.chapter in CHAPTERS:
            yield row(model.id, model.card)


def row(model_id: str, card: Card) -> str:
    """A model's accuracy, recipe and time, beside what was published."""
    accuracy = card.scores["accuracy"]
    form = {"full": "the full recipe", "reduced": "the reduced recipe"}.get(card.recipe.get("form", ""), "its recipe")
    epochs = card.recipe.get("epochs")
    made = f"{form}, {epochs} epochs, {_duration(card.seconds)}" if epochs else form
    published, goal = REPORTED.get(model_id, Reported())
    cells = (f"`{model_id}`", f"{100 * accuracy.value:.2f} %", f"{made} on {card.hardware}", published, goal)
    return f"| {' | '.join(cell or '–' for cell in cells)} |"


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


TABLES = (
    Table("| id | chapter | what | score on data that training never saw |", model_rows),
    Table("| model | accuracy | made by | published | to reach with the full recipe |", score_rows),
)


def written(page: str) -> str:
    """The page with every table as it is now. Raises ValueError where it lacks one."""
    for table in TABLES:
        page = table.put_into(page)
    return page


def main() -> None:
    """Print, or write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put them into docs/models.md")
    if parser.parse_args().write:
        PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
    else:
        print(*TABLES, sep="\n", end="")


if __name__ == "__main__":
    main()
