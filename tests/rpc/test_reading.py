import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from waiting import eventually

from service.errors import InvalidRequest, Overloaded, RequestTimeout
from service.rpc.reading import Reading
from service.settings import Settings

MINE, YOURS = "ipv4:192.0.2.1:4711", "ipv4:192.0.2.2:4711"
Read = Callable[..., Reading]


@pytest.fixture
def reading(service_settings: Settings) -> Read:
    """Makes one with four places."""

    def create(**changes: Any) -> Reading:
        limits = {"memory_limit_bytes": 4 << 20, "body_limit_bytes": 1 << 20, "client_share": 0.75}
        return Reading(service_settings.model_copy(update={**limits, **changes}))

    return create


async def saying(*messages: str) -> AsyncIterator[str]:
    for message in messages:
        yield message


async def stalling() -> AsyncIterator[str]:
    await asyncio.Event().wait()
    yield "never"


async def test_the_message_of_a_call_is_read(reading: Read) -> None:
    assert await reading().only(saying("hello"), MINE) == "hello"


async def test_a_call_without_a_message_is_none(reading: Read) -> None:
    with pytest.raises(InvalidRequest):
        await reading().only(saying(), MINE)


async def test_a_message_that_does_not_come_is_given_up(reading: Read) -> None:
    with pytest.raises(RequestTimeout):
        await reading(body_timeout_s=0.01).only(stalling(), MINE)


async def test_who_stalls_keeps_nobody_out_and_has_places_for_a_share_only(reading: Read) -> None:
    made = reading()
    began: list[int] = []

    async def noted(number: int) -> AsyncIterator[str]:
        began.append(number)
        async for message in stalling():
            yield message

    async with asyncio.TaskGroup() as group:
        stalled = [group.create_task(made.only(noted(number), MINE)) for number in range(16)]
        await eventually(lambda: len(began) == 3)
        assert await made.only(saying("hello"), YOURS) == "hello"
        assert len(began) == 3
        for task in stalled:
            task.cancel()
    assert await made.only(saying("again"), MINE) == "again"


async def test_messages_wait_for_places_in_turn(reading: Read) -> None:
    made = reading(memory_limit_bytes=1)
    told = await asyncio.gather(*(made.only(saying(str(number)), MINE) for number in range(32)))
    assert told == [str(number) for number in range(32)]


async def test_who_gets_no_place_in_time_is_told_to_ask_again(reading: Read) -> None:
    made = reading(memory_limit_bytes=1, body_timeout_s=0.05)
    stream = made.each(saying("one", "two"), MINE)
    assert await anext(stream) == "one"
    with pytest.raises(Overloaded):
        await made.only(saying("hello"), YOURS)
    assert [message async for message in stream] == ["two"]
    assert await made.only(saying("hello"), YOURS) == "hello"
