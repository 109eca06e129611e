"""What programs get that is no document: samples, and pictures of what a net sees."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from service.explanations import Scale, Told
from service.notebooks import Row, Shown


class Output(Protocol):
    """Where generated samples go."""

    def write(self, data: bytes, /) -> object:
        """Take some bytes."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class Drawn(Shown):
    """What samples were drawn with; enough to draw them again."""

    model: str
    version: str
    seed: int
    count: int

    def rows(self) -> Sequence[Row]:
        """One."""
        return [{"model": self.model, "version": self.version, "seed": str(self.seed), "samples": self.count}]

    def brief(self) -> str:
        """How many, of what, and by which seed."""
        return f"{self.count:,} of {self.model} {self.version}, seed {self.seed}"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Generated(Drawn):
    """Samples: images uint8 (n, H, W, C), or points in the plane float32 (n, 2)."""

    samples: NDArray[Any]

    @classmethod
    def read(cls, drawn: Drawn, stream: BinaryIO) -> Self:
        """The samples of an npy file that lies in a stream, and what they were drawn with."""
        stream.seek(0)
        return cls(drawn.model, drawn.version, drawn.seed, drawn.count, np.load(stream, allow_pickle=False))

    def __len__(self) -> int:
        return len(self.samples)

    def _repr_png_(self) -> bytes | None:
        """Images on a grid, for notebooks."""
        from service.imaging import tile
        from service.packing.images import Grid
        from service.packing.pngs import PNGs

        if self.samples.ndim != 4:
            return None
        grid = tile(self.samples[: Grid.limit])
        return next(PNGs(grid.shape).encode(grid[None]))


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Explained(Shown):
    """What a net sees in one image, as a picture beside it: the bytes of a PNG."""

    model: str
    version: str
    method: str
    png: bytes

    def save(self, path: str | PathLike[str]) -> None:
        """Write the picture."""
        Path(path).write_bytes(self.png)

    def rows(self) -> Sequence[Row]:
        """One."""
        return [{"model": self.model, "version": self.version, "method": self.method}]

    def brief(self) -> str:
        """Which net, and what it was asked."""
        return f"{self.method} of {self.model} {self.version}, {len(self.png):,} bytes of PNG"

    def _repr_png_(self) -> bytes:
        return self.png


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ExplainedArrays(Shown):
    """What a net sees in one image, as the arrays of the method, by name."""

    model: str
    version: str
    method: str
    layer: str | None
    arrays: dict[str, NDArray[Any]]
    notes: tuple[str, ...] = ()
    """What was done to the image, in words."""
    steps: tuple[str, ...] = ()
    """How it looked after each of them, a small PNG as a data URL."""
    layers: tuple[str, ...] = ()
    """Those that can be asked."""
    label_name: str | None = None
    """The label that was explained."""
    scale: Scale | None = None
    """What the colours of the picture stand for."""

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """The arrays of what `/explain` answers, and what it tells beside them."""
        told = Told.model_validate(document)
        arrays = {name: np.asarray(values) for name, values in document.items() if name not in Told.model_fields}
        return cls(
            told.model,
            told.version,
            told.method,
            told.layer,
            arrays,
            notes=told.notes,
            steps=told.steps,
            layers=told.layers,
            label_name=told.label_name,
            scale=told.scale,
        )

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.arrays[name]

    def rows(self) -> Sequence[Row]:
        """One for each array."""
        return [
            {"array": name, "shape": "×".join(map(str, array.shape)) or "a number", "dtype": array.dtype}
            for name, array in self.arrays.items()
        ]

    def brief(self) -> str:
        """Which net, and what it was asked."""
        layer = f" at {self.layer}" if self.layer else ""
        return f"{self.method}{layer} of {self.model} {self.version}: {', '.join(self.arrays)}"
