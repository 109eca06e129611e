from pathlib import Path

import pytest
from forms.classifiers import add_classifier, score, with_forms

from service.exactness import PLAIN, FormName, Precision
from service.forms.choosing import allowed, choose, gain, is_precise_enough
from service.forms.form import Place
from service.forms.registry import possible
from service.settings import Settings
from service.store import Model

HERE = Place("cpu", 1)


def test_only_what_stands_on_the_card_may_serve(tmp_path: Path) -> None:
    model = add_classifier(tmp_path)
    assert allowed(model, HERE, "bfloat16") == []
    assert allowed(with_forms(model, {"folded": score(0.9)}), HERE, "bfloat16") == []
    assert allowed(with_forms(model, {PLAIN: score(0.9), "folded": score(0.9)}), HERE, "bfloat16") == ["folded"]


@pytest.mark.parametrize(("accuracy", "serves"), [(0.91, True), (0.899, True), (0.8989, False)])
def test_a_form_that_loses_more_than_a_tenth_of_a_point_is_never_chosen(
    tmp_path: Path, *, accuracy: float, serves: bool
) -> None:
    model = with_forms(add_classifier(tmp_path), {PLAIN: score(0.9), "folded": score(accuracy)})
    assert ("folded" in allowed(model, HERE, "bfloat16")) is serves


@pytest.mark.parametrize(
    ("manifest", "setting", "serves"),
    [
        ("bfloat16", "bfloat16", True),
        ("bfloat16", "float32", False),
        ("float32", "bfloat16", False),
        ("int8", "bfloat16", True),
    ],
)
def test_manifest_and_setting_each_say_how_precise_at_least(
    tmp_path: Path, *, manifest: Precision, setting: Precision, serves: bool
) -> None:
    if "bfloat16" not in possible(HERE):
        pytest.skip("this processor does not multiply bfloat16")
    model = add_classifier(tmp_path)
    written = (model.folder / "model.toml").read_text("utf-8")
    (model.folder / "model.toml").write_text(f'{written}precision = "{manifest}"\n', "utf-8")
    model = with_forms(Model(model.folder), {PLAIN: score(0.9), "bfloat16": score(0.9)})
    assert ("bfloat16" in allowed(model, HERE, setting)) is serves


def test_int8_serves_only_where_manifest_and_setting_both_say_so(tmp_path: Path) -> None:
    model = add_classifier(tmp_path)
    assert not is_precise_enough("int8", model, "int8"), "a manifest that says nothing allows bfloat16 at the least"
    written = (model.folder / "model.toml").read_text("utf-8")
    (model.folder / "model.toml").write_text(f'{written}precision = "int8"\n', "utf-8")
    model = Model(model.folder)
    assert is_precise_enough("int8", model, "int8")
    assert not is_precise_enough("int8", model, Settings().precision)


def test_the_fastest_is_chosen_where_it_is_worth_it() -> None:
    names: list[FormName] = ["folded", "traced", "onnxruntime"]
    measured = {PLAIN: {1: 1.0, 8: 4.0}, "folded": {1: 0.5, 8: 3.0}, "onnxruntime": {1: 0.25, 8: 2.0}}
    assert choose(measured, names) == "onnxruntime"
    assert choose(measured, ["folded"]) == "folded"
    assert choose({PLAIN: {1: 1.0}, "folded": {1: 0.95}}, names) == PLAIN
    assert choose({PLAIN: {1: 1.0}}, names) == PLAIN
    assert choose({}, names) == PLAIN


def test_forms_are_compared_in_the_sizes_that_both_were_measured_in() -> None:
    assert gain({1: 2.0, 8: 8.0}, {1: 1.0, 8: 1.0, 64: 1.0}) == pytest.approx(4.0)
    assert gain({1: 2.0}, {8: 1.0}) == 0.0
