from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from doubles import add_card
from torch import Tensor, nn
from training.eye import make_eye

from service.calibration import Calibration, Change, Strangeness
from service.datasets.registry import DATASETS
from service.datasets.split import Split
from service.errors import InvalidManifest
from service.imaging import Pixels
from service.nets.registry import build_net
from service.store import ImageOutput, Manifest, Model
from service.training.adversarial.appraisals import Appraised, ImageAppraiser
from service.training.checkpoints import Checkpoints
from service.training.progress import Progress
from service.training.run import Run

SPEC = ImageOutput(size=(28, 28), channels=1, latent=2, crop=2)


class Showing(nn.Module):
    """A generator that shows the images that it was given, whatever the latent."""

    def __init__(self, images: Pixels) -> None:
        super().__init__()
        shown = torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1
        self.shown = nn.functional.pad(shown, [2] * 4, value=-1.0)
        self.place = 0

    def forward(self, z: Tensor) -> Tensor:
        rows = (torch.arange(len(z)) + self.place) % len(self.shown)
        self.place += 0 if self.training else len(z)
        return self.shown[rows]


@pytest.fixture
def images(data_dir: Path) -> Split:
    return DATASETS["mnist"].load(data_dir, "train")


@pytest.fixture
def run(images: Split, tmp_path: Path) -> Run:
    model = make_eye(tmp_path / "eye")
    manifest = Manifest(
        net="dcgan32-generator", task="generate", chapter=7, paper="", summary="", dataset="mnist", output=SPEC
    )
    return Run(
        manifest,
        images,
        torch.device("cpu"),
        Checkpoints(tmp_path / "checkpoints", {}),
        Progress("test"),
        find=lambda _: model,
    )


def appraiser(run: Run, spec: ImageOutput = SPEC) -> ImageAppraiser:
    return ImageAppraiser(Appraised(extractor="eye", samples=60, reference=100), spec, run, seed=3)


def test_the_data_itself_scores_as_such(run: Run, images: Split) -> None:
    row = appraiser(run).measure(Showing(images.images[100:160]))
    assert row["spread"] == pytest.approx(1, abs=0.1)
    assert row["fid"] < 1e-3
    assert row["one_nn_real"] < 0.5  # each real image has its copy on the other side
    assert row["all_modes"] == 10


def test_one_image_for_ever_is_a_collapse(run: Run, images: Split) -> None:
    row = appraiser(run).measure(Showing(images.images[:1]))
    assert row["spread"] == 0
    assert row["modes"] <= 1
    assert (row["commonest_class"], row["rarest_class"]) == (1, 0)
    assert row["fid"] > 1e-3
    assert row["one_nn_generated"] > 0.9  # but for the real images that are this one


def test_measuring_changes_neither_the_generator_nor_the_random_numbers(run: Run) -> None:
    generator = build_net("dcgan32-generator", {"latent": 2, "width": 2, "channels": 1})
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    state = torch.get_rng_state()
    judge = appraiser(run)
    assert judge.measure(generator) == judge.measure(generator)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in generator.state_dict().items())
    assert generator.training


def test_a_generator_that_is_no_number_any_more_is_measured_without_a_crash(run: Run) -> None:
    broken = Showing(np.zeros((1, 28, 28, 1), np.uint8))
    broken.shown = torch.full_like(broken.shown, torch.nan)
    assert appraiser(run).measure(broken)["spread"] == 0


def test_a_classifier_without_weights_says_how_to_make_them(run: Run) -> None:
    run.find("eye").weights.unlink()
    with pytest.raises(InvalidManifest, match="'eye' has no weights; `chapterhouse train`"):
        appraiser(run)


def test_an_extractor_of_other_images_is_refused(run: Run) -> None:
    with pytest.raises(InvalidManifest, match="another size or colour"):
        appraiser(run, ImageOutput(size=(32, 32), channels=3, latent=2))


def test_reference_images_are_kept_from_training_unless_said_otherwise() -> None:
    assert Appraised(extractor="eye", reference=70).kept_from_training == 70
    assert Appraised(extractor="eye", reference=70, held_out=False).kept_from_training == 0


def test_images_are_named_by_others_than_the_extractor_as_sure_as_their_cards_allow(
    run: Run, images: Split, tmp_path: Path
) -> None:
    own = appraiser(run).measure(Showing(images.images))
    assert own["confident"] == 0  # nobody has trained it
    namer = make_eye(tmp_path / "namer")
    known = Strangeness(method="energy", limit=0.0, share=0.05, auroc={})
    change = Change(before=0.0, after=0.0)
    calibration = Calibration(temperature=1e-6, how="in a test", ece=change, nll=change, strangeness=known)
    add_card(namer.folder, calibration=calibration)
    both = replace(run, find=lambda name: Model(tmp_path / name))
    appraised = Appraised(extractor="eye", named_by=("namer",), samples=60, reference=100)
    row = ImageAppraiser(appraised, SPEC, both, seed=3).measure(Showing(images.images))
    assert row["confident"] == 1
    assert row["fid"] == own["fid"]
