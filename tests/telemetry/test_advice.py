from http import HTTPStatus

import pytest

from service.errors import InvalidRequest, LimitReached, ServiceError, error_types
from service.runtime.link import ConnectionLost
from service.telemetry.advice import ADVICE, advice_on

OURS = [kind for kind in error_types().values() if kind.status >= HTTPStatus.INTERNAL_SERVER_ERROR]
OF_A_START_OR_AN_END = ("Draining", "TooManyConnections")


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_an_operator_is_told_what_to_do_about_every_failure_of_the_service(kind: type[ServiceError]) -> None:
    if kind.__name__ not in OF_A_START_OR_AN_END and kind.__module__ == ServiceError.__module__:
        assert advice_on(kind("It failed.")), f"{kind.__name__} needs a line in service/telemetry/advice.py"


def test_a_kind_of_error_has_the_advice_of_what_it_is_one_of() -> None:
    assert advice_on(ConnectionLost("gone")) == ADVICE[ConnectionLost.__mro__[1]]
    assert advice_on(LimitReached("enough")) == ADVICE[LimitReached]


def test_what_is_the_callers_to_mend_has_none() -> None:
    assert advice_on(InvalidRequest("top_k: must be at least 1")) is None
