import httpx
import pytest

from service.client.problems import error_of
from service.errors import Overloaded


@pytest.mark.parametrize(("header", "after"), [("1", 0.25), ("7", 7), ("0", 0)])
def test_the_exact_time_is_taken_from_the_body_where_the_header_is_the_same_rounded_up(
    header: str, after: float
) -> None:
    document = Overloaded("full").again_in(0.25).problem()
    asked = httpx.Request("GET", "http://chapterhouse/models")
    error = error_of(httpx.Response(429, json=document, headers={"retry-after": header}, request=asked))
    assert isinstance(error, Overloaded)
    assert error.retry_after_s == after
