from pathlib import Path

from forms.classifiers import add_classifier

from service.exactness import PLAIN
from service.forms.form import Place
from service.forms.memory import DEATHS, Memory, Shelf, Tried

HERE = Place("cpu", 1)


def test_what_was_measured_is_remembered_for_this_machine_these_packages_and_these_weights(tmp_path: Path) -> None:
    model, shelf = add_classifier(tmp_path), Shelf(tmp_path / "forms")
    memory = shelf.read(model, HERE).ended("folded", Tried(seconds={1: 0.5}))
    shelf.write(memory)
    assert shelf.read(model, HERE) == memory
    assert shelf.read(model, Place("cpu", 2)).forms == {}
    for other in ({"machine": "another"}, {"packages": {"torch": "0"}}, {"sha256": "0"}):
        assert memory.model_copy(update=other).name != memory.name


def test_half_a_file_is_as_if_nothing_were_remembered(tmp_path: Path) -> None:
    model, shelf = add_classifier(tmp_path), Shelf(tmp_path / "forms")
    memory = Memory.of(model, HERE)
    shelf.write(memory)
    (tmp_path / "forms" / memory.name).write_text("{")
    assert shelf.read(model, HERE) == memory


def test_what_processes_died_of_is_not_tried_again(tmp_path: Path) -> None:
    memory = Memory.of(add_classifier(tmp_path), HERE)
    for _ in range(DEATHS - 1):
        memory = memory.begun("traced")
    assert memory.without_deadly().lacks([PLAIN, "traced"]) == [PLAIN, "traced"]
    memory = memory.begun("traced").without_deadly()
    assert "died" in memory.forms["traced"].refused
    assert memory.trying == ()


def test_one_process_at_a_time_measures(tmp_path: Path) -> None:
    memory, shelf = Memory.of(add_classifier(tmp_path), HERE), Shelf(tmp_path / "forms")
    with shelf.held(memory) as first, shelf.held(memory) as second:
        assert (first, second) == (True, False)
    with shelf.held(memory) as third:
        assert third
