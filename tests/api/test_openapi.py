"""The OpenAPI document is valid, whole, and plain enough to generate clients from."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from api.asking import PROBLEM
from api.describing import Document, operations, validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from service.api.app import ROUTERS, create_app
from service.api.dialects import speaks_v2, v2_status
from service.api.examples import FORMS, SCHEMAS, TEXTS
from service.api.gate import Application
from service.api.routes import Endpoint
from service.errors import error_types

INFERRING = ("infer", "infer_by_version")
TEXT = re.compile(r"text/.*|.*[/+](json|xml)")


@pytest.fixture
def document(app: Application) -> Document:
    return app.openapi()


def resolved(document: Document, found: Document) -> Document:
    """What a reference refers to; anything else as it is."""
    if "$ref" not in found:
        return found
    for name in found["$ref"].removeprefix("#/").split("/"):
        document = document[name]
    return document


def contents(operation: Document) -> Iterator[tuple[str, Document]]:
    """Every media type that an operation reads or writes, errors included, with its description."""
    yield from operation.get("requestBody", {}).get("content", {}).items()
    for answer in operation["responses"].values():
        yield from answer.get("content", {}).items()


def examples(document: Document, content: Document) -> list[Any]:
    """The examples of a parameter or a media type: its own, or those of its schema."""
    if "example" in content:
        return [content["example"]]
    own = [resolved(document, example)["value"] for example in content.get("examples", {}).values()]
    return own or resolved(document, content["schema"]).get("examples", [])


def test_the_document_is_valid(document: Document) -> None:
    assert document["openapi"].startswith("3.1")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_every_operation_is_plainly_named_and_described(document: Document) -> None:
    found = [operation for _, _, operation in operations(document)]
    ids = [operation["operationId"] for operation in found]
    assert len(set(ids)) == len(ids) > 20
    assert not [name for name in ids if re.search(r"__|_(get|post|put|delete)$", name)]
    assert {"classify", "list_models", "load_model"} <= set(ids)
    tags = {tag["name"] for tag in document["tags"] if tag["description"]}
    for operation in found:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", operation["operationId"])
        assert operation["summary"]
        assert operation["description"].endswith(".")
        assert set(operation["tags"]) <= tags
        for parameter in operation["parameters"]:
            assert resolved(document, parameter)["description"].endswith(".")
        for status, answer in operation["responses"].items():
            assert answer["description"].endswith("."), (operation["operationId"], status)


def test_every_schema_and_each_of_its_members_has_a_type(document: Document) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert schema["description"].endswith("."), name
    for _, _, operation in operations(document):
        for media_type, content in contents(operation):
            assert content["schema"], (operation["operationId"], media_type)
            assert content["schema"].get("format") == "binary" or TEXT.fullmatch(media_type) or "form" in media_type


def test_only_json_is_ever_null_and_no_whole_number_that_is_asked_for_is_boundless(document: Document) -> None:
    for _, _, operation in operations(document):
        for parameter in (resolved(document, found) for found in operation["parameters"]):
            assert "anyOf" not in parameter["schema"], parameter["name"]
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            fields = resolved(document, content["schema"]).get("properties", {})
            for name, field in fields.items():
                kinds = [resolved(document, kind) for kind in field.get("anyOf", [field])]
                assert "json" in media_type or {"type": "null"} not in kinds, name
                assert all({"minimum", "maximum"} <= set(kind) for kind in kinds if kind.get("type") == "integer"), name


def test_forms_name_all_that_they_take(document: Document) -> None:
    form = document["paths"]["/evaluate"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    check = validator(document, form)
    assert check.is_valid({"generated": "", "mmd.sigma": "0.5"})
    assert not check.is_valid({"generated": "", "sigma": "0.5"})


def test_the_flagships_answer_is_a_component(document: Document) -> None:
    content = document["paths"]["/classify"]["post"]["responses"]["200"]["content"]["application/json"]
    assert content["schema"] == {"$ref": "#/components/schemas/Classification"}
    prediction = document["components"]["schemas"]["Prediction"]["properties"]
    assert prediction["labels"]["items"] == {"$ref": "#/components/schemas/Label"}
    assert {"$ref": "#/components/schemas/Problem"} in prediction["error"]["anyOf"]


def test_points_are_pairs(document: Document) -> None:
    modes = document["components"]["schemas"]["RecordingReply"]["properties"]["modes"]["items"]
    assert (len(modes["prefixItems"]), modes["minItems"], modes["maxItems"]) == (2, 2, 2)


def test_every_operation_has_examples_and_they_are_what_it_says(document: Document) -> None:
    for _, _, operation in operations(document):
        parameters = ((found["name"], found) for found in operation["parameters"] if "name" in found)
        for name, described in (*parameters, *contents(operation)):
            shown = examples(document, described)
            assert shown or described["schema"].get("format") == "binary", (
                f"{name} of {operation['operationId']} has no example: give it `examples` where it is declared, or "
                "service/api/examples.py a line"
            )
            for example in shown:
                validator(document, described["schema"]).validate(example)
    for header in document["components"]["parameters"].values():
        validator(document, header["schema"]).validate(header["example"])


def test_no_example_is_of_something_that_is_not_there(document: Document) -> None:
    found = [operation for _, _, operation in operations(document)]
    text = {media_type for operation in found for media_type, _ in contents(operation)}
    assert set(TEXTS) <= text
    assert set(FORMS) <= {operation["operationId"] for operation in found}
    assert set(SCHEMAS) <= set(document["components"]["schemas"])


def test_every_operation_says_how_it_can_be_refused(document: Document) -> None:
    for path, method, operation in operations(document):
        responses = operation["responses"]
        answers = any("content" in answer for status, answer in responses.items() if status < "300")
        work = {"429", "503"} if method != "get" else set()
        assert {str(v2_status(422)) if speaks_v2(path) else "422", "500", "504", *work} <= set(responses), operation[
            "operationId"
        ]
        assert ("406" in responses) == answers, operation["operationId"]
        for status, answer in responses.items():
            assert "X-Request-Id" in answer["headers"]
            assert ("Retry-After" in answer["headers"]) == (status in ("202", "429", "503"))
            assert (PROBLEM in answer.get("content", {})) == (status >= "400" and not speaks_v2(path))


def test_a_refusal_names_its_kinds(document: Document) -> None:
    for path, _, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status >= "400" and not speaks_v2(path):
                kinds = [error_types()[name] for name in answer["content"][PROBLEM]["examples"]]
                assert {str(int(kind.status)) for kind in kinds} == {status}
                assert answer["description"] == ". ".join(kind.title for kind in kinds) + "."


def test_answers_of_models_say_which(document: Document) -> None:
    told = {"X-Model", "X-Model-Version"}
    of_models = {
        operation["operationId"]
        for _, _, operation in operations(document)
        if told <= set(operation["responses"].get("200", {}).get("headers", {}))
    }
    assert of_models == {"classify", "explain", "forecast", "generate", "show_recording", "show_units", *INFERRING}


async def test_the_document_and_its_pages_are_served_under_a_prefix_too(app: Application) -> None:
    for prefix, servers in (("", None), ("/chapterhouse", [{"url": "/chapterhouse"}])):
        transport = httpx.ASGITransport(app, root_path=prefix)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://localhost{prefix}") as client:
            assert (await client.get("/openapi.json")).json().get("servers") == servers
            for page in ("/docs", "/redoc"):
                reply = await client.get(page)
                assert reply.headers["content-type"].startswith("text/html")
                assert "openapi.json" in reply.text
                assert "/openapi.json" not in reply.text  # beside the page, wherever that is
            assert (await client.head("/docs")).status_code == 200


def test_every_route_is_of_the_one_kind(app: Application) -> None:
    for route in (route for router in ROUTERS for route in router.routes):
        assert isinstance(route, Endpoint), (
            f"{getattr(route, 'endpoint', route).__module__}: make its router with `route_class=Endpoint` "
            "(service/api/routes.py)"
        )
    assert app.openapi() is app.openapi()
    assert create_app(app.state.shared).openapi() == app.openapi()
