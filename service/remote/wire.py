"""Changes of evaluations between the processes of a cluster, through the hub."""

import asyncio
from collections.abc import Mapping
from typing import Any

from service.remote.hub import Member, Word


class HubWire:
    """Carries words to all other processes of the cluster and back."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._hub = ""
        self._telling: set[asyncio.Task[None]] = set()
        self.on_news: Any = lambda _: None
        self.on_status: Any = lambda: None
        member.on_word.append(self._hear)

    def tell(self, news: Mapping[str, Any]) -> None:
        """Tell all others, at once where the hub answers."""
        self._member.tell(news)
        task = asyncio.create_task(self._member.speak())
        self._telling.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: "asyncio.Task[None]") -> None:
        self._telling.discard(task)
        if not task.cancelled():
            task.exception()  # what could not be told now goes with the next word

    def _hear(self, word: Word) -> None:
        if word.hub != self._hub:
            self._hub = word.hub
            self.on_status()  # words may have been lost
        for news in word.news:
            self.on_news(news)
