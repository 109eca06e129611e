"""Models for all services that share a storage: sent there by one, and brought onto the disk of each."""

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from service.errors import InvalidManifest
from service.files import STAGED, file_sha256, show
from service.storage.storage import Storage
from service.store.model import ID, WEIGHTS, Model

MODELS = "models"


def send(model: Model, storage: Storage) -> None:
    """Put a model into the storage, its manifest last: whoever sees that finds the rest.

    Raises InvalidManifest, StorageUnavailable.
    """
    files = sorted(file for file in model.folder.iterdir() if file.is_file() and not file.name.startswith("."))
    for file in sorted(files, key=lambda file: file.name not in WEIGHTS):
        if file.name != "model.toml":
            storage.put(f"{MODELS}/{model.id}/{file.name}", file)
    storage.put(f"{MODELS}/{model.id}/model.toml", model.folder / "model.toml")


def bring(storage: Storage, layer: Path) -> Iterator[str]:
    """Copy the models of the storage that are not on this disk, or are others there; the id of each that was.

    A model appears whole. Raises InvalidManifest for one whose weights are not those of its card, as while it is being
    sent, and StorageUnavailable.
    """
    names: dict[str, list[str]] = {}
    for entry in storage.list(MODELS):
        _, model_id, name, *deeper = [*entry.key.split("/"), "", ""]
        if ID.fullmatch(model_id) and name and not name.startswith(".") and not any(deeper):
            names.setdefault(model_id, []).append(name)
    for model_id in sorted(model_id for model_id, files in names.items() if "model.toml" in files):
        if _is_here(storage, layer / model_id, names[model_id]):
            continue
        staged = layer / f".{model_id}.{secrets.token_hex(4)}{STAGED}"
        staged.mkdir(parents=True)
        try:
            for name in names[model_id]:
                with (staged / name).open("wb") as file:
                    file.writelines(storage.stream(f"{MODELS}/{model_id}/{name}"))
            _check(Model(staged))
            _replace(staged, layer / model_id)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        yield model_id


def _is_here(storage: Storage, folder: Path, names: list[str]) -> bool:
    """Whether a model's card and manifest are the same here; the card says which weights there are."""
    told = [name for name in names if name.endswith((".toml", ".json"))]
    return all(
        (folder / name).is_file() and (folder / name).read_bytes() == storage.get(f"{MODELS}/{folder.name}/{name}")
        for name in told
    ) and all((folder / name).is_file() for name in names)


def _check(model: Model) -> None:
    card = model.card
    if card is not None and model.weights.is_file() and file_sha256(model.weights) != card.sha256:
        raise InvalidManifest.of_file(model.folder / "card.json", "the weights are not those that it describes.")


def _replace(staged: Path, folder: Path) -> None:
    old = staged.with_name(f".{folder.name}.{secrets.token_hex(4)}{STAGED}")
    if folder.exists():
        folder.rename(old)
    show(staged, folder)
    shutil.rmtree(old, ignore_errors=True)
