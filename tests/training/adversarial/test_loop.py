"""The switches of the adversarial loop: what reaches a system that writes down all that it is given."""

import io
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from rich.console import Console
from torch import Tensor, nn
from training.eye import make_eye

from service.datasets.registry import DATASETS
from service.datasets.split import Split
from service.errors import TrainingFailed
from service.nets.dcgan32 import DCGAN32Discriminator
from service.nets.weights import round_weights
from service.store import ImageOutput, Manifest
from service.training.adversarial.loop import train_adversarial
from service.training.adversarial.recipe import AdversarialRecipe
from service.training.adversarial.systems.gan import GAN
from service.training.adversarial.systems.registry import SYSTEMS
from service.training.adversarial.systems.step import Step
from service.training.checkpoints import Checkpoints
from service.training.history import read_history
from service.training.progress import Progress
from service.training.run import Run


class Spy(GAN):
    """GAN that keeps every step, and whether the layers worked in half precision."""

    steps: ClassVar[list[Step]] = []
    halved: ClassVar[list[bool]] = []
    spoilt: bool = False

    def discriminator_loss(self, step: Step) -> Tensor:
        self.steps.append(step)
        self.halved.append(step.discriminator(step.real).dtype == torch.bfloat16)
        loss = super().discriminator_loss(step)
        return loss * torch.nan if self.spoilt else loss


MANIFEST = Manifest(
    net="dcgan32-generator",
    task="generate",
    chapter=7,
    paper="",
    summary="",
    dataset="mnist",
    options={"latent": 5, "width": 4, "channels": 1},
    output=ImageOutput(size=(28, 28), channels=1, latent=5, crop=2),
)


@pytest.fixture(autouse=True)
def spy(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Spy]]:
    monkeypatch.setitem(SYSTEMS, "spy", Spy)
    Spy.steps.clear()
    Spy.halved.clear()
    yield Spy
    Spy.steps.clear()


@pytest.fixture
def images(data_dir: Path) -> Split:
    return DATASETS["mnist"].load(data_dir, "train")


def recipe(**said: Any) -> AdversarialRecipe:
    plain: dict[str, Any] = {
        "loop": "adversarial",
        "system": "spy",
        "discriminator": "dcgan32-discriminator",
        "discriminator_options": {"width": 4, "channels": 1},
        "iterations": 4,
        "batch": 8,
    }
    return AdversarialRecipe.model_validate(plain | said)


def follow(images: Split, folder: Path, **said: Any) -> tuple[nn.Module, Run]:
    """Train as the recipe says, its checkpoint in a folder."""
    model = make_eye(folder / "eye")
    progress = Progress("test", console=Console(file=io.StringIO()))
    run = Run(MANIFEST, images, torch.device("cpu"), Checkpoints(folder, {}), progress, find=lambda _: model)
    torch.manual_seed(1)
    return train_adversarial(recipe(**said), run), run


def stored_pixels(x: Tensor) -> bool:
    """Whether these are pixels as they are stored, without any noise."""
    levels = (x + 1) * 127.5
    return bool(torch.allclose(levels, levels.round(), atol=1e-3))


def test_the_discriminator_takes_as_many_steps_as_are_asked_for(images: Split, tmp_path: Path) -> None:
    follow(images, tmp_path, discriminator_steps=3)
    assert len(Spy.steps) == 4 * 3
    shown = [step.real for step in Spy.steps]
    assert not any(torch.equal(one, other) for one, other in pairwise(shown))


def test_real_and_fake_are_judged_apart_unless_they_are_to_be_together(images: Split, tmp_path: Path) -> None:
    follow(images, tmp_path / "apart")
    follow(images, tmp_path / "together", separate_batches=False)
    assert [step.together for step in Spy.steps] == [False] * 4 + [True] * 4


def test_instance_noise_lies_on_real_and_fake_and_falls_to_nothing(images: Split, tmp_path: Path) -> None:
    said = recipe(instance_noise=0.4, instance_noise_until=0.5, iterations=100)
    assert [round(said.noise_at(step), 3) for step in (1, 26, 50, 51, 100)] == [0.4, 0.2, 0.008, 0.0, 0.0]
    follow(images, tmp_path, instance_noise=0.4, instance_noise_until=0.5)
    assert [stored_pixels(step.real) for step in Spy.steps] == [False, False, True, True]
    corners = [step.real[:, :, 0, 0].std().item() for step in Spy.steps]  # black in every image
    assert corners == pytest.approx([0.4, 0.2, 0, 0], abs=0.25)
    assert Spy.steps[0].fake.abs().max() > 1
    assert Spy.steps[-1].fake.abs().max() <= 1


def test_earlier_fakes_come_back_where_the_recipe_replays_them(images: Split, tmp_path: Path) -> None:
    follow(images, tmp_path, replay=0.25, replay_size=16)
    first, second = Spy.steps[:2]
    assert torch.equal(second.fake[:2], first.fake[:2][[0, 1]]) or all(
        any(torch.equal(fake, earlier) for earlier in first.fake[:2]) for fake in second.fake[:2]
    )
    assert not any(torch.equal(fake, earlier) for earlier in first.fake for fake in second.fake[2:])


def test_labels_of_the_recipe_reach_the_system(images: Split, tmp_path: Path) -> None:
    follow(images, tmp_path, labels={"real": [0.9, 0.9]})
    assert {step.labels.real for step in Spy.steps} == {(0.9, 0.9)}


def test_labels_mean_nothing_to_a_critic_and_are_refused() -> None:
    for name in ("wgan", "wgan-gp", "ebgan", "madgan"):
        with pytest.raises(ValidationError, match=f"{name} has no labels"):
            recipe(system=name, labels={"flipped": 0.1})


def test_a_batch_or_optimiser_that_does_not_suit_the_system_is_refused() -> None:
    with pytest.raises(ValidationError, match="packs of 3"):
        recipe(system="pacgan", system_options={"packed": 3})
    with pytest.raises(ValidationError, match="cannot be unrolled"):
        recipe(system="unrolled", discriminator_optimiser="rmsprop")


@pytest.mark.parametrize("said", [{"replay": 0.5}, {"spectral": True}, {"separate_batches": False}])
def test_what_would_mix_trainings_that_are_side_by_side_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="do not go with a stack"):
        recipe(stack=2, **said)


def test_each_player_has_its_own_time_scale_and_optimiser() -> None:
    said = recipe(generator_rate=1e-4, discriminator_rate=4e-4, discriminator_optimiser="sgd", betas=[0.0, 0.9])
    net = DCGAN32Discriminator(width=2, channels=1)
    of_generator, of_discriminator = said.build_optimiser(net), said.build_discriminator_optimiser(net)
    assert isinstance(of_generator, torch.optim.Adam)
    assert (of_generator.param_groups[0]["lr"], of_generator.param_groups[0]["betas"]) == (1e-4, (0.0, 0.9))
    assert isinstance(of_discriminator, torch.optim.SGD)
    assert of_discriminator.param_groups[0]["lr"] == 4e-4
    assert isinstance(recipe(optimiser="rmsprop").build_discriminator_optimiser(net), torch.optim.RMSprop)


def test_both_rates_fall_to_nothing_from_where_the_recipe_says() -> None:
    assert {recipe().relative_rate(step) for step in (1, 2, 3, 4)} == {1.0}
    said = recipe(falling_from=0.5, iterations=99, generator_rate=0.4, discriminator_rate=0.2)
    assert [said.relative_rate(step) for step in (1, 50, 75, 99)] == pytest.approx([1, 1, 0.5, 0.02])
    weights = [nn.Parameter(torch.zeros(1))]
    optimisers = torch.optim.Adam(weights), torch.optim.RMSprop(weights)
    said.set_rates(75, *optimisers)
    assert [optimiser.param_groups[0]["lr"] for optimiser in optimisers] == pytest.approx([0.2, 0.1])


def test_spectral_normalisation_holds_every_layers_largest_stretch_at_one() -> None:
    net = recipe(spectral=True).build_discriminator()
    with torch.no_grad():
        for _ in range(30):
            net(torch.randn(2, 1, 32, 32))  # each pass is one step of the power method
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.05)
    assert any(name.endswith("original") for name, _ in net.named_parameters())


def test_layers_work_in_half_precision_and_losses_do_not(images: Split, tmp_path: Path) -> None:
    follow(images, tmp_path, precision="bfloat16")
    assert Spy.halved == [True] * 4
    assert {step.fake.dtype for step in Spy.steps} == {torch.float32}
    rows = read_history(tmp_path / "history.jsonl")
    assert 0 < rows[-1]["discriminator_loss"] < 10


def test_images_that_are_held_out_are_never_learnt_from(images: Split, tmp_path: Path) -> None:
    marked = Split(images.images.copy(), images.labels)
    marked.images[-150:, 0, 0] = 255
    appraised = {"extractor": "eye", "every": 2, "samples": 20, "reference": 150}
    follow(marked, tmp_path / "held out", appraised=appraised)
    follow(marked, tmp_path / "learnt", appraised={**appraised, "held_out": False})
    seen = [bool((step.real[:, 0, 2, 2] == 1).any()) for step in Spy.steps]
    assert seen == [False] * 4 + [True] * 4


def test_measuring_does_not_change_what_is_learnt(images: Split, tmp_path: Path) -> None:
    appraised = {"extractor": "eye", "every": 1, "samples": 20, "reference": 50, "held_out": False}
    measured, _ = follow(images, tmp_path / "measured", appraised=appraised, record_every=1)
    plain, _ = follow(images, tmp_path / "plain", grid_every=1)
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, measured.state_dict()[name])


def test_history_curves_and_samples_lie_beside_the_checkpoint(images: Split, tmp_path: Path) -> None:
    appraised = {"extractor": "eye", "every": 2, "samples": 20, "reference": 50}
    _, run = follow(images, tmp_path, iterations=5, record_every=2, grid_every=4, appraised=appraised)
    rows = read_history(tmp_path / "history.jsonl")
    assert [row["step"] for row in rows] == [2, 4, 5]
    told = {"discriminator_loss", "generator_loss", "discriminator_gradient", "generator_gradient", "fid", "modes"}
    assert all(told <= row.keys() for row in rows)
    assert run.ending == rows[-1]
    assert [path.name for path in sorted(tmp_path.glob("*.png"))] == [
        "curves.png",
        "samples-000004.png",
        "samples-000005.png",
    ]


def test_what_a_critic_estimates_is_recorded(images: Split, tmp_path: Path) -> None:
    follow(images, tmp_path, system="wgan", record_every=1)
    for row in read_history(tmp_path / "history.jsonl"):
        assert row["distance"] == pytest.approx(-row["discriminator_loss"])


def test_a_collapse_is_noticed_and_goes_on(images: Split, tmp_path: Path) -> None:
    appraised = {"extractor": "eye", "every": 2, "samples": 20, "reference": 50}
    _, run = follow(images, tmp_path, appraised=appraised, watched={"least_spread": 100.0, "fewest_modes": 0.0})
    [spread] = [words for words in run.noticed if "times as far as the data" in words]
    assert spread.startswith("iteration 2: ")


def test_a_training_that_diverges_ends_with_an_error(images: Split, tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="divergence at iteration 2: discriminator loss is nan"):
        follow(images, tmp_path, system_options={"spoilt": True}, record_every=2)
    assert np.isnan(read_history(tmp_path / "history.jsonl")[-1]["discriminator_loss"])


def test_the_discriminator_begins_with_more_steps_where_it_is_to_be_alone_at_first(
    images: Split, tmp_path: Path
) -> None:
    follow(images, tmp_path, discriminator_steps=2, alone=3)
    assert len(Spy.steps) == 4 * 2 + 3


def test_a_second_part_goes_on_from_the_stored_weights_beside_a_discriminator_that_begins_anew(
    images: Split, tmp_path: Path
) -> None:
    afterwards = {"iterations": 2, "batch": 16, "generator_rate": 1e-12, "average": 0.5}
    first = round_weights(follow(images, tmp_path / "first")[0])
    both, run = follow(images, tmp_path / "both", weights="float16", afterwards=afterwards)
    assert [len(step.real) for step in Spy.steps] == [8] * 8 + [16] * 2
    assert Spy.steps[-1].discriminator is not Spy.steps[-3].discriminator
    for name, weight in both.named_parameters():
        assert torch.allclose(weight, first.get_parameter(name), atol=1e-9), name
    assert run.ending["step"] == 2
    assert read_history(tmp_path / "both" / "history.jsonl")[-1]["step"] == 4
    assert read_history(tmp_path / "both" / "afterwards" / "history.jsonl")[-1]["step"] == 2


def test_a_second_part_is_the_first_with_what_it_says_otherwise_on_the_next_seed() -> None:
    second = recipe(seed=3, falling_from=0.5, afterwards={"iterations": 2, "alone": 7}).second
    assert second == recipe(seed=4, falling_from=0.5, iterations=2, alone=7)
    assert recipe().second is None


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"afterwards": {"batch": 1}}, "greater than 1"),
        ({"afterwards": {"stack": 2}}, "nothing else"),
        ({"stack": 2, "afterwards": {"seed": 1}}, "stack"),
    ],
)
def test_a_second_part_that_cannot_be_is_refused_with_the_recipe(said: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        recipe(**said)
