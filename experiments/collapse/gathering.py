"""From the store and the histories of trainings to measurements, of as many generators as have weights."""

import itertools
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Protocol

from experiments.collapse.correlation import correlate
from experiments.collapse.record import Coverage, Digits, Measurement, Record, Spread, Stack
from experiments.collapse.tables import MNIST, STACKED, TABLES
from service.store import Card, Model
from service.training.history import FILE, Row, read_history


class Examiner(Protocol):
    """Whoever judges digits."""

    @property
    def seen_by(self) -> str:
        """Whose eyes these are: what other ones saw is looked at again."""
        ...

    async def look(self, model: Model) -> Digits:
        """What a generator's images are worth."""
        ...

    async def look_at_stack(self, model: Model) -> Stack:
        """What the three digits of a generator's images are worth."""
        ...


async def gather(
    store: Path, state: Path, known: Record, examiner: Examiner
) -> AsyncIterator[tuple[Model, Measurement]]:
    """Measure every generator that has weights and a card, in the order of the tables.

    What needs images is not measured again where the same eyes saw those of the same weights, and what is known of a
    history stays where the history is gone.
    """
    for table in TABLES:
        for model in table.generators(store):
            card = model.card
            if card is None or not model.weights.is_file():
                continue
            found = Measurement.begun(model.id, card)
            before = known.get(model.id)
            if before is not None and before.weights != found.weights:
                before = None
            rows = read_ended(model.id, card, state)
            correlation = correlate(rows) or (before.correlation if before else None)
            if table is MNIST:
                digits = before.digits if before else None
                if digits is None or digits.seen_by != examiner.seen_by:
                    digits = await examiner.look(model)
                yield model, found.model_copy(update={"digits": digits, "correlation": correlation})
                continue
            covering: dict[str, object] = {"coverage": coverage_of(card, rows)}
            if table is STACKED:
                stack = before.stack if before else None
                covering["stack"] = (
                    stack if stack and stack.seen_by == examiner.seen_by else await examiner.look_at_stack(model)
                )
            yield model, found.model_copy(update=covering)


def read_ended(model_id: str, card: Card, state: Path) -> list[Row]:
    """The history of the training in the state directory; nothing where it is not there, or has not ended."""
    form = card.recipe.get("form", "full")
    path = state / "training" / (model_id if form == "full" else f"{model_id}-{form}") / FILE
    rows = read_history(path) if path.is_file() else []
    return rows if rows and rows[-1]["step"] == card.recipe["iterations"] else []


def coverage_of(card: Card, rows: list[Row]) -> Coverage:
    """Of a stack what was measured last of all of it; else, or where nobody wrote that down, the scores of the card."""
    seeds: int = card.recipe.get("stack", 1)
    last: Mapping[str, float] = card.ending or (rows[-1] if rows else {})
    if seeds > 1 and "modes_deviation" in last:
        modes, good, reverse_kl = (_spread_of(name, last) for name in ("modes", "good", "reverse_kl"))
        return Coverage(seeds=seeds, modes=modes, good=good, reverse_kl=reverse_kl)
    one = {name: Spread(mean=round(score.value, 6)) for name, score in card.scores.items()}
    return Coverage(seeds=1, modes=one["modes"], good=one.get("good"), reverse_kl=one["reverse_kl"])


def _spread_of(name: str, last: Mapping[str, float]) -> Spread:
    places = itertools.takewhile(last.__contains__, (f"{name}_of_{place}" for place in itertools.count()))
    return Spread(
        mean=round(last[name], 6),
        deviation=round(last[f"{name}_deviation"], 6),
        each=tuple(round(last[place], 6) for place in places) or None,
    )
