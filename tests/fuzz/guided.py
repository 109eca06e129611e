"""Bytes that reach new branches, looked for by atheris: `python tests/fuzz/guided.py image --seconds 600`.

What it finds fails loudly and is written beside; put it into the corpus, where the tests take it up.
"""

import argparse
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

with atheris.instrument_imports(include=LOOKED_AT):
    from fuzz.readers import KINDS

CORPUS = Path(__file__).parent / "corpus"


def main() -> None:
    """Look for bytes of one kind for so many seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--found", type=Path, default=Path("fuzz-found"), help="where new bytes are kept")
    options = parser.parse_args()
    found = options.found / options.kind
    found.mkdir(parents=True, exist_ok=True)
    limits = ["-timeout=20", "-rss_limit_mb=2048", "-max_len=16384", f"-max_total_time={options.seconds}"]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={found}/failed-", str(found), str(CORPUS / options.kind)], KINDS[options.kind])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
