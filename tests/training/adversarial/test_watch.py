import math

import pytest

from service.errors import TrainingFailed
from service.training.adversarial.watch import Watch, Watched

WELL = {"discriminator_loss": 1.0, "generator_gradient": 2.0, "modes": 9.0, "all_modes": 10.0, "spread": 0.9}


def watch(*, labelled: bool = True, **watched: object) -> Watch:
    return Watch(Watched.model_validate(watched), iterations=1000, labelled=labelled)


def test_a_training_that_goes_well_is_not_commented_on() -> None:
    watching = watch()
    assert [watching.look({"step": step, **WELL}) for step in (50, 500, 1000)] == [[], [], []]
    assert watching.noticed == []


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"modes": 5.0}, "5 of 10 modes are covered"),
        ({"spread": 0.3}, "samples spread 0.30 times as far as the data"),
        ({"discriminator_loss": 1e-5}, "the discriminator is sure, its loss 1e-05"),
        ({"generator_gradient": 5000.0}, "the norm of the generator gradient is 5e+03"),
    ],
    ids=["modes", "spread", "sure", "steep"],
)
def test_what_goes_wrong_is_said_once_until_it_goes_wrong_again(row: dict[str, float], words: str) -> None:
    watching = watch(stop=[])
    steps = [watching.look({"step": step, **WELL, **more}) for step, more in enumerate([row, row, {}, row], start=500)]
    assert steps == [[f"iteration 500: {words}"], [], [], [f"iteration 503: {words}"]]
    assert watching.noticed == [f"iteration 500: {words}", f"iteration 503: {words}"]


def test_what_is_measured_now_and_then_is_not_said_anew_between() -> None:
    watching, between = watch(), {"step": 550, "discriminator_loss": 1.0}
    assert len(watching.look({"step": 500, **WELL, "modes": 2.0})) == 1
    assert watching.look(between) == []
    assert watching.look({"step": 600, **WELL, "modes": 2.0}) == []
    assert len(watching.noticed) == 1


def test_a_young_generator_may_be_poor() -> None:
    watching = watch(grace=0.1)
    assert watching.look({"step": 100, **WELL, "modes": 1.0}) == []
    assert len(watching.look({"step": 101, **WELL, "modes": 1.0})) == 1


def test_a_critic_without_labels_may_have_any_loss() -> None:
    assert watch(labelled=False).look({"step": 500, **WELL, "discriminator_loss": -7.0}) == []


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_divergence_ends_the_training_at_once(value: float) -> None:
    watching = watch()
    with pytest.raises(TrainingFailed, match=r"stopped: divergence at iteration 1: generator loss is (nan|inf)\."):
        watching.look({"step": 1, "generator_loss": value})
    assert len(watching.noticed) == 1


def test_collapse_ends_it_where_the_recipe_says_so() -> None:
    with pytest.raises(TrainingFailed, match="stopped: collapse at iteration 500: 2 of 10 modes"):
        watch(stop=["collapse"]).look({"step": 500, **WELL, "modes": 2.0})


def test_a_resumed_watch_remembers_what_it_said() -> None:
    first, second = watch(), watch()
    first.look({"step": 500, **WELL, "modes": 2.0})
    second.load_state_dict(first.state_dict())
    assert second.look({"step": 550, **WELL, "modes": 2.0}) == []
    assert second.noticed == first.noticed
