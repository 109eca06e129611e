"""TorchServe: a front end in Java, workers in Python; this is its handler, which `registry.py` puts into an archive."""

from typing import Any

from benchmarks.peers.classifier import Answer, Classifier


class Served:
    """One worker."""

    def initialize(self, context: Any) -> None:  # noqa: ARG002 - nothing of it is needed
        """Load."""
        self._classifier = Classifier()

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[Answer]:  # noqa: ARG002
        """A batch."""
        bodies = [bytes(row.get("body") or row["data"]) for row in data]
        return self._classifier.classify([self._classifier.decode(body) for body in bodies])
