import pytest
import torch
from torch import Tensor, nn

from service.training.adversarial.systems.ebgan import EBGAN, energy, pull_away
from service.training.adversarial.systems.step import Step


class Halves(nn.Module):
    """An auto-encoder whose code is the sample and which remembers half of it, so that D(x) = ‖x‖ / 2."""

    def features(self, x: Tensor) -> Tensor:
        return x

    def head(self, code: Tensor) -> Tensor:
        return code / 2

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


def test_the_energy_is_the_length_of_what_is_lost() -> None:
    x = torch.randn(5, 1, 4, 4)
    torch.testing.assert_close(energy(x / 2, x), x.flatten(1).norm(dim=1) / 2)


def test_the_pull_away_term_is_nothing_for_orthogonal_codes_and_one_for_equal_ones() -> None:
    assert pull_away(7 * torch.eye(6)).item() == 0
    assert pull_away(torch.ones(6, 3) * torch.arange(1.0, 7)[:, None]).item() == pytest.approx(1)


def test_it_is_the_mean_squared_cosine_over_all_ordered_pairs_without_a_code_and_itself() -> None:
    codes = torch.randn(5, 8)
    pairs = [(i, j) for i in range(5) for j in range(5) if i != j]
    cosines = [torch.cosine_similarity(codes[i], codes[j], dim=0).item() for i, j in pairs]
    assert pull_away(codes).item() == pytest.approx(sum(c * c for c in cosines) / 20, rel=1e-5)


def test_nets_that_are_trained_side_by_side_are_pulled_apart_within_their_own_batch() -> None:
    class Two(Halves):
        stack = 2

    one, other = torch.tensor([[6.0, 0.0], [0.0, 6.0]]), torch.tensor([[4.0, 0.0], [4.0, 0.0]])
    judged = Step(Two(), one, torch.cat([one, other]))
    EBGAN().generator_loss(judged)
    assert judged.notes["pull_away"].item() == pytest.approx(0.5)  # 0 within the first batch, 1 within the second


def test_fake_samples_count_until_their_energy_reaches_the_margin() -> None:
    near, far = torch.tensor([[6.0, 0.0]]), torch.tensor([[0.0, 60.0]])  # energies 3 and 30
    real = torch.tensor([[2.0, 0.0]])  # energy 1
    ebgan = EBGAN(margin=10)
    assert ebgan.discriminator_loss(Step(Halves(), real, near)).item() == pytest.approx(1 + 7)
    judged = Step(Halves(), real, far)
    assert ebgan.discriminator_loss(judged).item() == pytest.approx(1)
    assert judged.notes["fake_energy"].item() == pytest.approx(30)


def test_the_term_belongs_to_the_generator_alone() -> None:
    fake = torch.tensor([[6.0, 0.0], [12.0, 0.0]])  # energies 3 and 6, one direction
    drawn, plain = EBGAN(pull_away=0.1), EBGAN(pull_away=0)
    assert drawn.generator_loss(Step(Halves(), fake, fake)).item() == pytest.approx(4.5 + 0.1)
    assert plain.generator_loss(Step(Halves(), fake, fake)).item() == pytest.approx(4.5)
    losses = {system.discriminator_loss(Step(Halves(), fake, fake)).item() for system in (drawn, plain)}
    assert len(losses) == 1


def test_a_perfect_memory_leaves_the_loss_differentiable() -> None:
    x = torch.zeros(3, 2, requires_grad=True)
    EBGAN().generator_loss(Step(Halves(), x, x)).backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert x.grad.isfinite().all()
