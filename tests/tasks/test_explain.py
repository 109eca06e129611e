from pathlib import Path

import numpy as np
import pytest
import torch

from service.drawing.explanation import DRAWINGS, draw_explanation
from service.errors import InvalidRequest
from service.nets.registry import build_net
from service.nets.weights import load_weights
from service.runtime.calls import Call
from service.runtime.in_process import LocalEngine
from service.settings import Settings
from service.store import Model, ModelStore
from service.tasks.explain import Explain
from service.tasks.methods import ARRAYS, Method

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
    odds, heat, label, whole, probability, side = answer(lenet5, Explain(method="occlusion", square=14))
    assert (label.tolist(), side.tolist()) == ([7], [14])
    assert heat.shape == odds.shape == (1, 14, 14)
    torch.testing.assert_close(odds.sigmoid(), heat)
    torch.testing.assert_close(whole.sigmoid(), probability)
    assert heat.min() < 0.01 < 0.99 < probability[0]
    # in the upper left there is no ink, where the stroke runs there is
    assert heat[0, 13, 0] > 0.99
    assert heat[0, 7, 7] < 0.5


def test_each_method_answers_arrays_of_its_own_shapes(lenet5: tuple[torch.nn.Module, Model, torch.Tensor]) -> None:
    shapes = {
        "deconvnet": [(1, 9, 1, 28, 28), (1, 9), (1, 9)],
        "guided": [(1, 9, 1, 28, 28), (1, 9), (1, 9)],
        "occlusion": [(1, 14, 14), (1, 14, 14), (1,), (1,), (1,), (1,)],
        "saliency": [(1, 28, 28), (1,), (1,)],
        "activations": [(1, 16, 10, 10), (1, 16)],
        "filters": [(1, 6, 1, 5, 5), (1, 6)],
    }
    assert shapes.keys() == ARRAYS.keys() == DRAWINGS.keys()
    for method, names in ARRAYS.items():
        arrays = answer(lenet5, Explain(method=method))
        assert [tuple(array.shape) for array in arrays] == shapes[method]
        assert len(names) == len(arrays)
        named = {name: array[0].numpy() for name, array in zip(names, arrays, strict=True)}
        picture = draw_explanation(method, named, lenet5[2][0].numpy())
        assert picture.dtype == np.uint8
        assert picture.shape[0] >= 224
        assert picture.shape[2] == (3 if method == "occlusion" else 1)


def test_a_unit_is_shown_alone(lenet5: tuple[torch.nn.Module, Model, torch.Tensor]) -> None:
    projections, units, strengths = answer(lenet5, Explain(method="deconvnet", layer="C3", unit=4))
    assert projections.shape == (1, 1, 1, 28, 28)
    assert units.tolist() == [[4]]
    maps, units = answer(lenet5, Explain(method="activations", layer="C3", unit=4))
    assert units.tolist() == [[4]]
    assert maps.shape == (1, 1, 10, 10)
    assert strengths.item() == pytest.approx(maps.max().item(), rel=1e-5)
    kernels, units = answer(lenet5, Explain(method="filters", layer="C3", unit=4))
    assert units.tolist() == [[4]]
    assert kernels.shape == (1, 1, 6, 5, 5)


def test_one_unit_of_many_images_is_sent_back_at_once_as_of_each_alone(
    lenet5: tuple[torch.nn.Module, Model, torch.Tensor],
) -> None:
    net, model, seven = lenet5
    several = torch.cat([seven, seven.flip(1), seven.flip(2)])
    task = Explain(method="deconvnet", layer="C3", unit=4)
    with torch.inference_mode():
        together = task.forward(net, [several], model.manifest)
        alone = [task.forward(net, [image[None]], model.manifest) for image in several]
    for found, parts in zip(together, zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(found, torch.cat(parts))


def test_log_odds_tell_of_certainties_that_round_to_one(
    lenet5: tuple[torch.nn.Module, Model, torch.Tensor],
) -> None:
    class Certain(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            light = x.mean(dim=(1, 2, 3))[:, None]
            return torch.cat([light + 60, torch.zeros(len(x), 9)], dim=1)

    _, model, pixels = lenet5
    odds, probabilities, label, *_ = Explain(method="occlusion").forward(Certain(), [pixels], model.manifest)
    assert label.tolist() == [0]
    assert (probabilities == 1).all()
    assert odds.max() - odds.min() > 0.01


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
