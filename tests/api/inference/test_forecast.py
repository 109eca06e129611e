from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import numpy as np
import orjson
import pytest
from api.asking import assert_problem, connect
from doubles import FORECASTER, FakeEngine, add_forecaster, add_model

from service.api.gate import Application
from service.api.readers import QUICK_DOCUMENT_BYTES
from service.datasets.mackey_glass import mackey_glass
from service.errors import Overloaded
from service.nets.clockwork import ClockworkRNN
from service.operations.forecast import BLOCK_STEPS
from service.runtime.in_process import LocalEngine
from service.store import Model

MakeApp = Callable[..., Application]
SERIES = mackey_glass(700, seed=5)[:, 0]
HISTORY = SERIES[:500].tolist()

BY_HEART = (
    FORECASTER.replace('net = "esn"', 'net = "cwrnn"')
    .replace("units = 50, connections = 5, leak = 0.6, input_scaling = 0.2", "units = 9")
    .replace("washout = 20\nfits = true", "context = 50\nmemorised = 50")
)


@pytest.fixture
async def client(make_app: MakeApp, engine: LocalEngine, models_dir: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service with two forecasters."""
    add_forecaster(models_dir)
    add_model(models_dir, "clock", ClockworkRNN(units=9), BY_HEART)
    async with connect(make_app(engine, default_forecaster="murmur", forecast_limit=5000)) as client:
        yield client


async def ask(client: httpx.AsyncClient, **asked: object) -> dict[str, Any]:
    reply = await client.post("/forecast", json=asked)
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/json"
    answer: dict[str, Any] = reply.json()
    return answer


@pytest.mark.parametrize("fit", [False, True])
async def test_a_series_is_continued_within_its_interval(
    client: httpx.AsyncClient, models_dir: Path, *, fit: bool
) -> None:
    answer = await ask(client, history=HISTORY, horizon=20, fit=fit)
    assert (answer["model"], answer["version"], answer["fit"]) == ("murmur", Model(models_dir / "murmur").version, fit)
    assert answer["warnings"] == []
    assert (answer["choice"] is not None) == fit
    assert answer["held_out"]["model"][0] < answer["held_out"]["last_value"][0]
    forecast, low, high = (
        np.array(answer["forecast"]),
        *(np.array(answer["interval"][end]) for end in ("low", "high")),
    )
    assert forecast.shape == low.shape == high.shape == (20,)
    assert answer["interval"]["level"] == 0.95
    assert np.abs(forecast - SERIES[500:520]).max() < 0.2
    np.testing.assert_allclose((low + high) / 2, forecast)
    assert (np.diff(high - low) >= -1e-12).all()


async def test_channels_come_second_as_they_were_sent(client: httpx.AsyncClient) -> None:
    both = np.stack([SERIES, 10 * np.roll(SERIES, 7)], axis=1)[10:510]
    answer = await ask(client, history=both.tolist(), horizon=5, fit=True)
    assert np.array(answer["forecast"]).shape == np.array(answer["interval"]["low"]).shape == (5, 2)
    nested = await ask(client, history=[[value] for value in HISTORY], horizon=5)
    assert np.array(nested["forecast"]).shape == (5, 1)


async def test_a_higher_level_gives_a_wider_interval(client: httpx.AsyncClient) -> None:
    widths = []
    for level in (0.5, 0.8, 0.95):
        answer = await ask(client, history=HISTORY, horizon=10, level=level)
        widths.append(np.subtract(answer["interval"]["high"], answer["interval"]["low"]).mean())
    assert widths[0] < widths[1] < widths[2]


async def test_a_long_forecast_streams_what_a_short_one_says(client: httpx.AsyncClient) -> None:
    horizon = 2 * BLOCK_STEPS + 500
    async with client.stream("POST", "/forecast", json={"history": HISTORY, "horizon": horizon}) as reply:
        assert "content-length" not in reply.headers
        await reply.aread()
    whole = reply.json()
    short = await ask(client, history=HISTORY, horizon=50)
    assert len(whole["forecast"]) == len(whole["interval"]["low"]) == horizon
    assert whole["forecast"][:50] == short["forecast"]
    assert "beyond step 240" in whole["warnings"][0]
    assert np.isfinite(whole["forecast"]).all()


async def test_known_inputs_are_heard_of_every_step(client: httpx.AsyncClient) -> None:
    t = np.arange(600)
    driver = np.sin(t / 9)
    values = np.roll(driver, 1) * 2 + 5
    asked = {"history": values[:500].tolist(), "horizon": 100, "fit": True}
    answer = await ask(client, **asked, inputs=driver.tolist())
    assert np.abs(np.array(answer["forecast"]) - values[500:]).max() < 0.05
    assert_problem(
        await client.post("/forecast", json={**asked, "inputs": driver[:599].tolist()}),
        422,
        "inputs: 600 steps are needed, history and horizon, not 599.",
    )


@pytest.mark.parametrize(
    ("asked", "status", "detail"),
    [
        ({"history": [1.0, None, 2.0], "horizon": 5}, 422, "missing or not finite at step 2"),
        (
            {"history": [3.0] * 300, "horizon": 5, "fit": True},
            422,
            "never changes before its last quarter; there is nothing to learn",
        ),
        ({"history": HISTORY[:50], "horizon": 5, "fit": True}, 422, "50 steps are too few"),
        ({"history": HISTORY[:10], "horizon": 5}, 422, "10 steps are too few"),
        (
            {"history": HISTORY, "horizon": 5, "fit": True, "season": 126},
            422,
            "season: 126 steps are too many for a history of 500; 4 seasons are the least.",
        ),
        ({"history": HISTORY, "horizon": 5, "season": 12}, 422, "it is used only where a readout is fitted; try fit"),
        ({"history": HISTORY, "horizon": 5, "fit": True, "season": 0}, 422, "season"),
        ({"history": HISTORY, "horizon": 0}, 422, "horizon"),
        ({"history": HISTORY, "horizon": 10**30}, 422, "horizon"),
        ({"history": HISTORY, "horizon": True}, 422, "horizon: Input should be a number"),
        ({"history": HISTORY, "horizon": 5, "fit": 1}, 422, "fit"),
        ({"history": HISTORY, "horizon": 5, "level": "0.9"}, 422, "level: Input should be a number"),
        ({"history": [True, 1.0] * 30, "horizon": 5}, 422, "history: something in it is no number"),
        ({"history": [[1.0], [False]] * 30, "horizon": 5}, 422, "history: something in it is no number"),
        ({"history": HISTORY, "horizon": 5001}, 422, "at most 5,000 values"),
        ({"history": HISTORY, "horizon": 5, "level": 1.0}, 422, "level"),
        ({"history": HISTORY, "horizon": 5, "steps": 1}, 422, "steps"),
        ({"horizon": 5}, 422, "history"),
        ({"model": "clock", "history": [1.0], "horizon": 5, "fit": True}, 422, "no readout that could be fitted"),
        ({"model": "echo", "history": [1.0], "horizon": 5}, 409, "echo does classify, not forecast"),
        ({"model": "nobody", "history": [1.0], "horizon": 5}, 404, "no model called 'nobody'"),
    ],
)
async def test_what_cannot_be_forecast_is_refused_with_its_reason(
    client: httpx.AsyncClient, asked: dict[str, Any], status: int, detail: str
) -> None:
    assert_problem(await client.post("/forecast", json=asked), status, detail)


def passengers(length: int) -> list[float]:
    """Months that swing in proportion to what they have grown to."""
    t = np.arange(length)
    year = np.array([0.0, -3, 4, 1, 7, -6, 2, 9, -8, 3, -1, 5]) / 40
    grown: list[float] = np.exp(5 + 0.01 * t + year[t % 12] + np.random.default_rng(0).normal(0, 0.03, length)).tolist()
    return grown


async def test_what_was_chosen_is_named_and_logarithms_have_an_interval_of_their_own(
    client: httpx.AsyncClient,
) -> None:
    answer = await ask(client, history=passengers(140), horizon=12, fit=True)
    assert answer["choice"]["difference"] in {"first", "seasonal"}
    assert (answer["choice"]["logarithm"], answer["choice"]["season"]) == (True, 12)
    assert answer["choice"]["penalty"] is None or answer["choice"]["penalty"] > 0
    below, above = (np.abs(np.subtract(answer["interval"][end], answer["forecast"])) for end in ("low", "high"))
    assert (above > below).all()
    assert min(answer["interval"]["low"]) > 0
    held_out = answer["held_out"]
    assert all(len(held_out[way]) == 1 for way in ("model", "last_value", "drift", "seasonal_naive"))
    assert held_out["model"][0] < held_out["last_value"][0]


async def test_a_fit_in_blocks_ends_as_it_began(client: httpx.AsyncClient) -> None:
    asked = {"history": passengers(140), "fit": True}
    whole = await ask(client, **asked, horizon=BLOCK_STEPS + 100)
    short = await ask(client, **asked, horizon=60)
    assert whole["choice"] == short["choice"]
    assert whole["forecast"][:60] == short["forecast"]
    assert len(whole["interval"]["low"]) == BLOCK_STEPS + 100


async def test_a_season_can_be_given(client: httpx.AsyncClient) -> None:
    answer = await ask(client, history=passengers(140), horizon=5, fit=True, season=1)
    assert answer["choice"]["season"] is None
    assert answer["choice"]["difference"] in {"none", "first"}
    assert answer["held_out"]["seasonal_naive"] is None


async def test_a_naive_forecast_that_was_better_is_told_of(client: httpx.AsyncClient) -> None:
    steps = np.repeat(np.random.default_rng(3).normal(0, 50, 30), 10).tolist()
    answer = await ask(client, history=steps, horizon=3)
    [warning] = [warning for warning in answer["warnings"] if "naive" in warning]
    assert warning.startswith("a naive forecast, the last value, was better at 40 earlier points of this history")
    assert answer["held_out"]["last_value"][0] < answer["held_out"]["model"][0]
    assert answer["choice"] is None


async def test_what_goes_astray_is_told_of(client: httpx.AsyncClient) -> None:
    answer = await ask(client, history=(np.arange(300) % 2 * 50.0).tolist(), horizon=3)
    assert "the model does not know this history: it misses even the next step; try fit" in answer["warnings"]
    short = await ask(client, history=HISTORY[:21], horizon=3)
    assert short["interval"] is None
    assert short["warnings"] == ["the history is too short to measure how far forecasts of it are off: no interval"]


async def test_a_net_that_knows_its_series_by_heart_counts_the_steps(client: httpx.AsyncClient) -> None:
    first = await ask(client, model="clock", history=[0.0], horizon=49)
    later = await ask(client, model="clock", history=[0.0] * 30, horizon=20)
    np.testing.assert_allclose(later["forecast"], first["forecast"][29:], atol=1e-6)
    beyond = await ask(client, model="clock", history=[0.0] * 30, horizon=21)
    assert beyond["warnings"][0] == "what follows step 50 is not what the model learnt"


@pytest.mark.parametrize("horizon", [20, BLOCK_STEPS + 30])
async def test_whoever_asks_for_a_drawing_gets_one(client: httpx.AsyncClient, horizon: int) -> None:
    asked = {"history": [[value, 5.0 + value] for value in HISTORY], "horizon": horizon, "fit": True}
    reply = await client.post("/forecast", json=asked, headers={"accept": "image/svg+xml"})
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "image/svg+xml"
    drawing = ET.fromstring(reply.text)
    assert len(drawing.findall("{*}g")) == 2
    [past, following] = drawing.findall("{*}g[1]/{*}path")[1:]
    assert following.attrib["d"].count("L") == horizon
    assert past.attrib["d"].count("L") == min(499, max(60, 3 * horizon) - 1)
    refused = await client.post("/forecast", json=asked, headers={"accept": "image/gif"})
    assert_problem(refused, 406, "image/svg+xml")


async def test_a_run_that_leaves_all_bounds_is_drawn_to_the_edge(make_app: MakeApp, models_dir: Path) -> None:
    add_forecaster(models_dir)
    asked = {"model": "murmur", "history": HISTORY, "horizon": 3}
    async with connect(make_app(answered([1.0, 1.1, 1e300], errors=np.inf))) as client:
        reply = await client.post("/forecast", json=asked, headers={"accept": "image/svg+xml"})
    assert "nan" not in reply.text
    assert "inf" not in reply.text


def answered(values: list[float], errors: float = 0.01) -> FakeEngine:
    forecast = np.array(values)[None, :, None]
    earlier = np.full((1, 40, len(values), 1), errors)
    return FakeEngine([forecast, earlier, np.arange(40.0)[None], np.zeros((1, 3)), np.zeros((1, 0))])


async def test_a_run_that_leaves_all_of_the_history_is_warned_of(make_app: MakeApp, models_dir: Path) -> None:
    add_forecaster(models_dir)
    async with connect(make_app(answered([1.0, 1.1, 4.0, 1e300]))) as client:
        answer = await ask(client, model="murmur", history=HISTORY, horizon=4)
    assert answer["forecast"] == [1.0, 1.1, 4.0, 1e300]
    [warning] = answer["warnings"]
    assert warning.startswith("from step 3 on the forecast is farther from all of the history than that is wide")


async def test_a_run_that_ends_in_no_numbers_is_an_error(make_app: MakeApp, models_dir: Path) -> None:
    add_forecaster(models_dir)
    async with connect(make_app(answered([1.0, np.inf, np.nan]))) as client:
        reply = await client.post("/forecast", json={"model": "murmur", "history": HISTORY, "horizon": 3})
    assert_problem(reply, 422, "diverges at step 2")


async def test_what_the_engine_meets_is_answered(make_app: MakeApp, models_dir: Path) -> None:
    add_forecaster(models_dir)
    async with connect(make_app(FakeEngine(Overloaded("full")))) as client:
        reply = await client.post("/forecast", json={"model": "murmur", "history": HISTORY, "horizon": 3})
    assert_problem(reply, 429, "full")
    assert reply.headers["retry-after"] == "1"


async def test_a_long_history_is_answered_as_a_short_one_is(client: httpx.AsyncClient) -> None:
    history = [float(np.sin(i / 3)) for i in range(4000)]
    assert len(orjson.dumps(history)) > QUICK_DOCUMENT_BYTES
    answer = await ask(client, history=history, horizon=3)
    assert answer["forecast"] == (await ask(client, history=history[-1000:], horizon=3))["forecast"]
    table = await ask(client, history=[[value] for value in history], horizon=3)
    assert table["forecast"] == [[value] for value in answer["forecast"]]
    reply = await client.post("/forecast", json={"history": [*history, None], "horizon": 3})
    assert_problem(reply, 422, "history")
