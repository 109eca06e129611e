"""What a front has to give (connections, requests, memory), and how much of it one client may hold."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from service.errors import Overloaded
from service.runtime.pace import bounded

MUCH = 4 << 20
WINDOW_S, ENOUGH_S = 1.0, 0.25
"""Over how long it is counted what comes back, and how much of that time says how fast it does."""

AGAIN_S, REMEMBERED = 0.25, 1024
"""For how long a refusal is remembered, and of about how many clients."""
PACE_S, LONGEST_S = 0.01, 2.0
"""Between two answers to a client that asks again at once, and for how long one is kept waiting for its own."""


class Returns:
    """How fast a budget comes back."""

    __slots__ = ("_began", "_clock", "_count", "_per_s")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._count = 0
        self._per_s = 0.0
        """In the last time that has been counted; 0 where there is none."""

    def note(self, amount: int) -> None:
        """So much came back now."""
        if self._clock() - self._began > WINDOW_S:
            self._begin_anew()
        self._count += amount

    def _begin_anew(self) -> None:
        now = self._clock()
        passed_s = now - self._began
        self._per_s = self._count / passed_s if passed_s < 2 * WINDOW_S else 0.0  # else it stood still for want of work
        self._began, self._count = now, 0

    def wait_s(self, amount: int) -> float:
        """When so much will have come back, as it does now."""
        passed_s = self._clock() - self._began
        per_s = self._count / passed_s if self._count and (passed_s > ENOUGH_S or not self._per_s) else self._per_s
        return bounded(amount / per_s if per_s else 0.0)


@dataclass(eq=False, slots=True)
class Budget:
    """So much of something, in all and for each client.

    A client may hold what is free times `share / (1 - share)`: alone it gets `share` of all, beside others less, and
    however many hold much, something is left for the next one (dynamic thresholds, Choudhury and Hahne 1998).
    """

    limit: int
    share: float
    taken: int = 0
    held: dict[str, int] = field(default_factory=dict)
    """What each client holds, of those that hold anything."""
    on_much_returned: Callable[[], object] | None = None
    """Told whenever so much as `MUCH` has come back."""
    returns: Returns | None = None
    """Told of all that comes back, where anybody wants to know how fast that is."""
    _most: int = 0
    """The most that was taken since somebody was told."""

    def bears(self, *, held: int, taken: int) -> bool:
        """Whether one client may hold so much where so much is taken in all, its own included."""
        free = self.limit - taken
        return free >= 0 and held * (1 - self.share) <= free * self.share

    def take(self, client: str, amount: int = 1) -> bool:
        """Give a client so much more, or nothing and False where it already holds too much, or there is less."""
        free = self.limit - self.taken
        held = self.held.get(client, 0)
        if amount > free or held * (1 - self.share) >= free * self.share:
            return False
        self.taken += amount
        self.held[client] = held + amount
        if self.taken > self._most:
            self._most = self.taken
        return True

    def give_back(self, client: str, amount: int = 1) -> None:
        """Take back what a client held."""
        self.taken -= amount
        if self.returns is not None:
            self.returns.note(amount)
        left = self.held[client] - amount
        if left:
            self.held[client] = left
        else:
            del self.held[client]
        if self._most - self.taken >= MUCH and self.on_much_returned is not None:
            self._most = self.taken
            self.on_much_returned()


Listen = Callable[[Callable[[object], None]], Callable[[], object]]


def _nobody_tells(_hear: Callable[[object], None]) -> Callable[[], object]:
    return lambda: None


class Refusals:
    """Whom a front has just refused something for want of room, so that asking again at once costs next to nothing.

    Nothing is lost by it: who is refused is told to wait for longer than that. While anything is remembered, `listen`
    has a function called whenever there may be room again; what it returns ends that.
    """

    def __init__(
        self,
        listen: Listen = _nobody_tells,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._listen = listen
        self._sleep = sleep
        self._hear_no_more: Callable[[], object] | None = None
        self._clock = clock
        self._last: dict[str, tuple[float, str, float]] = {}
        self._turns: dict[str, float] = {}
        """When the next one may be told, of each client that has asked again at once."""

    @contextmanager
    def of(self, client: str) -> Iterator[None]:
        """Around what may refuse a client. Raises Overloaded where that has been raised a moment ago."""
        self.check(client)
        try:
            yield
        except Overloaded as refusal:
            self._note(client, refusal)
            raise

    async def turn_away(self, client: str) -> None:
        """Raise Overloaded where that was raised a moment ago: to hundreds who ask again at once one after the other.

        Who is told at once asks at once again, and however little each answer costs, all of them together cost much.
        """
        try:
            self.check(client)
        except Overloaded:
            await self._sleep(self._wait_s(client))
            raise

    def _wait_s(self, client: str) -> float:
        """How long it is until this client's next turn, which is taken."""
        now = self._clock()
        if client not in self._turns and len(self._turns) >= REMEMBERED:
            self._turns = {who: turn for who, turn in self._turns.items() if turn > now}
        turn = max(now, min(self._turns.get(client, now), now + LONGEST_S))
        self._turns[client] = turn + PACE_S
        return turn - now

    def forget(self, _change: object = None) -> None:
        """Remember nothing: there may be room again."""
        self._last = {}
        if self._hear_no_more is not None:
            self._hear_no_more()
            self._hear_no_more = None

    def _note(self, client: str, refusal: Overloaded) -> None:
        now = self._clock()
        if self._hear_no_more is None:
            self._hear_no_more = self._listen(self.forget)
        if len(self._last) >= REMEMBERED:
            self._last = {who: last for who, last in self._last.items() if now - last[0] < AGAIN_S}
        self._last[client] = now, refusal.detail, refusal.retry_after_s or AGAIN_S

    def check(self, client: str) -> None:
        """Raise Overloaded where that was raised a moment ago."""
        if (last := self._last.get(client)) is None:
            return
        when, detail, retry_after_s = last
        if self._clock() - when < AGAIN_S:
            raise Overloaded(detail).again_in(retry_after_s)
        del self._last[client]
