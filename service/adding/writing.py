"""A manifest as TOML, as people would write it: no package for that is needed, and none writes it as short."""

import json
from collections.abc import Mapping, Sequence
from typing import Any


def as_toml(written: Mapping[str, Any]) -> str:
    """A manifest's words, tables after them."""
    plain = {key: value for key, value in written.items() if not isinstance(value, Mapping)}
    tables = {key: value for key, value in written.items() if isinstance(value, Mapping) and value}
    lines = [f"{key} = {_value(value)}" for key, value in plain.items()]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{key} = {_value(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    """A value that a manifest has: words, numbers, truths, and lists of them."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    assert isinstance(value, Sequence), f"{value!r} is no value of a manifest"
    return f"[{', '.join(map(_value, value))}]"
