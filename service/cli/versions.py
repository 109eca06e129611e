"""`chapterhouse models alias` and `remove`: which version of a model answers, and which are not needed any more."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from service.cli.completion import models
from service.cli.places import ServerOption, place_of
from service.cli.reporting import fail_clearly, say
from service.errors import ConfigurationError
from service.operations.versions import versions_of
from service.settings import read_settings
from service.store import ModelStore
from service.versions import NOBODY, STABLE, Alias

ModelArgument = Annotated[str, typer.Argument(metavar="ID", help="A model of your own.", autocompletion=models)]


@fail_clearly
def alias(
    model_id: ModelArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="stable, canary, or another word.")] = "",
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="What it means from now on; `none` forgets the name.")
    ] = "",
    share: Annotated[float, typer.Option(help="The part of requests without a version that it answers, 0 to 1.")] = 0.0,
    server: ServerOption = None,
) -> None:
    """Have a name mean another version, or show the names; that version is loaded and tried before it answers.

    By --server that is done where it will answer, which has it warm then. Without, it is done here, and a service over
    the same state directory loads the version when it is first asked.
    """
    if name and not version:
        raise ConfigurationError("Name the version that it is to mean, or `none`.")
    if not version and server is None:
        versions = versions_of(ModelStore.of(read_settings()), model_id)
        _show(model_id, versions.there(), versions.aliases.root)
        return
    with place_of(server) as place:
        if not version:
            model = place.model(model_id)
        elif version == NOBODY:
            model = place.forget_name(model_id, name)
        else:
            model = place.name_version(model_id, name, version, share)
    _show(model_id, model.versions, model.aliases)


@fail_clearly
def remove(
    model_id: ModelArgument,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="One that has no name.")],
) -> None:
    """Delete a version that no name means."""
    versions = versions_of(ModelStore.of(read_settings()), model_id)
    say(f"{model_id}  {versions.remove(version)} is deleted")


def _show(model_id: str, versions: Sequence[str], aliases: Mapping[str, Alias]) -> None:
    """Print a line for each version, with its names."""
    left = 1.0 - math.fsum(alias.share for alias in aliases.values())
    for version in versions:
        names = (name for name, alias in sorted(aliases.items()) if alias.version == version)
        told = (f"{name}, {(left if name == STABLE else aliases[name].share):.0%} of requests" for name in names)
        say(f"{model_id}  {version}  {'; '.join(told)}".rstrip())
