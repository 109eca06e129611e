import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from doubles import CLASSIFIER, FORECASTER, GENERATOR, Echo, add_card, add_model

from service.errors import InvalidManifest, ModelNotFound, WrongTask
from service.files import file_sha256
from service.nets.registry import NETS
from service.settings import Settings
from service.store import Card, Model, ModelStore, write_card


def write(folder: Path, manifest: str) -> Model:
    folder.mkdir(exist_ok=True)
    (folder / "model.toml").write_text(manifest, "utf-8")
    return Model(folder)


def test_only_models_with_weights_are_in_the_store(models_dir: Path, store: ModelStore) -> None:
    write(models_dir / "unfinished", CLASSIFIER)
    assert store.ids() == ["crashing", "doodle", "echo", "failing", "gossiping", "miscounting", "slow"]
    with pytest.raises(ModelNotFound, match=r"'unfinished' has no weights here; .*models fetch unfinished.*train"):
        store.get("unfinished")


def test_an_added_model_wins_over_a_shipped_one(models_dir: Path, tmp_path: Path) -> None:
    add_model(tmp_path / "added", "echo", Echo(), CLASSIFIER.format(net="echo"))
    both = ModelStore(tmp_path / "added", models_dir)
    assert both.get("echo").folder == tmp_path / "added" / "echo"
    assert both.get("slow").folder == models_dir / "slow"
    assert both.ids().count("echo") == 1


@pytest.mark.parametrize("name", ["../models_store/echo", "/etc", "..", ".", "", "echo/", "echo\0", "échø", "a" * 5000])
def test_a_name_that_leads_elsewhere_is_no_model(models_dir: Path, store: ModelStore, name: str) -> None:
    shutil.copy(models_dir / "echo" / "weights.safetensors", models_dir.parent)
    with pytest.raises(ModelNotFound):
        store.get(name)


def test_a_model_of_another_task_is_refused(store: ModelStore) -> None:
    with pytest.raises(WrongTask, match="doodle does generate, not classify"):
        store.get("doodle", task="classify")
    with pytest.raises(WrongTask, match="it reads no images"):
        _ = store.get("doodle").input
    with pytest.raises(WrongTask, match="it draws no images"):
        _ = store.get("echo").output
    assert store.get("echo").input.channels == 1
    assert store.get("doodle").output.latent == 4


def test_the_version_is_the_weights_own(store: ModelStore, models_dir: Path) -> None:
    digest = hashlib.sha256((models_dir / "echo" / "weights.safetensors").read_bytes()).hexdigest()
    assert store.get("echo").version == digest[:12]
    add_card(models_dir / "echo")
    store.refresh("echo")
    assert store.get("echo").version == digest[:12]
    assert file_sha256(models_dir / "echo" / "weights.safetensors") == digest


def test_what_is_known_stays_known_until_another_version_is_heard_of(store: ModelStore) -> None:
    known = store.get("echo")
    store.refresh_unless("echo", known.version)
    assert store.get("echo") is known
    store.refresh_unless("echo", "another")
    assert store.get("echo") is not known
    store.refresh_unless("never seen", "1")


EXTRACTOR = CLASSIFIER.replace('"classify"', '"features"')


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        ("net = ", "Invalid value"),
        (CLASSIFIER.replace('task = "classify"', 'task = "dance"'), "'classify', 'features', 'generate' or 'forecast'"),
        (CLASSIFIER.replace("channels = 1", "channels = 2"), "channels"),
        (CLASSIFIER.replace("std = [1.0]", "std = [1.0, 2.0]"), "mean and std need one value a channel"),
        (CLASSIFIER.replace("std = [1.0]", "std = [0.0]"), "no std is 0 or less"),
        (CLASSIFIER.replace("std = [1.0]", "std = [nan]"), "mean and std are numbers"),
        (CLASSIFIER.replace('labels = ["a", "b", "c", "d"]', ""), r"a classifier needs \[input\] and labels"),
        (CLASSIFIER.replace('"d"]', '"a"]'), "labels: 'a' is number 0 and number 3, counted from 0; call them apart"),
        (CLASSIFIER.replace('"d"]', '" "]'), "labels: number 3 has no name"),
        (FORECASTER.replace('["x"]', '["x", "x"]'), r"series\.channels: 'x' is number 0 and number 1"),
        pytest.param(CLASSIFIER.replace('["a"', "[" * 10_000), "nested too deep", id="deep"),
        pytest.param(CLASSIFIER + " " * 20_000_000, "it has more than 16,777,216 bytes", id="large"),
        (GENERATOR.split("[output]", maxsplit=1)[0], r"a generator needs \[output\]"),
        (CLASSIFIER + "\nblocks = 3", "Extra inputs are not permitted"),
        (EXTRACTOR.partition("[input]")[0], r"an extractor needs \[input\]"),
        (CLASSIFIER.replace("std =", 'resample = "as-sent"\nstd ='), "takes images as they are sent, is an extractor"),
        (CLASSIFIER.replace("{net}", "onnx"), "the output that is its logits or probabilities"),
        (CLASSIFIER.replace("std =", 'resample = "lanczos"\nstd ='), "resample"),
    ],
)
def test_a_manifest_that_cannot_be_says_where_and_why(tmp_path: Path, manifest: str, reason: str) -> None:
    with pytest.raises(InvalidManifest, match=reason) as raised:
        _ = write(tmp_path / "model", manifest).manifest
    assert str(tmp_path / "model" / "model.toml") in str(raised.value)


def test_an_onnx_file_needs_no_card(models_dir: Path, store: ModelStore) -> None:
    write(models_dir / "graph", EXTRACTOR.format(net="onnx"))
    (models_dir / "graph" / "weights.onnx").write_bytes(b"graph")
    model = store.extractor("graph")
    assert model.weights_sha256 == hashlib.sha256(b"graph").hexdigest()
    assert model.version == model.weights_sha256[:12]
    assert "graph" in store.ids()


def test_features_are_asked_of_what_looks_at_images(store: ModelStore) -> None:
    assert store.extractor("echo").weights_sha256 is not None
    assert Model(store.get("echo").folder.with_name("nobody")).weights_sha256 is None
    with pytest.raises(WrongTask, match="doodle does generate; it has no features of images"):
        store.extractor("doodle")
    with pytest.raises(ModelNotFound):
        store.extractor("nobody")


def test_a_card_that_cannot_be_says_where(models_dir: Path) -> None:
    (models_dir / "echo" / "card.json").write_text('{"sha256": 3}')
    with pytest.raises(InvalidManifest, match=r"echo/card\.json"):
        _ = Model(models_dir / "echo").card


def test_a_card_is_written_whole(models_dir: Path) -> None:
    add_card(models_dir / "echo")
    folder = models_dir / "echo"
    assert Card.model_validate_json((folder / "card.json").read_bytes()) == Model(folder).card
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", "model.toml", "weights.safetensors"]


SHIPPED = [Model(path.parent) for path in sorted(Settings().shipped_models_dir.glob("*/model.toml"))]


@pytest.mark.parametrize("model", SHIPPED, ids=[model.id for model in SHIPPED])
def test_every_shipped_manifest_is_one(model: Model) -> None:
    where, net = f"models_store/{model.id}/model.toml", model.manifest.net
    assert net in NETS, f"{where} has net = {net!r}, which has no line in NETS of service/nets/registry.py"
    begins = model.id.startswith(net.partition("-")[0]) or model.manifest.task == "generate"
    assert begins, f"models_store/{model.id} does not begin with the net's name; <net>-<dataset>[-<variant>] is an id"
    if model.card is not None:
        other = f"{model.weights.name} of {model.id} is not what card.json is about; `chapterhouse train` writes both"
        assert model.card.sha256 == file_sha256(model.weights), other
        assert model.card.size_bytes == model.weights.stat().st_size, other


@pytest.mark.parametrize(("chapters", "limit_bytes"), [((4, 5), 28_000_000), ((7,), 14_000_000)])
def test_weights_in_the_repository_stay_small(chapters: Sequence[int], limit_bytes: int) -> None:
    weights = [model.weights for model in SHIPPED if model.manifest.chapter in chapters and model.weights.is_file()]
    assert sum(path.stat().st_size for path in weights) <= limit_bytes


@pytest.mark.parametrize(
    ("files", "limit_bytes"),
    [("*/recording.safetensors", 2_500_000), ("references/**/*", 5_000_000), ("**/*", 50_000_000)],
)
def test_what_ships_beside_weights_stays_small(files: str, limit_bytes: int) -> None:
    found = [path for path in Settings().shipped_models_dir.glob(files) if path.is_file()]
    assert 0 < sum(path.stat().st_size for path in found) <= limit_bytes


def test_labels_that_many_models_share_are_read_from_the_stores_folder(tmp_path: Path) -> None:
    text = CLASSIFIER.format(net="echo").replace('labels = ["a", "b", "c", "d"]', 'labels = "letters"')
    (tmp_path / "echo").mkdir()
    (tmp_path / "echo" / "model.toml").write_text(text)
    with pytest.raises(InvalidManifest, match=r"letters\.txt"):
        _ = Model(tmp_path / "echo").manifest
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "letters.txt").write_text("a\nb b\nc\n")
    assert Model(tmp_path / "echo").manifest.labels == ("a", "b b", "c")
    (tmp_path / "echo" / "model.toml").write_text(text.replace("letters", "../secret"))
    with pytest.raises(InvalidManifest, match="is no name of labels"):
        _ = Model(tmp_path / "echo").manifest


def test_every_model_of_others_says_where_it_comes_from() -> None:
    folders = sorted(path.parent for path in Settings().shipped_models_dir.glob("*/model.toml"))
    sources = {folder.name: source for folder in folders if (source := Model(folder).manifest.source)}
    assert len(sources) >= 11
    for model_id, source in sources.items():
        assert source.url.startswith("https://"), model_id
        assert bool(source.sha256) == bool(source.sha256_from), model_id
        assert bool(source.key_map) != (source.format == "onnx"), model_id
        assert not (Settings().shipped_models_dir / model_id / "weights.safetensors").exists(), model_id


def test_a_row_of_numbers_is_one_line_of_a_card_and_nothing_of_it_is_lost(tmp_path: Path) -> None:
    shipped = ModelStore(Settings().shipped_models_dir).get("mlp-mnist").card
    assert shipped is not None
    card = shipped.model_copy(update={"recipe": {"steps": [0.5, -1e-05, 3], "names": ["a", "b"], "none": []}})
    write_card(card, tmp_path / "card.json")
    text = (tmp_path / "card.json").read_text("utf-8")
    assert '"steps": [0.5, -1e-05, 3],' in text
    assert '"names": [\n' in text
    assert Card.model_validate_json(text) == card
