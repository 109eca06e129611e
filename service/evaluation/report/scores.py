"""The value of each metric by its own name: `report.fid`."""

from typing import TYPE_CHECKING


class Scores:
    """The values that a report's metrics have, as attributes; there is none where a metric was not measured."""

    if TYPE_CHECKING:  # a metric that is not named here is there all the same
        fid: float
        fid_infinity: float
        inception_score: float
        mode_score: float
        mmd: float
        kid: float
        wasserstein: float
        sliced_wasserstein: float
        one_nn: float
        precision: float
        recall: float
        density: float
        coverage: float
        memorisation: float
    else:

        def __getattr__(self, name: str) -> object:
            """A metric's value; else what pydantic keeps under this name, if it does."""
            metrics = vars(self).get("metrics", {})
            if name in metrics:
                return metrics[name].value
            try:
                return super().__getattr__(name)
            except AttributeError:
                measured = ", ".join(metrics) or "nothing"
                raise AttributeError(
                    f"A report has no {name!r} unless it is measured; measured was {measured}."
                ) from None
