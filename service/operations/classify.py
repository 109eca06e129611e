"""The likeliest labels of images, through any engine; and the request for them, understood."""

from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidRequest, UnreadableImage
from service.imaging import Pixels
from service.runtime.calls import Call, EngineClient, submit_parts
from service.store import Model
from service.tasks.classify import Classify, Prepared

Logits = NDArray[np.float32]

TOP_K_DEFAULT = 5
TOP_K_LIMIT = 1000

TASK = Classify()


def check_top_k(top_k: int) -> int:
    """The number of labels of an image that are asked for. Raises InvalidRequest."""
    if not 1 <= top_k <= TOP_K_LIMIT:
        raise InvalidRequest.of_field("top_k", f"must be a whole number from 1 to {TOP_K_LIMIT}")
    return top_k


@dataclass(slots=True)
class Labelling:
    """A request for the labels of images, understood."""

    model: Model
    top_k: int
    names: list[str | None]
    """What the images are called, in the order sent."""
    prepared: list[Prepared | UnreadableImage]
    """The pixels of each and what was done to it, or why it cannot be read."""

    def __post_init__(self) -> None:
        check_top_k(self.top_k)

    @classmethod
    def of(
        cls,
        images: Iterable[tuple[str | None, bytes]],
        model: Model,
        *,
        top_k: int,
        limit_pixels: int,
        as_is: bool = False,
    ) -> Self:
        """What is asked of this model about image files and their names; an unreadable one is an error in its place.

        Raises InvalidRequest.
        """
        names: list[str | None] = []
        prepared: list[Prepared | UnreadableImage] = []
        for name, data in images:
            names.append(name)
            try:
                prepared.append(TASK.prepare(data, model.input, limit_pixels=limit_pixels, as_is=as_is))
            except UnreadableImage as error:
                prepared.append(error)
        return cls(model, top_k, names, prepared)

    async def ask(self, engine: EngineClient, *, deadline: float | None = None, request_id: str = "") -> dict[str, Any]:
        """The members of a Classification. Raises the ServiceError that the engine met."""
        images = [image.pixels for image in self.prepared if not isinstance(image, UnreadableImage)]
        return self.answer(await self._logits(engine, images, deadline, request_id) if images else None)

    @property
    def call(self) -> Call:
        """What the model is asked."""
        return call_of(self.model.id)

    def answer(self, logits: Logits | None) -> dict[str, Any]:
        """The members of a Classification, of the logits (n, classes) of those images that can be read."""
        calibration = self.model.calibration
        labels = self.model.manifest.labels
        left = iter(() if logits is None else TASK.finish(logits, labels, calibration, self.top_k))
        predictions = [
            {"name": name, "error": image.problem()}
            if isinstance(image, UnreadableImage)
            else {"name": name, **_noted(next(left), image)}
            for name, image in zip(self.names, self.prepared, strict=True)
        ]
        return {
            "model": self.model.name,
            "version": self.model.version,
            "calibrated": calibration is not None,
            "strangeness_limit": calibration.strangeness.limit if calibration else None,
            "predictions": predictions,
        }

    async def _logits(
        self, engine: EngineClient, images: list[Pixels], deadline: float | None, request_id: str
    ) -> Logits:
        """Logits (n, classes) of the images, which go in parts of the model's largest batch."""
        call = self.call
        most = self.model.manifest.serving.max_batch
        if len(images) <= most:  # nearly always: no task is made for it
            rows = images[0] if len(images) == 1 else np.concatenate(images)
            return (await engine.submit(call, [rows], deadline=deadline, request_id=request_id))[0]
        parts = ([np.concatenate(images[start : start + most])] for start in range(0, len(images), most))
        async with aclosing(submit_parts(engine, call, parts, deadline=deadline, request_id=request_id)) as answers:
            return np.concatenate([logits async for [logits] in answers])


@lru_cache(maxsize=256)
def call_of(model_id: str) -> Call:
    """What a model is asked for labels."""
    return Call(model_id, "classify")


def _noted(prediction: dict[str, Any], image: Prepared) -> dict[str, Any]:
    """The prediction, with what was done to the image before what it says of itself."""
    return {**prediction, "notes": [*image.notes, *prediction["notes"]]} if image.notes else prediction
