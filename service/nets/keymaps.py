"""From publishers' names for weights to ours, one table or rule a publisher."""

import re
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from service.errors import UntrustedWeights

State = dict[str, Tensor]
KeyMap = Callable[[nn.Module, Mapping[str, Tensor]], State]

# torchvision/models/alexnet.py
ALEXNET_OWT = {
    "features.0": "conv1",
    "features.3": "conv2",
    "features.6": "conv3",
    "features.8": "conv4",
    "features.10": "conv5",
    "classifier.1": "fc6",
    "classifier.4": "fc7",
    "classifier.6": "fc8",
}
# torchvision/models/googlenet.py
GOOGLENET_BN = (
    (r"^conv1\.", "conv1."),
    (r"^conv2\.", "reduce2."),
    (r"^conv3\.", "conv2."),
    (r"\.branch1\.", ".one."),
    (r"\.branch2\.0\.", ".reduce3."),
    (r"\.branch2\.1\.", ".three."),
    (r"\.branch3\.0\.", ".reduce5."),
    (r"\.branch3\.1\.", ".five."),
    (r"\.branch4\.1\.", ".project."),
    (r"\.bn\.", ".norm."),
    (r"^fc\.", "output."),
)
# pytorch_fid/inception.py
INCEPTION_FID = (
    (r"^Conv2d_(\d[ab])_\dx\d\.", r"conv\1."),
    (r"^Mixed_", "mixed"),
    (r"\.branch1x1\.", ".one.1."),
    (r"\.branch3x3\.", ".three.1."),
    (r"\.branch3x3_", ".three."),
    (r"\.branch3x3dbl_", ".double3."),
    (r"\.branch5x5_", ".five."),
    (r"\.branch7x7(x3)?_", ".seven."),
    (r"\.branch7x7dbl_", ".double7."),
    (r"\.branch_pool\.", ".project.1."),
    (r"\.(\d)([ab])\.", r".\1.\2."),
    (r"\.bn\.", ".norm."),
    (r"^fc\.", "output."),
)
# timm/models/mobilenetv3.py: the blocks before each of its stages
MOBILENET_STAGES = (0, 1, 3, 5, 11)
MOBILENET_LAYERS = {
    "conv_dw": "depthwise.conv",
    "bn1": "depthwise.norm",
    "conv_pw": "pointwise.conv",
    "bn2": "pointwise.norm",
}
# timm/models/xception.py
XCEPTION = (
    (r"^bn(\d)\.", r"norm\1."),
    (r"^conv([34])\.conv1\.", r"conv\1.depthwise."),
    (r"\.skip\.", ".shortcut.conv."),
    (r"\.skipbn\.", ".shortcut.norm."),
    (r"^block", "body.block"),
    (r"^fc\.", "output."),
)


def _torchvision_alexnet(_net: nn.Module, theirs: Mapping[str, Tensor]) -> State:
    return {f"{ALEXNET_OWT[layer]}.{kind}": tensor for layer, kind, tensor in _split(theirs)}


def _torchvision_vgg(net: nn.Module, theirs: Mapping[str, Tensor]) -> State:
    """Their `features` are our `body`, layer by layer."""
    names = [name for name, _ in net.get_submodule("body").named_children()]
    layers = {f"features.{place}": f"body.{name}" for place, name in enumerate(names)}
    layers |= {"classifier.0": "dense.fc6", "classifier.3": "dense.fc7", "classifier.6": "fc8"}
    return {f"{layers[layer]}.{kind}": tensor for layer, kind, tensor in _split(theirs)}


def _torchvision_googlenet(_net: nn.Module, theirs: Mapping[str, Tensor]) -> State:
    """Their auxiliary classifiers, for training only, are left out."""
    served = {name: tensor for name, tensor in theirs.items() if not name.startswith("aux")}
    return {_renamed(name, GOOGLENET_BN): tensor for name, tensor in served.items()}


def _pytorch_fid(_net: nn.Module, theirs: Mapping[str, Tensor]) -> State:
    """The bias of their logits is left out, as Inception Score leaves it out."""
    return {_renamed(name, INCEPTION_FID): tensor for name, tensor in theirs.items() if name != "fc.bias"}


def _timm_mobilenet(_net: nn.Module, theirs: Mapping[str, Tensor]) -> State:
    found = {}
    for layer, kind, tensor in _split(theirs):
        block = re.fullmatch(r"blocks\.(\d)\.(\d)\.(\w+)", layer)
        if block:
            place = MOBILENET_STAGES[int(block[1])] + int(block[2]) + 1
            ours = f"body.block{place}.{MOBILENET_LAYERS[block[3]]}"
        else:
            ours = {"conv_stem": "stem.conv", "bn1": "stem.norm", "classifier": "output"}[layer]
        found[f"{ours}.{kind}"] = tensor
    return found


def _timm_xception(net: nn.Module, theirs: Mapping[str, Tensor]) -> State:
    """Their `rep` is our block's `body`, layer by layer."""

    def ours(block: re.Match[str]) -> str:
        layers = [name for name, _ in net.get_submodule(f"body.block{block[1]}.body").named_children()]
        half = {"conv1.": "depthwise.", None: ""}.get(block[3], block[3])
        return f"block{block[1]}.body.{layers[int(block[2])]}.{half}"

    names = {name: re.sub(r"^block(\d+)\.rep\.(\d+)\.(conv1\.)?", ours, name) for name in theirs}
    return {_renamed(names[name], XCEPTION): tensor for name, tensor in theirs.items()}


def in_order(net: nn.Module, layers: Sequence[Sequence[Tensor]]) -> State:
    """A graph's layers as ours, one after the other. Raises UntrustedWeights where there are more or fewer."""
    own = [name for name, layer in net.named_modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    if len(own) != len(layers) or any(len(layer) != 2 for layer in layers):
        raise UntrustedWeights(f"The graph has {len(layers)} layers with weights; the net has {len(own)}.")
    pairs = zip(own, layers, strict=True)
    return {f"{name}.{kind}": tensor for name, layer in pairs for kind, tensor in zip(("weight", "bias"), layer)}  # noqa: B905 - two each, see above


def red_first(state: State, first: str) -> State:
    """Caffe's nets see blue first: the same with the input maps of the first convolution turned round."""
    name = f"{first}.weight"
    return {**state, name: state[name].flip(1)}


KEY_MAPS: dict[str, KeyMap] = {
    "pytorch-fid": _pytorch_fid,
    "timm-mobilenet": _timm_mobilenet,
    "timm-xception": _timm_xception,
    "torchvision-alexnet": _torchvision_alexnet,
    "torchvision-googlenet": _torchvision_googlenet,
    "torchvision-vgg": _torchvision_vgg,
}


def to_ours(net: nn.Module, theirs: Mapping[str, Tensor], key_map: str) -> State:
    """The net's whole state out of a publisher's. Raises UntrustedWeights where a name or a shape does not fit."""
    own = net.state_dict()
    # How many batches normalisation has seen matters to nobody, and old files do not say.
    counted = {name: tensor for name, tensor in theirs.items() if not name.endswith("num_batches_tracked")}
    try:
        state = KEY_MAPS[key_map](net, counted)
    except (KeyError, IndexError, AttributeError) as error:
        raise UntrustedWeights(f"The file holds a weight that {key_map} does not know: {error}") from error
    return check(state, own)


def check(state: State, own: Mapping[str, Tensor]) -> State:
    """The state, with what nobody counts added. Raises UntrustedWeights unless names and shapes are the net's."""
    state = {**{name: tensor for name, tensor in own.items() if name.endswith("num_batches_tracked")}, **state}
    wrong = sorted(
        name for name in state.keys() | own.keys()
        if name not in state or name not in own or state[name].shape != own[name].shape
    )  # fmt: skip
    if wrong:
        raise UntrustedWeights(f"The file does not fit the net at {', '.join(wrong[:5])}.")
    return state


def _split(theirs: Mapping[str, Tensor]) -> list[tuple[str, str, Tensor]]:
    """Each tensor with its layer and what it is of it."""
    return [(*name.rsplit(".", 1), tensor) for name, tensor in theirs.items()]  # type: ignore[misc] # two parts


def _renamed(name: str, rules: Sequence[tuple[str, str]]) -> str:
    for pattern, ours in rules:
        name = re.sub(pattern, ours, name)
    return name
