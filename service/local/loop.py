"""An event loop in a thread of its own, so that work that waits can be asked for from anywhere, a notebook too."""

import asyncio
import threading
import weakref
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future, wait
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs coroutines, one loop for all of them, until it is closed or forgotten, or the program ends."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=_serve, args=(self._loop,), name="chapterhouse", daemon=True)
        thread.start()
        self._end = weakref.finalize(self, _stop, self._loop, thread)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work comes to, or raises. A caller who is interrupted (Ctrl-C) cancels it, and waits for its end.

        Raises RuntimeError when it is closed.
        """
        if not self._end.alive:
            work.close()
            raise RuntimeError("It is closed; make another one.")
        under_way = _UnderWay(work)
        try:
            self._loop.call_soon_threadsafe(under_way.begin)
            return under_way.outcome.result()
        except BaseException:
            if not under_way.outcome.done():
                self._loop.call_soon_threadsafe(under_way.cancel)
                wait([under_way.outcome])
            raise

    def close(self) -> None:
        """End the loop and its thread; work that is under way is cancelled."""
        self._end()


class _UnderWay(Generic[T]):
    """One piece of work, from before it begins until its outcome is there; its methods are called on the loop."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._work = work
        self._task: asyncio.Task[T] | None = None
        self.outcome: Future[T] = Future()

    def begin(self) -> None:
        """Begin, unless nobody wants it any more."""
        if not self.outcome.done():
            self._task = asyncio.get_running_loop().create_task(self._work)
            self._task.add_done_callback(self._tell)

    def cancel(self) -> None:
        """End it, before or after it began."""
        if self._task is not None:
            self._task.cancel()
        elif not self.outcome.done():
            self._work.close()
            self.outcome.set_exception(CancelledError())

    def _tell(self, task: "asyncio.Task[T]") -> None:
        error = CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            self.outcome.set_exception(error)
        else:
            self.outcome.set_result(task.result())


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:  # which cancels what is left, and closes the loop
        runner.get_loop().run_forever()


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    loop.call_soon_threadsafe(loop.stop)
    if thread is not threading.current_thread():
        thread.join()
