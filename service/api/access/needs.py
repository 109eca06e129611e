"""The table of scopes: what each route needs. What stands in no line of it is the administrator's."""

from dataclasses import dataclass

from starlette.routing import compile_path

from service.evaluation.queue.keys import KeyScope

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing and bring no work."""


@dataclass(frozen=True, slots=True)
class Need:
    """What lets a caller use a route: any one of these scopes."""

    scopes: frozenset[KeyScope] = frozenset()
    opened_by: str = ""
    """The setting that lets anybody use it."""
    is_work: bool = False
    """Whether whoever has no key may use it where there are no keys, though it is not only read."""

    def is_keyless(self, method: str) -> bool:
        """Whether anybody may use it where there are no keys, or in any case."""
        return self.is_open or self.is_work or method in SAFE_METHODS

    @property
    def is_open(self) -> bool:
        """Whether nobody is ever asked for a key."""
        return not self.scopes


NOTHING = Need()
INFER = Need(frozenset({KeyScope.INFER}), is_work=True)
EVALUATE = Need(frozenset({KeyScope.EVALUATE}), is_work=True)
OWN = Need(frozenset({KeyScope.EVALUATE, KeyScope.ADMIN}))
"""The caller's own evaluations, or all of them for an administrator; and what they are compared with."""
ANY_KEY = Need(frozenset(KeyScope))
"""Whoever may use a model may see what it is."""
INDEX = Need(frozenset(KeyScope), is_work=True)
"""The same, asked by POST."""
ADMIN = Need(frozenset({KeyScope.ADMIN}))
METRICS = Need(frozenset({KeyScope.ADMIN}), opened_by="open_metrics")
PAGES = Need(frozenset(KeyScope), opened_by="open_pages")

NEEDS: dict[str, Need] = {
    "POST /classify": INFER,
    "POST /generate": INFER,
    "POST /explain": INFER,
    "POST /forecast": INFER,
    "POST /evaluate": EVALUATE,
    "GET /evaluations": OWN,
    "GET /evaluations/{evaluation_id}": OWN,
    "GET /evaluations/{evaluation_id}/events": OWN,
    "DELETE /evaluations/{evaluation_id}": OWN,
    "GET /references": OWN,
    "GET /references/{name}": OWN,
    "PUT /references/{name}": ADMIN,
    "DELETE /references/{name}": ADMIN,
    "GET /models": ANY_KEY,
    "GET /models/{model_id}": ANY_KEY,
    "GET /models/{model_id}/recording": ANY_KEY,
    "GET /models/{model_id}/units": ANY_KEY,
    "PUT /models/{model_id}/aliases/{alias}": ADMIN,
    "DELETE /models/{model_id}/aliases/{alias}": ADMIN,
    "POST /models/{model_id}/load": ADMIN,
    "POST /models/{model_id}/unload": ADMIN,
    "GET /v2": NOTHING,
    "GET /v2/health/live": NOTHING,
    "GET /v2/health/ready": NOTHING,
    "GET /v2/models/stats": ANY_KEY,
    "GET /v2/models/{model_name}": ANY_KEY,
    "GET /v2/models/{model_name}/config": ANY_KEY,
    "GET /v2/models/{model_name}/ready": ANY_KEY,
    "GET /v2/models/{model_name}/stats": ANY_KEY,
    "GET /v2/models/{model_name}/versions/{model_version}": ANY_KEY,
    "GET /v2/models/{model_name}/versions/{model_version}/config": ANY_KEY,
    "GET /v2/models/{model_name}/versions/{model_version}/ready": ANY_KEY,
    "GET /v2/models/{model_name}/versions/{model_version}/stats": ANY_KEY,
    "POST /v2/models/{model_name}/infer": INFER,
    "POST /v2/models/{model_name}/versions/{model_version}/infer": INFER,
    "POST /v2/repository/index": INDEX,
    "POST /v2/repository/models/{model_name}/load": ADMIN,
    "POST /v2/repository/models/{model_name}/unload": ADMIN,
    "GET /health/live": NOTHING,
    "GET /health/ready": NOTHING,
    "GET /metrics": METRICS,
    "GET /openapi.json": PAGES,
    "GET /": PAGES,
    "GET /page/{name:path}": PAGES,
    "GET /docs": PAGES,
    "GET /redoc": PAGES,
    "GET /pages/{name}": PAGES,
    "GET /favicon.ico": PAGES,
}

_LINES = [(method, compile_path(path)[0], path) for method, path in map(str.split, NEEDS)]
_PLAIN = {tuple(line.split()): need for line, need in NEEDS.items() if "{" not in line}


def need_of(method: str, path: str) -> Need:
    """What a request needs; HEAD needs what GET does, and a slash at the end changes nothing."""
    return _PLAIN.get((method, path)) or _looked_up(method, path)


def route_of(method: str, path: str) -> str | None:
    """The route that a request is for, as the table has it; None where no line of it fits."""
    asked, path = _verb(method), path.rstrip("/") or "/"
    return next((route for verb, regex, route in _LINES if verb == asked and regex.match(path)), None)


def _looked_up(method: str, path: str) -> Need:
    return NEEDS.get(f"{_verb(method)} {route_of(method, path)}", ADMIN)


def _verb(method: str) -> str:
    return "GET" if method == "HEAD" else method
