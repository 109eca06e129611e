"""A whole service on simulated cards, each of which is lost when its engine gets SIGUSR2.

CHAPTERHOUSE_DEVICES=simulated:0,simulated:1 python -m benchmarks.load.losing serve
"""

import signal
import sys
import threading
from functools import partial

from benchmarks.load.supervising import supervise
from service.__main__ import main

LOSS = signal.SIGUSR2
"""By SIGUSR1 the supervisor ends a child in peace."""


def lose_at_signal() -> None:
    """Have the card that this process opens answer nothing any more once the signal has come."""
    from service.runtime.cards import simulated  # which only engines need

    lost = threading.Event()
    simulated.Hardware = partial(simulated.Hardware, lost=lost)  # type: ignore[misc,assignment]
    signal.signal(LOSS, lambda *_: lost.set())


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        sys.exit(supervise("benchmarks.load.losing"))
    if sys.argv[1:2] == ["engine"]:
        lose_at_signal()
    sys.exit(main(sys.argv[1:]))
