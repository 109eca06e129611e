"""The pages of docs/endpoints/ and docs/errors.md say in full what the OpenAPI document and the errors say."""

import pytest
from fastapi.routing import APIRoute

from experiments.endpoints import COMMAND, ERRORS, FOLDER, PAGES, errors, in_full, page_of
from experiments.in_full import table, written
from experiments.schemas import fields_of, values_of
from service.api.app import ROUTERS, described
from service.errors import ServiceError, error_types

DOCUMENT = described().openapi()
ROUTES = sorted(
    f"{method} {route.path}"
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute) and route.include_in_schema
    for method in route.methods or ()
)


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_is_told_in_full(route: str) -> None:
    page = page_of(route.split()[1])
    told = (FOLDER / f"{page}.md").read_text("utf-8") if page else route
    is_told = route in told
    assert is_told, f"docs/endpoints/{page}.md does not tell of `{route}`; `{COMMAND}` writes it"


@pytest.mark.parametrize("page", sorted(PAGES))
def test_a_page_says_what_the_document_says(page: str) -> None:
    text = (FOLDER / f"{page}.md").read_text("utf-8")
    is_up_to_date = written(text, in_full(page, DOCUMENT)) == text
    assert is_up_to_date, f"`{COMMAND}` puts it right"


def test_every_error_that_crosses_http_is_told() -> None:
    text = ERRORS.read_text("utf-8")
    is_up_to_date = written(text, errors()) == text
    assert is_up_to_date, f"`{COMMAND}` puts it right"
    crossing = [kind for kind in error_types().values() if kind.__module__ == ServiceError.__module__]
    assert all(f"| `{kind.title}` |" in text for kind in crossing)


def test_every_page_of_the_folder_is_one_of_these() -> None:
    assert {path.stem for path in FOLDER.glob("*.md")} == set(PAGES)


def test_a_path_of_a_new_kind_asks_for_a_page() -> None:
    assert page_of("/v2/models/x/infer") is None
    assert page_of("/models/x/units") == "models"
    with pytest.raises(LookupError, match="no page"):
        page_of("/modelled")


def test_a_page_without_a_place_is_an_error() -> None:
    with pytest.raises(ValueError, match="In full"):
        written("# A page\n", "told")


def test_schemas_are_said_in_words() -> None:
    document = {
        "components": {
            "schemas": {
                "Inner": {"properties": {"low": {"type": "number", "minimum": 0}, "name": {"const": "one"}}},
            }
        }
    }
    inner = {"$ref": "#/components/schemas/Inner"}
    schema = {
        "properties": {
            "all": {"type": "array", "items": inner, "description": "Every one."},
            "some": {"anyOf": [inner, {"type": "null"}]},
            "by_name": {"type": "object", "additionalProperties": inner},
            "way": {"enum": ["a", "b"], "default": "a"},
        }
    }
    told = {field.name: field for field in fields_of(schema, document)}
    named = ["all[]", "some", "by_name.NAME"]
    assert [name for name in told if "." in name] == [f"{name}.{of_it}" for name in named for of_it in ("low", "name")]
    assert told["all[].low"].values == "a number, at least 0"
    assert told["some.name"].values == "`one`"
    assert told["way"].default == '`"a"`'
    assert values_of({"type": "integer", "minimum": 1, "maximum": 1000}, document) == "a whole number, 1 to 1,000"
    assert (
        values_of({"anyOf": [{"type": "string", "format": "binary"}, {"type": "null"}]}, document) == "a file or null"
    )


def test_a_cell_keeps_its_row() -> None:
    assert table(("a",), [("x | y\nz",)]) == "\n| a |\n|---|\n| x \\| y z |\n"
    assert table(("a",), []) == ""
