"""`/health/live`, `/health/ready` and `/metrics`: what orchestrators and Prometheus ask."""

from fastapi import APIRouter, Request, Response

from service.api.problems import PROBLEM_RESPONSES
from service.api.state import StateDep
from service.errors import Draining, NotReady
from service.telemetry.instruments import EXPOSITION_TYPE

router = APIRouter(tags=["operations"])


@router.get("/health/live", summary="Liveness")
async def live() -> dict[str, str]:
    """200 while this front answers at all."""
    return {"status": "live"}


@router.get("/health/ready", summary="Readiness", responses=PROBLEM_RESPONSES)
async def ready(request: Request, state: StateDep) -> dict[str, object]:
    """200 when every wanted model is loaded and warm; 503 before that, and from SIGTERM on."""
    if request.app.gate.draining:
        raise Draining("This instance is shutting down.")
    held = state.engines.models()
    missing = [name for name in state.settings.wanted_models if name not in held or held[name].state != "ready"]
    if missing:
        raise NotReady(f"Not warm yet: {', '.join(missing)}.")
    return {"status": "ready", "models": sorted(name for name, loaded in held.items() if loaded.state == "ready")}


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
async def metrics(request: Request, state: StateDep) -> Response:
    """The instruments of all processes, in Prometheus's text format."""
    text = request.app.gate.instruments.exposition(state.metrics_dir)
    return Response(text, headers={"content-type": EXPOSITION_TYPE})
