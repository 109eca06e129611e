import pytest

from service.evaluation.queue.turns import FAIR_S, PATIENT_S, Spell, Waiting, in_turn, used_seconds

NOW = 10_000.0


def waiting(name: str, client: str, *, size: int = 0, since: float = 1.0) -> Waiting:
    return Waiting(name, client, NOW - since, size)


def names(jobs: list[Waiting]) -> str:
    return "".join(job.id for job in jobs)


def test_of_one_client_the_smallest_comes_first_and_of_equals_the_oldest() -> None:
    jobs = [
        waiting("a", "x", size=9, since=4),
        waiting("b", "x", size=1, since=1),
        waiting("c", "x", size=5, since=2),
        waiting("d", "x", size=5, since=3),
    ]
    assert names(in_turn(jobs, {}, NOW)) == "bdca"


def test_the_client_who_had_least_comes_first_however_large_its_evaluations_are() -> None:
    jobs = [waiting("a", "busy", size=1, since=9), waiting("b", "quiet", size=1000), waiting("c", "new", size=500)]
    assert names(in_turn(jobs, {"busy": 30.0, "quiet": 2.0}, NOW)) == "cba"


def test_of_clients_who_had_nothing_whoever_waits_longest_comes_first() -> None:
    jobs = [waiting("a", "x", since=3), waiting("b", "y", size=7, since=5), waiting("c", "y", size=2, since=1)]
    assert names(in_turn(jobs, {}, NOW)) == "cba"


def test_no_evaluation_waits_for_ever_behind_its_clients_smaller_ones() -> None:
    jobs = [waiting("small", "x", size=1), waiting("large", "x", size=10**9, since=PATIENT_S + 1)]
    assert in_turn(jobs, {}, NOW)[0].id == "large"


@pytest.mark.parametrize(
    ("started", "ended", "seconds"),
    [
        (NOW - 20, NOW - 5, 15.0),
        (NOW - 20, None, 20.0),
        (NOW - 2 * FAIR_S, NOW - 10, FAIR_S - 10),
        (NOW - 2 * FAIR_S, NOW - FAIR_S - 1, 0.0),
    ],
)
def test_what_the_evaluators_did_long_ago_is_forgotten(started: float, ended: float | None, seconds: float) -> None:
    assert used_seconds([Spell("x", started, ended)], NOW) == {"x": seconds}
