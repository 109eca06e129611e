from pathlib import Path

import numpy as np
import pytest
import torch
from doubles import CLASSIFIER, Echo, add_model
from unit_pictures import add_lenet, add_units, scribbles

from service.datasets.split import Split
from service.errors import InvalidRequest
from service.nets.attribution import find_layer, map_layers, maps_of
from service.nets.registry import build_net, open_net
from service.operations.strongest import FILE, STRONGEST, Strongest
from service.scoring.units import unit_layers
from service.settings import Settings
from service.store import Model
from service.tasks.classify import normalise


def strongest_of(model: Model, folder: Path) -> Strongest:
    return Strongest.of(Settings(state_dir=folder / "none"), model)


def test_the_strongest_images_of_every_unit_are_found_wherever_they_lie_in_the_set(tmp_path: Path) -> None:
    model, test = add_lenet(tmp_path), scribbles(230)
    described = add_units(model, test)
    assert (described.model, described.dataset, described.images) == ("unlearned", "mnist test", 230)
    assert {layer.name: layer.units for layer in described.layers} == {"C1": 6, "S2": 6, "C3": 16, "S4": 16, "C5": 120}
    net = open_net("lenet5", {}, model.weights)
    x = normalise(torch.from_numpy(test.images), model.input)
    strongest = strongest_of(model, tmp_path)
    for name, unit in (("C1", 5), ("C3", 2), ("S4", 15), ("C5", 119)):
        layer = strongest.layers[name]
        maps = maps_of(net, x, find_layer(map_layers(net, x[:1]), name))[:, unit]
        peaks = maps.amax(dim=(1, 2))
        best = peaks.argsort(descending=True)[:STRONGEST]
        found = strongest.of_unit(layer, unit)
        assert [image.number for image in found] == best.tolist()
        for image in found:
            assert image.strength == pytest.approx(peaks[image.number].item(), rel=1e-4)
            assert maps[image.number][image.place] == pytest.approx(image.strength, rel=1e-4)
            assert image.label == test.labels[image.number]
            np.testing.assert_array_equal(image.pixels, test.images[image.number])


def test_of_equal_answers_the_first_images_are_kept(tmp_path: Path) -> None:
    model, test = add_lenet(tmp_path), scribbles(1)
    add_units(model, Split(test.images.repeat(120, axis=0), test.labels.repeat(120)))
    strongest = strongest_of(model, tmp_path)
    for layer in strongest.layers.values():
        assert [image.number for image in strongest.of_unit(layer, 0)] == list(range(STRONGEST))


def test_of_a_small_set_there_are_fewer(tmp_path: Path) -> None:
    model = add_lenet(tmp_path)
    add_units(model, scribbles(3))
    strongest = strongest_of(model, tmp_path)
    assert len(strongest.of_unit(strongest.layers["C3"], 4)) == 3


def test_batch_normalisation_is_a_part_of_the_convolution_before_it() -> None:
    net = build_net("mobilenet", {"width": 0.25}).eval()
    names = list(unit_layers(map_layers(net, torch.zeros(1, 3, 32, 32))))
    assert names[:2] == ["stem.norm", "body.block1.depthwise.norm"]
    assert not [name for name in names if name.endswith("conv")]
    plain = build_net("nin", {"width": 0.125}).eval()
    found = list(unit_layers(map_layers(plain, torch.zeros(1, 3, 32, 32))))
    assert found[0] == "body.conv1"
    assert not [name for name in found if "pool" in name]


def test_a_net_without_maps_has_no_units_to_show(tmp_path: Path, doubles: None) -> None:  # noqa: ARG001
    model = Model(add_model(tmp_path, "echo", Echo(), CLASSIFIER.format(net="echo")))
    with pytest.raises(InvalidRequest, match="No layer of echo answers with maps"):
        add_units(model, Split(np.zeros((4, 2, 2, 1), np.uint8), np.zeros(4, np.uint8)))
    assert not (model.folder / FILE).exists()
