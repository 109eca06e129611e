"""Says in words what a schema of the OpenAPI document takes: for the tables of docs/endpoints/."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

Document = dict[str, Any]
DEEPEST = 3
WORDS = {"string": "text", "boolean": "true or false", "object": "an object", "null": "null"}


class Field(NamedTuple):
    """A member of a schema: `a.b[].c` for what lies within others."""

    name: str
    values: str
    default: str
    description: str


def resolved(found: Document, document: Document) -> Document:
    """What a reference refers to; anything else as it is."""
    if "$ref" not in found:
        return found
    place = document
    for name in found["$ref"].removeprefix("#/").split("/"):
        place = place[name]
    return {**place, **{name: value for name, value in found.items() if name != "$ref"}}


def fields_of(schema: Document, document: Document, *, depth: int = DEEPEST, within: str = "") -> Iterator[Field]:
    """Every member of an object, those of the objects in it behind it, so deep."""
    for name, found in _object(schema, document).get("properties", {}).items():
        member = resolved(found, document)
        described = member.get("description") or resolved(_inner(member), document).get("description", "")
        default = "" if member.get("default") in (None, "", [], {}) else f"`{json.dumps(member['default'])}`"
        yield Field(f"{within}{name}", values_of(member, document), default, described)
        if depth > 1:
            below = f"{within}{name}{_step(member)}."
            yield from fields_of(_inner(member), document, depth=depth - 1, within=below)


def _object(schema: Document, document: Document) -> Document:
    """The object that a schema is, or the first that it may be."""
    found = resolved(schema, document)
    kinds = found.get("anyOf") or found.get("oneOf") or [found]
    objects = [resolved(kind, document) for kind in kinds]
    return next((kind for kind in objects if "properties" in kind), {})


def _inner(schema: Document) -> Document:
    """What a list or an object by name holds, or what may be null; anything else as it is."""
    kinds = _kinds(schema)
    for kind in kinds:
        for held in (kind.get("items"), kind.get("additionalProperties")):
            if isinstance(held, dict):
                return held
    return kinds[0] if len(kinds) == 1 else schema


def _step(schema: Document) -> str:
    """How a path goes on within a member."""
    kinds = _kinds(schema)
    if any("items" in kind for kind in kinds):
        return "[]"
    return ".NAME" if any(isinstance(kind.get("additionalProperties"), dict) for kind in kinds) else ""


def _kinds(schema: Document) -> list[Document]:
    return [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]


def values_of(schema: Document, document: Document) -> str:
    """What a schema takes, in words."""
    found = resolved(schema, document)
    if "anyOf" in found:
        return " or ".join(dict.fromkeys(values_of(kind, document) for kind in found["anyOf"]))
    if "enum" in found:
        return ", ".join(f"`{value}`" for value in found["enum"])
    if "const" in found:
        return f"`{found['const']}`"
    return _plain(found, document)


def _plain(found: Document, document: Document) -> str:
    kind = found.get("type", "")
    if kind in ("integer", "number"):
        return ("a whole number" if kind == "integer" else "a number") + _range(found)
    if kind == "array":
        items = found.get("items")
        return f"a list of: {values_of(items, document)}" if items else "a list"
    if found.get("format") == "binary":
        return "a file"
    return WORDS.get(kind, "anything")


def _range(found: Document) -> str:
    low, high = found.get("minimum"), found.get("maximum")
    huge = high is None or high > 1 << 30
    if low is None and huge:
        return ""
    if huge:
        return f", at least {low}"
    return f", {low:,} to {high:,}" if low is not None else f", at most {high:,}"
