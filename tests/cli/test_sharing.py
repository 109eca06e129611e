import shutil
from pathlib import Path

import pytest
from cli.conftest import Run
from doubles import add_card

from service.settings import Settings
from service.store import ModelStore
from service.versions import FILE, Aliases


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


def test_labels_that_many_models_share_come_along(
    run: Run, local_settings: Settings, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = local_settings.shipped_models_dir / "echo"
    manifest = folder / "model.toml"
    manifest.write_text(manifest.read_text().replace('labels = ["a", "b", "c", "d"]', 'labels = "letters"'))
    refused = run("models", "push", "echo")
    assert (refused.exit_code, "letters.txt" in refused.output) == (2, True)
    assert not (shared / "models").exists()
    (folder.parent / "labels").mkdir()
    (folder.parent / "labels" / "letters.txt").write_text("e\nf\ng\nh\n")
    assert run("models", "push", "echo").exit_code == 0
    monkeypatch.setenv("CHAPTERHOUSE_STATE_DIR", str(tmp_path / "elsewhere"))
    assert run("models", "pull").output.startswith("echo  ")
    store = ModelStore(tmp_path / "elsewhere" / "models")
    assert store.get("echo").manifest.labels == ("e", "f", "g", "h")
    assert "has all that" in run("models", "pull").output


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


@pytest.fixture
def own(local_settings: Settings) -> Path:
    """The folder of the model `own`, which comes in the versions `one` and `two`."""
    folder = local_settings.added_models_dir / "own"
    for version in ("one", "two"):
        shutil.copytree(local_settings.shipped_models_dir / "echo", folder / version)
        add_card(folder / version)
    names = {"stable": {"version": "one"}, "canary": {"version": "two", "share": 0.1}}
    Aliases.model_validate(names).write(folder / FILE)
    return folder


@pytest.mark.usefixtures("shared", "own")
def test_versions_go_together_and_their_names_with_them(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = run("models", "push", "own")
    assert (sent.exit_code, "canary is two, stable is one" in sent.output) == (0, True)
    monkeypatch.setenv("CHAPTERHOUSE_STATE_DIR", str(tmp_path / "elsewhere"))
    brought = run("models", "pull")
    assert (brought.exit_code, len(brought.output.splitlines())) == (0, 3)
    store = ModelStore(tmp_path / "elsewhere" / "models")
    assert store.each() == ["own@one", "own@two"]
    assert [store.get("own", version=name).id for name in ("stable", "canary")] == ["own@one", "own@two"]
    assert "has all that" in run("models", "pull").output


@pytest.mark.usefixtures("shared")
def test_a_new_version_and_what_is_stable_now_come_with_the_next_pull(
    run: Run, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("models", "push", "own")
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("CHAPTERHOUSE_STATE_DIR", str(tmp_path / "elsewhere"))
        run("models", "pull")
    shutil.copytree(own / "two", own / "three")
    run("models", "alias", "own", "stable", "three")
    run("models", "push", "own")
    monkeypatch.setenv("CHAPTERHOUSE_STATE_DIR", str(tmp_path / "elsewhere"))
    lines = run("models", "pull").output.splitlines()
    assert [line.partition("  ")[2].partition(" in ")[0] for line in lines] == [
        "three is",
        "canary is two, stable is three",
    ]


@pytest.mark.usefixtures("shared")
def test_a_version_that_is_another_here_is_not_replaced(
    run: Run, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("models", "push", "own")
    shutil.copytree(own, tmp_path / "elsewhere" / "models" / "own")
    changed = tmp_path / "elsewhere" / "models" / "own" / "two" / "model.toml"
    changed.write_text(changed.read_text() + "\n# mine\n")
    monkeypatch.setenv("CHAPTERHOUSE_STATE_DIR", str(tmp_path / "elsewhere"))
    refused = run("models", "pull")
    assert (refused.exit_code, "has a version two here that is not the one" in refused.output) == (2, True)
    assert changed.read_text().endswith("# mine\n")


@pytest.mark.usefixtures("own")
def test_what_is_named_by_what_does_not_come_is_refused(run: Run, shared: Path) -> None:
    assert "models push own." in run("models", "push", "own@one").output
    run("models", "push", "own")
    (shared / "models" / "own" / FILE).write_text('[stable]\nversion = "four"\n')
    refused = run("models", "pull")
    assert (refused.exit_code, "mean four, not there" in refused.output) == (2, True)


def test_a_model_in_versions_and_one_in_none_do_not_take_each_others_place(
    run: Run, own: Path, local_settings: Settings, shared: Path
) -> None:
    shutil.copytree(own / "one", shared / "models" / "own")
    refused = run("models", "pull")
    assert (refused.exit_code, "comes in versions here" in refused.output) == (2, True)
    shutil.rmtree(shared / "models" / "own")
    run("models", "push", "own")
    shutil.rmtree(own)
    shutil.copytree(shared / "models" / "own" / "one", local_settings.added_models_dir / "own")
    refused = run("models", "push", "own")
    assert (refused.exit_code, "would be hidden" in refused.output) == (2, True)
