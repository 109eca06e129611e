import torch
from torch import nn

from service.training.adversarial.settling import settle


def test_statistics_are_the_plain_mean_over_the_batches() -> None:
    net = nn.Sequential(nn.BatchNorm1d(1))
    net(torch.full((4, 1), 100.0))
    settled = settle(net, [torch.full((4, 1), 2.0), torch.full((4, 1), 6.0)])
    assert settled is net
    assert net.get_buffer("0.running_mean").item() == 4
    assert not net.training
