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
