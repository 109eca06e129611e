"""`/health/live`, `/health/ready` and `/metrics`: what orchestrators and Prometheus ask."""

from collections.abc import Iterable, Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from service.api.openapi import TEXT, refusals
from service.api.routes import Endpoint
from service.api.state import StateDep
from service.errors import Draining, NotReady
from service.runtime.calls import EVICTED, SET_ASIDE, SILENT, LoadedModel
from service.schemas import Liveness, Readiness
from service.telemetry.instruments import EXPOSITION_TYPE

router = APIRouter(tags=["operations"], route_class=Endpoint)

WARM = ("ready", EVICTED)
"""States of a model that answers; one that had to make room comes back when it is asked."""
IN_PLACE = (*WARM, SET_ASIDE)
"""States of a model for which the service need not be waited for; one that is set aside stays so whoever waits."""
EXPOSITION = {"content": {EXPOSITION_TYPE.partition(";")[0]: TEXT}, "description": "One line for each sample."}


@router.get("/health/live", summary="Liveness", response_description="It answers.")
async def live() -> Liveness:
    """200 while this front answers at all."""
    return Liveness(status="live")


@router.get(
    "/health/ready",
    summary="Readiness",
    response_description="It is ready for work.",
    responses=refusals(NotReady, Draining),
)
async def ready(request: Request, state: StateDep) -> Readiness:
    """200 when every wanted model is loaded and warm; 503 before that, and from SIGTERM on.

    A part that others do without, such as the database of evaluations or a model in which an engine hung, is named in
    `impaired` where it fails.
    """
    if request.app.gate.draining:
        raise Draining("This instance is shutting down.")
    held = state.engines.models()
    warm = sorted(name for name, loaded in held.items() if loaded.state in WARM)
    missing = missing_of(state.settings.wanted_models, held)
    if any(loaded.state == SILENT for loaded in held.values()) and missing:
        raise NotReady("The engine does not answer. Unless it does so soon, it is restarted.")
    if missing:
        raise NotReady(f"Not warm yet: {', '.join(missing)}.")
    fault = await state.database.fault()
    impaired = [] if fault is None else [f"evaluations: {fault}"]
    impaired += [
        f"{name} is set aside: an engine hung in it" for name, loaded in held.items() if loaded.state == SET_ASIDE
    ]
    return Readiness(status="ready", models=warm, impaired=tuple(impaired))


def missing_of(wanted: Iterable[str], held: Mapping[str, LoadedModel]) -> list[str]:
    """The wanted models that the service has to be waited for."""
    there = {name.partition("@")[0] for name, loaded in held.items() if loaded.state in IN_PLACE}
    return [name for name in wanted if name not in there]


@router.get("/metrics", summary="Prometheus metrics", response_class=Response, responses={200: EXPOSITION})
async def metrics(
    request: Request,
    names: Annotated[
        list[str] | None,
        Query(
            alias="name[]",
            description="Only samples of these names; all unless given.",
            examples=[["chapterhouse_requests_total"]],
        ),
    ] = None,
) -> Response:
    """The instruments of all processes, and how things stand now, in Prometheus's text format."""
    text = await request.app.state.scraping.text(names)
    return Response(text, headers={"content-type": EXPOSITION_TYPE})
