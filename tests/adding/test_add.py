import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from nets.graphs import AHEAD, BYTES, WHOLE, drawing, going_on, looking, seen, sorting
from nets.programs import looking_net, looking_program
from safetensors.torch import save
from torch import Tensor

from service.adding.add import add
from service.adding.asking import Wishes
from service.errors import ConfigurationError, InvalidManifest, InvalidRequest, UntrustedWeights, WrongTask
from service.operations.generate import Sampling
from service.runtime.calls import Call
from service.runtime.in_process import LocalEngine
from service.schemas import GenerateRequest
from service.store import Model, ModelStore, TaskName

GREY = np.linspace(0, 255, 2 * 16).astype(np.uint8).reshape(2, 4, 4, 1)


class Adding:
    """A store of added models, and how files come into it."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.store = ModelStore(state / "models")

    def add(
        self, data: bytes, task: TaskName = "classify", *, name: str = "own", version: str = "", **said: Any
    ) -> Model:
        """Add a file of these bytes."""
        file = self.state / "sent.bin"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(data)
        return add(self.store, file, name, Wishes(task=task, **said), state=self.state, version=version)


@pytest.fixture
def adding(tmp_path: Path) -> Adding:
    return Adding(tmp_path / "state")


async def asked(adding: Adding, verb: str, *arrays: Any, name: str = "own") -> list[Any]:
    async with LocalEngine(adding.store) as engine:
        return await engine.submit(Call(adding.store.get(name).id, verb), arrays)


async def test_a_graph_says_its_sizes_outputs_and_classes_and_answers(adding: Adding) -> None:
    model = adding.add(looking())
    manifest = model.manifest
    assert manifest.input is not None
    assert (manifest.input.size, manifest.input.channels, manifest.labels) == ((4, 4), 1, ("0", "1", "2"))
    assert manifest.options == {"layout": "NCHW", "logits": "logits", "features": "features"}
    assert (model.name, model.version, model.id) == ("own", model.weights_sha256[:12], f"own@{model.version}")  # type: ignore[index]
    assert model.card is not None
    assert (model.card.parameters, model.card.macs, model.card.recipe["file"]) == (28, None, "sent.bin")
    _, features, logits = seen(torch.from_numpy(GREY).permute(0, 3, 1, 2) / 255)
    [found] = await asked(adding, "classify", GREY)
    np.testing.assert_allclose(found, logits, rtol=1e-5, atol=1e-6)
    vectors, probabilities = await asked(adding, "features", GREY)
    np.testing.assert_allclose(vectors, features, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(probabilities, logits.softmax(dim=1), rtol=1e-5, atol=1e-6)


async def test_a_program_is_asked_as_a_graph_is(adding: Adding) -> None:
    said = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    model = adding.add(looking_program(), labels=("a", "b", "c"), input=said)
    assert model.manifest.net == "torch-export"
    assert model.manifest.labels == ("a", "b", "c")
    pixels = np.arange(2 * 192, dtype=np.uint8).reshape(2, 8, 8, 3)
    [found] = await asked(adding, "classify", pixels)
    with torch.inference_mode():
        expected = looking_net()((torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - 0.5) / 0.5)["logits"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


async def test_probabilities_become_the_logits_that_they_are_the_softmax_of(adding: Adding) -> None:
    model = adding.add(sorting(), input={"channels": 1})
    assert model.manifest.options == {"layout": "flat", "probabilities": "probabilities"}
    assert model.input.size == (2, 2)
    assert not model.manifest.shows_features
    [logits] = await asked(adding, "classify", GREY[:, :2, :2])
    exact = torch.from_numpy(GREY[:, :2, :2].reshape(2, 4) / 255).float() @ torch.linspace(-1.0, 1.0, 12).view(4, 3)
    np.testing.assert_allclose(torch.from_numpy(logits).softmax(1), exact.softmax(1), rtol=1e-5)
    with pytest.raises(WrongTask, match="it has no features of images"):
        adding.store.extractor("own")
    with pytest.raises(WrongTask):
        await asked(adding, "features", GREY[:, :2, :2])


@pytest.mark.parametrize("kind", [BYTES, WHOLE], ids=["uint8", "int32"])
async def test_whole_numbers_are_the_pixels_as_they_are_stored(adding: Adding, kind: int) -> None:
    model = adding.add(sorting(kind), input={"channels": 1})
    assert list(model.input.std) == pytest.approx([1 / 255])
    pixels = np.array([[[[0], [1]], [[2], [5]]]], np.uint8)
    [logits] = await asked(adding, "classify", pixels)
    exact = torch.tensor([[0.0, 1.0, 2.0, 5.0]]) @ torch.linspace(-1.0, 1.0, 12).view(4, 3)
    np.testing.assert_allclose(torch.from_numpy(logits).softmax(1), exact.softmax(1), rtol=1e-5)


def test_an_output_that_is_named_is_taken_although_others_could_be_it(adding: Adding) -> None:
    model = adding.add(looking(), "features", options={"features": "logits"})
    assert model.manifest.options["features"] == "logits"


def test_large_images_come_in_smaller_blocks(adding: Adding) -> None:
    model = adding.add(looking(any_size=True), input={"size": (1024, 1024), "channels": 1})
    assert (model.manifest.serving.block, model.manifest.serving.max_batch) == (32, 32)


async def test_a_generator_draws_what_its_file_draws(adding: Adding) -> None:
    model = adding.add(drawing(), "generate")
    assert model.output.model_dump() == {"size": (2, 2), "channels": 1, "latent": 3, "crop": 0}
    sampling = Sampling.of(GenerateRequest(count=3, seed=1), model, limit=100)
    async with LocalEngine(adding.store) as engine:
        [block] = [block async for block in sampling.blocks(engine)]
    assert (block.shape, block.dtype.name) == ((3, 2, 2, 1), "uint8")


async def test_a_forecaster_goes_on_from_its_last_window(adding: Adding) -> None:
    model = adding.add(going_on(), "forecast", series=("level",))
    assert (model.series.channels, model.series.washout) == (("level",), 3)
    values = np.arange(12.0).reshape(1, 12, 1)
    forecast, errors, starts, memory, _ = await asked(adding, "forecast", values, np.zeros((1, 15, 0)))
    first = np.array([9.0, 10.0, 11.0]) @ AHEAD.numpy()
    second = np.array([11.0, *first]) @ AHEAD.numpy()
    np.testing.assert_allclose(forecast[0, :, 0], [*first, second[0]])
    assert errors.shape[1:] == (starts.shape[1], 3, 1)
    again, _ = await asked(adding, "continue", memory, np.zeros((1, 0)), np.zeros((1, 1, 0)))
    np.testing.assert_allclose(again[0, 0, 0], (np.array([*first, second[0]]) @ AHEAD.numpy())[0])


def test_a_manifest_is_one_that_people_can_read_and_correct(adding: Adding) -> None:
    model = adding.add(looking(), about={"summary": 'It says "7" or \\ nothing.'}, labels=("a", "ü", '"'))
    written = tomllib.loads((model.folder / "model.toml").read_text("utf-8"))
    assert written["summary"] == 'It says "7" or \\ nothing.'
    assert written["labels"] == ["a", "ü", '"']
    assert written["input"] == {"size": [4, 4], "channels": 1, "mean": [0.0], "std": [1.0]}


def test_another_file_is_another_version_and_the_first_stays_stable(adding: Adding) -> None:
    first = adding.add(looking(), version="one")
    second = adding.add(looking(1), version="two")
    assert (first.version, second.version) == ("one", "two")
    assert adding.store.get("own").version == "one"
    assert adding.store.get("own", version="two").folder == second.folder
    assert adding.store.ids() == ["own"]
    assert adding.store.each() == ["own@one", "own@two"]
    with pytest.raises(ConfigurationError, match="has a version two already, and versions never change"):
        adding.add(looking(), version="two")
    with pytest.raises(ConfigurationError, match="own does classify, and all its versions do"):
        adding.add(drawing(), "generate")


def test_a_version_that_is_broken_does_not_keep_a_better_one_away(adding: Adding) -> None:
    broken = adding.add(looking(), version="one")
    (broken.folder / "model.toml").write_text("net = ")
    assert adding.add(looking(1), version="two").version == "two"
    models, wrong = adding.store.sound(["own@one", "own@two", "gone"])
    assert ([model.id for model in models], set(wrong)) == (["own@two"], {"own@one"})


@pytest.mark.parametrize(
    ("data", "said", "reason"),
    [
        (looking(), {"labels": ("a", "b")}, "There are 2 labels, and the net knows 3 classes"),
        (
            looking(),
            {"labels": ("a", "b", "a")},
            "labels: 'a' is number 0 and number 2, counted from 0; call them apart",
        ),
        (looking(), {"labels": ("a", "b", " ")}, "labels: number 2 has no name"),
        pytest.param(looking(), {"labels": ("a", "b", "c" * 20_000_000)}, "would have 20,000,", id="large"),
        (looking(), {"labels": ("a", "b", "\ud800")}, "is no text that can be written"),
        (looking(), {"options": {"logits": "pool"}}, "no output called pool"),
        (looking(), {"input": {"size": (5, 5)}}, "does not take images of 5×5"),
        (looking(), {"input": {"mean": (0.5, 0.5)}}, "mean and std need one value a channel"),
        (looking(), {"input": {"std": (1e-320,)}}, "that single precision holds"),
        (looking(), {"input": {"channels": 2}}, "Images have 1 or 3 channels, not 2"),
        (looking(), {"input": {"size": (-4, 4)}}, "a side has 1 to 4096 pixels"),
        (looking(), {"input": {"resize": 10**9}}, "input.resize"),
        (looking(), {"latent": 3}, "has no use for --latent"),
        (drawing(), {"task": "generate", "labels": ("a",)}, "has no use for --labels"),
        (looking(), {"input": {"resample": "lanczos"}}, "does not fit together: input.resample"),
        (looking(), {"net": "lenet5"}, "is the net itself; --net is for weights"),
        (looking(), {"task": "generate"}, "Say with --samples which output"),
        (looking(), {"task": "forecast"}, "Say with --forecast which output"),
        (drawing(), {}, "Say with --logits which output"),
        (looking(any_size=True), {}, "Say with --size or --preprocessor"),
        (sorting(), {"input": {"size": (3, 3)}}, "does not take images of 3×3"),
    ],
)
def test_what_does_not_fit_is_told_and_leaves_nothing(
    adding: Adding, data: bytes, said: dict[str, Any], reason: str
) -> None:
    with pytest.raises((ConfigurationError, InvalidManifest), match=reason):
        adding.add(data, said.get("task", "classify"), **{word: told for word, told in said.items() if word != "task"})
    assert not (adding.state / "models").exists()
    assert list((adding.state / "adding").iterdir()) == []


def test_what_is_wrong_with_the_copy_is_said_of_the_file_that_was_brought(adding: Adding) -> None:
    lines = save({f"layer{number}.weight": torch.zeros(1) for number in range(100)})
    fitting_nothing: dict[str, Any] = {"net": "lenet5", "input": {"size": (32, 32)}}
    for data, said in ((b"", dict[str, Any]()), (lines, fitting_nothing)):
        with pytest.raises(UntrustedWeights) as raised:
            adding.add(data, **said)
        for words in (str(raised.value), raised.value.detail):
            assert "sent.bin" in words
            assert "adding" not in words.replace(str(adding.state), "")
            assert "weights." not in words
            assert len(words) < 1000
    with pytest.raises(ConfigurationError, match=r"^sent\.bin is the net itself"):
        adding.add(looking(), net="lenet5")


def test_a_version_and_a_name_of_one_are_never_called_alike(adding: Adding) -> None:
    adding.add(looking(), version="one")
    adding.add(looking(1), version="two")
    versions = adding.store.versions("own")
    assert versions is not None
    versions.name("rc.1", "two", 0.5)
    with pytest.raises(ConfigurationError, match=r"'rc\.1' is a name of two"):
        adding.add(looking(2), version="rc.1")
    with pytest.raises(InvalidRequest, match="one is a version of own itself"):
        versions.name("one", "two")


def test_ids_and_versions_lead_nowhere_else_and_take_nothing_of_others(adding: Adding, models_dir: Path) -> None:
    for name in ("../own", "own@1", "", ".own"):
        with pytest.raises(ConfigurationError, match="cannot be an id"):
            adding.add(looking(), name=name)
    with pytest.raises(ConfigurationError, match="cannot be a version"):
        adding.add(looking(), version="../1")
    with pytest.raises(ConfigurationError, match="'stable' is a name that versions are given"):
        adding.add(looking(), version="stable")
    adding.store = ModelStore(adding.state / "models", models_dir)
    with pytest.raises(ConfigurationError, match="a model called echo that is not yours"):
        adding.add(looking(), name="echo")


class OfTimm(torch.nn.Module):
    """A net of the same calls as timm's, which wants what is not done here of its images."""

    pretrained_cfg: ClassVar = {"input_size": (3, 4, 4), "mean": (0.5,) * 3, "std": (0.5,) * 3, "crop_mode": "border"}

    def __init__(self) -> None:
        super().__init__()
        self.last = torch.nn.Linear(3, 2)

    def forward_features(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))

    def forward_head(self, x: Tensor, *, pre_logits: bool = False) -> Tensor:
        found: Tensor = x if pre_logits else self.last(x)
        return found

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))


def test_what_timm_says_of_images_and_is_not_done_is_said_anew(adding: Adding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=lambda *_, **__: OfTimm()))
    data = save(OfTimm().state_dict())
    with pytest.raises(ConfigurationError, match=r"Say with --preprocessor .* crop_mode: border is not done here"):
        adding.add(data, net="timm:own")
    model = adding.add(data, net="timm:own", input={"size": (4, 4), "mean": (0.5,) * 3, "std": (0.5,) * 3})
    assert (model.input.size, model.manifest.shows_features) == ((4, 4), True)


async def test_a_file_that_is_changed_later_is_not_loaded(adding: Adding) -> None:
    adding.add(looking()).weights.write_bytes(looking(2))
    with pytest.raises(UntrustedWeights, match="its card says"):
        await asked(adding, "classify", GREY)
