import asyncio
import io
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import orjson
import pytest
from api.asking import assert_problem, connect
from api.conftest import MakeApp
from PIL import Image

from service.api.readers import QUICK_BYTES, QUICK_COST, QUICK_DOCUMENT_BYTES, Readers, cost_of
from service.errors import InvalidRequest, UnreadableImage
from service.operations.documents import read_document
from service.processes.reader import answer_of
from service.runtime.frames import FrameReader, MessageType, encode
from service.runtime.in_process import LocalEngine
from service.settings import Settings
from service.store import ImageInput
from service.tasks.classify import Prepared, read_image

SPEC = ImageInput(size=(28, 28), channels=1, mean=(0.0,), std=(1.0,))
INK = ImageInput(size=(28, 28), channels=1, mean=(0.0,), std=(1.0,), ink="light", frame="centred")


def png(height: int, width: int, mode: str = "L") -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, len(mode)), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(stream, "PNG")
    return stream.getvalue()


LARGE = png(600, 500, "RGB")
SERIES = {"history": [[float(i), i / 3] for i in range(5000)], "name": "x", "nested": [1, {"deep": list(range(100))}]}


@pytest.fixture
async def readers() -> AsyncIterator[Readers]:
    """Readers with a process of their own."""
    readers = Readers(Settings(request_limit_pixels=400_000))
    yield readers
    await readers.stop()


def children() -> list[int]:
    """The readers that this process has started."""
    tasks = Path(f"/proc/{os.getpid()}/task")
    found = [pid for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
    return [int(pid) for pid in found if b"service.processes.reader" in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def test_a_large_image_is_the_same_from_another_process(readers: Readers) -> None:
    assert cost_of(LARGE, SPEC, as_is=False) > QUICK_COST
    found = await readers.image(LARGE, SPEC, shown=True)
    here = read_image(LARGE, SPEC, limit_pixels=1 << 20, shown=True)
    np.testing.assert_array_equal(found.pixels, here.pixels)
    assert found.notes == here.notes
    for step, same in zip(found.steps, here.steps, strict=True):
        np.testing.assert_array_equal(step, same)
    assert (await readers.image(LARGE, SPEC)).steps == ()
    assert len(children()) == 1


async def test_the_only_image_cannot_be_passed_over(readers: Readers) -> None:
    with pytest.raises(UnreadableImage):
        await readers.image(b"no image", SPEC)


async def test_a_small_image_needs_no_process(readers: Readers) -> None:
    assert cost_of(png(28, 28), INK, as_is=False) <= QUICK_COST
    assert isinstance(await readers.image(png(28, 28), INK), Prepared)
    assert children() == []


def test_ink_is_dear_and_what_is_long_is_never_quick() -> None:
    assert cost_of(png(300, 300), SPEC, as_is=False) <= QUICK_COST
    assert cost_of(png(200, 200), INK, as_is=False) > QUICK_COST
    assert cost_of(png(300, 300), INK, as_is=True) <= QUICK_COST
    assert cost_of(png(28, 28) + bytes(QUICK_BYTES), SPEC, as_is=True) > QUICK_COST


async def test_what_the_reader_refuses_is_said_as_it_is_here(readers: Readers) -> None:
    with pytest.raises(UnreadableImage, match="The PNG is damaged"):
        await readers.image(LARGE[:-20], SPEC)
    with pytest.raises(UnreadableImage, match="1000×500; at most 400,000 pixels"):
        await readers.image(png(500, 1000), SPEC)


async def test_a_large_document_is_the_same_from_another_process(readers: Readers) -> None:
    data = orjson.dumps(SERIES)
    assert len(data) > QUICK_DOCUMENT_BYTES
    found, here = await readers.document(data), read_document(data)
    np.testing.assert_array_equal(found.pop("history"), here.pop("history"))
    np.testing.assert_array_equal(found["nested"][1].pop("deep"), here["nested"][1].pop("deep"))
    assert found == here
    alone = await readers.document(orjson.dumps(SERIES["history"]))
    assert alone.shape == (5000, 2)
    with pytest.raises(InvalidRequest, match="not JSON"):
        await readers.document(data[:-1])


async def test_a_reader_that_dies_or_hangs_is_replaced_and_only_its_request_fails(readers: Readers) -> None:
    await readers.image(LARGE, SPEC)
    [pid] = children()
    os.kill(pid, signal.SIGSTOP)
    hung = asyncio.create_task(readers.image(LARGE, SPEC))
    behind = asyncio.create_task(readers.image(LARGE, SPEC))
    await asyncio.sleep(0)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(UnreadableImage, match="the process that read it has ended"):
        await hung
    assert isinstance(await behind, Prepared)
    [other] = children()
    assert other != pid


async def test_what_takes_too_long_is_given_up() -> None:
    readers = Readers(Settings(), patience_s=0.0)
    try:
        with pytest.raises(UnreadableImage, match="could not be read within 0 s"):
            await readers.image(LARGE, SPEC)
    finally:
        await readers.stop()


async def test_a_caller_that_leaves_takes_nothing_with_it(readers: Readers) -> None:
    leaving = asyncio.create_task(readers.image(LARGE, SPEC))
    staying = asyncio.create_task(readers.image(LARGE, SPEC))
    await asyncio.sleep(0)
    leaving.cancel()
    assert isinstance(await staying, Prepared)


def test_a_reader_is_given_so_much_memory_and_no_more() -> None:
    program = """
import resource, sys
from service.processes import reader
reader.BESIDE_BYTES = 64 << 20
reader._limit_memory(reader.BESIDE_BYTES)
from service.runtime.frames import FrameReader
frame = next(iter(FrameReader().feed(sys.stdin.buffer.read())))
sys.stdout.buffer.write(reader.answer_of(frame))
"""
    large = io.BytesIO()
    Image.new("RGBA", (6000, 6000), (1, 2, 3, 4)).save(large, "PNG")
    meta = {"what": "image", "input": SPEC.model_dump(), "limit_pixels": 1 << 30, "as_is": True, "shown": False}
    question = encode(MessageType.SUBMIT, 1, meta, [np.frombuffer(large.getvalue(), np.uint8)])
    answer = subprocess.run([sys.executable, "-c", program], input=question, capture_output=True, check=True).stdout
    [frame] = FrameReader().feed(answer)
    assert frame.kind is MessageType.ERROR
    assert "more memory" in frame.meta["detail"]


def test_an_answer_names_the_errors_own_class() -> None:
    meta = {"what": "image", "input": SPEC.model_dump(), "limit_pixels": 100, "as_is": True, "shown": False}
    [frame] = FrameReader().feed(answer_of(next(iter(FrameReader().feed(_question(meta, LARGE))))))
    assert frame.meta["type"] == "UnreadableImage"


def _question(meta: dict[str, object], data: bytes) -> bytes:
    return encode(MessageType.SUBMIT, 1, meta, [np.frombuffer(data, np.uint8)])


async def test_the_images_of_a_form_share_one_budget(make_app: MakeApp, engine: LocalEngine) -> None:
    small, middle = png(28, 28), png(250, 250)
    async with connect(make_app(engine, request_limit_pixels=130_000)) as client:
        files = [("image", (name, data)) for name, data in (("a", middle), ("b", middle), ("c", middle), ("d", small))]
        reply = await client.post("/classify?model=echo", files=files)
    assert reply.status_code == 200
    first, second, third, fourth = reply.json()["predictions"]
    assert "labels" in first
    assert "labels" in second
    assert "62,500 pixels, and those before it left 5,000 of the 130,000" in third["error"]["detail"]
    assert "labels" in fourth


async def test_of_many_faults_twenty_are_named(client: httpx.AsyncClient) -> None:
    body = {"model": "echo", **{f"unknown{i}": 0 for i in range(1000)}}
    reply = await client.post("/generate", json=body)
    assert_problem(reply, 422, "and 980 more")
    assert len(reply.json()["errors"]) == 20
    assert len(reply.content) < 8192
