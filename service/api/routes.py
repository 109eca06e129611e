"""The one kind of route: it passes over nothing that a caller asks, whatever its function does."""

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from service.api.bodies import Handler, reading_json
from service.api.deadlines import Deadline
from service.api.negotiation import JSON, kind_for
from service.api.queries import read_query


class Endpoint(APIRoute):
    """A route that refuses what it would pass over, before its body is read, and keeps the caller's deadline.

    Query parameters that its function does not declare, or that are given twice, are 422; kinds of answer that its
    `responses` do not name are 406; work that has no answer when the deadline passes is 504. JSON is read within the
    limit. The function finds `media_type` and `deadline` in the request's state.
    """

    def get_route_handler(self) -> Handler:
        """FastAPI's own handler behind all this."""
        handler = super().get_route_handler()
        if self.body_field is not None:
            handler = reading_json(handler)
        declared = dict(_query_parameters(self.dependant))
        lists = {name for name, is_list in declared.items() if is_list}
        offered = offered_by(self)

        async def handle(request: Request) -> Response:
            read_query(self.path, request.scope["query_string"], declared, lists)
            request.state.media_type = kind_for(request, offered) if offered else None
            request.state.deadline = Deadline(request.headers.get("x-deadline-ms"))
            async with request.state.deadline.kept():
                return await handler(request)

        return handle


def offered_by(route: APIRoute) -> tuple[str, ...]:
    """The media types of a route's answer, the default one first; none where it has no body."""
    described: dict[str, Any] = route.responses.get(200, {})
    kinds = tuple(described.get("content", ()))
    is_json = route.response_model is not None or "model" in described
    return (JSON, *kinds) if is_json and JSON not in kinds else kinds


def _query_parameters(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """The query parameters of a function and its dependencies, and whether each is a list."""
    for field in dependant.query_params:
        annotation = field.field_info.annotation
        yield field.alias, any(get_origin(kind) is list for kind in (annotation, *get_args(annotation)))
    for inner in dependant.dependencies:
        yield from _query_parameters(inner)
