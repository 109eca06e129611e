from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from doubles import BAD, Echo, Slow, echoed, images, worked_on
from runtime.submitting import ECHO, FAILING, SLOW
from waiting import eventually

from service.errors import ModelFailed, Overloaded, ServiceError
from service.runtime.bunches import Bunch
from service.runtime.calls import Array, Asked, Call, Withdraw
from service.runtime.devices import Device
from service.runtime.engine import Engine
from service.runtime.link import Link
from service.runtime.listener import Listener, Outcome
from service.runtime.work import Work
from service.store import ModelStore
from service.telemetry.instruments import Instruments

LIMIT = 64


@dataclass
class Asking:
    """A caller that asks about single images, all of them in one message."""

    engine: Engine
    link: Link
    listener: Listener
    over: list[Work]
    """What was answered one by one."""
    together: list[int]
    """How many were answered at once, each time."""
    one_by_one: bool = False
    heard: dict[int, list[Array] | BaseException] = field(default_factory=dict)
    """By first pixel."""

    def ask(self, call: Call, *firsts: int) -> Sequence[Withdraw]:
        """Ask; what takes each of them out again."""
        asked = [Asked(images(first), partial(self.heard.__setitem__, first), f"r{first}") for first in firsts]
        return self.link.post(call, asked)

    async def answered(self, *firsts: int) -> None:
        """Wait until these are answered, rightly."""
        await eventually(lambda: set(firsts) <= self.heard.keys())
        for first in firsts:
            found = self.heard[first]
            assert isinstance(found, list), found
            np.testing.assert_allclose(found[0], echoed(first), atol=1e-6)

    async def hold(self) -> None:
        """Have the device busy with an image."""
        self.ask(SLOW, 250)
        await eventually(Slow.entered.is_set)

    async def waiting(self, rows: int) -> None:
        """Wait until so many rows wait, or are under way."""
        await eventually(lambda: self.engine.rows_waiting() == rows)


@pytest.fixture
async def asking(store: ModelStore, sockets: Path) -> AsyncIterator[Asking]:
    engine = Engine(store, Device("cpu"), instruments=Instruments(), queue_limit=LIMIT)
    over: list[Work] = []
    together: list[int] = []

    def note_all(_bunch: Bunch, start: int, stop: int) -> bool:
        together.append(stop - start)
        return not caller.one_by_one

    def note(work: Work, _outcome: Outcome) -> None:
        over.append(work)

    listener = Listener(engine, over=note, together=note_all)
    await engine.start()
    await listener.listen(sockets / "engine.sock")
    for call in (ECHO, FAILING, SLOW):
        await engine.load(call.model)
    caller = Asking(engine, await Link.connect(sockets / "engine.sock"), listener, over, together)
    Echo.forwarded.clear()
    yield caller
    Slow.let_go.set()
    caller.link.close()
    await caller.link.closed.wait()
    await engine.stop()
    await listener.close()


async def test_what_comes_in_one_message_is_forwarded_and_answered_as_one(asking: Asking) -> None:
    asking.ask(ECHO, *range(1, 9))
    await asking.answered(*range(1, 9))
    assert worked_on() == [[*range(1, 9)]]
    assert asking.together == [8]
    assert not asking.over


async def test_each_is_noted_by_itself_where_that_is_wanted(asking: Asking) -> None:
    asking.one_by_one = True
    asking.ask(ECHO, 1, 2, 3)
    await asking.answered(1, 2, 3)
    assert [(work.request_id, work.rows) for work in asking.over] == [("r1", 1), ("r2", 1), ("r3", 1)]
    assert all(work.waited_s is not None and work.device_s > 0 for work in asking.over)


async def test_a_bad_one_fails_alone(asking: Asking) -> None:
    asking.ask(FAILING, 1, BAD, 3)
    await asking.answered(1, 3)
    await eventually(lambda: BAD in asking.heard)
    assert isinstance(asking.heard[BAD], ModelFailed)


async def test_those_that_leave_while_they_wait_are_not_worked_on_and_others_keep_their_places(asking: Asking) -> None:
    await asking.hold()
    asking.ask(SLOW, 1)
    withdraws = asking.ask(SLOW, 2, 3, 4, 5)
    asking.ask(SLOW, 6, 7)
    await asking.waiting(8)
    withdraws[0]()
    withdraws[2]()
    await asking.waiting(6)
    Slow.let_go.set()
    await asking.answered(1, 3, 5, 6, 7)
    assert worked_on() == [[250], [1, 3, 5, 6, 7]]
    assert not asking.heard.keys() & {2, 4}


async def test_one_that_leaves_during_the_forward_pass_hurts_nobody(asking: Asking) -> None:
    withdraws = asking.ask(SLOW, 1, 2, 3)
    await eventually(Slow.entered.is_set)
    withdraws[1]()
    asking.ask(SLOW, 4)  # which comes behind that
    await asking.waiting(4)
    Slow.let_go.set()
    await asking.answered(1, 3, 4)
    assert 2 not in asking.heard
    assert [work.request_id for work in asking.over] == ["r1", "r3", "r4"]


async def test_one_that_left_and_one_that_fails_leave_the_others_their_answers(asking: Asking) -> None:
    await asking.hold()
    withdraws = asking.ask(FAILING, 1, 2, BAD, 4)
    await asking.waiting(5)
    withdraws[0]()
    await asking.waiting(4)
    Slow.let_go.set()
    await asking.answered(2, 4)
    await eventually(lambda: BAD in asking.heard)
    assert isinstance(asking.heard[BAD], ModelFailed)


async def test_of_more_than_an_idle_engine_has_room_for_the_first_have_it(asking: Asking) -> None:
    asking.ask(ECHO, *range(1, LIMIT + 11))
    await asking.answered(*range(1, LIMIT + 1))
    await eventually(lambda: len(asking.heard) == LIMIT + 10)
    assert sum(isinstance(found, Overloaded) for found in asking.heard.values()) == 10


async def test_of_more_than_there_is_room_for_the_first_have_it(asking: Asking) -> None:
    await asking.hold()
    asking.ask(SLOW, *range(1, 61))
    await asking.waiting(61)
    asking.ask(SLOW, *range(61, 71))
    refused = range(LIMIT + 1, 71)
    await eventually(lambda: set(refused) <= asking.heard.keys())
    assert all(isinstance(asking.heard[first], Overloaded) for first in refused)
    Slow.let_go.set()
    await asking.answered(*range(1, LIMIT + 1))


async def test_more_than_a_batch_takes_go_through_several_and_each_is_answered_with_its_own(asking: Asking) -> None:
    asking.ask(ECHO, *range(1, 31))
    await asking.answered(*range(1, 31))
    assert [first for batch in worked_on() for first in batch] == [*range(1, 31)]
    assert asking.together == [8, 8, 8, 6]


async def test_a_caller_that_hangs_up_takes_all_of_it_out(asking: Asking) -> None:
    await asking.hold()
    asking.ask(SLOW, 1, 2, 3)
    await asking.waiting(4)
    asking.link.close()
    await asking.waiting(1)
    Slow.let_go.set()
    await asking.waiting(0)
    assert worked_on() == [[250]]


async def test_what_a_model_does_not_take_is_refused_each(asking: Asking) -> None:
    heard: list[object] = []
    asking.link.post(ECHO, [Asked(np.zeros((1, 3), np.uint8), heard.append) for _ in range(4)])
    await eventually(lambda: len(heard) == 4)
    assert all(isinstance(found, ServiceError) for found in heard)


async def test_what_has_to_be_computed_alone_or_waits_for_others_falls_apart(asking: Asking) -> None:
    asking.ask(Call("echo", "features"), 1, 2, 3)
    await eventually(lambda: {1, 2, 3} <= asking.heard.keys())
    assert [work.request_id for work in asking.over] == ["r1", "r2", "r3"]
    assert not asking.together


def test_a_bunch_answers_once() -> None:
    told: list[int] = []
    bunch = Bunch.of(
        ECHO,
        [images(1, 2)],
        ["a", "b"],
        answer_of=lambda _, row: lambda _outcome: told.append(row),
        answer_rows=lambda *_: False,
    )
    bunch.begin(0, 2, bunch.arrived)
    bunch.taken = 2
    bunch.finish([np.zeros((2, 1))])
    bunch.finish(ServiceError("too late"))
    assert told == [0, 1]
