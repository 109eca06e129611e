"""`chapterhouse models alias` and `remove`: which version of a model answers, and which are not needed any more."""

import shutil
from typing import Annotated

import typer

from service.cli.completion import models
from service.cli.places import ServerOption
from service.cli.reporting import fail_clearly, say
from service.errors import ConfigurationError
from service.operations.versions import versions_of
from service.settings import read_settings
from service.store import ModelStore
from service.versions import STABLE

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
    """Have a name mean another version, or show the names; by a running service that version is warm before it answers.

    Without --server the names are changed here; a service over the same state directory loads the version when it is
    first asked.
    """
    if not version:
        if name:
            raise ConfigurationError("Name the version that it is to mean, or `none`.")
        _show(model_id)
    elif server is not None:
        _ask(server, model_id, name, version, share)
    else:
        versions = versions_of(ModelStore.of(read_settings()), model_id)
        if version == "none":
            versions.forget(name)
        else:
            versions.name(name, version, share)
        _show(model_id)


@fail_clearly
def remove(
    model_id: ModelArgument,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="One that has no name.")],
) -> None:
    """Delete a version that no name means."""
    versions = versions_of(ModelStore.of(read_settings()), model_id)
    found = versions.resolve(version)
    names = [name for name, alias in versions.aliases.root.items() if alias.version == found]
    if names:
        raise ConfigurationError(f"{model_id} {found} is {', '.join(names)}; name another version so first.")
    shutil.rmtree(versions.folder / found)
    say(f"{model_id}  {found} is deleted")


def _show(model_id: str) -> None:
    versions = versions_of(ModelStore.of(read_settings()), model_id)
    aliases = versions.aliases.root
    left = 1.0 - sum(alias.share for alias in aliases.values())
    for version in versions.there():
        names = (name for name, alias in sorted(aliases.items()) if alias.version == version)
        told = (f"{name}, {(left if name == STABLE else aliases[name].share):.0%} of requests" for name in names)
        say(f"{model_id}  {version}  {'; '.join(told)}".rstrip())


def _ask(server: str, model_id: str, name: str, version: str, share: float) -> None:
    from service.client.blocking import Client

    with Client(server) as client:
        forgets = version == "none"
        model = client.forget_name(model_id, name) if forgets else client.name_version(model_id, name, version, share)
    told = ", ".join(f"{word} is {to.version}" for word, to in sorted(model.aliases.items()))
    say(f"{model_id}  {told}")
