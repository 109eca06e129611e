"""What the scores were to reach beside other tools and the matrix library, and whether a run of all reached it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.scores.contenders import FLOOR, OURS
from benchmarks.scores.measured import Measured


@dataclass(frozen=True, slots=True)
class Goal:
    """One contender takes at most so many times what another takes."""

    words: str
    score: str
    other: str
    at_most: float
    one: str = OURS
    unit: str = "seconds"
    few: bool | None = None
    """Of no more samples than dimensions, of more, or of any number."""

    def found(self, runs: Sequence[Measured]) -> list[tuple[Measured, float]]:
        """How many times the other's one takes, in every run that has both."""
        of_score = [run for run in runs if run.score == self.score and self.few in (None, run.n <= run.d)]
        both = [run for run in of_score if self.one in run.results and self.other in run.results]
        return [(run, run.results[self.one][self.unit] / run.results[self.other][self.unit]) for run in both]


SUBSETS = f"{OURS} in 100 subsets"
GOALS = (
    Goal(
        "FID of more samples than dimensions takes at most 1.3 times its products alone", "fid", FLOOR, 1.3, few=False
    ),
    Goal("FID of fewer samples is 20 times as fast as torch-fidelity", "fid", "torch-fidelity", 1 / 20, few=True),
    Goal("KID of whole sets takes at most 1.3 times its products alone", "kid", FLOOR, 1.3, few=False),
    Goal(
        "KID of whole sets takes at most 1.3 times its products alone, which are in double precision, of fewer samples",
        "kid",
        f"{FLOOR} in double precision",
        1.3,
        few=True,
    ),
    Goal("KID of whole sets takes no longer than torch-fidelity's subsets", "kid", "torch-fidelity in 100 subsets", 1),
    Goal(
        "KID of subsets takes no longer than torch-fidelity's", "kid", "torch-fidelity in 100 subsets", 1, one=SUBSETS
    ),
    Goal("Precision, recall, density and coverage are three times as fast as prdc", "prdc", "prdc", 1 / 3),
    Goal("They take a tenth of its memory", "prdc", "prdc", 0.1, unit="megabytes"),
    Goal("1-NN is three times as fast as scikit-learn", "one_nn", "scikit-learn", 1 / 3),
    Goal("1-NN takes a tenth of its memory", "one_nn", "scikit-learn", 0.1, unit="megabytes"),
)


def verdicts(runs: Sequence[Measured]) -> Iterator[str]:
    """A line for each goal: where it was reached and where not, with what was found."""
    for goal in GOALS:
        found = goal.found(runs)
        parts = [
            f"{word} at {_places(goal, some)}"
            for word, some in (
                ("reached", [one for one in found if one[1] <= goal.at_most]),
                ("not reached", [one for one in found if one[1] > goal.at_most]),
            )
            if some
        ]
        yield f"- {goal.words}: {'; '.join(parts) or 'not measured'}.\n"


def _places(goal: Goal, found: Sequence[tuple[Measured, float]]) -> str:
    return ", ".join(f"{run.n:,} on {_threads(run)} ({_ratio(goal, times)})" for run, times in found)


def _threads(run: Measured) -> str:
    return "one thread" if run.threads == 1 else f"{run.threads} threads"


def _ratio(goal: Goal, times: float) -> str:
    """In the words of the goal: how many times as long, or as fast."""
    if goal.unit == "megabytes" or goal.at_most >= 1:
        return f"{times:.2f} ×"
    return f"{1 / times:.2f} × as fast"
