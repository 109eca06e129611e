import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden.generators import IMAGES
from torch import Tensor, nn

from service.nets.keymaps import to_ours
from service.nets.registry import build_net
from service.resampling import resample
from service.settings import Settings
from service.store import Manifest, Model
from service.tasks.features import Features, FeaturesAtAnySize

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden" / "inception.json").read_text("utf-8"))

# Our extractor, and the tool whose numbers it is to give.
TOOLS = {
    "inception-v3-fid": "torch-fidelity",
    "inception-v3-fid-torch": "pytorch-fid",
    "inception-v3-fid-clean": "clean-fid",
}
TAPS = {"64": "pool1", "192": "pool2", "768": "mixed6e"}


def drawn(name: str, shape: list[int]) -> Tensor:
    """A tensor of the golden net, as the file says."""
    z = np.random.Generator(np.random.PCG64([GOLDEN["seed"], zlib.crc32(name.encode())])).standard_normal(shape)
    if name.endswith("running_var"):
        z = 1 + 0.1 * np.abs(z)
    elif name.endswith(("running_mean", "bias")):
        z = 0.1 * z
    elif name.endswith("bn.weight"):
        z = 1 + 0.1 * z
    else:
        z = z * np.sqrt(2 / np.prod(shape[1:]))
    return torch.from_numpy(z.astype(np.float32))


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine take longer than one alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def net(one_thread: None) -> nn.Module:  # noqa: ARG001 - it is for what follows
    """The golden net, its weights brought under our names as fetched ones are."""
    net = build_net("inception-fid")
    theirs = {name: drawn(name, shape) for name, shape in GOLDEN["state_dict"].items()}
    net.load_state_dict(to_ours(net, theirs, "pytorch-fid"), strict=True)
    return net.eval()


def manifest_of(model_id: str) -> Manifest:
    return Model(Settings().shipped_models_dir / model_id).manifest


def assert_meets(found: Tensor, expected: dict[str, Any]) -> None:
    values = found.double().numpy()
    np.testing.assert_allclose(values[:8], expected["first8"], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(values.mean(), expected["mean"], rtol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(values), expected["norm"], rtol=1e-4)


@pytest.mark.parametrize(
    ("model_id", "name"),
    [
        *(("inception-v3-fid", name) for name in ("noise_32x32", "ramp_256x256", "noise_299x299")),
        *(("inception-v3-fid-torch", name) for name in ("noise_32x32", "ramp_256x256")),
        ("inception-v3-fid-clean", "noise_32x32"),
    ],
)
@torch.inference_mode()
def test_features_are_those_of_the_tool_with_the_same_weights(net: nn.Module, model_id: str, name: str) -> None:
    manifest, expected = manifest_of(model_id), GOLDEN["features"][TOOLS[model_id]][name]
    seen: dict[str, Tensor] = {}
    hooks = [
        net.get_submodule(layer).register_forward_hook(lambda *given, tap=tap: seen.update({tap: given[2]}))
        for tap, layer in TAPS.items()
    ]
    features, probabilities = FeaturesAtAnySize().forward(net, [torch.from_numpy(IMAGES[name]()[None])], manifest)
    for hook in hooks:
        hook.remove()
    assert features.shape == (1, 2048)
    assert_meets(features[0], expected["2048"])
    for tap in TAPS.keys() & expected.keys():
        assert_meets(seen[tap].mean(dim=(2, 3))[0], expected[tap])
    logits = net.head(features)  # type: ignore[operator]
    torch.testing.assert_close(probabilities, logits.softmax(dim=1))
    if "logits_unbiased" in expected:
        assert_meets(logits[0], expected["logits_unbiased"])


@torch.inference_mode()
def test_an_image_that_was_resampled_before_has_the_same_features(net: nn.Module) -> None:
    manifest = manifest_of("inception-v3-fid")
    resized = resample(IMAGES["noise_64x48"](), "bilinear-tf1", (299, 299))
    [before, _] = Features().forward(net, [torch.from_numpy(resized)[None]], manifest)
    [after, _] = FeaturesAtAnySize().forward(net, [torch.from_numpy(IMAGES["noise_64x48"]()[None])], manifest)
    torch.testing.assert_close(before, after, rtol=1e-4, atol=1e-5)


def test_the_three_extractors_differ_in_what_goes_in_alone() -> None:
    manifests = [manifest_of(model_id) for model_id in TOOLS]
    assert len({manifest.input for manifest in manifests}) == 3
    assert {manifest.source for manifest in manifests} == {manifests[0].source}
    assert {manifest.net for manifest in manifests} == {"inception-fid"}
