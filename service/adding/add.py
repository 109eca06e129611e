"""A file becomes a version of a model in the state directory: copied, asked, tried, and shown when it is whole."""

import logging
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from service.adding.asking import Wishes, manifest_of
from service.adding.kinds import kind_of
from service.adding.writing import as_toml
from service.errors import ConfigurationError, ServiceError
from service.files import copy_whole, file_sha256, show, write_whole
from service.nets.foreign import Foreign
from service.nets.layers import count_parameters, layer_table
from service.nets.registry import open_net
from service.store import Card, Layer, Model, ModelStore, write_card
from service.store.manifest import FILES, Manifest
from service.training.train import example_of, versions
from service.versions import CANARY, NOBODY, STABLE, WORD, Aliases
from service.versions import FILE as ALIASES
from service.written import MOST

log = logging.getLogger(__name__)


def add(store: ModelStore, file: Path, model_id: str, wishes: Wishes, *, state: Path, version: str = "") -> Model:
    """Put a file into the store of added models, as a version of `model_id`; the first one becomes `stable`.

    The copy is what is asked and tried, so that nothing changes between. Raises ConfigurationError and InvalidFile, and
    leaves nothing behind then.
    """
    _check_names(store, model_id, wishes, version)
    kind = kind_of(file)
    staging = state / "adding"
    staging.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=staging, ignore_cleanup_errors=True) as temporary:
        staged = Path(temporary) / "version"
        staged.mkdir()
        weights = staged / FILES.get(kind, "weights.safetensors")
        copy_whole(file, weights)
        with _as_of(file, weights):
            written = manifest_of(weights, kind, wishes)
            written["summary"] = written["summary"].replace(weights.name, file.name)
            write_whole(staged / "model.toml", _described(written))
            card = _card_of(Manifest.model_validate(written), weights, file.name)
        write_card(card, staged / "card.json")
        folder = state / "models" / model_id
        return _show(staged, folder, version or card.sha256[:12])


def _described(written: Mapping[str, Any]) -> bytes:
    """A manifest that can be read again. Raises ConfigurationError."""
    try:
        text = as_toml(written).encode()
    except UnicodeEncodeError as error:
        raise ConfigurationError(
            f"{error.object[error.start : error.end]!r} is no text that can be written."
        ) from error
    if len(text) > MOST:
        raise ConfigurationError(f"Its description would have {len(text):,} bytes; {MOST:,} are read. Shorten labels.")
    return text


@contextmanager
def _as_of(file: Path, weights: Path) -> Iterator[None]:
    """Say of the file that was brought what is wrong with its copy."""
    try:
        yield
    except ServiceError as error:
        said = type(error)(str(error).replace(str(weights), str(file)), errors=error.errors)
        short = error.detail.replace(str(weights), file.name)
        short = short.replace(f"{weights.parent.name}/{weights.name}", file.name)
        said.detail = short.replace(weights.name, file.name)
        raise said from error
    except ConfigurationError as error:
        raise ConfigurationError(str(error).replace(weights.name, file.name)) from error


def _check_names(store: ModelStore, model_id: str, wishes: Wishes, version: str) -> None:
    for what, word in (("an id", model_id), ("a version", version or "1")):
        if not re.fullmatch(WORD, word):
            raise ConfigurationError(f"{word!r} cannot be {what}: letters, digits, '.', '_' and '-' make one.")
    if version in (STABLE, CANARY, NOBODY):
        raise ConfigurationError(f"{version!r} is a name that versions are given; choose another for this one.")
    if model_id not in store.described_ids():
        return
    if (known := store.versions(model_id)) is None:
        raise ConfigurationError(f"There is a model called {model_id} that is not yours; choose another id.")
    if version in known.aliases.root:
        raise ConfigurationError(f"{version!r} is a name of {known.aliases.root[version].version}; choose another.")
    models, _ = store.sound(f"{model_id}@{there}" for there in known.there())  # a broken one may be in need of another
    tasks = {model.manifest.task for model in models}
    if tasks - {wishes.task}:
        raise ConfigurationError(f"{model_id} does {', '.join(tasks)}, and all its versions do; choose another id.")


def _show(staged: Path, folder: Path, version: str) -> Model:
    """Put a finished version in its place, and name it where it is the first."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / version
    if target.exists():
        raise ConfigurationError(
            f"{folder.name} has a version {version} already, and versions never change; name this one with --version."
        )
    show(staged, target)
    if not (folder / ALIASES).exists():
        Aliases.model_validate({STABLE: {"version": version}}).write(folder / ALIASES)
    return Model(folder, version=version)


def _card_of(manifest: Manifest, weights: Path, name: str) -> Card:
    """What is known of a file of others: its size, and of a net that is built here its layers."""
    net = open_net(manifest.net, manifest.options, weights)
    layers = _layers_of(net, manifest)
    sha256 = file_sha256(weights)
    return Card(
        sha256=sha256,
        size_bytes=weights.stat().st_size,
        parameters=net.numbers if isinstance(net, Foreign) else count_parameters(net),
        macs=sum(layer.macs for layer in layers) or None,
        layers=layers,
        seed=0,
        versions=versions(),
        hardware="its maker's",
        seconds=0.0,
        recipe={"form": "added", "file": name, "sha256": sha256},
        scores={},
    )


def _layers_of(net: nn.Module, manifest: Manifest) -> tuple[Layer, ...]:
    """The table of a net's layers; none of a file, and none where they cannot be counted."""
    if isinstance(net, Foreign) or manifest.input is None:
        return ()
    try:
        return tuple(Layer(**asdict(row)) for row in layer_table(net, example_of(manifest)))
    except Exception:
        log.warning("the layers of %s cannot be counted", manifest.net, exc_info=True)
        return ()
