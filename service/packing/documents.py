"""Points in the plane as one JSON document, with the modes of the data where they are known."""

from typing import ClassVar

import numpy as np
import orjson

from service.packing.stream import Contents, Samples


class PointsDocument:
    """`{model, version, seed, modes, deviation, points: [[x, y], …]}`."""

    limit: ClassVar[int | None] = None

    def __init__(self, contents: Contents) -> None:
        told = {name: getattr(contents, name) for name in ("model", "version", "seed", "modes", "deviation")}
        self._before = orjson.dumps(told)[:-1] + b',"points":['

    def add(self, samples: Samples) -> bytes:
        """Some more pairs; null for what is no finite number."""
        before, self._before = self._before, b","
        return before + orjson.dumps(np.ascontiguousarray(samples), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]

    def finish(self) -> bytes:
        """The end of the list."""
        return b"]}"

    def close(self) -> None:
        """Nothing is held."""
