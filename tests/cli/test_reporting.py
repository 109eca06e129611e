from typing import NoReturn

import pytest
import typer

from service.cli.reporting import fail_clearly, print_table
from service.errors import ConfigurationError, InvalidRequest, Overloaded


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (ConfigurationError("The port is taken."), 2, "chapterhouse: The port is taken.\n"),
        (InvalidRequest("count: too many"), 2, "chapterhouse: count: too many\n"),
        (
            InvalidRequest("Not valid.", errors=[{"field": "mmd.sigma", "message": "too small"}]),
            2,
            "chapterhouse: Not valid. mmd.sigma: too small\n",
        ),
        (
            InvalidRequest("count: too many", errors=[{"field": "count", "message": "too many"}]),
            2,
            "chapterhouse: count: too many\n",
        ),
        (Overloaded(), 2, "chapterhouse: Too many requests are waiting\n"),
        (FileNotFoundError(2, "No such file", "a.zip"), 2, "chapterhouse: a.zip: No such file\n"),
        (OSError("odd"), 2, "chapterhouse: odd\n"),
        (KeyError("x"), 2, "chapterhouse: this should not have happened: KeyError: 'x'\n"),
        (KeyboardInterrupt(), 130, ""),
        (typer.Exit(7), 7, ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_an_error_is_one_sentence_and_a_status_that_is_never_the_red_verdicts(
    error: BaseException, status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @fail_clearly
    def command() -> NoReturn:
        raise error

    with pytest.raises(typer.Exit) as ended:
        command()
    assert ended.value.exit_code == status
    assert capsys.readouterr().err == words


def test_what_a_command_returns_passes() -> None:
    assert fail_clearly(lambda: 3)() == 3


def test_a_wide_table_is_not_cut_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", ">count"), [("x" * 100, "1"), ("[bold]", "20")])
    shown = capsys.readouterr().out
    assert "x" * 100 in shown
    assert "[bold]" in shown
