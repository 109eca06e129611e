import os
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from doubles import CLASSIFIER, Echo, add_model

from service.errors import InvalidManifest, InvalidRequest, ModelNotFound
from service.store import ModelStore
from service.versions import FILE, Aliases, Versions


@pytest.fixture
def folder(tmp_path: Path, doubles: None) -> Path:  # noqa: ARG001 - nets of the registry
    """A model with three versions, of which `one` is stable."""
    folder = tmp_path / "models" / "own"
    for version in ("one", "two", "three"):
        add_model(folder, version, Echo(), CLASSIFIER.format(net="echo"))
    Aliases.model_validate({"stable": {"version": "one"}}).write(folder / FILE)
    return folder


@pytest.fixture
def store(folder: Path) -> ModelStore:
    return ModelStore(folder.parent)


def test_without_a_name_the_stable_version_is_meant_and_by_name_any(store: ModelStore) -> None:
    assert (store.get("own").name, store.get("own").version, store.get("own").id) == ("own", "one", "own@one")
    for word in ("two", "one", "stable"):
        assert store.get("own", version=word) is store.get(f"own@{word}")
    assert store.get("own", version="two").version == "two"
    with pytest.raises(
        ModelNotFound, match="own has no version 'four' here; there are one, three, two, and stable is one"
    ):
        store.get("own", version="four")


def test_a_rollback_is_an_alias_and_is_seen_at_once(folder: Path, store: ModelStore) -> None:
    aliases = Aliases.read(folder / FILE)
    assert store.get("own").version == "one"
    aliases.with_alias("stable", "two").write(folder / FILE)
    assert store.get("own").version == "two"
    aliases.write(folder / FILE)
    assert store.get("own").version == "one"


def test_a_canary_answers_its_share_of_what_names_no_version(folder: Path, store: ModelStore) -> None:
    aliases = Aliases.read(folder / FILE).with_alias("canary", "two", 0.1).with_alias("test", "three", 0.25)
    aliases.write(folder / FILE)
    counted = Counter(store.chosen("own").version for _ in range(1000))
    assert counted == {
        "one": pytest.approx(650, abs=3),
        "two": pytest.approx(100, abs=3),
        "three": pytest.approx(250, abs=3),
    }
    assert {store.chosen("own", version="canary").version for _ in range(20)} == {"two"}
    assert {store.get("own").version for _ in range(20)} == {"one"}
    aliases.without("canary").without("test").write(folder / FILE)
    assert {store.chosen("own").version for _ in range(20)} == {"one"}


def test_a_name_may_have_dots_and_no_other_marks(folder: Path, store: ModelStore) -> None:
    versions = Versions(folder)
    versions.name("rc.1", "two")
    assert store.get("own", version="rc.1").version == "two"
    for word in ("..", "", "a b", "a]", "x" * 101, "none"):
        with pytest.raises(InvalidRequest, match=r"cannot be a name|none stands for no version"):
            versions.name(word, "two")
    assert store.get("own", version="rc.1").version == "two"


def test_shares_that_are_all_there_is_leave_nothing_to_stable(folder: Path) -> None:
    aliases = Aliases.read(folder / FILE)
    for name, share in (("a", 0.56), ("b", 0.34), ("c", 0.1)):  # added one after the other they are more than 1
        aliases = aliases.with_alias(name, "two", share)
    with pytest.raises(InvalidRequest, match="shares are at most 1 together"):
        aliases.with_alias("d", "two", 0.01)


def test_a_version_that_is_gone_is_not_remembered(folder: Path, store: ModelStore) -> None:
    assert store.get("own@two").version == "two"
    Versions(folder).remove("two")
    with pytest.raises(ModelNotFound):
        store.get("own@two")


def test_a_share_comes_evenly_and_not_in_a_row(folder: Path) -> None:
    aliases = Aliases.read(folder / FILE).with_alias("canary", "two", 0.2)
    aliases.write(folder / FILE)
    versions = Versions(folder)
    turns = [place for place in range(200) if versions.share_out() == "canary"]
    gaps = [later - earlier for earlier, later in pairwise(turns)]
    assert 3 <= min(gaps) <= max(gaps) <= 8


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", r"there is no \[stable\]"),
        ('[canary]\nversion = "two"', r"there is no \[stable\]"),
        ('[stable]\nversion = "one"\nshare = 0.5', "stable has none"),
        (
            '[stable]\nversion = "one"\n[a]\nversion = "two"\nshare = 0.6\n[b]\nversion = "two"\nshare = 0.6',
            "at most 1",
        ),
        ('[stable]\nversion = "../one"', "pattern"),
        ('[stable]\nversion = "one"\n[a]\nversion = "two"\nshare = nan', "finite"),
        ('[stable]\nversion = "gone"', "stable is gone, and there is no such version"),
        ("stable = ", "Invalid value"),
        (b"\xff", "codec"),
    ],
)
def test_aliases_that_cannot_be_say_why_and_no_version_is_guessed(
    folder: Path, store: ModelStore, text: str | bytes, reason: str
) -> None:
    (folder / FILE).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InvalidManifest, match=reason) as raised:
        store.get("own")
    assert raised.value.detail.startswith("own/aliases.toml: ")
    assert store.ids() == ["own"]


def test_aliases_are_read_again_only_when_they_are_others(folder: Path) -> None:
    versions = Versions(folder)
    known = versions.aliases
    assert versions.aliases is known
    os.utime(folder / FILE, ns=(1, 1))
    assert versions.aliases is not known
    assert versions.aliases == known
    with pytest.raises(InvalidRequest, match=r"there is no \[stable\]"):
        known.without("stable")


def test_a_version_without_a_name_is_removed_whole_and_what_is_on_its_way_is_none(folder: Path) -> None:
    versions = Versions(folder)
    assert versions.remove("two") == "two"
    (folder / ".four.staged").mkdir()
    (folder / ".four.staged" / "model.toml").touch()
    assert versions.there() == ["one", "three"]
    with pytest.raises(InvalidRequest, match="own one is stable; name another"):
        versions.remove("stable")
    with pytest.raises(ModelNotFound):
        versions.remove("two")


def test_two_versions_are_not_named_at_once(store: ModelStore) -> None:
    assert store.get("own@stable", version="one") is store.get("own@one", version="one") is store.get("own")
    with pytest.raises(InvalidRequest, match="own@two names one version, and 'one' is another"):
        store.get("own@two", version="one")
    with pytest.raises(ModelNotFound, match="no version ''"):
        store.get("own", version="")


def test_models_without_versions_have_the_one_that_their_weights_are(models_dir: Path) -> None:
    store = ModelStore(models_dir)
    version = store.get("echo").version
    assert store.versions("echo") is None
    for word in (version, "stable"):
        assert store.get("echo", version=word) is store.get("echo") is store.get(f"echo@{word}")
    assert store.chosen("echo") is store.get("echo")
    with pytest.raises(ModelNotFound, match=rf"echo has the version {version} here, not 'canary'"):
        store.get("echo", version="canary")
