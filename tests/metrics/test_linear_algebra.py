from threadpoolctl import ThreadpoolController, threadpool_limits

from service.metrics.linear_algebra import OneThread


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
