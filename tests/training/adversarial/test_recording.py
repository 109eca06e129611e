from itertools import pairwise
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from service.training.adversarial.recording import FILE, Recording, moments_of


class Counting(nn.Module):
    """A generator whose points say how often it was asked."""

    asked = 0

    def forward(self, z: Tensor) -> Tensor:
        self.asked += 1
        return z[:, :2] * 0 + self.asked


def test_moments_are_dense_at_first_and_end_at_the_end() -> None:
    moments = moments_of(25_000)
    assert len(moments) == 60
    assert (moments[0], moments[-1]) == (1, 25_000)
    gaps = [after - before for before, after in pairwise(moments)]
    assert gaps == sorted(gaps)
    assert moments_of(3) == [1, 2, 3]


def test_only_the_first_of_a_stack_is_kept_at_its_moments(tmp_path: Path) -> None:
    recording, generator = Recording(torch.randn(12, 2), 10_000, 3), Counting()
    for step in range(1, 10_001):
        recording.note(step, generator)
    recording.write(tmp_path)
    written = load_file(tmp_path / FILE)
    assert generator.asked == 60
    assert written["step"].tolist() == moments_of(10_000)
    assert written["samples"].shape == (60, 4, 2)
    assert written["samples"].dtype == torch.float16
    assert written["samples"][:, 0, 0].tolist() == list(range(1, 61))


def test_it_goes_on_with_what_it_kept(tmp_path: Path) -> None:
    z, generator = torch.randn(4, 2), Counting()
    first, second = Recording(z, 4, 1), Recording(z, 4, 1)
    first.note(1, generator)
    first.note(2, generator)
    second.load_state_dict(first.state_dict())
    second.note(3, generator)
    second.write(tmp_path)
    assert load_file(tmp_path / FILE)["step"].tolist() == [1, 2, 3]
