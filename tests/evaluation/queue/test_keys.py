import sqlite3
import time
from hashlib import sha256
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.errors import ConfigurationError
from service.evaluation.queue.database import KEYS, Database
from service.evaluation.queue.keys import Key, Keys, KeyScope, copy_of, read_copy, write_copy
from service.evaluation.queue.migrations import migrate
from service.settings import Settings


@pytest.fixture
def keys(empty_database: Database) -> Keys:
    migrate(empty_database)
    return Keys(empty_database)


def test_a_key_is_shown_once_and_only_its_hash_is_kept(keys: Keys, empty_database: Database) -> None:
    token = keys.create("ci", [KeyScope.EVALUATE, KeyScope.INFER], rate=2.5, concurrency=3, expires=time.time() + 60)
    assert token.startswith("ch_")
    assert len(token) > 40
    [key] = keys.all()
    assert (key.name, key.scopes, key.rate, key.concurrency) == ("ci", frozenset({"infer", "evaluate"}), 2.5, 3)
    assert key.digest == sha256(token.encode()).hexdigest()
    assert key.standing(time.time()) == "valid"
    with empty_database.reading() as connection:
        kept = str(connection.execute(sa.select(KEYS)).all())
    assert token not in kept
    assert token.removeprefix("ch_") not in kept


def test_a_key_is_in_no_file_of_the_state_directory(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    migrate(Database.of(settings))
    token = Keys.of(settings).create("ci", [KeyScope.ADMIN]).encode()
    write_copy(copy_of(settings), Keys.of(settings).all())
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and token[3:] in path.read_bytes()]


def test_every_key_is_another(keys: Keys) -> None:
    assert len({keys.create(f"k{number}", [KeyScope.INFER]) for number in range(20)}) == 20


def test_a_key_expires_and_is_revoked_for_good(keys: Keys) -> None:
    keys.create("ci", [KeyScope.INFER], expires=1000.0)
    [key] = keys.all()
    assert (key.standing(999.9), key.standing(1000.0)) == ("valid", "expired")
    keys.revoke("ci")
    [key] = keys.all()
    assert key.standing(0.0) == "revoked"
    revoked = key.revoked
    keys.revoke("ci")
    assert keys.all()[0].revoked == revoked
    keys.forget("ci")
    assert keys.all() == []


def test_a_valid_key_keeps_its_name_to_itself_and_leaves_it_to_the_next(keys: Keys) -> None:
    first = keys.create("ci", [KeyScope.INFER])
    with pytest.raises(ConfigurationError, match="There is a key 'ci' already"):
        keys.create("ci", [KeyScope.ADMIN])
    keys.revoke("ci")
    assert keys.create("ci", [KeyScope.ADMIN]) != first
    [key] = keys.all()
    assert (key.scopes, key.standing(time.time())) == (frozenset({"admin"}), "valid")


@pytest.mark.parametrize(
    "name", ["", "192.0.2.7", "::1", "7up", "a b", "a,b", "a\nb", "local", "x" * 64, "'; DROP TABLE keys; --"]
)
def test_a_name_that_reads_like_something_else_is_refused(keys: Keys, name: str) -> None:
    with pytest.raises(ConfigurationError, match="A key cannot be called"):
        keys.create(name, [KeyScope.INFER])


def test_what_is_no_key_cannot_be_revoked(keys: Keys) -> None:
    for change in (keys.revoke, keys.forget):
        with pytest.raises(ConfigurationError, match="There is no key 'nobody'"):
            change("nobody")


def test_the_copy_is_what_was_copied_and_nobody_elses_to_read(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    assert read_copy(path) is None
    kept = [Key("ci", "00", frozenset({"infer"}), 1.0, rate=2.0), Key("old", "11", frozenset({"admin"}), 1.0, 2.0, 3.0)]
    write_copy(path, kept)
    assert read_copy(path) == kept
    assert path.stat().st_mode & 0o777 == 0o600
    for damaged in (b"", b"{}", b"[1]", b'[{"name": "ci"}]'):
        path.write_bytes(damaged)
        assert not read_copy(path)


def test_a_state_directory_from_before_keys_opens_and_keeps_its_evaluations(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    database = Database.of(settings)
    migrate(database)
    with sqlite3.connect(settings.database) as old:
        old.executescript(
            "DROP TABLE keys; DROP TABLE homes; ALTER TABLE evaluations DROP COLUMN key; ALTER TABLE evaluations DROP "
            "COLUMN storage; ALTER TABLE evaluations DROP COLUMN figures_bytes; "
            "UPDATE alembic_version SET version_num = '0003'"
        )
    old.close()
    assert migrate(database) == ["0004", "0005", "0006"]
    assert Keys(database).all() == []
