import json
from pathlib import Path

import pytest
from cli.conftest import Run
from nets.graphs import drawing, looking, sorting

from service.cli.add import read_labels
from service.errors import ConfigurationError
from service.settings import Settings
from service.versions import FILE, Aliases


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.onnx"
    path.write_bytes(looking())
    return path


def test_a_file_is_added_with_what_is_said_of_it_and_told(run: Run, file: Path, local_settings: Settings) -> None:
    said = (
        "--labels",
        "a,b,c",
        "--mean",
        "0.5",
        "--std",
        "0.25",
        "--resample",
        "pillow-bicubic",
        "--summary",
        "Three.",
    )
    added = run("models", "add", file, "--id", "own", "--task", "classify", "--version", "one", *said)
    assert added.exit_code == 0, added.output
    assert "own  version one does classify: 3 labels (a, b, c, …), images 4×4, grey, pillow-bicubic" in added.stdout
    assert str(local_settings.added_models_dir / "own" / "one" / "model.toml") in added.stdout
    described = json.loads(run("models", "show", "own", "--json").stdout)
    assert (described["id"], described["version"]) == ("own@one", "one")
    assert described["manifest"]["input"] | {"mean": [0.5], "std": [0.25]} == described["manifest"]["input"]
    assert described["manifest"]["summary"] == "Three."
    assert "own@one  one is what its card says" in run("models", "verify", "own@one").stdout
    assert "own" in run("models", "list").stdout


def test_versions_are_named_and_removed(run: Run, file: Path) -> None:
    for version in ("one", "two"):
        added = run("models", "add", file, "--id", "own", "--task", "classify", "--version", version)
        assert added.exit_code == 0, added.output
    assert "one answers still; `chapterhouse models alias own stable two`" in added.stdout
    assert run("models", "alias", "own").stdout.splitlines() == ["own  one  stable, 100% of requests", "own  two"]
    shared = run("models", "alias", "own", "canary", "two", "--share", "0.1").stdout.splitlines()
    assert shared == ["own  one  stable, 90% of requests", "own  two  canary, 10% of requests"]
    assert "own two is canary; name another" in run("models", "remove", "own", "two").stderr
    assert run("models", "alias", "own", "canary", "none").stdout.splitlines()[1] == "own  two"
    assert "own  two is deleted" in run("models", "remove", "own", "two").stdout
    assert "no version 'two'" in run("models", "alias", "own", "stable", "two").stderr
    assert "there is no [stable]" in run("models", "alias", "own", "stable", "none").stderr
    assert "echo has one version" in run("models", "alias", "echo", "stable", "one").stderr
    assert "Name the version" in run("models", "alias", "own", "stable").stderr


@pytest.mark.slow
def test_a_running_service_warms_a_version_before_it_answers(run: Run, file: Path, server: str) -> None:
    for version in ("one", "two"):
        assert run("models", "add", file, "--id", "own", "--task", "classify", "--version", version).exit_code == 0
    named = run("models", "alias", "own", "stable", "two", "--server", server)
    assert (named.exit_code, named.stdout) == (0, "own  one\nown  two  stable, 100% of requests\n"), named.output
    shared = run("models", "alias", "own", "canary", "one", "--share", "0.5", "--server", server).stdout
    assert shared == "own  one  canary, 50% of requests\nown  two  stable, 50% of requests\n"
    assert run("models", "alias", "own", "--server", server).stdout == shared
    assert run("models", "alias", "own", "canary", "none", "--server", server).stdout == named.stdout


@pytest.mark.slow
def test_a_version_that_cannot_answer_is_given_no_name_here_or_by_a_service(
    run: Run, file: Path, where: tuple[str, ...], local_settings: Settings
) -> None:
    for version in ("one", "two", "three", "four"):
        assert run("models", "add", file, "--id", "own", "--task", "classify", "--version", version).exit_code == 0
    own = local_settings.added_models_dir / "own"
    (own / "two" / "model.toml").write_text("net = ")
    (own / "three" / "weights.onnx").write_bytes(b"no weights")
    described = own / "four" / "model.toml"
    described.write_text(described.read_text().replace("size = [4, 4]", "size = [5, 5]"))
    for version, reason in (
        ("two", "two/model.toml: "),
        ("three", "its card says"),
        ("four", "four/model.toml: its net does not do what is said here"),
        ("none", "there is no [stable]"),
        ("five", "no version 'five'"),
    ):
        refused = run("models", "alias", "own", "stable", version, *where)
        assert (refused.exit_code, reason in refused.stderr.replace("\n", " ")) == (2, True), refused.output
    assert Aliases.read(own / FILE).root.keys() == {"stable"}
    assert Aliases.read(own / FILE).root["stable"].version == "one"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--task", "dance"), "--task is one of classify, features, generate, forecast, not 'dance'"),
        (("--size", "big"), "--size is HEIGHTxWIDTH"),
        (("--mean", "x"), "--mean is a number a channel"),
        (("--options", "["), "--options is a JSON object"),
        (("--options", "3"), "--options is a JSON object"),
        (("--labels", "nobody.txt"), "There is no file nobody.txt"),
        (("--options", '{"pool": 1}'), "unexpected keyword argument 'pool'"),
    ],
)
def test_what_is_said_wrongly_is_told(run: Run, file: Path, words: tuple[str, ...], reason: str) -> None:
    result = run("models", "add", file, "--id", "own", *(() if "--task" in words else ("--task", "classify")), *words)
    assert result.exit_code == 2
    assert reason in result.stderr.replace("\n", " ")


def test_generators_and_scikit_learns_classifiers_are_added_likewise(run: Run, tmp_path: Path) -> None:
    for name, data, words in (
        ("drawing", drawing(), ("--task", "generate", "--pixels", "-1..1")),
        ("sorting", sorting(), ("--task", "classify", "--size", "2", "--channels", "1")),
    ):
        (tmp_path / name).write_bytes(data)
        added = run("models", "add", tmp_path / name, "--id", name, *words)
        assert added.exit_code == 0, added.output


def test_labels_are_read_as_people_keep_them(tmp_path: Path) -> None:
    lines, listed, config = tmp_path / "l.txt", tmp_path / "l.json", tmp_path / "config.json"
    lines.write_bytes(b"\xef\xbb\xbfa b\r\nc\r\n\r\n")
    listed.write_text('["a b", "c"]')
    config.write_text('{"id2label": {"0": "a b", "1": "c"}}')
    for said in (lines, listed, config, "a b, c"):
        assert read_labels(str(said)) == ("a b", "c")
    config.write_text('{"label2id": {"a b": 0, "c": 1}}')
    assert read_labels(str(config)) == ("a b", "c")
    config.write_text('{"architecture": "x", "label_names": ["a b", "c"]}')
    assert read_labels(str(config)) == ("a b", "c")
    assert read_labels("") == ()
    for wrong in (
        '{"id2label": {"0": "a", "2": "c"}}',
        '{"label2id": ["a"]}',
        '"ab"',
        "[[1]]",
        "3",
        "[" * 100_000,
    ):
        config.write_text(wrong)
        with pytest.raises(ConfigurationError, match=r"config\.json has no labels that can be read"):
            read_labels(str(config))
    with lines.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ConfigurationError, match=r"l\.txt has no labels that can be read: it has more than 16,777,216"):
        read_labels(str(lines))
