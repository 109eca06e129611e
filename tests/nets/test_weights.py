"""Weights in half precision, in a file and in memory."""

import copy
from pathlib import Path

import torch

from service.nets.dcgan32 import DCGAN32Generator
from service.nets.weights import load_weights, round_weights, save_weights


def test_rounded_weights_are_those_that_a_file_in_half_precision_gives_back(tmp_path: Path) -> None:
    net = DCGAN32Generator(width=2)
    save_weights(net, tmp_path / "weights.safetensors", half=True)
    rounded, read = round_weights(copy.deepcopy(net)), copy.deepcopy(net)
    load_weights(read, tmp_path / "weights.safetensors")
    for name, tensor in rounded.state_dict().items():
        assert torch.equal(tensor, read.state_dict()[name]), name
    assert not torch.equal(net.paint.weight, rounded.get_parameter("paint.weight"))
    assert torch.equal(net.get_parameter("body.1.weight"), rounded.get_parameter("body.1.weight"))
