"""`AsyncLocal`: the service in this process, for programs with an event loop.

async with AsyncLocal() as local:
    print(await local.classify("seven.png"))
"""

from types import TracebackType
from typing import Self

from service.local.engine import LazyEngine
from service.local.evaluations import LocalEvaluations
from service.local.models import LocalModels
from service.settings import Settings, read_settings
from service.store import ModelStore


class AsyncLocal(LocalModels, LocalEvaluations):
    """What `AsyncClient` does, done here, without a server. Results are those of a server with the same settings.

    The first work opens an engine, which is kept until `close` or the end of the context; it belongs to the event loop
    of that work. Without settings those of the environment hold. Raises ConfigurationError for settings that cannot be.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or read_settings()
        self._store = ModelStore.of(self.settings)
        self._engine = LazyEngine(self.settings, self._store)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncLocal(devices={self.settings.devices!r}, state_dir={str(self.settings.state)!r})"

    async def ready(self) -> bool:
        """Whether it takes work: always."""
        return True

    async def close(self) -> None:
        """Let go of the engine; the next work opens another."""
        await self._engine.close()
