"""The README's table of scores beside what was published, from the cards: what is here, and what made the weights.

python benchmarks/scores.py            # print the table
python benchmarks/scores.py --write    # put it into README.md in the place of the one that is there
"""

import argparse
import re
from pathlib import Path
from typing import NamedTuple

from service.settings import Settings
from service.store import Card, Model

README = Path(__file__).parents[1] / "README.md"
CHAPTERS = (4, 5)
HEAD = (
    "| model | accuracy | made by | published | to reach with the full recipe |",
    "|---|---|---|---|---|",
)
TABLE = re.compile(rf"^{re.escape(HEAD[0])}\n(?:\|.*\n)+", re.MULTILINE)


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


def table() -> str:
    """One row for every classifier of chapters 4 and 5 that has a card."""
    shipped = Settings().shipped_models_dir
    models = (Model(path.parent) for path in sorted(shipped.glob("*/card.json")))
    chosen = [model for model in models if model.manifest.task == "classify" and model.manifest.chapter in CHAPTERS]
    return "".join(f"{line}\n" for line in (*HEAD, *(row(model.id, model.card) for model in chosen if model.card)))


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


def written(readme: str) -> str:
    """The README with the table as it is now. Raises ValueError where it has none."""
    if not TABLE.search(readme):
        raise ValueError(f"README.md has no table that begins with {HEAD[0]}")
    return TABLE.sub(lambda _: table(), readme)


def main() -> None:
    """Print, or write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    if parser.parse_args().write:
        README.write_text(written(README.read_text("utf-8")), "utf-8")
    else:
        print(table(), end="")


if __name__ == "__main__":
    main()
