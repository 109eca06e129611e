"""A page of pictures of how a net sees."""

from pathlib import Path

import numpy as np
import pytest

from experiments.pictures import LINE, MARGIN, Subject, page_of, projections_of
from service.nets.registry import build_net
from service.settings import Settings
from service.store import ModelStore

SEVEN = Path(__file__).parents[1] / "data" / "seven.png"


@pytest.fixture(scope="module")
def subject() -> Subject:
    """The shipped LeNet-5 and a seven."""
    model = ModelStore(Settings().shipped_models_dir).get("lenet5-mnist")
    return Subject(model, SEVEN, Path("nowhere"))


def test_layers_are_chosen_evenly_from_the_first_to_the_last(subject: Subject) -> None:
    assert subject.layers(5) == ["C1", "C3", "C5"]
    assert subject.layers(2) == ["C1", "C5"]


def test_a_page_shows_the_image_and_every_layer(subject: Subject) -> None:
    page = np.asarray(page_of(subject, 3))
    assert page.shape[2] == 3
    assert page.shape[0] > 4 * 224
    top = MARGIN + 2 * LINE
    assert (page[top : top + 224, MARGIN : MARGIN + 224] == np.asarray(subject.show())).all()


@pytest.mark.parametrize(
    ("name", "options", "guided"),
    [("mobilenet", {"width": 0.25}, True), ("nin", {"width": 0.125}, False), ("lenet5", {}, False)],
)
def test_what_rectifies_and_does_not_pool_is_shown_guided_too(
    name: str, options: dict[str, float], *, guided: bool
) -> None:
    assert ("guided" in projections_of(build_net(name, options))) is guided
