"""The application: gate, routes and errors over an engine client, wherever the engines run."""

from functools import cache, partial

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from service import __version__
from service.api import (
    health,
    models,
    recordings,
    units,
)
from service.api.documents import documentation, page
from service.api.evaluations import evaluate, progress, references
from service.api.evaluations.jobs import turn_away
from service.api.gate import Application, Gate
from service.api.heads import Heads
from service.api.inference import classify, explain, forecast, generate
from service.api.inference.classify import ClassifyPath
from service.api.openapi import TAGS, refusals
from service.api.problems import install_handlers
from service.api.scraping import Scraping
from service.api.state import State
from service.api.together import DirectPath, Together
from service.api.v2 import infer as v2_infer
from service.api.v2 import models as v2_models
from service.api.v2 import repository as v2_repository
from service.errors import InvalidRequest
from service.runtime.calls import Posting, TaskPosting

ROUTERS: tuple[APIRouter, ...] = (
    classify.router,
    generate.router,
    explain.router,
    forecast.router,
    evaluate.router,
    progress.router,
    references.router,
    models.router,
    recordings.router,
    units.router,
    v2_models.router,
    v2_infer.router,
    v2_repository.router,
    health.router,
    documentation.router,
    page.router,
)


def create_app(state: State) -> Application:
    """One front's application; creating it starts nothing."""
    app = described()
    app.state.shared = state
    app.gate = Gate(state.settings, state.instruments, state.guard)
    app.state.scraping = Scraping(state, lambda: app.gate.draining)
    state.watcher.closing = lambda: app.gate.draining
    classifying = ClassifyPath(state)
    app.gate.hot_paths["POST", "/classify"] = classifying
    engines = state.engines if isinstance(state.engines, Posting) else TaskPosting(state.engines)
    app.gate.direct_paths["/classify"] = DirectPath(classifying.ask, Together(engines))
    app.gate.doorsteps["POST", "/evaluate"] = partial(turn_away, state)
    install_handlers(app)
    app.add_middleware(Heads)
    return app


def described() -> Application:
    """An application with every route and all that its document says of them, and no state to answer from."""
    app = _without_routes()
    app.router.routes.extend(_routes())
    return app


@cache
def _routes() -> tuple[BaseRoute, ...]:
    """What every application answers, understood once in a process: FastAPI takes long over it, and tests make many."""
    app = _without_routes()
    for router in ROUTERS:
        app.include_router(router)
    return tuple(app.routes)


def _without_routes() -> Application:
    return Application(
        title="Chapterhouse",
        version=__version__,
        summary="The classic networks of deep learning's textbook chapters, served and measured.",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        openapi_tags=TAGS,
        responses=refusals(InvalidRequest),  # FastAPI would describe a shape of its own
        openapi_url=None,  # the document and its pages are routes like others: documentation.py
        generate_unique_id_function=_name_of,
        separate_input_output_schemas=False,  # one name for a thing, whichever way it goes
    )


def _name_of(route: APIRoute) -> str:
    """The id of a route's operation, by which generated clients call it: its function's name."""
    return route.name
