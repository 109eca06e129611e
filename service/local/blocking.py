"""`Local`: the service in this process, for programs that wait for each answer, also where an event loop runs.

with Local() as local:
    print(local.classify([Path("seven.png")]))
"""

from collections.abc import Coroutine
from functools import cached_property
from types import TracebackType
from typing import Any, Self, TypeVar

from service.client.faces import blocking
from service.local.asynchronous import AsyncLocal
from service.local.loop import LoopThread
from service.settings import Settings

T = TypeVar("T")


class Local:
    """What `Client` does, done here, without a server. Results are those of a server with the same settings.

    The first work opens an engine, which is kept until `close`, the end of the context, or that of the program. Without
    settings those of the environment hold. Raises ConfigurationError for settings that cannot be.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.asynchronous = AsyncLocal(settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        settings = self.asynchronous.settings
        return f"Local(devices={settings.devices!r}, models={str(settings.shipped_models_dir)!r})"

    @cached_property
    def _loop(self) -> LoopThread:
        return LoopThread()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What a coroutine over `asynchronous` comes to, on the loop of its engine."""
        return self._loop.run(work)

    def close(self) -> None:
        """Let go of the engine and its thread; the next work makes others."""
        if "_loop" in vars(self):
            self.run(self.asynchronous.close())
            self._loop.close()
            del self._loop

    classify = blocking(AsyncLocal.classify)
    forecast = blocking(AsyncLocal.forecast)
    generate = blocking(AsyncLocal.generate)
    evaluate = blocking(AsyncLocal.evaluate)
    page = blocking(AsyncLocal.page)
