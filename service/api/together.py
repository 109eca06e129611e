"""What comes in one turn of the event loop is asked, and answered, together: what all of it costs is paid once."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Generic, NamedTuple, Protocol, TypeVar

from service.api.outgoing import Reply
from service.runtime.calls import Array, Asked, Call, Posting, Withdraw

Item = TypeVar("Item")
Outcome = list[Array] | BaseException


class Question(NamedTuple):
    """What an engine is asked for a request."""

    kind: "Kind"
    rows: Array
    notes: tuple[str, ...] = ()
    """What was done to them."""


class Kind(Protocol):
    """What requests ask alike, each of rows of its own. One object is one kind."""

    @property
    def model_name(self) -> str:
        """The model's name."""
        ...

    @property
    def call(self) -> Call:
        """What the model is asked."""
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


Entry = tuple[Question, Asker]
Answered = tuple[Question, Asker, list[Array]]


class Together:
    """Requests that ask the same engines, each of which is told what came of its question."""

    def __init__(self, engines: Posting) -> None:
        self._engines = engines
        self._asked = Gathering[Entry](self._ask)
        self._found = Gathering[Answered](self._answer)

    def ask(self, question: Question, asker: Asker) -> None:
        """Ask at the end of this turn."""
        self._asked.put((question, asker))

    def _ask(self, entries: list[Entry]) -> None:
        alike: dict[Kind, list[Entry]] = {}
        for entry in entries:
            if not entry[1].is_over:
                alike.setdefault(entry[0].kind, []).append(entry)
        for kind, some in alike.items():
            self._post(kind, some)

    def _post(self, kind: Kind, entries: list[Entry]) -> None:
        asked = [
            Asked(question.rows, partial(self._hear, question, asker), asker.request_id) for question, asker in entries
        ]
        try:
            withdraws = self._engines.post(kind.call, asked)
        except Exception as error:  # noqa: BLE001 - the log tells of it
            for _, asker in entries:
                asker.answer(error)
        else:
            for (_, asker), withdraw in zip(entries, withdraws, strict=True):
                asker.withdraw = withdraw

    def _hear(self, question: Question, asker: Asker, outcome: Outcome) -> None:
        if isinstance(outcome, BaseException):
            asker.answer(outcome)
        else:
            self._found.put((question, asker, outcome))

    def _answer(self, answered: list[Answered]) -> None:
        alike: dict[Kind, list[Answered]] = {}
        for each in answered:
            if not each[1].is_over:
                alike.setdefault(each[0].kind, []).append(each)
        for kind, some in alike.items():
            _reply(kind, some)


def _reply(kind: Kind, answered: Sequence[Answered]) -> None:
    """Answer requests of one kind together; where that fails each alone, for it may be one that is bad."""
    questions, askers, found = zip(*answered, strict=True)
    try:
        replies = kind.replies(questions, found)
    except Exception as error:  # noqa: BLE001 - the log tells of it
        if len(answered) == 1:
            askers[0].answer(error)
            return
        for each in answered:
            _reply(kind, [each])
        return
    for asker, reply in zip(askers, replies, strict=True):
        asker.answer(reply)


class DirectPath(NamedTuple):
    """How requests of a path are answered where their bytes arrive, by their headers, their query and their body.

    `ask` gives None for those that take longer. Raises ServiceError.
    """

    ask: Callable[[Mapping[bytes, bytes], bytes, bytes], Question | None]
    together: Together
