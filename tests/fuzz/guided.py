"""Bytes that reach new branches, looked for by atheris: `python tests/fuzz/guided.py image --seconds 600`.

What breaks a promise ends it with status 1 and is written below `fuzz-found`; in the corpus it becomes a test.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import atheris

LOOKED_AT = [
    "PIL",
    "gzip",
    "python_multipart",
    "service.api.bodies",
    "service.evaluation.samples",
    "service.imaging",
    "service.operations.documents",
    "service.runtime.frames",
    "tarfile",
    "zipfile",
]
"""What has branches worth reaching; to look at all would take minutes before it begins."""
CORPUS = Path(__file__).parent / "corpus"
LIMITS = ["-timeout=30", "-rss_limit_mb=2048", "-max_len=16384"]
"""One input's seconds, everything's memory, an input's bytes."""


def main() -> None:
    """Look for bytes of one kind, or of every kind in turn, for so many seconds each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", nargs="?", choices=sorted(folder.name for folder in CORPUS.iterdir()))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--found", type=Path, default=Path("fuzz-found"), help="where new bytes are kept")
    options = parser.parse_args()
    if options.kind is not None:
        _look(options.kind, options.seconds, options.found / options.kind)
    failed = [
        folder.name
        for folder in sorted(CORPUS.iterdir())
        if subprocess.run([sys.executable, *sys.argv, folder.name], check=False).returncode
    ]
    sys.exit(f"broken promises: {', '.join(failed)}" if failed else 0)


def _look(kind: str, seconds: int, found: Path) -> None:
    """Never returns: libFuzzer ends the process."""
    repository = Path(__file__).parents[2]
    sys.path[:0] = [str(repository), str(repository / "tests")]
    with atheris.instrument_imports(include=LOOKED_AT):
        from fuzz.readers import KINDS
    found.mkdir(parents=True, exist_ok=True)
    folders = [f"-artifact_prefix={found}/failed-", str(found), str(CORPUS / kind)]
    atheris.Setup([sys.argv[0], *LIMITS, f"-max_total_time={seconds}", *folders], KINDS[kind])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
