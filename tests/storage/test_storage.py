import os
from pathlib import Path
from typing import ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from service.errors import ConfigurationError, StorageUnavailable
from service.settings import Settings
from service.storage import objects as module
from service.storage.folder import Folder
from service.storage.objects import Objects
from service.storage.opening import open_storage, shared_name
from service.storage.storage import PIECE_BYTES, Storage


class Stumbling(MemoryFileSystem):  # type: ignore[misc] # it has no types
    """A store of objects that fails so many times, and counts how often it was asked."""

    protocol = "stumbling"
    store: ClassVar[dict[str, object]] = {}
    failures = 0
    asked = 0

    def pipe_file(self, *arguments: object, **options: object) -> None:
        Stumbling.asked += 1
        if Stumbling.failures > 0:
            Stumbling.failures -= 1
            raise ConnectionResetError("the store hung up")
        super().pipe_file(*arguments, **options)


@pytest.fixture(params=["folder", "objects"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return Folder(tmp_path / "shared")
    MemoryFileSystem.store.clear()
    return Objects("memory://bucket/chapterhouse", name="memory://bucket/chapterhouse")


def test_what_was_put_is_there_until_it_is_deleted(storage: Storage, tmp_path: Path) -> None:
    large = os.urandom(PIECE_BYTES + 1000)
    (tmp_path / "large").write_bytes(large)
    storage.put("uploads/a/generated", tmp_path / "large")
    storage.write("uploads/a/reference", b"real")
    storage.write("uploads/ab/generated", b"another")
    assert storage.get("uploads/a/generated") == large
    pieces = list(storage.stream("uploads/a/generated"))
    assert [len(piece) for piece in pieces] == [PIECE_BYTES, 1000]
    assert b"".join(pieces) == large
    assert {entry.key: entry.size_bytes for entry in storage.list("uploads/a")} == {
        "uploads/a/generated": len(large),
        "uploads/a/reference": 4,
    }
    assert all(entry.modified > 1e9 for entry in storage.list("uploads"))
    storage.delete("uploads/a")
    storage.delete("uploads/a")
    assert [entry.key for entry in storage.list("uploads")] == ["uploads/ab/generated"]
    storage.delete("uploads/ab/generated")
    assert list(storage.list("uploads")) == []


def test_what_was_never_put_is_not_found(storage: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        storage.get("reports/a/figures")
    with pytest.raises(FileNotFoundError):
        list(storage.stream("reports/a/figures"))
    assert storage.version("reports/a/figures") is None
    assert list(storage.list("reports")) == []


def test_another_file_is_another_version(storage: Storage) -> None:
    storage.write("references/real.safetensors", b"one")
    first = storage.version("references/real.safetensors")
    assert storage.version("references/real.safetensors") == first
    storage.write("references/real.safetensors", b"another")
    assert storage.version("references/real.safetensors") not in (first, None)


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../state", "a/../b", "a//b", ".hidden", "a/.b", "a b"])
def test_no_key_leads_elsewhere(storage: Storage, key: str) -> None:
    for ask in (storage.get, storage.version, storage.delete, lambda found: list(storage.list(found))):
        with pytest.raises(ValueError, match="is no key of a storage"):
            ask(key)


def test_what_cannot_be_read_is_not_put(storage: Storage, tmp_path: Path) -> None:
    storage.write("uploads/a/generated", b"old")
    with pytest.raises((OSError, StorageUnavailable)):
        storage.put("uploads/a/generated", tmp_path / "nothing")
    assert storage.get("uploads/a/generated") == b"old"


def test_a_store_that_stumbles_is_asked_again_and_one_that_is_away_is_said_to_be(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fsspec.register_implementation("stumbling", Stumbling, clobber=True)
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    Stumbling.failures, Stumbling.asked = 2, 0
    patient = Objects("stumbling://bucket", name="stumbling://bucket", patience_s=60.0)
    patient.write("a", b"kept")
    assert (patient.get("a"), Stumbling.asked) == (b"kept", 3)
    Stumbling.failures = 1
    with pytest.raises(StorageUnavailable) as raised:
        Objects("stumbling://bucket", name="stumbling://bucket").write("a", b"lost")
    assert (raised.value.status, raised.value.retry_after_s) == (503, 2)
    assert patient.get("a") == b"kept"
    assert "the storage stumbling://bucket does not answer: ConnectionResetError: the store hung up" in caplog.text


def test_services_know_by_the_address_that_they_share_a_storage() -> None:
    assert shared_name("") == ""
    assert shared_name("file:///mnt/shared/") == "file:///mnt/shared"
    assert shared_name("memory://bucket/x/") == "memory://bucket/x"


@pytest.mark.parametrize("url", ["ftp://host/x", "s3://", "/mnt/shared", "s3://key:secret@bucket/x"])
def test_an_address_that_is_none_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match="CHAPTERHOUSE_STORAGE_URL: write s3://BUCKET") as raised:
        shared_name(url)
    assert "secret" not in str(raised.value)


def test_a_store_whose_package_is_missing_names_it() -> None:
    with pytest.raises(ConfigurationError, match=r"gs:// needs `pip install 'chapterhouse\[gcs\]'`"):
        shared_name("gs://bucket/x")


def test_the_setting_says_which_storage_it_is(tmp_path: Path) -> None:
    own = open_storage(Settings(state_dir=tmp_path))
    own.write("reports/a/figures", b"x")
    assert (own.name, (tmp_path / "reports" / "a" / "figures").read_bytes()) == ("", b"x")
    shared = open_storage(Settings(state_dir=tmp_path, storage_url=f"file://{tmp_path}/shared"))
    shared.write("reports/b/figures", b"y")
    assert (shared.name, (tmp_path / "shared/reports/b/figures").read_bytes()) == (f"file://{tmp_path}/shared", b"y")
    assert open_storage(Settings(state_dir=tmp_path, storage_url="memory://bucket/x")).name == "memory://bucket/x"
