"""Where uploads lie until their evaluation is over: a folder each, visible only when it is whole."""

import shutil
import time
from collections.abc import Collection
from pathlib import Path

STALE_S = 3600.0
"""A folder this old that belongs to no evaluation was left by a process that died."""


class Uploads:
    """The folders of uploads in the state directory."""

    def __init__(self, state: Path) -> None:
        self._root = state / "uploads"

    def begin(self, job_id: str) -> Path:
        """A new folder to receive files in; nobody else looks into it yet."""
        folder = self._root / f".{job_id}"
        folder.mkdir(parents=True)
        return folder

    def commit(self, job_id: str) -> None:
        """Make the received files the evaluation's own, all at once."""
        (self._root / f".{job_id}").rename(self._root / job_id)

    def folder(self, job_id: str) -> Path:
        """The files of an accepted evaluation."""
        return self._root / job_id

    def discard(self, job_id: str) -> None:
        """Delete what was received for an evaluation, whole or not."""
        for folder in (self._root / f".{job_id}", self._root / job_id):
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self, wanted: Collection[str]) -> None:
        """Delete the folders that dead processes left: none of a `wanted` evaluation, and old enough to be nobody's."""
        if not self._root.is_dir():
            return
        for folder in self._root.iterdir():
            old = time.time() - folder.stat().st_mtime > STALE_S
            if old and folder.name not in wanted:
                shutil.rmtree(folder, ignore_errors=True)
