import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import PATIENCE_S, eventually

from service.api.access import keyring as times
from service.api.access.keyring import Keyring
from service.errors import DatabaseUnavailable
from service.evaluation.queue.database import Database
from service.evaluation.queue.keys import Key, Keys, KeyScope
from service.evaluation.queue.migrations import migrate
from service.settings import Settings

REQUESTS_WAIT_S = times.PATIENCE_S


class Table(Keys):
    """The table of keys, which can be away, or hang until it is let go; counts how often it was read."""

    is_away = False
    hangs = False
    reads = 0

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.let_go = threading.Event()

    def all(self) -> list[Key]:
        self.reads += 1
        if self.hangs:
            assert self.let_go.wait(PATIENCE_S)
        if self.is_away:
            raise DatabaseUnavailable("It is away.")
        return super().all()


class Clock:
    """A clock that stands still until it is put forward."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def unhurried_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for keys waits until they are read, however slow the machine is."""
    monkeypatch.setattr(times, "PATIENCE_S", PATIENCE_S)


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    database = Database.of(Settings(state_dir=tmp_path))
    migrate(database)
    table = Table(database)
    yield table
    table.let_go.set()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keyring(table: Table, clock: Clock, tmp_path: Path) -> Keyring:
    return Keyring(table, tmp_path / "keys.json", clock=clock)


async def look(keyring: Keyring) -> None:
    """What the guard does at every request."""
    if keyring.is_due():
        await keyring.read_again()


async def settle(keyring: Keyring) -> None:
    """Wait until nothing is being read."""
    await eventually(lambda: keyring._reading is None)


async def test_a_key_is_found_by_itself_and_by_nothing_else(keyring: Keyring, table: Table) -> None:
    token = table.create("ci", [KeyScope.INFER])
    await look(keyring)
    found = keyring.find(token.encode())
    assert found is not None
    assert found.name == "ci"
    for other in (token[:-1], f"{token}x", token.upper(), found.digest, "", "ci"):
        assert keyring.find(other.encode()) is None


async def test_keys_are_checked_from_memory(keyring: Keyring, table: Table, clock: Clock) -> None:
    for _ in range(100):
        await look(keyring)
    assert table.reads == 1
    clock.now += times.READ_EVERY_S
    await look(keyring)
    await settle(keyring)
    assert table.reads == 2


async def test_who_asks_while_keys_are_read_that_are_believed_still_goes_on_at_once(
    keyring: Keyring, table: Table, clock: Clock
) -> None:
    await look(keyring)
    table.hangs = True
    clock.now += times.READ_EVERY_S
    assert keyring.is_due()
    await look(keyring)
    assert not keyring.is_due()
    clock.now += times.TRUST_S
    assert keyring.is_due()  # what is known is too old now
    table.let_go.set()
    await settle(keyring)
    assert not keyring.is_due()


async def test_a_revocation_holds_before_five_seconds_are_over(keyring: Keyring, table: Table, clock: Clock) -> None:
    token = table.create("ci", [KeyScope.INFER]).encode()
    await look(keyring)
    table.revoke("ci")
    assert times.TRUST_S + REQUESTS_WAIT_S <= 5
    clock.now += times.TRUST_S + 0.001
    await look(keyring)
    assert keyring.find(token) is None
    assert not keyring.is_empty  # a service whose only key was revoked is not open to everybody


async def test_a_key_is_no_longer_found_once_it_has_expired(keyring: Keyring, table: Table) -> None:
    old, new = (table.create(name, [KeyScope.INFER], expires=at) for name, at in (("old", 1.0), ("new", 1e12)))
    await look(keyring)
    assert keyring.find(old.encode()) is None
    assert keyring.find(new.encode()) is not None


async def test_known_keys_go_on_working_while_the_database_is_away(
    keyring: Keyring, table: Table, clock: Clock
) -> None:
    token = table.create("ci", [KeyScope.INFER]).encode()
    await look(keyring)
    table.is_away = True
    for _ in range(20):
        clock.now += times.TRUST_S
        await look(keyring)
        assert keyring.find(token) is not None
        await settle(keyring)
    table.is_away = False
    table.revoke("ci")
    clock.now += times.TRUST_S + times.READ_EVERY_S
    await look(keyring)
    assert keyring.find(token) is None


async def test_a_database_that_hangs_is_waited_for_once_and_then_no_more(
    keyring: Keyring, table: Table, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = table.create("ci", [KeyScope.INFER]).encode()
    await look(keyring)
    monkeypatch.setattr(times, "PATIENCE_S", 0.01)
    table.hangs = True
    for _ in range(20):
        clock.now += times.TRUST_S + 0.001
        await asyncio.wait_for(look(keyring), PATIENCE_S)
        assert keyring.find(token) is not None
    assert table.reads == 2  # the second has not come back
    table.let_go.set()


async def test_many_that_come_at_once_read_once(keyring: Keyring, table: Table) -> None:
    await asyncio.gather(*(look(keyring) for _ in range(50)))
    assert table.reads == 1


async def test_a_front_that_starts_while_the_database_is_away_goes_by_the_copy(
    keyring: Keyring, table: Table, tmp_path: Path
) -> None:
    token = table.create("ci", [KeyScope.INFER]).encode()
    await look(keyring)
    table.is_away = True
    next_one = Keyring(table, tmp_path / "keys.json")
    await look(next_one)
    assert next_one.find(token) is not None


async def test_a_front_that_starts_while_the_database_hangs_goes_by_the_copy_too(
    keyring: Keyring, table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = table.create("ci", [KeyScope.INFER]).encode()
    await look(keyring)
    monkeypatch.setattr(times, "PATIENCE_S", 0.01)
    table.hangs = True
    next_one = Keyring(table, tmp_path / "keys.json")
    await asyncio.wait_for(look(next_one), PATIENCE_S)
    assert next_one.find(token) is not None
    table.let_go.set()
    await settle(next_one)


async def test_where_nothing_is_known_nobody_gets_in(keyring: Keyring, table: Table) -> None:
    table.is_away = True
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable):
            await look(keyring)
    table.is_away = False
    await keyring.read_again()
    assert keyring.is_empty


async def test_where_the_database_is_its_own_and_no_copy_lies_there_are_no_keys(table: Table, tmp_path: Path) -> None:
    table.is_away = True
    copy = tmp_path / "keys.json"
    own = Keyring(table, copy, is_own=True)
    await look(own)
    assert own.is_empty
    copy.write_bytes(b"damaged")
    with pytest.raises(DatabaseUnavailable):
        await look(Keyring(table, copy, is_own=True))


async def test_a_copy_that_cannot_be_written_stops_nobody(table: Table, tmp_path: Path) -> None:
    keyring = Keyring(table, tmp_path / "no" / "such" / "folder")
    token = table.create("ci", [KeyScope.INFER]).encode()
    await look(keyring)
    assert keyring.find(token) is not None
