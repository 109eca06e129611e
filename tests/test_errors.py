import re
from http import HTTPStatus

import pytest

from service import errors
from service.errors import ConfigurationError, InvalidRequest, Overloaded, ServiceError, error_types
from service.runtime.link import ConnectionLost

OWN = [kind for kind in error_types().values() if kind.__module__ == errors.__name__]


def test_the_tree_at_the_top_of_the_file_is_the_tree_of_the_file() -> None:
    drawn = dict(re.findall(r"[*-] (\w+)\s+(\d{3})", errors.__doc__ or ""))
    assert drawn == {kind.__name__: str(int(kind.status)) for kind in OWN}
    settings: list[type[ConfigurationError]] = [ConfigurationError, *ConfigurationError.__subclasses__()]
    for kind in settings:
        assert re.search(rf"\b{kind.__name__}\b", errors.__doc__ or "")


@pytest.mark.parametrize("kind", OWN)
def test_every_error_says_its_kind_and_a_caller_that_should_come_again_learns_when(kind: type[ServiceError]) -> None:
    assert kind.title.strip()
    assert kind.__doc__
    comes_again = kind.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
    assert (kind.retry_after_s is not None) == comes_again


def test_an_error_is_a_problem_document() -> None:
    assert Overloaded("12 rows wait").problem() == {
        "type": "about:blank",
        "title": "Too many requests are waiting",
        "status": 429,
        "detail": "12 rows wait",
    }
    assert Overloaded("12 rows wait").again_in(5.12).problem()["retry_after_s"] == 5.12
    named = [{"field": "seed", "message": "too small"}]
    assert InvalidRequest("seed: too small", errors=named).problem()["errors"] == named


def test_errors_of_other_modules_cross_by_name_too() -> None:
    assert error_types()["ConnectionLost"] is ConnectionLost
