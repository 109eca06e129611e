import math

import pytest
import torch
from pydantic import ValidationError

from service.nets.registry import build_net
from service.store import ImageInput
from service.training.classifier import ClassifierRecipe
from service.training.distortion import Distortion, distort

RECIPE = ClassifierRecipe(loop="classifier", epochs=1)
SPEC = ImageInput(size=(8, 8), channels=1, mean=(0.1,), std=(0.8,), pad=0)


def test_the_map_criterion_is_the_papers() -> None:
    distances = torch.tensor([[1.0, 4.0, 9.0], [2.0, 0.5, 3.0]])
    labels = torch.tensor([0, 2])
    j = 1.5
    expected = (distances[[0, 1], labels] + torch.log(math.exp(-j) + torch.exp(-distances).sum(dim=1))).mean()
    recipe = RECIPE.model_copy(update={"loss": "map", "garbage": j})
    torch.testing.assert_close(recipe.measure_loss(-distances, labels), expected)


def test_the_rate_rises_to_its_highest_and_falls_to_nothing() -> None:
    recipe = RECIPE.model_copy(update={"warm_up": 0.1})
    assert recipe.relative_rate(0.05) == pytest.approx(0.5)
    assert recipe.relative_rate(0.1) == pytest.approx(1.0)
    assert recipe.relative_rate(0.55) == pytest.approx(0.5)
    assert recipe.relative_rate(1.0) == pytest.approx(0.0)


def test_the_rate_can_fall_by_a_line_or_by_steps() -> None:
    line = RECIPE.model_copy(update={"schedule": "one-cycle", "warm_up": 0.2})
    assert [line.relative_rate(done) for done in (0.1, 0.2, 0.6, 1.0)] == pytest.approx([0.5, 1.0, 0.5, 0.0])
    steps = RECIPE.model_copy(update={"schedule": "steps", "steps": (0.5, 0.75)})
    assert [steps.relative_rate(done) for done in (0.1, 0.5, 0.8)] == pytest.approx([1.0, 0.1, 0.01])
    with pytest.raises(ValidationError, match="need each other"):
        ClassifierRecipe(loop="classifier", epochs=1, schedule="steps")


def test_smoothing_spreads_a_share_of_the_label() -> None:
    logits, labels = torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0])
    target = torch.tensor([[0.7 + 0.1, 0.1, 0.1]])
    expected = -(target * logits.log_softmax(dim=1)).sum()
    torch.testing.assert_close(RECIPE.model_copy(update={"smoothing": 0.3}).measure_loss(logits, labels), expected)


def test_auxiliary_losses_count_by_their_weight() -> None:
    recipe = RECIPE.model_copy(update={"auxiliary": 0.3})
    answers, labels = torch.randn(3, 4, 10), torch.tensor([0, 1, 2, 3])
    own, first, second = (recipe.measure_loss(logits, labels) for logits in answers)
    torch.testing.assert_close(recipe.measure_losses(list(answers), labels), own + 0.3 * (first + second))
    torch.testing.assert_close(recipe.measure_losses([answers[0]], labels), own)


def test_images_grow_with_the_epochs() -> None:
    recipe = RECIPE.model_copy(update={"epochs": 10, "sides": ((0.5, 16), (0.8, 24))})
    assert [recipe.side_in(epoch) for epoch in (1, 5, 6, 8, 9, 10)] == [16, 16, 24, 24, None, None]


def test_only_what_mixes_maps_decays() -> None:
    net = build_net("mobilenet", {"width": 0.25, "classes": 10})
    recipe = RECIPE.model_copy(update={"decay": "weights", "weight_decay": 0.1, "optimiser": "sgd"})
    decaying, others = recipe.build_optimiser(net).param_groups
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    kinds = {tuple(weight.shape[1:]) for weight in others["params"]}
    assert kinds == {(), (1, 3, 3)}
    assert len(decaying["params"]) == 1 + 13 + 1
    assert len(decaying["params"]) + len(others["params"]) == len(list(net.parameters()))


def test_no_distortion_leaves_an_image_as_it_is() -> None:
    x = torch.randn(4, 1, 8, 8)
    torch.testing.assert_close(distort(x, Distortion(), SPEC), x, rtol=1e-4, atol=1e-5)


def test_mirroring_mirrors_some_images_and_leaves_the_others() -> None:
    x = torch.randn(32, 1, 8, 8)
    y = distort(x, Distortion(flip=True), SPEC)
    mirrored = [torch.allclose(row, other.flip(-1), atol=1e-4) for row, other in zip(y, x, strict=True)]
    kept = [torch.allclose(row, other, atol=1e-4) for row, other in zip(y, x, strict=True)]
    assert all(a != b for a, b in zip(mirrored, kept, strict=True))
    assert any(mirrored)
    assert any(kept)


def test_what_comes_in_from_outside_is_black() -> None:
    black = -0.1 / 0.8
    y = distort(torch.ones(16, 1, 8, 8), Distortion(shift=8.0), SPEC)
    assert y.min().item() == pytest.approx(black, abs=1e-5)
    assert distort(torch.full((16, 1, 8, 8), black), Distortion(shift=8.0, rotation=45), SPEC).std() < 1e-6


def test_distortions_stay_within_their_bounds() -> None:
    maps = Distortion(rotation=10, scale=0.1, shear=0.1, shift=2).sample(1000, 32)
    determinants = torch.linalg.det(maps[:, :, :2])
    assert determinants.min() >= 0.9**2 - 1e-5
    assert determinants.max() <= 1.1**2 + 1e-5
    assert maps[:, :, 2].abs().max() <= 2 * 2 / 32
