"""What a service does about keys at its start: a token for this machine, a copy, a warning where it is open to all."""

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from service.addresses import is_loopback
from service.errors import ConfigurationError
from service.evaluation.queue.database import Database
from service.evaluation.queue.keys import Keys, copy_of, write_copy
from service.files import write_private
from service.settings import Settings

log = logging.getLogger(__name__)


@contextmanager
def local_token(settings: Settings, port: int) -> Iterator[str]:
    """A new token for who may read this user's files, in the state directory for as long as the service runs.

    Raises ConfigurationError where it cannot be written.
    """
    token, file = secrets.token_urlsafe(32), settings.token_file(port)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(file, token.encode())
    except OSError as error:
        raise ConfigurationError(
            f"CHAPTERHOUSE_STATE_DIR: cannot write into {file.parent}: {error.strerror}."
        ) from error
    try:
        yield token
    finally:
        with suppress(OSError):
            if file.read_bytes() == token.encode():
                file.unlink()


def read_local_token(settings: Settings, port: int) -> str:
    """The token of the service that listens on this port; empty where there is none."""
    try:
        return settings.token_file(port).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def prepare_keys(settings: Settings, database: Database) -> None:
    """Copy the keys for fronts that start while the database is away, and say so where anybody gets in without one.

    Raises DatabaseUnavailable.
    """
    keys = Keys(database).all()
    try:
        write_copy(copy_of(settings), keys)
    except OSError as error:
        raise ConfigurationError(f"CHAPTERHOUSE_STATE_DIR: cannot write into it: {error.strerror}.") from error
    if not keys and not is_loopback(settings.host):
        log.warning(
            "OPEN TO EVERYBODY: the service listens on %s and has no keys, so whoever reaches it may use its models "
            "and read its evaluations; only what changes it needs the token in its state directory. Make keys with "
            "`chapterhouse keys create NAME --scopes infer,evaluate`.",
            settings.host,
        )
