"""From the setting to the storage, and what services that share one call it."""

from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from service.errors import ConfigurationError
from service.settings import Settings
from service.storage.folder import Folder
from service.storage.storage import Storage

SETTING = "CHAPTERHOUSE_STORAGE_URL"
FILE = "file"
KINDS = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}
"""The stores of objects whose files appear whole, and the package that knows each."""
EXTRAS = {"s3": "s3", "gs": "gcs", "az": "azure"}
MEMORY = "memory"
"""A store in the memory of one process, for tests."""


def shared_name(url: str) -> str:
    """What services that share a storage call it; empty where each has its own.

    Raises ConfigurationError for an address that is none, or whose package is not installed.
    """
    if not url:
        return ""
    parts = urlsplit(url)
    place = f"{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")
    if parts.scheme not in (*KINDS, FILE, MEMORY) or not place or "@" in parts.netloc:
        raise ConfigurationError(
            f"{SETTING}: write s3://BUCKET/FOLDER, gs://BUCKET/FOLDER, az://CONTAINER/FOLDER or file:///FOLDER; "
            "who may enter stands in the variables of the store's own library."
        )
    if (package := KINDS.get(parts.scheme)) is not None and find_spec(package) is None:
        raise ConfigurationError(
            f"{SETTING}: {parts.scheme}:// needs `pip install 'chapterhouse[{EXTRAS[parts.scheme]}]'`."
        )
    return f"{parts.scheme}://{place}"


def open_storage(settings: Settings, *, patience_s: float = 0.0) -> Storage:
    """The storage that these settings name. Raises ConfigurationError.

    `patience_s` is for how long a store that does not answer is asked again.
    """
    name = shared_name(settings.storage_url)
    if not name:
        return Folder(settings.state)
    if name.startswith(f"{FILE}:"):
        return Folder(Path(name.removeprefix(f"{FILE}://")), name=name)
    from service.storage.objects import Objects  # fsspec, which only those pay for that need it

    return Objects(name, name=name, patience_s=patience_s)
