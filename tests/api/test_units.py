from pathlib import Path

import httpx
import numpy as np
import pytest
from api.asking import assert_problem
from unit_pictures import add_lenet, add_units, scribbles

from service.api.gate import Application
from service.imaging import decode

PNG = {"accept": "image/png"}


@pytest.fixture
def pictured(models_dir: Path) -> None:
    """`unlearned` lies in the store with pictures of its units, `bare` without."""
    add_units(add_lenet(models_dir), scribbles(20))
    add_lenet(models_dir, "bare")


@pytest.mark.usefixtures("pictured")
async def test_the_strongest_images_of_units_are_told_and_drawn(client: httpx.AsyncClient) -> None:
    reply = await client.get("/models/unlearned/units?layer=C3&unit=4&unit=0")
    assert reply.status_code == 200, reply.text
    document = reply.json()
    assert reply.headers["x-model"] == document["model"] == "unlearned"
    assert (document["layer"], document["dataset"], document["images"]) == ("C3", "mnist test", 20)
    assert [unit["unit"] for unit in document["units"]] == [4, 0]
    for unit in document["units"]:
        for image in unit["strongest"]:
            assert np.shape(image["patch"]) == (image["box"]["height"], image["box"]["width"], 1)
            assert image["label"] == str(image["image"] % 10)
    picture = await client.get("/models/unlearned/units?method=guided", headers=PNG)
    assert picture.headers["content-type"] == "image/png"
    assert min(decode(picture.content, limit_pixels=10**7).shape[:2]) > 400


@pytest.mark.usefixtures("pictured")
@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("nobody/units", 404, "There is no model called 'nobody'"),
        ("bare/units", 404, "`chapterhouse models units bare` does"),
        ("doodle/units", 409, "doodle does generate"),
        ("unlearned/units?layer=F6", 422, "there are C1, S2, C3, S4, C5"),
        ("unlearned/units?layer=C1&unit=6", 422, "from 0 to 5"),
        ("unlearned/units?unit=-1", 422, "unit"),
        ("unlearned/units?unit=first", 422, "unit"),
        ("unlearned/units?method=occlusion", 422, "method"),
        ("unlearned/units?label=3", 422, "no parameter label"),
        ("unlearned/units?layer=C1&layer=C3", 422, "layer can be given only once"),
        ("unlearned/units?" + "&".join(f"unit={unit}" for unit in range(26)), 422, "unit"),
    ],
)
async def test_what_cannot_be_shown_is_said(client: httpx.AsyncClient, path: str, status: int, detail: str) -> None:
    assert_problem(await client.get(f"/models/{path}"), status, detail)


@pytest.mark.usefixtures("pictured")
async def test_pictures_are_work_which_an_instance_that_shuts_down_does_not_take(
    app: Application, client: httpx.AsyncClient
) -> None:
    app.gate.draining = True
    assert_problem(await client.get("/models/unlearned/units"), 503, "shutting down")
    app.gate.draining = False
    assert (await client.get("/models/unlearned/units?layer=C1&unit=0")).status_code == 200
    assert app.gate.working == 0


@pytest.mark.usefixtures("pictured")
async def test_no_other_kind_of_answer_is_given(client: httpx.AsyncClient) -> None:
    assert_problem(await client.get("/models/unlearned/units", headers={"accept": "image/webp"}), 406)
