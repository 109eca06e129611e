"""Well-behaved clients: they ask again what broke off or was refused for the moment, and know the right answers."""

import asyncio
import time
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import orjson
from numpy.typing import NDArray

from benchmarks.load.hostile import FORM, form
from benchmarks.load.wire import Address, Line, Reply, request
from service.imaging import encode_png

ATTEMPT_S = 45.0
"""Longer than it takes until a process that was stopped is missed, killed and replaced."""
PATIENCE_S = 120.0
BUSY = (429, 503, 504)
PAUSE_S = 0.05
NEAR = 1e-4
"""How far numbers may lie apart that were computed in other batches."""
LATELY = 16
"""Sentences about what went wrong that are kept."""


@dataclass(slots=True)
class Question:
    """A request, and what its answer has to say."""

    said: bytes
    numbers: Callable[[bytes], NDArray[np.float64]]
    right: bytes = b""

    def agrees(self, body: bytes) -> bool:
        """Whether an answer says the same as the right one."""
        if body == self.right:
            return True
        found, right = self.numbers(body), self.numbers(self.right)
        return found.shape == right.shape and bool(np.allclose(found, right, rtol=NEAR, atol=NEAR))


@dataclass
class Tally:
    """What became of the requests."""

    seconds: "array[float]" = field(default_factory=lambda: array("d"))
    """From the first attempt to the answer."""
    attempts: Counter[str] = field(default_factory=Counter)
    """What came in place of an answer, and was asked again."""
    unanswered: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def answered(self) -> int:
        """How many."""
        return len(self.seconds)

    def percentile_ms(self, percent: float, since: int = 0, until: int | None = None) -> float:
        """A percentile of the time to an answer, of all or of some in their order."""
        some = self.seconds[since:until]
        return 1000 * float(np.percentile(some, percent)) if some else float("nan")


def questions(seed: int = 0, *, images: int = 32, draws: int = 4) -> list[Question]:
    """Images to classify, seeds to draw and a series to continue: mostly images, as in a day's work."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (images, 28, 28, 1), np.uint8)
    asked = [
        Question(request("POST", "/classify?top_k=10&as_is=true", encode_png(image), media="image/png"), _probabilities)
        for image in pixels
    ]
    for number in range(draws):
        drawn = orjson.dumps({"count": 2, "seed": number, "format": "npy"})
        asked.append(Question(request("POST", "/generate", drawn, media="application/json"), _pixels))
    history = np.sin(np.arange(200) / 5).round(4).tolist()
    series = orjson.dumps({"history": history, "horizon": 5})
    asked.append(Question(request("POST", "/forecast", series, media="application/json"), _values))
    return asked


def groups(model: str, seed: int = 0, *, images: int = 16) -> list[Question]:
    """Several images at once: in a form, and as a tensor."""
    pixels = np.random.default_rng(seed).integers(0, 256, (images, 28, 28, 1), np.uint8)
    files = form({f"image-{number}": encode_png(image) for number, image in enumerate(pixels)})
    tensor = {"name": "image", "datatype": "UINT8", "shape": pixels.shape, "data": pixels.ravel().tolist()}
    asked = orjson.dumps({"inputs": [tensor], "outputs": [{"name": "probabilities"}]})
    return [
        Question(request("POST", "/classify?top_k=10&as_is=true", files, media=FORM), _all_probabilities),
        Question(request("POST", f"/v2/models/{model}/infer", asked, media="application/json"), _tensor),
    ]


async def learn(address: Address, asked: Sequence[Question]) -> None:
    """Take what an undisturbed service says for right."""
    line, tally = Line(address), Tally()
    for question in asked:
        reply = await settled(line, question.said, tally)
        assert reply is not None
        assert reply.status == 200, reply
        question.right = reply.body
    line.close()


async def keep_asking(
    address: Address,
    asked: Sequence[Question],
    tally: Tally,
    over: Callable[[], bool],
    *,
    start: int = 0,
    pause_s: float = 0.0,
) -> None:
    """One client that asks one question after the other until it is over."""
    line = Line(address)
    turn = start
    try:
        while not over():
            question = asked[turn % len(asked)]
            turn += 1
            began = time.perf_counter()
            reply = await settled(line, question.said, tally)
            if reply is not None:
                tally.seconds.append(time.perf_counter() - began)
                _compare(question, reply, tally)
            if pause_s:
                await asyncio.sleep(pause_s)
    finally:
        line.close()


async def settled(line: Line, said: bytes, tally: Tally) -> Reply | None:
    """The answer to a request that is sent until it is answered; None where that takes longer than anybody waits."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            async with asyncio.timeout(ATTEMPT_S):
                reply = await line.ask(said)
        except TimeoutError:
            tally.attempts["silence"] += 1
        except OSError:
            tally.attempts["broken off"] += 1
            await asyncio.sleep(PAUSE_S)
        else:
            if reply.status not in BUSY:
                return reply
            tally.attempts[str(reply.status)] += 1
            await asyncio.sleep(reply.retry_after_s)
    _note(tally.unanswered, said[:60].decode("latin-1"))
    return None


def _compare(question: Question, reply: Reply, tally: Tally) -> None:
    if reply.status != 200:
        _note(tally.wrong, f"{reply.status}: {reply.body[:300].decode('utf-8', 'replace')}")
    elif not question.agrees(reply.body):
        _note(
            tally.wrong, f"{question.said[:40]!r} is answered with {reply.body[:200]!r}, not {question.right[:200]!r}"
        )


def _note(sentences: list[str], sentence: str) -> None:
    if len(sentences) < LATELY:
        sentences.append(sentence)


def _probabilities(body: bytes) -> NDArray[np.float64]:
    """The probability of every label, in the order of the labels: two that are nearly equal may change places."""
    probabilities: NDArray[np.float64] = _all_probabilities(body)[0]
    return probabilities


def _all_probabilities(body: bytes) -> NDArray[np.float64]:
    """The same of every image."""
    answered = (sorted(each["labels"], key=lambda label: label["index"]) for each in orjson.loads(body)["predictions"])
    return np.array([[label["probability"] for label in labels] for labels in answered])


def _tensor(body: bytes) -> NDArray[np.float64]:
    return np.array(orjson.loads(body)["outputs"][0]["data"], np.float64)


def _pixels(body: bytes) -> NDArray[np.float64]:
    return np.frombuffer(body, np.uint8).astype(np.float64)


def _values(body: bytes) -> NDArray[np.float64]:
    return np.array(orjson.loads(body)["forecast"], np.float64)
