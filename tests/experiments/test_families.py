"""The tables of docs/nets/ are what cards, papers and measurements say, in both languages."""

import re

import pytest

from experiments.claims.__main__ import CLAIMS
from experiments.families.__main__ import COMMAND, DRAWN, FOLDER, language_of, pages
from experiments.families.tables import KINDS, PLACE, written
from experiments.families.words import CHINESE, ENGLISH, TITLES
from service.training.adversarial.systems.registry import SYSTEMS

TEXTS = {page.stem: page.read_text("utf-8") for page in pages()}


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_a_page_says_what_was_measured(name: str) -> None:
    page = FOLDER / f"{name}.md"
    is_up_to_date = written(TEXTS[name], language_of(page)) == TEXTS[name]
    assert is_up_to_date, f"`{COMMAND}` puts it right"
    assert re.search(r"^<!-- trained: ", TEXTS[name], re.MULTILINE)


def test_every_idea_that_has_a_name_in_both_languages_stands_on_a_page() -> None:
    told = [key for text in TEXTS.values() for key in re.findall(r"^<!-- ideas: (.+) -->$", text, re.MULTILINE)]
    assert {key for keys in told for key in keys.split()} >= set(TITLES)


def test_every_remedy_on_the_page_is_that_of_a_system() -> None:
    rows = re.findall(r"^\| ([\w -]+) \| [A-Z][^|]+\. \|$", TEXTS["gans"], re.MULTILINE)
    assert len(rows) == len(set(rows)) >= 9
    assert set(rows) <= {system.title for system in SYSTEMS.values()}


def test_each_side_of_a_comparison_has_a_chinese_name() -> None:
    known = {"dropout", "tanh", "rate"}
    for key in TITLES:
        for name in CLAIMS[key].trials:
            assert set(re.findall(r"\b[a-z]{3,}\b", CHINESE.variant(name))) <= known, name
            assert ENGLISH.variant(name) == name


def test_pictures_that_are_drawn_are_shown() -> None:
    shown = {name for text in TEXTS.values() for name in re.findall(r"\]\(([\w-]+)\.png\)", text)}
    assert shown == set(DRAWN)


def test_a_table_is_put_into_its_place_and_one_of_an_unknown_kind_is_an_error() -> None:
    page = "# A\n\n<!-- published: lenet5 -->\n| old |\n\nwords\n"
    new = written(page, ENGLISH)
    assert "| `lenet5` | 1×32×32 | " in new
    assert "old" not in new
    assert written(new, ENGLISH) == new
    assert "论文中的网络" in written(page, CHINESE)
    with pytest.raises(ValueError, match=f"there are {', '.join(KINDS)}"):
        written("<!-- guessed: lenet5 -->\n", ENGLISH)
    assert not PLACE.search("words <!-- published: lenet5 -->")
