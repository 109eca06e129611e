"""The page speaks each of its languages whole, and says in them whatever the service notes of an image."""

import json
import re
from pathlib import Path

import pytest

from service.api.documents.page import FOLDER
from service.imaging import ink, reading
from service.tasks.classify import _sentence

LANGUAGES = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted((FOLDER / "words").glob("*.json"))}
ENGLISH: dict[str, str] = LANGUAGES["en"]
SCRIPTS = {path.name: path.read_text("utf-8") for path in sorted(FOLDER.rglob("*.js"))}
SAID = [match[1] for text in SCRIPTS.values() for match in re.finditer(r"\bt\(\s*[\"`]([^\"`]+)[\"`]", text)]
VIEWS = sorted(path.stem for path in (FOLDER / "views").glob("*.js"))
NOTE = "note: "


def pattern(said: str) -> str:
    """What `${…}` in a key may become."""
    return r"[\w-]+".join(map(re.escape, re.split(r"\$\{[^}]*\}", said)))


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_a_language_has_every_key_and_every_value_of_it(language: str) -> None:
    words = LANGUAGES[language]
    assert words.keys() == ENGLISH.keys()
    for key, text in words.items():
        assert text.strip(), key
        assert set(re.findall(r"\{(\w+)\}", text)) == set(re.findall(r"\{(\w+)\}", ENGLISH[key])), key


def test_whatever_a_script_says_has_words() -> None:
    missing = [said for said in SAID if not any(re.fullmatch(pattern(said), key) for key in ENGLISH)]
    assert not missing


def test_no_words_are_left_over() -> None:
    every = "".join(SCRIPTS.values())
    idle = [
        key
        for key in ENGLISH
        if f'"{key}"' not in every and not any(re.fullmatch(pattern(said), key) for said in SAID if "${" in said)
    ]
    assert [key for key in idle if not key.startswith(NOTE)] == []


@pytest.mark.parametrize("language", sorted(LANGUAGES))
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_says_its_idea_in_two_sentences(view: str, language: str) -> None:
    assert len(re.findall(r"[.?!](?= |$)|[。？！]", LANGUAGES[language][f"{view}.idea"])) == 2


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_names_its_chapter_and_its_paper(view: str) -> None:
    told = re.search(rf'^  {view}: \{{\s*chapter: "([4-7A])",\s*paper:\s*"([^"]+)"', SCRIPTS["main.js"], re.MULTILINE)
    assert told is not None
    assert re.search(r"\b(19|20)\d\d\.$", told[2])


def noted() -> list[str]:
    """Every sentence that the service writes of an image, and the usual one of a forecast."""
    words = [reading.PALETTE, reading.ALPHA, reading.DEPTH, reading.INKS, reading.FRAMES, reading.TURNED, reading.REST]
    words += [ink.INVERTED, ink.PAPER.format("white"), ink.UNEVEN, ink.CENTRED, reading.REDUCED.format(4)]
    words += ["were resized from 28×40 to 32×32", "were converted to grey", "were converted to colour"]
    warning = "beyond step 32 the interval is extended with the root of time, not measured"
    return [*map(_sentence, words), warning]


@pytest.mark.parametrize("sentence", noted())
def test_every_note_has_words(sentence: str) -> None:
    keys = [key.removeprefix(NOTE) for key in ENGLISH if key.startswith(NOTE)]
    assert [key for key in keys if re.fullmatch(re.sub(r"\\\{\w+\\\}", ".+?", re.escape(key)), sentence)], sentence


@pytest.mark.parametrize(
    "path", sorted([*FOLDER.rglob("*.js"), *FOLDER.rglob("*.css")]), ids=lambda path: str(path.relative_to(FOLDER))
)
def test_a_file_opens_with_what_it_is_for_and_is_short(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert lines[0].startswith("/*")
    assert lines[0].endswith(" */")
    assert len(lines) <= 400
