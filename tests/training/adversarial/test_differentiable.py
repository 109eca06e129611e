import pytest
import torch
from torch import nn

from service.training.adversarial.differentiable import rule_of, unrolls


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
@pytest.mark.parametrize("before", [0, 3])
def test_steps_are_those_of_the_optimiser_from_where_it_stands(optimiser: str, before: int) -> None:
    weight = nn.Parameter(torch.randn(4))
    stepping = (
        torch.optim.Adam([weight], lr=0.1, betas=(0.5, 0.9))
        if optimiser == "adam"
        else torch.optim.SGD([weight], lr=0.1)
    )
    slopes = torch.randn(before + 4, 4)
    for slope in slopes[:before]:
        weight.grad = slope
        stepping.step()
    rule, weights = rule_of(stepping, {"w": weight}), {"w": weight.detach()}
    for slope in slopes[before:]:
        weights = rule.step(weights, {"w": slope})
    for slope in slopes[before:]:
        weight.grad = slope
        stepping.step()
    torch.testing.assert_close(weights["w"], weight.detach())


def test_a_gradient_that_is_zero_leaves_the_next_one_finite() -> None:
    weight = nn.Parameter(torch.zeros(2))
    slope = torch.zeros(2, requires_grad=True)
    rule = rule_of(torch.optim.Adam([weight]), {"w": weight})
    (found,) = torch.autograd.grad(rule.step({"w": weight.detach()}, {"w": 0 * slope})["w"].sum(), slope)
    assert found.isfinite().all()


def test_what_can_be_unrolled_is_known() -> None:
    assert [unrolls(kind) for kind in (torch.optim.Adam, torch.optim.SGD, torch.optim.RMSprop)] == [True, True, False]
