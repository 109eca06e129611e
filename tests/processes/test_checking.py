import socket
import sys
from pathlib import Path

import pytest
from doubles import add_card, add_forecaster
from typer.testing import CliRunner

from service.cli import app
from service.processes.checking import check, plan_of
from service.settings import Settings
from service.store import ModelStore


@pytest.fixture
def settings(service_settings: Settings) -> Settings:
    add_forecaster(service_settings.shipped_models_dir)
    return service_settings.model_copy(update={"port": 0, "default_forecaster": "murmur"})


def test_nothing_prevents_a_service_that_would_start(settings: Settings) -> None:
    assert prevents(settings) == []


def prevents(settings: Settings) -> list[str]:
    return [finding.words for finding in check(settings) if finding.prevents]


def doubts(settings: Settings) -> list[str]:
    return [finding.words for finding in check(settings) if not finding.prevents]


def test_what_would_run_is_said_a_line_each(settings: Settings) -> None:
    plan = dict(line.split(maxsplit=1) for line in plan_of(settings.model_copy(update={"fronts": 3})))
    assert plan["fronts"].startswith("3, ")
    assert plan["engines"].startswith("1: cpu")
    assert plan["state"] == str(settings.state)
    assert plan["traces"] == "none"


def test_no_password_is_said(settings: Settings) -> None:
    urls = {
        "traces_url": "http://me:s3cret@traces.example/v1",
        "database_url": "postgresql://me:s3@cret@db.example/house",
    }
    plan = dict(line.split(maxsplit=1) for line in plan_of(settings.model_copy(update=urls)))
    assert plan["traces"] == "http://…@traces.example/v1"
    assert plan["database"].endswith("://…@db.example/house")


def test_a_port_that_is_taken_is_found(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert any(
            f"Cannot listen on 127.0.0.1:{port}" in words
            for words in prevents(settings.model_copy(update={"port": port}))
        )


def test_a_default_model_that_is_not_there_is_found(settings: Settings) -> None:
    found = prevents(settings.model_copy(update={"default_classifier": "nothing"}))
    assert any(words.startswith("CHAPTERHOUSE_DEFAULT_CLASSIFIER:") for words in found)


def test_weights_that_are_not_those_of_their_card_or_missing_are_found(settings: Settings) -> None:
    model = ModelStore.of(settings).get(settings.default_classifier)
    add_card(model.folder, sha256="0" * 64)
    assert "not those of its card" in " ".join(doubts(settings))
    model.weights.unlink()
    assert any("weights" in words for words in prevents(settings))


def test_a_shared_storage_is_said_and_checked(settings: Settings, tmp_path: Path) -> None:
    shared = settings.model_copy(update={"storage_url": f"file://{tmp_path}/shared"})
    assert f"storage      {shared.storage_url}" in plan_of(shared)
    assert prevents(shared) == []
    (tmp_path / "shared").write_text("")
    assert any(words.startswith("CHAPTERHOUSE_STORAGE_URL: cannot write") for words in prevents(shared))
    nowhere = settings.model_copy(update={"storage_url": "ftp://nowhere/folder"})
    assert any(words.startswith("CHAPTERHOUSE_STORAGE_URL: write") for words in prevents(nowhere))


def test_what_another_package_would_have_to_bring_is_found(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc_health", None)
    assert any("chapterhouse[grpc]" in words for words in prevents(settings.model_copy(update={"grpc_port": 0})))


def test_a_card_that_is_named_where_no_driver_is_is_a_doubt(settings: Settings, tmp_path: Path) -> None:
    named = settings.model_copy(update={"devices": "cuda:0,cpu"})
    assert any("names cuda:0, and nothing here" in finding.words for finding in check(named, root=tmp_path))
    assert doubts(settings) == []


def test_a_state_directory_that_is_a_file_is_found(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = prevents(settings.model_copy(update={"state_dir": tmp_path / "file" / "state"}))
    assert any(words.startswith("CHAPTERHOUSE_STATE_DIR: cannot write") for words in found)


def test_a_damaged_database_is_told_with_the_way_out(settings: Settings) -> None:
    settings.state.mkdir(parents=True, exist_ok=True)
    settings.database.write_bytes(b"no database at all" * 1000)
    words = " ".join(finding.words for finding in check(settings))
    assert "chapterhouse state restore" in words


def test_a_service_open_to_everybody_is_a_doubt(settings: Settings) -> None:
    found = doubts(settings.model_copy(update={"host": "0.0.0.0"}))
    assert any(words.startswith("OPEN TO EVERYBODY") for words in found)


def test_nothing_is_started_and_nothing_written(settings: Settings, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    list(check(settings.model_copy(update={"state_dir": fresh})))
    assert not fresh.exists()
    assert not list(tmp_path.glob(".chapterhouse-check"))


def test_the_command_prints_both_and_says_whether_it_would_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("models_dir", "state_dir", "default_classifier", "default_generator", "default_forecaster"):
        monkeypatch.setenv(f"CHAPTERHOUSE_{name.upper()}", str(getattr(settings, name)))
    well = CliRunner().invoke(app, ["serve", "--check", "--port", "0"])
    assert well.exit_code == 0, well.output
    assert "fronts" in well.stdout
    assert well.stdout.endswith("The service would start.\n")
    monkeypatch.setenv("CHAPTERHOUSE_DEFAULT_GENERATOR", "nothing")
    ill = CliRunner().invoke(app, ["serve", "--check", "--port", "0"])
    assert ill.exit_code == 2
    assert "WRONG" in ill.stdout
