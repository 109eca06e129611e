"""Engines for work that has been accepted: it waits for one that is restarting, and gives up on what kills them."""

import asyncio
from collections.abc import Mapping, Sequence

from service.errors import EngineUnavailable
from service.runtime.calls import Array, Call, Engines, Lane, LoadedModel
from service.runtime.link import ConnectionLost

DEATHS_LIMIT = 4
"""How often engines may die with one piece of work before it fails: the work itself may be the reason."""
PAUSE_S = 0.5


class PatientEngines:
    """Engines that are waited for as long as the caller lasts."""

    def __init__(self, engines: Engines, request_id: str = "") -> None:
        self._engines = engines
        self._request_id = request_id
        """What engines are told that this is for, unless the caller says otherwise."""

    async def submit(
        self,
        call: Call,
        arrays: Sequence[Array],
        *,
        lane: Lane = Lane.INTERACTIVE,
        deadline: float | None = None,
        request_id: str = "",
    ) -> list[Array]:
        """Arrays to arrays, as EngineClient promises. Raises EngineUnavailable where engines die of it."""
        deaths, request_id = 0, request_id or self._request_id
        while True:
            try:
                return await self._engines.submit(call, arrays, lane=lane, deadline=deadline, request_id=request_id)
            except ConnectionLost as died:
                deaths += 1
                if deaths >= DEATHS_LIMIT:
                    raise EngineUnavailable("An engine died each time that it worked on this.") from died
            except EngineUnavailable:
                pass  # it is being restarted
            await asyncio.sleep(PAUSE_S)

    def width(self) -> int:
        """How many engines share the work."""
        return self._engines.width()

    def models(self) -> Mapping[str, LoadedModel]:
        """The models that engines hold."""
        return self._engines.models()
