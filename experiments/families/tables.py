"""The tables of docs/nets/: what was trained, what papers print, what ideas are worth, what GANs leave out."""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from experiments.claims.__main__ import CLAIMS, MEASUREMENTS
from experiments.claims.claim import Comparison
from experiments.claims.document import anchor, both
from experiments.claims.record import Record
from experiments.collapse.__main__ import MEASUREMENTS as COLLAPSED
from experiments.collapse.document import coverage_cells, digit_cells
from experiments.collapse.record import Measurement, read_record
from experiments.collapse.tables import MNIST, TABLES, name_of
from experiments.families.words import Language
from experiments.in_full import table
from experiments.trainings import LENGTHS, counted
from service.nets.published import PUBLISHED
from service.settings import Settings
from service.store import Card, Model, ModelStore

PLACE = re.compile(r"^<!-- (\w+): ([\w. -]+) -->\n(?:\n?\|.*\n)*", re.MULTILINE)
"""Where a table stands: what it is of, and what is in it. The table that follows is written anew."""
POINTS = {table.key: table for table in TABLES if table is not MNIST}
LONG_S = 90
Rows = Iterator[tuple[str, ...]]


def written(page: str, language: Language) -> str:
    """A page with every table as it is now. Raises ValueError for a place of a kind that there is not."""

    def put(place: re.Match[str]) -> str:
        kind, wanted = place[1], place[2].split()
        if kind not in KINDS:
            raise ValueError(f"there are no tables of {kind}; there are {', '.join(KINDS)}")
        head, *rows = KINDS[kind](wanted, language)
        return f"<!-- {kind}: {place[2]} -->" + table(head, rows)

    return PLACE.sub(put, page)


def ideas(keys: Iterable[str], language: Language) -> Rows:
    """Sentences that were put to the test, and how that ended."""
    yield language.ideas
    record = Record(MEASUREMENTS)
    for claim in (CLAIMS[key] for key in keys):
        found = claim.found(record)
        title = f"[{language.title(claim.key, claim.title)}](../claims.md#{anchor(claim.title)})"
        for comparison in claim.comparisons:
            measured = both(comparison, found).replace("epochs", language.units["epochs"])
            yield title, _compared(comparison, language), measured, language.verdicts[comparison.judge(found)]
            title = ""


def _compared(comparison: Comparison, language: Language) -> str:
    this, that = language.variant(comparison.this), language.variant(comparison.that)
    words = language.against.format(this=this, that=that)
    if comparison.allowed is None:
        return words
    return language.allowed.format(compared=words, allowed=comparison.allowed)


def trained(model_ids: Iterable[str], language: Language) -> Rows:
    """Models of the store, by their cards."""
    yield language.trained
    for model_id in model_ids:
        model = _store().get(model_id)
        card = model.card
        assert card is not None, f"{model_id} has no card"
        scores = ", ".join(score_words(name, score.value, language) for name, score in card.scores.items())
        sizes = f"{card.parameters:,}", f"{card.macs:,}"
        yield f"`{model_id}`", language.dataset(model.manifest.dataset), *sizes, scores, made_words(card, language)


def score_words(name: str, value: float, language: Language) -> str:
    """A score of a card."""
    words = name.replace("_", " ")
    told = f"{100 * value:.2f} %" if name == "accuracy" else f"{value:.3g}"
    return f"{language.scores.get(words, words)} {told}"


def made_words(card: Card, language: Language) -> str:
    """What made the weights of a card, and in which time."""
    rounds = [f"{counted(card.recipe, unit)} {language.units[unit]}" for unit in LENGTHS if unit in card.recipe]
    comma = ", " if language.is_english else "，"
    is_long = card.seconds >= LONG_S
    time = (
        f"{card.seconds / 60:.0f} {language.units['min']}" if is_long else f"{card.seconds:.0f} {language.units['s']}"
    )
    return language.recipe.format(
        form=language.forms[card.recipe.get("form", "")],
        rounds="".join(f"{comma}{words}" for words in rounds),
        time=time,
        hardware=card.hardware if language.is_english else card.hardware.replace(" thread", " 线程"),
    )


def published(names: Iterable[str], language: Language) -> Rows:
    """Nets at the size of their papers, counted."""
    yield language.published
    for name in names:
        net = PUBLISHED[name]
        layers = net.layers()
        sizes = f"{sum(row.parameters for row in layers):,}", f"{sum(row.macs for row in layers):,}"
        yield f"`{name}`", "×".join(map(str, net.input)), *sizes


def modes(keys: Iterable[str], language: Language) -> Rows:
    """How many modes of a set of points each system covers."""
    [points] = [POINTS[key] for key in keys]
    yield tuple(words.format(modes=points.modes) for words in language.modes)
    for model, found in _measured(points.generators(_folder())):
        *cells, _, seeds, _ = coverage_cells(found, model.manifest.training.get("stack", 1), good=True)
        yield name_of(model), *cells, language.share(seeds)


def digits(_: Iterable[str], language: Language) -> Rows:
    """How each system draws digits."""
    yield language.digits
    for model, found in _measured(MNIST.generators(_folder())):
        assert found.digits is not None
        yield name_of(model), *digit_cells(found.digits)


def _measured(models: Iterable[Model]) -> Iterator[tuple[Model, Measurement]]:
    record = read_record(COLLAPSED)
    return ((model, record[model.id]) for model in models if model.id in record)


@lru_cache(maxsize=1)
def _store() -> ModelStore:
    return ModelStore(_folder())


def _folder() -> Path:
    return Settings().shipped_models_dir


KINDS: dict[str, Callable[[Iterable[str], Language], Rows]] = {
    "digits": digits,
    "ideas": ideas,
    "modes": modes,
    "published": published,
    "trained": trained,
}
