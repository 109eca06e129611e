import io
import re
from pathlib import Path

import pytest
import torch
from registering import classes_in, file_of, left_out
from rich.console import Console

from service.datasets.registry import MIXTURES
from service.settings import Settings
from service.store import Manifest, Model
from service.training.adversarial import systems
from service.training.adversarial.systems.registry import SYSTEMS, build_system
from service.training.adversarial.systems.system import System
from service.training.checkpoints import Checkpoints
from service.training.history import read_history
from service.training.progress import Progress
from service.training.registry import read_recipe
from service.training.run import Run

HERE = Path(__file__).parent
every_system = pytest.mark.parametrize("name", SYSTEMS)


def manifest_of(name: str) -> Manifest:
    """The first manifest of points in the plane that a system trains; the test fails where there is none."""
    models = [Model(path.parent) for path in sorted(Settings().shipped_models_dir.glob("*/model.toml"))]
    trained = [model.manifest for model in models if model.manifest.training.get("system") == name]
    of_points = [manifest for manifest in trained if manifest.points is not None]
    if not of_points:
        pytest.fail(
            f"no models_store/<id>/model.toml of points in the plane has system = {name!r}; write "
            f"models_store/{name}-ring/model.toml, as models_store/gan-ring/model.toml is"
        )
    return of_points[0]


def test_every_system_is_in_the_registry() -> None:
    assert not (told := left_out(classes_in(systems, System), SYSTEMS, "SYSTEMS")), told


@every_system
def test_a_system_is_built_from_its_name_and_nothing_else(name: str) -> None:
    assert isinstance(build_system(name, {}), SYSTEMS[name])
    with pytest.raises(ValueError, match="no_such_option"):
        build_system(name, {"no_such_option": 1})


@every_system
def test_a_system_has_the_name_that_papers_give_it(name: str) -> None:
    where = f"{file_of(SYSTEMS[name])}: {SYSTEMS[name].__name__}"
    assert "title" in vars(SYSTEMS[name]), f"{where} has no `title`, by which docs/mode-collapse.md calls it"


@every_system
def test_a_system_has_a_test_of_its_own_truth(name: str) -> None:
    tests = [path for path in HERE.glob("test_*.py") if path.name != Path(__file__).name]
    assert any(re.search(rf"\b{SYSTEMS[name].__name__}\b", path.read_text("utf-8")) for path in tests), (
        f"no test in {HERE.relative_to(HERE.parents[3])} names {SYSTEMS[name].__name__}; write "
        f"test_{Path(file_of(SYSTEMS[name])).name} there, with losses that were worked out by hand"
    )


@every_system
def test_a_system_trains_the_points_of_its_manifest(name: str, tmp_path: Path) -> None:
    manifest = manifest_of(name)
    shortened = {"iterations": 2, "stack": 2, "record_every": 1, "appraised": None}
    loop, recipe = read_recipe({**manifest.training, **shortened})
    points = MIXTURES[manifest.dataset].load(tmp_path, "train")
    with Progress(name, console=Console(file=io.StringIO())) as progress:
        run = Run(manifest, points, torch.device("cpu"), Checkpoints(tmp_path, {}), progress)
        net = loop.train(recipe, run)
    rows = read_history(tmp_path / "history.jsonl")
    assert len(rows) == 2
    assert all(torch.tensor(list(row.values())).isfinite().all() for row in rows)
    assert net(torch.randn(3, manifest.latent)).shape == (3, 2)


def test_an_unknown_system_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'vae'; there are .*wgan"):
        build_system("vae", {})


def test_options_that_are_left_out_are_those_of_the_papers() -> None:
    assert {name: build_system(name, {}).model_dump() for name in SYSTEMS} == {
        "dragan": {"form": "non-saturating", "penalty": 10, "slope": 1, "spread": 0.5},
        "ebgan": {"margin": 10, "pull_away": 0.1},
        "gan": {"form": "non-saturating"},
        "madgan": {},
        "minibatch": {"form": "non-saturating", "matching": False},
        "pacgan": {"form": "non-saturating", "packed": 2},
        "unrolled": {"form": "non-saturating", "steps": 5},
        "wgan": {"clip": 0.01, "biases": True},
        "wgan-gp": {"penalty": 10},
    }
