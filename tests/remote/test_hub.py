"""What the processes of a cluster know of each other, also after the hub has died."""

from typing import Any

import pytest
from remote.deployments import Deployment
from waiting import eventually

from service.remote import hub as hubs
from service.remote.hub import SILENCE_S, Hub, Member, Report, Word
from service.runtime.calls import LoadedModel

READY = LoadedModel("v1", "ready", "cuda:0")
LOADING = LoadedModel("v1", "loading", "cuda:0")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_everybody_hears_what_is_wanted_and_held() -> None:
    hub = Hub({"echo"})
    hub.exchange("one", Report(models={"echo": LOADING}))
    hub.exchange("two", Report(models={"echo": READY}))
    word = hub.exchange("front", Report())
    assert word.wanted == {"echo"}
    assert word.models == {"echo": READY}
    assert word.engines == 2


def test_an_engine_that_says_nothing_is_counted_upon_no_more() -> None:
    clock = Clock()
    hub = Hub(set(), clock)
    hub.exchange("one", Report(models={"echo": READY}))
    clock.now = SILENCE_S - 0.1
    assert hub.exchange("front", Report()).engines == 1
    clock.now = SILENCE_S
    word = hub.exchange("front", Report())
    assert (word.engines, word.models) == (0, {})


def test_an_engine_that_leaves_is_gone_at_once() -> None:
    hub = Hub(set())
    hub.exchange("one", Report(models={"echo": READY}))
    hub.leave("one")
    assert hub.exchange("front", Report()).engines == 0


def test_a_new_hub_hears_from_engines_what_was_wanted() -> None:
    old = Hub({"echo"})
    old.want("doodle")
    word = old.exchange("one", Report(models={}))
    new = Hub({"echo"})
    assert new.exchange("one", Report(word.hub, word.wanted, {})).wanted == {"echo", "doodle"}


def test_what_a_new_hub_was_told_to_let_go_does_not_come_back_with_a_late_engine() -> None:
    old = Hub({"echo", "doodle"})
    word = old.exchange("late", Report(models={}))
    new = Hub({"echo", "doodle"})
    new.unwant("doodle")
    assert new.exchange("late", Report(word.hub, word.wanted, {})).wanted == {"echo"}
    new.want("doodle")
    assert "doodle" in new.exchange("late", Report()).wanted


def test_a_change_is_told_to_all_others_once() -> None:
    hub = Hub(set())
    first = hub.exchange("front", Report())
    hub.exchange("evaluator", Report(news=[{"id": "1", "status": "done"}]))
    heard = hub.exchange("front", Report(first.hub, heard=first.heard))
    assert [dict(change) for change in heard.news] == [{"id": "1", "status": "done"}]
    assert hub.exchange("front", Report(heard.hub, heard=heard.heard)).news == ()


def test_nobody_hears_itself_or_what_was_before_it_came() -> None:
    hub = Hub(set())
    own = hub.exchange("front", Report(news=[{"id": "1", "status": "queued"}]))
    assert own.news == ()
    assert hub.exchange("front", Report(own.hub, heard=own.heard)).news == ()
    assert hub.exchange("late", Report()).news == ()


class Deaf:
    def exchange(self, name: str, _report: Report) -> Word:
        raise OSError(f"{name} is not heard")


async def test_what_could_not_be_told_goes_with_the_next_word() -> None:
    hub = Hub(set())
    deployment = Deployment([Deaf()])
    member = Member(deployment, "front")
    member.tell({"id": "1", "status": "done"})
    with pytest.raises(OSError, match="front"):
        await member.speak()
    deployment.replicas[0] = hub
    await member.speak()
    first = hub.exchange("late", Report())
    assert first.heard == 1


async def test_a_member_hears_again_once_the_hub_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "EXCHANGE_S", 0.001)
    deployment = Deployment([Deaf()])
    member = Member(deployment, "engine", lambda: {"echo": READY})
    heard: list[Any] = []
    member.on_word.append(heard.append)
    await member.start()
    assert member.word is None
    hub = Hub({"echo"})
    deployment.replicas[0] = hub
    await eventually(lambda: heard)
    await member.stop()
    assert heard[0].models == {"echo": READY}
    assert hub.exchange("front", Report()).engines == 0, "who ends says so"
