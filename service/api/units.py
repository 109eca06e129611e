"""`GET /models/{id}/units`: the images to which the units of a net answer most, as a picture or for programs."""

import asyncio
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from service.api.deadlines import DeadlineDep
from service.api.models import ModelId, Version, headers_of
from service.api.negotiation import JSON, MediaType
from service.api.openapi import BINARY, OF_MODEL, refusals
from service.api.presence import watch
from service.api.routes import Endpoint
from service.api.state import StateDep
from service.errors import Draining, EngineUnavailable, ModelFailed, ModelNotFound, Overloaded, UnitsNotFound, WrongTask
from service.explanations import UnitsReply
from service.imaging import encode_png
from service.operations.units import MOST, UnitImages
from service.tasks.methods import Projecting

router = APIRouter(tags=["models"], route_class=Endpoint)

PNG = "image/png"
UNITS: dict[str, Any] = {
    "model": UnitsReply,
    "content": {JSON: {}, PNG: BINARY},
    "description": "The strongest images of some units; or a picture of their patches and projections.",
    "headers": OF_MODEL,
}


@router.get(
    "/models/{model_id}/units",
    summary="To what units answer",
    response_class=Response,
    responses={
        200: UNITS,
        **refusals(ModelNotFound, UnitsNotFound, WrongTask),
        **refusals(Overloaded, Draining, ModelFailed, EngineUnavailable),
    },
)
async def show_units(
    request: Request,
    model_id: ModelId,
    state: StateDep,
    kind: MediaType,
    deadline: DeadlineDep,
    version: Version = None,
    layer: Annotated[
        str | None,
        Query(description="One of `layers`; the last with maps of 8 pixels a side unless given.", examples=["C3"]),
    ] = None,
    unit: Annotated[
        list[Annotated[int, Field(ge=0)]] | None,
        Query(max_length=MOST, description="Some of the layer's units; the first nine unless given.", examples=[[0]]),
    ] = None,
    method: Annotated[
        Projecting, Query(description="How answers are sent back to pixels.", examples=["deconvnet"])
    ] = "deconvnet",
) -> Response:
    """Of some units of a layer the nine test images to which each answers most (Zeiler, Fergus 2014, figure 2).

    Of each image the part that the unit sees, and the answer sent back to these pixels, by the deconvnet or `guided`
    (for nets that do not pool). `chapterhouse models units ID` looks for them once, where the dataset is; without it
    there are none, 404. `image/png` draws both, three by three, with model, layer and scale below.
    """
    model = state.store.get(model_id, task="classify", version=version)
    asked = await asyncio.to_thread(UnitImages.of, model, state.settings, layer=layer, units=unit, method=method)
    await request.body()  # there is none; a caller who hangs up is heard after it
    with request.app.gate.at_work(request.scope), watch(request.scope, request.receive):
        answered = await asked.ask(state.engines, deadline=deadline.at, request_id=request.state.request_id)
    headers = headers_of(model)
    if kind == PNG:
        picture = await asyncio.to_thread(lambda: encode_png(asked.draw(answered)))
        return Response(picture, media_type=PNG, headers=headers)
    return Response(await asyncio.to_thread(_document, asked, answered), media_type=JSON, headers=headers)


def _document(asked: UnitImages, answered: Any) -> bytes:
    return orjson.dumps(asked.document(answered), option=orjson.OPT_SERIALIZE_NUMPY)
