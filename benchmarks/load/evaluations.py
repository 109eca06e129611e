"""Evaluations and references of the same samples, over and over: each has to finish, with the same result."""

import asyncio
import itertools
import time
from collections.abc import Callable
from io import BytesIO

import numpy as np
import orjson

from benchmarks.load.hostile import FORM, form
from benchmarks.load.service import Service
from benchmarks.load.steady import Tally, settled
from benchmarks.load.wire import Line, request

SAMPLES = 400
METRICS = ("fid", "mmd")
ASK_EVERY_S = 0.3
PATIENCE_S = 600.0
"""An evaluator that was stopped is noticed after `CHAPTERHOUSE_EVALUATOR_BEAT_LIMIT_S`, and there may be no other."""
KEPT = 1000
"""Of the history, what is looked at when all is over."""
STORED = "reference"
OVER = ("finished", "failed", "cancelled")


class Evaluations:
    """One client of `/evaluate` and `/references`, which sends the next when the last is over."""

    def __init__(self, service: Service, tally: Tally) -> None:
        self._service = service
        rng = np.random.default_rng(0)
        self._files = {
            "generated": _packed(rng.integers(0, 256, (SAMPLES, 28, 28), np.uint8)),
            "reference": _packed(rng.integers(0, 200, (SAMPLES, 28, 28), np.uint8)),
        }
        self._line = Line(service.address)
        self._seeds = itertools.count()
        self._right: dict[str, float] = {}
        self.tally = tally
        self.finished = 0
        self.stored = 0

    async def learn(self) -> None:
        """Take what an undisturbed service finds for right."""
        found = await self._evaluate()
        assert isinstance(found, dict), found
        self._right = found

    async def keep_sending(self, over: Callable[[], bool]) -> None:
        """Evaluate and store until it is over."""
        while not over():
            found = await self._evaluate()
            if found == self._right:
                self.finished += 1
            else:
                self.tally.wrong.append(f"an evaluation says {found}, not {self._right}")
            stored = await self._store()
            if stored != {}:
                self.tally.wrong.append(f"a reference was not stored: {stored}")
        self._line.close()

    async def account(self) -> None:
        """Look at everything that was accepted, also where its caller never heard of it."""
        reply = await settled(self._line, request("GET", f"/evaluations?limit={KEPT}"), self.tally)
        assert reply is not None
        for row in orjson.loads(reply.body)["evaluations"]:
            found = await self._outcome(row["id"])
            if found not in (self._right, {}):
                self.tally.wrong.append(f"{row['id']} says {found}, not {self._right}")
        reply = await settled(self._line, request("GET", "/references"), self.tally)
        assert reply is not None
        stored = [row for row in orjson.loads(reply.body)["references"] if not row["shipped"]]
        if len({(row["count"], row["sha256"]) for row in stored}) > 1 or len(stored) != self.stored:
            self.tally.wrong.append(f"{self.stored} equal references were stored, these are there: {stored}")
        self._line.close()

    async def _evaluate(self) -> dict[str, float] | str:
        """The numbers of one evaluation; of one that gives none, what came instead.

        Every evaluation has a seed of its own, so that none is answered with an earlier one's report; these metrics
        draw nothing, so the seed changes no number.
        """
        fields = {".metrics": ",".join(METRICS), ".seed": str(next(self._seeds)), ".intervals": "false"}
        body = form({**self._files, **{name: said.encode() for name, said in fields.items()}})
        return await self._accepted("POST", "/evaluate", body)

    async def _store(self) -> dict[str, float] | str:
        """Nothing where a reference was stored; else what came instead."""
        self.stored += 1
        return await self._accepted(
            "PUT", f"/references/chaos-{self.stored}", form({"reference": self._files["reference"]})
        )

    async def _accepted(self, method: str, path: str, body: bytes) -> dict[str, float] | str:
        """What becomes of an upload. What breaks off or is refused for the moment is sent again."""
        said = request(method, path, body, media=FORM, headers={"prefer": "wait=0", **self._service.bearer})
        accepted = await settled(self._line, said, self.tally)
        if accepted is None or accepted.status not in (200, 202):
            return f"{accepted}"
        return await self._outcome(orjson.loads(accepted.body)["id"])

    async def _outcome(self, evaluation_id: str) -> dict[str, float] | str:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            reply = await settled(self._line, request("GET", f"/evaluations/{evaluation_id}"), self.tally)
            if reply is None or reply.status != 200:
                return f"{reply}"
            state = orjson.loads(reply.body)
            if state["status"] == "finished":
                return {name: state["metrics"][name]["value"] for name in METRICS if state.get("kind") != STORED}
            if state["status"] in OVER:
                return f"{state}"
            await asyncio.sleep(ASK_EVERY_S)
        return f"{evaluation_id} is not over"


def _packed(images: np.ndarray) -> bytes:
    stream = BytesIO()
    np.savez(stream, images=images)
    return stream.getvalue()
