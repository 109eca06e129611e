from base64 import b64decode

import httpx
import numpy as np
import pytest
from api.asking import assert_problem
from doubles import images

from service.imaging import decode, encode_png

PNG = {"content-type": "image/png"}
JSON = {**PNG, "accept": "application/json"}
PICTURE = encode_png(images(51)[0])


async def test_an_explanation_is_a_picture_beside_the_image(client: httpx.AsyncClient) -> None:
    reply = await client.post("/explain", content=PICTURE, headers=PNG)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "image/png"
    assert reply.headers["x-model"] == "echo"
    picture = decode(reply.content, limit_pixels=10**6)
    assert picture.shape[1:] == (224 + 8 + 224, 1)
    assert (picture[:112, :112] == 51).all()
    assert picture[224:].max() > 200  # words below it


async def test_an_explanation_is_arrays_where_json_is_wanted(client: httpx.AsyncClient) -> None:
    reply = await client.post("/explain?model=echo&method=saliency&label=2", content=PICTURE, headers=JSON)
    document = reply.json()
    assert (document["model"], document["method"], document["label"]) == ("echo", "saliency", 2)
    assert (document["label_name"], document["layers"]) == ("c", [])
    assert document["scale"]["quantity"] == "change of the logit of c with a pixel"
    # Echo's third logit is ten times the third pixel.
    np.testing.assert_allclose(document["slopes"], [[0, 0], [10, 0]])
    assert 0 < document["probability"] < 1


async def test_every_step_of_the_preparation_has_its_picture(client: httpx.AsyncClient) -> None:
    colour = encode_png(np.full((4, 6, 3), (200, 100, 0), np.uint8))
    document = (await client.post("/explain", content=colour, headers=JSON)).json()
    assert document["notes"] == ["The image was resized from 4×6 to 2×2.", "The image was converted to grey."]
    assert {step.partition(",")[0] for step in document["steps"]} == {"data:image/png;base64"}
    resized, grey = (decode(b64decode(step.partition(",")[2]), limit_pixels=100) for step in document["steps"])
    assert (resized == (200, 100, 0)).all()
    np.testing.assert_array_equal(grey, document["image"])
    assert (await client.post("/explain", content=PICTURE, headers=JSON)).json()["steps"] == []


async def test_occlusion_shows_the_label_behind_each_place(client: httpx.AsyncClient) -> None:
    reply = await client.post("/explain?method=occlusion&square=1", content=PICTURE, headers=JSON)
    document = reply.json()
    assert (document["label"], document["square"]) == (0, 1)
    assert np.shape(document["probabilities"]) == (2, 2)
    assert np.argmin(document["probabilities"]) == 0
    odds = np.array(document["log_odds"])
    np.testing.assert_allclose(1 / (1 + np.exp(-odds)), document["probabilities"], rtol=1e-5)
    assert document["log_odds_whole"] == pytest.approx(odds.max())
    scale = document["scale"]
    assert (scale["quantity"], scale["each"]) == ("log-odds of a", False)
    assert (scale["low"], scale["high"]) == pytest.approx((odds.min(), odds.max()))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("method=guess", "method: "),
        ("method=deconvnet", "layer: this net has no layer with maps"),
        ("method=activations&layer=conv1", "layer: this net has no layer with maps"),
        ("unit=-1", "unit: "),
        ("label=4", "label: must be below 4"),
        (f"label={10**20}", "label: "),
        (f"method=occlusion&square={10**20}", "square: "),
        ("square=0", "square: "),
        ("method=saliency&layer=conv1", "layer: saliency does not ask for it"),
        ("method=filters&label=1&square=2", "label: filters does not ask for it; square: filters does not ask for it"),
        ("square=3&method=occlusion", "square: must be below 3"),
    ],
)
async def test_what_there_is_not_is_refused(client: httpx.AsyncClient, query: str, words: str) -> None:
    reply = await client.post(f"/explain?{query}", content=PICTURE, headers=PNG)
    assert_problem(reply, 422)
    assert words in reply.json()["detail"]


async def test_only_one_image_of_a_kind_that_is_read_is_explained(client: httpx.AsyncClient) -> None:
    assert_problem(await client.post("/explain", content=b"<svg/>", headers={"content-type": "image/svg+xml"}), 415)
    assert_problem(await client.post("/explain", content=b"no image", headers=PNG), 422)
    assert_problem(await client.post("/explain", content=b"", headers=PNG), 422)
    assert_problem(await client.post("/explain?model=doodle", content=PICTURE, headers=PNG), 409)
    assert_problem(await client.post("/explain?model=nobody", content=PICTURE, headers=PNG), 404)


async def test_filters_need_no_image(client: httpx.AsyncClient) -> None:
    reply = await client.post("/explain?method=filters")
    assert "no layer with maps" in reply.json()["detail"]  # Echo has none; the image was not missed
