"""Images in JSON, and the one image of a form."""

import base64
from typing import Any

import httpx
import pytest
from api.asking import assert_problem
from doubles import images, likely

from service.imaging import encode_png


def text(first: int) -> str:
    return base64.b64encode(encode_png(images(first)[0])).decode()


async def labels(client: httpx.AsyncClient, **asked: Any) -> list[Any]:
    reply = await client.post("/classify", json=asked)
    assert reply.status_code == 200, reply.text
    predictions: list[Any] = reply.json()["predictions"]
    return predictions


@pytest.mark.parametrize(
    "written",
    [
        text(51),
        f"data:image/png;base64,{text(51)}",
        f"data:;BASE64,{text(51)}",
        text(51).rstrip("="),
        text(51).replace("+", "-").replace("/", "_"),
        "\n".join([text(51)[:40], text(51)[40:]]),
    ],
)
async def test_an_image_in_base64_is_classified(client: httpx.AsyncClient, written: str) -> None:
    [prediction] = await labels(client, image=written)
    assert prediction["labels"][0]["probability"] == pytest.approx(likely(51)[0, 0])


async def test_a_list_is_answered_in_its_order_and_a_bad_one_fails_alone(client: httpx.AsyncClient) -> None:
    first, bad, last = await labels(client, image=[text(51), "AAAA", text(204)], top_k=1, as_is=True, model="echo")
    assert first["labels"][0]["probability"] == pytest.approx(likely(51)[0, 0])
    assert bad["error"]["status"] == 422
    assert last["labels"][0]["probability"] == pytest.approx(likely(204)[0, 0])
    assert len(last["labels"]) == 1


async def test_a_list_of_objects_with_an_image_each_is_such_a_list(client: httpx.AsyncClient) -> None:
    sent = [{"image": text(51)}, {"image": "AAAA"}, {"image": text(204)}]
    reply = await client.post("/classify?top_k=1", json=sent)
    assert (
        reply.json()
        == (await client.post("/classify", json={"image": [text(51), "AAAA", text(204)], "top_k": 1})).json()
    )
    assert ["error" in one for one in reply.json()["predictions"]] == [False, True, False]


async def test_a_large_list_is_read_beside_the_event_loop(client: httpx.AsyncClient) -> None:
    assert len(await labels(client, image=[text(51)] * 600)) == 600


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "image: send {"),
        (7, "image: send {"),
        ([], "image: 0 images"),
        ([text(1)], "image[0]: send {"),
        ([{"image": text(1)}, text(1)], "image[1]: send"),
        ([{"image": text(1), "top_k": 1}], "image[0]: in a list of objects"),
        ([{"image": text(1)}, {"image": "!"}], "image[1]: this is not base64"),
        ([{"image": "AAAA"}] * 5000, "image: 5,000 images"),
        ({"image": 7}, "image: must be a string"),
        ({"image": []}, "image: 0 images"),
        ({"image": ["AAAA"] * 4097}, "image: 4,097 images"),
        ({"image": [text(1), "!"]}, "image[1]: this is not base64"),
        ({"image": ""}, "image: is empty"),
        ([{"image": text(1)}, {"image": ""}], "image[1]: is empty"),
        ({"image": "https://example.org/seven.png"}, "images are not fetched"),
        ({"image": "data:image/png,abc"}, "does not say ;base64"),
        ({"image": "AAAA"}, "are not one of the formats"),
        ({"image": text(1), "colour": "red"}, "there is no such member"),
        ({"image": text(1), "top_k": "3"}, "top_k: must be a JSON integer"),
        ({"image": text(1), "top_k": True}, "top_k: must be a JSON integer"),
        ({"image": text(1), "top_k": 0}, "top_k: must be a whole number"),
        ({"image": text(1), "as_is": 1}, "as_is: must be a JSON boolean"),
    ],
)
async def test_what_is_wrong_with_a_body_is_said(client: httpx.AsyncClient, document: Any, words: str) -> None:
    assert_problem(await client.post("/classify", json=document), 422, words)


async def test_what_is_given_twice_is_refused(client: httpx.AsyncClient) -> None:
    reply = await client.post("/classify?top_k=3", json={"image": text(1), "top_k": 3})
    assert_problem(reply, 422, "top_k: is given twice")
    assert_problem(await client.post("/classify", content=b"", headers={"content-type": "application/json"}), 422)


async def test_an_explanation_is_the_same_however_its_image_comes(client: httpx.AsyncClient) -> None:
    picture, arrays = encode_png(images(51)[0]), {"accept": "application/json"}
    raw = await client.post("/explain", content=picture, headers={"content-type": "image/png", **arrays})
    for reply in (
        await client.post("/explain", json={"image": text(51)}, headers=arrays),
        await client.post("/explain", json={"image": [text(51)]}, headers=arrays),
        await client.post("/explain", files={"image": ("seven.png", picture)}, headers=arrays),
    ):
        assert reply.json() == raw.json()


async def test_what_is_asked_of_it_stands_in_the_query_in_json_or_in_a_form(client: httpx.AsyncClient) -> None:
    picture, arrays = encode_png(images(51)[0]), {"accept": "application/json"}
    asked: dict[str, str | int | bool] = {
        "model": "echo",
        "method": "occlusion",
        "label": 2,
        "square": 1,
        "as_is": True,
    }
    raw = await client.post("/explain", params=asked, content=picture, headers={"content-type": "image/png", **arrays})
    assert (raw.json()["method"], raw.json()["label"]) == ("occlusion", 2)
    for reply in (
        await client.post("/explain", json={"image": text(51), **asked}, headers=arrays),
        await client.post("/explain", files={"image": ("seven.png", picture)}, data=asked, headers=arrays),
    ):
        assert reply.json() == raw.json()


@pytest.mark.parametrize(
    ("query", "member", "words"),
    [
        ("", {"method": "magic"}, "method: Input should be"),
        ("", {"label": -1}, "label: Input should be"),
        ("", {"label": 4}, "label: must be below 4"),
        ("", {"top_k": 3}, "there are image, model, version, method, layer, unit, label, square, as_is"),
        ("?label=1", {"label": 1}, "label: is given twice"),
    ],
)
async def test_what_cannot_be_asked_is_refused_wherever_it_stands(
    client: httpx.AsyncClient, query: str, member: dict[str, Any], words: str
) -> None:
    assert_problem(await client.post(f"/explain{query}", json={"image": text(51), **member}), 422, words)
    files = {"image": ("a", encode_png(images(51)[0]))}
    assert_problem(await client.post(f"/explain{query}", files=files, data=member), 422, words)


async def test_a_model_that_there_is_not_is_refused_wherever_it_is_named(client: httpx.AsyncClient) -> None:
    assert_problem(await client.post("/explain?model=nobody", json={"image": text(51)}), 404)
    assert_problem(await client.post("/explain", json={"image": text(51), "model": "nobody"}), 404)
    assert_problem(await client.post("/explain", json={"image": text(51), "model": "doodle"}), 409)


async def test_one_image_is_explained_at_a_time(client: httpx.AsyncClient) -> None:
    picture = encode_png(images(51)[0])
    for asked in (
        {"json": {"image": [text(1), text(2)]}},
        {"json": [{"image": text(1)}, {"image": text(2)}]},
        {"files": [("image", ("a", picture)), ("image", ("b", picture))]},
        {"files": {"method": (None, "saliency")}},
    ):
        assert_problem(await client.post("/explain", **asked), 422)
