"""What a classifier's card says of its probabilities: the temperature, what it changes, and what is strange to it."""

from functools import cached_property
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Method = Literal["distance", "energy"]
METHODS: tuple[Method, ...] = ("distance", "energy")
FittedOn = Literal["twin", "test-halves"]
Table = tuple[tuple[float, ...], ...]


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Change(_Kept):
    """A number of the test set by the net's own probabilities, and by those at the temperature."""

    before: float
    after: float


class Strangeness(_Kept):
    """A number that is larger the less an image is like those of the model's dataset, from the logits z alone.

    * energy: E = −T log Σ exp(z / T) (Liu et al. 2020, arXiv 2010.03759)
    * distance: √ minₖ (z − mₖ)ᵀ P (z − mₖ), to the nearest class, with the means m of the classes among test images
      and the inverse P of the covariance around them (Lee et al. 2018, arXiv 1807.03888, on the logits)
    """

    method: Method = Field(description="Which of the two: that with the larger mean of its AUROCs.")
    limit: float = Field(description="What few of the test images exceed.")
    share: float = Field(gt=0, lt=1, description="How few: the share of the test images beyond the limit.")
    auroc: dict[Method, dict[str, float]] = Field(
        description="By method and by what was shown: the chance that it is stranger than a test image."
    )
    beyond: float | None = Field(
        None, description="The share that was beyond it of test images which the limit was not taken from."
    )
    how: str = Field("", description="On what it was learned, and on what it was measured; empty in older cards.")
    means: Table = Field((), description="m, (classes, classes): a row a class.")
    precision: Table = Field((), description="P, (classes, classes).")

    @cached_property
    def form(self) -> "tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]":
        """P, −2 P m and mᵀ P m of the squared distance zᵀ P z − 2 zᵀ P m + mᵀ P m, made once."""
        import numpy as np  # whoever only lists the store needs none

        precision, means = np.array(self.precision), np.array(self.means)
        return precision, -2.0 * precision @ means.T, np.einsum("ki,ij,kj->k", means, precision, means)

    @cached_property
    def rows(self) -> "tuple[NDArray[np.float64], list[float]]":
        """R with Rᵀ R = P, and below it (−2 P m)ᵀ, by which z is multiplied once; and mᵀ P m. Made once."""
        import numpy as np

        precision, linear, constant = self.form
        powers, directions = np.linalg.eigh(precision)
        root = np.sqrt(np.maximum(powers, 0.0))[:, None] * directions.T
        return np.ascontiguousarray(np.concatenate([root, linear.T])), constant.tolist()


class Calibration(_Kept):
    """What turns a classifier's logits into probabilities that can be believed (Guo et al. 2017, arXiv 1706.04599)."""

    temperature: float = Field(gt=0, description="What logits are divided by.")
    fitted_on: FittedOn = Field(
        "twin",
        description="`twin`: on training images that a twin has not seen. `test-halves`: on the test images, and what"
        " follows is measured on each half at the temperature of the other.",
    )
    how: str = Field(description="How the temperature was found.")
    ece: Change = Field(description="Expected calibration error on the test set, in 15 bins of equal width.")
    nll: Change = Field(description="Mean negative log-likelihood of the test set's labels, in nats.")
    strangeness: Strangeness
