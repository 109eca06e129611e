"""Environments for the peers, each its own below .venv/peers; all see this service's packages, and so share one torch.

python -m benchmarks.peers.install [NAME …]
"""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from benchmarks.peers.profile import SAMPLER
from benchmarks.peers.registry import ENVIRONMENTS, PEERS, USUAL, chosen

SHARED = "shared.pth"
WANTED = {peer.environment: peer.packages for peer in PEERS.values() if peer.environment} | SAMPLER


def install(name: str) -> None:
    """One environment; what is there stays, unless it was moved: its programs name the Python of their place."""
    folder, packages = ENVIRONMENTS / name, WANTED[name]
    done, wanted = folder / "installed", "\n".join((str(folder), *packages))
    if done.is_file() and done.read_text("utf-8") == wanted:
        return
    venv.create(folder, with_pip=True, symlinks=True, clear=True)
    python = folder / "bin" / "python"
    inside = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    (Path(inside.stdout.strip()) / SHARED).write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    done.write_text(wanted, "utf-8")


def main() -> None:
    """Those that are named; one that cannot be installed does not stop the others."""
    names = chosen(sys.argv[1]) if sys.argv[1:] else USUAL
    asked = [*(PEERS[name].environment for name in names), *SAMPLER]
    for name in dict.fromkeys(filter(None, asked)):
        try:
            install(name)
        except subprocess.CalledProcessError as error:
            print(f"{name} could not be installed: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
