import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from service.errors import UntrustedWeights
from service.nets.keymaps import KEY_MAPS, in_order, red_first, to_ours
from service.nets.layers import count_parameters
from service.nets.registry import build_net

# Names and shapes of torchvision 0.29, timm 1.0 and pytorch-fid 0.3, without how many batches were seen.
GOLDEN = Path(__file__).parent.parent / "golden"
RECORDED: dict[str, dict[str, list[int]]] = json.loads((GOLDEN / "publishers.json").read_text("utf-8"))
RECORDED["pytorch-fid/inception"] = json.loads((GOLDEN / "inception.json").read_text("utf-8"))["state_dict"]

CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "torchvision/alexnet": ("torchvision-alexnet", "alexnet-owt", {}),
    "torchvision/googlenet": ("torchvision-googlenet", "googlenet-bn", {}),
    "torchvision/vgg11": ("torchvision-vgg", "vgg", {"configuration": "A"}),
    "torchvision/vgg13": ("torchvision-vgg", "vgg", {"configuration": "B"}),
    "torchvision/vgg16": ("torchvision-vgg", "vgg", {"configuration": "D"}),
    "torchvision/vgg16_bn": ("torchvision-vgg", "vgg", {"configuration": "D", "batch_norm": True}),
    "torchvision/vgg19": ("torchvision-vgg", "vgg", {"configuration": "E"}),
    "pytorch-fid/inception": ("pytorch-fid", "inception-fid", {}),
    "timm/legacy_xception": ("timm-xception", "xception", {"epsilon": 1e-5}),
    "timm/mobilenetv1_100": ("timm-mobilenet", "mobilenet", {"activation": "relu6", "epsilon": 1e-5}),
}

# The kernels of BVLC's AlexNet in the order of its graph.
BVLC_ALEXNET = [
    (96, 3, 11, 11), (256, 48, 5, 5), (384, 256, 3, 3), (384, 192, 3, 3), (256, 192, 3, 3),
    (4096, 9216), (4096, 4096), (1000, 4096),
]  # fmt: skip


def hollow(name: str, **options: object) -> nn.Module:
    with torch.device("meta"):
        return build_net(name, options)


def recorded(publisher: str) -> dict[str, Tensor]:
    return {name: torch.empty(shape, device="meta") for name, shape in RECORDED[publisher].items()}


def test_every_key_map_is_recorded() -> None:
    assert {key_map for key_map, _, _ in CASES.values()} == KEY_MAPS.keys()
    assert CASES.keys() == RECORDED.keys()


@pytest.mark.parametrize("publisher", CASES)
def test_a_publishers_names_and_shapes_become_the_nets(publisher: str) -> None:
    key_map, name, options = CASES[publisher]
    net = hollow(name, **options)
    theirs = recorded(publisher)
    state = to_ours(net, theirs, key_map)
    own = net.state_dict()
    assert {name: tensor.shape for name, tensor in state.items()} == {name: own[name].shape for name in own}
    unused = ("running", "aux", "fc.bias") if publisher == "pytorch-fid/inception" else ("running", "aux")
    served = sum(tensor.numel() for name, tensor in theirs.items() if not any(word in name for word in unused))
    assert served == count_parameters(net)
    # no tensor is used twice
    taken = [id(tensor) for tensor in state.values()]
    assert len(set(taken)) == len(taken)


def test_a_file_of_another_net_is_refused() -> None:
    with pytest.raises(UntrustedWeights, match="does not fit the net at body"):
        to_ours(hollow("vgg", configuration="B"), recorded("torchvision/vgg11"), "torchvision-vgg")
    with pytest.raises(UntrustedWeights, match="that torchvision-alexnet does not know"):
        to_ours(hollow("alexnet-owt"), recorded("torchvision/vgg11"), "torchvision-alexnet")
    missing = recorded("torchvision/alexnet")
    del missing["features.0.bias"]
    with pytest.raises(UntrustedWeights, match=r"does not fit the net at conv1\.bias"):
        to_ours(hollow("alexnet-owt"), missing, "torchvision-alexnet")


def test_a_graphs_layers_are_ours_in_order() -> None:
    net = hollow("alexnet", size=227, stem=(11, 4, 0))
    layers = [[torch.empty(shape, device="meta"), torch.empty(shape[0], device="meta")] for shape in BVLC_ALEXNET]
    state = in_order(net, layers)
    assert {name: tensor.shape for name, tensor in state.items()} == {
        name: tensor.shape for name, tensor in net.state_dict().items()
    }
    with pytest.raises(UntrustedWeights, match="The graph has 7 layers with weights; the net has 8"):
        in_order(net, layers[1:])


def test_googlenets_inceptions_are_in_the_order_of_caffes_graph() -> None:
    names = [name for name, layer in hollow("googlenet").named_modules() if isinstance(layer, nn.Conv2d)]
    assert names[3:9] == [
        f"inception3a.{branch}.conv" for branch in ("one", "reduce3", "three", "reduce5", "five", "project")
    ]
    assert len(names) == 3 + 9 * 6


def test_red_comes_first_where_blue_did() -> None:
    kernel = torch.arange(3.0).view(1, 3, 1, 1)
    turned = red_first({"conv1.weight": kernel, "conv1.bias": torch.ones(1)}, "conv1")
    assert turned["conv1.weight"].flatten().tolist() == [2.0, 1.0, 0.0]


def torchvision_net(name: str) -> nn.Module:
    models = pytest.importorskip("torchvision.models")
    options = {"aux_logits": True, "init_weights": False, "transform_input": False} if name == "googlenet" else {}
    net: nn.Module = getattr(models, name)(weights=None, **options)
    return net


def timm_net(name: str) -> nn.Module:
    net: nn.Module = pytest.importorskip("timm").create_model(name)
    return net


PUBLISHERS: dict[str, Callable[[str], nn.Module]] = {"timm": timm_net, "torchvision": torchvision_net}


@pytest.mark.publisher
@pytest.mark.parametrize(
    "publisher",
    [
        "torchvision/alexnet",
        "torchvision/googlenet",
        "torchvision/vgg11",
        "torchvision/vgg13",
        "torchvision/vgg16",
        "torchvision/vgg16_bn",
        "torchvision/vgg19",
        "timm/legacy_xception",
        "timm/mobilenetv1_100",
    ],
)
@torch.no_grad()
def test_the_logits_are_the_publishers(publisher: str) -> None:
    key_map, name, options = CASES[publisher]
    package, _, model = publisher.partition("/")
    theirs = PUBLISHERS[package](model).eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    net = hollow(name, **options)
    net.load_state_dict(to_ours(net, theirs.state_dict(), key_map), assign=True)
    x = torch.randn(1, 3, 224, 224)
    torch.testing.assert_close(net.eval()(x), theirs(x), rtol=0, atol=1e-4)
