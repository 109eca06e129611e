import io

from rich.console import Console

from service.cli.progress import Meter


def shown(*, terminal: bool, every_s: float) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=80)
    with Meter("work", console=console, every_s=every_s) as meter:
        meter.show_share(0.256)
        meter.show_bytes(1_500_000, 3_000_000)
        meter.show_bytes(2_000)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_plain_lines_where_there_is_no_terminal() -> None:
    assert shown(terminal=False, every_s=0).splitlines() == [
        "work  25 %",
        "work  1.5 MB of 3.0 MB",
        "work  2.0 kB",
    ]


def test_quick_work_says_nothing_where_there_is_no_terminal() -> None:
    assert shown(terminal=False, every_s=60) == ""


def test_a_bar_on_a_terminal() -> None:
    assert "2.0 kB" in shown(terminal=True, every_s=60)
