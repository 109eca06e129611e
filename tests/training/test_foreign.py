import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from service.datasets.fetch import OnDownload
from service.errors import ConfigurationError, UntrustedWeights
from service.nets.registry import build_net
from service.nets.weights import load_weights
from service.store import Card, Model, ModelStore
from service.training.foreign import fetch

MANIFEST = """
net = "alexnet-owt"
task = "classify"
chapter = 4
paper = ""
summary = ""
dataset = "ilsvrc-2012"
labels = "four"
options = { classes = 4, size = 63, dense = [8, 8] }
input = { size = [63, 63], channels = 3, resize = 70, mean = [0.5, 0.5, 0.5], std = [0.5, 0.5, 0.5] }
[source]
url = "https://publisher.test/models/weights.FORMAT"
format = "FORMAT"
sha256 = "SHA256"
key_map = "torchvision-alexnet"
parameters = PARAMETERS
licence = "BSD-3-Clause"
top1 = 0.5
top5 = 0.75
"""

NAMES = {
    "conv1": "features.0", "conv2": "features.3", "conv3": "features.6", "conv4": "features.8", "conv5": "features.10",
    "fc6": "classifier.1", "fc7": "classifier.4", "fc8": "classifier.6",
}  # fmt: skip


@pytest.fixture(scope="module")
def net() -> torch.nn.Module:
    return build_net("alexnet-owt", {"classes": 4, "size": 63, "dense": (8, 8)})


@pytest.fixture(scope="module")
def published(net: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The publisher's file: its own names, in half precision."""
    theirs: dict[str, Tensor] = {}
    for name, tensor in net.state_dict().items():
        layer, _, kind = name.rpartition(".")
        theirs[f"{NAMES[layer]}.{kind}"] = tensor.half()
    path = tmp_path_factory.mktemp("publisher") / "weights.safetensors"
    save_file(theirs, path)
    return path.read_bytes()


def model_of(folder: Path, net: torch.nn.Module, *, sha256: str = "", **changed: object) -> Model:
    parameters = sum(parameter.numel() for parameter in net.parameters())
    values = {"FORMAT": "safetensors", "SHA256": sha256, "PARAMETERS": str(parameters)}
    text = MANIFEST
    for word, value in {**values, **{name.upper(): str(value) for name, value in changed.items()}}.items():
        text = text.replace(word, value)
    (folder / "shipped" / "small").mkdir(parents=True, exist_ok=True)
    (folder / "shipped" / "labels").mkdir(exist_ok=True)
    (folder / "shipped" / "labels" / "four.txt").write_text("a\nb\nc\nd\n")
    (folder / "shipped" / "small" / "model.toml").write_text(text)
    return Model(folder / "shipped" / "small")


def publisher(content: bytes, status: int = 200) -> httpx.Client:
    headers = {"Content-Length": str(len(content))}
    return httpx.Client(
        transport=httpx.MockTransport(
            lambda _: httpx.Response(status, stream=httpx.ByteStream(content), headers=headers)
        )
    )


def bring(
    model: Model,
    folder: Path,
    client: httpx.Client | None = None,
    *,
    sha256: str = "",
    trust_first: bool = False,
    report: OnDownload | None = None,
) -> Card:
    return fetch(
        model,
        downloads=folder / "downloads",
        target=folder / "models" / "small",
        sha256=sha256,
        trust_first=trust_first,
        client=client,
        report=report,
    )


def test_fetched_weights_are_served_like_any_others(tmp_path: Path, net: torch.nn.Module, published: bytes) -> None:
    digest = hashlib.sha256(published).hexdigest()
    heard: list[tuple[Any, ...]] = []
    model = model_of(tmp_path, net, sha256=digest[:8])
    card = bring(model, tmp_path, publisher(published), report=lambda *words: heard.append(words))
    model = ModelStore(tmp_path / "models").get("small")
    assert model.manifest.labels == ("a", "b", "c", "d")
    assert model.card == card
    assert card.recipe["sha256"] == digest
    assert card.recipe["checked"] == "8 digits"
    assert card.scores["top1"].how == "as the publisher says; not measured here"
    assert heard[-1] == ("weights.safetensors", len(published), len(published))
    other = build_net("alexnet-owt", model.manifest.options)
    load_weights(other, model.weights)
    for name, tensor in other.state_dict().items():
        torch.testing.assert_close(tensor, net.state_dict()[name], rtol=1e-3, atol=1e-4)
    assert {tensor.dtype for tensor in load_file(model.weights).values()} == {torch.float32}


def test_a_file_that_was_dropped_in_is_not_downloaded(tmp_path: Path, net: torch.nn.Module, published: bytes) -> None:
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "weights.safetensors").write_bytes(published)
    digest = hashlib.sha256(published).hexdigest()
    card = bring(model_of(tmp_path, net), tmp_path, publisher(b"", 503), sha256=digest.upper())
    assert card.recipe["checked"] == "whole"


def test_a_publishers_pickle_is_read_as_tensors_only(tmp_path: Path, net: torch.nn.Module, published: bytes) -> None:
    (tmp_path / "downloads").mkdir()
    path = tmp_path / "downloads" / "weights.torch"
    (tmp_path / "theirs").write_bytes(published)
    torch.save(load_file(tmp_path / "theirs"), path)  # noqa: TID251 - as a publisher does
    bring(model_of(tmp_path, net, format="torch"), tmp_path, trust_first=True)
    torch.save({"features.0.weight": Path}, path)  # noqa: TID251
    with pytest.raises(UntrustedWeights, match=r"is not a file of tensors and nothing else\.$"):
        bring(model_of(tmp_path, net, format="torch"), tmp_path, trust_first=True)
    torch.save({"features.0.weight": 3}, path)  # noqa: TID251
    with pytest.raises(UntrustedWeights, match="something else than tensors"):
        bring(model_of(tmp_path, net, format="torch"), tmp_path, trust_first=True)


def test_without_a_hash_nothing_is_taken_unless_one_says_so(
    tmp_path: Path, net: torch.nn.Module, published: bytes
) -> None:
    model = model_of(tmp_path, net)
    with pytest.raises(ConfigurationError, match=r"No hash of small's weights\.safetensors is known.* --sha256"):
        bring(model, tmp_path, publisher(published))
    assert not (tmp_path / "downloads").exists()
    card = bring(model, tmp_path, publisher(published), trust_first=True)
    assert card.recipe["checked"] == "nothing"
    assert card.recipe["sha256"] == hashlib.sha256(published).hexdigest()


@pytest.mark.parametrize("sha256", ["6b0", "not a hash", "0" * 65])
def test_what_is_no_hash_is_refused(tmp_path: Path, net: torch.nn.Module, published: bytes, sha256: str) -> None:
    with pytest.raises(ConfigurationError, match="is no sha256"):
        bring(model_of(tmp_path, net), tmp_path, publisher(published), sha256=sha256)
    assert not (tmp_path / "downloads").exists()


def test_another_file_than_the_published_one_is_refused(tmp_path: Path, net: torch.nn.Module, published: bytes) -> None:
    with pytest.raises(UntrustedWeights, match="it is not what was published"):
        bring(model_of(tmp_path, net, sha256="0123abcd"), tmp_path, publisher(published))
    assert not (tmp_path / "models").exists()
    assert list((tmp_path / "downloads").iterdir()) == []


def test_another_file_that_was_dropped_in_is_refused_and_left_alone(tmp_path: Path, net: torch.nn.Module) -> None:
    dropped = tmp_path / "downloads" / "weights.safetensors"
    dropped.parent.mkdir()
    dropped.write_bytes(b"something else")
    with pytest.raises(UntrustedWeights, match=f"{dropped} has sha256 .*; it is not what was published"):
        bring(model_of(tmp_path, net, sha256="0123abcd"), tmp_path)
    assert dropped.read_bytes() == b"something else"


def test_a_net_of_another_count_is_refused(tmp_path: Path, net: torch.nn.Module, published: bytes) -> None:
    model = model_of(tmp_path, net, parameters=7)
    with pytest.raises(UntrustedWeights, match="small has 7"):
        bring(model, tmp_path, publisher(published), trust_first=True)


@pytest.mark.parametrize("kind", ["onnx", "safetensors"])
def test_a_file_of_another_format_is_refused(tmp_path: Path, net: torch.nn.Module, kind: str) -> None:
    with pytest.raises(UntrustedWeights, match=f"not an? {'ONNX' if kind == 'onnx' else kind} file"):
        bring(model_of(tmp_path, net, format=kind), tmp_path, publisher(b"junk"), trust_first=True)


def test_a_publisher_that_cannot_be_reached_is_named_with_the_way_round(tmp_path: Path, net: torch.nn.Module) -> None:
    with pytest.raises(ConfigurationError, match=r"(?s)cannot be downloaded .*503.* put the file at .*downloads"):
        bring(model_of(tmp_path, net), tmp_path, publisher(b"", 503), trust_first=True)
    assert list((tmp_path / "downloads").iterdir()) == []


def test_a_model_that_is_trained_here_is_not_fetched(tmp_path: Path, store: ModelStore) -> None:
    with pytest.raises(ConfigurationError, match="`chapterhouse train echo` trains it"):
        bring(store.get("echo"), tmp_path)


def test_a_publisher_that_says_no_scores_leaves_the_card_without(
    tmp_path: Path, net: torch.nn.Module, published: bytes
) -> None:
    model = model_of(tmp_path, net)
    manifest = tmp_path / "shipped" / "small" / "model.toml"
    manifest.write_text(manifest.read_text("utf-8").replace("top1 = 0.5\ntop5 = 0.75\n", ""), "utf-8")
    assert bring(model, tmp_path, publisher(published), trust_first=True).scores == {}
