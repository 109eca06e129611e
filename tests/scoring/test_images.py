from pathlib import Path

import pytest
from training.eye import make_eye

from service.nets.registry import build_net
from service.nets.weights import save_weights
from service.runtime.in_process import LocalEngine
from service.scoring import images
from service.scoring.images import stacked_scores
from service.store import ModelStore

STACKING = """
net = "dcgan32-generator"
task = "generate"
chapter = 7
paper = ""
summary = ""
dataset = "stacked-mnist"
options = { latent = 4, width = 2, channels = 3 }
output = { size = [28, 28], channels = 3, latent = 4, crop = 2 }
"""


async def test_three_digits_of_an_image_are_one_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "STACKED", 100)
    make_eye(tmp_path / "eye")
    folder = tmp_path / "stacking"
    folder.mkdir()
    (folder / "model.toml").write_text(STACKING, "utf-8")
    store = ModelStore(tmp_path)
    options = {"latent": 4, "width": 2, "channels": 3}
    save_weights(build_net("dcgan32-generator", options), folder / "weights.safetensors")
    model, eye = store.get("stacking"), store.get("eye")
    async with LocalEngine(store, threads=1) as engine:
        found = await stacked_scores(model, [eye], engine, 1000, seed=1)
    assert found.keys() == {"modes", "reverse_kl"}
    assert 1 <= found["modes"].value <= 100
    assert found["reverse_kl"].value > 2  # a hundred images are at most a tenth of the modes
    assert found["modes"].how.startswith("100 images of seed 1, digits by eye")
