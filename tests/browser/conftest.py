import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser.seeing import Seen
from serving import Service

Open = Callable[..., Seen]
USUAL: dict[str, Any] = {
    "MODELS_DIR": Path(__file__).parent.parent.parent / "models_store",
    "DEFAULT_CLASSIFIER": "lenet5-mnist",
    "DEFAULT_GENERATOR": "gan-mnist",
    "DEFAULT_FORECASTER": "esn-mackey-glass",
}
"""The settings of a service with the models of the store."""
PREFIX = "/chapter"


@pytest.fixture(scope="session", autouse=True)
def wanted(pytestconfig: pytest.Config) -> None:
    """A browser is started only where that is asked for."""
    if "browser" not in pytestconfig.getoption("markexpr"):
        pytest.skip("`make browser` runs it")
    if shutil.which("chromium") is None:
        pytest.skip("Chromium is not installed")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="`make browser` installs it")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Open]:
    """A page of a browser of its own: a desktop's in English unless something else is said."""
    contexts = []

    def open_page(**told: Any) -> Seen:
        told = {"viewport": {"width": 1280, "height": 900}, "locale": "en-GB", **told}
        contexts.append(chromium.new_context(**told))
        return Seen(contexts[-1].new_page())

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def seen(open_page: Open) -> Seen:
    return open_page()


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service with the models of the store, under a prefix as behind a proxy."""
    folder = tmp_path_factory.mktemp("service")
    with Service(folder, **USUAL, ROOT_PATH=PREFIX) as service:
        service.wait_until_ready()
        yield service.url + PREFIX
