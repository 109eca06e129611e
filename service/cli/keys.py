"""`chapterhouse keys`: who may use the service, and for what."""

import re
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.reporting import JSONOption, fail_clearly, print_json, print_table, say
from service.errors import ConfigurationError
from service.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.evaluation.queue.keys import Key, Keys, KeyScope

UNITS = {"h": "hours", "d": "days", "w": "weeks"}
MOST_AT_ONCE = 10_000

app = typer.Typer(help="API keys: who may use the service, and for what.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What the key is called.")]


@app.command("create")
@fail_clearly
def create(
    name: NameArgument,
    scopes: Annotated[str, typer.Option(help="What it is for: infer, evaluate and admin, separated by commas.")],
    expires: Annotated[
        str | None,
        typer.Option(help="Until when it is valid: a date (UTC), or a time from now such as 12h, 90d or 8w."),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.001, max=1e6, help="Requests a second, at most; as many as there come.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=MOST_AT_ONCE, help="Requests under way at any time, at most.")
    ] = None,
) -> None:
    """Make a key and print it, this once: only its hash is kept. A running service knows it within 5 s."""
    until = None if expires is None else moment_of(expires, datetime.now(UTC))
    wanted = scopes_of(scopes)
    with _opened() as keys:
        token = keys.create(name, wanted, expires=until, rate=rate, concurrency=concurrency)
    say(token)


@app.command("list")
@fail_clearly
def list_keys(as_json: JSONOption = False) -> None:
    """List the keys, also those that are no longer valid."""
    now = time.time()
    with _opened() as keys:
        known = keys.all()
    if as_json:
        print_json({"keys": [_told(key, now) for key in known]})
        return
    columns = ("name", "standing", "scopes", "created", "expires", ">requests/s", ">at once")
    rows = [
        (
            key.name,
            key.standing(now),
            ",".join(sorted(key.scopes)),
            _iso(key.created) or "–",
            _iso(key.expires) or "–",
            "–" if key.rate is None else f"{key.rate:g}",
            "–" if key.concurrency is None else str(key.concurrency),
        )
        for key in known
    ]
    print_table(columns, rows)


@app.command("revoke")
@fail_clearly
def revoke(
    name: NameArgument,
    forget: Annotated[
        bool,
        typer.Option(
            "--forget", help="Leave no trace of it; where it was the last, the service asks nobody for a key any more."
        ),
    ] = False,
) -> None:
    """Let a key be valid no longer; every front of a running service knows it within 5 s."""
    with _opened() as keys:
        if forget:
            keys.forget(name)
        else:
            keys.revoke(name)
    say(f"{name}  {'forgotten' if forget else 'revoked'}")


def scopes_of(words: str) -> "list[KeyScope]":
    """The scopes that are named. Raises ConfigurationError."""
    from service.evaluation.queue.keys import KeyScope

    named = [word.strip() for word in words.split(",") if word.strip()]
    unknown = [word for word in named if word not in list(KeyScope)]
    if unknown or not named:
        raise ConfigurationError(
            f"--scopes: {', '.join(unknown) or 'nothing'} is no scope; there are {', '.join(KeyScope)}."
        )
    return [scope for scope in KeyScope if scope in named]


def moment_of(text: str, now: datetime) -> float:
    """The moment that a date or a time from now names, in seconds since 1970. Raises ConfigurationError."""
    if found := re.fullmatch(r"(\d{1,5})([hdw])", text):
        return (now + timedelta(**{UNITS[found[2]]: int(found[1])})).timestamp()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"--expires {text!r}: write a date such as 2027-01-31, or 12h, 90d or 8w.") from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if aware <= now:
        raise ConfigurationError(f"--expires {text!r} is over already.")
    return aware.timestamp()


@contextmanager
def _opened() -> "Iterator[Keys]":
    """The keys of the database, which is brought to this version."""
    from service.evaluation.queue.database import Database
    from service.evaluation.queue.keys import Keys, copy_of, write_copy
    from service.evaluation.queue.migrations import migrate

    settings = read_settings()
    database = Database.of(settings)
    try:
        migrate(database)
        keys = Keys(database)
        yield keys
        write_copy(copy_of(settings), keys.all())
    finally:
        database.close()


def _told(key: "Key", now: float) -> dict[str, object]:
    """A key as programs read it; not its hash, which nobody needs."""
    moments = {name: _iso(getattr(key, name)) for name in ("created", "expires", "revoked")}
    limits = {"rate": key.rate, "concurrency": key.concurrency}
    return {"name": key.name, "standing": key.standing(now), "scopes": sorted(key.scopes), **moments, **limits}


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
