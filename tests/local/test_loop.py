import asyncio
import gc
import os
import signal
import threading

import pytest

from service.local.loop import LoopThread


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def fail() -> None:
    raise ArithmeticError("of the work")


def test_work_is_waited_for_on_one_loop() -> None:
    loop = LoopThread()
    assert [loop.run(double(number)) for number in (1, 2)] == [2, 4]
    assert loop.run(current()) is loop.run(current())
    with pytest.raises(ArithmeticError, match="of the work"):
        loop.run(fail())
    loop.close()


async def current() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


async def test_work_is_waited_for_where_a_loop_runs_already() -> None:
    loop = LoopThread()
    assert loop.run(double(4)) == 8
    assert loop.run(current()) is not asyncio.get_running_loop()
    loop.close()


def test_a_caller_who_is_interrupted_leaves_no_work_behind() -> None:
    loop, ended = LoopThread(), threading.Event()

    async def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C does
            await asyncio.Event().wait()
        finally:
            ended.set()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background work ignores Ctrl-C
    try:
        with pytest.raises(KeyboardInterrupt):
            loop.run(work())
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.is_set()
    assert loop.run(double(3)) == 6
    loop.close()


def test_a_loop_that_is_closed_or_forgotten_ends_its_thread() -> None:
    loop = LoopThread()
    loop.close()
    loop.close()
    with pytest.raises(RuntimeError, match="It is closed"):
        loop.run(double(1))
    forgotten = LoopThread()
    forgotten.run(double(1))
    del forgotten
    gc.collect()
    assert "chapterhouse" not in {thread.name for thread in threading.enumerate()}
