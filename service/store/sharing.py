"""Models for all services that share a storage: sent there by one, and brought onto the disk of each."""

import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from service.errors import InvalidManifest
from service.files import STAGED, file_sha256, show
from service.storage.storage import Storage
from service.store.model import ID, WEIGHTS, Model
from service.versions import FILE as ALIASES
from service.versions import Aliases, Versions
from service.written import of_toml, read_text

MODELS = "models"
MANIFEST = "model.toml"


def send(model: Model, storage: Storage) -> None:
    """Put a model, or one version of it, into the storage, its manifest last: whoever sees that finds the rest.

    Raises InvalidManifest where its files are wrong, or where that model is there in versions and this one has none,
    and StorageUnavailable.
    """
    _ = model.manifest
    _check(model)
    if model.id == model.name and storage.version(f"{MODELS}/{model.name}/{ALIASES}") is not None:
        raise InvalidManifest(f"{model.name} is in {storage.name} in versions; this one would be hidden by them.")
    prefix = f"{MODELS}/{model.id.replace('@', '/')}"
    for file in sorted(_files_of(model), key=lambda file: (file.name not in WEIGHTS, file.name)):
        if file.name != MANIFEST:
            storage.put(f"{prefix}/{file.name}", file)
    storage.put(f"{prefix}/{MANIFEST}", model.folder / MANIFEST)


def _files_of(model: Model) -> list[Path]:
    """What makes a model: its files, and the labels that it shares with others."""
    files = [file for file in model.folder.iterdir() if file.is_file() and not file.name.startswith(".")]
    named = of_toml(read_text(model.folder / MANIFEST)).get("labels")
    if isinstance(named, str) and (labels := model.file_of_labels(named)) not in files:
        files.append(labels)
    return files


def send_names(versions: Versions, storage: Storage) -> None:
    """Have the names of a model's versions mean the same in the storage. Raises StorageUnavailable."""
    storage.put(f"{MODELS}/{versions.folder.name}/{ALIASES}", versions.folder / ALIASES)


def bring(storage: Storage, layer: Path) -> Iterator[str]:
    """Copy the models and versions of the storage that are not on this disk; the id of each that was.

    So is a model that is another here, but versions never change. Each appears whole. Raises InvalidManifest for one
    whose weights are not those of its card, as while it is being sent, and StorageUnavailable.
    """
    for folder, names in _folders(storage):
        if _is_here(storage, layer, folder, names):
            continue
        _check_place(storage, layer, folder)
        staged = layer / f".{folder.replace('/', '.')}.{secrets.token_hex(4)}{STAGED}"
        staged.mkdir(parents=True)
        try:
            for name in names:
                with (staged / name).open("wb") as file:
                    file.writelines(storage.stream(f"{MODELS}/{folder}/{name}"))
            _check(Model(staged))
            _replace(staged, layer / folder)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        yield folder.replace("/", "@")


def bring_names(storage: Storage, layer: Path) -> Iterator[Versions]:
    """Have the names of versions mean here what they mean in the storage; the models of which that changed any.

    Raises InvalidManifest where one means a version that is not here, and StorageUnavailable.
    """
    for model_id in _in_versions(storage):
        versions, key = Versions(layer / model_id), f"{MODELS}/{model_id}/{ALIASES}"
        try:
            aliases = Aliases.parse(storage.get(key))
        except ValueError as error:
            raise InvalidManifest.of_file(Path(key), error) from error
        if missing := sorted(aliases.named - set(versions.there())):
            raise InvalidManifest(f"The names of {model_id} in {storage.name} mean {', '.join(missing)}, not there.")
        if not Versions.has(versions.folder) or versions.aliases != aliases:
            aliases.write(versions.folder / ALIASES)
            yield versions


def _in_versions(storage: Storage) -> list[str]:
    """The models that the storage holds in versions."""
    keys = (entry.key.split("/") for entry in storage.list(MODELS))
    return sorted(key[1] for key in keys if len(key) == 3 and key[2] == ALIASES and ID.fullmatch(key[1]))


def _folders(storage: Storage) -> list[tuple[str, list[str]]]:
    """The folders that a manifest makes whole, `id` or `id/version`, and the names of the files in each."""
    files: dict[str, list[str]] = {}
    for entry in storage.list(MODELS):
        _, *folders, name = entry.key.split("/")
        if len(folders) in (1, 2) and all(map(ID.fullmatch, folders)) and not name.startswith("."):
            files.setdefault("/".join(folders), []).append(name)
    in_versions = {folder for folder, names in files.items() if ALIASES in names}
    return sorted(
        (folder, names)
        for folder, names in files.items()
        if MANIFEST in names and (folder.partition("/")[0] in in_versions) is ("/" in folder)
    )


def _is_here(storage: Storage, layer: Path, folder: str, names: Sequence[str]) -> bool:
    """Whether a model's card and manifest are the same here; the card says which weights there are."""
    here = layer / folder
    told = [name for name in names if name.endswith((".toml", ".json"))]
    return all(
        (here / name).is_file() and (here / name).read_bytes() == storage.get(f"{MODELS}/{folder}/{name}")
        for name in told
    ) and all((here / name).is_file() for name in names)


def _check_place(storage: Storage, layer: Path, folder: str) -> None:
    """Raise InvalidManifest where something lies here that the storage's is not to take the place of."""
    model_id, _, version = folder.partition("/")
    if version and (layer / folder).exists():
        raise InvalidManifest(f"{model_id} has a version {version} here that is not the one in {storage.name}.")
    if not version and Versions.has(layer / model_id):
        raise InvalidManifest(f"{model_id} comes in versions here, and in none in {storage.name}.")


def _check(model: Model) -> None:
    card = model.card
    if card is not None and model.weights.is_file() and file_sha256(model.weights) != card.sha256:
        raise InvalidManifest.of_file(model.folder / "card.json", "the weights are not those that it describes.")


def _replace(staged: Path, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    old = staged.with_name(f".{folder.name}.{secrets.token_hex(4)}{STAGED}")
    if folder.exists():
        folder.rename(old)
    show(staged, folder)
    shutil.rmtree(old, ignore_errors=True)
