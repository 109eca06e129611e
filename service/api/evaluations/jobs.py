"""From a form with files to an accepted job, and the wait for its end: what `/evaluate` and `/references` share."""

import asyncio
import errno
import io
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import Header, Request
from pydantic import BaseModel

from service.api.access.callers import caller_of
from service.api.access.ownership import key_of
from service.api.bodies import Part, Sink, boundary_of, chunks, declared_length, read_form
from service.api.deadlines import deadline_within
from service.api.gate import Holding
from service.api.given import given
from service.api.state import State
from service.errors import BodyTooLarge, DatabaseUnavailable, DiskFull, InvalidRequest, Overloaded, StorageUnavailable
from service.evaluation.queue.jobs import REQUEST_ID, Job, JobKind
from service.evaluation.queue.limits import Limits
from service.evaluation.threads import in_thread

WAIT_DEFAULT_S = 30.0
WAIT_LIMIT_S = 600.0
DATABASE_PATIENCE_S = 1.0
"""Pause before a database that was away is asked again for what it has accepted."""
FIELD_LIMIT_BYTES = 65536
CHECK_EVERY_BYTES = 32 << 20
"""How much of an upload comes between two looks at how much room there is."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d+)", re.IGNORECASE)


class Field(io.BytesIO):
    """One field of a form that is no file; it takes memory for its request."""

    def __init__(self, holding: Holding) -> None:
        super().__init__()
        self._holding = holding

    def write(self, data: Any, /) -> int:
        """Take some bytes. Raises BodyTooLarge past what a field may hold, Overloaded past what there is."""
        if self.tell() + len(data) > FIELD_LIMIT_BYTES:
            raise BodyTooLarge(f"A field of the form is longer than {FIELD_LIMIT_BYTES:,} bytes.")
        self._holding.hold(len(data))
        return super().write(data)

    def close(self) -> None:
        """Keep the bytes: the part is whole, and is read after this."""


@dataclass(frozen=True, slots=True)
class Form:
    """What has been received: the names of the files in `folder`, and the text of the other fields."""

    folder: Path
    files: frozenset[str]
    fields: dict[str, str]


Check = Callable[[Form], Awaitable[BaseModel]]


async def accept(request: Request, state: State, check: Check, *, files: Collection[str], kind: JobKind) -> str:
    """Receive a form, check it, and queue the request that `check` makes of it in its key's name; the job's id.

    Raises what reading and checking raise, DeadlineExceeded while they last, Overloaded where as many evaluations wait
    as may, uploads fill their share of the disk or this client's its own, and DiskFull; nothing is left behind then.
    """
    job_id, client, limits = secrets.token_hex(8), client_of(request), Limits.of(state.settings)
    declared = declared_length(_length_of(request), state.settings.upload_limit_bytes)
    with _counted(state), state.refusals.of(client):
        await state.database.ask(state.jobs.check_room, client, limits)
    await state.upload_room.check(client, declared)
    committed = False
    try:
        folder = state.uploads.begin(job_id, owner=client)
        asked = await check(await _receive(request, state, folder, files))
        deadline_within(request).lift()
        if not declared:
            await state.upload_room.check(client, afresh=True)
        committed = True
        size = await in_thread(lambda _: state.uploads.commit(job_id))
        sent = {"client": client, "upload_bytes": size, "key": key_of(request)}
        document = {**asked.model_dump(mode="json"), REQUEST_ID: request.scope["state"]["request_id"]}
        with _counted(state), state.refusals.of(client):
            await state.database.change(state.jobs.accept, job_id, document, kind, **sent, limits=limits)
    except BaseException as error:
        state.uploads.drop(job_id)
        if committed and state.uploads.is_shared and not isinstance(error, DatabaseUnavailable):
            asyncio.get_running_loop().run_in_executor(None, _discard, state, job_id)
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise DiskFull("There is no room left on the disk for the upload.") from error
        raise
    return job_id


def _discard(state: State, job_id: str) -> None:
    """Delete from the storage what was not accepted.

    What cannot be deleted now, or may have been accepted although the database did not say so, is swept later.
    """
    with suppress(StorageUnavailable):
        state.uploads.discard(job_id)


async def until_over(request: Request, state: State, job_id: str, *, wait_s: float) -> Job:
    """The job, once it is over, the caller has waited long enough or has a deadline, or this front is told to stop.

    It has been accepted, so that a database which is away meanwhile is waited for. Raises DatabaseUnavailable then.
    """
    until = time.monotonic() + wait_s
    until = min(until, deadline_within(request).at or until)
    while True:
        try:
            job = await state.database.ask(state.jobs.get, job_id)
            if job.is_over or time.monotonic() >= until or request.app.gate.draining:
                return job
            await state.watcher.wait(job, until - time.monotonic())
        except DatabaseUnavailable:
            if time.monotonic() >= until or request.app.gate.draining:
                raise
            await asyncio.sleep(DATABASE_PATIENCE_S)


def client_of(request: Request) -> str:
    """Whom the limits of evaluations hold to be one client."""
    return caller_of(request.scope).name


async def turn_away(state: State, client: str) -> None:
    """Raise Overloaded, and count it, where this client has been refused a place a moment ago."""
    with _counted(state):
        await state.refusals.turn_away(client)


@contextmanager
def _counted(state: State) -> Iterator[None]:
    """Count it where a place among the evaluations is refused."""
    try:
        yield
    except Overloaded:
        state.instruments.rejected.labels("evaluations_full").inc()
        raise


async def _receive(request: Request, state: State, folder: Path, files: Collection[str]) -> Form:
    """Write the form's files into `folder`. Raises InvalidRequest, BodyTooLarge."""
    fields: dict[str, Field] = {}
    seen: set[str] = set()

    def open_part(part: Part) -> Sink:
        if part.name in seen:
            raise InvalidRequest(f"The form has the field {part.name!r} twice.")
        seen.add(part.name)
        if part.name in files:
            return (folder / part.name).open("xb")
        return fields.setdefault(part.name, Field(request.state.holding))

    boundary = boundary_of(request.headers.get("content-type", "").encode("latin-1"))
    await read_form(_pieces(request, state), boundary, open_part)
    try:
        texts = {name: field.getvalue().decode() for name, field in fields.items()}
    except UnicodeDecodeError as error:
        raise InvalidRequest("A field of the form is not UTF-8.") from error
    return Form(folder, frozenset(seen.intersection(files)), texts)


async def _pieces(request: Request, state: State) -> AsyncIterator[bytes]:
    """The pieces of an upload, each gone from memory before the next one comes. Raises BodyTooLarge, Overloaded."""
    holding: Holding = request.state.holding
    limit = state.settings.upload_limit_bytes
    unchecked = 0
    async for piece in chunks(request.receive, limit=limit, content_length=_length_of(request)):
        yield piece
        holding.let_go(len(piece))
        unchecked += len(piece)
        if unchecked >= CHECK_EVERY_BYTES:
            unchecked = 0
            await state.upload_room.check(holding.client, afresh=True)


def missing_file(name: str, what: str) -> InvalidRequest:
    """The error for a form without one of its files."""
    return InvalidRequest.of_field(name, f"the file with {what} is missing")


def _length_of(request: Request) -> bytes:
    return request.headers.get("content-length", "").encode("latin-1")


def wait_of(
    prefer: Annotated[
        str,
        Header(
            alias="Prefer",
            description=f"`wait=N` (RFC 7240): seconds to wait for the end before 202, at most {WAIT_LIMIT_S:.0f}; "
            f"{WAIT_DEFAULT_S:.0f} unless given.",
            examples=["wait=60"],
        ),
    ] = "",
) -> float:
    """The seconds that a `Prefer` header asks to wait; other preferences are passed over."""
    found = _WAIT.search(prefer)
    return min(float(found[1]), WAIT_LIMIT_S) if found else WAIT_DEFAULT_S


WaitDep = Annotated[float, given(wait_of)]
