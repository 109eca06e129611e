"""Who hangs up ends the work that is done for him, and nothing else, whoever tells of it: our own server, or nobody."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

import pytest
from api.asking import Caller
from api.fronts import Front, serving, whole
from doubles import Unanswering
from starlette.types import Message
from waiting import eventually, until

from service.api.gate import Application
from service.api.presence import PRESENCE, CallerGone, Presence, Watch, watch

MakeApp = Callable[..., Application]


class Client:
    """One that hangs up when it is told to."""

    def __init__(self, *, is_told_of: bool) -> None:
        self._bare = Caller(pieces=())
        self._presence = Presence(asyncio.get_running_loop())
        self._scope = {"extensions": {PRESENCE: self._presence}} if is_told_of else {}

    def watched(self) -> AbstractContextManager[None]:
        """The work that is done for it."""
        return watch(self._scope, self._bare.receive)

    def hang_up(self) -> None:
        """Be gone."""
        self._bare.gone.set()
        self._presence.end()


@pytest.fixture(params=[True, False], ids=["told", "listened for"])
async def client(request: pytest.FixtureRequest) -> Client:
    return Client(is_told_of=request.param)


async def test_the_work_for_a_client_that_hangs_up_is_cancelled_and_what_follows_goes_on(client: Client) -> None:
    begun, ended = asyncio.Event(), []

    async def work() -> str:
        try:
            with client.watched():
                begun.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    ended.append("work")
        except CallerGone:
            await asyncio.sleep(0)
            return "gone"
        raise AssertionError

    task = asyncio.create_task(work())
    await begun.wait()
    client.hang_up()
    client.hang_up()  # a connection may find out twice
    assert await task == "gone"
    assert ended == ["work"]
    assert not task.cancelling()


async def test_for_a_client_that_has_hung_up_nothing_is_waited_for(client: Client) -> None:
    client.hang_up()
    with pytest.raises(CallerGone), client.watched():
        await asyncio.Event().wait()


async def test_a_client_that_hangs_up_when_its_work_is_done_cancels_nothing(client: Client) -> None:
    with client.watched():
        pass
    client.hang_up()
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.Event().wait()


async def test_a_time_limit_around_a_request_holds_although_its_client_has_hung_up(client: Client) -> None:
    client.hang_up()
    with pytest.raises(TimeoutError):
        await _linger(client)


async def _linger(client: Client) -> None:
    async with asyncio.timeout(None) as limit:
        with suppress(CallerGone), client.watched():
            await asyncio.Event().wait()
        limit.reschedule(0)
        await asyncio.Event().wait()


async def test_work_that_is_cancelled_from_elsewhere_does_not_pass_for_a_client_that_hung_up(client: Client) -> None:
    begun = asyncio.Event()

    async def work() -> None:
        with client.watched():
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_watch_that_is_over_neither_begins_to_listen_nor_goes_on() -> None:
    listening = asyncio.Event()

    async def receive() -> Message:
        listening.set()
        await asyncio.Event().wait()
        raise AssertionError

    short, long = Watch(receive), Watch(receive)
    with short:
        pass
    with long:
        await listening.wait()
    assert short._timer.cancelled()
    assert long._listener is not None
    assert long._listener.cancelling()


async def test_only_hanging_up_is_hanging_up() -> None:
    caller = Caller(pieces=(b"", b""))
    with Watch(caller.receive):
        await eventually(lambda: caller.taken == 2)  # the caller tells nobody


def test_a_front_lets_go_of_the_work_for_a_client_that_hangs_up(make_app: MakeApp) -> None:
    engine = Unanswering()
    app = make_app(engine, queue_limit=1)
    with serving(app) as front:
        for _ in range(2):
            _hang_up_at_work(front, engine)
    counted = app.gate.instruments.exposition(None).decode()
    assert 'chapterhouse_requests_total{code="499",endpoint="/classify"} 2.0' in counted


def _hang_up_at_work(front: Front, engine: Unanswering) -> None:
    with front.caller() as caller:
        caller.say(whole())
        until(engine.asked.is_set)
        assert front.app.gate.working == 1
        caller.reset()
    front.wait_for_end()
    assert engine.dropped.is_set()
    front.do(engine.asked.clear)
    front.do(engine.dropped.clear)
