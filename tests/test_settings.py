import pwd
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.environment import share_metrics
from service.errors import ConfigurationError
from service.settings import Settings, doubts_about_environment, read_settings


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


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TRUSTED_PROXIES", "10.0.0.0/8,nginx", "'nginx' does not appear to be an IPv4 or IPv6 network"),
        ("CORS_ORIGINS", "https://app.example/", "write an origin as https://example.org, without a path"),
        ("CORS_ORIGINS", "app.example", "write an origin as https://example.org"),
        ("ROOT_PATH", "chapterhouse", "write a prefix as /one or /one/two"),
        ("ROOT_PATH", "/a/../b", "write a prefix as /one"),
        ("ROOT_PATH", "//evil.example", "write a prefix as /one"),
        ("GRPC_PORT", "8000", "HTTP listens on this port; take another one"),
    ],
)
def test_what_says_who_may_do_what_is_checked_at_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(f"CHAPTERHOUSE_{name}", value)
    with pytest.raises(ConfigurationError, match=f"CHAPTERHOUSE_{name}: .*{words}"):
        read_settings()


def test_proxies_origins_and_a_prefix_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "TRUSTED_PROXIES": "10.0.0.0/8, ::1",
        "CORS_ORIGINS": "https://App.example, http://[::1]:3000",
        "ALLOWED_HOSTS": "house.example,other.example:8000",
        "ROOT_PATH": "/one/two/",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"CHAPTERHOUSE_{name}", value)
    settings = read_settings()
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1")
    assert settings.cors_origins == ("https://app.example", "http://[::1]:3000")
    assert settings.allowed_hosts == ("house.example", "other.example:8000")
    assert settings.root_path == "/one/two"


@pytest.mark.parametrize("setting", ["state", "data", "added_models_dir"])
def test_without_a_home_directory_the_setting_that_needs_one_is_named(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(
        ConfigurationError, match=r"CHAPTERHOUSE_(STATE|DATA)_DIR: ~/\S+ begins at a home directory, and"
    ):
        getattr(Settings(), setting)
    assert Settings(state_dir=Path("/state"), data_dir=Path("/data")).state == Path("/state")


def test_a_variable_that_is_misspelt_is_named_with_the_nearest_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doubts_about_environment() == ()
    monkeypatch.setenv("CHAPTERHOUSE_STAET_DIR", "/x")
    monkeypatch.setenv("CHAPTERHOUSE_ZZZ", "1")
    monkeypatch.setenv("chapterhouse_fronts", "1")
    assert doubts_about_environment() == (
        "CHAPTERHOUSE_STAET_DIR is no setting and is passed over; did you mean CHAPTERHOUSE_STATE_DIR?",
        "CHAPTERHOUSE_ZZZ is no setting and is passed over.",
    )


def test_what_kubernetes_says_of_a_service_of_our_name_is_passed_over_and_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of_kubernetes = {
        "CHAPTERHOUSE_SERVICE_HOST": "10.0.0.7",
        "CHAPTERHOUSE_SERVICE_PORT": "80",
        "CHAPTERHOUSE_SERVICE_PORT_HTTP": "80",
        "CHAPTERHOUSE_PORT": "tcp://10.0.0.7:80",
        "CHAPTERHOUSE_PORT_80_TCP": "tcp://10.0.0.7:80",
        "CHAPTERHOUSE_PORT_80_TCP_PROTO": "tcp",
        "CHAPTERHOUSE_PORT_80_TCP_PORT": "80",
        "CHAPTERHOUSE_PORT_80_TCP_ADDR": "10.0.0.7",
        "CHAPTERHOUSE_API_PORT": "tcp://10.0.0.8:80",
        "CHAPTERHOUSE_API_SERVICE_HOST": "10.0.0.8",
        "CHAPTERHOUSE_GRPC_PORT": "tcp://10.0.0.9:8001",
    }
    for name, value in of_kubernetes.items():
        monkeypatch.setenv(name, value)
    assert (read_settings().port, read_settings().grpc_port) == (8000, None)
    [doubt] = doubts_about_environment()
    assert doubt.startswith("CHAPTERHOUSE_API_PORT (10 more like it) is what Kubernetes says of a Service, no setting")
    monkeypatch.setenv("CHAPTERHOUSE_PORT", "9000")
    assert read_settings().port == 9000
