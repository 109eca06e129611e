"""Forecasters: a history and a horizon to the steps that follow, and the interval around them."""

import numpy as np

from service.errors import InvalidSeries
from service.operations.forecast import ForecastDocument, Question
from service.operations.inference.backing import Answer, Backing
from service.operations.inference.requests import InferRequest, truth, whole_number
from service.operations.inference.samples import validated
from service.operations.inference.signatures import signature_of
from service.operations.inference.tensors import Array, Tensor, wrong
from service.schemas import ForecastRequest
from service.store import Model

FORECASTERS = ("fit", "level", "season")
TABLE = 2
"""Axes: time, channels."""


async def forecast(request: InferRequest, model: Model, outputs: set[str], backing: Backing) -> Answer:
    """The next steps, and both ends of the interval where it can be measured.

    Raises InvalidRequest, InvalidSeries, and the ServiceError that the engine met.
    """
    request.check_parameters(FORECASTERS)
    given = request.tensors([slot.name for slot in signature_of(model).inputs])
    for needed in ("history", "horizon"):
        if needed not in given:
            raise wrong(needed, "this input is needed")
    asked = validated(
        ForecastRequest,
        history=_table(given["history"]),
        horizon=whole_number("horizon", given["horizon"].array),
        inputs=_table(given["inputs"]) if "inputs" in given else None,
        fit=truth(request.parameters, "fit"),
        **{name: request.parameters[name] for name in ("level", "season") if name in request.parameters},
    )
    question = Question.of(asked, model, limit=backing.settings.forecast_limit)
    document = ForecastDocument(question)
    async for block in question.ask(backing.engines, deadline=backing.deadline, request_id=backing.request_id):
        document.add(block)
    return Answer(_tensors(document, outputs, flat=len(given["history"].shape) == 1), _told(document))


def _table(given: Tensor) -> Array:
    """Values (T,) or (T, channels). Raises InvalidRequest."""
    if len(given.shape) not in (1, TABLE):
        raise wrong(given.name, f"the shape {list(given.shape)} should be [steps] or [steps, channels]")
    return given.array.astype(np.float64)


def _tensors(document: ForecastDocument, outputs: set[str], *, flat: bool) -> list[Tensor]:
    found = {"forecast": document.values}
    if document.ends is not None:
        found["low"], found["high"] = document.ends
    elif outputs & {"low", "high"}:
        raise InvalidSeries("The history is too short to measure an interval; ask for the forecast alone.")
    return [Tensor.of(name, "FP64", values[:, 0] if flat else values) for name, values in found.items()]


def _told(document: ForecastDocument) -> dict[str, str | int | float | bool]:
    return {"warnings": " ".join(f"{words}." for words in document.warnings)} if document.warnings else {}
