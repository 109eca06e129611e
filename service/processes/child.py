"""A process that must run: how it is started, what is known of it, and how it is asked to end."""

import asyncio
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from service.processes.lifeline import END


@dataclass(eq=False)
class Child:
    """A process that must run; when it ends, another takes its place."""

    role: str
    arguments: list[str]
    inherits: tuple[int, ...] = ()
    device: str | None = None
    process: asyncio.subprocess.Process | None = None
    keeper: "asyncio.Task[None] | None" = None
    code: int | None = None
    """How the last process ended; None where it could not be started."""
    beats: bool = False
    """Whether this process has begun to beat."""
    lived: bool = False
    """Whether any has: then what it was told is good, and it may come so far again."""
    hangs: bool = False
    ending: bool = False

    @property
    def runs(self) -> bool:
        """Whether it is there, and not found to hang."""
        return self.process is not None and self.process.returncode is None and not self.hangs

    async def start(self, program: Sequence[str], *further: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Start a process; the parent's end of its lifeline, which tells it while we live, and us its beats.

        Raises OSError where the system would not start it.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self.process = await asyncio.create_subprocess_exec(
                    *program,
                    self.role,
                    "--parent-pipe",
                    str(theirs.fileno()),
                    *self.arguments,
                    *further,
                    pass_fds=(theirs.fileno(), *self.inherits),
                )
            except OSError:
                ours.close()
                raise
        self.beats = self.hangs = False
        return await asyncio.open_unix_connection(sock=ours)

    def end(self) -> None:
        """Ask it to finish and go."""
        self.ending = True
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGCONT)  # one that was stopped would not hear of the other
            self.process.send_signal(END)

    def kill(self) -> None:
        """End a process that hangs."""
        self.hangs = True
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
