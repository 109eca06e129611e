import subprocess
import sys
from collections.abc import Mapping

import pytest

from benchmarks.metrics import chosen
from benchmarks.scores.contenders import CONTENDERS, FLOOR, OURS
from benchmarks.scores.goals import GOALS, verdicts
from benchmarks.scores.measured import Measured


def run(score: str, n: int, threads: int, results: Mapping[str, float]) -> Measured:
    parts = {tool: {"seconds": seconds, "megabytes": 10.0} for tool, seconds in results.items()}
    return Measured(score, n, 2048, threads, 3, {}, parts)


def test_every_goal_compares_contenders_of_its_score() -> None:
    for goal in GOALS:
        assert {goal.one, goal.other} <= set(CONTENDERS[goal.score])


def test_the_page_says_of_each_goal_where_it_was_reached_and_where_not() -> None:
    runs = [
        run("fid", 10_000, 1, {OURS: 1.2, FLOOR: 1.0}),
        run("fid", 10_000, 2, {OURS: 1.5, FLOOR: 1.0}),
        run("fid", 1000, 1, {OURS: 0.1, "torch-fidelity": 2.5}),
    ]
    large, small, *others = verdicts(runs)
    assert large.endswith("reached at 10,000 on one thread (1.20 ×); not reached at 10,000 on 2 threads (1.50 ×).\n")
    assert small.endswith(": reached at 1,000 on one thread (25.00 × as fast).\n")
    assert all(line.endswith(": not measured.\n") for line in others)


@pytest.mark.parametrize(
    ("only", "left_out", "expected"),
    [
        ("", "", list(CONTENDERS["wasserstein"])),
        ("POT", "", ["POT"]),
        ("", "chapter", ["POT"]),
        (f"{OURS},POT", "POT", [OURS]),
    ],
)
def test_contenders_are_chosen_by_their_names(only: str, left_out: str, expected: list[str]) -> None:
    assert chosen("wasserstein", only, left_out) == expected


def test_the_program_needs_nothing_that_its_environment_lacks() -> None:
    lacking = "import sys; sys.modules.update(dict.fromkeys(('fastapi', 'httpx', 'orjson', 'typer')))"
    program = [sys.executable, "-c", f"{lacking}; import benchmarks.metrics"]
    found = subprocess.run(program, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
