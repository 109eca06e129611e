"""Where the figures of finished evaluations are kept: a folder each in the state directory."""

import shutil
from collections.abc import Collection
from pathlib import Path

from service.evaluation.figures.data import FILE, Figures, pack, unpack
from service.files import remove_stale, write_whole


class FigureFiles:
    """The folders `reports/<id>` of a state directory."""

    def __init__(self, state: Path) -> None:
        self._root = state / "reports"

    def save(self, report_id: str, figures: Figures) -> None:
        """Keep the figures of a report, whole or not at all."""
        folder = self._root / report_id
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / FILE, pack(figures))

    def load(self, report_id: str) -> Figures | None:
        """The figures of a report; None where there are none, or none that can be read."""
        return unpack(self._root / report_id / FILE)

    def copy(self, report_id: str, target_id: str) -> None:
        """Keep the figures of one report for another of the same samples, where there are any."""
        if (figures := self.load(report_id)) is not None:
            self.save(target_id, figures)

    def discard(self, report_id: str) -> None:
        """Delete the figures of a report."""
        shutil.rmtree(self._root / report_id, ignore_errors=True)

    def size_of(self, report_id: str) -> int:
        """Bytes that the figures of a report take."""
        file = self._root / report_id / FILE
        return file.stat().st_size if file.is_file() else 0

    def sweep(self, wanted: Collection[str]) -> None:
        """Delete the stale folders that belong to no `wanted` report."""
        if self._root.is_dir():
            remove_stale(folder for folder in self._root.iterdir() if folder.name not in wanted)
