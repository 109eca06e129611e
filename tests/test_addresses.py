"""No password that stands in an address is told: not in a log, not on a terminal, not over HTTP."""

import logging
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from service.addresses import is_loopback, without_secrets
from service.cli import app
from service.client.blocking import Client
from service.datasets.fetch import download
from service.errors import ConfigurationError, ServiceError, ServiceUnreachable
from service.evaluation.queue.database import Database
from service.settings import Settings
from service.telemetry.logs import configure_logging

SECRET = "s3cret"
ADDRESSES = [
    f"postgresql://me:{SECRET}@db.example/house",
    f"postgresql+psycopg://me:{SECRET}@[::1]:5432/house?sslmode=require",
    f"http://me:{SECRET}@proxy.example:3128",
    f"https://{SECRET}@example.org/path",
    f"http://me:{SECRET}@more@example.org",
    f"http:/me:{SECRET}@example.org",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_told_without_its_password(address: str) -> None:
    told = without_secrets(f"Cannot reach {address!r}: refused.")
    assert SECRET not in told
    assert told.startswith("Cannot reach '")
    assert told.endswith("refused.")
    assert address.rpartition("@")[2] in told


@pytest.mark.parametrize("text", ["", "a@b.example", "http://example.org/a@b", "https://example.org/?mail=a@b.example"])
def test_what_holds_none_stays_as_it_is(text: str) -> None:
    assert without_secrets(text) == text


def test_a_log_tells_none_also_of_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger().handlers[:]
    configure_logging("front", "info")
    try:
        try:
            Path(f"cannot reach {ADDRESSES[0]}").read_bytes()
        except OSError:
            logging.getLogger("x").exception("failed at %s", ADDRESSES[2])
    finally:
        logging.getLogger().handlers[:] = before
    told = capsys.readouterr().err
    assert SECRET not in told
    assert "failed at http://…@proxy.example:3128" in told
    assert "cannot reach postgresql:/…@db.example/house" in told


def test_a_problem_tells_none() -> None:
    assert SECRET not in str(ServiceError(f"{ADDRESSES[0]} is away").problem())


@pytest.mark.parametrize(
    "url",
    [f"nosuch://me:{SECRET}@db/house", f"postgresql://me:x@db:{SECRET}/h"],
)
def test_a_database_that_is_none_is_refused_without_its_password(url: str) -> None:
    settings = Settings(database_url=url)
    with pytest.raises(ConfigurationError, match="CHAPTERHOUSE_DATABASE_URL") as refused:
        Database.of(settings)
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None
    assert SECRET not in repr(settings)


def ask(address: str) -> None:
    with Client(address, retries=0) as client:
        client.models()


@pytest.mark.parametrize(
    "address", [f"http://me:{SECRET}@127.0.0.1:9", f"http://me:{SECRET}/x@127.0.0.1:9", f"ftp://me:{SECRET}@x"]
)
def test_a_service_that_does_not_answer_is_told_without_its_password(address: str) -> None:
    with pytest.raises(ServiceUnreachable) as refused:
        ask(address)
    assert SECRET not in str(refused.value)
    result = CliRunner().invoke(app, ["generate", "gan-mnist", "--server", address, "--output", "x.npz"])
    assert result.exit_code == 2
    assert SECRET not in result.output


def fetch() -> None:
    download("http://127.0.0.1:9/x", Settings().data / "x", check=lambda _: None)


@pytest.mark.parametrize(
    "proxy", [f"htp://me:{SECRET}@proxy:1", f"http://me:{SECRET}/x@proxy:1", f"http://me:x@proxy:{SECRET}"]
)
@pytest.mark.parametrize("use", [lambda: ask("http://192.0.2.1:9"), fetch])
def test_a_proxy_that_is_none_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, proxy: str, use: Callable[[], None]
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(ConfigurationError, match="does not hold the address of a proxy") as refused:
        use()
    assert SECRET not in str(refused.value)


def test_a_client_does_not_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAPTERHOUSE_TOKEN", SECRET)
    with Client(ADDRESSES[2]) as client:
        assert SECRET not in repr(client)
    assert SECRET not in repr(Settings())
    assert httpx.URL(ADDRESSES[2]).password == SECRET


@pytest.mark.parametrize(("host", "so"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)])
def test_loopback_is_this_machine_and_nothing_else(host: str, so: bool) -> None:  # noqa: FBT001
    assert is_loopback(host) == so
    assert not is_loopback("::")
    assert not is_loopback("192.0.2.1")
