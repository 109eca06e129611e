"""Submissions of one row each that came in one message: held, forwarded and answered as one, as long as they can be.

What concerns one alone (its caller left, its batch failed, there is no room for all) is done to submissions of their
own, into which a bunch falls apart: each of its rows is then as if it had come by itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from service.errors import ServiceError
from service.runtime.calls import Array, Call, Lane
from service.runtime.work import Answer, Work

Told = Callable[["Bunch", int, int, list[Array]], bool]
"""Answers the rows from one to another at once; False, and nothing is done, where each of them is to be told of."""


def _unheard(_outcome: list[Array] | ServiceError) -> None:
    """All that is answered is answered to a row's own caller."""


class Pass(NamedTuple):
    """Some of its rows on their way through the device."""

    waited_s: float
    device_s: float = 0.0
    computed: float = 0.0


@dataclass(slots=True, eq=False, kw_only=True)
class Bunch(Work):
    """Several submissions of one row each, interactive and without a deadline."""

    request_ids: Sequence[str]
    answer_of: Callable[["Bunch", int], Answer]
    """Where the answer of a row goes, once that is a submission of its own."""
    answer_rows: Told
    parted: dict[int, Work] = field(default_factory=dict)
    """The submissions of their own, by their rows."""
    passes: dict[int, Pass] = field(default_factory=dict)
    """By their first rows."""

    @classmethod
    def of(
        cls,
        call: Call,
        arrays: Sequence[Array],
        request_ids: Sequence[str],
        *,
        answer_of: Callable[["Bunch", int], Answer],
        answer_rows: Told,
    ) -> Self:
        """One of these rows, which lie side by side."""
        return cls(
            call,
            arrays,
            len(request_ids),
            Lane.INTERACTIVE,
            None,
            "",
            _unheard,
            request_ids=request_ids,
            answer_of=answer_of,
            answer_rows=answer_rows,
        )

    def begin(self, start: int, stop: int, now: float) -> list[float]:
        """The rows from one to another go to the device: what each submission has waited."""
        waited_s = now - self.arrived
        self.passes[start] = Pass(waited_s)
        return [waited_s] * (stop - start)

    def end(self, start: int, seconds: float, now: float) -> None:
        """The rows from one on have come back from the device, which took so long."""
        self.passes[start] = Pass(self.passes[start].waited_s, seconds, now)

    def pass_of(self, row: int) -> Pass:
        """That of a row which has begun one."""
        return self.passes[max(start for start in self.passes if start <= row)]

    def part(self, row: int) -> Work:
        """The submission of its own that a row is from now on."""
        work = self.parted.get(row)
        if work is None:
            arrays, request_id = [array[row : row + 1] for array in self.arrays], self.request_ids[row]
            work = Work(self.call, arrays, 1, self.lane, None, request_id, self.answer_of(self, row), self.arrived)
            if row < self.taken:
                work.taken = 1
                work.waited_s, work.device_s, work.computed = self.pass_of(row)
            self.parted[row] = work
        return work

    def waiting(self) -> list[Work]:
        """What waits of it, in submissions of their own."""
        return [self.part(row) for row in range(self.taken, self.rows)]

    def finish(self, outcome: list[Array] | ServiceError) -> None:
        """Answer all of it once."""
        if self.over:
            return
        if isinstance(outcome, list):
            self._tell(0, self.rows, outcome)
        else:
            for row in range(self.rows):
                self.part(row).finish(outcome)
        self.close()

    def add(self, start: int, rows: int, results: list[Array]) -> None:
        """Answer so many rows from this one on."""
        self._tell(start, start + rows, results)

    def _tell(self, start: int, stop: int, results: list[Array]) -> None:
        if not self.parted and self.answer_rows(self, start, stop, results):
            return
        for row in range(start, stop):
            at = row - start
            self.part(row).finish([result[at : at + 1] for result in results])
