from contextvars import ContextVar
from threading import Barrier

import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

from service.metrics.linear_algebra import OneThread, both


def threads() -> set[int]:
    """How many threads the libraries of linear algebra compute with."""
    return {library.num_threads for library in ThreadpoolController().select(user_api="blas").lib_controllers}


def test_one_thread_computes_until_the_last_has_left() -> None:
    with threadpool_limits(2, user_api="blas"):
        one_thread = OneThread()
        for _ in range(2):  # once more, after all have left
            first, second = one_thread.__enter__(), one_thread.__enter__()
            assert threads() == {1}
            first.__exit__(None, None, None)
            assert threads() == {1}
            second.__exit__(None, None, None)
            assert threads() == {2}


@pytest.mark.parametrize("allowed", [1, 2, 3])
def test_two_pieces_of_work_meet_with_one_thread_each_where_there_are_two(allowed: int) -> None:
    meeting = Barrier(2 if allowed == 2 else 1)
    about = ContextVar("about", default="nothing")
    about.set("the same measurement")

    def work() -> tuple[set[int], str]:
        meeting.wait(60)
        return threads(), about.get()

    with threadpool_limits(allowed, user_api="blas"):
        found = both(work, work)
        assert found == (({1 if allowed == 2 else allowed}, "the same measurement"),) * 2
        assert threads() == {allowed}


@pytest.mark.parametrize("place", [0, 1])
def test_what_one_of_two_pieces_of_work_meets_is_raised(place: int) -> None:
    works = [lambda: 1, lambda: 1]
    works[place] = lambda: 1 // 0
    with threadpool_limits(2, user_api="blas"):
        with pytest.raises(ZeroDivisionError):
            both(*works)
        assert threads() == {2}
