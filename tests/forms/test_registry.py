from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from forms.classifiers import NETS, add_classifier, keep_seen, squares

from service.exactness import PLAIN, FormName, Precision
from service.forms.eager import has_bfloat16
from service.forms.form import Place
from service.forms.registry import FORMS, make_form, possible
from service.nets.registry import open_net
from service.store import Model
from service.tasks.classify import Classify

HERE = Place("cpu", 1)
CLOSE: dict[Precision, float] = {"float32": 1e-5, "bfloat16": 1e-2, "int8": 0.2}
"""How near, as a share of the largest logit; labels of nets that have learned nothing are as good as equal."""
NEEDS_OPENVINO = {"openvino", "openvino-bfloat16"}


def plain(model: Model, images: torch.Tensor) -> np.ndarray:
    net = open_net(model.manifest.net, model.manifest.options, model.weights)
    return Classify().forward(net, [images], model.manifest)[0].numpy()


def test_the_settings_know_every_form_and_no_other() -> None:
    assert {PLAIN, *FORMS} == set(get_args(FormName))


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.openvino) if name in NEEDS_OPENVINO else name for name in FORMS]
)
def test_a_form_answers_as_the_plain_one_for_any_number_of_images(tmp_path: Path, net: str, name: FormName) -> None:
    model = add_classifier(tmp_path, net)
    if name in NEEDS_OPENVINO:
        pytest.importorskip("openvino")
    if FORMS[name].precision == "bfloat16" and not has_bfloat16(HERE):
        pytest.skip("this processor does not multiply bfloat16")
    if name == "int8":
        keep_seen(tmp_path, *model.input.size[:1], model.input.channels)
        if name not in possible(HERE):
            pytest.skip("this processor does not add up products of whole numbers")
    if name == "tf32":
        pytest.skip("a processor has nothing of the kind")
    assert name in possible(HERE)
    form = make_form(name, model, HERE)
    with torch.inference_mode():
        for count in (1, 3, 8):
            images = torch.from_numpy(squares(count, *model.input.size[:1], model.input.channels))
            found = form.logits(images).numpy()
            assert found.dtype == np.float32
            expected = plain(model, images)
            np.testing.assert_allclose(found, expected, atol=CLOSE[FORMS[name].precision] * np.abs(expected).max())


def test_a_form_that_needs_a_processor_is_not_possible_on_another_device() -> None:
    assert set(possible(Place("cuda:0", 1))) == {"folded", "tf32", "bfloat16"}
