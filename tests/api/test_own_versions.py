"""Versions of a model over HTTP: asked for, shared out, and changed while the service answers."""

import asyncio
from collections import Counter
from pathlib import Path

import httpx
import pytest
from api.asking import assert_problem
from doubles import CLASSIFIER, DOUBLES, GENERATOR, Slow, add_model, images
from waiting import PATIENCE_S

from service.imaging import encode_png
from service.runtime.in_process import LocalEngine
from service.versions import FILE, Aliases

PNG = {"content-type": "image/png"}
PICTURE = encode_png(images(200)[0])


def add_versions(models_dir: Path, name: str, *nets: str, manifest: str = CLASSIFIER) -> None:
    """A model with versions `one`, `two`, … of these nets, the first of which is stable."""
    for version, net in zip(("one", "two"), nets, strict=True):
        add_model(models_dir / name, version, DOUBLES[net](), manifest.format(net=net))
    Aliases.model_validate({"stable": {"version": "one"}}).write(models_dir / name / FILE)


async def classified(client: httpx.AsyncClient, **asked: str) -> tuple[str, str]:
    """Which model and version answered."""
    reply = await client.post("/classify", params={"model": "own", **asked}, headers=PNG, content=PICTURE)
    assert reply.status_code == 200, reply.text
    answer = reply.json()
    assert (reply.headers["x-model"], reply.headers["x-model-version"]) == (answer["model"], answer["version"])
    return answer["model"], answer["version"]


async def test_a_version_is_asked_for_by_itself_or_by_a_name_at_every_endpoint(
    client: httpx.AsyncClient, models_dir: Path
) -> None:
    add_versions(models_dir, "own", "echo", "echo")
    add_versions(models_dir, "drawn", "doodle", "doodle", manifest=GENERATOR)
    assert await classified(client) == ("own", "one")
    assert await classified(client, version="two") == ("own", "two")
    assert await classified(client, version="stable") == ("own", "one")
    assert (await classified(client, model="own@two")) == ("own", "two")
    form = {"model": "own", "version": "two"}
    asked_by_form = await client.post("/classify", data=form, files={"a": ("a.png", PICTURE)})
    assert asked_by_form.json()["version"] == "two"
    explained = await client.post("/explain?model=own&version=two&method=occlusion", headers=PNG, content=PICTURE)
    assert explained.headers["x-model-version"] == "two"
    for asked in ({"model": "drawn", "version": "two"}, {"model": "drawn@two"}):
        drawn = await client.post("/generate", json={**asked, "count": 1, "seed": 1})
        assert (drawn.headers["x-model"], drawn.headers["x-model-version"]) == ("drawn", "two")
    inferred = await client.post(
        "/v2/models/own/versions/two/infer",
        json={"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, 2, 2, 1], "data": [1, 2, 3, 4]}]},
    )
    assert (inferred.json()["model_name"], inferred.json()["model_version"]) == ("own", "two")
    assert_problem(
        await client.post("/classify?model=own&version=three", headers=PNG, content=PICTURE), 404, "no version 'three'"
    )
    assert_problem(await client.get("/models/own/units?version=three"), 404, "no version 'three'")
    assert_problem(await client.get("/models/drawn/recording?version=three"), 404, "no version 'three'")
    assert_problem(
        await client.post("/classify?model=own@one&version=two", headers=PNG, content=PICTURE), 422, "names one version"
    )
    assert_problem(
        await client.post("/classify?model=echo&version=three", headers=PNG, content=PICTURE), 404, "'three'"
    )


async def test_all_that_is_told_or_done_of_a_model_is_so_of_a_version(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    of_models = {path: kinds for path, kinds in paths.items() if path.startswith("/models/{model_id}")}
    for path in of_models.keys() - {"/models/{model_id}/aliases/{alias}"}:
        for kind in of_models[path].values():
            assert "version" in {parameter.get("name") for parameter in kind["parameters"]}, path
    assert len(of_models) > 4


async def test_models_tell_their_versions_and_names(client: httpx.AsyncClient, models_dir: Path) -> None:
    add_versions(models_dir, "own", "echo", "echo")
    [listed] = [row for row in (await client.get("/models")).json()["models"] if row["id"] == "own"]
    assert (listed["version"], listed["versions"], listed["loaded"]) == ("one", ["one", "two"], False)
    assert listed["aliases"] == {"stable": {"version": "one", "share": 0.0}}
    assert (await client.get("/models/own?version=two")).json()["version"] == "two"
    assert (await client.post("/models/own/load?version=two")).status_code == 204
    assert (await client.get("/models/own")).json()["loaded"] is False
    assert (await client.get("/models/own?version=two")).json()["loaded"] is True
    assert (await client.get("/v2/models/own")).json()["versions"] == ["one", "two"]
    index = (await client.post("/v2/repository/index", json={})).json()
    states = {row["version"]: row["state"] for row in index if row["name"] == "own"}
    assert states == {"one": "UNAVAILABLE", "two": "READY"}
    assert (await client.post("/models/own/unload?version=two")).status_code == 204
    assert (await client.get("/models/own?version=two")).json()["loaded"] is False
    missing = await client.get("/v2/models/own/versions/canary")
    assert (missing.status_code, "no version 'canary'" in missing.text) == (404, True)


async def test_a_canary_answers_its_share_and_says_so(client: httpx.AsyncClient, models_dir: Path) -> None:
    add_versions(models_dir, "own", "echo", "echo")
    named = await client.put("/models/own/aliases/canary", json={"version": "two", "share": 0.25})
    assert named.json()["aliases"]["canary"] == {"version": "two", "share": 0.25}
    counted = Counter([await classified(client) for _ in range(40)])
    assert counted == {("own", "one"): pytest.approx(30, abs=1), ("own", "two"): pytest.approx(10, abs=1)}
    assert (await client.get("/v2/models/own/versions/canary")).status_code == 200
    forgotten = await client.delete("/models/own/aliases/canary")
    assert forgotten.json()["aliases"].keys() == {"stable"}
    assert Counter([await classified(client) for _ in range(8)]) == {("own", "one"): 8}


async def test_a_version_is_swapped_without_an_answer_lost_and_the_old_one_drained(
    client: httpx.AsyncClient, models_dir: Path, engine: LocalEngine
) -> None:
    add_versions(models_dir, "own", "slow", "echo")
    assert (await client.post("/models/own/load")).status_code == 204
    waiting = asyncio.create_task(classified(client))
    assert await asyncio.to_thread(Slow.entered.wait, PATIENCE_S)
    swapping = asyncio.create_task(client.put("/models/own/aliases/stable", json={"version": "two"}))
    assert not waiting.done()
    Slow.let_go.set()
    assert await waiting == ("own", "one")
    assert (await swapping).json()["version"] == "two"
    assert engine.models().keys() == {"own@two"}
    assert await classified(client) == ("own", "two")
    assert (await client.put("/models/own/aliases/stable", json={"version": "one"})).json()["version"] == "one"
    assert await classified(client) == ("own", "one")


@pytest.mark.parametrize(
    ("path", "body", "status", "reason"),
    [
        ("own/aliases/stable", {"version": "three"}, 404, "own has no version 'three'"),
        ("own/aliases/canary", {"version": "two", "share": 2}, 422, "share"),
        ("own/aliases/canary", {"version": "../two"}, 422, "version"),
        ("own/aliases/..%2Fx", {"version": "two"}, 404, ""),
        ("own/aliases/stable", {"version": "two", "share": 0.5}, 422, "stable has none"),
        ("echo/aliases/stable", {"version": "two"}, 409, "echo has one version"),
        ("nobody/aliases/stable", {"version": "two"}, 404, "no model called 'nobody'"),
    ],
)
async def test_names_that_cannot_be_are_refused(
    client: httpx.AsyncClient, models_dir: Path, path: str, body: dict[str, object], status: int, reason: str
) -> None:
    add_versions(models_dir, "own", "echo", "echo")
    assert_problem(await client.put(f"/models/{path}", json=body), status, reason)
    assert Aliases.read(models_dir / "own" / FILE).root.keys() == {"stable"}


async def test_stable_cannot_be_forgotten(client: httpx.AsyncClient, models_dir: Path) -> None:
    add_versions(models_dir, "own", "echo", "echo")
    assert_problem(await client.delete("/models/own/aliases/stable"), 422, "there is no [stable]")


async def test_a_version_that_cannot_be_loaded_never_answers(client: httpx.AsyncClient, models_dir: Path) -> None:
    add_versions(models_dir, "own", "echo", "echo")
    (models_dir / "own" / "two" / "weights.safetensors").write_bytes(b"no weights")
    assert_problem(
        await client.put("/models/own/aliases/stable", json={"version": "two"}), 409, "does not hold the weights"
    )
    assert await classified(client) == ("own", "one")


async def test_where_stable_is_broken_it_comes_first(client: httpx.AsyncClient, models_dir: Path) -> None:
    add_versions(models_dir, "own", "echo", "echo")
    aliases = Aliases.read(models_dir / "own" / FILE)
    aliases.with_alias("canary", "two", 0.5).write(models_dir / "own" / FILE)
    (models_dir / "own" / "one" / "model.toml").write_text("net = ")
    for refused in (
        await client.put("/models/own/aliases/canary", json={"version": "two", "share": 1}),
        await client.delete("/models/own/aliases/canary"),
    ):
        assert_problem(refused, 409, "one/model.toml: ")
    assert Aliases.read(models_dir / "own" / FILE).root["canary"].share == 0.5
    assert (await client.put("/models/own/aliases/stable", json={"version": "two"})).json()["version"] == "two"


async def test_a_folder_that_is_called_as_no_model_is_none(client: httpx.AsyncClient, models_dir: Path) -> None:
    """Such as one that is on its way from the storage that services share."""
    add_model(models_dir, ".own.staged", DOUBLES["echo"](), CLASSIFIER.format(net="echo"))
    add_model(models_dir, "a b", DOUBLES["echo"](), CLASSIFIER.format(net="echo"))
    listed = (await client.get("/models")).json()
    assert not {"a b", ".own.staged"} & {model["id"] for model in listed["models"] + listed["broken"]}


@pytest.mark.parametrize("file", [FILE, "one/model.toml"])
async def test_what_is_written_wrongly_is_409_with_its_reason_and_listed_as_broken(
    client: httpx.AsyncClient, models_dir: Path, file: str
) -> None:
    add_versions(models_dir, "own", "echo", "echo")
    (models_dir / "own" / file).write_bytes(b"\xff = nothing")
    listed = (await client.get("/models")).json()
    assert [broken["id"] for broken in listed["broken"]] == ["own"]
    assert listed["broken"][0]["reason"].startswith(f"{Path('own', file).parent.name}/{Path(file).name}: ")
    for reply in (
        await client.post("/classify?model=own", headers=PNG, content=PICTURE),
        await client.get("/models/own"),
    ):
        assert_problem(reply, 409, Path(file).name)
    inferred = await client.post("/v2/models/own/infer", json={"inputs": []})
    assert (inferred.status_code, Path(file).name in inferred.text) == (409, True)
    assert (await client.get("/metrics")).status_code == 200
