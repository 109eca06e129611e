import asyncio
import io
import struct
import zlib
from collections.abc import Callable

import httpx
import numpy as np
import pytest
from api.asking import Caller, assert_problem, connect, in_pieces, ways
from api.describing import document_of
from doubles import BAD, FakeEngine, Slow, Unanswering, echoed, images, likely, worked_on
from PIL import Image
from waiting import eventually

from service.api.gate import Application
from service.api.inference.classify import Asked
from service.errors import DeadlineExceeded, EngineUnavailable, ModelFailed, Overloaded
from service.imaging import encode_png
from service.operations.classify import TOP_K_LIMIT
from service.runtime.calls import Call, LoadedModel
from service.runtime.in_process import LocalEngine
from service.store import ModelStore

pytestmark = pytest.mark.usefixtures("both_ways")

PNG = {"content-type": "image/png"}
MakeApp = Callable[..., Application]


def picture(first: int) -> bytes:
    """A PNG that Echo knows by its first pixel."""
    return encode_png(images(first)[0])


def form(*files: tuple[str, bytes]) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [("image", (name, data, "image/png")) for name, data in files]


async def test_one_image_is_answered_with_its_likeliest_labels_first(
    client: httpx.AsyncClient, store: ModelStore
) -> None:
    reply = await client.post("/classify", content=picture(200), headers=PNG)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    body = reply.json()
    assert (body["model"], body["version"]) == ("echo", store.get("echo").version)
    [prediction] = body["predictions"]
    assert prediction["name"] is None
    assert [label["label"] for label in prediction["labels"]] == ["a", "b", "c", "d"]
    assert prediction["labels"][0]["index"] == 0
    found = [label["probability"] for label in prediction["labels"]]
    np.testing.assert_allclose(found, likely(200)[0], atol=1e-6)


@pytest.mark.parametrize("kind", ["application/octet-stream", "image/bmp", "IMAGE/PNG; charset=binary", None])
async def test_the_bytes_say_what_they_are(client: httpx.AsyncClient, kind: str | None) -> None:
    stream = io.BytesIO()
    Image.fromarray(images(9)[0, :, :, 0]).save(stream, "BMP")
    headers = {} if kind is None else {"content-type": kind}
    reply = await client.post("/classify?top_k=1", content=stream.getvalue(), headers=headers)
    assert [label["label"] for label in reply.json()["predictions"][0]["labels"]] == ["a"]


async def test_a_colour_photograph_becomes_what_the_model_reads(client: httpx.AsyncClient) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (640, 480), "white").save(stream, "JPEG")
    reply = await client.post("/classify", content=stream.getvalue(), headers={"content-type": "image/jpeg"})
    assert [label["probability"] for label in reply.json()["predictions"][0]["labels"]] == [0.25] * 4


async def test_a_form_is_answered_in_the_order_sent_with_what_cannot_be_read_in_its_place(
    client: httpx.AsyncClient,
) -> None:
    files = form(("one.png", picture(1)), ("broken.png", picture(2)[:-30]), ("ünï.png", picture(3)), ("none", b""))
    reply = await client.post("/classify?top_k=2", files=files)
    assert reply.status_code == 200
    predictions = reply.json()["predictions"]
    assert [prediction["name"] for prediction in predictions] == ["one.png", "broken.png", "ünï.png", "none"]
    for place, first in ((0, 1), (2, 3)):
        assert len(predictions[place]["labels"]) == 2
        assert predictions[place]["labels"][0]["probability"] == pytest.approx(likely(first)[0, 0], abs=1e-6)
    for place in (1, 3):
        assert predictions[place]["error"]["status"] == 422
        assert predictions[place]["error"]["title"] == "The image cannot be read"
        assert "labels" not in predictions[place]


async def test_a_form_of_nothing_readable_asks_no_engine(make_app: MakeApp) -> None:
    engine = FakeEngine()
    async with connect(make_app(engine)) as client:
        reply = await client.post("/classify", files=form(("a", b"x"), ("b", b"y")))
    assert reply.status_code == 200
    assert ["error" in prediction for prediction in reply.json()["predictions"]] == [True, True]
    assert engine.calls == []


async def test_many_callers_at_once_get_each_its_own_answer(client: httpx.AsyncClient) -> None:
    replies = await asyncio.gather(
        *(client.post("/classify", content=picture(first), headers=PNG) for first in range(1, 61))
    )
    found = [reply.json()["predictions"][0]["labels"][0]["probability"] for reply in replies]
    np.testing.assert_allclose(found, likely(*range(1, 61))[:, 0], atol=1e-6)
    assert max(map(len, worked_on())) > 1


def enormous_png() -> bytes:
    """A few bytes that say they are 20,000×20,000 pixels, and are: one row's worth of zeros compresses well."""
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(60_001) * 10, 9)
    chunks = [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")]
    packed = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize(
    ("query", "kind", "content", "status", "detail"),
    [
        ("?model=nobody", "image/png", picture(1), 404, "There is no model called 'nobody'"),
        ("?model=..%2Fecho", "image/png", picture(1), 404, "There is no model"),
        (f"?model={'x' * 5000}", "image/png", picture(1), 404, "There is no model"),
        ("?model=doodle", "image/png", picture(1), 409, "doodle does generate, not classify"),
        (
            "?modle=echo",
            "image/png",
            picture(1),
            422,
            "/classify has no parameter modle; it has model, version, top_k and as_is.",
        ),
        ("?model=echo&model=slow", "image/png", picture(1), 422, "model can be given only once."),
        ("?top_k=0", "image/png", picture(1), 422, "top_k: must be a whole number"),
        (f"?top_k={TOP_K_LIMIT + 1}", "image/png", picture(1), 422, "from 1 to 1000"),
        ("?top_k=three", "image/png", picture(1), 422, "top_k"),
        ("?top_k=", "image/png", picture(1), 422, "top_k"),
        ("?top_k=%C2%B2", "image/png", picture(1), 422, "top_k"),
        (f"?top_k={'9' * 5000}", "image/png", picture(1), 422, "top_k"),
        ("", "image/png", b"", 422, "The body is empty"),
        ("", "image/png", picture(1)[:-20], 422, "The PNG is damaged"),
        ("", "image/png", b"\x89PNG\r\n\x1a\n", 422, ""),
        ("", "image/png", b"GIF89a", 422, ""),
        ("", "image/png", enormous_png(), 422, "The image is 20000×20000; at most 16,777,216 pixels"),
        ("", "text/plain", b"seven", 415, "text/plain is not read here"),
        ("", "application/xml", b"<a/>", 415, "application/xml is not read here"),
        ("", "multipart/mixed; boundary=x", b"--x--", 415, "multipart/mixed is not read here"),
        ("", "multipart/form-data", b"--x--", 422, "needs a boundary"),
        ("", "multipart/form-data; boundary=x", b"", 422, "ends before its last boundary"),
        ("", "multipart/form-data; boundary=x", b"garbage", 422, "malformed"),
        ("", "multipart/form-data; boundary=x", b"--x\r\nContent-Dispo", 422, "ends before its last boundary"),
        ("", "multipart/form-data; boundary=x", b"--x\r\nA: b\r\n\r\nc\r\n--x--\r\n", 422, "has no name"),
        ("", "multipart/form-data; boundary=x", b"--x--\r\n", 422, ""),
    ],
)
async def test_what_is_wrong_is_said(
    client: httpx.AsyncClient, query: str, kind: str, content: bytes, status: int, detail: str
) -> None:
    reply = await client.post(f"/classify{query}", content=content, headers={"content-type": kind})
    assert_problem(reply, status, detail)
    if "top_k" in query:
        assert reply.json()["errors"] == [{"field": "top_k", "message": "must be a whole number from 1 to 1000"}]


@pytest.mark.parametrize("value", ["soon", "-5", "0", "nan", "inf", "", "1e99"])
async def test_a_deadline_is_a_positive_number(client: httpx.AsyncClient, value: str) -> None:
    reply = await client.post("/classify", content=picture(1), headers={**PNG, "x-deadline-ms": value})
    assert_problem(reply, 422, "X-Deadline-Ms must be a positive number")


@pytest.mark.parametrize("kind", ["image/png", "multipart/form-data; boundary=x"])
async def test_a_body_over_the_limit_is_not_read_whole(make_app: MakeApp, kind: str) -> None:
    app = make_app(FakeEngine(), body_limit_bytes=1000)
    head = b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\n' if "form" in kind else b""
    async with connect(app) as client:
        told = await client.post("/classify", content=head + bytes(100_000), headers={"content-type": kind})
        taken: list[int] = []
        untold = await client.post(
            "/classify", content=in_pieces(head + bytes(100_000), 100, taken), headers={"content-type": kind}
        )
    assert_problem(told, 413, "at most 1,000 are read")
    assert_problem(untold, 413, "larger than 1,000 bytes")
    assert len(taken) <= 12 or ways["over sockets"]  # where the system takes what nobody has read


async def test_a_body_of_exactly_the_limit_is_read(make_app: MakeApp) -> None:
    async with connect(make_app(FakeEngine(), body_limit_bytes=1000)) as client:
        assert_problem(await client.post("/classify", content=bytes(1000)), 422)
        assert_problem(await client.post("/classify", content=bytes(1001)), 413)


async def test_a_full_queue_is_told_at_once_and_when_to_come_again(
    client: httpx.AsyncClient, engine: LocalEngine
) -> None:
    held = asyncio.create_task(client.post("/classify?model=slow", content=picture(250), headers=PNG))
    await eventually(Slow.entered.is_set)
    waiting = asyncio.create_task(engine.submit(Call("slow", "classify"), [images(*range(1, 65))]))
    await asyncio.sleep(0)
    refused = await client.post("/classify?model=slow", content=picture(251), headers=PNG)
    Slow.let_go.set()
    assert_problem(refused, 429, "64 rows already wait for slow")
    assert int(refused.headers["retry-after"]) >= 1
    assert (await held).status_code == 200
    assert len((await waiting)[0]) == 64
    assert all(251 not in batch for batch in worked_on())


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (Overloaded("full"), 429, "1"),
        (Overloaded("full").again_in(5.12), 429, "6"),
        (EngineUnavailable("no engine"), 503, "2"),
        (DeadlineExceeded("late"), 504, None),
        (ModelFailed("echo raised ValueError on this input."), 500, None),
    ],
)
async def test_what_the_engine_met_is_the_answer(
    make_app: MakeApp, error: Exception, status: int, retry_after: str | None
) -> None:
    async with connect(make_app(FakeEngine(error))) as client:
        reply = await client.post("/classify", content=picture(1), headers=PNG)
    assert_problem(reply, status, str(error))
    assert reply.headers.get("retry-after") == retry_after
    assert reply.json().get("retry_after_s") == vars(error).get("retry_after_s")


async def test_a_model_that_raises_answers_500_without_its_words(client: httpx.AsyncClient) -> None:
    reply = await client.post("/classify?model=failing", content=picture(BAD), headers=PNG)
    assert_problem(reply, 500, "failing raised ArithmeticError on this input.")
    assert "secret" not in reply.text
    after = await client.post("/classify?model=failing", content=picture(7), headers=PNG)
    assert after.status_code == 200


async def test_a_bug_answers_500_without_its_words(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    async with connect(make_app(FakeEngine(RuntimeError("a secret path")))) as client:
        reply = await client.post("/classify", content=picture(1), headers={**PNG, "x-request-id": "r7"})
    assert_problem(reply, 500, "logged under this request's X-Request-Id")
    assert "secret" not in reply.text
    assert "r7" in caplog.text
    assert "a secret path" in caplog.text


async def test_a_deadline_reaches_the_engine_and_late_work_is_not_done(client: httpx.AsyncClient) -> None:
    held = asyncio.create_task(client.post("/classify?model=slow", content=picture(250), headers=PNG))
    await eventually(Slow.entered.is_set)
    late = await client.post("/classify?model=slow", content=picture(1), headers={**PNG, "x-deadline-ms": "1"})
    Slow.let_go.set()
    assert_problem(late, 504, "The deadline passed before there was an answer")
    assert (await held).status_code == 200
    assert worked_on() == [[250]]


async def test_what_a_request_says_about_itself_reaches_the_engine(make_app: MakeApp) -> None:
    engine = FakeEngine([echoed(1)])
    async with connect(make_app(engine)) as client:
        await client.post("/classify", content=picture(1), headers={**PNG, "x-request-id": "r1", "x-deadline-ms": "9"})
        await client.post("/classify", content=picture(1), headers=PNG)
    (call, lane, deadline, request_id), (_, _, without, _) = engine.calls
    assert (call.model, call.verb, lane.value, request_id) == ("echo", "classify", "interactive", "r1")
    assert deadline is not None
    assert without is None


async def test_a_caller_that_hangs_up_takes_its_work_out_of_the_queue(make_app: MakeApp) -> None:
    engine = Unanswering()
    app = make_app(engine)
    caller = Caller([picture(1)])
    asking = asyncio.create_task(caller.ask(app, "POST", "/classify", PNG))
    await engine.asked.wait()
    caller.gone.set()
    await engine.dropped.wait()
    await asking
    assert caller.sent == []
    assert b'chapterhouse_requests_total{code="499",endpoint="/classify"} 1.0' in app.gate.instruments.exposition(None)
    assert app.gate.open == 0


async def test_a_caller_that_hangs_up_before_its_body_is_whole_asks_nothing(make_app: MakeApp) -> None:
    engine = FakeEngine()
    caller = Caller([picture(1)[:10]], ends=False)
    caller.gone.set()
    await caller.ask(make_app(engine), "POST", "/classify", PNG)
    assert (caller.sent, engine.calls) == ([], [])


async def test_stopping_the_server_is_no_hanging_up(make_app: MakeApp) -> None:
    engine = Unanswering()
    asking = asyncio.create_task(Caller([picture(1)]).ask(make_app(engine), "POST", "/classify", PNG))
    await engine.asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_only_post_is_read(client: httpx.AsyncClient) -> None:
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        reply = await client.request(method, "/classify")
        assert_problem(reply, 405)
        assert reply.headers["allow"] == "POST"


async def test_the_gate_knows_the_parameters_that_the_route_declares(app: Application) -> None:
    described = document_of(app)["paths"]["/classify"]["post"]["parameters"]
    declared = {parameter["name"] for parameter in described if parameter.get("in") == "query"}
    assert declared == set(Asked._fields)


@pytest.mark.parametrize("fields", [{"model": "slow", "top_k": "1"}, {"top_k": " 1 ", "as_is": "true"}])
async def test_what_a_form_says_beside_its_images_counts(client: httpx.AsyncClient, fields: dict[str, str]) -> None:
    Slow.let_go.set()
    reply = await client.post("/classify", files=form(("a", picture(200))), data=fields)
    assert reply.status_code == 200
    body = reply.json()
    assert body["model"] == fields.get("model", "echo")
    assert [len(prediction["labels"]) for prediction in body["predictions"]] == [1]


@pytest.mark.parametrize(
    ("query", "fields", "words"),
    [
        ("?top_k=1", {"top_k": "2"}, "top_k: is given twice"),
        ("", {"top_k": "many"}, "top_k: must be a whole number"),
        ("", {"as_is": "perhaps"}, "as_is: must be one of true, 1, false, 0"),
    ],
)
async def test_fields_of_a_form_that_ask_nothing_are_refused(
    client: httpx.AsyncClient, query: str, fields: dict[str, str], words: str
) -> None:
    assert_problem(await client.post(f"/classify{query}", files=form(("a", picture(1))), data=fields), 422, words)


async def test_what_was_done_to_an_image_is_said(client: httpx.AsyncClient) -> None:
    stream = io.BytesIO()
    Image.new("RGBA", (4, 2), (255, 0, 0, 100)).save(stream, "PNG")
    reply = await client.post("/classify", content=stream.getvalue(), headers=PNG)
    assert reply.json()["predictions"][0]["notes"] == [
        "The image was transparent in places and was laid over black.",
        "The image was resized from 2×4 to 2×2.",
        "The image was converted to grey.",
    ]


async def test_the_answer_names_the_form_in_which_it_was_computed(make_app: MakeApp, client: httpx.AsyncClient) -> None:
    reply = await client.post("/classify", content=picture(200), headers=PNG)
    assert reply.headers["x-model-form"] == "plain"
    faster = FakeEngine([echoed(200)], held={"echo": LoadedModel("1", "ready", "cpu", "folded")})
    async with connect(make_app(faster)) as other:
        reply = await other.post("/classify", content=picture(200), headers=PNG)
    assert reply.headers["x-model-form"] == "folded"
