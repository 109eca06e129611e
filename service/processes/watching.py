"""Which children hang: what each was last heard to say, by this process's own clock, and how long it may be silent.

A child beats: its event loop writes one line every `beat_s`, which names the steps that its device's threads are at. It
hangs when it has not begun to beat in time, when its beat stops, or when one and the same step goes on for too long.
One whose linear algebra may keep its loop from turning is given longer, as long as it computes. And nobody hangs for
want of a core: on a machine that others keep busy, the time in which a child only waited for one is not its own.
"""

import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, NamedTuple, TypeVar

import orjson

from service.settings import Settings

LATE_BEATS = 1.5
"""After so many times the time between two beats one is missed."""
STARVED_TIMES = 6.0
"""So many times as long as usual a child may be silent, however long it waited for a core of that."""
USUAL_TIMES = 20.0
"""A step is given so many times what it usually takes."""

C = TypeVar("C", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Step:
    """What a thread of a device is at, and since when it is known to be."""

    since: float
    what: str
    limit_s: float
    model_id: str = ""


class Hang(NamedTuple, Generic[C]):
    """Who hangs, by which sign, and in which model's step where it is one."""

    child: C
    reason: str
    model_id: str = ""


@dataclass(slots=True)
class Signs:
    """What was heard of one process."""

    since: float
    """The last beat, or the start."""
    silence_s: float
    """How long it may say nothing once it beats."""
    progress: Callable[[], object] | None = None
    """What changes while it works, where it may say nothing for longer than others because of its work."""
    waits: Callable[[], Mapping[int, float]] = dict
    """How long each of its threads has waited for a core so far."""
    beats: bool = False
    reached: object = None
    """Its progress when somebody last looked."""
    worked: float = 0.0
    """When it was last seen to work."""
    waited: Mapping[int, float] | None = None
    """Those waits when somebody last looked, if it had not beaten then."""
    starved_s: float = 0.0
    """For how long it has only waited for a core since."""
    steps: dict[int, Step] = field(default_factory=dict)

    def beat(self, now: float) -> None:
        """It lives: what was held against it, or for it, begins anew."""
        self.since, self.waited, self.starved_s = now, None, 0.0

    def starve(self, passed_s: float) -> None:
        """It is silent, and somebody looked so long ago: see how much of that it only waited for a core.

        Any thread may be what its loop waits for.
        """
        before, self.waited = self.waited, self.waits()
        if before is not None:
            more = (seconds - before.get(thread, seconds) for thread, seconds in self.waited.items())
            self.starved_s += min(passed_s, max(more, default=0.0))

    def look(self, now: float) -> None:
        """See whether it works."""
        if self.progress is None:
            return
        reached = self.progress()
        if reached is None or reached != self.reached:
            self.reached, self.worked = reached, now

    def idle_s(self, now: float) -> float:
        """For how long it has neither beaten nor worked; nothing where only beats count."""
        return 0.0 if self.progress is None else now - max(self.since, self.worked)


class Watch(Generic[C]):
    """The signs of all children. Where this process itself has slept, everybody's time begins anew."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._signs: dict[C, Signs] = {}
        self._looked = clock()

    def begin(
        self,
        child: C,
        silence_s: float,
        progress: Callable[[], object] | None = None,
        waits: Callable[[], Mapping[int, float]] = dict,
    ) -> None:
        """A process was started; after its first beat it may be silent for so long.

        With a `progress`, which changes while it works and is None where nobody can tell, only while it does. `waits`
        tells how long each of its threads has waited for a core so far, in seconds.
        """
        self._signs[child] = Signs(self._clock(), silence_s, progress, waits)

    def forget(self, child: C) -> None:
        """The process has ended, or is about to."""
        self._signs.pop(child, None)

    def hear(self, child: C, line: bytes) -> None:
        """A beat, with the steps under way: their numbers, what they are, what they usually take."""
        signs = self._signs.get(child)
        if signs is None:
            return
        signs.beat(self._clock())
        signs.beats = True
        try:
            told = {int(each[0]): (str(each[1]), each[2], str(each[3])) for each in orjson.loads(line)}
        except (ValueError, TypeError, LookupError):  # half a line, after a time in which nobody read
            return
        signs.steps = {
            number: signs.steps.get(number) or Step(signs.since, what, self._limit_s(usual_s), model_id)
            for number, (what, usual_s, model_id) in told.items()
        }

    def _limit_s(self, usual_s: float | None) -> float:
        if usual_s is None:
            return self._settings.load_limit_s
        return max(self._settings.forward_limit_s, USUAL_TIMES * usual_s)

    def late(self) -> list[C]:
        """Who has missed a beat since it was asked last; to be asked every `beat_s`."""
        latest = self._latest(self._clock())
        return [child for child, signs in self._signs.items() if signs.beats and signs.since < latest]

    def _latest(self, now: float) -> float:
        """Who has not beaten since has missed a beat."""
        return now - LATE_BEATS * self._settings.beat_s

    def overdue(self) -> list[Hang[C]]:
        """Who hangs, and by which sign; to be asked every `beat_s`."""
        now, looked = self._clock(), self._looked
        self._looked = now
        if now - looked > self._settings.beat_limit_s / 2:
            self._begin_anew(now)
        for signs in self._signs.values():
            signs.look(now)
            if signs.since < self._latest(now):
                signs.starve(now - looked)
        found = ((child, next(self._missed(signs, now), None)) for child, signs in self._signs.items())
        return [Hang(child, *missed) for child, missed in found if missed is not None]

    def _begin_anew(self, now: float) -> None:
        for signs in self._signs.values():
            signs.beat(now)
            signs.worked = now
            signs.steps = {number: replace(step, since=now) for number, step in signs.steps.items()}

    def _missed(self, signs: Signs, now: float) -> Iterator[tuple[str, str]]:
        """By which signs it hangs, and in which model's step, those that went on for longest first."""
        silent_s = now - signs.since
        if not signs.beats:
            if _is_over(silent_s, signs.starved_s, self._settings.start_limit_s):
                yield f"it has not begun in {silent_s:.1f} s", ""
        elif _is_over(silent_s, signs.starved_s, signs.silence_s):
            yield f"its event loop has not turned for {silent_s:.1f} s", ""
        elif (idle_s := signs.idle_s(now)) > self._settings.beat_limit_s:
            yield (
                f"its event loop has not turned for {silent_s:.1f} s, and it has computed nothing for {idle_s:.1f} s",
                "",
            )
        for step in sorted(signs.steps.values(), key=lambda step: step.since):
            told_s = signs.since - step.since  # whether it goes on since the last beat nobody knows
            if told_s > step.limit_s:
                yield f"{step.what} has not ended in {told_s:.1f} s", step.model_id


def _is_over(seconds: float, starved_s: float, limit_s: float) -> bool:
    """Whether a time is longer than allowed, without that in which there was no core; that, too, has an end."""
    return seconds - starved_s > limit_s or seconds > STARVED_TIMES * limit_s
