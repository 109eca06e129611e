"""What comes in one turn of the event loop is asked, and answered, together: what all of it costs is paid once."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from service.api.outgoing import Reply
from service.runtime.calls import Array, Asked, Call, Posting, Withdraw

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Outcome = list[Array] | BaseException


class Sent(NamedTuple):
    """The body of a request that is quickly read, and what is asked about it."""

    kind: "Kind"
    body: bytes


class Question(NamedTuple):
    """The same for an engine, once it has been read."""

    rows: Array
    notes: tuple[str, ...] = ()
    """What was done to them."""


class Kind(Protocol):
    """What requests ask alike, each about a body of its own. One object is one kind."""

    @property
    def model_name(self) -> str:
        """The model's name."""
        ...

    @property
    def call(self) -> Call:
        """What the model is asked."""
        ...

    def read(self, bodies: Sequence[bytes]) -> Sequence[Question | Exception]:
        """The questions of these bodies; in the place of one that cannot be read, why."""
        ...

    def replies(self, asked: Sequence[Question], found: Sequence[list[Array]]) -> Sequence[Reply]:
        """The answers to questions of this kind, of what an engine found for each."""
        ...


class Asker(Protocol):
    """A request that has a question, and is answered once."""

    withdraw: Withdraw | None
    """What takes its question out again, once it has been asked."""

    @property
    def request_id(self) -> str:
        """What it is called."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether nobody waits for an answer any more."""
        ...

    def answer(self, outcome: Reply | BaseException) -> None:
        """Answer it."""
        ...


class Gathering(Generic[Item]):
    """Items of one turn of the event loop, given to a function at its end."""

    def __init__(self, work_on: Callable[[list[Item]], object]) -> None:
        self._work_on = work_on
        self._items: list[Item] = []

    def put(self, item: Item) -> None:
        """Have this worked on."""
        if not self._items:
            asyncio.get_running_loop().call_soon(self._end)
        self._items.append(item)

    def _end(self) -> None:
        items, self._items = self._items, []
        self._work_on(items)


Entry = TypeVar("Entry", bound=tuple[Any, ...])
Found = TypeVar("Found")


class Together:
    """Requests that ask the same engines, each of which is told what came of its question."""

    def __init__(self, engines: Posting) -> None:
        self._engines = engines
        self._sent = Gathering[tuple[Kind, Asker, bytes]](self._ask)
        self._found = Gathering[tuple[Kind, Asker, Question, list[Array]]](self._answer)

    def ask(self, sent: Sent, asker: Asker) -> None:
        """Read a body and ask about it at the end of this turn."""
        self._sent.put((sent.kind, asker, sent.body))

    def _ask(self, entries: list[tuple[Kind, Asker, bytes]]) -> None:
        for kind, some in _alike(entries):
            read = _for_each(kind.read, [body for *_, body in some])
            asking = []
            for (_, asker, _), question in zip(some, read, strict=True):
                if isinstance(question, Exception):
                    _tell(asker, question)
                else:
                    asking.append((asker, question))
            if asking:
                self._post(kind, asking)

    def _post(self, kind: Kind, asking: Sequence[tuple[Asker, Question]]) -> None:
        asked = [
            Asked(question.rows, partial(self._hear, kind, asker, question), asker.request_id)
            for asker, question in asking
        ]
        try:
            withdraws = self._engines.post(kind.call, asked)
        except Exception as error:  # noqa: BLE001 - the log tells of it
            for asker, _ in asking:
                _tell(asker, error)
        else:
            for (asker, _), withdraw in zip(asking, withdraws, strict=True):
                asker.withdraw = withdraw

    def _hear(self, kind: Kind, asker: Asker, question: Question, outcome: Outcome) -> None:
        if isinstance(outcome, BaseException):
            asker.answer(outcome)
        else:
            self._found.put((kind, asker, question, outcome))

    def _answer(self, entries: list[tuple[Kind, Asker, Question, list[Array]]]) -> None:
        for kind, some in _alike(entries):
            replies = _for_each(kind.replies, [each[2] for each in some], [each[3] for each in some])
            for (_, asker, *_), reply in zip(some, replies, strict=True):
                _tell(asker, reply)


def _tell(asker: Asker, outcome: Reply | Exception) -> None:
    """Answer one request; that it cannot be answered is not the affair of those behind it."""
    try:
        asker.answer(outcome)
    except Exception:
        log.exception("request %s could not be answered", asker.request_id)


def _alike(entries: Iterable[Entry]) -> Iterable[tuple[Kind, list[Entry]]]:
    """Those of each kind whose asker has not gone."""
    kinds: dict[Kind, list[Entry]] = {}
    for entry in entries:
        if not entry[1].is_over:
            kinds.setdefault(entry[0], []).append(entry)
    return kinds.items()


def _for_each(function: Callable[..., Sequence[Found]], *columns: Sequence[Any]) -> list[Found | Exception]:
    """What a function finds for each line of columns; where it fails, for each alone: it may be one that is bad."""
    try:
        return [found for _, found in zip(columns[0], function(*columns), strict=True)]
    except Exception as error:  # noqa: BLE001 - the log tells of it
        if len(columns[0]) == 1:
            return [error]
        lines = zip(*columns, strict=True)
        return [found for line in lines for found in _for_each(function, *([value] for value in line))]


class DirectPath(NamedTuple):
    """How requests of a path are answered where their bytes arrive, by their headers, their query and their body.

    `ask` gives None for those that take longer. Raises ServiceError.
    """

    ask: Callable[[Mapping[bytes, bytes], bytes, bytes], Sent | None]
    together: Together
