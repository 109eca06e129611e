"""Where the figures of finished evaluations are kept: a folder each in the storage."""

import time
from collections.abc import Collection

from service.errors import StorageUnavailable
from service.evaluation.figures.data import FILE, Figures, pack, unpack
from service.files import STALE_S
from service.storage.storage import Storage

REPORTS = "reports"


class FigureFiles:
    """The folders `reports/<id>` of a storage. All but `load` raise StorageUnavailable."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    @property
    def is_shared(self) -> bool:
        """Whether other services see them, too."""
        return bool(self._storage.name)

    def save(self, report_id: str, figures: Figures) -> int:
        """Keep the figures of a report, whole or not at all; the bytes that they take."""
        data = pack(figures)
        self._storage.write(_key(report_id), data)
        return len(data)

    def load(self, report_id: str) -> Figures | None:
        """The figures of a report; None where there are none, or none that can be read."""
        data = self._data(report_id)
        return None if data is None else unpack(data)

    def copy(self, report_id: str, target_id: str) -> int:
        """Keep the figures of one report for another of the same samples, where there are any; their bytes."""
        data = self._data(report_id)
        if data is None or unpack(data) is None:
            return 0
        self._storage.write(_key(target_id), data)
        return len(data)

    def discard(self, report_id: str) -> None:
        """Delete the figures of a report."""
        self._storage.delete(f"{REPORTS}/{report_id}")

    def size_of(self, report_id: str) -> int:
        """Bytes that the figures of a report take."""
        return sum(entry.size_bytes for entry in self._storage.list(f"{REPORTS}/{report_id}"))

    def sweep(self, wanted: Collection[str]) -> None:
        """Delete the stale folders that belong to no `wanted` report."""
        newest: dict[str, float] = {}
        for entry in self._storage.list(REPORTS):
            report_id = entry.key.split("/")[1]
            newest[report_id] = max(entry.modified, newest.get(report_id, 0.0))
        for report_id, modified in newest.items():
            if report_id not in wanted and time.time() - modified > STALE_S:
                self.discard(report_id)

    def _data(self, report_id: str) -> bytes | None:
        try:
            return self._storage.get(_key(report_id))
        except (OSError, StorageUnavailable):
            return None


def _key(report_id: str) -> str:
    return f"{REPORTS}/{report_id}/{FILE}"
