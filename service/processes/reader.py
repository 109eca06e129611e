"""The process in which a front reads what would hold its event loop up: large images, and large bodies of JSON.

A frame comes in at standard input and its answer goes out at standard output, one after the other, until the front is
gone. It may take so much memory and no more, and it may be killed at any moment: a front starts another.
"""

import contextlib
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from service.errors import ServiceError, UnreadableImage
from service.operations.reading import READERS
from service.processes.memory import give_back_memory
from service.runtime.calls import Array
from service.runtime.frames import Frame, FrameReader, MessageType, encode, error_to_meta
from service.store import ImageInput
from service.tasks.classify import read_image

NICENESS = 5
"""Others' small requests go first."""
BYTES_A_PIXEL = 32
"""Of an image, with all copies that are made on its way; a palette, alpha and 16 bits included."""
BESIDE_BYTES = 512 << 20
LARGE_BYTES = 1 << 20
"""A frame after which what was freed is given back to the system: nobody waits for that here."""
_CHUNK_BYTES = 1 << 20


def run_reader(limit_pixels: int) -> None:
    """Answer frames until standard input ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the front says when it needs no more
    os.nice(NICENESS)
    _limit_memory(BYTES_A_PIXEL * limit_pixels + BESIDE_BYTES)
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    with contextlib.suppress(BrokenPipeError):
        for answer in map(answer_of, _frames(0)):  # nothing holds a frame that has been answered
            out.write(answer)
            out.flush()


def answer_of(frame: Frame) -> bytes:
    """The frame that answers one: arrays and what they are, or why there are none."""
    data = frame.arrays[0].tobytes()
    try:
        if frame.meta["what"] == "image":
            meta, arrays = _image(data, frame.meta)
        else:
            meta, arrays = _document(data, READERS[frame.meta["what"]])
    except MemoryError:
        error = UnreadableImage("Reading it takes more memory than is given to one request.")
        return encode(MessageType.ERROR, frame.id, error_to_meta(error))
    except ServiceError as error:
        return encode(MessageType.ERROR, frame.id, error_to_meta(error))
    return encode(MessageType.RESULT, frame.id, meta, arrays)


def _image(data: bytes, meta: dict[str, Any]) -> tuple[dict[str, Any], list[Array]]:
    spec = ImageInput.model_validate(meta["input"])
    how = {name: meta[name] for name in ("limit_pixels", "as_is", "shown")}
    prepared = read_image(data, spec, **how)
    return {"notes": prepared.notes}, [prepared.pixels, *prepared.steps]


def _document(data: bytes, read: Callable[[bytes], Any]) -> tuple[dict[str, Any], list[Array]]:
    """A document without its arrays, and the way to the place of each."""
    arrays: list[Array] = []
    places: list[list[str | int]] = []

    def without(part: Any, way: list[str | int]) -> Any:
        if isinstance(part, np.ndarray):
            arrays.append(part)
            places.append(way)
            return None
        if isinstance(part, dict):
            return {name: without(member, [*way, name]) for name, member in part.items()}
        if isinstance(part, list):
            return [without(member, [*way, index]) for index, member in enumerate(part)]
        return part

    document = without(read(data), [])
    return {"document": document, "places": places}, arrays


def _frames(descriptor: int) -> Iterator[Frame]:
    frames, fresh = FrameReader(), 0
    while data := os.read(descriptor, _CHUNK_BYTES):
        fresh += len(data)
        answered = False
        for frame in frames.feed(data):
            yield frame
            answered = True
            del frame
        del data
        if answered and fresh >= LARGE_BYTES:
            give_back_memory()
        if answered:
            fresh = 0


def _limit_memory(further_bytes: int) -> None:
    held = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + further_bytes, resource.RLIM_INFINITY))


if __name__ == "__main__":
    run_reader(int(sys.argv[1]))
