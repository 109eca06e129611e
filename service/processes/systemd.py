"""What systemd is told of the service (sd_notify): that it serves, that it lives, that it stops. Nothing without it."""

import contextlib
import socket

from service.settings import Settings, notify_socket

READY, STOPPING, ALIVE = "READY=1", "STOPPING=1", "WATCHDOG=1"


class Systemd:
    """The datagrams of one service; they cost nothing where nobody asked for them, and never fail."""

    def __init__(self, address: str | None = None) -> None:
        found = notify_socket() if address is None else address
        self._address = f"\0{found[1:]}" if found.startswith("@") else found

    def tell(self, *words: str) -> None:
        """Send assignments such as `READY=1`."""
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as teller:
            teller.setblocking(False)  # noqa: FBT003 - a full socket loses a word, and the service goes on
            teller.sendto("\n".join(words).encode(), self._address)

    def serving(self, url: str, settings: Settings) -> None:
        """It answers."""
        self.tell(READY, f"STATUS=serving on {url}, {settings.fronts} fronts, {settings.evaluators} evaluators")

    def stopping(self) -> None:
        """It takes no new work."""
        self.tell(STOPPING, "STATUS=stopping: what is queued finishes")

    def alive(self) -> None:
        """Its event loop turns."""
        self.tell(ALIVE)
