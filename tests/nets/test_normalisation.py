import torch
from torch import nn

from service.nets.normalisation import ResponseNorm


def test_the_papers_formula_is_torchs_with_five_times_its_alpha() -> None:
    a = 30 * torch.randn(2, 16, 5, 5)
    expected = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)(a)
    torch.testing.assert_close(ResponseNorm()(a), expected)


def test_caffes_constants_are_torchs_own() -> None:
    a = 30 * torch.randn(2, 3, 5, 5)
    torch.testing.assert_close(ResponseNorm(k=1.0, alpha=2e-5)(a), nn.LocalResponseNorm(5)(a))


def test_a_unit_is_divided_by_its_neighbours_only() -> None:
    a = torch.zeros(1, 8, 1, 1)
    a[0, 0], a[0, 2], a[0, 3] = 1.0, 10.0, 100.0
    b = ResponseNorm(n=5, k=2.0, alpha=1.0, beta=0.5)(a)
    torch.testing.assert_close(b[0, 0, 0, 0], torch.tensor((2.0 + 1.0 + 100.0) ** -0.5))
