from pathlib import Path

import pytest
from cli.conftest import Run
from doubles import add_card

from service.settings import Settings
from service.store import ModelStore


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHAPTERHOUSE_STORAGE_URL", f"file://{tmp_path}/shared")
    return tmp_path / "shared"


def test_a_model_that_one_service_sends_another_brings_whole_and_once(
    run: Run, local_settings: Settings, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_card(local_settings.shipped_models_dir / "echo")
    sent = run("models", "push", "echo")
    assert (sent.exit_code, f"is in file://{shared}" in sent.output) == (0, True)
    monkeypatch.setenv("CHAPTERHOUSE_STATE_DIR", str(tmp_path / "elsewhere"))
    assert run("models", "pull").output.startswith("echo  ")
    brought = tmp_path / "elsewhere" / "models" / "echo"
    assert ModelStore(brought.parent).get("echo").version == ModelStore.of(local_settings).get("echo").version
    assert sorted(file.name for file in brought.iterdir()) == sorted(
        file.name for file in (shared / "models" / "echo").iterdir()
    )
    assert "has all that" in run("models", "pull").output
    (brought / "card.json").unlink()
    assert run("models", "pull").output.startswith("echo  ")
    assert [folder.name for folder in brought.parent.iterdir()] == ["echo"]


def test_a_model_that_is_only_half_there_is_not_brought(
    run: Run, local_settings: Settings, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_card(local_settings.shipped_models_dir / "echo")
    run("models", "push", "echo")
    (shared / "models" / "echo" / "weights.safetensors").write_bytes(b"others")
    monkeypatch.setenv("CHAPTERHOUSE_STATE_DIR", str(tmp_path / "elsewhere"))
    refused = run("models", "pull")
    assert (refused.exit_code, "the weights are not those that it describes" in refused.output) == (2, True)
    assert list((tmp_path / "elsewhere" / "models").iterdir()) == []


def test_without_a_shared_storage_there_is_nowhere_to_send_to(run: Run) -> None:
    refused = run("models", "pull")
    assert (refused.exit_code, "CHAPTERHOUSE_STORAGE_URL is not set" in refused.output) == (2, True)
