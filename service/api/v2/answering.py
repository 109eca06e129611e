"""An inference carried out for whoever asks, over HTTP or gRPC: with the request's own deadline, memory and limits."""

from service.api.deadlines import Deadline
from service.api.gate import Holding
from service.api.state import State
from service.operations.inference.answering import infer
from service.operations.inference.backing import Answer, Backing
from service.operations.inference.requests import InferRequest
from service.store import Model


async def answer(
    request: InferRequest, model: Model, state: State, *, holding: Holding, deadline: float | None, request_id: str
) -> Answer:
    """What the model answers. Raises the ServiceError that is met; DeadlineExceeded too."""
    moments = [moment for moment in (deadline, request.deadline) if moment is not None]
    until = Deadline.until(min(moments, default=None))
    backing = Backing(state.engines, state.readers, state.settings, holding.hold, until.at, request_id)
    async with until.kept():
        found = await infer(request, model, backing)
    holding.hold(sum(tensor.array.nbytes for tensor in found.tensors))
    return found
