"""Engines of one kind: all that is compared within one piece of work is computed on devices that give the same bits.

Peers, which are engines of other services, take their part where all that their bits depend on is the same.
"""

from collections.abc import Mapping, Sequence

from service.errors import EngineUnavailable
from service.runtime.calls import Array, Call, Engines, Lane, LoadedModel
from service.runtime.link import Link
from service.runtime.pool import EnginePool


class OneKind:
    """The engines of a pool that are of the kind of the one which took the first work. Engines."""

    def __init__(self, pool: EnginePool) -> None:
        self._pool = pool
        self._kind = ""
        self._first: Link | None = None

    async def submit(
        self,
        call: Call,
        arrays: Sequence[Array],
        *,
        lane: Lane = Lane.INTERACTIVE,
        deadline: float | None = None,
        request_id: str = "",
    ) -> list[Array]:
        """Arrays to arrays, as EngineClient promises. Raises EngineUnavailable while none of this kind is there."""
        return await self._pool.submit(
            call, arrays, lane=lane, deadline=deadline, request_id=request_id, among=self._choose
        )

    def width(self) -> int:
        """How many engines of this kind share the work."""
        return self._pool.width(self._fitting)

    def models(self) -> Mapping[str, LoadedModel]:
        """The models held by engines of this kind."""
        return self._pool.models(self._fitting)

    def _fitting(self, links: Sequence[Link]) -> Sequence[Link]:
        """Those of this kind; until that is known, the one which has work, or all of this service."""
        if self._first is not None and not self._kind:
            self._kind = kind_of(self._first)
        if self._kind:
            return [link for link in links if kind_of(link) == self._kind]
        first = self._first
        if first is not None and first in links:
            return [first]
        return [link for link in links if not link.is_peer] or links

    def _choose(self, links: Sequence[Link]) -> Sequence[Link]:
        """The same, and from now on those like the first of them."""
        fitting = self._fitting(links)
        if not fitting:
            raise EngineUnavailable(f"No engine on {self._kind} answers; what was begun there is mixed with no other.")
        if not self._kind:
            self._first = min(fitting, key=lambda link: (link.is_peer, not kind_of(link), link.rows_waiting))
            return [self._first]
        return fitting


def kind_of(link: Link) -> str:
    """What the bits of the device behind a connection depend on, or what it is, once either is known."""
    return link.bits or next((held.kind for held in link.models.values()), "")


def of_one_kind(engines: Engines) -> Engines:
    """Engines whose answers belong together: one alone is of its kind."""
    return OneKind(engines) if isinstance(engines, EnginePool) else engines
