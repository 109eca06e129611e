"""CONTRIBUTING.md is enough: what it says is done in a copy of the repository, and a step left out is noticed there."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from cli.conftest import write_mnist

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
LEFT_BEHIND = shutil.ignore_patterns(  # what is compiled goes along, but for what somebody compiles at that moment
    ".git", ".venv", ".*_cache", ".coverage*", ".hypothesis", "*.pyc.*", "dist", "models_store"
)
PROGRAMS = {
    "chapterhouse": [sys.executable, "-m", "service"],
    "lint-imports": [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"],
    "mypy": [sys.executable, "-m", "mypy"],
    "python": [sys.executable],
    "ruff": [sys.executable, "-m", "ruff"],
}
DOCUMENTS = ("docs/", "tests/", "README.md", "CHANGELOG.md")
MOST_FILES = {
    "Add a net": 3,
    "Add a metric": 2,
    "Add an endpoint": 3,
    "Add a dataset": 2,
    "Add an adversarial system": 3,
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # each runs a dozen programs of the copy, one after the other


class Step(NamedTuple):
    """A file to write, lines to add to one, or a command."""

    language: str
    title: str
    text: str

    def take(self, root: Path) -> subprocess.CompletedProcess[str] | None:
        """Do it in a copy of the repository."""
        if self.language == "console":
            first, *rest = shlex.split(self.title)
            return subprocess.run([*PROGRAMS[first], *rest], cwd=root, capture_output=True, text=True, check=False)
        path = root / self.title
        if self.language == "diff":
            path.write_text(added(path.read_text("utf-8"), self.text, self.title), "utf-8")
        else:
            assert not path.exists(), f"CONTRIBUTING.md writes {self.title}, which there is"
            path.parent.mkdir(exist_ok=True)
            path.write_text(self.text, "utf-8")
        return None


def added(text: str, difference: str, where: str) -> str:
    """A file with the lines that a block adds between others."""
    for hunk in difference.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        assert {line[0] for line in lines} == {" ", "+"}
        before = "".join(line[1:] for line in lines if line[0] == " ")
        assert text.count(before) == 1, f"{where} no longer has these lines of CONTRIBUTING.md once:\n{before}"
        text = text.replace(before, "".join(line[1:] for line in lines))
    return text


BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def steps_of(section: str) -> Iterator[Step]:
    """The blocks of a section in their order, one a command."""
    for language, title, text in BLOCK.findall(section):
        if language == "console":
            yield from (Step(language, line.removeprefix("$ "), "") for line in text.splitlines())
        else:
            yield Step(language, title, text)


SECTIONS = dict(re.findall(r"^## (Add an? [^\n]+)\n(.*?)(?=^## |\Z)", GUIDE, re.MULTILINE | re.DOTALL))
ADDITIONS = {name: list(steps_of(section)) for name, section in SECTIONS.items()}


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy whose models are links to ours, and whose programs find a small MNIST and themselves."""
    root = tmp_path / "chapterhouse"
    shutil.copytree(ROOT, root, ignore=LEFT_BEHIND)
    (root / "models_store").mkdir()
    for folder in (ROOT / "models_store").iterdir():
        (root / "models_store" / folder.name).symlink_to(folder)
    data = tmp_path / "data"
    images = np.random.default_rng(0).integers(0, 256, (40, 28, 28), dtype=np.uint8)
    write_mnist(data, images)
    chosen = {
        "PYTHONPATH": str(root),
        "CHAPTERHOUSE_DATA_DIR": str(data),
        "CHAPTERHOUSE_STATE_DIR": str(tmp_path / "state"),
        "COLUMNS": "1000",  # so that no message is cut off
    }
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    for name in ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"):
        monkeypatch.delenv(name, raising=False)  # what is run there is not this checkout
    return root


def test_the_guide_is_about_every_kind_of_addition() -> None:
    assert ADDITIONS.keys() == MOST_FILES.keys()


@pytest.mark.parametrize("name", ADDITIONS)
def test_an_addition_touches_few_files(name: str) -> None:
    files = {step.title for step in ADDITIONS[name] if step.language != "console"}
    assert len({file for file in files if not file.startswith(DOCUMENTS)}) <= MOST_FILES[name]


@pytest.mark.parametrize("name", ADDITIONS)
def test_an_addition_is_made_by_the_guide_alone(name: str, scratch: Path) -> None:
    for step in ADDITIONS[name]:
        ended = step.take(scratch)
        assert ended is None or ended.returncode == 0, f"$ {step.title}\n{ended and ended.stdout + ended.stderr}"


def test_all_additions_together_keep_the_types(scratch: Path) -> None:
    for steps in ADDITIONS.values():
        for step in steps:
            if step.language != "console":
                step.take(scratch)
    if (known := ROOT / ".mypy_cache").is_dir():
        shutil.copytree(known, scratch / ".mypy_cache", ignore=shutil.ignore_patterns("public"))  # that of another test
    ended = Step("console", "mypy", "").take(scratch)
    assert ended
    assert ended.returncode == 0, ended.stdout


class Omission(NamedTuple):
    """A test that fails where a step is left out, and what it says then."""

    step: str
    test: str
    says: str


REGISTRY = (
    Omission(
        "service/nets/registry.py",
        "tests/nets/test_registry.py::test_every_net_is_in_the_registry",
        "service/nets/allcnn.py: nobody can ask for AllCNN; import it in service/nets/registry.py and give it a line "
        'in NETS, such as "allcnn": AllCNN,',
    ),
    Omission(
        "service/nets/registry.py",
        "tests/test_store.py::test_every_shipped_manifest_is_one[allcnn-mnist]",
        "models_store/allcnn-mnist/model.toml has net = 'allcnn', which has no line in NETS of "
        "service/nets/registry.py",
    ),
    Omission(
        "service/metrics/registry.py",
        "tests/metrics/test_registry.py::test_every_metric_is_in_the_registry",
        "service/metrics/confidence.py: nobody can ask for Confidence; import it in service/metrics/registry.py and "
        'give it a line in METRICS, such as "confidence": Confidence,',
    ),
    Omission(
        "service/api/app.py",
        "tests/api/test_app.py::test_every_router_is_part_of_the_application",
        "nobody is answered by service/api/labels.py; import labels in service/api/app.py and give labels.router a "
        "line in ROUTERS",
    ),
    Omission(
        "service/datasets/registry.py",
        "tests/datasets/test_registry.py::test_every_dataset_is_in_the_registry[DATASETS]",
        "nobody can ask for service.datasets.kmnist.KMNIST; import it in service/datasets/registry.py and give it a "
        'line in DATASETS, "kmnist": KMNIST,',
    ),
    Omission(
        "service/training/adversarial/systems/registry.py",
        "tests/training/adversarial/systems/test_registry.py::test_every_system_is_in_the_registry",
        "service/training/adversarial/systems/lsgan.py: nobody can ask for LSGAN; import it in "
        'service/training/adversarial/systems/registry.py and give it a line in SYSTEMS, such as "lsgan": LSGAN,',
    ),
)
MANIFEST = (
    Omission(
        "models_store/allcnn-mnist/model.toml",
        "tests/nets/test_registry.py::test_a_net_is_its_head_after_its_features[allcnn]",
        "no models_store/<id>/model.toml has net = 'allcnn', so that nobody can train or serve it; write one",
    ),
    Omission(
        "models_store/lsgan-ring/model.toml",
        "tests/training/adversarial/systems/test_registry.py::test_a_system_trains_the_points_of_its_manifest[lsgan]",
        "no models_store/<id>/model.toml of points in the plane has system = 'lsgan'; write "
        "models_store/lsgan-ring/model.toml, as models_store/gan-ring/model.toml is",
    ),
)
TEST = (
    Omission(
        "tests/metrics/test_confidence.py",
        "tests/metrics/test_registry.py::test_a_metric_has_a_test_of_its_own_truth[confidence]",
        "no test beside this one names confidence; write tests/metrics/test_confidence.py with values that were "
        "computed by hand or by somebody else's program",
    ),
    Omission(
        "tests/api/test_labels.py",
        "tests/api/test_app.py::test_every_route_is_asked_by_a_test[GET /models/{model_id}/labels]",
        "no test in tests/api asks GET /models/{model_id}/labels; write one for its answer and one for each of its "
        "refusals",
    ),
    Omission(
        "service/api/access/needs.py",
        "tests/api/access/test_needs.py::test_every_route_has_a_scope[GET /models/{model_id}/labels]",
        "GET /models/{model_id}/labels is the administrator's alone: give it a line in service/api/access/needs.py",
    ),
    Omission(
        "tests/datasets/test_kmnist.py",
        "tests/datasets/test_registry.py::test_a_dataset_has_a_test_of_its_own_truth[service.datasets.kmnist]",
        "nothing in tests/datasets tests service.datasets.kmnist; write test_kmnist.py there",
    ),
    Omission(
        "tests/training/adversarial/systems/test_lsgan.py",
        "tests/training/adversarial/systems/test_registry.py::test_a_system_has_a_test_of_its_own_truth[lsgan]",
        "no test in tests/training/adversarial/systems names LSGAN; write test_lsgan.py there, with losses that were "
        "worked out by hand",
    ),
)
DOCUMENT = (
    Omission(
        "python -m experiments.scores --write",
        "tests/experiments/test_scores.py::test_the_page_says_what_the_cards_say[en]",
        "`python -m experiments.scores --write` puts it right",
    ),
    Omission(
        "python -m experiments.metrics",
        "tests/experiments/test_metrics.py::test_a_metric_has_a_row_in_the_docs[confidence]",
        "docs/metrics.md has no row of confidence; `python -m experiments.metrics` writes it",
    ),
    Omission(
        "tests/api/access/test_needs.py",
        "tests/api/access/test_needs.py::test_every_route_has_a_scope[GET /models/{model_id}/labels]",
        "GET /models/{model_id}/labels needs a line in tests/api/access/test_needs.py that says whose it is",
    ),
    Omission(
        "docs/endpoints.md",
        "tests/test_readme.py::test_every_route_is_named[GET /models/{model_id}/labels]",
        "the table in docs/endpoints.md has no row of `GET /models/{model_id}/labels`; write one that says what "
        "it is for",
    ),
    Omission(
        "python -m experiments.endpoints",
        "tests/experiments/test_endpoints.py::test_every_route_is_told_in_full[GET /models/{model_id}/labels]",
        "docs/endpoints/models.md does not tell of `GET /models/{model_id}/labels`; `python -m experiments.endpoints` "
        "writes it",
    ),
    Omission(
        "python -m experiments.collapse --render",
        "tests/experiments/test_collapse.py::test_the_page_is_what_its_measurements_say",
        "`python -m experiments.collapse --render` puts it right",
    ),
)
UNSAID = (
    Omission(
        ", route_class=Endpoint",
        "tests/api/test_openapi.py::test_every_route_is_of_the_one_kind",
        "service.api.labels: make its router with `route_class=Endpoint` (service/api/routes.py)",
    ),
    Omission(
        r"    model_config = ConfigDict\(\s*json_schema_extra.*?\n\n",
        "tests/api/test_openapi.py::test_every_operation_has_examples_and_they_are_what_it_says",
        "application/json of list_labels has no example: give it `examples` where it is declared, or "
        "service/api/examples.py a line",
    ),
    Omission(
        r"    about = About\(.*?^    \)\n\n",
        "tests/metrics/test_registry.py::test_a_metric_says_what_has_to_be_known_before_it_is_chosen[confidence]",
        "service/metrics/confidence.py: Confidence says nothing about itself; give it an `about = About(...)` as FID "
        "has",
    ),
    Omission(
        r'    title = "LSGAN"\n\n',
        "tests/training/adversarial/systems/test_registry.py::test_a_system_has_the_name_that_papers_give_it[lsgan]",
        "service/training/adversarial/systems/lsgan.py: LSGAN has no `title`, by which docs/mode-collapse.md calls it",
    ),
)
LEFT_OUT = {"registry": REGISTRY, "manifest": MANIFEST, "test": TEST, "document": DOCUMENT}
CHECKS = ("ruff", "lint-imports", "python -m pytest", "chapterhouse data list")


def test_every_step_is_left_out_once() -> None:
    """But for the file that is added itself, without which its line in the registry cannot be imported."""
    steps = {step.title for steps in ADDITIONS.values() for step in steps if not step.title.startswith(CHECKS)}
    added_itself = {steps[0].title for steps in ADDITIONS.values()}
    optional = {"chapterhouse train allcnn-mnist"}  # a model may stay untrained
    assert steps - added_itself - optional == {omission.step for left_out in LEFT_OUT.values() for omission in left_out}


def all_checks() -> list[str]:
    """One run of pytest that asks for what those of all sections ask for."""
    paths: list[str] = []
    words: list[str] = []
    for step in (step for steps in ADDITIONS.values() for step in steps if "pytest" in step.title):
        given = shlex.split(step.title)[3:]
        chosen = given.index("-k")
        paths += given[:chosen]
        words.append(given[chosen + 1])
    return ["-m", "pytest", *dict.fromkeys(paths), "-k", " or ".join(words), "-m", "not slow"]


@pytest.mark.parametrize("kind", LEFT_OUT)
def test_a_step_that_is_left_out_is_named_by_the_guides_own_checks(kind: str, scratch: Path) -> None:
    """In each addition the same kind of step is left out; additions do not depend on each other."""
    omitted = {omission.step for omission in LEFT_OUT[kind]}
    steps = [step for steps in ADDITIONS.values() for step in steps if step.title not in omitted]
    for step in steps:
        if step.language != "console" or (kind == "document" and not step.title.startswith(CHECKS)):
            step.take(scratch)
    assert_named(LEFT_OUT[kind], ask(scratch, *all_checks()))


def test_what_an_addition_does_not_say_of_itself_is_asked_for(scratch: Path) -> None:
    for step in (step for steps in ADDITIONS.values() for step in steps if step.language != "console"):
        text = step.text
        for omission in UNSAID:
            text = re.sub(omission.step, "", text, flags=re.MULTILINE | re.DOTALL)
        step._replace(text=text).take(scratch)
    assert_named(UNSAID, ask(scratch, "-m", "pytest", *(omission.test for omission in UNSAID)))


def ask(scratch: Path, *words: str) -> str:
    return subprocess.run([sys.executable, *words], cwd=scratch, capture_output=True, text=True, check=False).stdout


def assert_named(omissions: Collection[Omission], said: str) -> None:
    for omission in omissions:
        assert f"FAILED {omission.test} - " in said, said
        assert omission.says in said
