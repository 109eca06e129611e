"""The tables of docs/models.md are what the cards say, in both languages."""

import pytest

from experiments import chinese
from experiments.families.words import CHINESE, ENGLISH, LANGUAGES, Language
from experiments.scores import REPORTED, page_of, row, tables, written
from service.settings import Settings
from service.store import Card, Score

CARD = Card(
    sha256="0" * 64,
    size_bytes=1,
    parameters=1,
    macs=1,
    layers=(),
    seed=0,
    versions={},
    hardware="a processor, 1 thread",
    seconds=1626.0,
    recipe={"form": "reduced", "epochs": 14},
    scores={"accuracy": Score(value=0.8176, on="cifar-10 test", how="8,176 of 10,000 images")},
)


@pytest.mark.parametrize("language", LANGUAGES, ids=["en", "zh"])
def test_the_page_says_what_the_cards_say(language: Language) -> None:
    page = page_of(language).read_text("utf-8")
    assert written(page, language) == page, "`python -m experiments.scores --write` puts it right"


def test_a_row_says_what_made_the_weights_and_what_others_reached() -> None:
    made = "the reduced recipe, 14 epochs, 27 min on a processor, 1 thread"
    published = "91.19 % (Lin et al. 2014, table 1)"
    assert row("nin-cifar10", CARD) == ("`nin-cifar10`", "81.76 %", made, published, "91.2 %")
    assert row("another", CARD)[-2:] == ("–", "–")
    in_chinese = ("缩减方案，14 轮，27 分钟，a processor, 1 线程", "91.19 %（Lin 等 2014，表 1）", "91.2 %")
    assert row("nin-cifar10", CARD, CHINESE)[2:] == in_chinese


def test_tables_are_put_in_the_place_of_those_that_were_there() -> None:
    models, scores = tables(ENGLISH)
    page = f"before\n\n{models.head}\n|---|\n| `old` |\n\nbetween\n\n{scores.head}\n|---|\n\nafter\n"
    assert written(page, ENGLISH) == f"before\n\n{models}\nbetween\n\n{scores}\nafter\n"
    with pytest.raises(ValueError, match="no table"):
        written("nothing", ENGLISH)


def test_only_models_that_there_are_are_reported_on() -> None:
    for model_id in (*REPORTED, *chinese.SUMMARIES):
        assert (Settings().shipped_models_dir / model_id / "model.toml").is_file(), model_id
    assert {each.published for each in REPORTED.values()} - {""} == set(chinese.REPORTED)
