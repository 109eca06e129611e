from cli.conftest import Run, write_mnist
from doubles import add_card
from unit_pictures import add_lenet, scribbles

from service.exactness import PLAIN
from service.forms.form import Place
from service.forms.registry import possible
from service.forms.training_images import FOLDER
from service.settings import Settings
from service.store import Model


def test_every_form_that_can_be_computed_here_comes_onto_the_card(run: Run, local_settings: Settings) -> None:
    model = add_lenet(local_settings.shipped_models_dir)
    add_card(model.folder)
    write_mnist(local_settings.data, scribbles(100).images[..., 0])
    result = run("models", "forms", model.id, "--images", 100)
    assert result.exit_code == 0, result.output
    assert "100 images of mnist test" in result.stdout
    card = Model(model.folder).card
    assert card is not None
    assert card.forms[PLAIN].agreement == 1.0
    assert {"folded", "traced", "onnxruntime"} <= card.forms.keys()
    assert card.forms["folded"].accuracy == card.forms[PLAIN].accuracy
    assert card.forms["folded"].apart < 1e-4
    is_kept = (local_settings.shipped_models_dir / FOLDER / "mnist.safetensors").is_file()
    assert is_kept is ("int8" in possible(Place("cpu", 1)))


def test_what_is_missing_is_said(run: Run, local_settings: Settings) -> None:
    add_lenet(local_settings.shipped_models_dir)
    for name, words in (("unlearned", "has no card"), ("nobody", "'nobody'"), ("doodle", "doodle does generate")):
        result = run("models", "forms", name)
        assert result.exit_code == 2
        assert words in result.stderr
