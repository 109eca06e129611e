from cli.conftest import Run, write_mnist
from unit_pictures import add_lenet, scribbles

from service.operations.strongest import FILE, Strongest, made_path
from service.settings import Settings


def test_the_strongest_images_are_looked_for_and_kept_in_the_state_directory(
    run: Run, local_settings: Settings
) -> None:
    model = add_lenet(local_settings.shipped_models_dir)
    write_mnist(local_settings.data, scribbles(30).images[..., 0])
    result = run("models", "units", "unlearned")
    assert result.exit_code == 0, result.output
    assert "30 images of mnist test" in result.stdout
    assert "C5" in result.stdout
    assert made_path(local_settings, "unlearned").is_file()
    assert not (model.folder / FILE).exists()
    assert Strongest.of(local_settings, model).description.images == 30


def test_they_are_put_beside_the_weights_where_that_is_asked(run: Run, local_settings: Settings) -> None:
    model = add_lenet(local_settings.shipped_models_dir)
    write_mnist(local_settings.data, scribbles(30).images[..., 0])
    assert run("models", "units", "unlearned", "--beside-weights").exit_code == 0
    assert (model.folder / FILE).is_file()
    assert not made_path(local_settings, "unlearned").exists()


def test_what_is_missing_is_said(run: Run, local_settings: Settings) -> None:
    add_lenet(local_settings.shipped_models_dir)
    for name, words in (("unlearned", "data fetch mnist"), ("nobody", "'nobody'"), ("doodle", "doodle does generate")):
        result = run("models", "units", name)
        assert result.exit_code == 2
        assert words in result.stderr
