"""How commands speak: results on standard output, errors as one sentence and a status, nothing as a traceback."""

import functools
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

import typer

from service.addresses import without_secrets
from service.errors import ConfigurationError, ServiceError

P = ParamSpec("P")
R = TypeVar("R")

EXIT_RED = 1
EXIT_FAILED = 2
EXIT_INTERRUPTED = 130
WIDTH_ELSEWHERE = 160
"""Columns of a table that is not shown on a terminal."""

JSONOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of words.")]

log = logging.getLogger(__name__)


def say(text: str) -> None:
    """Print one line of a result."""
    typer.echo(text)


def complain(text: str) -> None:
    """Print one line about what went wrong."""
    typer.echo(f"chapterhouse: {without_secrets(text)}", err=True)


def print_json(document: Mapping[str, Any]) -> None:
    """Print a result for programs."""
    say(json.dumps(document, indent=1, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table for people; a column whose name begins with `>` holds numbers."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        justify: Literal["left", "right"] = "right" if column.startswith(">") else "left"
        table.add_column(column.removeprefix(">"), justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*row)
    on_terminal = Console().is_terminal
    Console(markup=False, highlight=False, width=None if on_terminal else WIDTH_ELSEWHERE).print(table)


def fail_clearly(command: Callable[P, R]) -> Callable[P, R]:
    """Turn whatever goes wrong into one sentence and exit status 2: 1 would say that a verdict is red."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except KeyboardInterrupt as error:
            raise typer.Exit(EXIT_INTERRUPTED) from error
        except (ServiceError, ConfigurationError, OSError) as error:
            complain(_sentence(error))
            raise typer.Exit(EXIT_FAILED) from error
        except Exception as error:
            log.debug("this should not have happened", exc_info=error)
            complain(f"this should not have happened: {type(error).__name__}: {error}")
            raise typer.Exit(EXIT_FAILED) from error

    return run


def _sentence(error: ServiceError | ConfigurationError | OSError) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, ServiceError) and error.errors:
        unsaid = [entry for entry in error.errors if entry["message"] not in error.detail]
        named = "; ".join(f"{entry['field']}: {entry['message']}" for entry in unsaid)
        return f"{error.detail or error.title} {named}".rstrip()
    return str(error) or (error.title if isinstance(error, ServiceError) else type(error).__name__)
