"""`/`: the page on which people try what the service does, and the files that it is made of."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from service.api.routes import Endpoint
from service.errors import PageNotFound

router = APIRouter(include_in_schema=False, route_class=Endpoint)

FOLDER = Path(__file__).parents[2] / "page"
KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
ASKED_AGAIN = "no-cache"
"""Browsers keep the files and ask each time whether they are the same: those of two versions are never mixed."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the page, as it is sent."""

    kind: str
    plain: bytes
    packed: bytes
    tag: str
    """By which browsers ask whether it is still the same."""

    @classmethod
    def of(cls, path: Path) -> "Part":
        """What lies there."""
        plain = path.read_bytes()
        tag = hashlib.sha256(plain).hexdigest()[:20]
        return cls(KINDS[path.suffix], plain, gzip.compress(plain, mtime=0), tag)

    def answer(self, request: Request) -> Response:
        """The file, packed where the browser takes that; nothing where it has the same one."""
        takes = "gzip" in request.headers.get("accept-encoding", "")
        tag = f'"{self.tag}-gzip"' if takes else f'"{self.tag}"'
        headers = {"cache-control": ASKED_AGAIN, "etag": tag, "vary": "accept-encoding"}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if takes:
            headers["content-encoding"] = "gzip"
        return Response(self.packed if takes else self.plain, media_type=self.kind, headers=headers)


@lru_cache(maxsize=1)
def parts() -> dict[str, Part]:
    """Every file of the page by its name, read once; what is not among them is not looked for on the disk."""
    found = (path for path in sorted(FOLDER.rglob("*")) if path.suffix in KINDS)
    return {path.relative_to(FOLDER).as_posix(): Part.of(path) for path in found}


@router.get("/", response_class=Response)
async def show_page(request: Request) -> Response:
    """The page itself. All that it loads is named beside it, so behind a prefix its address ends in a slash."""
    if not request.scope.get("raw_path", b"/").endswith(b"/"):
        return RedirectResponse(f"{request.scope.get('root_path', '')}/")
    return parts()["index.html"].answer(request)


@router.get("/page/{name:path}", response_class=Response)
async def show_page_part(name: str, request: Request) -> Response:
    """A script, a style sheet, the words of a language or a drawing of the page."""
    if name not in parts():
        raise PageNotFound(f"There is no {name[:100]} on this page.")
    return parts()[name].answer(request)
