import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from doubles import FakeEngine, add_card, echoed, images, likely, worked_on

from service.calibration import Calibration, Change, Strangeness
from service.errors import InvalidRequest, Overloaded
from service.imaging import encode_png
from service.operations.classify import TOP_K_LIMIT, Labelling
from service.runtime.calls import PARTS_EACH, Array, Call, Lane
from service.runtime.in_process import LocalEngine
from service.schemas import Classification
from service.store import Model, ModelStore

MAX_BATCH = 8
"""Of the doubles."""
LIMIT_PIXELS = 1000


@pytest.fixture
def echo(store: ModelStore) -> Model:
    return store.get("echo")


def named(*firsts: int) -> list[tuple[str | None, bytes]]:
    """Image files under the names of their first pixels."""
    return [(str(first), encode_png(images(first)[0])) for first in firsts]


def labelling(model: Model, files: Sequence[tuple[str | None, bytes]], top_k: int = 2) -> Labelling:
    return Labelling.of(files, model, top_k=top_k, limit_pixels=LIMIT_PIXELS)


class Batching(FakeEngine):
    """Echoes, notes how many rows each call has, how many calls are open at once, and refuses when it is told to."""

    def __init__(self, *, full_after: int | None = None) -> None:
        super().__init__()
        self.rows: list[int] = []
        self.open = 0
        self.most = 0
        self.full_after = full_after
        self.refused = 0

    async def submit(
        self,
        call: Call,  # noqa: ARG002 - all the same
        arrays: Sequence[Array],
        *,
        lane: Lane = Lane.INTERACTIVE,  # noqa: ARG002
        deadline: float | None = None,  # noqa: ARG002
        request_id: str = "",  # noqa: ARG002
    ) -> list[Array]:
        """What Echo answers; Overloaded once, after so many calls."""
        if len(self.rows) == self.full_after and not self.refused:
            self.refused += 1
            raise Overloaded("no room")
        self.rows.append(len(arrays[0]))
        self.open += 1
        self.most = max(self.most, self.open)
        await asyncio.sleep(0)
        self.open -= 1
        return [echoed(*arrays[0][:, 0, 0, 0])]


async def test_images_are_labelled_under_their_names_in_the_order_sent(engine: LocalEngine, echo: Model) -> None:
    answer = Classification.model_validate(await labelling(echo, named(200, 3, 90)).ask(engine))
    assert (answer.model, answer.version) == ("echo", echo.version)
    assert [prediction.name for prediction in answer.predictions] == ["200", "3", "90"]
    for prediction, first in zip(answer.predictions, (200, 3, 90), strict=True):
        assert [label.label for label in prediction.labels] == ["a", "b"]
        assert prediction.labels[0].probability == pytest.approx(likely(first)[0, 0], abs=1e-6)


async def test_a_calibrated_model_answers_at_the_temperature_of_its_card(
    engine: LocalEngine, models_dir: Path, store: ModelStore
) -> None:
    strangeness = Strangeness(method="energy", limit=-6.0, share=0.05, auroc={})
    change = Change(before=0.2, after=0.1)
    known = Calibration(temperature=2.0, how="in a test", ece=change, nll=change, strangeness=strangeness)
    plain = Classification.model_validate(await labelling(store.get("echo"), named(200)).ask(engine))
    assert not plain.calibrated
    add_card(models_dir / "echo", calibration=known)
    store.refresh("echo")
    answer = Classification.model_validate(await labelling(store.get("echo"), named(200, 3)).ask(engine))
    assert answer.calibrated
    assert answer.strangeness_limit == -6.0
    usual, strange = answer.predictions
    whole = np.exp(echoed(200)[0] / 2).sum()
    assert usual.labels[0].probability == pytest.approx(np.exp(echoed(200)[0, 0] / 2) / whole)
    assert usual.strangeness == pytest.approx(-2 * np.log(whole))
    assert len(strange.notes) == len(usual.notes) + 1
    assert "strange to the model (energy -2.8" in strange.notes[-1]


async def test_an_unreadable_image_is_an_error_in_its_place(echo: Model) -> None:
    engine = Batching()
    large = encode_png(np.zeros((40, 40, 1), np.uint8))
    answer = await labelling(echo, [("torn", b"\x89PNG"), *named(9), ("large", large)]).ask(engine)
    torn, read, too_large = Classification.model_validate(answer).predictions
    assert torn.error is not None
    assert torn.error["title"] == "The image cannot be read"
    assert too_large.error is not None
    assert "at most 1,000 pixels" in too_large.error["detail"]
    assert read.labels[0].probability == pytest.approx(likely(9)[0, 0], abs=1e-6)
    assert engine.rows == [1]


async def test_no_engine_is_asked_where_nothing_can_be_read(echo: Model) -> None:
    engine = Batching()
    answer = await labelling(echo, [("torn", b"no image")]).ask(engine)
    assert "error" in answer["predictions"][0]
    assert engine.rows == []


@pytest.mark.parametrize("engines", [1, 2])
async def test_many_images_go_in_parts_of_the_largest_batch_few_at_once_for_each_engine(
    echo: Model, engines: int
) -> None:
    engine = Batching()
    engine.width = lambda: engines
    firsts = list(range(1, 3 * MAX_BATCH + 2))
    answer = await labelling(echo, named(*firsts), top_k=1).ask(engine)
    assert engine.rows == [MAX_BATCH, MAX_BATCH, MAX_BATCH, 1]
    assert engine.most == PARTS_EACH * engines
    found = [prediction["labels"][0]["probability"] for prediction in answer["predictions"]]
    np.testing.assert_allclose(found, likely(*firsts)[:, 0], atol=1e-6)


async def test_a_batch_is_one_submission(engine: LocalEngine, echo: Model) -> None:
    await labelling(echo, named(*range(1, MAX_BATCH + 1))).ask(engine)
    assert worked_on() == [list(range(1, MAX_BATCH + 1))]


async def test_a_full_queue_refuses_the_first_part_and_makes_the_others_wait(echo: Model) -> None:
    engine = Batching(full_after=1)
    answer = await labelling(echo, named(*range(1, 2 * MAX_BATCH + 1))).ask(engine)
    assert len(answer["predictions"]) == 2 * MAX_BATCH
    assert engine.refused == 1
    with pytest.raises(Overloaded):
        await labelling(echo, named(*range(1, 2 * MAX_BATCH + 1))).ask(Batching(full_after=0))


@pytest.mark.parametrize("parts", [1, 2])
async def test_what_a_request_says_about_itself_reaches_the_engine(echo: Model, parts: int) -> None:
    firsts = range(1, MAX_BATCH + 1)
    engine = FakeEngine([echoed(*firsts)])
    await labelling(echo, named(*firsts) * parts).ask(engine, deadline=7.0, request_id="r1")
    assert engine.calls == [(Call("echo", "classify"), Lane.INTERACTIVE, 7.0, "r1")] * parts


@pytest.mark.parametrize("top_k", [0, -1, TOP_K_LIMIT + 1])
def test_so_many_labels_are_refused(echo: Model, top_k: int) -> None:
    with pytest.raises(InvalidRequest, match="top_k: must be a whole number from 1 to 1000"):
        labelling(echo, named(1), top_k)
