from pathlib import Path

import pytest
from pydantic import ValidationError

from service.errors import ConfigurationError
from service.settings import Settings, read_settings, share_metrics


def test_every_setting_is_read_from_the_environment_and_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAPTERHOUSE_PORT", "9000")
    monkeypatch.setenv("CHAPTERHOUSE_PRELOAD", "a, b,,")
    monkeypatch.setenv("CHAPTERHOUSE_STATE_DIR", "~/elsewhere")
    settings = Settings()
    assert settings.port == 9000
    assert settings.preload == ("a", "b")
    assert settings.state == Path.home() / "elsewhere"
    assert all(field.description for field in Settings.model_fields.values())


def test_what_is_wanted_is_the_defaults_and_what_is_preloaded() -> None:
    settings = Settings(default_classifier="a", default_generator="b", preload=("c",))
    assert settings.wanted_models == ("a", "b", "c")


def test_every_default_model_has_a_task_by_which_it_is_checked() -> None:
    settings = Settings(default_classifier="a", default_generator="b", default_forecaster="c")
    named = {name: getattr(settings, name) for name in Settings.model_fields if name.startswith("default_")}
    assert {setting: model for setting, model, _ in settings.default_models} == named
    assert len({task for _, _, task in settings.default_models}) == len(named)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1  # type: ignore[misc]


def test_the_shipped_models_are_the_checkouts_unless_said_otherwise(tmp_path: Path) -> None:
    assert Settings().shipped_models_dir.name == "models_store"
    assert Settings(models_dir=tmp_path).shipped_models_dir == tmp_path


def test_threads_are_what_is_set_or_what_the_fronts_leave() -> None:
    assert Settings(threads=3).engine_threads == 3
    assert Settings(fronts=256).engine_threads == 1


def test_a_setting_that_cannot_be_is_named_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAPTERHOUSE_PORT", "http")
    with pytest.raises(ConfigurationError, match=r"^CHAPTERHOUSE_PORT: Input should be a valid integer.*\.$"):
        read_settings()
    assert read_settings(port=1).port == 1
    with pytest.raises(ConfigurationError, match="CHAPTERHOUSE_FRONTS"):
        read_settings(port=1, fronts=0)


def test_metrics_of_an_earlier_run_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "restored after the test")
    (tmp_path / "counter_1.db").write_bytes(b"stale")
    share_metrics(tmp_path)
    assert list(tmp_path.iterdir()) == []
