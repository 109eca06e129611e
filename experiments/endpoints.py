"""Write what the pages of docs/endpoints/ and docs/errors.md say in full, from the OpenAPI document and the errors.

    python -m experiments.endpoints            # write the pages
    python -m experiments.endpoints --print    # print what would be written

Each page begins with words and examples that people wrote; all below `## In full` is written here.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from experiments.in_full import either, table, written
from experiments.schemas import Field, fields_of, resolved, values_of
from service.api.app import described
from service.errors import ServiceError, error_types

DOCS = Path(__file__).parents[1] / "docs"
FOLDER = DOCS / "endpoints"
ERRORS = DOCS / "errors.md"
COMMAND = "python -m experiments.endpoints"
TOLD = f"\nFrom the service's own `/openapi.json`, by `{COMMAND}`.\n"
PAGES: dict[str, tuple[str, ...]] = {
    "classify": ("/classify",),
    "generate": ("/generate",),
    "explain": ("/explain",),
    "forecast": ("/forecast",),
    "evaluate": ("/evaluate", "/evaluations"),
    "references": ("/references",),
    "models": ("/models",),
    "health": ("/health", "/metrics"),
}
"""The pages, and how the paths begin that each is about; `/v2` has one that clients' own tests hold."""
EVERYWHERE = frozenset({"X-Deadline-Ms", "X-Request-Id"})
"""Parameters of every operation, which docs/endpoints.md tells of once."""
JSON_KIND = "application/json"
FIRST_REFUSAL = 400

Document = dict[str, Any]


def page_of(path: str) -> str | None:
    """The page that tells of a path; None for those of `/v2`. Raises LookupError where there is none."""
    if path == "/v2" or path.startswith("/v2/"):
        return None
    for page, beginnings in PAGES.items():
        if any(path == beginning or path.startswith(f"{beginning}/") for beginning in beginnings):
            return page
    raise LookupError(f"no page of docs/endpoints/ tells of {path}: give it one in PAGES of experiments/endpoints.py")


def operations_of(page: str, document: Document) -> Iterator[tuple[str, Document]]:
    """`METHOD /path` and the description of each operation that a page is about."""
    for path, verbs in document["paths"].items():
        if page_of(path) == page:
            for method, operation in verbs.items():
                yield f"{method.upper()} {path}", operation


def in_full(page: str, document: Document) -> str:
    """What stands below a page's `## In full`."""
    told = [told_of(name, operation, document) for name, operation in operations_of(page, document)]
    return TOLD + "".join(told)


def told_of(name: str, operation: Document, document: Document) -> str:
    """One operation: what it does, who may, what it takes, answers and refuses."""
    parts = [
        f"\n### `{name}`\n",
        f"\n{operation['description']}\n",
        f"\n{_allowed(operation['security'])}\n",
        _parameters(operation, document),
        _bodies(operation.get("requestBody", {}), document),
        _answers(operation["responses"], document),
        _refusals(operation["responses"]),
    ]
    return "".join(parts)


def _allowed(security: list[Mapping[str, list[str]]]) -> str:
    if not security:
        return "Nobody is asked for a key."
    scopes = [f"`{scope}`" for need in security for scope in (need.get("key") or ())]
    key = f"a key with the scope {' or '.join(scopes)}"
    if {} in security:
        return f"Where there are keys, {key}."
    return f"{key[0].upper()}{key[1:]}; where there are none, the token of this machine."


def _parameters(operation: Document, document: Document) -> str:
    every = [resolved(parameter, document) for parameter in operation["parameters"]]
    own = [parameter for parameter in every if parameter["name"] not in EVERYWHERE]
    rows = [
        (f"`{one['name']}`", one["in"], values_of(one["schema"], document), _default(one["schema"]), one["description"])
        for one in own
    ]
    return table(("parameter", "in the", "values", "unless given", "what"), rows)


def _bodies(body: Document, document: Document) -> str:
    content: Document = body.get("content", {})
    kinds = [f"`{kind}`" for kind in content]
    if not kinds:
        return ""
    told = f"\nThe body{'' if body.get('required') else ', where there is one,'} is {either(kinds)}.\n"
    for kind, told_of_it in content.items():
        rows = [_sent(field) for field in fields_of(told_of_it["schema"], document, depth=1)]
        told += table((f"field of `{kind}`", "values", "unless given", "what"), rows)
    return told


def _sent(field: Field) -> tuple[str, ...]:
    return (f"`{field.name}`", field.values, field.default, field.description)


def _answers(responses: Document, document: Document) -> str:
    rows, told = [], ""
    for status, answer in responses.items():
        if int(status) >= FIRST_REFUSAL:
            continue
        content = answer.get("content", {})
        rows.append((status, either([f"`{kind}`" for kind in content]) or "nothing", answer["description"]))
        if JSON_KIND in content and not told:
            told = _json(content[JSON_KIND], document)
    return table(("answer", "as", "what"), rows) + told


def _json(content: Document, document: Document) -> str:
    fields = fields_of(content["schema"], document)
    rows = [(f"`{field.name}`", field.values, field.description) for field in fields]
    shown = content.get("example") or resolved(content["schema"], document)["examples"][0]
    example = json.dumps(shown, ensure_ascii=False, indent=2)
    return table(("member of the JSON", "values", "what"), rows) + f"\n```json\n{example}\n```\n"


def _refusals(responses: Document) -> str:
    refused = {status: answer for status, answer in responses.items() if int(status) >= FIRST_REFUSAL}
    rows = [(status, answer["description"]) for status, answer in refused.items()]
    return table(("refused with", "because"), rows)


def errors() -> str:
    """What stands in full in docs/errors.md: every error that crosses HTTP."""
    kinds = [kind for kind in error_types().values() if kind.__module__ == ServiceError.__module__]
    rows = [
        (
            str(int(kind.status)),
            f"`{kind.title}`",
            (kind.__doc__ or "").partition("\n")[0],
            f"`{kind.__name__}`",
            "yes" if kind.retry_after_s is not None else "",
        )
        for kind in sorted(kinds, key=lambda kind: (kind.status, kind.__name__))
    ]
    return TOLD + table(("status", "title", "when", "`reason` of the metrics", "`Retry-After`"), rows)


def _default(schema: Document) -> str:
    return "" if schema.get("default") in (None, "") else f"`{json.dumps(schema['default'])}`"


def pages(document: Document) -> Iterator[tuple[Path, str]]:
    """Each page, and what stands in full in it."""
    for page in PAGES:
        yield FOLDER / f"{page}.md", in_full(page, document)
    yield ERRORS, errors()


def document() -> Document:
    """The OpenAPI document of the service as it is."""
    found: Document = described().openapi()
    return found


def main() -> None:
    """Write, or print."""
    parser = argparse.ArgumentParser(prog=COMMAND)
    parser.add_argument("--print", action="store_true", help="print instead of writing")
    given = parser.parse_args()
    for path, told in pages(document()):
        if given.print:
            print(told, end="")
        else:
            path.write_text(written(path.read_text("utf-8"), told), "utf-8")


if __name__ == "__main__":
    main()
