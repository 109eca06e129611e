"""Every net, by its name in manifests."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from service.errors import InvalidManifest
from service.nets.alexnet import AlexNet
from service.nets.alexnet_owt import AlexNetOWT
from service.nets.clockwork import ClockworkRNN
from service.nets.dcgan32 import DCGAN32Discriminator, DCGAN32Generator
from service.nets.echo_state import EchoState
from service.nets.googlenet import GoogLeNet
from service.nets.googlenet_bn import GoogLeNetBN
from service.nets.lenet5 import LeNet5
from service.nets.mlp import MLP
from service.nets.mobilenet import MobileNet
from service.nets.nin import NIN
from service.nets.recurrent import LSTM, PlainRNN
from service.nets.sequential import ClockworkClassifier, EchoStateClassifier
from service.nets.vgg import VGG
from service.nets.xception import Xception
from service.nets.zfnet import ZFNet

NETS: dict[str, type[nn.Module]] = {
    "alexnet": AlexNet,
    "alexnet-owt": AlexNetOWT,
    "cwrnn": ClockworkRNN,
    "cwrnn-classifier": ClockworkClassifier,
    "dcgan32-discriminator": DCGAN32Discriminator,
    "dcgan32-generator": DCGAN32Generator,
    "esn": EchoState,
    "esn-classifier": EchoStateClassifier,
    "googlenet": GoogLeNet,
    "googlenet-bn": GoogLeNetBN,
    "lenet5": LeNet5,
    "lstm": LSTM,
    "mlp": MLP,
    "mobilenet": MobileNet,
    "nin": NIN,
    "rnn": PlainRNN,
    "vgg": VGG,
    "xception": Xception,
    "zfnet": ZFNet,
}


def build_net(name: str, options: Mapping[str, Any] | None = None) -> nn.Module:
    """A freshly drawn net. Raises InvalidManifest where there is no such net or no such option of it."""
    if name not in NETS:
        raise InvalidManifest(f"There is no net called {name!r}; there are {', '.join(NETS)}.")
    try:
        return NETS[name](**dict(options or {}))
    except TypeError as error:
        raise InvalidManifest(f"{name}: {error}") from error
