from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.budgets import LONGEST_S, MUCH, PACE_S, Budget, Refusals, Returns
from service.errors import Overloaded
from service.runtime.pace import LEAST_S, MOST_S


def fill(budget: Budget, client: str, most: int = 10**6) -> int:
    taken = 0
    while taken < most and budget.take(client):
        taken += 1
    return taken


def test_one_client_alone_gets_its_share_and_the_next_one_still_finds_something() -> None:
    budget = Budget(1000, 0.75)
    shares = [fill(budget, client) for client in "abcd"]
    assert shares == [750, 188, 47, 12]
    assert budget.taken == sum(shares)


def test_clients_that_come_together_get_equal_parts() -> None:
    budget = Budget(1000, 0.75)
    for _ in range(1000):
        for client in "abc":
            budget.take(client)
    assert budget.held == {"a": 300, "b": 300, "c": 300}


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_small_budget_is_given_whole(limit: int) -> None:
    assert fill(Budget(limit, 0.75), "a") == limit


def test_without_a_share_one_client_may_have_all() -> None:
    budget = Budget(100, 1.0)
    assert fill(budget, "a") == 100
    assert not budget.take("b")
    assert budget.bears(held=100, taken=100)


def test_nothing_is_given_in_part() -> None:
    budget = Budget(100, 0.75)
    assert not budget.take("a", 101)
    assert budget.taken == 0
    assert budget.held == {}


@pytest.mark.parametrize(
    ("held", "taken", "bears"),
    [(0, 0, True), (750, 750, True), (751, 751, False), (30, 990, True), (31, 990, False), (0, 1001, False)],
)
def test_what_a_client_has_already_is_measured_as_what_it_takes(held: int, taken: int, bears: bool) -> None:  # noqa: FBT001
    assert Budget(1000, 0.75).bears(held=held, taken=taken) is bears


STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 40), st.booleans()), max_size=60)


@given(limit=st.integers(1, 100), share=st.floats(0.01, 1.0), steps=STEPS)
def test_what_is_held_is_what_was_taken_and_never_more_than_there_is(
    limit: int, share: float, steps: list[tuple[str, int, bool]]
) -> None:
    budget = Budget(limit, share)
    given: list[tuple[str, int]] = []
    for client, amount, back in steps:
        if back and given:
            budget.give_back(*given.pop())
        elif budget.take(client, amount):
            given.append((client, amount))
        assert budget.taken == sum(amount for _, amount in given) == sum(budget.held.values()) <= limit
        assert 0 not in budget.held.values()


def test_whoever_wants_to_know_is_told_when_much_comes_back() -> None:
    told: list[int] = []
    budget = Budget(10 * MUCH, 1.0, on_much_returned=lambda: told.append(budget.taken))
    budget.take("a", 3 * MUCH)
    budget.give_back("a", MUCH - 1)
    assert told == []
    budget.give_back("a", 1)
    assert told == [2 * MUCH]
    budget.take("b", 10)
    budget.give_back("b", 10)
    assert told == [2 * MUCH]
    for _ in range(2):
        budget.give_back("a", MUCH)
    assert told == [2 * MUCH, MUCH, 0]


class Clock:
    """The time as a test says it is."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def come_back(budget: Budget, clock: Clock, *, per_s: int, seconds: float) -> None:
    """One client takes and gives back so often a second."""
    for _ in range(round(per_s * seconds)):
        budget.take("a")
        clock.now += 1 / per_s
        budget.give_back("a")


def test_a_full_budget_is_told_to_have_come_back_by_how_fast_it_does() -> None:
    clock = Clock()
    returns = Returns(clock)
    budget = Budget(1000, 1.0, returns=returns)
    come_back(budget, clock, per_s=200, seconds=0.5)
    assert returns.wait_s(1000) == pytest.approx(5.0)
    come_back(budget, clock, per_s=200, seconds=5)
    assert returns.wait_s(1000) == pytest.approx(5.0, rel=0.05)
    come_back(budget, clock, per_s=50, seconds=5)
    assert returns.wait_s(1000) == pytest.approx(20.0, rel=0.1)


def test_a_time_in_which_nothing_was_taken_says_nothing_of_its_speed() -> None:
    clock = Clock()
    returns = Returns(clock)
    budget = Budget(1000, 1.0, returns=returns)
    assert returns.wait_s(1000) == LEAST_S
    come_back(budget, clock, per_s=200, seconds=5)
    clock.now += 3600
    come_back(budget, clock, per_s=200, seconds=0.5)
    assert returns.wait_s(1000) == pytest.approx(5.0, rel=0.05)


def test_nobody_is_sent_away_for_ever() -> None:
    clock = Clock()
    returns = Returns(clock)
    come_back(Budget(1000, 1.0, returns=returns), clock, per_s=1, seconds=1)
    assert returns.wait_s(1000) == MOST_S


class TestRefusals:
    """What a front remembers of whom it refused."""

    def test_who_asks_again_at_once_is_refused_without_anybody_being_asked(self) -> None:
        now = [0.0]
        refusals = Refusals(clock=lambda: now[0])
        with pytest.raises(Overloaded), refusals.of("a"):
            raise Overloaded("full").again_in(7)
        now[0] = 0.2
        with pytest.raises(Overloaded, match="full") as again, refusals.of("a"):
            pytest.fail("somebody was asked")
        assert again.value.retry_after_s == 7
        with refusals.of("b"):
            pass

    def test_asking_again_and_again_prolongs_nothing(self) -> None:
        now = [0.0]
        refusals = Refusals(clock=lambda: now[0])
        with pytest.raises(Overloaded), refusals.of("a"):
            raise Overloaded("full")
        for now[0] in (0.1, 0.2):
            with pytest.raises(Overloaded), refusals.of("a"):
                pytest.fail("somebody was asked")
        now[0] = 0.26
        with refusals.of("a"):
            pass
        assert refusals._last == {}

    async def test_hundreds_who_ask_again_at_once_are_told_one_after_the_other(self) -> None:
        waits: list[float] = []

        async def sleep(seconds: float) -> None:
            waits.append(round(seconds, 3))

        refusals = Refusals(clock=lambda: 0.0, sleep=sleep)
        await refusals.turn_away("a")
        for client in "ab":
            with pytest.raises(Overloaded), refusals.of(client):
                raise Overloaded("full").again_in(7)
        for client in "a" * 300 + "b":
            with pytest.raises(Overloaded, match="full"):
                await refusals.turn_away(client)
        assert waits[:3] == [0.0, PACE_S, 2 * PACE_S]
        assert waits[-3:] == [LONGEST_S, LONGEST_S, 0.0]

    async def test_of_many_clients_who_asked_again_those_that_stay_away_are_forgotten(self) -> None:
        now = [0.0]
        refusals = Refusals(clock=lambda: now[0])
        for client in map(str, range(3000)):
            now[0] += 0.001
            with pytest.raises(Overloaded), refusals.of(client):
                raise Overloaded("full")
            with pytest.raises(Overloaded):
                await refusals.turn_away(client)
        assert len(refusals._turns) <= 1024 + 256

    def test_where_there_may_be_room_again_somebody_is_asked(self) -> None:
        hearing: list[Callable[[object], None]] = []

        def listen(hear: Callable[[object], None]) -> Callable[[], None]:
            hearing.append(hear)
            return hearing.clear

        refusals = Refusals(listen, clock=lambda: 0.0)
        for client in "ab":
            with pytest.raises(Overloaded), refusals.of(client):
                raise Overloaded("full")
        [hear] = hearing
        hear("an evaluation has ended")
        assert hearing == []
        for client in "ab":
            with refusals.of(client):
                pass

    def test_clients_that_stay_away_are_forgotten(self) -> None:
        now = [0.0]
        refusals = Refusals(clock=lambda: now[0])
        for client in range(3000):
            now[0] += 0.001
            with pytest.raises(Overloaded), refusals.of(str(client)):
                raise Overloaded("full")
        assert len(refusals._last) <= 1024 + 256
