from pathlib import Path

import numpy as np
import pytest
import torch

from service.drawing.explanation import DRAWINGS, draw_explanation, glow, signed, stretched
from service.errors import InvalidRequest
from service.nets.registry import build_net
from service.nets.weights import load_weights
from service.runtime.calls import Call
from service.runtime.in_process import LocalEngine
from service.settings import Settings
from service.store import Model, ModelStore
from service.tasks.explain import ARRAYS, Explain, Method

SEVEN = Path(__file__).parent.parent / "data" / "seven.png"


@pytest.fixture(scope="module")
def lenet5() -> tuple[torch.nn.Module, Model, torch.Tensor]:
    """The shipped net, its model, and a seven."""
    model = ModelStore(Settings().shipped_models_dir).get("lenet5-mnist")
    net = build_net("lenet5")
    load_weights(net, model.weights)
    pixels = Explain().prepare(SEVEN.read_bytes(), model.input, limit_pixels=10_000).pixels
    return net.eval().requires_grad_(requires_grad=False), model, torch.from_numpy(pixels)


def answer(lenet5: tuple[torch.nn.Module, Model, torch.Tensor], task: Explain) -> list[torch.Tensor]:
    net, model, pixels = lenet5
    with torch.inference_mode():
        return list(task.forward(net, [pixels], model.manifest))


def test_occluding_the_object_lowers_its_class_s_probability(
    lenet5: tuple[torch.nn.Module, Model, torch.Tensor],
) -> None:
    heat, label, probability, side = answer(lenet5, Explain(method="occlusion", square=14))
    assert (label.tolist(), side.tolist()) == ([7], [14])
    assert heat.shape == (1, 14, 14)
    assert heat.min() < 0.01 < 0.99 < probability[0]
    # in the upper left there is no ink, where the stroke runs there is
    assert heat[0, 13, 0] > 0.99
    assert heat[0, 7, 7] < 0.5


def test_each_method_answers_arrays_of_its_own_shapes(lenet5: tuple[torch.nn.Module, Model, torch.Tensor]) -> None:
    shapes = {
        "deconvnet": [(1, 9, 1, 28, 28), (1, 9), (1, 9)],
        "guided": [(1, 9, 1, 28, 28), (1, 9), (1, 9)],
        "occlusion": [(1, 14, 14), (1,), (1,), (1,)],
        "saliency": [(1, 28, 28), (1,), (1,)],
        "activations": [(1, 120, 1, 1)],
        "filters": [(1, 6, 1, 5, 5)],
    }
    assert shapes.keys() == ARRAYS.keys() == DRAWINGS.keys()
    for method, names in ARRAYS.items():
        arrays = answer(lenet5, Explain(method=method))
        assert [tuple(array.shape) for array in arrays] == shapes[method]
        assert len(names) == len(arrays)
        picture = draw_explanation(method, [array[0].numpy() for array in arrays], lenet5[2][0].numpy())
        assert picture.dtype == np.uint8
        assert picture.shape[0] >= 224
        assert picture.shape[2] == (3 if method == "occlusion" else 1)


def test_a_unit_is_shown_alone(lenet5: tuple[torch.nn.Module, Model, torch.Tensor]) -> None:
    projections, units, strengths = answer(lenet5, Explain(method="deconvnet", layer="C3", unit=4))
    assert projections.shape == (1, 1, 1, 28, 28)
    assert units.tolist() == [[4]]
    (maps,) = answer(lenet5, Explain(method="activations", layer="C3", unit=4))
    assert maps.shape == (1, 1, 10, 10)
    assert strengths.item() == pytest.approx(maps.max().item(), rel=1e-5)
    (kernels,) = answer(lenet5, Explain(method="filters", layer="C3", unit=4))
    assert kernels.shape == (1, 1, 6, 5, 5)


def test_another_label_is_explained_where_one_is_given(lenet5: tuple[torch.nn.Module, Model, torch.Tensor]) -> None:
    slopes, label, probability = answer(lenet5, Explain(method="saliency", label=3))
    assert label.tolist() == [3]
    assert probability[0] < 0.01
    assert not torch.equal(slopes, answer(lenet5, Explain(method="saliency"))[0])


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (Explain(label=10), "label: must be below 10"),
        (Explain(method="occlusion", square=29), "square: must be below 29"),
        (Explain(method="deconvnet", layer="C3", unit=16), "unit: must be below 16"),
        (Explain(method="filters", unit=6), "unit: must be below 6"),
        (Explain(method="activations", layer="conv1"), "there are C1, S2, C3, S4, C5"),
        (Explain(method="filters", layer="S2"), "S2 is no convolution"),
    ],
)
def test_what_there_is_not_is_refused(
    lenet5: tuple[torch.nn.Module, Model, torch.Tensor], task: Explain, words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words):
        answer(lenet5, task)


async def test_a_refusal_crosses_the_engine_as_it_is() -> None:
    store = ModelStore(Settings().shipped_models_dir)
    pixels = Explain().prepare(SEVEN.read_bytes(), store.get("lenet5-mnist").input, limit_pixels=10_000).pixels
    async with LocalEngine(store, threads=1) as engine:
        options = (("layer", "C3"), ("method", "deconvnet"), ("unit", 16))
        with pytest.raises(InvalidRequest, match="unit: must be below 16"):
            await engine.submit(Call("lenet5-mnist", "explain", options=options), [pixels])
        _, label, _ = await engine.submit(Call("lenet5-mnist", "explain"), [pixels])
        assert label.tolist() == [7]


@pytest.mark.parametrize("method", ["activations", "deconvnet", "filters", "guided"])
def test_a_net_without_maps_has_none_to_show(method: Method, store: ModelStore) -> None:
    model = store.get("echo")
    net = build_net("echo").eval()
    with pytest.raises(InvalidRequest, match="this net has no layer with maps"):
        Explain(method=method).forward(net, [torch.zeros(1, 2, 2, 1, dtype=torch.uint8)], model.manifest)


def test_places_of_the_square_lie_evenly_from_edge_to_edge(lenet5: tuple[torch.nn.Module, Model, torch.Tensor]) -> None:
    _, model, pixels = lenet5
    seen: list[torch.Tensor] = []

    class Watching(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x)
            return torch.zeros(len(x), 10)

    Explain(method="occlusion", square=9).forward(Watching(), [torch.full_like(pixels, 255)], model.manifest)
    covered = torch.cat(seen[1:]).amin(dim=(0, 1))  # each pixel at its darkest
    assert len(torch.cat(seen[1:])) == 14 * 14
    assert covered.max() < seen[0].max()


def test_heat_lies_over_what_was_occluded() -> None:
    heat = np.ones((3, 3), np.float32)
    heat[0, 2] = 0.0  # behind the square in the upper right
    picture = DRAWINGS["occlusion"]([heat, np.array(0), np.array(1.0), np.array(4)], np.zeros((8, 8, 3), np.uint8))
    dark = np.argwhere((picture == 0).all(axis=2)) / 28  # in pixels of the image
    assert dark.min(axis=0).tolist() == [0.0, pytest.approx(6.0, abs=0.1)]
    assert dark.max(axis=0).tolist() == [pytest.approx(2.0, abs=0.1), pytest.approx(8.0, abs=0.1)]


def test_a_net_that_hands_nothing_back_has_no_slopes(lenet5: tuple[torch.nn.Module, Model, torch.Tensor]) -> None:
    _, model, pixels = lenet5
    net = (
        build_net("esn-classifier", {"inputs": 32, "steps": 32, "units": 12, "kept": 1})
        .eval()
        .requires_grad_(requires_grad=False)
    )
    with pytest.raises(InvalidRequest, match="hands no slopes back"):
        Explain(method="saliency").forward(net, [pixels], model.manifest)
    heat, *_ = Explain(method="occlusion").forward(net, [pixels], model.manifest)
    assert heat.shape == (1, 14, 14)


def test_small_projections_are_shown_from_close_by_beside_their_part_of_the_image() -> None:
    image = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
    projections = np.zeros((4, 1, 8, 8), np.float32)
    projections[0, 0, 2:4, 5:7] = 1.0
    projections[1, 0, 0, 7] = -1.0
    picture = DRAWINGS["deconvnet"]([projections], image)
    times = 36  # two pixels beside two in a cell of 144
    first = picture[2 : 2 + 2 * times : times, 2 : 2 + 4 * times : times, 0]
    assert first.tolist() == [[21, 22, 255, 255], [29, 30, 255, 255]]
    second = picture[2 : 2 + 2 * times : times, 4 + 4 * times : 4 + 8 * times : times, 0]
    assert second.tolist() == [[6, 7, 128, 0], [14, 15, 128, 128]]


def test_projections_all_over_the_image_are_shown_whole() -> None:
    projections = np.ones((9, 1, 8, 8), np.float32)
    picture = DRAWINGS["deconvnet"]([projections], np.zeros((8, 8, 1), np.uint8))
    assert picture.shape == (3 * 80 + 4 * 2, 3 * 80 + 4 * 2, 1)


def test_maps_of_one_pixel_are_shaded_against_each_other() -> None:
    maps = np.array([-1.0, 0.0, 1.0, 0.5]).reshape(4, 1, 1)
    picture = DRAWINGS["activations"]([maps], np.zeros((8, 8, 1), np.uint8))
    assert [int(picture[y, x, 0]) for y in (10, 130) for x in (10, 130)] == [0, 128, 255, 191]


def test_numbers_become_shades() -> None:
    assert signed(np.array([-2.0, 0.0, 2.0])).tolist() == [0, 128, 255]
    assert signed(np.zeros(2)).tolist() == [128, 128]
    assert stretched(np.array([1.0, 2.0, 3.0])).tolist() == [0, 128, 255]
    assert stretched(np.ones(2)).tolist() == [0, 0]
    assert glow(np.array([[0, 85, 170, 255]], np.uint8))[0].tolist() == [
        [0, 0, 0],
        [255, 0, 0],
        [255, 255, 0],
        [255, 255, 255],
    ]
