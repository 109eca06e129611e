"""The tables of docs/models.md, in both languages: models, and their scores beside what was published.

python -m experiments.scores            # print the tables
python -m experiments.scores --write    # put them into the pages in the place of those that are there
"""

import argparse
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from experiments import chinese
from experiments.families.tables import made_words, score_words
from experiments.families.words import CHINESE, ENGLISH, LANGUAGES, Language
from service.datasets.registry import STACKED
from service.settings import Settings
from service.store import Card, Model, ModelStore

DOCS = Path(__file__).parents[1] / "docs"
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
    rows: Callable[[Language], Iterator[tuple[str, ...]]]
    language: Language

    def __str__(self) -> str:
        rule = "|" + (self.head.count("|") - 1) * "---|"
        rows = (f"| {' | '.join(cells)} |" for cells in self.rows(self.language))
        return "".join(f"{line}\n" for line in (self.head, rule, *rows))

    def put_into(self, page: str) -> str:
        """The page with this table as it is now. Raises ValueError where it has none."""
        place = re.compile(rf"^{re.escape(self.head)}\n(?:\|.*\n)+", re.MULTILINE)
        if not place.search(page):
            raise ValueError(f"{page_of(self.language)} has no table that begins with {self.head}")
        return place.sub(lambda _: str(self), page)


def page_of(language: Language) -> Path:
    """The page in one language."""
    return DOCS / f"models{language.suffix}.md"


def _shipped() -> list[Model]:
    """Every model that has weights, by chapter."""
    store = ModelStore(Settings().shipped_models_dir)
    return sorted(map(store.get, store.ids()), key=lambda model: model.manifest.chapter)


def model_rows(language: Language) -> Iterator[tuple[str, ...]]:
    """One for every model but those that `docs/mode-collapse.md` is about: points in the plane and stacked digits."""
    for model in _shipped():
        manifest, scores = model.manifest, model.card.scores if model.card else {}
        if manifest.points is None and manifest.dataset not in STACKED:
            told = ", ".join(score_words(name, score.value, language) for name, score in scores.items())
            summary = manifest.summary if language is ENGLISH else chinese.SUMMARIES.get(model.id, manifest.summary)
            yield f"`{model.id}`", str(manifest.chapter), summary, told


def score_rows(language: Language) -> Iterator[tuple[str, ...]]:
    """One for every classifier of chapters 4 and 5 that has a card."""
    for model in _shipped():
        if model.card and model.manifest.task == "classify" and model.manifest.chapter in CHAPTERS:
            yield row(model.id, model.card, language)


def row(model_id: str, card: Card, language: Language = ENGLISH) -> tuple[str, ...]:
    """A model's accuracy, recipe and time, beside what was published."""
    published, goal = REPORTED.get(model_id, Reported())
    if language is CHINESE:
        published = chinese.REPORTED.get(published, published)
    accuracy = f"{100 * card.scores['accuracy'].value:.2f} %"
    return f"`{model_id}`", accuracy, made_words(card, language), published or "–", goal or "–"


HEADS = {
    ENGLISH.suffix: (
        "| id | chapter | what | score on data that training never saw |",
        "| model | accuracy | made by | published | to reach with the full recipe |",
    ),
    CHINESE.suffix: (
        "| id | 章 | 内容 | 在训练未见过的数据上的分数 |",
        "| 模型 | 准确率 | 训练 | 已发表 | 完整方案的目标 |",
    ),
}
"""The first lines of the tables in each language."""


def tables(language: Language) -> tuple[Table, Table]:
    """Both tables of a page."""
    models, scores = HEADS[language.suffix]
    return Table(models, model_rows, language), Table(scores, score_rows, language)


def written(page: str, language: Language) -> str:
    """The page with every table as it is now. Raises ValueError where it lacks one."""
    for table in tables(language):
        page = table.put_into(page)
    return page


def main() -> None:
    """Print, or write."""
    parser = argparse.ArgumentParser(prog="python -m experiments.scores")
    parser.add_argument("--write", action="store_true", help="put them into the pages")
    is_to_write = parser.parse_args().write
    for language in LANGUAGES:
        page = page_of(language)
        if is_to_write:
            page.write_text(written(page.read_text("utf-8"), language), "utf-8")
        else:
            print(*tables(language), sep="\n")


if __name__ == "__main__":
    main()
