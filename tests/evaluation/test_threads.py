"""A step in a thread is told to stop, and waited for."""

import asyncio
import threading

import pytest
from waiting import eventually

from service.evaluation.threads import Stop, Stopped, in_thread


async def test_a_step_answers_or_raises() -> None:
    assert await in_thread(lambda _: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda _: 1 // 0)


async def test_whoever_cancels_a_step_gets_the_word_back_when_it_has_ended() -> None:
    begun, ended = threading.Event(), threading.Event()

    def step(stop: Stop) -> None:
        begun.set()
        try:
            while True:
                stop.check()
        except Stopped:
            ended.set()
            raise

    waiting = asyncio.create_task(in_thread(step))
    await eventually(begun.is_set)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended.is_set()


def test_nothing_stops_that_was_not_told_to() -> None:
    stop = Stop()
    stop.check()
    stop.ask()
    with pytest.raises(Stopped):
        stop.check()
