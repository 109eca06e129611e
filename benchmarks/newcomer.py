"""How long a newcomer waits: the README's first section followed word for word in an empty clone of this repository.

    python -m benchmarks.newcomer [--torch-index URL] [--cached]

Clones the last commit into an empty folder, runs `make run`, and asks what README.md asks, in its order, with an empty
state directory and, unless `--cached`, an empty cache of pip. Told are the seconds from the clone to the end of the
installation (which depends on the network more than on anything here), to the page, the first digit drawn in a browser,
the first digit asked by a program, the first samples, the first verdict and the metrics behind the first dashboard. The
browser is Debian's chromium, led by playwright where this environment has it (`make browser` installs it).
"""

import argparse
import importlib.util
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.load.machine import free_port

ROOT = Path(__file__).parents[1]
ADDRESS = "http://127.0.0.1:8000"
SERVES = "serving on http"
LOOKS_EVERY_S = 0.2
PATIENCE_S = 3600.0
STEPS = {"/health/ready": "ready", "/classify": "first digit", "/evaluate": "first verdict"}
"""What each line of the README is for, by what it asks; `/generate` is asked twice."""


def shown(readme: str) -> list[str]:
    """The lines of curl in the README's section on the start."""
    section = readme.partition("\n## Start\n")[2].partition("\n## ")[0]
    return re.findall(r"^\$ (curl .+)$", section, re.MULTILINE)


def step_of(line: str) -> str:
    """What a line is called in the table."""
    called = next((name for path, name in STEPS.items() if path in line), None)
    return called or ("first samples" if "npz" in line else "first pictures")


class Journey:
    """The seconds since the clone began, and what had been reached."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def reached(self, what: str) -> None:
        """Tell of it."""
        print(f"{time.monotonic() - self._began:8.1f} s  {what}", flush=True)


@contextmanager
def running(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[Path]:
    """A program in a group of its own that ends with the context; the file with all that it says."""
    said = folder.parent / "said.txt"
    with said.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=file, stderr=file, process_group=0, close_fds=True
        )
    try:
        yield said
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def follow(folder: Path, index: str | None, *, cached: bool) -> None:
    """Go the whole way. Raises SystemExit where a step fails."""
    clone, port = folder / "chapterhouse", free_port()
    address = ADDRESS.replace("8000", str(port))
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("CHAPTERHOUSE_", "PYTHON"))
    }
    environment |= {"CHAPTERHOUSE_PORT": str(port), "CHAPTERHOUSE_STATE_DIR": str(folder / "state")}
    if not cached:
        environment["PIP_CACHE_DIR"] = str(folder / "cache")
    make = ["make", "run", *([f"TORCH_INDEX={index}"] if index is not None else [])]
    journey = Journey()
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", f"file://{ROOT}", str(clone)], check=True)
    journey.reached("cloned")
    with running(make, clone, environment) as said:
        wait_for(said, "Starting; open the address", journey, "installed")
        wait_for(said, SERVES, journey, "says where it serves")
        httpx.get(address, timeout=60).raise_for_status()
        journey.reached("the page")
        draw(address, journey)
        for line in shown((clone / "README.md").read_text("utf-8")):
            here = line.replace(ADDRESS, address).replace("curl ", "curl -f ", 1)
            asked = subprocess.run(shlex.split(here), cwd=clone, capture_output=True, text=True, check=False)
            if asked.returncode:
                sys.exit(f"$ {line}\n{asked.stderr}")
            journey.reached(step_of(line))
        httpx.get(f"{address}/metrics", timeout=60).raise_for_status()
        journey.reached("the metrics of the dashboard")


def draw(address: str, journey: Journey) -> None:
    """Draw a stroke on the page, as a person does, and wait for the first net's answer."""
    chromium = shutil.which("chromium")
    if chromium is None or importlib.util.find_spec("playwright") is None:
        print("           no browser here: chromium or playwright is missing")
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(locale="en-GB")
        page.set_default_timeout(60_000)
        page.goto(address)
        page.wait_for_selector(".card")
        box = page.locator(".pad").bounding_box()
        if box is None:
            sys.exit("the page has no sheet to draw on")
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 4)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 3 / 4, steps=8)
        page.mouse.up()
        page.wait_for_selector(".card:not(.waiting) .label")
        journey.reached("first digit in the browser")
        browser.close()


def wait_for(said: Path, words: str, journey: Journey, what: str) -> None:
    """Wait until a program has said this. Raises SystemExit where it says something else and ends, or never does."""
    until = time.monotonic() + PATIENCE_S
    while words not in said.read_text("utf-8", errors="replace"):
        if time.monotonic() > until or "\nmake: ***" in said.read_text("utf-8", errors="replace"):
            sys.exit(said.read_text("utf-8", errors="replace")[-2000:])
        time.sleep(LOOKS_EVERY_S)
    journey.reached(what)


def main() -> None:
    """Follow the README, once."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.newcomer")
    parser.add_argument("--torch-index", help="where torch comes from; as the Makefile finds it unless given")
    parser.add_argument("--cached", action="store_true", help="let pip use what it has downloaded before")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="newcomer-") as folder:
        follow(Path(folder), given.torch_index, cached=given.cached)


if __name__ == "__main__":
    main()
