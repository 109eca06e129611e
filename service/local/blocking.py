"""`Local`: the service in this process, for programs that wait for each answer, also where an event loop runs.

with Local() as local:
    print(local.classify("seven.png"))
"""

from collections.abc import Coroutine
from functools import cached_property
from types import TracebackType
from typing import Any, Self, TypeVar

from service.client.faces import blocking, blocking_each
from service.local.asynchronous import AsyncLocal
from service.local.loop import LoopThread
from service.metrics.linear_algebra import one_thread
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
        return repr(self.asynchronous).removeprefix("Async")

    @cached_property
    def _loop(self) -> LoopThread:
        return LoopThread()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What a coroutine over `asynchronous` comes to, on the loop of its engine."""
        with one_thread:  # entered here, because the first thread that sets it keeps it from the others
            return self._loop.run(work)

    def close(self) -> None:
        """Let go of the engine and its thread; the next work makes others."""
        if "_loop" in vars(self):
            self.run(self.asynchronous.close())
            self._loop.close()
            del self._loop

    ready = blocking(AsyncLocal.ready)
    models = blocking(AsyncLocal.models)
    model = blocking(AsyncLocal.model)
    load = blocking(AsyncLocal.load)
    unload = blocking(AsyncLocal.unload)
    name_version = blocking(AsyncLocal.name_version)
    forget_name = blocking(AsyncLocal.forget_name)
    classify = blocking(AsyncLocal.classify)
    explain = blocking(AsyncLocal.explain)
    explain_arrays = blocking(AsyncLocal.explain_arrays)
    units = blocking(AsyncLocal.units)
    units_picture = blocking(AsyncLocal.units_picture)
    forecast = blocking(AsyncLocal.forecast)
    generate = blocking(AsyncLocal.generate)
    generate_into = blocking(AsyncLocal.generate_into)
    evaluate = blocking(AsyncLocal.evaluate)
    evaluations = blocking(AsyncLocal.evaluations)
    evaluation = blocking(AsyncLocal.evaluation)
    follow = blocking_each(AsyncLocal.follow)
    delete_evaluation = blocking(AsyncLocal.delete_evaluation)
    page = blocking(AsyncLocal.page)
    references = blocking(AsyncLocal.references)
    reference = blocking(AsyncLocal.reference)
    put_reference = blocking(AsyncLocal.put_reference)
    delete_reference = blocking(AsyncLocal.delete_reference)
