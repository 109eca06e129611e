from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from api.asking import assert_problem, connect
from doubles import CLASSIFIER, Echo, FakeEngine, add_card, add_model, images

from service.api.gate import Application
from service.errors import EngineUnavailable
from service.files import file_sha256
from service.imaging import encode_png
from service.nets.weights import save_weights
from service.runtime.calls import SET_ASIDE, LoadedModel
from service.store import Model

MakeApp = Callable[..., Application]
PNG = {"content-type": "image/png"}
PICTURE = encode_png(images(200)[0])


async def test_every_model_is_listed_with_what_is_known_of_it(make_app: MakeApp, models_dir: Path) -> None:
    add_card(models_dir / "echo")
    states = {"echo": "ready", "slow": "loading", "failing": SET_ASIDE}
    held = {name: LoadedModel("1", state, "cpu") for name, state in states.items()}
    async with connect(make_app(FakeEngine(held=held))) as client:
        listed = (await client.get("/models")).json()["models"]
        one = (await client.get("/models/echo")).json()
    rows = {row["id"]: row for row in listed}
    assert list(rows) == sorted(rows)
    assert {name for name, row in rows.items() if row["loaded"]} == {"echo"}
    assert {name for name, row in rows.items() if row["set_aside"]} == {"failing"}
    assert rows["echo"]["task"] == "classify"
    assert rows["echo"]["labels"] == ["a", "b", "c", "d"]
    assert rows["echo"]["input"]["size"] == [2, 2]
    assert (rows["echo"]["parameters"], rows["slow"]["parameters"]) == (1, None)
    assert rows["doodle"]["output"]["latent"] == 4
    version = Model(models_dir / "echo").version
    assert rows["echo"]["version"] == one["version"] == version
    assert one["net"] == "echo"
    assert one["card"]["sha256"].startswith(version)


async def test_models_are_loaded_and_unloaded_without_a_restart(client: httpx.AsyncClient) -> None:
    assert (await client.post("/models/echo/load")).status_code == 204
    assert (await client.get("/models/echo")).json()["loaded"] is True
    assert (await client.post("/models/echo/unload")).status_code == 204
    assert (await client.get("/models/echo")).json()["loaded"] is False


async def test_a_model_that_was_added_meanwhile_can_be_loaded(client: httpx.AsyncClient, models_dir: Path) -> None:
    assert_problem(await client.post("/models/new/load"), 404, "'new'")
    add_model(models_dir, "new", Echo(), CLASSIFIER.format(net="echo"))
    assert (await client.post("/models/new/load")).status_code == 204
    assert "new" in {row["id"] for row in (await client.get("/models")).json()["models"]}


@pytest.mark.parametrize("path", ["/models/nobody", "/models/..%2Fecho", f"/models/{'x' * 5000}"])
async def test_a_model_that_is_not_there_is_404(client: httpx.AsyncClient, path: str) -> None:
    assert_problem(await client.get(path), 404)


async def test_weights_that_cannot_be_trusted_are_not_loaded(client: httpx.AsyncClient, models_dir: Path) -> None:
    add_card(models_dir / "echo", sha256="0" * 64)
    reply = await client.post("/models/echo/load")
    assert_problem(reply, 409, "echo/weights.safetensors: it has sha256 ")
    assert str(models_dir) not in reply.text


class Away(FakeEngine):
    """Is not there."""

    async def load(self, model_id: str) -> None:
        """Raise."""
        raise EngineUnavailable(f"none for {model_id}")


async def test_without_an_engine_loading_says_so(make_app: MakeApp) -> None:
    async with connect(make_app(Away())) as client:
        reply = await client.post("/models/echo/load")
    assert_problem(reply, 503, "none for echo")
    assert reply.headers["retry-after"] == "2"


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        ("net = ", "broken/model.toml: Invalid value (at end of document)"),
        (CLASSIFIER.replace("max_batch = 8", "max_batch = 0"), "broken/model.toml: serving.max_batch: Input should be"),
        (CLASSIFIER.format(net="lenet6"), "There is no net called 'lenet6'"),
    ],
    ids=["no TOML", "no manifest", "no net"],
)
async def test_a_model_whose_files_are_wrong_is_told_why_and_hides_no_other(
    client: httpx.AsyncClient, models_dir: Path, manifest: str, reason: str
) -> None:
    add_model(models_dir, "broken", Echo(), manifest)
    listed = (await client.get("/models")).json()
    assert "echo" in {row["id"] for row in listed["models"]}
    reply = await client.post("/models/broken/load")
    assert_problem(reply, 409, reason)
    assert str(models_dir) not in reply.text
    assert (await client.post("/models/broken/unload")).status_code == 204
    assert_problem(await client.post("/classify?model=broken", content=PICTURE, headers=PNG), 409, reason)
    if reason.startswith("broken/"):
        assert [row["id"] for row in listed["broken"]] == ["broken"]
        assert listed["broken"][0]["reason"].startswith(reason)
        assert "broken" not in {row["id"] for row in listed["models"]}
        assert_problem(await client.get("/models/broken"), 409, reason)
    (models_dir / "broken" / "model.toml").write_text(CLASSIFIER.format(net="echo"))
    assert (await client.post("/models/broken/load")).status_code == 204
    assert (await client.get("/models")).json()["broken"] == []


async def test_weights_that_were_replaced_are_loaded_though_no_card_knows_them(
    client: httpx.AsyncClient, models_dir: Path
) -> None:
    async def top() -> tuple[str, float]:
        answer = (await client.post("/classify?model=echo", content=PICTURE, headers=PNG)).json()
        return answer["version"], answer["predictions"][0]["labels"][0]["probability"]

    before = await top()
    net = Echo()
    net.scale.data.fill_(0.0)
    save_weights(net, models_dir / "echo" / "weights.safetensors")
    assert await top() == before
    assert (await client.post("/models/echo/load")).status_code == 204
    version, probability = await top()
    assert version == file_sha256(models_dir / "echo" / "weights.safetensors")[:12] != before[0]
    assert probability == pytest.approx(0.25)
