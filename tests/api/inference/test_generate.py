import asyncio
import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import numpy as np
import pytest
from api.asking import Caller, assert_problem, connect, in_pieces
from doubles import FakeEngine, Unanswering, add_several
from numpy.typing import NDArray

from service.api.gate import Application
from service.errors import DeadlineExceeded, EngineUnavailable, ModelFailed, Overloaded
from service.imaging import decode, tile
from service.packing.images import Grid
from service.runtime.calls import Array, Call, Lane
from service.store import ModelStore

MakeApp = Callable[..., Application]
JSON = {"content-type": "application/json"}


def unpacked(reply: httpx.Response) -> NDArray[np.uint8]:
    """The images of an npz, an npy or a zip."""
    if reply.headers["content-type"] == "application/x-npz":
        with np.load(io.BytesIO(reply.content), allow_pickle=False) as arrays:
            assert arrays.files == ["images"]
            images: NDArray[np.uint8] = arrays["images"]
            return images
    if reply.headers["content-type"] == "application/x-npy":
        array: NDArray[np.uint8] = np.load(io.BytesIO(reply.content), allow_pickle=False)
        return array
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == sorted(archive.namelist())
        return np.stack([decode(archive.read(name), limit_pixels=100) for name in archive.namelist()])


async def draw(client: httpx.AsyncClient, **asked: object) -> httpx.Response:
    reply = await client.post("/generate", json=asked)
    assert reply.status_code == 200, reply.text
    return reply


async def test_image_i_of_a_seed_is_the_same_whatever_the_count_the_format_and_the_lane(
    client: httpx.AsyncClient,
) -> None:
    whole = unpacked(await draw(client, seed=5, count=300, format="npz"))
    assert whole.shape == (300, 2, 2, 1)
    assert whole.dtype == np.uint8
    assert len(np.unique(whole.reshape(300, 4), axis=0)) > 290
    for count in (1, 3, 4, 5, 30):
        for kind in ("npz", "npy", "zip"):
            few = unpacked(await draw(client, seed=5, count=count, format=kind))
            assert few.tobytes() == whole[:count].tobytes()
    grid = await draw(client, seed=5, count=10)
    assert grid.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(decode(grid.content, limit_pixels=10_000), tile(whole[:10]))


async def test_a_grid_of_one_is_the_image_itself_without_a_border(client: httpx.AsyncClient) -> None:
    [image] = unpacked(await draw(client, seed=5, count=1, format="npz"))
    np.testing.assert_array_equal(decode((await draw(client, seed=5, count=1)).content, limit_pixels=10_000), image)


@pytest.mark.parametrize("kind", ["npz", "zip", "png"])
async def test_the_same_seed_gives_the_same_bytes(client: httpx.AsyncClient, kind: str) -> None:
    asked = {"seed": 3, "count": 21, "format": kind}
    replies = await asyncio.gather(*(draw(client, **asked) for _ in range(3)), draw(client, seed=4, count=100))
    assert len({reply.content for reply in replies[:3]}) == 1


async def test_an_answer_says_how_to_have_it_again(client: httpx.AsyncClient, store: ModelStore) -> None:
    first = await draw(client, count=4, format="npz")
    again = await draw(client, count=4, format="npz", seed=int(first.headers["x-seed"]))
    other = await draw(client, count=4, format="npz")
    assert first.content == again.content
    assert first.headers["x-seed"] != other.headers["x-seed"]
    told = [first.headers[name] for name in ("x-model", "x-model-version", "x-count")]
    assert told == ["doodle", store.get("doodle").version, "4"]
    assert int(first.headers["x-seed"]) < 2**53  # what every reader of JSON holds exactly
    name = f"doodle-{first.headers['x-seed']}.npz"
    assert first.headers["content-disposition"] == f'attachment; filename="{name}"'


async def test_images_are_counted_once_they_are_drawn(make_app: MakeApp, app: Application) -> None:
    async with connect(app) as client:
        for kind in ("npz", "zip", "png"):
            await draw(client, count=7, format=kind)
    counted = b'chapterhouse_images_generated_total{model="doodle"} 21.0'
    assert counted in app.gate.instruments.exposition(None)
    refused = make_app(FakeEngine(Overloaded("full")))
    async with connect(refused) as client:
        await client.post("/generate", json={"count": 7})
    assert b"chapterhouse_images_generated_total{" not in refused.gate.instruments.exposition(None)


@pytest.mark.parametrize(
    ("asked", "status", "detail"),
    [
        ({"model": "nobody"}, 404, "There is no model called 'nobody'"),
        ({"model": "echo"}, 409, "echo does classify, not generate"),
        ({"count": 0}, 422, "count: Input should be greater than or equal to 1"),
        ({"count": -1}, 422, "count"),
        ({"count": 1.5}, 422, "count"),
        ({"count": "many"}, 422, "count: Input should be a number"),
        ({"count": "4"}, 422, "count: Input should be a number"),
        ({"count": True}, 422, "count: Input should be a number"),
        ({"count": (Grid.limit or 0) + 1}, 422, "count: at most 1,024 images as png; ask for one of zip, npz, npy"),
        ({"count": 10**30, "format": "npz"}, 422, "count: "),
        ({"count": 5001, "format": "npz"}, 422, "count: at most 5,000 images"),
        ({"seed": -1}, 422, "seed"),
        ({"seed": 2**63}, 422, "seed"),
        ({"format": "gif"}, 422, "format: Input should be 'json', 'npy', 'npz', 'png', 'svg' or 'zip'"),
        ({"format": "PNG"}, 422, "format: Input should be"),
        ({"format": "json"}, 422, "format: doodle draws images"),
        ({"generator": 0}, 422, "generator: doodle has one generator"),
        ({"generator": -1}, 422, "generator: Input should be greater than or equal to 0"),
        ({"interpolate": 3}, 422, "interpolate"),
        ({"interpolate": {}}, 422, "interpolate"),
        ({"interpolate": {"steps": 1}}, 422, "interpolate"),
        ({"interpolate": {"steps": 257}}, 422, "interpolate"),
        ({"sead": 3}, 422, "sead: Extra inputs are not permitted"),
        ({"model": 7}, 422, "model"),
        ([], 422, ""),
        ("text", 422, ""),
        (None, 422, ""),
    ],
)
async def test_what_is_wrong_is_said(make_app: MakeApp, asked: object, status: int, detail: str) -> None:
    async with connect(make_app(FakeEngine(), generate_limit=5000)) as client:
        reply = await client.post("/generate", json=asked)
    assert_problem(reply, status, detail)
    if status == 422 and isinstance(asked, dict):
        [field] = asked.keys() - {"format"} or {"format"}
        assert [error["field"].partition(".")[0] for error in reply.json()["errors"]] == [field]


@pytest.mark.parametrize(
    ("content", "kind", "status", "detail"),
    [
        (b"", "application/json", 422, "The body is empty"),
        (b"", None, 422, "The body is empty"),
        (b"{", "application/json", 422, "The body is not JSON"),
        (b'{"count": NaN}', "application/json", 422, "The body is not JSON"),
        (b"\xff\xfe{", "application/json", 422, "The body is not JSON"),
        (b"[" * 100_000, "application/json", 422, "The body is not JSON"),
        (b"count=3", "application/x-www-form-urlencoded", 415, "application/x-www-form-urlencoded is not read here"),
        (b"{}", "text/plain", 415, "send application/json"),
        (b"{}", None, 415, "A body without a type is not read here"),
    ],
)
async def test_only_json_is_read(
    client: httpx.AsyncClient, content: bytes, kind: str | None, status: int, detail: str
) -> None:
    headers = {} if kind is None else {"content-type": kind}
    assert_problem(await client.post("/generate", content=content, headers=headers), status, detail)


async def test_a_body_over_the_limit_is_not_read_whole(make_app: MakeApp) -> None:
    body = b'{"model": "' + b"x" * 100_000 + b'"}'
    async with connect(make_app(FakeEngine(), body_limit_bytes=1000)) as client:
        assert_problem(await client.post("/generate", content=body, headers=JSON), 413, "at most 1,000 are read")
        taken: list[int] = []
        untold = await client.post("/generate", content=in_pieces(body, 100, taken), headers=JSON)
    assert_problem(untold, 413, "larger than 1,000 bytes")
    assert len(taken) <= 12


@pytest.mark.parametrize("kind", ["npz", "zip", "png"])
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Overloaded("full"), 429),
        (EngineUnavailable("none"), 503),
        (DeadlineExceeded("late"), 504),
        (ModelFailed("doodle raised ValueError on this input."), 500),
        (RuntimeError("a secret path"), 500),
    ],
)
async def test_what_the_engine_met_first_is_a_problem(
    make_app: MakeApp, error: Exception, status: int, kind: str
) -> None:
    async with connect(make_app(FakeEngine(error))) as client:
        reply = await client.post("/generate", json={"count": 100, "format": kind})
    assert_problem(reply, status)
    assert "secret" not in reply.text
    assert ("retry-after" in reply.headers) == (status in (429, 503))


class Running(FakeEngine):
    """Draws black images until it has drawn enough; says when it is well under way."""

    def __init__(self, *, enough: int, then: Exception) -> None:
        super().__init__()
        self.enough = enough
        self.then = then
        self.under_way = asyncio.Event()

    async def submit(
        self,
        call: Call,
        arrays: Sequence[Array],
        *,
        lane: Lane = Lane.INTERACTIVE,
        deadline: float | None = None,
        request_id: str = "",
    ) -> list[Array]:
        """Black images, or what is raised then."""
        await super().submit(call, arrays, lane=lane, deadline=deadline, request_id=request_id)
        if len(self.calls) == 5:
            self.under_way.set()
        if len(self.calls) > self.enough:
            raise self.then
        return [np.zeros((len(arrays[0]), 2, 2, 1), np.uint8)]


async def test_an_archive_that_cannot_be_finished_breaks_off(make_app: MakeApp) -> None:
    app = make_app(Running(enough=10, then=ModelFailed("no more")))
    caller = Caller([b'{"count": 1000, "format": "npz"}'])
    with pytest.raises(Exception, match=r"already started|no more"):
        await caller.ask(app, "POST", "/generate", JSON)
    assert caller.sent[0]["status"] == 200
    assert all(message.get("more_body") for message in caller.sent[1:])  # the server below cuts the connection


async def test_a_caller_that_hangs_up_stops_the_drawing(make_app: MakeApp) -> None:
    engine = Unanswering()
    caller = Caller([b'{"count": 100}'])
    app = make_app(engine)
    asking = asyncio.create_task(caller.ask(app, "POST", "/generate", JSON))
    await engine.asked.wait()
    caller.gone.set()
    await engine.dropped.wait()
    await asking
    assert caller.sent == []
    assert app.gate.open == 0
    assert b'chapterhouse_requests_total{code="499",endpoint="/generate"} 1.0' in app.gate.instruments.exposition(None)


async def test_what_a_request_says_about_itself_reaches_the_engine(make_app: MakeApp) -> None:
    engine = Running(enough=100, then=ModelFailed("no more"))
    async with connect(make_app(engine)) as client:
        headers = {"x-request-id": "r1", "x-deadline-ms": "60000"}
        await client.post("/generate", json={"count": 9}, headers=headers)
        assert_problem(await client.post("/generate", json={}, headers={"x-deadline-ms": "soon"}), 422, "X-Deadline-Ms")
    assert len(engine.calls) == 2
    assert {(call.model, call.verb, request_id) for call, _, _, request_id in engine.calls} == {
        ("doodle", "generate", "r1")
    }
    assert all(deadline is not None for _, _, deadline, _ in engine.calls)


@pytest.fixture
def several(models_dir: Path) -> None:
    """Models of several generators lie in the store, one of points and one of colours."""
    add_several(models_dir)


async def test_paths_are_rows_of_the_grid(client: httpx.AsyncClient) -> None:
    asked = {"seed": 2, "count": 15, "interpolate": {"steps": 5}}
    grid = decode((await draw(client, **asked)).content, limit_pixels=10_000)
    images = unpacked(await draw(client, **asked, format="npz"))
    np.testing.assert_array_equal(grid, tile(images, columns=5))
    ends = unpacked(await draw(client, seed=2, count=6, format="npz"))
    np.testing.assert_array_equal(images[[0, 4, 5, 9, 10, 14]], ends)


@pytest.mark.usefixtures("several")
async def test_points_come_as_a_document_an_array_or_a_plot(client: httpx.AsyncClient, store: ModelStore) -> None:
    asked = {"model": "dots", "seed": 2, "count": 300}
    document = (await draw(client, **asked)).json()
    assert {name: document[name] for name in ("model", "version", "seed", "deviation")} == {
        "model": "dots",
        "version": store.get("dots").version,
        "seed": 2,
        "deviation": 0.1,
    }
    assert document["modes"] == [[1, 0], [-1, 0]]
    points = np.array(document["points"], np.float32)
    assert points.shape == (300, 2)
    with np.load(io.BytesIO((await draw(client, **asked, format="npz")).content)) as arrays:
        np.testing.assert_array_equal(arrays["points"], points)
    few = await draw(client, **{**asked, "count": 3}, format="npy")
    np.testing.assert_array_equal(np.load(io.BytesIO(few.content)), points[:3])
    svg = await draw(client, **asked, format="svg")
    assert svg.headers["content-type"] == "image/svg+xml"
    assert b"300 points of dots" in svg.content
    png = await draw(client, **asked, format="png")
    assert decode(png.content, limit_pixels=10**6).shape[2] == 3
    assert "content-disposition" not in png.headers


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize(
    ("model", "accept", "kind"),
    [
        ("dots", "*/*", "application/json"),
        ("dots", "image/*", "image/png"),
        ("dots", "image/svg+xml, image/png;q=0.5", "image/svg+xml"),
        ("doodle", "*/*", "image/png"),
        ("doodle", "application/zip", "application/zip"),
    ],
)
async def test_accept_chooses_where_no_format_is_named(
    client: httpx.AsyncClient, model: str, accept: str, kind: str
) -> None:
    reply = await client.post("/generate", json={"model": model}, headers={"accept": accept})
    assert reply.headers["content-type"] == kind
    named = await client.post("/generate", json={"model": model, "format": "npz"}, headers={"accept": accept})
    assert named.headers["content-type"] == "application/x-npz"


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize(("model", "accept"), [("doodle", "application/json"), ("dots", "application/zip")])
async def test_what_a_model_does_not_draw_is_not_acceptable(client: httpx.AsyncClient, model: str, accept: str) -> None:
    reply = await client.post("/generate", json={"model": model}, headers={"accept": accept})
    assert_problem(reply, 406, "are")
    assert "image/png" in reply.json()["detail"]


@pytest.mark.usefixtures("several")
async def test_a_generator_is_chosen_by_its_number_and_colours_are_drawn(client: httpx.AsyncClient) -> None:
    drawn = [
        unpacked(await draw(client, model="colours", seed=1, count=9, generator=place, format="npz"))
        for place in range(3)
    ]
    assert {images.shape for images in drawn} == {(9, 28, 28, 3)}
    assert len({images.tobytes() for images in drawn}) == 3
    assert_problem(await client.post("/generate", json={"model": "colours", "generator": 3}), 422, "generators 0 to 2")
    grid = decode((await draw(client, model="colours", count=4)).content, limit_pixels=10_000)
    assert grid.shape == (62, 62, 3)
    for kind in ("npy", "zip"):
        reply = await draw(client, model="colours", seed=1, count=9, generator=0, format=kind)
        if kind == "npy":
            np.testing.assert_array_equal(unpacked(reply), drawn[0])


async def test_a_download_that_is_broken_off_stops_the_drawing(make_app: MakeApp) -> None:
    engine = Running(enough=10**6, then=ModelFailed("never"))
    app = make_app(engine, generate_limit=10**6)
    caller = Caller([b'{"count": 1000000, "format": "zip"}'])
    asking = asyncio.create_task(caller.ask(app, "POST", "/generate", JSON))
    await engine.under_way.wait()
    caller.gone.set()
    await asking
    assert len(engine.calls) < 1000
    assert len(asyncio.all_tasks()) == 1  # nobody is left who could ask for more
    assert app.gate.open == 0
