"""What a service answers instead of what was asked for, as the errors that it raised."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel

from service.addresses import without_secrets
from service.errors import ServiceError, error_types

M = TypeVar("M", bound=BaseModel)

KINDS = {kind.title: kind for kind in error_types().values() if "title" in vars(kind)}
"""What a problem's title says went wrong; an error without a title of its own crosses as its parent."""


def error_from(problem: Mapping[str, Any]) -> ServiceError:
    """The error that a problem document tells: of the service's own kind where its title is one of theirs."""
    title, detail = str(problem.get("title") or ""), str(problem.get("detail") or "")
    if title in KINDS:
        return KINDS[title](detail, errors=problem.get("errors"))
    error = ServiceError(f"{title}: {detail}" if title and detail else title or detail)
    with suppress(ValueError):
        error.status = HTTPStatus(problem.get("status", error.status))
    return error


def error_of(reply: httpx.Response) -> ServiceError:
    """What a reply says went wrong, also where something before the service wrote it."""
    said = f"{_plain(reply)} answered {reply.status_code} {reply.reason_phrase}"
    try:
        problem = dict(reply.json())
    except (ValueError, TypeError):
        problem = {"title": said, "status": reply.status_code}
    error = error_from(problem)
    error.retry_after_s = told = retry_after_of(reply)
    exact = problem.get("retry_after_s")
    if isinstance(exact, int | float) and told is not None and told - 1 < exact <= told:
        error.retry_after_s = exact  # the header is the same, rounded up
    return error


def _plain(reply: httpx.Response) -> str:
    """What was asked, without the password that stands in the address."""
    return without_secrets(str(reply.request.url))


def retry_after_of(reply: httpx.Response) -> int | None:
    """The seconds after which to ask again, which are named as such or as a date (RFC 9110, section 10.2.3)."""
    told = reply.headers.get("retry-after", "")
    if told.isascii() and told.isdigit():
        return int(told)
    try:
        until = parsedate_to_datetime(told)
    except ValueError:
        return None
    aware = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0, round((aware - datetime.now(UTC)).total_seconds()))


def read_as(kind: type[M], reply: httpx.Response) -> M:
    """An answer of this kind. Raises ServiceError for another."""
    with reading(reply):
        return kind.model_validate_json(reply.content)


@contextmanager
def reading(reply: httpx.Response) -> Iterator[None]:
    """While an answer is taken apart: what is not there, or not so, is none of a Chapterhouse. Raises ServiceError."""
    try:
        yield
    except (ValueError, TypeError, KeyError) as error:  # a ValidationError is a ValueError
        raise ServiceError(f"{_plain(reply)} answered what this client cannot read; is it a Chapterhouse?") from error
