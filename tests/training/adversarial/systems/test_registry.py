import pytest

from service.training.adversarial.systems.registry import SYSTEMS, build_system


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_is_built_from_its_name_and_nothing_else(name: str) -> None:
    assert isinstance(build_system(name, {}), SYSTEMS[name])
    with pytest.raises(ValueError, match="no_such_option"):
        build_system(name, {"no_such_option": 1})


def test_an_unknown_system_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'vae'; there are .*wgan"):
        build_system("vae", {})


def test_options_that_are_left_out_are_those_of_the_papers() -> None:
    assert {name: build_system(name, {}).model_dump() for name in SYSTEMS} == {
        "dragan": {"form": "non-saturating", "penalty": 10, "slope": 1, "spread": 0.5},
        "ebgan": {"margin": 10, "pull_away": 0.1},
        "gan": {"form": "non-saturating"},
        "madgan": {},
        "minibatch": {"form": "non-saturating", "matching": False},
        "pacgan": {"form": "non-saturating", "packed": 2},
        "unrolled": {"form": "non-saturating", "steps": 5},
        "wgan": {"clip": 0.01},
        "wgan-gp": {"penalty": 10},
    }
