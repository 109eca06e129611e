"""docs/benchmarks.json, which holds what was measured, and docs/benchmarks.md, which is written from it."""

import json
from typing import Any

from benchmarks.peers.page import page_with
from benchmarks.peers.registry import ROOT

RECORD = ROOT / "docs" / "benchmarks.json"
PAGE = ROOT / "docs" / "benchmarks.md"

Record = dict[str, Any]


def read_record() -> Record:
    """What was measured so far."""
    found: Record = json.loads(RECORD.read_text("utf-8")) if RECORD.is_file() else {}
    return found


def write_record(record: Record) -> None:
    """The record, and the page from it."""
    RECORD.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")
    PAGE.write_text(page_with(PAGE.read_text("utf-8"), record), "utf-8")
