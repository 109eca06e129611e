"""`/openapi.json`, and `/docs` and `/redoc`, the pages that show it."""

from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse

from service.api.negotiation import JSON
from service.api.routes import Endpoint

router = APIRouter(include_in_schema=False, route_class=Endpoint)

DOCUMENT = "openapi.json"
"""Beside the pages, under whatever prefix a proxy puts them."""
PAGE: dict[str, Any] = {"content": {"text/html": {}}}


@router.get(f"/{DOCUMENT}", responses={200: {"content": {JSON: {}}}})
async def show_document(request: Request) -> Response:
    """The OpenAPI document; behind a proxy that puts the service under a prefix it says so."""
    document, prefix = request.app.openapi(), request.scope.get("root_path", "")
    if prefix:
        document = {**document, "servers": [{"url": prefix}]}
    return Response(orjson.dumps(document), media_type=JSON)


@router.get("/docs", response_class=HTMLResponse, responses={200: PAGE})
async def show_docs(request: Request) -> Response:
    """The page on which the service can be tried."""
    return get_swagger_ui_html(openapi_url=DOCUMENT, title=request.app.title)


@router.get("/redoc", response_class=HTMLResponse, responses={200: PAGE})
async def show_redoc(request: Request) -> Response:
    """The page for reading."""
    return get_redoc_html(openapi_url=DOCUMENT, title=request.app.title)
