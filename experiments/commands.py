"""Write what docs/commands.md says in full: every command with its arguments, options and their defaults.

    python -m experiments.commands            # write the page
    python -m experiments.commands --print    # print what would be written

All of it is said by the commands themselves, in `service/cli/`.
"""

import argparse
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

from experiments.in_full import table, written
from service.cli import app

DOCUMENT = Path(__file__).parents[1] / "docs" / "commands.md"
COMMAND = "python -m experiments.commands"
TOLD = f"\nFrom the commands themselves, by `{COMMAND}`; `--help` of each says the same.\n"
WORDS: dict[Any, str] = {bool: "", float: "a number", int: "a whole number", Path: "a path", str: "text"}
HUGE = 1 << 30
NOTHING: tuple[Any, ...] = (None, (), [], "")


def commands() -> Iterator[tuple[str, Any]]:
    """Every command by its words, in the order of the help."""
    yield from _below(typer.main.get_command(app), ())


def _below(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", {})
    if not children:
        yield " ".join(words), command
    for name, child in children.items():
        yield from _below(child, (*words, name))


def in_full() -> str:
    """What stands below the page's `## In full`."""
    return TOLD + "".join(told_of(words, command) for words, command in commands())


def told_of(words: str, command: Any) -> str:
    """One command: how it is called, what it does, and what it takes."""
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [parameter for parameter in command.params if parameter not in arguments]
    usage = " ".join(["chapterhouse", words, *map(_called, arguments)])
    takes: list[tuple[str, ...]] = [
        (f"`{_called(one)}`", _values(one), _default(one), one.help or "") for one in arguments
    ]
    takes += [(_flags(one), _values(one), _default(one), one.help or "") for one in options]
    rows = [row for row in takes if row[0] != "`--help`"]
    help_text = " ".join((command.help or "").split())
    return f"\n### `{usage}`\n\n{help_text}\n" + table(("takes", "values", "unless given", "what"), rows)


def _called(argument: Any) -> str:
    name = argument.name.upper()
    many = "…" if argument.nargs == -1 else ""
    return f"{name}{many}" if argument.required else f"[{name}{many}]"


def _flags(option: Any) -> str:
    return ", ".join(f"`{flag}`" for flag in (*option.opts, *option.secondary_opts))


def _values(parameter: Any) -> str:
    if parameter.metavar:
        return f"`{parameter.metavar}`"
    kind = parameter.type_descriptor.annotation
    if get_origin(kind) in (list, tuple):
        kind = get_args(kind)[0]
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    if issubclass(kind, Enum):
        return ", ".join(f"`{choice.value}`" for choice in kind)
    return WORDS[kind] + _range(parameter.min, parameter.max)


def _range(low: float | None, high: float | None) -> str:
    if low is None and (high is None or high > HUGE):
        return ""
    if high is None or high > HUGE:
        return f", at least {low}"
    return f", {low} to {high}" if low is not None else f", at most {high}"


def _default(parameter: Any) -> str:
    default = parameter.default
    if default is True:
        return f"`{parameter.opts[0]}`"
    return "" if default is False or default in NOTHING or callable(default) else f"`{default}`"


def main() -> None:
    """Write, or print."""
    parser = argparse.ArgumentParser(prog=COMMAND)
    parser.add_argument("--print", action="store_true", help="print instead of writing")
    if parser.parse_args().print:
        print(in_full(), end="")
    else:
        DOCUMENT.write_text(written(DOCUMENT.read_text("utf-8"), in_full()), "utf-8")


if __name__ == "__main__":
    main()
