"""The commands by name: where each is, and the line that `--help` shows. Its module is loaded when it is used."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup


class Place(NamedTuple):
    """`module:name` of a function or of an application with commands of its own, and what it does."""

    where: str
    what: str


COMMANDS: dict[str, Place] = {
    "serve": Place(
        "serve:serve",
        "Serve over HTTP until SIGTERM or Ctrl-C. Every setting is an environment variable, too: docs/settings.md.",
    ),
    "migrate": Place(
        "migrate:migrate",
        "Bring the database to this version; several may do so at once, and there is no harm in doing it again.",
    ),
    "train": Place(
        "train:train",
        "Train a model by the recipe in its model.toml, score it on the test set, and write weights and card.",
    ),
    "calibrate": Place(
        "calibrate:calibrate",
        "Fit a classifier's temperature on images that it, or a twin trained without them, has not seen;"
        " write its card.",
    ),
    "evaluate": Place("evaluate:evaluate", "Measure generated samples against real ones."),
    "generate": Place("generate:generate", "Draw samples and write them to a file, whole or not at all."),
    "classify": Place(
        "classify:classify", "Name the likeliest labels of each image; exits 2 where one of them cannot be read."
    ),
    "forecast": Place(
        "forecast:forecast",
        "Print the next steps as CSV: the value of every channel and its interval; choice and warnings on stderr.",
    ),
    "bench": Place(
        "bench:bench", "Post one image to /classify over and over, each connection as soon as it has its answer."
    ),
    "models": Place("models:app", "The models of the store."),
    "metrics": Place("metrics:app", "The metrics of generative models."),
    "data": Place("data:app", "Datasets for training and for references."),
    "references": Place("references:app", "Reference sets that evaluations compare with."),
    "keys": Place("keys:app", "API keys: who may use the service, and for what."),
    "state": Place("state:app", "The state directory: database, uploads, references and reports."),
}


class Loading(Mapping[str, Any]):
    """Every command, loaded when it is looked up."""

    def __init__(self) -> None:
        self.loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self.loaded:
            self.loaded[name] = load(name)
        return self.loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class Commands(TyperGroup):
    """The group of all commands; what only lists them loads none."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._loading = Loading()
        self.commands: Any = self._loading

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the context is the group's
        """Their names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the context is the group's
        """The command, or its name and line where it has not been used yet."""
        if cmd_name in COMMANDS and cmd_name not in self._loading.loaded:
            return TyperCommand(cmd_name, help=COMMANDS[cmd_name].what)
        return self._loading.loaded.get(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is to run, which is loaded for it."""
        if args and args[0] in COMMANDS:
            self._loading[args[0]]
        return super().resolve_command(ctx, args)


def load(name: str) -> Any:
    """A command from its module."""
    module, _, attribute = COMMANDS[name].where.partition(":")
    found = getattr(import_module(f"service.cli.{module}"), attribute)
    if isinstance(found, typer.Typer):
        command: Any = typer.main.get_group(found)
    else:
        alone = typer.Typer(add_completion=False)
        alone.command(name)(found)
        command = typer.main.get_command(alone)
    command.name = name
    return command
