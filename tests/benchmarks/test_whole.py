import math
from typing import Any

import pytest

from benchmarks.whole import best_of


@pytest.mark.parametrize(("until", "rounds"), [(-math.inf, 1), (math.inf, 3)])
def test_the_first_round_is_whole_and_later_ones_end_with_the_time(until: float, rounds: int) -> None:
    asked: list[str] = []

    def measurement(name: str) -> dict[str, Any]:
        asked.append(name)
        return {"seconds": 10.0 - len(asked), "processor_s": float(len(asked))}

    turns = {name: lambda name=name: measurement(name) for name in ("alone", "zip")}
    best = best_of(turns, 3, until=until)
    assert asked == ["alone", "zip"] * rounds
    assert best["alone"] == {"seconds": 10.0 - (2 * rounds - 1), "processor_s": 1.0}
