import io

from rich.console import Console

from service.training.progress import Progress


def test_away_from_a_terminal_progress_is_plain_lines() -> None:
    stream = io.StringIO()
    with Progress("lenet5-mnist", console=Console(file=stream), every_s=0) as progress:
        progress.report(1, 2, loss=0.25)
        progress.say("half way")
        progress.report(2, 2, loss=0.125)
    assert stream.getvalue().splitlines() == [
        "lenet5-mnist  1/2  loss 0.25",
        "lenet5-mnist  half way",
        "lenet5-mnist  2/2  loss 0.125",
    ]


def test_lines_come_at_intervals_and_at_the_end() -> None:
    stream = io.StringIO()
    with Progress("lenet5-mnist", console=Console(file=stream), every_s=3600) as progress:
        for step in range(1, 101):
            progress.report(step, 100)
    assert stream.getvalue().splitlines() == ["lenet5-mnist  1/100", "lenet5-mnist  100/100"]


def test_on_a_terminal_progress_is_a_bar() -> None:
    stream = io.StringIO()
    with Progress("lenet5-mnist", console=Console(file=stream, force_terminal=True, width=120)) as progress:
        progress.report(50, 100, loss=0.25)
    assert "50/100" in stream.getvalue()
    assert "━" in stream.getvalue()
