"""How far a command is, on standard error: a bar on a terminal, a plain line now and then elsewhere."""

import math
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TextColumn

EVERY_S = 10.0


class Meter:
    """Shows shares or bytes of one piece of work while it is entered."""

    def __init__(self, title: str, *, console: Console | None = None, every_s: float = EVERY_S) -> None:
        self._title = title
        self._console = console or Console(stderr=True)
        self._every_s = every_s
        self._shown = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[words]}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(title, total=None, words="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show_share(self, share: float) -> None:
        """Say that `share`, from 0 to 1, is done."""
        self._show(share, 1.0, f"{math.floor(100 * share)} %")

    def show_bytes(self, done: int, total: int | None = None) -> None:
        """Say that so many bytes of `total`, where it is known, have come."""
        self._show(done, total, decimal(done) if total is None else f"{decimal(done)} of {decimal(total)}")

    def _show(self, done: float, total: float | None, words: str) -> None:
        if self._console.is_terminal:
            self._bar.update(self._task, completed=done, total=total, words=words)
        elif time.monotonic() - self._shown >= self._every_s:
            self._shown = time.monotonic()
            self._console.print(f"{self._title}  {words}", soft_wrap=True, highlight=False, markup=False)
