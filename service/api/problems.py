"""The one shape of an error over HTTP: RFC 9457 problem details."""

import logging
import math
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.dialects import JSON, own_path, speaks_v2, v2_document, v2_status
from service.api.noting import refuse
from service.errors import InvalidRequest, KeyNeeded, ServiceError
from service.telemetry.logs import plain, told

log = logging.getLogger(__name__)

FAULTS_SHOWN = 20
"""Of all that is wrong with a request; its sender needs no more to mend it."""
NAME_SHOWN = 100
"""Characters of a name that a caller made up."""
PROBLEM_TYPE = "application/problem+json"
CHALLENGE = 'Bearer realm="chapterhouse"'
LOGGED = "The failure has been logged under this request's X-Request-Id."


def problem_response(error: ServiceError, path: str = "") -> Response:
    """The HTTP answer for an error, in the form of those who ask for this path."""
    headers = {} if error.retry_after_s is None else {"retry-after": str(math.ceil(error.retry_after_s))}
    if isinstance(error, KeyNeeded):
        headers["www-authenticate"] = CHALLENGE
    if speaks_v2(path):
        return Response(orjson.dumps(v2_document(error)), v2_status(int(error.status)), headers, JSON)
    return Response(orjson.dumps(error.problem()), int(error.status), headers, PROBLEM_TYPE)


def refusal(scope: Scope, error: ServiceError) -> Response:
    """The answer to a request that an error ends, which is remembered for the request's line."""
    refuse(scope, error)
    return problem_response(error, own_path(scope))


def failure(scope: Scope, error: BaseException) -> Response:
    """The answer to a request that met what nobody has foreseen: the log tells of it, and the answer does not."""
    request_id = plain(scope["state"]["request_id"])
    log.error("request %s failed", request_id, exc_info=error, extra=told(request=request_id))
    return refusal(scope, ServiceError(LOGGED))


class Settled:
    """Ends an exception that has been answered and told: a server would tell it again, without the request's id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; of an answer that breaks off the server learns."""
        whole = False

        async def sending(message: Message) -> None:
            nonlocal whole
            await send(message)
            whole = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            if not whole:
                raise


def validation_problem(errors: list[dict[str, Any]]) -> InvalidRequest:
    """What pydantic found, as one error that names the fields."""
    shown, further = errors[:FAULTS_SHOWN], len(errors) - FAULTS_SHOWN
    named = [
        {
            "field": ".".join(str(part)[:NAME_SHOWN] for part in error["loc"] if part not in ("body", "query")),
            "message": error["msg"],
        }
        for error in shown
    ]
    sentence = "; ".join(f"{entry['field'] or 'body'}: {entry['message']}" for entry in named)
    if further > 0:
        sentence += f"; and {further:,} more"
    return InvalidRequest(sentence, errors=named)


def install_handlers(app: FastAPI) -> None:
    """Answer every exception that reaches the application with a problem."""

    @app.exception_handler(ServiceError)
    async def service_error(request: Request, error: ServiceError) -> Response:
        return refusal(request.scope, error)

    @app.exception_handler(RequestValidationError)
    async def invalid_request(request: Request, error: RequestValidationError) -> Response:
        return refusal(request.scope, validation_problem(list(error.errors())))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        if speaks_v2(own_path(request.scope)):
            return Response(orjson.dumps({"error": str(error.detail)}), int(status), error.headers, JSON)
        document = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": str(error.detail)}
        return Response(orjson.dumps(document), int(status), error.headers, PROBLEM_TYPE)

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        return failure(request.scope, error)
