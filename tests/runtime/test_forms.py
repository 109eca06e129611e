import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from forms.classifiers import add_classifier, hold_out, score, squares, with_forms
from waiting import eventually

from service.exactness import PLAIN
from service.forms.eager import fold
from service.forms.form import Form, Place
from service.forms.memory import Memory, Shelf, Tried
from service.forms.registry import FORMS
from service.nets.registry import open_net
from service.runtime.calls import Array, Call, Lane
from service.runtime.improving import FormChoice, Improver
from service.runtime.in_process import LocalEngine
from service.runtime.turns import Turns
from service.store import Model, ModelStore

HERE = Place("cpu", 1)
IMAGES = squares(3, 28, 1)
CALL = Call("lenet5-squares", "classify")


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return with_forms(add_classifier(tmp_path / "store"), {PLAIN: score(0.9), "folded": score(0.9)})


@pytest.fixture
def choice(tmp_path: Path) -> FormChoice:
    return FormChoice("auto", "bfloat16", tmp_path / "forms", hold_out(tmp_path / "held-out"))


def remember(choice: FormChoice, model: Model, **seconds: float) -> None:
    """That forward passes of one image took so long."""
    memory = Memory.of(model, HERE)
    for name, taken in seconds.items():
        memory = memory.ended(name, Tried(seconds={1: taken}))  # type: ignore[arg-type]
    Shelf(choice.shelf).write(memory)


@asynccontextmanager
async def serving(model: Model, choice: FormChoice | None) -> AsyncIterator[LocalEngine]:
    async with LocalEngine(ModelStore(model.folder.parent), threads=1, forms=choice) as engine:
        await engine.load(model.id)
        yield engine


async def ask(engine: LocalEngine, *, lane: Lane = Lane.INTERACTIVE, verb: str = "classify") -> Array:
    return (await engine.submit(replace(CALL, verb=verb), [IMAGES], lane=lane))[0]


async def test_a_form_that_was_found_before_serves_from_the_first_answer_on(model: Model, choice: FormChoice) -> None:
    remember(choice, model, plain=1.0, folded=0.5)
    async with serving(model, None) as plain, serving(model, choice) as engine, serving(model, choice) as other:
        assert {one.models()[model.id].form for one in (engine, other)} == {"folded"}
        assert plain.models()[model.id].form == PLAIN
        np.testing.assert_array_equal(await ask(engine), await ask(other))
        np.testing.assert_allclose(await ask(engine), await ask(plain), atol=1e-3)


async def test_work_that_has_to_be_exact_never_meets_a_form(model: Model, choice: FormChoice) -> None:
    remember(choice, model, plain=1.0, folded=0.5)
    async with serving(model, None) as plain, serving(model, choice) as engine:
        for verb in ("classify", "features"):
            asked: dict[str, Any] = {"lane": Lane.BULK, "verb": verb}
            np.testing.assert_array_equal(await ask(engine, **asked), await ask(plain, **asked))


async def test_a_form_that_was_no_faster_does_not_serve(model: Model, choice: FormChoice) -> None:
    remember(choice, model, plain=1.0, folded=0.95)
    async with serving(model, choice) as engine:
        assert engine.models()[model.id].form == PLAIN


async def test_a_form_that_is_set_serves_without_being_measured(model: Model, choice: FormChoice) -> None:
    async with serving(model, replace(choice, wanted="folded")) as engine:
        assert engine.models()[model.id].form == "folded"
    assert not choice.shelf.exists()


async def test_a_form_is_not_served_where_nothing_can_verify_it(
    model: Model, choice: FormChoice, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(model, replace(choice, wanted="folded", held_out=choice.shelf)) as engine:
        assert engine.models()[model.id].form == PLAIN
    assert "no held-out images" in caplog.text


async def test_the_plain_form_serves_at_once_and_a_better_one_takes_its_place(model: Model, choice: FormChoice) -> None:
    async with serving(model, choice) as engine:
        assert engine.models()[model.id].form == PLAIN
        await eventually(lambda: len(Shelf(choice.shelf).read(model, HERE).forms) == 2)
        memory = Shelf(choice.shelf).read(model, HERE)
        assert all(tried.seconds and not tried.refused for tried in memory.forms.values())
        assert memory.trying == ()


async def test_nothing_is_measured_while_somebody_waits(model: Model, choice: FormChoice) -> None:
    free, asked = asyncio.Event(), asyncio.Event()

    async def quiet() -> None:
        asked.set()
        await free.wait()

    net = open_net(model.manifest.net, model.manifest.options, model.weights)
    with ThreadPoolExecutor(1) as thread:
        searching = asyncio.create_task(Improver(choice, lambda _: HERE, Turns(thread), quiet).better(model, net))
        await asked.wait()
        assert not choice.shelf.exists()
        free.set()
        await searching
    assert Shelf(choice.shelf).read(model, HERE).forms.keys() == {PLAIN, "folded"}


async def test_a_form_that_fails_gives_way_to_the_net_itself(
    model: Model, choice: FormChoice, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(choice, model, plain=1.0, folded=0.5)
    monkeypatch.setitem(FORMS, "folded", FORMS["folded"]._replace(make=_fragile))
    async with serving(model, None) as plain, serving(model, choice) as engine:
        assert engine.models()[model.id].form == "folded"
        np.testing.assert_allclose(await ask(engine), await ask(plain), atol=1e-6)
        assert engine.models()[model.id].form == PLAIN
    assert "failed in the form folded" in caplog.text


async def test_a_form_that_answers_otherwise_is_refused(
    model: Model, choice: FormChoice, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(choice, model, plain=1.0, folded=0.5)
    monkeypatch.setitem(FORMS, "folded", FORMS["folded"]._replace(make=_wrong))
    async with serving(model, choice) as engine:
        assert engine.models()[model.id].form == PLAIN
    assert "is not served in the form folded" in caplog.text


def _fragile(model: Model, place: Place) -> Form:
    """The folded form, which fails on the images of these tests."""
    sound = fold(model, place)

    def logits(images: torch.Tensor) -> torch.Tensor:
        if torch.equal(images, torch.from_numpy(IMAGES)):
            raise ArithmeticError("a runtime of others does that")
        return sound.logits(images)

    return Form("folded", logits)


def _wrong(model: Model, place: Place) -> Form:
    """The folded form, which takes one class for another."""
    sound = fold(model, place)
    return Form("folded", lambda images: sound.logits(images).roll(1, dims=1))
