"""docs/python.md and the README's Python are so: every block runs, as a script and as the cells of a notebook."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from evaluation.packing import digits, npz, pngs, zipped
from running import running_service

import chapterhouse
from service.evaluation.queue.database import Database
from service.evaluation.queue.migrations import migrate
from service.settings import Settings

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "python.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
ADDRESS = "http://127.0.0.1:8000"

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The models and references that are shipped, and a state directory of the page's own."""
    settings = Settings(state_dir=tmp_path_factory.mktemp("state"), fronts=1, threads=1)
    migrate(Database.of(settings))
    return settings


@pytest.fixture(scope="module")
def server(settings: Settings) -> Iterator[str]:
    """A service with these."""
    with running_service(settings) as address:
        yield address


@pytest.fixture
def folder(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a reader of the page stands: in a folder with the files that it names."""
    monkeypatch.setenv("CHAPTERHOUSE_STATE_DIR", str(settings.state_dir))
    monkeypatch.setenv("CHAPTERHOUSE_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seven.png").write_bytes((ROOT / "tests" / "data" / "seven.png").read_bytes())
    made, real = digits(120, seed=1, size=28), digits(130, seed=2, size=28)
    npz(tmp_path / "samples.npz", {"images": made})
    zipped(tmp_path / "real.zip", pngs(real))
    for name, images in (("samples", made), ("real", real)):
        (tmp_path / name).mkdir()
        for file, data in pngs(images):
            (tmp_path / name / file).write_bytes(data)
    return tmp_path


def cells(text: str, server: str) -> list[str]:
    """The blocks of a page, for this service, and for an extractor that is not to be fetched first."""
    return [
        block.replace(ADDRESS, server).replace('"inception-v3-fid"', '"lenet5-mnist"') for block in BLOCK.findall(text)
    ]


def run(cell: str, names: dict[str, Any]) -> None:
    """One block of a script."""
    exec(compile(cell, "docs/python.md", "exec"), names)


def in_a_cell(block: str) -> str:
    """A block as a cell, which waits by itself where a script needs a loop."""
    return block.replace("asyncio.run(watch(drawn.samples))", "await watch(drawn.samples)")


async def run_cell(cell: str, names: dict[str, Any]) -> None:
    """One cell of a notebook, as a kernel runs it: inside its event loop, where a cell may wait itself."""
    ran = eval(compile(cell, "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    if inspect.isawaitable(ran):
        await ran


@pytest.mark.usefixtures("folder")
def test_the_page_runs_as_a_script(server: str) -> None:
    names: dict[str, Any] = {}
    for cell in cells(PAGE, server):
        run(cell, names)


@pytest.mark.usefixtures("folder")
async def test_the_page_runs_as_a_notebook(server: str) -> None:
    names: dict[str, Any] = {}
    for cell in cells(PAGE, server):
        await run_cell(in_a_cell(cell), names)
    assert names["report"].fid > 0


@pytest.mark.notebook
def test_the_page_runs_in_a_kernel(server: str, folder: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    shown = ["report", "local.models()", "client.classify('seven.png')"]
    opened = f"local, client = Local(), Client({server!r})"
    sources = [*cells(PAGE, server), opened, *shown]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(in_a_cell(source)) for source in sources])
    nbclient.NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for cell in notebook.cells[-len(shown) :] for output in cell.outputs]
    assert all(output.data["text/html"].startswith("<table>") for output in outputs)
    assert [output.output_type for output in outputs] == ["execute_result"] * len(shown)


@pytest.mark.usefixtures("folder")
def test_the_readmes_python_runs(server: str) -> None:
    section = README.partition("\n### From Python\n")[2].partition("\n## ")[0]
    blocks = cells(section, server)
    assert blocks
    names: dict[str, Any] = {}
    for block in blocks:
        run(block, names)


def test_the_page_names_what_programs_begin_with() -> None:
    table = PAGE.partition("| name | what it is |")[2].partition("\n\n")[0]
    named = re.findall(r"`(\w+)`", table.partition("What they all raise")[0])
    assert set(named) <= set(chapterhouse.__all__)
    assert {"Client", "AsyncClient", "Local", "AsyncLocal", "Evaluation", "errors"} <= set(named)


def test_the_page_names_every_method() -> None:
    methods = {name for name, _ in inspect.getmembers(chapterhouse.Client) if not name.startswith("_")}
    table = PAGE.partition("| method | what it answers |")[2].partition("\n\n")[0]
    assert methods - set(re.findall(r"`(\w+)\(", table)) == {"run", "close"}


def test_a_training_loop_takes_ten_lines() -> None:
    [loop] = [block for block in BLOCK.findall(PAGE) if "one epoch of training" in block]
    inside = loop.partition("with Evaluation")[2].strip().splitlines()
    assert len(inside) <= 10


@pytest.mark.parametrize("heading", ["torchmetrics", "torch-fidelity"])
def test_the_equivalents_are_python(heading: str) -> None:
    section = PAGE.partition(f"## Coming from {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+) \| (.+) \|$", section, re.MULTILINE)
    assert len(rows) > 6
    for _, here in rows[1:]:
        for code in re.findall(r"`([^`]+)`", here):
            ast.parse(f"f({code})" if re.match(r"\w+=", code) else code)
