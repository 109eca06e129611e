"""The application: gate, routes and errors over an engine client, wherever the engines run."""

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.routing import Route

from service import __version__
from service.api import (
    classify,
    evaluate,
    explain,
    forecast,
    generate,
    health,
    models,
    progress,
    recordings,
    references,
)
from service.api.classify import ClassifyPath
from service.api.gate import Application, Gate
from service.api.problems import install_handlers
from service.api.state import State

ROUTERS: tuple[APIRouter, ...] = (
    generate.router,
    explain.router,
    forecast.router,
    evaluate.router,
    progress.router,
    references.router,
    models.router,
    recordings.router,
    health.router,
)
HOT_PATHS: dict[str, dict[str, Any]] = {"/classify": classify.OPENAPI}


def create_app(state: State) -> Application:
    """One front's application; creating it starts nothing."""
    app = Application(
        title="Chapterhouse",
        version=__version__,
        summary="The classic networks of deep learning's textbook chapters, served and measured.",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.state.shared = state
    app.gate = Gate(state.settings, state.instruments)
    app.gate.hot_paths["POST", "/classify"] = ClassifyPath(state.settings, state.store, state.engines)
    app.hot_documents = HOT_PATHS
    app.router.routes += [Route(path, _answered_at_the_gate, methods=["POST"]) for path in HOT_PATHS]
    install_handlers(app)
    for router in ROUTERS:
        app.include_router(router)
    return app


async def _answered_at_the_gate(_request: Request) -> Response:
    """Stands for a hot path among the routes, so that other methods than the gate's get 405."""
    raise NotImplementedError
