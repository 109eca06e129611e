"""Weights on disk: safetensors, whole or not at all."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from service.errors import UntrustedWeights
from service.files import write_whole

LINE = 200
"""Characters of what torch says of names that do not fit; it lists all of them."""


def save_weights(net: nn.Module, path: Path, *, half: bool = False) -> None:
    """Write the net's parameters and buffers; a reader sees the old file or the new one, never half of it.

    `half` stores matrices and filters in half precision; biases and what normalises stay in single.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    if half:
        tensors = {name: tensor.half() if tensor.ndim > 1 else tensor for name, tensor in tensors.items()}
    write_whole(path, save(tensors))


def round_weights(net: nn.Module) -> nn.Module:
    """The net with the weights that a file in half precision would give back."""
    for tensor in net.state_dict().values():
        if tensor.ndim > 1:
            tensor.copy_(tensor.half())
    return net


def load_weights(net: nn.Module, path: Path) -> None:
    """Fill the net from a file. Raises UntrustedWeights unless the file holds exactly the net's tensors.

    Half precision in the file is widened to float32.
    """
    try:
        tensors = {name: _widened(tensor) for name, tensor in load_file(path).items()}
        net.load_state_dict(tensors, strict=True)
    except (OSError, SafetensorError, RuntimeError) as error:
        lines = (line.strip() for line in str(error).splitlines())
        said = " ".join(f"{line[:LINE]}…" if len(line) > LINE else line for line in lines)
        raise UntrustedWeights(f"{path} does not hold the weights of this net: {said}") from error


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in {torch.float16, torch.bfloat16} else tensor
