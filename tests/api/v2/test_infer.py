import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from api.asking import connect
from api.v2.speaking import ECHO, LENGTH, assert_refused, files, in_bytes, outputs_of, tensor
from doubles import CLASSIFIER, Echo, add_forecaster, add_model, add_several, images, likely, worked_on

from service.datasets.mackey_glass import mackey_glass
from service.imaging import encode_png
from service.operations.inference.tensors import Tensor
from service.runtime.in_process import LocalEngine
from service.store import Model

EXTRACTOR = (
    CLASSIFIER.format(net="echo").replace('"classify"', '"features"').replace('labels = ["a", "b", "c", "d"]', "")
)
HISTORY = mackey_glass(300)[:, 0]


def encoded(first: int) -> bytes:
    return encode_png(images(first)[0])


def text(first: int) -> str:
    return base64.b64encode(encoded(first)).decode()


@pytest.fixture
async def client(make_app: Any, engine: LocalEngine, models_dir: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service that has a model of every task."""
    add_forecaster(models_dir)
    add_several(models_dir)
    add_model(models_dir, "eye", Echo(), EXTRACTOR)
    async with connect(make_app(engine)) as client:
        yield client


async def infer(client: httpx.AsyncClient, model: str, *inputs: dict[str, Any], **more: Any) -> httpx.Response:
    return await client.post(f"/v2/models/{model}/infer", json={"inputs": inputs, **more})


async def test_pixels_are_classified(client: httpx.AsyncClient, models_dir: Path) -> None:
    reply = await infer(client, "echo", tensor("image", images(51, 204)), id="mine")
    document = reply.json()
    assert (document["model_name"], document["id"]) == ("echo", "mine")
    assert document["model_version"] == reply.headers["x-model-version"] == Model(models_dir / "echo").version
    assert reply.headers["x-model-form"] == "plain"
    assert document["parameters"] == {"calibrated": False}
    found = outputs_of(reply)
    assert list(found) == ["probabilities", "labels", "indices", "notes"]
    np.testing.assert_allclose(found["probabilities"], likely(51, 204), rtol=1e-6)
    assert found["labels"].tolist()[0] == [b"a", b"b", b"c", b"d"]
    assert found["indices"].tolist() == [[0, 1, 2, 3]] * 2
    assert found["notes"].tolist() == [b"", b""]


async def test_tensors_go_and_come_as_bytes(client: httpx.AsyncClient) -> None:
    pixels = images(51, 204)
    asked = {"inputs": [{"name": "image", "shape": [2, 2, 2, 1], "datatype": "UINT8"}]}
    for more, comes in (
        ({"parameters": {"binary_data_output": True}}, True),
        ({"outputs": [{"name": "labels", "parameters": {"binary_data": True}}, {"name": "probabilities"}]}, True),
        (
            {
                "parameters": {"binary_data_output": True},
                "outputs": [{"name": "labels", "parameters": {"binary_data": False}}],
            },
            False,
        ),
    ):
        body, headers = in_bytes({**asked, **more}, [pixels.tobytes()])
        reply = await client.post(ECHO, content=body, headers=headers)
        assert (LENGTH in reply.headers) == comes
        found = outputs_of(reply)
        assert found["labels"].tolist() == [[b"a", b"b", b"c", b"d"]] * 2
        if "probabilities" in found:
            np.testing.assert_allclose(found["probabilities"], likely(51, 204), rtol=1e-6)


async def test_a_body_of_nothing_but_bytes_is_pixels(client: httpx.AsyncClient) -> None:
    reply = await client.post(ECHO, content=images(51, 204).tobytes(), headers={LENGTH: "0"})
    np.testing.assert_allclose(outputs_of(reply)["probabilities"], likely(51, 204), rtol=1e-6)
    assert reply.headers["content-type"] == "application/octet-stream"


async def test_image_files_are_read_as_classify_reads_them(client: httpx.AsyncClient) -> None:
    own = (await client.post("/classify?model=echo", content=encoded(51))).json()["predictions"][0]["labels"]
    url = f"data:image/png;base64,{text(204)}"
    found = outputs_of(await infer(client, "echo", files(text(51), url), parameters={"top_k": 2}))
    assert found["probabilities"][0, 0] == pytest.approx(own[0]["probability"])
    assert found["labels"].tolist() == [[b"a", b"b"]] * 2
    raw = Tensor.of("image", "BYTES", np.array([encoded(51), encoded(204)], object)).raw()
    asked = {"inputs": [{"name": "image", "shape": [2, 1], "datatype": "BYTES"}]}
    body, headers = in_bytes(asked, [raw])
    again = outputs_of(await client.post(ECHO, content=body, headers=headers))
    assert again["probabilities"].tolist() == found["probabilities"].tolist()


async def test_what_was_done_to_a_file_is_said(client: httpx.AsyncClient) -> None:
    large = base64.b64encode(encode_png(np.zeros((4, 4, 3), np.uint8))).decode()
    [note] = outputs_of(await infer(client, "echo", files(large)))["notes"].tolist()
    assert b"resized from 4\xc3\x974 to 2\xc3\x972" in note
    assert b"converted to grey" in note


@pytest.mark.parametrize(
    ("values", "meaning"), [(images(51) / 255, "0,1"), (images(51) / 127.5 - 1, "-1, 1"), (images(51), "0,255")]
)
async def test_real_pixels_mean_what_their_range_says(client: httpx.AsyncClient, values: Any, meaning: str) -> None:
    given = tensor("image", np.asarray(values, np.float32), value_range=meaning)
    np.testing.assert_allclose(outputs_of(await infer(client, "echo", given))["probabilities"], likely(51), rtol=1e-6)


async def test_channels_may_come_first(client: httpx.AsyncClient) -> None:
    reply = await infer(client, "echo", tensor("image", np.moveaxis(images(51), 3, 1)))
    np.testing.assert_allclose(outputs_of(reply)["probabilities"], likely(51), rtol=1e-6)


async def test_a_batch_costs_as_many_rows_as_it_has_in_batches_like_others(client: httpx.AsyncClient) -> None:
    firsts = list(range(1, 65))
    found = outputs_of(await infer(client, "echo", tensor("image", images(*firsts))))
    np.testing.assert_allclose(found["probabilities"], likely(*firsts), rtol=1e-6)
    assert sorted(first for batch in worked_on() for first in batch) == firsts
    assert len(worked_on()) == 8


async def test_outputs_come_as_they_are_named(client: httpx.AsyncClient) -> None:
    outputs = [{"name": "features"}, {"name": "probabilities", "parameters": {"classification": 2}}]
    found = outputs_of(await infer(client, "echo", tensor("image", images(51)), outputs=outputs))
    assert list(found) == ["features", "probabilities"]
    np.testing.assert_allclose(found["features"], [[0.2, 0, 0, 0]], rtol=1e-6)
    best, second = likely(51)[0, :2]
    assert found["probabilities"].tolist() == [[f"{best:f}:0:a".encode(), f"{second:f}:1:b".encode()]]


async def test_only_what_is_wanted_is_worked_on(client: httpx.AsyncClient) -> None:
    await infer(client, "echo", tensor("image", images(51)), outputs=[{"name": "features"}])
    assert worked_on() == [[51]]


async def test_an_extractor_gives_features(client: httpx.AsyncClient) -> None:
    found = outputs_of(await infer(client, "eye", tensor("image", images(51)), outputs=[{"name": "features"}]))
    np.testing.assert_allclose(found["features"], [[0.2, 0, 0, 0]], rtol=1e-6)


async def test_a_generator_draws_what_generate_draws(client: httpx.AsyncClient) -> None:
    seed, count = tensor("seed", np.array([7])), tensor("count", np.array([5], np.int32))
    found = outputs_of(await infer(client, "doodle", seed, count))
    own = await client.post("/generate", json={"model": "doodle", "seed": 7, "count": 5, "format": "npy"})
    assert found["images"].tobytes() == own.content[-20:]
    assert found["images"].shape == (5, 2, 2, 1)
    assert found["seed"].tolist() == [7]


async def test_a_seed_that_nobody_gave_is_told(client: httpx.AsyncClient) -> None:
    first = outputs_of(await infer(client, "dots", tensor("count", np.array([3])), parameters={"generator": 1}))
    seed = tensor("seed", first["seed"])
    again = outputs_of(await infer(client, "dots", seed, tensor("count", np.array([3])), parameters={"generator": 1}))
    assert first["points"].shape == (3, 2)
    assert again["points"].tolist() == first["points"].tolist()


async def test_a_path_between_latents_is_drawn(client: httpx.AsyncClient) -> None:
    given = (tensor("seed", np.array([7])), tensor("count", np.array([4])))
    found = outputs_of(await infer(client, "doodle", *given, parameters={"interpolate": 4}))
    own = {"model": "doodle", "seed": 7, "count": 4, "format": "npy", "interpolate": {"steps": 4}}
    assert found["images"].tobytes() == (await client.post("/generate", json=own)).content[-16:]


@pytest.mark.parametrize("fit", [False, True])
async def test_a_forecaster_says_what_forecast_says(client: httpx.AsyncClient, *, fit: bool) -> None:
    given = (tensor("history", HISTORY), tensor("horizon", np.array([6])))
    reply = await infer(client, "murmur", *given, parameters={"fit": fit, "level": 0.9})
    found = outputs_of(reply)
    own = {"model": "murmur", "history": HISTORY.tolist(), "horizon": 6, "fit": fit, "level": 0.9}
    document = (await client.post("/forecast", json=own)).json()
    assert found["forecast"].tolist() == document["forecast"]
    assert (found["low"].tolist(), found["high"].tolist()) == (
        document["interval"]["low"],
        document["interval"]["high"],
    )
    told = (reply.json().get("parameters") or {}).get("warnings", "")
    assert told == " ".join(f"{words}." for words in document["warnings"])


async def test_channels_of_a_series_stay_columns(client: httpx.AsyncClient) -> None:
    given = (tensor("history", HISTORY[:, None]), tensor("horizon", np.array([2], np.uint32)))
    found = outputs_of(await infer(client, "murmur", *given, outputs=[{"name": "forecast"}]))
    assert list(found) == ["forecast"]
    assert found["forecast"].shape == (2, 1)


async def test_a_large_request_of_json_is_read_beside_the_event_loop(client: httpx.AsyncClient) -> None:
    firsts = [place % 250 + 1 for place in range(4096)]
    reply = await infer(client, "echo", tensor("image", images(*firsts)), outputs=[{"name": "indices"}])
    assert outputs_of(reply)["indices"].shape == (4096, 4)
    nested = {**tensor("image", images(*firsts[:3000])), "data": images(*firsts[:3000]).tolist()}
    assert outputs_of(await infer(client, "echo", nested))["probabilities"].shape == (3000, 4)


async def test_a_version_is_this_one_or_none(client: httpx.AsyncClient, models_dir: Path) -> None:
    version = Model(models_dir / "echo").version
    given = {"inputs": [tensor("image", images(51))]}
    assert (await client.post(f"/v2/models/echo/versions/{version}/infer", json=given)).status_code == 200
    assert_refused(await client.post("/v2/models/echo/versions/1/infer", json=given), 404, f"{version} here, not '1'")


async def test_a_deadline_is_kept_however_it_is_given(client: httpx.AsyncClient) -> None:
    given = tensor("image", images(1))
    assert (await infer(client, "echo", given, parameters={"timeout": 60_000_000})).status_code == 200
    for late in ({"parameters": {"timeout": 1}}, {}):
        headers = {} if late else {"x-deadline-ms": "0.001"}
        reply = await client.post("/v2/models/slow/infer", json={"inputs": [given], **late}, headers=headers)
        assert_refused(reply, 504)


async def test_a_failing_model_tells_no_secret(client: httpx.AsyncClient) -> None:
    reply = await infer(client, "failing", tensor("image", images(255)))
    assert_refused(reply, 500)
    assert "secret" not in reply.text


async def test_what_is_too_long_for_json_comes_as_bytes_alone(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.api.v2.messages.JSON_NUMBERS", 8)
    given = tensor("image", images(1, 2, 3))
    assert_refused(await infer(client, "echo", given), 400, "more than 8 come as bytes alone")
    assert outputs_of(await infer(client, "echo", given, parameters={"binary_data_output": True}))
