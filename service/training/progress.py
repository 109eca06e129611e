"""How far a training is: a bar on a terminal, plain lines elsewhere."""

import math
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


class Progress:
    """Shows steps and measures of one training while it is entered."""

    def __init__(self, title: str, *, console: Console | None = None, every_s: float = 10.0) -> None:
        self._title = title
        self._console = console or Console(stderr=True)
        self._every_s = every_s
        self._shown = -math.inf
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[measures]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(title, total=None, measures="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def report(self, step: int, total: int, **measures: float) -> None:
        """Say that `step` of `total` is done, and what was measured; as a line at most every `every_s` seconds."""
        words = "  ".join(f"{name} {value:.4g}" for name, value in measures.items())
        if self._console.is_terminal:
            self._bar.update(self._task, completed=step, total=total, measures=words)
        elif step >= total or time.monotonic() - self._shown >= self._every_s:
            self._shown = time.monotonic()
            self.say(f"{step}/{total}  {words}".rstrip())

    def say(self, words: str) -> None:
        """Print a line of its own."""
        self._console.print(f"{self._title}  {words}", soft_wrap=True, highlight=False)
