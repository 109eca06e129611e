import logging
from collections.abc import Callable

import pytest
from api.access.conftest import Bearing, MakeKey
from api.asking import Caller, connect
from doubles import FakeEngine

from service.api.access.audit import Audit
from service.api.access.callers import Caller as Who
from service.api.gate import Application
from service.telemetry.logs import Discreet

pytestmark = pytest.mark.usefixtures("both_ways")

MakeApp = Callable[..., Application]


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    form = Discreet("%(message)s")
    return [form.format(record) for record in caplog.records if record.name.endswith("audit")]


async def test_every_write_has_a_line_that_says_whose_it_was_and_how_it_ended(
    make_app: MakeApp, make_key: MakeKey, bearing: Bearing, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(FakeEngine(), trusted_proxies=("127.0.0.1",))
    told = {"x-request-id": "r1", "x-forwarded-for": "203.0.113.9"}
    async with bearing(app, make_key("boss", ["infer", "evaluate", "admin"])) as client:
        await client.post("/models/echo/load", headers=told)
        await client.delete("/references/none", headers=told)
        await client.post("/evaluate", headers=told)
        await client.post("/classify", headers=told)
        await client.get("/models", headers=told)
    assert lines(caplog) == [
        "POST /models/echo/load by boss from 203.0.113.9: 204 request=r1",
        "DELETE /references/none by boss from 203.0.113.9: 404 request=r1",
        "POST /evaluate by boss from 203.0.113.9: 415 request=r1",
    ]


async def test_without_keys_the_token_of_this_machine_is_named(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(make_app(FakeEngine())) as client:
        await client.post("/models/echo/unload", headers={"x-request-id": "r2"})
        del client.headers["authorization"]
        await client.post("/evaluate", headers={"x-request-id": "r3"})
    assert lines(caplog) == [
        "POST /models/echo/unload by local from 127.0.0.1: 204 request=r2",
        "POST /evaluate by anybody from 127.0.0.1: 415 request=r3 refused_since_the_last=1",
    ]


async def test_whoever_is_refused_over_and_over_does_not_fill_the_log(
    make_app: MakeApp, bearing: Bearing, caplog: pytest.LogCaptureFixture
) -> None:
    async with bearing(make_app(FakeEngine()), "") as client:
        for _ in range(50):
            await client.post("/models/echo/unload", headers={"x-request-id": "r"})
    assert lines(caplog) == [
        "POST /models/echo/unload by anybody from 127.0.0.1: 401 request=r refused_since_the_last=1"
    ]


def test_how_many_were_refused_meanwhile_is_told_later(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    audit = Audit(clock=lambda: now)
    for _ in range(10):
        audit.note("DELETE", "/x", Who("192.0.2.1", address="192.0.2.1"), 403, "r")
    now = 60.0
    audit.note("DELETE", "/x", Who("192.0.2.1", address="192.0.2.1"), 403, "r")
    assert [line.rpartition("=")[2] for line in lines(caplog)] == ["1", "10"]


@pytest.mark.parametrize("status", [400, 404, 413, 415, 422, 499, 500])
def test_strangers_that_fail_or_hang_up_over_and_over_do_not_fill_the_log(
    caplog: pytest.LogCaptureFixture, status: int
) -> None:
    audit, stranger = Audit(clock=lambda: 0.0), Who("192.0.2.7", address="192.0.2.7")
    for _ in range(100):
        audit.note("POST", "/evaluate", stranger, status, "r1")
    assert len(lines(caplog)) == 1
    audit.note("POST", "/evaluate", stranger, 202, "r2")
    assert lines(caplog)[1:] == ["POST /evaluate by anybody from 192.0.2.7: 202 request=r2"]


async def test_no_caller_writes_a_line_of_its_own(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(FakeEngine())
    await Caller().ask(app, "DELETE", "/references/a\nINFO forged\x1b[2J", {"x-request-id": "r\u00e9\x07"})
    [line] = lines(caplog)
    assert line.isprintable()
    assert "\n" not in line
    caplog.clear()
    await Caller().ask(app, "DELETE", "/references/a by boss from 192.0.2.1: 204")
    assert lines(caplog)[0].startswith("DELETE /references/a%20by%20boss%20from%20192.0.2.1:%20204 by local from")
    caplog.clear()
    await Caller().ask(app, "DELETE", f"/references/{'x' * 5000}")
    assert len(lines(caplog)[0]) < 500


def test_lines_are_written_however_little_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "level", logging.ERROR)
    assert logging.getLogger("service.api.access.audit").getEffectiveLevel() == logging.INFO
