"""What the numbers of a table say in plain words, and whether they are what was asked."""

from collections.abc import Iterator, Mapping, Sequence

from experiments.collapse.record import Coverage, Measurement, Record
from experiments.collapse.tables import GRID, MNIST, RING, Demand, Table, name_of, system_of
from experiments.collapse.tuning import Tried
from experiments.spreads import Difference, Spread
from service.store import Model

WORDS = {
    "modes": "of {modes:,} modes",
    "good": "good samples",
    "rarest": "of the rarest digit",
    "commonest": "of the commonest digit",
    "confident": "named with confidence",
    "one_nn_real": "1-NN accuracy on real images",
    "one_nn_generated": "1-NN accuracy on generated images",
}
SHARES = ("good", "rarest", "commonest", "confident")
FINE = ("rarest", "commonest")
"""Shares of which a hundredth of a per cent decides."""
PLAIN = "gan"
"""The system that the others are to mend."""
FARTHEST = 1.5
"""So much more of an FID may a remedy have than that system."""
FEWEST_SEEDS = 5
BEYOND_CHANCE = "beyond chance (two standard errors of the difference)"
TELLABLE = 2
"""Of so many demands a sentence repeats the numbers that meet them; of more the table holds them."""


def asked_models(table: Table, models: Sequence[Model]) -> list[Model]:
    """The generators of which something is asked."""
    return [model for model in models if table.demands and system_of(model) in table.asked_of]


def verdict(table: Table, found: Measurement | None) -> str:
    """Whether a generator is what was asked."""
    if found is None:
        return "not trained yet"
    return "**not reached**" if _missed(table, found) else "reached"


def answers(table: Table, models: Sequence[Model], record: Record, tried: Sequence[Tried] = ()) -> Iterator[str]:
    """What is asked of a table's generators, who reached it, who did not by how much, and what would come nearer."""
    asked = asked_models(table, models)
    if not asked:
        return
    whom = "every system" if len(asked) == len(models) else _listed([name_of(model) for model in asked])
    bounds = [_phrase(table, demand.number, _bound(demand)) for demand in table.demands]
    yield f"Asked of {whom}: {_listed(bounds)}."
    trained = [(model, record[model.id]) for model in asked if model.id in record]
    reached = [_with_numbers(table, model, found) for model, found in trained if not _missed(table, found)]
    if reached:
        yield f"Reached by {_listed(reached)}."
    yield from (_shortfall(table, model, found, tried) for model, found in trained if _missed(table, found))
    waiting = [name_of(model) for model in asked if model.id not in record]
    if waiting:
        yield f"Not trained yet: {_listed(waiting)}."


def unasked(table: Table, models: Sequence[Model], record: Record, tried: Sequence[Tried] = ()) -> Iterator[str]:
    """The remedies of which nothing is asked and that fall short all the same, and what would come nearer."""
    asked = asked_models(table, models)
    for model in models:
        if model in asked or model.id not in record or system_of(model) == PLAIN:
            continue
        found = record[model.id]
        if _missed(table, found):
            numbers = _listed(_numbers(table, found, table.demands))
            yield f"Short of that, though not asked, is {name_of(model)}: {numbers}. {_left(model, found, tried)}"


def _missed(table: Table, found: Measurement) -> list[Demand]:
    return [demand for demand in table.demands if not demand.holds(found.numbers)]


def _with_numbers(table: Table, model: Model, found: Measurement) -> str:
    if len(table.demands) > TELLABLE:
        return name_of(model)
    return f"{name_of(model)} ({', '.join(_numbers(table, found, table.demands))})"


def _shortfall(table: Table, model: Model, found: Measurement, tried: Sequence[Tried]) -> str:
    """The numbers of one that fell short, and what is left to be done."""
    told = table.demands if len(table.demands) <= TELLABLE else _missed(table, found)
    return f"**Not reached** by {name_of(model)}: {_listed(_numbers(table, found, told))}. {_left(model, found, tried)}"


def _left(model: Model, found: Measurement, tried: Sequence[Tried]) -> str:
    """What would come nearer: another recipe, or the whole of this one."""
    whole = model.manifest.training["iterations"]
    promise = _promise(model, found, tried)
    if promise:
        return promise
    if found.form == "full":
        return f"This is the full recipe, of {found.iterations:,} iterations; no better one is known."
    if whole == found.iterations:
        return f"This is the {found.form} recipe, which has fewer trainings side by side; no better one is known."
    ends = f"The {found.form} recipe ends after {found.told_iterations}, the full one after {whole:,}"
    if found.afterwards:
        return f"{ends}."
    return f"{ends}, about {found.seconds / found.iterations * whole / 60:.0f} min of the same processor."


def _promise(model: Model, found: Measurement, tried: Sequence[Tried]) -> str:
    """What another recipe came to on another seed; nothing where none is known to be better."""
    better = _better(model, found, tried)
    if better is not None:
        came, beside = better, ""
    else:
        pair = _sooner(model, tried)
        if pair is None:
            return ""
        came, unchanged = pair
        beside = f", where the recipe as it is came to {_reached(unchanged)}"
    return (
        f"With {came.changed} trainings on another seed came to {_reached(came)} in {came.iterations:,} iterations"
        f"{beside}; that recipe is not trained yet on those of the table."
    )


def _reached(one: Tried) -> str:
    return f"{_count(one.modes)} modes and {_amount('good', one.good)} good samples"


def _better(model: Model, found: Measurement, tried: Sequence[Tried]) -> Tried | None:
    """The best of what was tried for a model of points and is not its recipe, where it is better than what it has."""
    recipe = model.manifest.training.items()
    ours = [one for one in tried if one.model == model.id and not one.changes.items() <= recipe]
    best = max(ours, key=lambda one: (one.modes, one.good), default=None)
    if best is None or found.coverage is None or found.coverage.good is None:
        return None
    has = (found.coverage.modes.mean, found.coverage.good.mean)
    return best if best.modes >= has[0] and best.good > has[1] else None


def _sooner(model: Model, tried: Sequence[Tried]) -> tuple[Tried, Tried] | None:
    """The best change of what a few iterations told of, and the same without it; none where nothing helped.

    What was changed and has become the recipe is what others are held to.
    """
    recipe = model.manifest.training.items()
    ours = sorted((one for one in tried if one.model == model.id), key=lambda one: len(one.changes))
    plain = {(one.seeds, one.iterations): one for one in ours if one.changes.items() <= recipe}
    pairs = [
        (one, plain[one.seeds, one.iterations])
        for one in ours
        if (one.seeds, one.iterations) in plain and not one.changes.items() <= recipe
    ]
    helped = [(one, other) for one, other in pairs if one.modes >= other.modes and one.good > other.good]
    return max(helped, key=lambda pair: (pair[0].modes, pair[0].good), default=None)


def _numbers(table: Table, found: Measurement, demands: Sequence[Demand]) -> list[str]:
    return [_phrase(table, demand.number, _amount(demand.number, found.numbers[demand.number])) for demand in demands]


def _phrase(table: Table, number: str, amount: str) -> str:
    return f"{amount} {WORDS[number].format(modes=table.modes)}"


def _amount(number: str, value: float) -> str:
    if number in SHARES:
        return f"{100 * value:.{2 if number in FINE else 1}f} %"
    return _count(value) if number == "modes" else f"{value:.2f}"


def _count(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def _bound(demand: Demand) -> str:
    limits = (("at least", demand.least), ("at most", demand.most))
    return " and ".join(f"{words} {_amount(demand.number, value)}" for words, value in limits if value is not None)


def _listed(parts: Sequence[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def overview(table: Table, models: Sequence[Model], record: Record) -> Iterator[str]:
    """How many are trained, who covers most and least, and where too few seeds were trained to compare."""
    found = {name_of(model): record[model.id] for model in models if model.id in record}
    yield f"{len(found)} of {len(models)} systems are trained."
    covering = {name: one.coverage for name, one in found.items() if one.coverage is not None}
    if len(covering) > 1:
        modes = {name: coverage.modes.mean for name, coverage in covering.items()}
        yield f"Modes of {table.modes:,}: {_range(modes, 'modes')}."
    good = {name: coverage.good.mean for name, coverage in covering.items() if coverage.good is not None}
    if len(good) > 1:
        yield f"Good samples: {_range(good, 'good')}."
    few = [name for name, coverage in covering.items() if coverage.seeds < FEWEST_SEEDS]
    if few:
        yield f"Fewer than {FEWEST_SEEDS} seeds stand behind {_listed(few)}: small differences say nothing there."


def beside_plain(table: Table, models: Sequence[Model], record: Record) -> Iterator[str]:
    """Whether any remedy loses more than the system that it is to mend: of points modes, of digits FID."""
    trained = [model for model in models if model.id in record]
    plain = next((model for model in trained if system_of(model) == PLAIN), None)
    remedies = [(name_of(model), record[model.id]) for model in trained if system_of(model) != PLAIN]
    if plain is None or not remedies:
        return
    if table in (RING, GRID):
        yield _fewer_modes(name_of(plain), record[plain.id], remedies)
    elif table is MNIST:
        yield _farther(name_of(plain), record[plain.id], remedies)


def _fewer_modes(name: str, plain: Measurement, remedies: Sequence[tuple[str, Measurement]]) -> str:
    modes = plain.numbers["modes"]
    fewer = [(remedy, found) for remedy, found in remedies if found.numbers["modes"] < modes]
    if not fewer:
        return f"No other system covers fewer modes than {name} ({_count(modes)})."
    told = _listed([f"{remedy} ({_count(found.numbers['modes'])})" for remedy, found in fewer])
    beyond = [remedy for remedy, found in fewer if _beyond_chance(plain.coverage, found.coverage)]
    sure = _listed(beyond) if beyond else "none"
    return f"**Fewer modes than {name}** ({_count(modes)}): {told}; {BEYOND_CHANCE}: {sure}."


def _beyond_chance(one: Coverage | None, other: Coverage | None) -> bool:
    """Whether two means of modes are farther apart than their spreads explain; of a single seed nobody knows."""
    ours, theirs = _modes(one), _modes(other)
    return ours is not None and theirs is not None and Difference.between(ours, theirs).counts


def _modes(found: Coverage | None) -> Spread | None:
    if found is None or found.modes.deviation is None:
        return None
    return Spread(found.modes.mean, found.modes.deviation, found.seeds)


def _farther(name: str, plain: Measurement, remedies: Sequence[tuple[str, Measurement]]) -> str:
    fid = plain.numbers["fid"]
    measured = [(remedy, found.numbers["fid"]) for remedy, found in remedies]
    beyond = [f"{remedy} ({value:.2f})" for remedy, value in measured if value > fid + FARTHEST]
    if beyond:
        return f"**An FID of more than {FARTHEST:g} above {name}'s** ({fid:.2f}): {_listed(beyond)}."
    return f"No other system has an FID of more than {FARTHEST:g} above {name}'s ({fid:.2f})."


def _range(numbers: Mapping[str, float], number: str) -> str:
    """The least and the most, and whose they are."""
    ends = sorted({min(numbers.values()), max(numbers.values())})
    return " to ".join(
        f"{_amount(number, end)} ({', '.join(name for name, value in numbers.items() if value == end)})" for end in ends
    )


def warned(models: Sequence[Model], record: Record) -> Iterator[str]:
    """What trainings themselves said of a collapse: the first of it, and how much more there was."""
    for model in models:
        noticed = record[model.id].noticed if model.id in record else ()
        if noticed:
            more = f", and {len(noticed) - 1} more of the kind" if len(noticed) > 1 else ""
            yield f"{name_of(model)} was noticed while it trained: {noticed[0]}{more}."
