"""What comes to the page comes in every way that a person has: opened, pasted, dropped, photographed, drawn."""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from browser.conftest import Open
from browser.paths import PHONE, go
from browser.seeing import Seen
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SEVEN = Path(__file__).parent.parent / "data" / "seven.png"
AS_IT_WAS = "Nothing had to be done."
FILE = "const file = new File([Uint8Array.from(atob(packed), (one) => one.charCodeAt(0))], name, { type });"
COPY = f"""async ([packed, name, type]) => {{
  {FILE}
  await navigator.clipboard.write([new ClipboardItem({{ [type]: file }})]);
}}"""
DROP = f"""(given) => {{
  const carried = new DataTransfer();
  for (const [packed, name, type] of given) {{
    {FILE}
    carried.items.add(file);
  }}
  for (const each of ["dragover", "drop"]) {{
    document.body.dispatchEvent(new DragEvent(each, {{ dataTransfer: carried, bubbles: true, cancelable: true }}));
  }}
}}"""
UPRIGHT = 6
"""What a camera that was held upright notes as the orientation of its picture."""


def told(path: Path, kind: str = "image/png") -> list[str]:
    """A file as the functions above are given it."""
    return [base64.b64encode(path.read_bytes()).decode(), path.name, kind]


def opened(page: "Page") -> None:
    page.locator("input[type=file]").first.set_input_files(SEVEN)


def pasted(page: "Page") -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(COPY, told(SEVEN))
    page.keyboard.press("Control+V")


def dropped(page: "Page") -> None:
    page.evaluate(DROP, [told(SEVEN)])


WAYS: dict[str, Callable[["Page"], None]] = {"dropped": dropped, "opened": opened, "pasted": pasted}


@pytest.mark.parametrize("way", sorted(WAYS))
def test_an_image_that_is_given_is_named_by_every_net(seen: Seen, url: str, way: str) -> None:
    page = go(seen, url, "draw")
    page.wait_for_selector(".card")
    WAYS[way](page)
    page.wait_for_selector(".strip canvas >> nth=1")
    assert way == "pasted" or AS_IT_WAS in page.locator(".strip").first.inner_text()  # clipboards keep colours
    assert page.locator(".said .label").first.inner_text() == "7"
    assert seen.complaints == []


@pytest.mark.parametrize("way", sorted(WAYS))
def test_an_image_that_is_given_is_looked_at_from_inside(seen: Seen, url: str, way: str) -> None:
    page = go(seen, url, "inside")
    page.wait_for_selector(".ways canvas >> nth=2")
    page.click("text=Clear")
    page.locator(".ways canvas").first.wait_for(state="detached")
    WAYS[way](page)
    page.wait_for_selector(".ways canvas >> nth=2")
    assert "“7”" in page.locator(".ways").inner_text()
    assert seen.complaints == []


def test_a_phone_takes_a_photograph_and_the_page_says_what_was_done_to_it(
    open_page: Open, url: str, tmp_path: Path
) -> None:
    page = go(open_page(**PHONE), url, "draw")
    page.wait_for_selector(".card")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Take a photograph").tap()
    assert chooser.value.element.get_attribute("capture") == "environment"
    chooser.value.set_files(photograph(tmp_path))
    page.wait_for_selector(".strip canvas >> nth=1")
    steps = page.locator(".strip").first.inner_text()
    assert "It was turned upright, as the camera noted." in " ".join(steps.split())
    assert page.locator(".said .label").first.inner_text() == "7"


def photograph(folder: Path) -> Path:
    """A seven on paper, as a phone's camera stores it: lying, with a note that it has to be turned."""
    with Image.open(SEVEN) as seven:
        ink = seven.convert("L").resize((280, 280), Image.Resampling.BICUBIC)
    paper = Image.new("RGB", (480, 640), (236, 233, 226))
    paper.paste((40, 42, 60), (100, 180), ink)
    note = Image.Exif()
    note[0x0112] = UPRIGHT
    stored = io.BytesIO()
    paper.transpose(Image.Transpose.ROTATE_90).save(stored, "jpeg", exif=note)
    (folder / "photograph.jpg").write_bytes(stored.getvalue())
    return folder / "photograph.jpg"


def test_photographs_are_asked_of_nets_that_know_them(seen: Seen, url: str) -> None:
    page = go(seen, url, "draw")
    page.wait_for_selector(".card")
    page.get_by_label("photographs", exact=True).check()
    opened(page)
    page.wait_for_selector(".strip canvas >> nth=1")
    assert page.locator(".said .label.long").count() == page.locator(".card").count()
    assert "It was resized from 28×28 to 32×32." in page.locator(".strip").inner_text()


@pytest.mark.parametrize("view", ["draw", "inside"])
@pytest.mark.parametrize("way", ["dropped", "opened"])
def test_a_file_that_is_no_image_is_named(seen: Seen, url: str, tmp_path: Path, view: str, way: str) -> None:
    page = go(seen, url, view)
    page.wait_for_selector(".card" if view == "draw" else ".ways canvas >> nth=2")
    letter = tmp_path / "letter.txt"
    letter.write_text("not an image")
    if way == "dropped":
        page.evaluate(DROP, [told(letter, "text/plain")])
    else:
        page.locator("input[type=file]").first.set_input_files(letter)
    assert "“letter.txt” is no image" in page.locator(".notice").first.inner_text()
    opened(page)
    page.locator(".notice").first.wait_for(state="detached")


def archives(folder: Path) -> list[list[str]]:
    """Samples and real images, as two archives."""
    rng = np.random.default_rng(0)
    for name in ("samples", "real"):
        np.savez(folder / f"{name}.npz", images=rng.integers(0, 256, (300, 28, 28, 1), np.uint8))
    return [told(folder / f"{name}.npz", "application/octet-stream") for name in ("samples", "real")]


def test_two_archives_are_dropped_at_once_and_measured(seen: Seen, url: str, tmp_path: Path) -> None:
    page = go(seen, url, "measure")
    page.wait_for_selector("#against option", state="attached")
    page.evaluate(DROP, archives(tmp_path))
    for field, name in (("#generated", "samples.npz"), ("#reference", "real.npz")):
        assert page.locator(field).evaluate("(field) => field.files[0].name") == name
    page.locator(".form [type=submit]").click()
    page.wait_for_selector(".report tbody tr")
    assert "300 samples against 300" in page.locator(".report").inner_text()
    assert seen.complaints == []


def test_one_archive_is_dropped_and_compared_with_a_stored_reference(seen: Seen, url: str, tmp_path: Path) -> None:
    page = go(seen, url, "measure")
    page.wait_for_selector("#against option", state="attached")
    page.evaluate(DROP, archives(tmp_path)[:1])
    page.locator(".form [type=submit]").click()
    page.wait_for_selector(".report tbody tr")
    assert "300 samples against 10,000 of mnist-test" in page.locator(".report").inner_text()


def test_a_series_is_drawn_by_hand_on_an_empty_sheet(seen: Seen, url: str) -> None:
    page = go(seen, url, "series")
    page.wait_for_selector(".plot .forecast", state="attached")
    page.get_by_role("button", name="An empty sheet").click()
    page.locator(".plot .forecast").wait_for(state="detached")
    box = page.locator(".plot").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    for part in range(1, 13):
        page.mouse.move(
            box["x"] + part / 18 * box["width"], box["y"] + (0.2 if part % 2 else 0.8) * box["height"], steps=4
        )
    page.mouse.up()
    page.wait_for_selector(".plot .forecast", state="attached")
    drawn = [float(value) for value in page.locator("#values").input_value().split(",")]
    assert max(drawn) > 0.5 > -0.5 > min(drawn)
    assert seen.complaints == []
