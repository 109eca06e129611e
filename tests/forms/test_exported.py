from concurrent.futures import ThreadPoolExecutor

import torch
from torch import nn

from service.forms.exported import export

TOGETHER = 4


def small_net() -> nn.Module:
    convolutions = [layer for _ in range(6) for layer in (nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())]
    return nn.Sequential(nn.Conv2d(1, 8, 3), *convolutions, nn.Flatten(), nn.Linear(8 * 26 * 26, 10)).eval()


def test_nets_that_are_exported_at_the_same_time_are_all_exported() -> None:
    nets, image = [small_net() for _ in range(TOGETHER)], torch.rand(1, 1, 28, 28)
    with ThreadPoolExecutor(TOGETHER) as threads:
        together = list(threads.map(lambda net: export(net, image), nets))
    assert together == [export(net, image) for net in nets]
