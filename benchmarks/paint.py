"""How soon the page is to be seen: the first paint of each view, in a browser that has never been there.

    python -m benchmarks.paint [--server URL] [--times N]

Asks a running service, on this machine unless another is named. Told are the medians of N openings, each with an empty
cache, in milliseconds: until the first words are painted, and until all that the view asked for at first has come. The
browser is Debian's chromium, led by playwright (`make browser` installs it).
"""

import argparse
import shutil
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

VIEWS = sorted(path.stem for path in (Path(__file__).parents[1] / "service" / "page" / "views").glob("*.js"))
PAINTED = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"
CAME = "() => Math.max(...performance.getEntriesByType('resource').map((one) => one.responseEnd))"


def opened(browser: "Browser", address: str) -> tuple[float, float]:
    """Milliseconds from the wish to the first paint, and to the last of what is loaded at once."""
    with browser.new_context(locale="en-GB") as context:
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("h1")
        page.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length > 0")
        return page.evaluate(PAINTED), page.evaluate(CAME)


def table(readings: dict[str, list[tuple[float, float]]]) -> str:
    """The medians, a line a view."""
    lines = [f"{'view':10}{'first paint':>14}{'loaded':>10}   ms, median of {len(next(iter(readings.values())))}"]
    for view, taken in readings.items():
        painted, came = (statistics.median(each) for each in zip(*taken, strict=True))
        lines.append(f"{view:10}{painted:14.0f}{came:10.0f}")
    return "\n".join(lines)


def main() -> None:
    """Open every view a few times."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paint")
    parser.add_argument("--server", default="http://127.0.0.1:8000", help="a running service")
    parser.add_argument("--times", type=int, default=5, help="how often each view is opened")
    given = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("install Debian's chromium first")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        server = given.server.rstrip("/")
        print(table({view: [opened(browser, f"{server}/#/{view}") for _ in range(given.times)] for view in VIEWS}))
        browser.close()


if __name__ == "__main__":
    main()
