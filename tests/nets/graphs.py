"""A small ONNX file that looks at images: a convolution, its maps' means, and classes."""

import torch
from nets.protobuf import integer, integers, node, port, runnable, tensor
from torch import Tensor
from torch.nn import functional as F

KERNEL = torch.linspace(-1.0, 1.0, 4 * 1 * 2 * 2).view(4, 1, 2, 2)
WEIGHT = torch.linspace(-2.0, 2.0, 3 * 4).view(3, 4)


def looking(rows: int | bytes = b"n", *, channels_last: bool = False, any_size: bool = False) -> bytes:
    """A file of images (rows, 1, 4, 4), or (rows, 4, 4, 1), to `maps`, `features` and `logits`."""
    sides: tuple[int | bytes, ...] = (4, 4, 1) if channels_last else (1, 4, 4)
    maps: tuple[int | bytes, ...] = (3, 3, 4) if channels_last else (4, 3, 3)
    if any_size:
        sides, maps = (1, b"h", b"w"), (4, b"p", b"q")
    to_first, to_last = integers(b"perm", 0, 3, 1, 2), integers(b"perm", 0, 2, 3, 1)
    turned = [node(b"Transpose", b"x", output=b"first", attributes=to_first)] if channels_last else []
    own = [node(b"Transpose", b"seen", output=b"maps", attributes=to_last)] if channels_last else []
    return runnable(
        *turned,
        node(b"Conv", b"first" if channels_last else b"x", b"kernel", output=b"seen" if channels_last else b"maps"),
        *own,
        node(b"GlobalAveragePool", b"seen" if channels_last else b"maps", output=b"mean"),
        node(b"Flatten", b"mean", output=b"features"),
        node(b"Gemm", b"features", b"weight", output=b"logits", attributes=integer(b"transB", 1)),
        tensor(b"kernel", KERNEL),
        tensor(b"weight", WEIGHT),
        port(11, b"x", rows, *sides),
        port(12, b"maps", rows, *maps),
        port(12, b"features", rows, 4),
        port(12, b"logits", rows, 3),
    )


def seen(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What that file makes of images (n, 1, 4, 4): maps, features and logits."""
    maps = F.conv2d(x, KERNEL)
    features = maps.mean(dim=(2, 3))
    return maps, features, features @ WEIGHT.T


DRAWN = torch.linspace(-1.0, 1.0, 3 * 1 * 2 * 2).view(3, 1, 2, 2)
AHEAD = torch.tensor([[0.0, -1.0], [0.0, 0.0], [1.0, 2.0]])
FLAT = torch.linspace(-1.0, 1.0, 4 * 3).view(4, 3)


def drawing() -> bytes:
    """A generator of latents (n, 3, 1, 1) to images (n, 1, 2, 2), as DCGAN's are: `images` in [−1, 1]."""
    return runnable(
        node(b"ConvTranspose", b"z", b"kernel", output=b"maps"),
        node(b"Tanh", b"maps", output=b"images"),
        tensor(b"kernel", DRAWN),
        port(11, b"z", b"n", 3, 1, 1),
        port(12, b"images", b"n", 1, 2, 2),
    )


def going_on() -> bytes:
    """A forecaster of windows (n, 3) to the next two steps: the last value, and twice it less the first."""
    return runnable(
        node(b"Gemm", b"window", b"ahead", output=b"next"),
        tensor(b"ahead", AHEAD),
        port(11, b"window", b"n", 3),
        port(12, b"next", b"n", 2),
    )


BYTES, WHOLE = 2, 6
"""Of an input that is 8 or 32 bits of whole numbers."""


def sorting(kind: int = 1) -> bytes:
    """A classifier of flat images (n, 4) as scikit-learn's are: `label` and `probabilities`, and no logits."""
    return runnable(
        node(b"Cast", b"X", output=b"pixels", attributes=integer(b"to", 1)),
        node(b"Gemm", b"pixels", b"weight", output=b"scores"),
        node(b"Softmax", b"scores", output=b"probabilities", attributes=integer(b"axis", 1)),
        node(b"ArgMax", b"scores", output=b"label", attributes=integer(b"axis", 1)),
        tensor(b"weight", FLAT),
        port(11, b"X", b"n", 4, kind=kind),
        port(12, b"label", b"n", 1, kind=7),
        port(12, b"probabilities", b"n", 3),
    )
