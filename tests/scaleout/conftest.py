"""A cluster of Ray on this machine: only where `-m ray` asks for it, and then it fails for want of Ray."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from doubles import add_doubles, add_forecaster, add_several
from scaleout.cluster import Cluster, running_cluster

HERE = Path(__file__).parent
LEFT_OUT = {
    "at most 5,000 values": "sets a limit inside a front",
    "no readout that could be fitted": "has a model of its own",
    "test_a_net_that_knows_its_series_by_heart": "has a model of its own",
    "test_an_extractor_gives_features": "has a model of its own",
    "test_models_are_loaded_and_unloaded_without": "asks another front before it can know",
    "test_what_is_too_long_for_json": "sets a limit inside a front",
}
"""Parts of the names of further tests that cannot hold here, and why."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave these tests out unless they are named; and those that look inside a front."""
    named = "ray" in config.option.markexpr
    here = [item for item in items if item.path.is_relative_to(HERE)]
    kept = {item for item in here if named and item.get_closest_marker("ray") and not _looks_inside(item)}
    config.hook.pytest_deselected(items=[item for item in here if item not in kept])
    items[:] = [item for item in items if item not in here or item in kept]


def _looks_inside(item: pytest.Item) -> bool:
    """Whether a test asks for something that lies inside a front, or that is not to be had here."""
    if any(part in item.name for part in LEFT_OUT):
        return True
    wanted = set(getattr(item, "fixturenames", ()))
    there = vars(item)["_fixtureinfo"].name2fixturedefs.keys() | {"request"}
    return bool(
        wanted & {"make_app", "app", "front", "engine", "store", "models_dir", "service_settings", "bench"}
    ) or not (wanted <= there)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two fronts, two engines and an evaluator over a store of doubles."""
    folder = tmp_path_factory.mktemp("cluster")
    add_doubles(folder / "models_store")
    add_several(folder / "models_store")
    add_forecaster(folder / "models_store")
    with running_cluster(folder, fronts=2, engines=2) as cluster:
        yield cluster


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the cluster with a key for everything."""
    async with cluster.client() as client:
        yield client
