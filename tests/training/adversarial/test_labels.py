import pytest
import torch

from service.training.adversarial.labels import Labels

LOGITS = torch.zeros(4000)


def test_labels_are_hard_unless_said_otherwise_and_draw_nothing() -> None:
    state = torch.get_rng_state()
    assert torch.unique(Labels().for_real(LOGITS)).tolist() == [1.0]
    assert torch.unique(Labels().for_fake(LOGITS)).tolist() == [0.0]
    assert torch.equal(torch.get_rng_state(), state)
    assert Labels().are_hard
    assert not Labels(flipped=0.1).are_hard


def test_smoothing_is_one_sided() -> None:
    smooth = Labels(real=(0.9, 0.9))
    assert torch.unique(smooth.for_real(LOGITS)).tolist() == pytest.approx([0.9])
    assert torch.unique(smooth.for_fake(LOGITS)).tolist() == [0.0]


def test_noisy_labels_are_drawn_for_each_sample() -> None:
    noisy = Labels(real=(0.7, 1.2), fake=(0.0, 0.3))
    real, fake = noisy.for_real(LOGITS), noisy.for_fake(LOGITS)
    assert real.mean().item() == pytest.approx(0.95, abs=0.01)
    assert (real.min().item(), real.max().item()) == pytest.approx((0.7, 1.2), abs=0.01)
    assert fake.mean().item() == pytest.approx(0.15, abs=0.01)
    assert len(torch.unique(real)) > 3900


def test_a_share_of_the_samples_is_told_to_be_of_the_other_kind() -> None:
    flipped = Labels(real=(0.9, 0.9), flipped=0.05)
    assert (flipped.for_real(LOGITS) == 0).float().mean().item() == pytest.approx(0.05, abs=0.02)
    assert (flipped.for_fake(LOGITS) > 0.5).float().mean().item() == pytest.approx(0.05, abs=0.02)


def test_a_range_that_descends_is_refused() -> None:
    with pytest.raises(ValueError, match="lower end first"):
        Labels(real=(1.2, 0.7))
