"""The pages that there are in two languages have the same sections, examples, pictures, links and numbers."""

import re
from collections import Counter
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
CHINESE = sorted(path for path in DOCS.rglob("*-zh.md") if path.name != "start-zh.md")
HAN = re.compile(r"[\u4e00-\u9fff]")
BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")

both_languages = pytest.mark.parametrize("chinese", CHINESE, ids=lambda path: str(path.relative_to(DOCS)))


def english_of(chinese: Path) -> str:
    return chinese.with_name(chinese.name.replace("-zh", "")).read_text("utf-8")


def prose(text: str) -> str:
    """A page without its examples and the names of its links."""
    return re.sub(r"\]\([^)]*\)|^<!-- .* -->$", "", BLOCK.sub("", text), flags=re.MULTILINE)


def links(text: str) -> Counter[str]:
    return Counter(target.replace("-zh.md", ".md") for target in re.findall(r"\]\(([^)]+)\)", text))


@both_languages
def test_both_have_the_same_sections_and_examples(chinese: Path) -> None:
    ours, theirs = chinese.read_text("utf-8"), english_of(chinese)
    levels = [re.findall(r"^#+(?= )", BLOCK.sub("", text), re.MULTILINE) for text in (ours, theirs)]
    assert levels[0] == levels[1]
    assert BLOCK.findall(ours) == BLOCK.findall(theirs)
    assert links(ours) == links(theirs)
    places = [re.findall(r"^<!-- .* -->$", text, re.MULTILINE) for text in (ours, theirs)]
    assert places[0] == places[1]


@both_languages
def test_both_name_the_same_numbers(chinese: Path) -> None:
    ours, theirs = (Counter(NUMBER.findall(prose(text))) for text in (chinese.read_text("utf-8"), english_of(chinese)))
    assert ours - theirs == theirs - ours == Counter()


@both_languages
def test_each_leads_to_the_other_and_is_in_its_language(chinese: Path) -> None:
    ours, theirs = chinese.read_text("utf-8"), english_of(chinese)
    assert f"[English]({chinese.name.replace('-zh', '')})" in ours
    assert f"[中文]({chinese.name})" in theirs
    for paragraph in prose(ours).split("\n\n"):
        words = re.sub(r"`[^`]*`", "", paragraph)
        if len(words) > 80 and not words.lstrip().startswith("|"):
            assert HAN.search(words), paragraph
    assert not HAN.search(prose(theirs).replace("中文", ""))
