"""A front's server, as far as it is its own and not uvicorn's."""

from service.processes.front import Dated


def test_each_answer_has_the_date_of_its_own_second() -> None:
    state = Dated(iter((0.0, 0.9, 86400.5)).__next__)
    found = [state.default_headers for _ in range(3)]
    assert found[0] is found[1]
    assert found[1:] == [[(b"date", b"Thu, 01 Jan 1970 00:00:00 GMT")], [(b"date", b"Fri, 02 Jan 1970 00:00:00 GMT")]]
