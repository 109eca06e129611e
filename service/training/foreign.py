"""Weights of others: downloaded from their publisher, checked, converted, never shipped."""

import re
from dataclasses import asdict
from functools import partial
from pathlib import Path

import httpx
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from service.datasets.fetch import OnDownload, download
from service.errors import ConfigurationError, UntrustedWeights
from service.files import copy_whole, file_sha256
from service.nets.keymaps import check, in_order, red_first, to_ours
from service.nets.layers import count_parameters, layer_table
from service.nets.onnx import read_layers
from service.nets.registry import build_net
from service.nets.weights import save_weights
from service.store import Card, Layer, Model, Score, Source, write_card
from service.training.checkpoints import read_tensors
from service.training.train import example_of, versions

SHA256_DIGITS = 64
PREFIX = re.compile(r"[0-9a-f]{8,64}")
"""As much of a sha256 as publishers put into a file's name, or more."""


def fetch(
    model: Model,
    *,
    downloads: Path,
    target: Path,
    sha256: str = "",
    trust_first: bool = False,
    client: httpx.Client | None = None,
    report: OnDownload | None = None,
) -> Card:
    """Put a publisher's weights where the store reads them: download, check, convert, count, write.

    A file of the publisher's name that already lies in `downloads` is taken instead of downloaded. `sha256` is what the
    file must have, or how that begins, where the manifest does not say it; `trust_first` takes what comes and notes it.
    Raises ConfigurationError where nothing says what the file must be or it cannot be had, UntrustedWeights where it is
    another one.
    """
    source = model.manifest.source
    if source is None:
        raise ConfigurationError(f"{model.id} is trained here, not fetched; `chapterhouse train {model.id}` trains it.")
    expected = sha256.lower() or source.sha256
    if not expected and not trust_first:
        raise ConfigurationError(
            f"No hash of {model.id}'s {source.file} is known: name the right one with --sha256,"
            " or take what comes with --trust-first; its sha256 is then noted in the card."
        )
    if expected and not PREFIX.fullmatch(expected):
        raise ConfigurationError(f"{expected!r} is no sha256 and no beginning of one with eight digits or more.")
    path = downloads / source.file
    found = _bring(source, path, expected, client, report)
    net = convert(model, source, path)
    checked = f"{'whole' if len(expected) == SHA256_DIGITS else f'{len(expected)} digits'}" if expected else "nothing"
    return _write(model, source, net, target, {"url": source.url, "sha256": found, "checked": checked})


def _bring(source: Source, path: Path, expected: str, client: httpx.Client | None, report: OnDownload | None) -> str:
    """The sha256 of the publisher's file, which is downloaded unless it is there.

    Raises ConfigurationError where it cannot be had, UntrustedWeights where it is another one; that is not kept.
    """
    if path.is_file():
        found = file_sha256(path)
        _check_sha256(path, expected, found)
        return found
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return download(
            source.url, path, check=partial(_check_sha256, source.url, expected), client=client, report=report
        )
    except httpx.HTTPError as error:
        raise ConfigurationError(
            f"{source.url} cannot be downloaded ({error}); without a network put the file at {path}."
        ) from error


def _check_sha256(what: object, expected: str, found: str) -> None:
    if not found.startswith(expected):
        raise UntrustedWeights(f"{what} has sha256 {found}, not {expected}; it is not what was published.")


def convert(model: Model, source: Source, path: Path) -> nn.Module:
    """The model's net with the file's weights, every one in its place. Raises UntrustedWeights."""
    with torch.device("meta"):
        net = build_net(model.manifest.net, model.manifest.options)
    if source.format == "onnx":
        state = check(in_order(net, read_layers(path.read_bytes())), net.state_dict())
    else:
        state = to_ours(net, _tensors(source, path), source.key_map)
    if source.red_first:
        state = red_first(state, source.red_first)
    counters = {name: torch.zeros((), dtype=torch.int64) for name in state if name.endswith("num_batches_tracked")}
    single = {name: tensor.float() for name, tensor in state.items() if name not in counters}
    net.load_state_dict({**single, **counters}, strict=True, assign=True)
    count = count_parameters(net)
    if count != source.parameters:
        raise UntrustedWeights(f"{path} fills {count:,} parameters; {model.id} has {source.parameters:,}.")
    return net.eval()


def _tensors(source: Source, path: Path) -> dict[str, Tensor]:
    if source.format == "torch":
        return read_tensors(path)
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UntrustedWeights(f"{path} is not a safetensors file: {error}") from error


def _write(model: Model, source: Source, net: nn.Module, target: Path, origin: dict[str, str]) -> Card:
    """Weights, manifest, shared labels and, last, the card."""
    target.mkdir(parents=True, exist_ok=True)
    weights = target / model.weights.name
    save_weights(net, weights)
    labels = model.folder.parent / "labels"
    if model.folder != target:
        copy_whole(model.folder / "model.toml", target / "model.toml")
        for shared in labels.glob("*"):
            (target.parent / "labels").mkdir(exist_ok=True)
            copy_whole(shared, target.parent / "labels" / shared.name)
    with torch.device("meta"):
        rows = layer_table(build_net(model.manifest.net, model.manifest.options), example_of(model.manifest))
    said = {"on": "ILSVRC-2012 validation", "how": "as the publisher says; not measured here"}
    published = {name: share for name in ("top1", "top5") if (share := getattr(source, name)) is not None}
    card = Card(
        sha256=file_sha256(weights),
        size_bytes=weights.stat().st_size,
        parameters=count_parameters(net),
        macs=sum(row.macs for row in rows),
        layers=tuple(Layer(**asdict(row)) for row in rows),
        seed=0,
        versions=versions(),
        hardware="the publisher's",
        seconds=0.0,
        recipe={"form": "fetched", "licence": source.licence, **origin},
        scores={name: Score(value=share, **said) for name, share in published.items()},
    )
    write_card(card, target / "card.json")
    return card
