"""How commands speak: results on standard output, errors as one sentence and a status, nothing as a traceback."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import typer

from service.errors import ConfigurationError, ServiceError

P = ParamSpec("P")
R = TypeVar("R")

EXIT_FAILED = 2


def say(text: str) -> None:
    """Print one line of a result."""
    typer.echo(text)


def fail_clearly(command: Callable[P, R]) -> Callable[P, R]:
    """Turn the errors that a person can mend into one sentence and exit status 2."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (ServiceError, ConfigurationError) as error:
            typer.echo(f"chapterhouse: {error}", err=True)
            raise typer.Exit(EXIT_FAILED) from error

    return run
