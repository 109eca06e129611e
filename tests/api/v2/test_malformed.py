"""Whatever is wrong with a request, its sender is told what, in the protocol's form, and never with a 500."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from api.asking import connect
from api.v2.speaking import ECHO, LENGTH, assert_refused, files, in_bytes, tensor
from doubles import DOUBLES, FakeEngine, add_forecaster, echoed, images
from fuzz.doubled import Asker, doubled_service
from hypothesis import given as drawn
from hypothesis import strategies as st

from service.api.gate import Application
from service.nets.registry import NETS
from service.operations.inference.tensors import BYTES, NUMBERS

MakeApp = Callable[..., Application]

IMAGE = tensor("image", images(1))
NAN, HUGE = float("nan"), 1 << 62


@pytest.fixture
async def client(make_app: MakeApp, models_dir: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service whose engine answers anything with the same."""
    add_forecaster(models_dir)
    async with connect(make_app(FakeEngine([echoed(1)]))) as client:
        yield client


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"shape": [2, 2, 1]}, "should be [-1, 2, 2, 1]"),
        ({"shape": [1, 2, 3, 1]}, "the shape [1, 2, 3, 1] has 6 elements, and 4 were sent"),
        ({"shape": [-1, 2, 2, 1]}, "a size below 0"),
        ({"shape": [HUGE, HUGE, HUGE, HUGE]}, "elements, and 4 were sent"),
        ({"shape": [0, 2, 2, 1], "data": []}, "should begin with 1 to 4,096 images"),
        ({"shape": [HUGE, HUGE, 0, 1], "data": []}, "an axis of 0 leaves nothing"),
        ({"shape": [10**18, 0, 28, 1], "data": []}, "the others are too long"),
        ({"shape": [1.5]}, "inputs.0.shape.0"),
        ({"shape": [1] * 9}, "at most 8"),
        ({"shape": [1] * 100}, "the shape has 100 axes"),
        ({"shape": [1] * 30_000}, "more than 20,000 members"),
        ({"data": [1, 2, 3, 256]}, "its data go from 1 to 256, beyond UINT8"),
        ({"data": [1, 2, 3, -1]}, "its data go from -1 to 3, beyond UINT8"),
        ({"data": [1, 2, 3, 1.5]}, "what is no UINT8 (float)"),
        ({"data": [1, 2, 3, True]}, "what is no UINT8 (bool)"),
        ({"data": [1, 2, 3, None]}, "what is no UINT8 (NoneType)"),
        ({"data": [1, 2, 3, "4"]}, "what is no UINT8 (str)"),
        ({"data": [1, 2, 3, 10**30]}, "UINT8"),
        ({"data": [[1, 2], [3]]}, "lists of several lengths"),
        ({"data": [[1, 2, 3, 4]]}, "its data have the shape [1, 4], and it says [1, 2, 2, 1]"),
        ({"data": 7}, "image: its data"),
        ({"data": None}, "it has no data"),
        ({"datatype": "INT8", "data": [0, 0, 0, 0]}, "it is INT8; UINT8, BYTES, FP32 are taken"),
        ({"datatype": "BF16"}, "needs a datatype of the protocol"),
        ({"datatype": "FP32", "data": [0.5, 0.0, 0.0, 1.0]}, "the parameter value_range"),
        ({"datatype": "FP32", "data": [0.0, 0.0, 0.0, 300.0]}, "beyond 0 to 255"),
        ({"datatype": "FP32", "parameters": {"value_range": "0,2"}}, "value_range: must be '0,1' or"),
        ({"datatype": "BYTES", "shape": [1], "data": ["!"]}, "image[0]: this is not base64"),
        ({"datatype": "BYTES", "shape": [1], "data": ["https://example.org/a.png"]}, "images are not fetched"),
        ({"datatype": "BYTES", "shape": [1], "data": ["data:image/png,abc"]}, "does not say ;base64"),
        ({"datatype": "BYTES", "shape": [1], "data": [7]}, "a string in base64"),
        ({"datatype": "BYTES", "shape": [1], "data": ["AAAA"]}, "image[0]: "),
        ({"datatype": "BYTES", "shape": [1, 2], "data": ["AAAA", "AAAA"]}, "should be [n] or [n, 1]"),
        ({"name": "picture"}, "the model has no such input; it has image"),
        ({"name": ""}, "inputs.0.name"),
        ({"parameters": {"colour": "red"}}, "the input image has no such parameter"),
        ({"parameters": {"shared_memory_region": "here"}}, "memory is not shared"),
        ({"parameters": {"binary_data_size": 4}}, "of which one is enough"),
        ({"more": 1}, "inputs.0.more"),
    ],
)
async def test_what_is_wrong_with_an_input_is_said(
    client: httpx.AsyncClient, changed: dict[str, Any], words: str
) -> None:
    assert_refused(await client.post(ECHO, json={"inputs": [{**IMAGE, **changed}]}), 400, words)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "body"),
        ({}, "inputs"),
        ({"inputs": []}, "image: this input is needed"),
        ({"inputs": 7}, "inputs"),
        ({"inputs": [7]}, "inputs.0"),
        ({"inputs": [IMAGE, IMAGE]}, "named twice"),
        ({"inputs": [IMAGE], "outputs": [{"name": "logits"}]}, "the model has no such output"),
        ({"inputs": [IMAGE], "outputs": [{"name": "labels"}, {"name": "labels"}]}, "named twice"),
        ({"inputs": [IMAGE], "outputs": [{"name": "labels", "parameters": {"binary_data": 1}}]}, "true or false"),
        ({"inputs": [IMAGE], "outputs": [{"name": "labels", "parameters": {"classification": 1}}]}, "no classes"),
        (
            {"inputs": [IMAGE], "outputs": [{"name": "probabilities", "parameters": {"classification": 0}}]},
            "classification: must be a whole number from 1 on",
        ),
        ({"inputs": [IMAGE], "parameters": {"top_k": 0}}, "top_k"),
        ({"inputs": [IMAGE], "parameters": {"top_k": True}}, "top_k"),
        ({"inputs": [IMAGE], "parameters": {"as_is": False}}, "pixels are taken as they are"),
        ({"inputs": [IMAGE], "parameters": {"as_is": "no"}}, "true or false"),
        ({"inputs": [IMAGE], "parameters": {"timeout": -1}}, "timeout"),
        ({"inputs": [IMAGE], "parameters": {"seed": 1}}, "this request has no such parameter"),
        ({"inputs": [IMAGE], "parameters": {"sequence_id": 7}}, "keeps a state"),
        ({"inputs": [IMAGE], "parameters": {"binary_data_output": "yes"}}, "true or false"),
        ({"inputs": [IMAGE], "model_name": "lenet5"}, "the path something else"),
        ({"inputs": [IMAGE], "id": 7}, "id"),
        ({"inputs": [IMAGE], "colour": "red"}, "colour"),
    ],
)
async def test_what_is_wrong_with_a_request_is_said(client: httpx.AsyncClient, document: Any, words: str) -> None:
    assert_refused(await client.post(ECHO, json=document), 400, words)


@pytest.mark.parametrize(
    ("model", "inputs", "parameters", "words"),
    [
        ("doodle", [tensor("seed", np.array([-1]))], {}, "seed"),
        ("doodle", [tensor("count", np.array([0]))], {}, "count"),
        ("doodle", [tensor("count", np.array([HUGE]))], {}, "count: at most"),
        ("doodle", [tensor("count", np.array([1, 2]))], {}, "count: must be one whole number"),
        ("doodle", [tensor("count", np.array([1.0]))], {}, "count: it is FP64"),
        ("doodle", [], {"generator": 1}, "generator"),
        ("doodle", [], {"interpolate": 1}, "interpolate"),
        ("murmur", [tensor("horizon", np.array([1]))], {}, "history: this input is needed"),
        ("murmur", [tensor("history", np.ones(9))], {}, "horizon: this input is needed"),
        ("murmur", [tensor("history", np.ones((9, 1, 1))), tensor("horizon", np.array([1]))], {}, "[steps, channels]"),
        ("murmur", [tensor("history", np.ones((9, 3))), tensor("horizon", np.array([1]))], {}, "history"),
        ("murmur", [tensor("history", np.ones(99)), tensor("horizon", np.array([-1]))], {}, "horizon"),
        ("murmur", [tensor("history", np.ones(99)), tensor("horizon", np.array([1]))], {"level": "x"}, "level"),
    ],
)
async def test_generators_and_forecasters_say_what_is_wrong(
    client: httpx.AsyncClient, model: str, inputs: list[Any], parameters: dict[str, Any], words: str
) -> None:
    reply = await client.post(f"/v2/models/{model}/infer", json={"inputs": inputs, "parameters": parameters})
    assert_refused(reply, 400, words)


@pytest.mark.parametrize(
    ("values", "words"),
    [([1, NAN, 3, 4], "image[0]: a pixel is NaN or infinite"), ([1, 2, 3, np.inf], "image[0]: a pixel is NaN")],
)
async def test_pixels_that_are_no_numbers_are_told(client: httpx.AsyncClient, values: list[float], words: str) -> None:
    document = {"inputs": [{"name": "image", "shape": [1, 2, 2, 1], "datatype": "FP32"}]}
    body, headers = in_bytes(document, [np.array(values, np.float32).tobytes()])
    assert_refused(await client.post(ECHO, content=body, headers=headers), 400, words)


@pytest.mark.parametrize(
    ("raws", "sizes", "words"),
    [
        ([b"1234"], [5], "binary_data_size is 5, and 4 bytes are left"),
        ([b"1234"], [-1], "binary_data_size is -1"),
        ([b"1234"], ["4"], "binary_data_size is '4'"),
        ([b"1234"], [True], "binary_data_size is True"),
        ([b"12345"], [4], "1 bytes follow that are no input's"),
        ([b"12345"], [5], "UINT8 of shape [1, 2, 2, 1] takes 4 bytes, and 5 were sent"),
    ],
)
async def test_sizes_that_lie_are_told(
    client: httpx.AsyncClient, raws: list[bytes], sizes: list[Any], words: str
) -> None:
    document = {"inputs": [{"name": "image", "shape": [1, 2, 2, 1], "datatype": "UINT8"}]}
    body, headers = in_bytes(document, raws, sizes=sizes)
    assert_refused(await client.post(ECHO, content=body, headers=headers), 400, words)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"\x01\x00", "ends within the length of an element"),
        (b"\xff\xff\xff\xff1234", "element 0 says that it has 4,294,967,295 bytes, and 4 follow"),
        (b"\x00\x00\x00\x00" * 5000, "more than 4,096 elements"),
        (b"\x00\x00\x00\x00" * 2, "the shape [1] has 1 elements, and 2 were sent"),
    ],
)
async def test_strings_that_lie_are_told(client: httpx.AsyncClient, raw: bytes, words: str) -> None:
    body, headers = in_bytes({"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES"}]}, [raw])
    assert_refused(await client.post(ECHO, content=body, headers=headers), 400, words)


@pytest.mark.parametrize("length", ["-1", "5", "1e3", "٣", "", "9" * 30])
async def test_the_length_of_the_json_has_to_be_one(client: httpx.AsyncClient, length: str) -> None:
    headers = {LENGTH.encode(): length.encode()}
    assert_refused(await client.post(ECHO, content=b"{}", headers=headers), 400, "Inference-Header-Content-Length")


async def test_bytes_without_json_are_pixels_or_nothing(client: httpx.AsyncClient) -> None:
    nothing = {LENGTH: "0"}
    assert_refused(await client.post(ECHO, content=b"12345", headers=nothing), 400, "no whole number of items of 4")
    assert_refused(await client.post(ECHO, content=b"", headers=nothing), 400)
    assert_refused(await client.post("/v2/models/murmur/infer", content=b"1234", headers=nothing), 400, "one input")


async def test_other_kinds_of_body_are_415(client: httpx.AsyncClient) -> None:
    for headers in ({"content-type": "text/plain"}, {"content-encoding": "br"}):
        assert_refused(await client.post(ECHO, content=b"{}", headers=headers), 415)


@pytest.mark.parametrize("member", ["inputs", "outputs"])
async def test_numbers_where_tensors_belong_are_not_looked_at_one_by_one(
    client: httpx.AsyncClient, member: str
) -> None:
    body = {"inputs": [IMAGE], member: [1] * 30_000}
    assert_refused(await client.post(ECHO, json=body), 400, "more than 20,000 members")


async def test_what_is_no_json_is_400(client: httpx.AsyncClient) -> None:
    for body in (b"", b"{", b"\xff", b"[" * 2000):
        assert_refused(await client.post(ECHO, content=body), 400)


async def test_a_string_of_many_and_a_long_one_take_no_more_memory_than_they_have(client: httpx.AsyncClient) -> None:
    given = files(*["A"] * 4097)
    assert_refused(await client.post(ECHO, json={"inputs": [given]}), 400, "at most 4,096 of BYTES")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    """A service of doubles that is asked from another thread."""
    with pytest.MonkeyPatch.context() as patch:
        for name, double in DOUBLES.items():
            patch.setitem(NETS, name, double)
        with doubled_service(tmp_path_factory.mktemp("service")) as asker:
            yield asker


SHAPES = st.lists(st.one_of(st.integers(-2, 4), st.sampled_from([HUGE, 2**63, 2**64])), max_size=5)
DATA = st.recursive(
    st.one_of(st.integers(-5, 300), st.floats(width=32), st.booleans(), st.none(), st.text(max_size=3)),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)
PARAMETERS = st.dictionaries(
    st.sampled_from(["binary_data_size", "value_range", "top_k", "as_is", "timeout", "classification", "x"]),
    st.one_of(st.integers(-3, 20), st.booleans(), st.text(max_size=3), st.none(), st.lists(st.integers(), max_size=1)),
    max_size=2,
)
INPUT = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["image", "seed", "count", "history", "horizon", ""]),
        "shape": st.one_of(SHAPES, st.none()),
        "datatype": st.sampled_from([*NUMBERS, BYTES, "BF16", ""]),
    },
    optional={"data": DATA, "parameters": PARAMETERS},
)
REQUEST = st.fixed_dictionaries(
    {"inputs": st.lists(INPUT, max_size=3)},
    optional={
        "parameters": PARAMETERS,
        "outputs": st.lists(
            st.fixed_dictionaries(
                {"name": st.sampled_from(["probabilities", "labels", "images", "forecast", "low", "no"])},
                optional={"parameters": PARAMETERS},
            ),
            max_size=2,
        ),
        "id": st.text(max_size=3),
    },
)


@drawn(
    model=st.sampled_from(["echo", "doodle", "murmur"]),
    asked=REQUEST,
    behind=st.binary(max_size=12),
    length=st.one_of(st.none(), st.integers(-1, 400).map(str), st.just("all"), st.text("0129 -x", max_size=4)),
)
def test_no_request_is_a_failure_of_the_service(
    service: Asker, model: str, asked: dict[str, Any], behind: bytes, length: str | None
) -> None:
    head = json.dumps(asked).encode()
    told = str(len(head)) if length == "all" else length
    headers = {} if told is None else {LENGTH: told.encode()}
    reply = service.ask("POST", f"/v2/models/{model}/infer", content=head + behind, headers=headers)
    if reply.status_code != 200:
        assert_refused(reply, 400)
