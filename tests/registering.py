"""What a package defines, beside what its registry names: a class or a constant without a line is nowhere used."""

import inspect
import pkgutil
from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parent.parent


def modules_of(package: ModuleType) -> Iterator[ModuleType]:
    """Every module of a package, but not of the packages in it."""
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if not found.ispkg:
            yield import_module(found.name)


def classes_in(package: ModuleType, kind: type) -> list[type]:
    """The classes of a kind that a package defines and that could be built."""
    return [
        found
        for module in modules_of(package)
        for found in vars(module).values()
        if inspect.isclass(found) and issubclass(found, kind) and found.__module__ == module.__name__
        if not inspect.isabstract(found)
    ]


def constants_in(package: ModuleType, kind: type) -> list[tuple[str, Any]]:
    """The constants of a kind in a package, as `module.NAME` and what they are; those of the registry are others'."""
    return [
        (f"{module.__name__}.{name}", found)
        for module in modules_of(package)
        for name, found in vars(module).items()
        if isinstance(found, kind) and name.isupper() and not module.__name__.endswith(".registry")
    ]


def file_of(found: type) -> str:
    """The file of a class, from the project's root."""
    return str(Path(inspect.getfile(found)).relative_to(ROOT))


def left_out(defined: Collection[type], registered: Mapping[str, type], table: str) -> str:
    """What to do about classes that stand in no line of a registry; nothing where all of them do."""
    used = [one for one in defined if any(issubclass(other, one) for other in registered.values())]
    return "\n".join(
        f"{file_of(one)}: nobody can ask for {one.__name__}; import it in {_registry_of(file_of(one))} and give it a "
        f'line in {table}, such as "{Path(file_of(one)).stem}": {one.__name__},'
        for one in defined
        if one not in used
    )


def _registry_of(file: str) -> str:
    return str(Path(file).with_name("registry.py"))
