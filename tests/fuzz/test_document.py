"""What the service answers is what its document says, to requests drawn from the document and to others."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from doubles import DOUBLES
from evaluation.packing import digits, npz
from fuzz.doubled import Asker, doubled_service
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import negative_data_rejection

from service.api.app import ROUTERS
from service.api.routes import Endpoint
from service.nets.registry import NETS

OPERATIONS = sorted(
    (route.path, method)
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, Endpoint) and route.include_in_schema
    for method in (route.methods or set()) - {"HEAD"}
)
SHARE = 12
"""Of as many requests as other tests draw examples, each operation gets one part of so many, in either mode."""

IMAGES = "body is empty|form holds no image|are not one of the formats|is damaged|is given twice"
IMAGES += "|is not base64|does not say ;base64|images are not fetched|explained at a time"
FILES = "The file (is|holds)|Send either the file"
UNSAYABLE = {
    "/classify": IMAGES,
    "/evaluate": f"{FILES}|There is no metric|The options of|write it as|the thresholds?|cannot name|twice",
    "/explain": f"{IMAGES}|does not ask for it|must be below|no layer",
    "/forecast": "every step needs|steps are (too few|too many|needed)|missing or not finite|channels|the model needs"
    "|at most 1,000 values|used only where|before its last quarter|too large to square|free run diverges",
    "/generate": "draws images, which come as|has one generator|at most 1,000 images",
    "/references/{name}": f"{FILES}|cannot name|twice",
}
"""Why a request may be refused that the document allows: what is in its files, and what goes together."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    with pytest.MonkeyPatch.context() as patch:
        for name, double in DOUBLES.items():
            patch.setitem(NETS, name, double)
        with doubled_service(tmp_path_factory.mktemp("service")) as asker:
            yield asker


@pytest.fixture(scope="module")
def known(service: Asker, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What there is, by the names of the document's parameters."""
    samples = npz(tmp_path_factory.mktemp("samples") / "a.npz", {"images": digits(24, size=2)}).read_bytes()
    assert service.ask("PUT", "/references/kept", files={"reference": samples}).status_code == 201
    report = service.ask("POST", "/evaluate", files={"generated": samples, "reference": samples})
    assert report.status_code == 200, report.text
    [version] = service.ask("GET", "/v2/models/echo").json()["versions"]
    of_v2 = {"model_name": "echo", "model_version": version}
    return {"model_id": "echo", "alias": "canary", "name": "kept", "evaluation_id": report.json()["id"], **of_v2}


@pytest.fixture(scope="module")
def document(service: Asker) -> BaseSchema:
    document = schemathesis.openapi.from_dict(service.application.openapi())
    document.config.generation.update(with_security_parameters=False)  # every request bears the token that is right
    return document


def sent(service: Asker, case: Case[Any]) -> httpx.Response:
    """The answer to a request as it was drawn, byte for byte."""
    whole = requests.Request(**case.as_transport_kwargs(base_url="http://localhost")).prepare()
    headers = [
        (name.encode(), value if isinstance(value, bytes) else value.encode("latin-1"))
        for name, value in whole.headers.items()
    ]
    assert whole.method
    assert whole.url
    reply = service.ask(whole.method, whole.url, headers=headers, content=whole.body or b"")
    allowed = {504} if "x-deadline-ms" in reply.request.headers else set()
    if case.path.endswith("/ready"):
        allowed.add(503)  # where another request has unloaded what is asked about
    assert reply.status_code < 500 or reply.status_code in allowed, told(case, reply)
    return reply


def told(case: Case[Any], reply: httpx.Response) -> str:
    """How to ask again, and what was answered."""
    return f"{case.as_curl_command()}\n{reply.status_code} {reply.text}"


def few() -> settings:
    return settings(max_examples=settings().max_examples // SHARE, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_what_the_document_allows_is_answered_or_refused_for_what_it_cannot_say(
    path: str, method: str, service: Asker, document: BaseSchema, known: dict[str, str]
) -> None:
    operation = document[path][method]
    there = {parameter.name: known[parameter.name] for parameter in operation.path_parameters}

    @few()
    @given(
        operation.as_strategy(GenerationMode.POSITIVE, path_parameters=there)
        | operation.as_strategy(GenerationMode.POSITIVE)
    )
    def hold(case: Case[Any]) -> None:
        reply = sent(service, case)
        if reply.status_code == 422:
            assert re.search(UNSAYABLE.get(path, "$^"), reply.json()["detail"]), told(case, reply)

    hold()


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_what_the_document_does_not_allow_is_refused(
    path: str, method: str, service: Asker, document: BaseSchema
) -> None:
    @few()
    @given(document[path][method].as_strategy(GenerationMode.NEGATIVE))
    def hold(case: Case[Any]) -> None:
        case.validate_response(sent(service, case), checks=[negative_data_rejection])

    hold()
