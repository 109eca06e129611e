"""A child process that does nothing but what a test wants, without the seconds that a real one takes to begin.

`python stand_in.py FOLDER ROLE --parent-pipe FD …` does what stands in FOLDER/ROLE, or for an engine in FOLDER/DEVICE:
`beat` (as without a file), `silent` for no beats any more, `stuck` for beats that say that one step goes on and on,
a number to end with that status. Once it has beaten there is a file of its name that ends in `.beats`, which holds what
it was told to set aside.
"""

import argparse
import os
import select
import signal
import sys
from pathlib import Path

EVERY_S = 0.05
STUCK = b'[[1, "a step", 0.001, "echo"]]\n'


def main() -> int:
    """Look at the file before every beat, and do as it says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("role")
    parser.add_argument("--parent-pipe", type=int)
    parser.add_argument("--device")
    parser.add_argument("--aside", default="")
    options, _ = parser.parse_known_args()
    signal.signal(signal.SIGUSR1, lambda *_: os._exit(0))  # END of service.processes.lifeline
    file = options.folder / (options.device or options.role)
    while True:
        wanted = file.read_text() if file.exists() else "beat"
        if wanted.isdigit():
            return int(wanted)
        if wanted != "silent":
            os.write(options.parent_pipe, STUCK if wanted == "stuck" else b"[]\n")
            file.with_suffix(".beats").write_text(options.aside)
        if select.select([options.parent_pipe], [], [], EVERY_S)[0]:
            return 1


if __name__ == "__main__":
    sys.exit(main())
