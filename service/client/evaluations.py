"""What a client asks of evaluations and references, over whatever sends its requests."""

import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import quote

from service.batches import Layout, ValueRange
from service.client.exchange import Exchange
from service.client.images import is_open
from service.client.problems import error_from, read_as, reading
from service.client.requests import Options, Progress, evaluation_request, form_of, request_of, untold
from service.client.samples import SampleSet, sample_file
from service.errors import DeadlineExceeded, ServiceError, ServiceUnreachable
from service.evaluation.report.schema import Report
from service.notebooks import Listing
from service.schemas import (
    EvaluationList,
    EvaluationState,
    Inconclusive,
    ReferenceList,
    ReferenceRequest,
    ReferenceSummary,
)

FIRST_WAIT_S = 2
"""How long the upload's own request waits for the report; after that its progress is asked for."""
POLL_S = 0.5
RESTART_S = 30.0
"""An accepted evaluation survives a restart of the service, and so does waiting for it."""
BINARY = "application/octet-stream"

Form = Mapping[str, tuple[str, BinaryIO, str]]


class Event(NamedTuple):
    """A server-sent event (WHATWG HTML, section 9.2)."""

    id: str
    kind: str
    data: str


class EvaluationMethods:
    """Samples measured, and the references that they are compared with. Methods raise the service's own errors."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def evaluate(
        self,
        generated: SampleSet,
        reference: SampleSet,
        *,
        metrics: Sequence[str] | None = None,
        options: Options | None = None,
        features: str | None = None,
        thresholds: str | None = None,
        inconclusive: Inconclusive | None = None,
        baseline: str | None = None,
        seed: int = 0,
        intervals: bool = True,
        skip_unreadable: bool = False,
        layout: Layout | None = None,
        value_range: ValueRange | None = None,
        wait_s: float | None = None,
        on_progress: Progress = untold,
    ) -> Report:
        """The report on generated samples, compared with a reference: the name of a stored one, or a set of samples.

        A reference that is a str is a name, everything else is samples, a Path too. `layout` and `value_range` describe
        arrays. `on_progress` is told shares from 0 to 1. Raises the error that ended the evaluation, and
        DeadlineExceeded where it is not over after `wait_s` seconds; it goes on then.
        """
        request = evaluation_request(
            reference_name=reference if isinstance(reference, str) else None,
            metrics=metrics,
            options=options,
            features=features,
            thresholds=thresholds,
            inconclusive=inconclusive,
            baseline=baseline,
            seed=seed,
            intervals=intervals,
            skip_unreadable=skip_unreadable,
        )
        until = None if wait_s is None else time.monotonic() + wait_s
        sets = {"generated": generated} | ({} if isinstance(reference, str) else {"reference": reference})
        with _form_files(sets, layout, value_range) as files:
            reply = await self._exchange.ask(
                "POST", "/evaluate", data=form_of(request), files=files, headers=_prefer(wait_s)
            )
        if reply.status_code == HTTPStatus.OK:
            return read_as(Report, reply)
        report = await self._until_over(read_as(EvaluationState, reply).id, until, on_progress)
        assert isinstance(report, Report)
        return report

    async def evaluations(self, limit: int = 100) -> Listing[EvaluationState]:
        """The evaluations accepted last, newest first."""
        reply = await self._exchange.ask("GET", "/evaluations", params={"limit": str(limit)})
        return Listing(read_as(EvaluationList, reply).evaluations)

    async def evaluation(self, evaluation_id: str) -> Report | EvaluationState:
        """The report of a finished evaluation; how far any other is, or why it failed. Raises EvaluationNotFound."""
        reply = await self._exchange.ask("GET", _address(evaluation_id))
        with reading(reply):
            document = dict(reply.json())
            if document.get("status") == "finished" and document.get("kind", "evaluation") == "evaluation":
                return Report.model_validate(document)
            return EvaluationState.model_validate(document)

    async def follow(self, evaluation_id: str) -> AsyncGenerator[EvaluationState, None]:
        """Where an evaluation stands, whenever that changes, until it is over. Raises EvaluationNotFound.

        A service that is started again meanwhile is asked again.
        """
        told, heard = "", time.monotonic()
        while True:
            headers = {"last-event-id": told} if told else {}
            try:
                async with self._exchange.answer("GET", f"{_address(evaluation_id)}/events", headers=headers) as reply:
                    if reply.status_code == HTTPStatus.NO_CONTENT:
                        return
                    async for event in _events_of(self._exchange.sender.lines(reply)):
                        told, heard = event.id, time.monotonic()
                        with reading(reply):
                            state = EvaluationState.model_validate_json(event.data)
                        yield state
                        if event.kind == "end":
                            return
            except ServiceUnreachable:
                if time.monotonic() - heard > RESTART_S:
                    raise
            await self._exchange.sender.pause(POLL_S)

    async def delete_evaluation(self, evaluation_id: str) -> None:
        """Cancel an evaluation that is not over; remove one that is. Raises EvaluationNotFound, Forbidden."""
        await self._exchange.ask("DELETE", _address(evaluation_id))

    async def page(self, report: Report) -> str:
        """The report as an HTML page, with plots and samples. Raises EvaluationNotFound."""
        return (await self._exchange.ask("GET", _address(report.id), headers={"accept": "text/html"})).text

    async def references(self) -> Listing[ReferenceSummary]:
        """The stored references."""
        return Listing(read_as(ReferenceList, await self._exchange.ask("GET", "/references")).references)

    async def reference(self, name: str) -> ReferenceSummary:
        """Where a stored reference comes from. Raises ReferenceNotFound."""
        return read_as(ReferenceSummary, await self._exchange.ask("GET", f"/references/{quote(name, safe='')}"))

    async def put_reference(
        self,
        name: str,
        samples: SampleSet,
        *,
        features: str | None = None,
        dataset: str = "uploaded",
        seed: int = 0,
        skip_unreadable: bool = False,
        layout: Layout | None = None,
        value_range: ValueRange | None = None,
        wait_s: float | None = None,
        on_progress: Progress = untold,
    ) -> ReferenceSummary:
        """Have real samples kept as features and statistics, in the place of a reference of this name.

        `features` names the model that looks at images, or that made the features which are sent; `seed` chooses the
        rows that are kept. Raises as `evaluate` does, and Forbidden and ReferenceShipped.
        """
        request = request_of(
            ReferenceRequest,
            name=name,
            features=features,
            dataset=dataset,
            seed=seed,
            skip_unreadable=skip_unreadable,
        )
        until = None if wait_s is None else time.monotonic() + wait_s
        with _form_files({"reference": samples}, layout, value_range) as files:
            reply = await self._exchange.ask(
                "PUT",
                f"/references/{quote(name, safe='')}",
                data=form_of(request),
                files=files,
                headers=_prefer(wait_s),
            )
        if reply.status_code != HTTPStatus.ACCEPTED:
            return read_as(ReferenceSummary, reply)
        await self._until_over(read_as(EvaluationState, reply).id, until, on_progress)
        return await self.reference(name)

    async def delete_reference(self, name: str) -> None:
        """Remove a reference that was stored. Raises ReferenceNotFound, ReferenceShipped, Forbidden."""
        await self._exchange.ask("DELETE", f"/references/{quote(name, safe='')}")

    async def _until_over(
        self, evaluation_id: str, until: float | None, on_progress: Progress
    ) -> Report | EvaluationState:
        """What an evaluation came to: its report, or the state of one that stored a reference."""
        heard = time.monotonic()
        while True:
            try:
                found = await self.evaluation(evaluation_id)
            except ServiceUnreachable:
                if time.monotonic() - heard > RESTART_S:
                    raise
            else:
                heard = time.monotonic()
                if isinstance(found, Report):
                    return found
                _raise_failure(found)
                if found.status == "finished":
                    return found
                on_progress(found.progress)
            if until is not None and time.monotonic() >= until:
                address = f"{self._exchange.sender.address}{_address(evaluation_id)}"
                raise DeadlineExceeded(
                    f"The evaluation {evaluation_id} is not over. It goes on: GET {address} answers with its report."
                )
            await self._exchange.sender.pause(POLL_S)


async def _events_of(lines: AsyncIterator[str]) -> AsyncIterator[Event]:
    """The events of an answer's lines; one that is cut short is none."""
    fields: dict[str, str] = {}
    async for line in lines:
        name, _, value = line.partition(":")
        if name:
            fields[name] = value.removeprefix(" ")
        elif not line and "data" in fields:
            yield Event(fields.get("id", ""), fields.get("event", "message"), fields["data"])
            fields = {}


def _address(evaluation_id: str) -> str:
    return f"/evaluations/{quote(evaluation_id, safe='')}"


def _prefer(wait_s: float | None) -> dict[str, str]:
    """The header that says how long the upload's own request waits."""
    return {"prefer": f"wait={FIRST_WAIT_S if wait_s is None else min(FIRST_WAIT_S, int(wait_s))}"}


@contextmanager
def _form_files(sets: Mapping[str, SampleSet], layout: Layout | None, value_range: ValueRange | None) -> Iterator[Form]:
    """The files of a form, open as long as it is sent."""
    with tempfile.TemporaryDirectory(prefix="chapterhouse-") as folder, ExitStack() as opened:
        files: dict[str, BinaryIO] = {}
        for name, samples in sets.items():
            if is_open(samples):
                files[name] = samples
            else:
                path = sample_file(samples, Path(folder) / name, layout=layout, value_range=value_range)
                files[name] = opened.enter_context(path.open("rb"))
        yield {name: (name, file, BINARY) for name, file in files.items()}


def _raise_failure(state: EvaluationState) -> None:
    if state.problem is not None:
        raise error_from(state.problem)
    if state.status == "cancelled":
        raise ServiceError(f"The evaluation {state.id} was cancelled.")
