"""Better forms for an engine's classifiers: measured while nobody waits, remembered, and the same in every engine."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
from torch import nn

from service.exactness import PLAIN, FormName, Precision
from service.forms.choosing import allowed, choose
from service.forms.form import Form, Place
from service.forms.held_out import FOLDER, held_out_of
from service.forms.memory import Memory, Shelf, Tried
from service.forms.registry import FORMS, make_form, possible
from service.forms.timing import Compute, Seconds, answer, plainly, time_once
from service.forms.verifying import Logits, what_is_wrong
from service.runtime.turns import Turns
from service.settings import Settings
from service.store import Model

log = logging.getLogger(__name__)

SIZES = (1, 8, 64)
"""Rows of the batches that are measured, as far as one of them does not take too long."""
LONG_S = 0.1
"""A batch that takes longer ends the measurement of larger ones: who comes meanwhile waits for it."""
ROUNDS = 5
CHUNK = 8
"""Images that are compared at a time."""
LOOK_S = 1.0
"""Between two looks whether another engine has measured."""


@dataclass(frozen=True, slots=True)
class FormChoice:
    """What is wanted of forms, and where they are remembered."""

    wanted: Literal["auto", FormName]
    precision: Precision
    shelf: Path
    held_out: Path

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """What these settings want."""
        return cls(settings.form, settings.precision, settings.forms_dir, settings.shipped_models_dir / FOLDER)


class Improver:
    """Finds the form in which each classifier of one device serves; `quiet` returns when nobody waits for it."""

    def __init__(
        self,
        choice: FormChoice,
        place_of: Callable[[Model], Place],
        turns: Turns,
        quiet: Callable[[], Awaitable[None]],
    ) -> None:
        self._choice = choice
        self._place_of = place_of
        self._turns = turns
        self._quiet = quiet
        self._shelf = Shelf(choice.shelf)
        self._one_measures = asyncio.Lock()

    async def known(self, model: Model, net: nn.Module) -> Form | None:
        """The form that is set or was chosen before, verified again; None for the plain one."""
        name = self._chosen(model)
        if name == PLAIN:
            return None
        try:
            form, wrong = await self._made(name, model, net)
        except Exception as error:  # noqa: BLE001 - whatever it is, the plain form serves
            wrong = _in_words(error)
        if wrong:
            log.error("%s is not served in the form %s: %s", model.id, name, wrong)
            return None
        log.info("%s is served in the form %s", model.id, name)
        return form

    async def better(self, model: Model, net: nn.Module) -> Form | None:
        """The best form that may serve, once all have been measured here or by another engine; None for the plain one.

        Nothing is measured while anybody waits, and whatever goes wrong leaves the plain form as it is.
        """
        names = self._allowed(model)
        if not names:
            return None
        try:
            await self._measure_all(model, net, names)
        except OSError as error:
            log.warning("the forms of %s cannot be remembered: %s", model.id, error)
            return None
        return await self.known(model, net)

    def _allowed(self, model: Model) -> list[FormName]:
        """Those between which is chosen, if there is a choice and a way to verify them."""
        names = allowed(model, self._place_of(model), self._choice.precision) if self._choice.wanted == "auto" else []
        return names if names and held_out_of(model, self._choice.held_out) is not None else []

    def _chosen(self, model: Model) -> FormName:
        """The form that is set, or that follows from what is remembered once that is whole."""
        if model.manifest.task != "classify":
            return PLAIN
        if self._choice.wanted != "auto":
            return self._choice.wanted if self._choice.wanted in possible(self._place_of(model)) else PLAIN
        names = self._allowed(model)
        memory = self._read(model)
        return PLAIN if memory.lacks([PLAIN, *names]) else choose(_fit(memory), names)

    def refuse(self, model: Model, name: FormName) -> None:
        """Remember that a form failed while it served."""
        try:
            self._shelf.write(self._read(model).ended(name, Tried(refused="it failed while it served")))
        except OSError as error:
            log.warning("that %s failed in the form %s cannot be remembered: %s", model.id, name, error)

    def _read(self, model: Model) -> Memory:
        return self._shelf.read(model, self._place_of(model))

    async def _measure_all(self, model: Model, net: nn.Module, names: list[FormName]) -> None:
        """Measure what is not known yet, one model at a time, unless another engine does; return once all is known."""
        while (memory := self._read(model)).lacks([PLAIN, *names]):
            await self._quiet()
            if not self._one_measures.locked():
                async with self._one_measures:
                    with self._shelf.held(memory) as alone:
                        if alone:
                            return await self._measure(model, net, names)
            await asyncio.sleep(LOOK_S)
        return None

    async def _measure(self, model: Model, net: nn.Module, names: list[FormName]) -> None:
        memory = self._read(model).without_deadly()
        for name in memory.lacks([PLAIN, *names]):
            memory = await self._try(memory, name, model, net)
        self._shelf.write(memory)

    async def _try(self, memory: Memory, name: FormName, model: Model, net: nn.Module) -> Memory:
        """What is remembered once a form has been tried."""
        begun, tried = memory.begun(name), None
        self._shelf.write(begun)
        try:
            tried = await self._tried(name, model, net)
        finally:
            memory = begun.ended(name, tried)
            self._shelf.write(memory)
        log.info("%s in the form %s: %s", model.id, name, tried.refused or _told(tried.seconds))
        return memory

    async def _tried(self, name: FormName, model: Model, net: nn.Module) -> Tried:
        try:
            if name == PLAIN:
                return Tried(seconds=await self._timed(plainly(net, model), model))
            form, wrong = await self._made(name, model, net, patiently=True)
            return Tried(refused=wrong) if wrong else Tried(seconds=await self._timed(form.logits, model))
        except Exception as error:  # noqa: BLE001 - whatever it is, this form does not serve
            return Tried(refused=_in_words(error))

    async def _made(self, name: FormName, model: Model, net: nn.Module, *, patiently: bool = False) -> tuple[Form, str]:
        """A form, and why it must not serve, if that is so; `patiently` gives way to whoever comes."""
        if patiently:
            await self._quiet()
        form = await asyncio.to_thread(make_form, name, model, self._place_of(model))
        images = held_out_of(model, self._choice.held_out)
        if images is None:
            return form, "there are no held-out images of its dataset on which it could be verified"
        answers: list[list[Logits]] = [[], []]
        for at in range(0, len(images), CHUNK):
            for compute, found in zip((plainly(net, model), form.logits), answers, strict=True):
                if patiently:
                    await self._quiet()
                part = images[at : at + CHUNK]
                found.append(await self._turns.short(answer, compute, part, self._place_of(model)))
        plain, other = map(np.concatenate, answers)
        return form, what_is_wrong(plain, other, FORMS[name].precision, model.calibration)

    async def _timed(self, compute: Compute, model: Model) -> dict[int, float]:
        """Seconds of a forward pass by its rows; the least of several rounds, each of which waits for quiet."""
        images = held_out_of(model, self._choice.held_out)
        assert images is not None, "only what can be verified is tried"
        found: dict[int, float] = {}
        for rows in sorted({min(rows, model.manifest.serving.max_batch, len(images)) for rows in SIZES}):
            least = float("inf")
            for _ in range(ROUNDS):
                await self._quiet()
                least = min(least, await self._turns.short(time_once, compute, images[:rows], self._place_of(model)))
            found[rows] = least
            if least > LONG_S:
                break
        return found


def _fit(memory: Memory) -> Mapping[FormName, Seconds]:
    """What was measured of those that are not refused."""
    return {name: tried.seconds for name, tried in memory.forms.items() if not tried.refused}


def _told(seconds: Seconds) -> str:
    return ", ".join(f"{rows / seconds[rows]:,.0f} images/s in batches of {rows}" for rows in seconds)


def _in_words(error: Exception) -> str:
    return f"it cannot be made here: {type(error).__name__}: {str(error).strip()[:200]}"
