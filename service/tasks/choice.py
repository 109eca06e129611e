"""What was chosen for a history that a readout was fitted to: in numbers, as the engine sends it, and in words."""

import math
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


class Choice(NamedTuple):
    """Chosen by free runs through what was held out; the season was found or given."""

    lag: int = 0
    """What is forecast are changes from so many steps before: 0 for the values themselves."""
    logarithm: bool = False
    """Whether it is logarithms that are forecast."""
    penalty: float = math.inf
    """Of the readout's regression; infinite where the mean is better than any readout."""
    season: int = 1
    """In steps; 1 for none."""

    @classmethod
    def read(cls, numbers: Values) -> Self:
        """Four numbers."""
        lag, logarithm, penalty, season = numbers.tolist()
        return cls(int(lag), bool(logarithm), penalty, int(season))

    def words(self) -> dict[str, Any]:
        """As the reply says it."""
        return {
            "difference": "none" if not self.lag else "first" if self.lag == 1 else "seasonal",
            "logarithm": self.logarithm,
            "season": self.season if self.season > 1 else None,
            "penalty": self.penalty if math.isfinite(self.penalty) else None,
        }

    def off(self, errors: Values, truth: Values) -> Values:
        """Errors as measured, (starts, leads, channels), in units of the data."""
        return truth * np.expm1(errors) if self.logarithm else errors

    def ends(self, values: Values, half: Values) -> tuple[Values, Values]:
        """Both ends of the interval around a forecast, (H, channels); of logarithms it is wider above than below."""
        with np.errstate(over="ignore", under="ignore"):
            return (values / np.exp(half), values * np.exp(half)) if self.logarithm else (values - half, values + half)
