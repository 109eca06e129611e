from pathlib import Path

import httpx
from api.asking import connect
from api.v2.speaking import assert_refused, tensor
from doubles import add_card, add_forecaster, add_several, images

from service.api.gate import Application
from service.store import Model


async def test_the_server_says_what_it_is(client: httpx.AsyncClient) -> None:
    document = (await client.get("/v2")).json()
    assert document["name"] == "chapterhouse"
    assert {"binary_tensor_data", "classification", "model_repository", "statistics"} <= set(document["extensions"])
    assert (await client.get("/v2/health/live")).json() == {"live": True}


async def test_ready_is_what_health_says(client: httpx.AsyncClient, app: Application) -> None:
    assert_refused(await client.get("/v2/health/ready"), 503, "Not warm yet: echo, doodle")
    for model in ("echo", "doodle"):
        await client.post(f"/v2/repository/models/{model}/load")
    assert (await client.get("/v2/health/ready")).json() == {"ready": True}
    app.gate.draining = True
    assert_refused(await client.get("/v2/health/ready"), 503)


async def test_a_models_tensors_and_configuration_are_told(client: httpx.AsyncClient, models_dir: Path) -> None:
    version = Model(models_dir / "echo").version
    document = (await client.get("/v2/models/echo")).json()
    assert (document["name"], document["versions"]) == ("echo", [version])
    assert document["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, 2, 2, 1]}]
    assert document["outputs"][0] == {"name": "probabilities", "datatype": "FP32", "shape": [-1, 4]}
    assert (await client.get(f"/v2/models/echo/versions/{version}")).json() == document
    configuration = (await client.get("/v2/models/echo/config")).json()
    assert configuration["max_batch_size"] == 8
    [image] = configuration["input"]
    assert image == {"name": "image", "data_type": "TYPE_UINT8", "dims": [2, 2, 1], "format": "FORMAT_NHWC"}
    assert (await client.get(f"/v2/models/echo/versions/{version}/config")).json() == configuration


async def test_every_task_has_a_signature(client: httpx.AsyncClient, models_dir: Path) -> None:
    add_forecaster(models_dir)
    add_several(models_dir)
    for model, inputs, outputs in (
        ("doodle", ["seed", "count"], ["images", "seed"]),
        ("dots", ["seed", "count"], ["points", "seed"]),
        ("murmur", ["history", "horizon", "inputs"], ["forecast", "low", "high"]),
    ):
        document = (await client.get(f"/v2/models/{model}")).json()
        assert [slot["name"] for slot in document["inputs"]] == inputs
        assert [slot["name"] for slot in document["outputs"]] == outputs
        assert (await client.get(f"/v2/models/{model}/config")).json()["max_batch_size"] == 0


async def test_a_model_that_there_is_not_is_404(client: httpx.AsyncClient) -> None:
    for path in ("", "/ready", "/config", "/stats", "/versions/1", "/versions/1/ready", "/versions/1/stats"):
        assert_refused(await client.get(f"/v2/models/nobody{path}"), 404, "nobody")
        if "versions" in path:
            assert_refused(await client.get(f"/v2/models/echo{path}"), 404, "not '1'")


async def test_what_is_no_route_is_told_in_the_protocols_form(client: httpx.AsyncClient) -> None:
    assert_refused(await client.get("/v2/nowhere"), 404)
    assert_refused(await client.get("/v2/models/echo/infer"), 405)
    assert_refused(await client.get("/v2?colour=red"), 400, "colour")


async def test_a_model_is_loaded_unloaded_and_indexed(client: httpx.AsyncClient, models_dir: Path) -> None:
    (models_dir / "miscounting" / "card.json").write_text("{", "utf-8")
    version = Model(models_dir / "slow").version
    assert_refused(await client.get("/v2/models/slow/ready"), 503, "slow is not loaded")
    assert (await client.post("/v2/repository/models/slow/load", content=b"{}")).status_code == 200
    assert (await client.get("/v2/models/slow/ready")).json() == {"name": "slow", "ready": True}
    assert (await client.get(f"/v2/models/slow/versions/{version}/ready")).status_code == 200
    ready = {"name": "slow", "version": version, "state": "READY", "reason": ""}
    assert (await client.post("/v2/repository/index", json={"ready": True})).json() == [ready]
    rows = {row["name"]: row for row in (await client.post("/v2/repository/index")).json()}
    assert rows["slow"] == ready
    assert rows["echo"]["state"] == "UNAVAILABLE"
    assert "miscounting/card.json" in rows["miscounting"]["reason"]
    unloaded = await client.post("/v2/repository/models/slow/unload", json={"parameters": {"unload_dependents": True}})
    assert unloaded.status_code == 200
    assert_refused(await client.get("/v2/models/slow/ready"), 503)


async def test_files_and_configurations_are_not_taken_from_a_request(client: httpx.AsyncClient) -> None:
    for parameters in ({"config": "{}"}, {"file:1/model.onnx": "AAAA"}):
        reply = await client.post("/v2/repository/models/echo/load", json={"parameters": parameters})
        assert_refused(reply, 400, "as the store has them")
    assert_refused(await client.post("/v2/repository/index", json={"ready": "yes"}), 400, "ready")
    assert_refused(await client.post("/v2/repository/index", content=b"{"), 400, "not JSON")
    assert_refused(await client.post("/v2/repository/models/nobody/load"), 404)


async def test_work_is_counted_by_row_and_by_pass(
    client: httpx.AsyncClient, app: Application, models_dir: Path
) -> None:
    instruments = app.state.shared.instruments
    for _ in range(2):
        instruments.batch_rows.labels("echo").observe(32)
        instruments.forward_seconds.labels("echo").observe(0.25)
        instruments.queue_seconds.labels("echo").observe(0.5)
    [work] = (await client.get("/v2/models/echo/stats")).json()["model_stats"]
    assert (work["name"], work["inference_count"], work["execution_count"]) == ("echo", 64, 2)
    assert work["inference_stats"]["compute_infer"] == {"count": 2, "ns": 500_000_000}
    assert work["inference_stats"]["queue"] == {"count": 2, "ns": 1_000_000_000}
    version = Model(models_dir / "echo").version
    assert (await client.get(f"/v2/models/echo/versions/{version}/stats")).json()["model_stats"] == [work]
    add_card(models_dir / "slow", sha256="0" * 64)
    (models_dir / "failing" / "card.json").write_text("{", "utf-8")
    everyone = [one["name"] for one in (await client.get("/v2/models/stats")).json()["model_stats"]]
    assert "echo" in everyone
    assert "failing" not in everyone


async def test_a_refusal_at_the_gate_has_the_protocols_form(app: Application) -> None:
    async with connect(app, bears=False) as client:
        reply = await client.post("/v2/repository/models/echo/load")
        assert_refused(reply, 401, "token")
        assert reply.headers["www-authenticate"]
    app.gate.draining = True
    async with connect(app) as client:
        reply = await client.post("/v2/models/echo/infer", json={"inputs": [tensor("image", images(1))]})
        assert_refused(reply, 503, "shutting down")
        assert reply.headers["retry-after"]


async def test_a_body_past_the_limit_is_not_read(client: httpx.AsyncClient, app: Application) -> None:
    limit = app.state.shared.settings.body_limit_bytes
    assert_refused(await client.post("/v2/models/echo/infer", content=b" " * (limit + 1)), 413)
