"""What a front has to give (connections, requests, memory), and how much of it one client may hold."""

from collections.abc import Callable
from dataclasses import dataclass, field

MUCH = 4 << 20


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
        left = self.held[client] - amount
        if left:
            self.held[client] = left
        else:
            del self.held[client]
        if self._most - self.taken >= MUCH and self.on_much_returned is not None:
            self._most = self.taken
            self.on_much_returned()
