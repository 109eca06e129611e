"""A manifest as TOML, as people would write it: no package for that is needed, and none writes it as short."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from service.errors import ConfigurationError

BARE = re.compile(r"[A-Za-z0-9_-]+")
"""A key that needs no quotes."""


def as_toml(written: Mapping[str, Any]) -> str:
    """A manifest's words, tables after them."""
    plain = {key: value for key, value in written.items() if not isinstance(value, Mapping)}
    tables = {key: value for key, value in written.items() if isinstance(value, Mapping) and value}
    lines = [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{_key(key)} = {_value(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _key(key: str) -> str:
    return key if BARE.fullmatch(key) else _words(key)


def _words(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: object) -> str:
    """A value that a manifest has: words, numbers, truths, lists of them, and tables. Raises ConfigurationError."""
    if isinstance(value, str):
        return _words(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_key(key)} = {_value(part)}' for key, part in value.items())}}}"
    if not isinstance(value, Sequence):
        raise ConfigurationError(f"A manifest has words, numbers, lists and tables, and none of them is {value!r}.")
    return f"[{', '.join(map(_value, value))}]"
