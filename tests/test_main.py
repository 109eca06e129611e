import subprocess
import sys

import pytest

from service import __version__
from service.__main__ import ROLES, main
from service.processes.lifeline import EXIT_CONFIGURATION


def test_without_a_role_it_is_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"chapterhouse {__version__}\n"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_without_a_parent_is_none(role: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([role])
    assert end.value.code == 2
    assert "--parent-pipe" in capsys.readouterr().err


def test_a_child_whose_parent_is_gone_already_ends_at_once() -> None:
    end = subprocess.run(
        [sys.executable, "-m", "service", "engine", "--parent-pipe", "0"],
        stdin=subprocess.DEVNULL,  # a pipe at its end, as a dead parent leaves it
        check=False,
        capture_output=True,
    )
    assert end.returncode == 1


def test_numpy_is_not_loaded_before_a_front_has_said_which_pages_it_wants() -> None:
    first = "service.__main__, service.addresses, service.environment, service.errors, service.processes.lifeline"
    end = subprocess.run([sys.executable, "-c", f"import sys, {first}; sys.exit('numpy' in sys.modules)"], check=False)
    assert end.returncode == 0


@pytest.mark.slow
def test_a_child_that_can_never_start_says_so_by_its_status() -> None:
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    device = ["--device", "abacus", "--socket", "/nowhere.sock"]
    end = subprocess.run(
        [sys.executable, "-m", "service", "engine", "--parent-pipe", "0", *device],
        stdin=parent.stdout,
        check=False,
        capture_output=True,
        text=True,
    )
    parent.communicate(b"\n")
    assert end.returncode == EXIT_CONFIGURATION
    assert "chapterhouse: There is no device 'abacus'" in end.stderr
    assert "Traceback" not in end.stderr
