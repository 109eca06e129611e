import pytest
import torch
from training.adversarial.systems.judges import Logits

from service.training.adversarial.systems.madgan import MADGAN
from service.training.adversarial.systems.step import Step

# Three generators: a last number of −2, 0 and 2 chooses the first, second and third.
Z = torch.tensor([[9.0, -2.0], [9.0, 2.0], [9.0, 0.0], [9.0, 2.0]])
NAMES = [1, 3, 2, 3]
REAL, FAKE = torch.randn(5, 4), torch.randn(4, 4)


def test_the_discriminator_names_the_generator_and_real_is_a_class_of_its_own() -> None:
    loss = MADGAN().discriminator_loss(Step(Logits(), REAL, FAKE, Z))
    of_real = -REAL.log_softmax(dim=1)[:, 0].mean()
    of_fake = -torch.stack([FAKE.log_softmax(dim=1)[row, name] for row, name in enumerate(NAMES)]).mean()
    torch.testing.assert_close(loss, of_real + 3 * of_fake)


def test_every_generator_wants_to_be_taken_for_real() -> None:
    loss = MADGAN().generator_loss(Step(Logits(), REAL, FAKE, Z))
    torch.testing.assert_close(loss, -FAKE.log_softmax(dim=1)[:, 0].mean())


def test_the_best_discriminator_of_a_perfect_mixture_reaches_the_papers_value() -> None:
    # Where p_data = p_i for all i, D is 1 / (N + 1) for each class: (N + 1) log(N + 1), N generators as one sum.
    unsure = torch.zeros(4, 4)
    loss = MADGAN().discriminator_loss(Step(Logits(), unsure, unsure, Z))
    assert loss.item() == pytest.approx(4 * torch.log(torch.tensor(4.0)).item())
