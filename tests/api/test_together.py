"""Requests of one turn are asked and answered together, and each ends by itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from waiting import eventually

from service.api.outgoing import Reply
from service.api.together import Question, Sent, Together
from service.errors import InvalidRequest, Overloaded
from service.runtime.calls import Array, Asked, Call, Withdraw


@dataclass(eq=False)
class Doubling:
    """Says twice of what was asked about, in as many calls as it notes; not of what is negative."""

    called: list[int] = field(default_factory=list)
    model_name: str = "echo"

    @property
    def call(self) -> Call:
        return Call(self.model_name, "classify")

    def read(self, bodies: Sequence[bytes]) -> list[Question | Exception]:
        if b"bad" in bodies:
            raise MemoryError
        return [Question(np.array(int(body))) if body else InvalidRequest("empty") for body in bodies]

    def replies(self, asked: Sequence[Question], found: Sequence[list[Array]]) -> list[Reply]:
        self.called.append(len(asked))
        if any(array < 0 for [array] in found):
            raise ValueError("it is negative")
        return [Reply(200, [], b"%d" % (2 * array)) for [array] in found]


@dataclass
class Engines:
    """Keeps what it is asked; the test answers."""

    posts: list[tuple[Call, Sequence[Asked]]] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    refusal: Exception | None = None

    def post(self, call: Call, asked: Sequence[Asked]) -> Sequence[Withdraw]:
        if self.refusal is not None:
            raise self.refusal
        self.posts.append((call, asked))
        return [self._withdrawing(each.request_id) for each in asked]

    def _withdrawing(self, request_id: str) -> Withdraw:
        return lambda: self.withdrawn.append(request_id)

    def answer_all(self) -> None:
        for _, asked in self.posts:
            for rows, told, _ in asked:
                told([rows])
        self.posts.clear()


@dataclass(eq=False)
class One:
    """A request."""

    request_id: str
    withdraw: Callable[[], object] | None = None
    is_over: bool = False
    outcomes: list[Reply | BaseException] = field(default_factory=list)

    def answer(self, outcome: Reply | BaseException) -> None:
        self.outcomes.append(outcome)


@pytest.fixture
def engines() -> Engines:
    return Engines()


def asking(together: Together, kind: Doubling, *numbers: int) -> list[One]:
    askers = [One(str(number)) for number in numbers]
    for asker, number in zip(askers, numbers, strict=True):
        together.ask(Sent(kind, b"%d" % number), asker)
    return askers


async def test_what_is_asked_alike_in_one_turn_goes_and_comes_together(engines: Engines) -> None:
    together, one, other = Together(engines), Doubling(), Doubling(model_name="other")
    askers = [*asking(together, one, 1, 2), *asking(together, other, 3), *asking(together, one, 4)]
    await eventually(lambda: engines.posts)
    assert [(call.model, [each.request_id for each in asked]) for call, asked in engines.posts] == [
        ("echo", ["1", "2", "4"]),
        ("other", ["3"]),
    ]
    engines.answer_all()
    await eventually(lambda: all(asker.outcomes for asker in askers))
    assert [asker.outcomes for asker in askers] == [[Reply(200, [], b"%d" % n)] for n in (2, 4, 6, 8)]
    assert (one.called, other.called) == ([3], [1])


async def test_a_bad_answer_fails_alone(engines: Engines) -> None:
    together, kind = Together(engines), Doubling()
    good, bad, other = askers = asking(together, kind, 1, -1, 2)
    await eventually(lambda: engines.posts)
    engines.answer_all()
    await eventually(lambda: all(asker.outcomes for asker in askers))
    assert [each.body for each in (*good.outcomes, *other.outcomes) if isinstance(each, Reply)] == [b"2", b"4"]
    assert isinstance(bad.outcomes[0], ValueError)


async def test_a_body_that_cannot_be_read_is_refused_alone(engines: Engines) -> None:
    together, kind = Together(engines), Doubling()
    good, bad, empty = One("good"), One("bad"), One("empty")
    for body, asker in ((b"1", good), (b"bad", bad), (b"", empty)):
        together.ask(Sent(kind, body), asker)
    await eventually(lambda: engines.posts)
    assert [each.request_id for _, asked in engines.posts for each in asked] == ["good"]
    assert isinstance(bad.outcomes[0], MemoryError)
    assert isinstance(empty.outcomes[0], InvalidRequest)


async def test_who_cannot_be_answered_keeps_nobody_behind_waiting(
    engines: Engines, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(One):
        def answer(self, outcome: Reply | BaseException) -> None:
            raise OSError(outcome)

    together, kind, behind = Together(engines), Doubling(), One("behind")
    for asker in (Broken("broken"), behind):
        together.ask(Sent(kind, b"1"), asker)
    await eventually(lambda: engines.posts)
    engines.answer_all()
    await eventually(lambda: behind.outcomes)
    assert "request broken could not be answered" in caplog.text


async def test_an_error_is_told_to_whom_it_belongs(engines: Engines) -> None:
    together = Together(engines)
    first, second = askers = asking(together, Doubling(), 1, 2)
    await eventually(lambda: engines.posts)
    [(_, [one, other])] = engines.posts
    one.told(Overloaded("full"))
    other.told([np.array(2)])
    await eventually(lambda: all(asker.outcomes for asker in askers))
    assert isinstance(first.outcomes[0], Overloaded)
    assert isinstance(second.outcomes[0], Reply)


async def test_engines_that_take_nothing_are_told_to_all(engines: Engines) -> None:
    engines.refusal = Overloaded("full")
    askers = asking(Together(engines), Doubling(), 1, 2)
    await eventually(lambda: all(asker.outcomes for asker in askers))
    assert [asker.outcomes for asker in askers] == [[engines.refusal]] * 2


async def test_who_has_gone_is_neither_asked_for_nor_answered(engines: Engines) -> None:
    together = Together(engines)
    gone, stays, goes = asking(together, Doubling(), 1, 2, 3)
    gone.is_over = True
    await eventually(lambda: engines.posts)
    assert [each.request_id for _, asked in engines.posts for each in asked] == ["2", "3"]
    engines.answer_all()
    goes.is_over = True
    await eventually(lambda: stays.outcomes)
    assert not gone.outcomes
    assert not goes.outcomes


async def test_a_question_can_be_taken_out_again(engines: Engines) -> None:
    [asker] = asking(Together(engines), Doubling(), 1)
    await eventually(lambda: engines.posts)
    assert asker.withdraw is not None
    asker.withdraw()
    assert engines.withdrawn == ["1"]
