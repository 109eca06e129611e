"""What a file of samples is told before the first of them is drawn, and what it does with each block that comes."""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from numpy.typing import NDArray

Samples = NDArray[Any]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Contents:
    """Which samples a file will hold: `count` of one shape, (H, W, C) for images and (2,) for points in the plane."""

    model: str
    version: str
    seed: int
    count: int
    shape: tuple[int, ...]
    columns: int | None = None
    """Images of a row of a grid; near-square unless given."""
    modes: tuple[Point, ...] = ()
    """Where the data's own points gather, where that is known."""
    deviation: float | None = None
    """Standard deviation of the data around each mode."""

    @property
    def name(self) -> str:
        """What an array of them is called: images, or points."""
        return "images" if len(self.shape) == 3 else "points"

    @property
    def dtype(self) -> str:
        """What an array of them is made of."""
        return "|u1" if len(self.shape) == 3 else "<f4"


class Stream(Protocol):
    """A file that is written while its samples come, so that none waits in memory for the last."""

    limit: ClassVar[int | None]
    """The most samples of one file; None for any number."""

    def __init__(self, contents: Contents) -> None: ...

    def add(self, samples: Samples) -> bytes:
        """The bytes that some more samples (n, …) add."""
        ...

    def finish(self) -> bytes:
        """The bytes that end the file."""
        ...

    def close(self) -> None:
        """Let go of what an unfinished file holds."""
        ...


class Whole:
    """A file that begins with what only its last sample decides, and so is made at the end."""

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self.blocks: list[Samples] = []

    def add(self, samples: Samples) -> bytes:
        """Nothing yet."""
        self.blocks.append(samples)
        return b""

    def close(self) -> None:
        """Forget the samples."""
        self.blocks.clear()
