"""`/openapi.json`, and `/docs` and `/redoc`, which show it, with all that they load: no other host is asked."""

from functools import lru_cache
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from service.api.negotiation import JSON
from service.api.routes import Endpoint
from service.errors import PageNotFound

router = APIRouter(include_in_schema=False, route_class=Endpoint)

DOCUMENT = "openapi.json"
"""Beside the pages, under whatever prefix a proxy puts them."""
PAGE: dict[str, Any] = {"content": {"text/html": {}}}
OWN = Path(__file__).parent / "pages"
ICON = "favicon.png"
SCRIPT, STYLE = "text/javascript", "text/css"
KEPT_FOR_S = 3600

PARTS = {
    ICON: (OWN, "image/png"),
    "show.js": (OWN, SCRIPT),
    "styles.js": (OWN, SCRIPT),
    "redoc.standalone.js": (None, SCRIPT),
    "swagger-ui-bundle.js": (None, SCRIPT),
    "swagger-ui.css": (None, STYLE),
}
"""What the pages load: where it lies, if not in the package that brings Swagger UI and Redoc; and its media type."""
REDOCS_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg"
"""The one thing that Redoc takes from elsewhere, beside its own name; our icon stands there."""
LOADED = {
    "docs": ("swagger-ui.css", "swagger-ui-bundle.js", "show.js"),
    "redoc": ("styles.js", "redoc.standalone.js", "show.js"),
}


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
    return HTMLResponse(_page(request.app.title, *LOADED["docs"]))


@router.get("/redoc", response_class=HTMLResponse, responses={200: PAGE})
async def show_redoc(request: Request) -> Response:
    """The page for reading."""
    return HTMLResponse(_page(request.app.title, *LOADED["redoc"]))


@router.get("/pages/{name}", response_class=Response)
async def show_part(name: str) -> Response:
    """A script, a style sheet or the icon of the pages."""
    if name not in PARTS:
        raise PageNotFound(f"There is no {name} here; the pages are made of {', '.join(PARTS)}.")
    return _part(name)


@router.get("/favicon.ico", response_class=Response)
async def show_icon() -> Response:
    """The icon, where browsers look for it unless a page names another place."""
    return _part(ICON)


def _part(name: str) -> Response:
    return Response(_read(name), media_type=PARTS[name][1], headers={"cache-control": f"max-age={KEPT_FOR_S}"})


@lru_cache
def _read(name: str) -> bytes:
    folder, _ = PARTS[name]
    content = ((folder or _bundle()) / name).read_bytes()
    return content.replace(REDOCS_LOGO, f"pages/{ICON}".encode())


@lru_cache
def _bundle() -> Path:
    """Where `fastapi-offline` keeps Swagger UI and Redoc; the package itself is not loaded."""
    found = find_spec("fastapi_offline")
    assert found is not None, "fastapi-offline is a dependency"
    assert found.origin is not None
    return Path(found.origin).parent / "static"


def _page(title: str, *parts: str) -> str:
    tags = [_tag(name) for name in parts]
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" type="image/png" href="pages/{ICON}">\n'
        f'</head>\n<body>\n<div data-document="{DOCUMENT}"></div>\n{"".join(tags)}</body>\n</html>\n'
    )


def _tag(name: str) -> str:
    if name.endswith(".css"):
        return f'<link rel="stylesheet" href="pages/{name}">\n'
    return f'<script src="pages/{name}"></script>\n'
