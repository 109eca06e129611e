from cli.conftest import Run, write_mnist
from evaluation.packing import digits

from service.evaluation.references import References
from service.settings import Settings


def test_a_reference_is_made_of_a_datasets_test_images_and_listed(run: Run, local_settings: Settings) -> None:
    write_mnist(local_settings.data, digits(30, size=2)[..., 0])
    made = run("references", "make", "noise-test", "--dataset", "mnist", "--features", "echo")
    assert made.exit_code == 0, made.output
    kept = References.of(local_settings).describe("noise-test")
    assert (kept.extractor, kept.dataset, kept.count, kept.dim) == ("echo", "mnist test", 30, 4)
    assert run("references", "list").stdout.startswith("noise-test  30 samples of mnist test  echo")


def test_a_reference_needs_its_dataset_and_its_extractor(run: Run) -> None:
    for dataset, features, words in (
        ("mnist", "echo", "`chapterhouse data fetch mnist` downloads it"),
        ("nobody", "echo", "no dataset called 'nobody'"),
        ("mnist", "nobody", "no model called 'nobody'"),
    ):
        result = run("references", "make", "x-test", "--dataset", dataset, "--features", features)
        assert result.exit_code == 2
        assert words in result.stderr
