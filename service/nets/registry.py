"""Every net, by its name in manifests."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from service.errors import InvalidManifest
from service.nets.alexnet import AlexNet
from service.nets.alexnet_owt import AlexNetOWT
from service.nets.autoencoder import DCGAN32AutoEncoder
from service.nets.clockwork import ClockworkRNN
from service.nets.cuda_convnet import CudaConvNet
from service.nets.dcgan32 import DCGAN32Discriminator, DCGAN32Generator
from service.nets.echo_state import EchoState
from service.nets.foreign import Foreign
from service.nets.googlenet import GoogLeNet
from service.nets.googlenet_bn import GoogLeNetBN
from service.nets.graph import Graph
from service.nets.inception_fid import InceptionFID
from service.nets.initialisation import Undrawn
from service.nets.lenet5 import LeNet5
from service.nets.minibatch import DCGAN32MinibatchDiscriminator
from service.nets.mlp import MLP
from service.nets.mobilenet import MobileNet
from service.nets.nin import NIN
from service.nets.outside import build_outside, is_outside
from service.nets.pixels import Pixels
from service.nets.program import Program
from service.nets.recurrent import LSTM, PlainRNN
from service.nets.sequential import ClockworkClassifier, EchoStateClassifier
from service.nets.several import DCGAN32Generators
from service.nets.toys import (
    ToyAutoEncoder,
    ToyDiscriminator,
    ToyGenerator,
    ToyGenerators,
    ToyMinibatchDiscriminator,
)
from service.nets.vgg import VGG
from service.nets.weights import load_weights
from service.nets.xception import Xception
from service.nets.zfnet import ZFNet

FILES: dict[str, tuple[str, type[Foreign]]] = {
    "onnx": (".onnx", Graph),
    "torch-export": (".pt2", Program),
}
"""What a manifest calls a net that is a file of others: how that file ends, and what opens it."""
NETS: dict[str, type[nn.Module]] = {
    "alexnet": AlexNet,
    "alexnet-owt": AlexNetOWT,
    "cuda-convnet": CudaConvNet,
    "cwrnn": ClockworkRNN,
    "cwrnn-classifier": ClockworkClassifier,
    "dcgan32-autoencoder": DCGAN32AutoEncoder,
    "dcgan32-discriminator": DCGAN32Discriminator,
    "dcgan32-generator": DCGAN32Generator,
    "dcgan32-generators": DCGAN32Generators,
    "dcgan32-minibatch-discriminator": DCGAN32MinibatchDiscriminator,
    "esn": EchoState,
    "esn-classifier": EchoStateClassifier,
    "googlenet": GoogLeNet,
    "googlenet-bn": GoogLeNetBN,
    "inception-fid": InceptionFID,
    "lenet5": LeNet5,
    "lstm": LSTM,
    "mlp": MLP,
    "mobilenet": MobileNet,
    "nin": NIN,
    "pixels": Pixels,
    "rnn": PlainRNN,
    "toy-autoencoder": ToyAutoEncoder,
    "toy-discriminator": ToyDiscriminator,
    "toy-generator": ToyGenerator,
    "toy-generators": ToyGenerators,
    "toy-minibatch-discriminator": ToyMinibatchDiscriminator,
    "vgg": VGG,
    "xception": Xception,
    "zfnet": ZFNet,
}


def build_net(name: str, options: Mapping[str, Any] | None = None) -> nn.Module:
    """A freshly drawn net. Raises InvalidManifest where there is no such net or no such option of it."""
    if is_outside(name):
        return _reasoned(name, partial(build_outside, name, options or {}))
    if name not in NETS:
        raise InvalidManifest(f"There is no net called {name!r}; there are {', '.join(NETS)}.")
    return _reasoned(name, partial(NETS[name], **dict(options or {})))


def _reasoned(name: str, build: Callable[[], nn.Module]) -> nn.Module:
    """What comes of building a net. Raises InvalidManifest where its options do not make one."""
    try:
        return build()
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        raise InvalidManifest(f"{name}: {error}") from error


def open_net(name: str, options: Mapping[str, Any], weights: Path) -> nn.Module:
    """A net with the weights of a file, ready to infer; where the file is the net itself, that.

    Raises UntrustedWeights and InvalidManifest where file, net and options do not fit together, PackageMissing for an
    ONNX file without onnxruntime.
    """
    suffix, kind = FILES.get(name, (".safetensors", None))
    if weights.suffix != suffix:
        raise InvalidManifest(f"{weights} cannot be the weights of {name}, which are a file {suffix}.")
    try:
        net = _filled(name, options, weights) if kind is None else kind(weights, **options)
    except TypeError as error:
        raise InvalidManifest(f"{name}: {error}") from error
    return net.eval().requires_grad_(False)  # noqa: FBT003


def _filled(name: str, options: Mapping[str, Any], weights: Path) -> nn.Module:
    with Undrawn():
        net = build_net(name, options)
    load_weights(net, weights)
    return net
