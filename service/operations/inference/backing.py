"""What an inference request is answered with, whichever transport brought it: engines, readers, limits and memory."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from service.errors import UnreadableImage
from service.operations.inference.tensors import Array, Parameters, Tensor
from service.runtime.calls import Call, EngineClient, Lane, submit_parts
from service.settings import Settings
from service.store import ImageInput
from service.tasks.classify import Prepared


class ImageReader(Protocol):
    """Whoever reads image files without holding others up."""

    async def images(
        self, images: Iterable[bytes], spec: ImageInput, *, as_is: bool = False
    ) -> Sequence[Prepared | UnreadableImage]:
        """Several, of one budget of pixels; in an unreadable one's place, the reason. Raises Overloaded."""
        ...


@dataclass(frozen=True, slots=True)
class Backing:
    """All that one request may use."""

    engines: EngineClient
    readers: ImageReader
    settings: Settings
    hold: Callable[[int], object]
    """Takes memory for an answer. Raises Overloaded, BodyTooLarge."""
    deadline: float | None = None
    request_id: str = ""

    async def ask(self, call: Call, rows: Array, *, most: int, lane: Lane = Lane.INTERACTIVE) -> list[Array]:
        """What a model answers to rows, which go in parts of so many. Raises the ServiceError that the engine met."""
        parts = ([rows[start : start + most]] for start in range(0, len(rows), most))
        asked = submit_parts(self.engines, call, parts, lane=lane, deadline=self.deadline, request_id=self.request_id)
        async with aclosing(asked) as answers:
            found = [arrays async for arrays in answers]
        return found[0] if len(found) == 1 else [np.concatenate(column) for column in zip(*found, strict=True)]


class Answer(NamedTuple):
    """What a model gave, and what there is to know of it."""

    tensors: list[Tensor]
    parameters: Parameters
