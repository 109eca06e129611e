import numpy as np
import torch

from service.calibration import Calibration
from service.forms.exported import export
from service.forms.form import Place
from service.forms.held_out import FOLDER, held_out_of
from service.forms.onnx_runtime import form_of, make
from service.forms.verifying import BOUNDS, agreement, apart, what_is_wrong
from service.forms.whole import Whole, example_of
from service.nets.registry import open_net
from service.settings import Settings
from service.store import Model, ModelStore
from service.tasks.classify import Classify

HERE = Place("cpu", 1)
LOGITS = np.random.default_rng(3).normal(0, 4, (64, 10)).astype(np.float32)


def shipped(model_id: str) -> tuple[Model, torch.Tensor, np.ndarray]:
    """A model of the store, images that it has not seen, and its plain logits of them."""
    settings = Settings()
    model = ModelStore(settings.shipped_models_dir).get(model_id)
    pixels = held_out_of(model, settings.shipped_models_dir / FOLDER)
    assert pixels is not None
    images = torch.from_numpy(pixels)
    net = open_net(model.manifest.net, model.manifest.options, model.weights)
    with torch.inference_mode():
        return model, images, Classify().forward(net, [images], model.manifest)[0].numpy()


def test_an_export_that_drops_a_divisor_in_silence_is_refused() -> None:
    model, images, plain = shipped("lenet5-mnist")
    published = open_net(model.manifest.net, model.manifest.options, model.weights)  # sums by avg_pool2d's divisor
    with torch.inference_mode():
        wrong = form_of(export(Whole(published, model.input).eval(), example_of(model)), HERE).logits(images).numpy()
        right = make(model, HERE).logits(images).numpy()
    assert agreement(plain, wrong) < 0.8
    assert "of the labels agree" in what_is_wrong(plain, wrong, "float32", model.calibration)
    assert "of the labels agree" in what_is_wrong(plain, wrong, "bfloat16", model.calibration)
    assert not what_is_wrong(plain, right, "float32", model.calibration)


def test_calibrated_probabilities_stay_what_they_are() -> None:
    model, images, plain = shipped("lenet5-mnist")
    with torch.inference_mode():
        found = make(model, HERE).logits(images).numpy()
    assert isinstance(model.calibration, Calibration)
    assert apart(plain, found, model.calibration).max() < 1e-5


def test_what_is_not_a_number_is_refused_and_so_is_another_shape() -> None:
    broken = LOGITS.copy()
    broken[5, 5] = np.nan
    for other in (broken, LOGITS[:10], LOGITS[:, :5]):
        assert "not numbers" in what_is_wrong(LOGITS, other, "bfloat16", None)


def test_less_precise_forms_may_lie_further_apart_and_none_far() -> None:
    means = [bound.mean for bound in BOUNDS.values()]
    assert means == sorted(means)
    near = LOGITS + np.random.default_rng(4).normal(0, 0.01, LOGITS.shape).astype(np.float32)
    assert what_is_wrong(LOGITS, near, "float32", None)
    assert not what_is_wrong(LOGITS, near, "bfloat16", None)
    assert what_is_wrong(LOGITS, np.roll(LOGITS, 1, axis=1), "bfloat16", None)
