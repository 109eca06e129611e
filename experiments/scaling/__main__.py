"""Simulate many pods, and write docs/scaling.md with what was measured here.

python -m experiments.scaling                     # write the page
python -m experiments.scaling gpu_hour=4 peak=1   # print it with other inputs
"""

import json
import sys
from pathlib import Path

from experiments.scaling.document import render
from experiments.scaling.inputs import Inputs

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT, MEASURED = DOCS / "scaling.md", DOCS / "scaling.json"


def main() -> None:
    """Write, or print where other inputs are given."""
    text = render(Inputs().with_words(sys.argv[1:]), json.loads(MEASURED.read_text("utf-8")))
    if sys.argv[1:]:
        print(text)
    else:
        DOCUMENT.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
