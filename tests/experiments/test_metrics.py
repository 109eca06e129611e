"""docs/metrics.md is what the metrics say of themselves."""

import pytest

from experiments.metrics import COMMAND, DOCUMENT, render
from service.metrics.description import describe
from service.metrics.registry import METRICS

PAGE = DOCUMENT.read_text("utf-8")


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_has_a_row_in_the_docs(name: str) -> None:
    assert f"| `{name}`: " in PAGE, f"docs/metrics.md has no row of {name}; `{COMMAND}` writes it"


def test_the_page_is_what_the_metrics_say() -> None:
    assert render([describe(name) for name in METRICS]) == PAGE, f"`{COMMAND}` puts docs/metrics.md right"


def test_every_option_and_every_part_stands_there() -> None:
    for name in METRICS:
        metric = describe(name)
        named = [option.name for option in metric.options] + [*metric.parts, *metric.words]
        assert all(f"| `{name}.{word}` | " in PAGE for word in named)


def test_no_cell_breaks_its_table() -> None:
    columns = {line.count(" | ") for line in PAGE.splitlines() if line.startswith("| ")}
    assert columns == {5, 3, 2}
