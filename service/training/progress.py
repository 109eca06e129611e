"""How far a training is: a bar on a terminal, plain lines elsewhere."""

import math
import time
from types import TracebackType
from typing import Self, SupportsFloat

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

BAR_EVERY_S = 0.1


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

    def report(self, step: int, total: int, **measures: SupportsFloat) -> None:
        """Say that `step` of `total` is done, and what was measured: a bar, or a line every `every_s` seconds.

        Measures that are not shown are not looked at, so that a GPU need not be waited for.
        """
        pause = BAR_EVERY_S if self._console.is_terminal else self._every_s
        if step < total and time.monotonic() - self._shown < pause:
            return
        self._shown = time.monotonic()
        words = "  ".join(f"{name} {float(value):.4g}" for name, value in measures.items())
        if self._console.is_terminal:
            self._bar.update(self._task, completed=step, total=total, measures=words)
        else:
            self.say(f"{step}/{total}  {words}".rstrip())

    def say(self, words: str) -> None:
        """Print a line of its own."""
        self._console.print(f"{self._title}  {words}", soft_wrap=True, highlight=False)
