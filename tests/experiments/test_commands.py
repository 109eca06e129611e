"""docs/commands.md says in full what the commands themselves say."""

from experiments.commands import COMMAND, DOCUMENT, commands, in_full
from experiments.in_full import written


def test_the_page_says_what_the_commands_say() -> None:
    page = DOCUMENT.read_text("utf-8")
    is_up_to_date = written(page, in_full()) == page
    assert is_up_to_date, f"`{COMMAND}` puts it right"


def test_every_option_says_what_it_is() -> None:
    for words, command in commands():
        for parameter in command.params:
            assert parameter.help, f"{words}: {parameter.name} has no help"
