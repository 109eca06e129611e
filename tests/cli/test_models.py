import json
from pathlib import Path

import pytest
from cli.conftest import Run
from doubles import CLASSIFIER, add_card
from nets.graphs import looking
from typer.testing import CliRunner

from service.cli import app
from service.settings import Settings
from service.store import ModelStore


@pytest.fixture
def echo(local_settings: Settings) -> Path:
    """The folder of a model with a card."""
    folder = local_settings.shipped_models_dir / "echo"
    add_card(folder)
    return folder


def test_the_list_names_every_model(run: Run, echo: Path) -> None:
    result = run("models", "list")
    assert result.exit_code == 0
    for name in ("echo", "doodle", "slow"):
        assert name in result.stdout
    described = {model["id"]: model for model in json.loads(run("models", "list", "--json").stdout)["models"]}
    assert described["echo"]["manifest"]["task"] == "classify"
    assert described["echo"]["card"]["sha256"].startswith(described["echo"]["version"])
    assert described["doodle"]["card"] is None
    assert described["echo"]["folder"] == str(echo)


def test_a_model_that_is_broken_is_named_and_hides_no_other(run: Run, echo: Path, local_settings: Settings) -> None:
    (echo / "model.toml").write_text("task = 1")
    own = local_settings.shipped_models_dir / "own"
    own.mkdir()
    (own / "aliases.toml").write_text("[..]")
    result = run("models", "list")
    assert result.exit_code == 0
    assert "doodle" in result.stdout
    assert "echo is broken: " in result.stdout
    assert json.loads(run("models", "list", "--json").stdout)["broken"].keys() == {"echo", "own"}
    assert run("models", "verify", "--files", "own", "echo").stdout.count("model.toml") == 1


def test_the_list_of_all_names_what_is_to_be_fetched_or_trained() -> None:
    def listed(*options: str) -> dict[str, str]:
        lines = CliRunner().invoke(app, ["models", "list", *options]).stdout.splitlines()
        return {line.split()[0]: line for line in lines if {"classify", "generate"} & set(line.split())}

    everything = listed("--all")
    assert "to be fetched" in everything["alexnet-imagenet"]
    assert "to be trained" in everything["wgan-gp-cifar10"]
    assert listed().keys() < everything.keys()
    assert listed()["lenet5-mnist"].split() == everything["lenet5-mnist"].split()


def test_a_model_is_shown_with_its_manifest_and_its_card(run: Run, echo: Path) -> None:
    assert echo.is_dir()
    shown = run("models", "show", "echo").stdout
    for words in (
        "A test double.",
        "labels      a, b, c, d",
        "parameters  1",
        "trained     in 0 s with seed 0 on none",
    ):
        assert words in shown
    assert json.loads(run("models", "show", "echo", "--json").stdout)["card"]["parameters"] == 1


def test_the_table_of_layers_is_shown() -> None:
    store = ModelStore(Settings().shipped_models_dir)
    for model_id in store.ids():
        shown = CliRunner().invoke(app, ["models", "show", model_id]).stdout
        card = store.get(model_id).card
        assert card is None or all(layer.name in shown for layer in card.layers)


def test_every_shipped_model_is_what_its_card_says() -> None:
    result = CliRunner().invoke(app, ["models", "verify", "--files"])
    assert result.exit_code == 0, result.output


def test_a_model_without_a_card_is_shown_as_untrained(run: Run) -> None:
    assert "none; it has not been trained" in run("models", "show", "doodle").stdout


def test_an_unknown_model_is_said(run: Run) -> None:
    for command in ("show", "verify"):
        result = run("models", command, "nobody")
        assert result.exit_code == 2
        assert "There is no model called 'nobody'" in result.stderr


def test_what_is_right_is_verified(run: Run, echo: Path) -> None:
    assert echo.is_dir()
    result = run("models", "verify", "echo")
    assert result.exit_code == 0
    assert "is what its card says" in result.stdout


def _other_weights(folder: Path) -> None:
    add_card(folder, sha256="0" * 64)


def _damaged_weights(folder: Path) -> None:
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:20])


def _no_weights(folder: Path) -> None:
    (folder / "weights.safetensors").unlink()


def _other_count(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, "parameters": 2}))


def _unknown_net(folder: Path) -> None:
    manifest = folder / "model.toml"
    manifest.write_text(manifest.read_text().replace('net = "echo"', 'net = "nobody"'))


def _no_card(folder: Path) -> None:
    (folder / "card.json").unlink()


def _damaged_card(folder: Path) -> None:
    (folder / "card.json").write_text("{")


def _damaged_manifest(folder: Path) -> None:
    (folder / "model.toml").write_text("net =")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_other_weights, "its card says 000000"),
        (_damaged_weights, "does not hold the weights of this net"),
        (_no_weights, "does not hold the weights of this net"),
        (_other_count, "its net has 1 parameters; its card says 2"),
        (_unknown_net, "There is no net called 'nobody'"),
        (_no_card, "it has no card.json"),
        (_damaged_card, "card.json: "),
        (_damaged_manifest, "model.toml: "),
    ],
)
def test_what_is_wrong_is_found(spoil: object, words: str, run: Run, echo: Path) -> None:
    assert callable(spoil)
    spoil(echo)
    result = run("models", "verify", "echo")
    assert result.exit_code == 2
    assert words in result.stdout


def test_a_model_that_is_trained_here_is_not_fetched(run: Run) -> None:
    result = run("models", "fetch", "echo")
    assert result.exit_code == 2
    assert "`chapterhouse train echo` trains it" in result.stderr


def test_a_model_of_others_is_shown_before_it_is_fetched() -> None:
    result = CliRunner().invoke(app, ["models", "show", "alexnet-imagenet"])
    assert result.exit_code == 0
    assert "60,965,224" not in result.stdout.partition("layer")[0]
    for words in (
        "`chapterhouse models fetch alexnet-imagenet`",
        "conv5",
        "256×13×13",
        "sha256 6b0da9510f27",
        "BSD-3-Clause",
    ):
        assert words in result.stdout


def test_an_onnx_file_needs_no_card_but_has_to_run(run: Run, local_settings: Settings) -> None:
    folder = local_settings.shipped_models_dir / "graph"
    folder.mkdir()
    manifest = CLASSIFIER.format(net="onnx").replace('"classify"', '"features"')
    (folder / "model.toml").write_text(manifest, "utf-8")
    (folder / "weights.onnx").write_bytes(looking())
    verified = run("models", "verify", "graph")
    assert (verified.exit_code, verified.stdout.partition(" ")[0]) == (0, "graph"), verified.output
    assert "net         onnx" in run("models", "show", "graph").stdout
    (folder / "weights.onnx").write_bytes(b"no graph")
    verified = run("models", "verify", "graph")
    assert verified.exit_code == 2
    assert "is not an ONNX file that onnxruntime runs" in verified.stdout
