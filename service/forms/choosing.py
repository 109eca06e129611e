"""Which forms of a classifier may serve, by card, manifest and settings, and which does, by what was measured."""

import math
from collections.abc import Mapping

from service.exactness import LOST_AT_MOST, PLAIN, PRECISIONS, FormName, Precision
from service.forms.form import Place
from service.forms.registry import FORMS, possible
from service.forms.timing import Seconds
from service.store import Card, Model

WORTH = 1.1
"""A form that is not so many times as fast as the plain one is not worth its difference."""
ROUNDING = 1e-9


def allowed(model: Model, place: Place, precision: Precision) -> list[FormName]:
    """The forms that may be chosen here: possible, precise enough, and losing no more by the card than is allowed."""
    if model.manifest.task != "classify" or model.card is None:
        return []
    return [
        name for name in possible(place) if is_precise_enough(name, model, precision) and loses_little(model.card, name)
    ]


def is_precise_enough(name: FormName, model: Model, precision: Precision) -> bool:
    """Whether both the manifest and a setting of this precision allow that of a form."""
    least = min(map(PRECISIONS.index, (model.manifest.serving.precision, precision)))
    return PRECISIONS.index(FORMS[name].precision) <= least


def loses_little(card: Card, name: FormName) -> bool:
    """Whether a card knows a form, and that it is right about as many images as the plain one, or nearly."""
    if name not in card.forms or PLAIN not in card.forms:
        return False
    return card.forms[PLAIN].accuracy - card.forms[name].accuracy <= LOST_AT_MOST + ROUNDING


def choose(measured: Mapping[FormName, Seconds], names: list[FormName]) -> FormName:
    """The fastest of the forms that may serve; the plain one where none is worth it."""
    gains = {name: gain(measured[PLAIN], measured[name]) for name in names if name in measured and PLAIN in measured}
    best = max(gains, key=lambda name: gains[name], default=PLAIN)
    return best if gains.get(best, 0.0) >= WORTH else PLAIN


def gain(plain: Seconds, other: Seconds) -> float:
    """How many times as fast a form is as another, the geometric mean over the sizes that both were measured in."""
    sizes = sorted(set(plain) & set(other))
    if not sizes:
        return 0.0
    return math.exp(sum(math.log(plain[rows] / other[rows]) for rows in sizes) / len(sizes))
