"""What docs/nets/ say around their tables: every number of the prose is one that the nets, recipes and cards have."""

import re
from collections.abc import Callable

import pytest

from experiments.families.__main__ import FOLDER
from service.nets.layers import LayerRow
from service.nets.published import PUBLISHED
from service.settings import Settings
from service.store import Model, ModelStore

STORE = ModelStore(Settings().shipped_models_dir)
PAGES = sorted(path.stem for path in FOLDER.glob("*.md") if not path.stem.endswith("-zh"))
NAMES = r"LeNet-5|VGG-\d+|\b[CS][1-5]\b|1-NN"
NO_PROSE = r"^```(?s:.*?)^```$|^\|.*$|^<!--.*$|^#.*$|^\[中文\].*$|\]\([^)]*\)|`[^`]*`|(?<=et al\. )\d{4}|" + NAMES


def paper(name: str) -> list[LayerRow]:
    return PUBLISHED[name].layers()


def named(name: str, layer: str) -> LayerRow:
    [row] = [row for row in paper(name) if row.name == layer]
    return row


def convolutions(name: str) -> list[LayerRow]:
    return [row for row in paper(name) if row.kind == "Conv2d"]


def deep(name: str) -> int:
    """Layers with weights, one behind the other."""
    return len([row for row in paper(name) if row.kind in ("Conv2d", "Linear")])


def googlenets_depth() -> tuple[int, int]:
    """Its inceptions, and its layers with weights one behind the other: two in each, those before, and the classes."""
    weighted = [row.name for row in paper("googlenet") if row.parameters]
    inceptions = {name.partition(".")[0] for name in weighted if name.startswith("inception")}
    before = [name for name in weighted if not name.startswith(("inception", "auxiliary"))]
    return len(inceptions), 2 * len(inceptions) + len(before)


def look(side: int, stride: int, row: LayerRow) -> bool:
    return row.kernel == (side, side) and row.stride == (stride, stride)


def small(*model_ids: str) -> bool:
    """Whether they take photographs of 32×32."""
    return all(_input(STORE.get(model_id)) == (32, 32) for model_id in model_ids)


def _input(model: Model) -> tuple[int, ...]:
    assert model.manifest.input is not None
    return tuple(model.manifest.input.size)


def stem(model_id: str, stride: int) -> LayerRow | None:
    """The first layer of a model here, where it has this stride."""
    card = STORE.get(model_id).card
    assert card is not None
    first = card.layers[0]
    return LayerRow(**first.model_dump()) if first.stride == (stride, stride) else None


def share(model_id: str) -> float:
    """How many of its paper's maps a model has."""
    width = STORE.get(model_id).manifest.options["width"]
    assert isinstance(width, float)
    return width


def saved(maps: int) -> float:
    """What a separable 3×3 has of the weights of a standard one."""
    return (9 * maps + maps * maps) / (9 * maps * maps)


FACTS: dict[str, dict[str, Callable[[], bool]]] = {
    "alexnet": {
        "Its pools of 3×3 **overlap** by a pixel": lambda: look(3, 2, named("alexnet", "pool1")),
        "layer is 7×7 at a stride of 2 instead of 11×11 at 4": lambda: (
            look(7, 2, named("zfnet", "conv1")) and look(11, 4, named("alexnet", "conv1"))
        ),
        "Both are adaptations to photographs of 32×32: a stem of stride 1, half the maps": lambda: (
            small("alexnet-cifar10", "zfnet-cifar10")
            and bool(stem("alexnet-cifar10", 1) and stem("zfnet-cifar10", 1))
            and all(
                2 * STORE.get(name).manifest.options["widths"][0] == named(name[:-8], "conv1").output[0]
                for name in ("alexnet-cifar10", "zfnet-cifar10")
            )
        ),
    },
    "gans": {"On a grid of 25": lambda: "25" in STORE.get("gan-grid").manifest.summary},
    "googlenet": {
        "an **inception** is a 1×1, a 3×3, a 5×5 and a pool": lambda: (
            look(1, 1, named("googlenet", "inception3a.one.conv"))
            and look(3, 1, named("googlenet", "inception3a.three.conv"))
            and look(5, 1, named("googlenet", "inception3a.five.conv"))
        ),
        "so a **1×1 reduction** stands before": lambda: look(1, 1, named("googlenet", "inception3a.reduce5.conv")),
        "Nine inceptions in a row are 22 layers deep": lambda: googlenets_depth() == (9, 22),
        "photographs of 32×32: a stem of 3×3 at a stride of 1, half the maps": lambda: (
            small("googlenet-cifar10")
            and share("googlenet-cifar10") == 0.5
            and (row := stem("googlenet-cifar10", 1)) is not None
            and look(3, 1, row)
        ),
    },
    "lenet": {"distances to drawn digits of 7×12 pixels": lambda: named("lenet5", "F6").output == (7 * 12,)},
    "nin": {
        "each convolution is followed by two of **1×1**": lambda: (
            look(1, 1, named("nin-cifar10", "body.cccp1_1")) and look(1, 1, named("nin-cifar10", "body.cccp1_2"))
        ),
        "1×1 convolutions make [GoogLeNet": lambda: (
            look(1, 1, named("googlenet", "inception3a.reduce3.conv"))
            and look(1, 1, named("mobilenet-1.0-224", "body.block1.pointwise.conv"))
        ),
    },
    "reservoirs": {"is the error 84 steps ahead": lambda: _score("esn-mackey-glass", "nrmse84", "at step 84")},
    "separable": {
        "a depthwise\n3×3 for each map, then a 1×1 over all of them": lambda: (
            look(3, 1, named("mobilenet-1.0-224", "body.block1.depthwise.conv"))
            and look(1, 1, named("mobilenet-1.0-224", "body.block1.pointwise.conv"))
        ),
        "about an eighth to a ninth": lambda: 1 / 9 < saved(1024) < saved(128) < 1 / 8,
        "36 separable convolutions": lambda: (
            2 + len([row for row in paper("xception") if row.name.endswith("depthwise")]) == 36
        ),
        "from the paper's table 4": lambda: len(convolutions("mobilenet-convolutional")) == 14,
        "photographs of 32×32: half and a quarter of the maps": lambda: (
            small("mobilenet-cifar10", "xception-cifar10")
            and (share("mobilenet-cifar10"), share("xception-cifar10")) == (0.5, 0.25)
        ),
    },
    "vgg": {
        "Every convolution is 3×3; two of them see as much as one 5×5\nand three as much as one 7×7": lambda: all(
            look(3, 1, row) for row in convolutions("vgg-e")
        ),
        "from A, of 11 layers, to E, of 19": lambda: (deep("vgg-a"), deep("vgg-e")) == (11, 19),
        "adaptations to photographs of 32×32 with fewer maps": lambda: (
            small("vgg11-cifar10", "vgg16-bn-cifar10") and share("vgg11-cifar10") < share("vgg16-bn-cifar10") < 1
        ),
    },
}
"""What each page says with a number, and whether it is so."""


def _score(model_id: str, name: str, how: str) -> bool:
    card = STORE.get(model_id).card
    return card is not None and how in card.scores[name].how


@pytest.mark.parametrize(("page", "said"), [(page, said) for page in sorted(FACTS) for said in sorted(FACTS[page])])
def test_what_the_prose_says_with_a_number_is_so(page: str, said: str) -> None:
    assert said in (FOLDER / f"{page}.md").read_text("utf-8")
    assert FACTS[page][said]()


@pytest.mark.parametrize("page", PAGES)
def test_no_number_of_the_prose_is_left_to_rot(page: str) -> None:
    text = (FOLDER / f"{page}.md").read_text("utf-8")
    for said in FACTS.get(page, {}):
        text = text.replace(said, "")
    prose = re.sub(NO_PROSE, "", text, flags=re.MULTILINE)
    assert re.findall(r".*\d.*", prose) == []
