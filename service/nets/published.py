"""The nets as their papers print them: which options make which, and what goes in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from service.nets.layers import LayerRow, layer_table
from service.nets.nin import MNIST, SVHN
from service.nets.registry import build_net
from service.nets.vgg import KERNELS

LECUN = "LeCun, Bottou, Bengio, Haffner, 'Gradient-based learning applied to document recognition', Proc. IEEE 1998"
KRIZHEVSKY = (
    "Krizhevsky, Sutskever, Hinton, 'ImageNet classification with deep convolutional neural networks', NIPS 2012"
)
WEIRD_TRICK = "Krizhevsky, 'One weird trick for parallelizing convolutional neural networks', 2014, arXiv 1404.5997"
ZEILER = "Zeiler, Fergus, 'Visualizing and understanding convolutional networks', ECCV 2014, arXiv 1311.2901"
LIN = "Lin, Chen, Yan, 'Network in network', ICLR 2014, arXiv 1312.4400"
SIMONYAN = "Simonyan, Zisserman, 'Very deep convolutional networks …', ICLR 2015, arXiv 1409.1556"
SZEGEDY = "Szegedy et al., 'Going deeper with convolutions', CVPR 2015, arXiv 1409.4842"
IOFFE = "Ioffe, Szegedy, 'Batch normalization', ICML 2015, arXiv 1502.03167, as in torchvision"
HOWARD = "Howard et al., 'MobileNets', 2017, arXiv 1704.04861"
CHOLLET = "Chollet, 'Xception: deep learning with depthwise separable convolutions', CVPR 2017, arXiv 1610.02357"

RETHINKING = "Szegedy et al., 'Rethinking the Inception architecture', CVPR 2016, arXiv 1512.00567, as FID is defined"


@dataclass(frozen=True, slots=True)
class Published:
    """One net of a paper: what builds it, the (C, H, W) that goes in, and how many classes come out."""

    net: str
    input: tuple[int, ...]
    classes: int
    chapter: int
    paper: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def build(self) -> nn.Module:
        """The net without numbers, on the meta device."""
        with torch.device("meta"):
            return build_net(self.net, self.options)

    def layers(self) -> list[LayerRow]:
        """The table of its layers for one image."""
        return layer_table(self.build(), torch.empty(1, *self.input, device="meta"))


IMAGENET = (3, 224, 224)

PUBLISHED: dict[str, Published] = {
    **{
        f"mlp-784-{'-'.join(map(str, hidden))}-10": Published("mlp", (1, 28, 28), 10, 4, LECUN, {"hidden": hidden})
        for hidden in ((300,), (1000,), (300, 100), (500, 150))
    },
    "lenet5": Published("lenet5", (1, 32, 32), 10, 4, LECUN),
    "alexnet": Published("alexnet", IMAGENET, 1000, 4, KRIZHEVSKY),
    "alexnet-owt": Published("alexnet-owt", IMAGENET, 1000, 4, WEIRD_TRICK),
    "zfnet": Published("zfnet", IMAGENET, 1000, 4, ZEILER),
    "zfnet-512": Published("zfnet", IMAGENET, 1000, 4, ZEILER, {"widths": (96, 256, 512, 1024, 512)}),
    "nin-cifar10": Published("nin", (3, 32, 32), 10, 4, LIN),
    "nin-cifar100": Published("nin", (3, 32, 32), 100, 4, LIN, {"classes": 100}),
    "nin-mnist": Published("nin", (1, 28, 28), 10, 4, LIN, {"channels": 1, "size": 28, "blocks": MNIST}),
    "nin-svhn": Published("nin", (3, 32, 32), 10, 4, LIN, {"blocks": SVHN}),
    **{
        f"vgg-{letter.lower()}": Published("vgg", IMAGENET, 1000, 4, SIMONYAN, {"configuration": letter})
        for letter in KERNELS
    },
    "googlenet": Published("googlenet", IMAGENET, 1000, 4, SZEGEDY),
    "googlenet-bn": Published("googlenet-bn", IMAGENET, 1000, 4, IOFFE),
    **{
        f"mobilenet-{width}-224": Published("mobilenet", IMAGENET, 1000, 5, HOWARD, {"width": width})
        for width in (1.0, 0.75, 0.5, 0.25)
    },
    "mobilenet-1.0-160": Published("mobilenet", (3, 160, 160), 1000, 5, HOWARD),
    "mobilenet-convolutional": Published("mobilenet", IMAGENET, 1000, 5, HOWARD, {"convolution": "standard"}),
    "xception": Published("xception", (3, 299, 299), 1000, 5, CHOLLET),
    "inception-v3-fid": Published("inception-fid", (3, 299, 299), 1008, 7, RETHINKING),
}
