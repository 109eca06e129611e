"""The words in which a reply says how a history was forecast, and how well earlier points of it were."""

from typing import Literal

from pydantic import BaseModel, Field


class ForecastChoice(BaseModel):
    """What was chosen for a history by forecasts of its own last quarter that were held to what came."""

    difference: Literal["none", "first", "seasonal"] = Field(
        description="What is forecast: the values, their changes from step to step, or from season to season."
    )
    logarithm: bool = Field(description="Whether it is logarithms; the interval is then wider above than below.")
    season: int | None = Field(description="Steps after which the history comes again, found or given; null for none.")
    penalty: float | None = Field(
        description="Of the ridge regression, for each step; null where the mean was better than any readout: then"
        " the forecast is the mean, a line, or the season before and a step up or down."
    )


class HeldOut(BaseModel):
    """How far off earlier forecasts of the same history were: mean absolute errors, of each channel.

    From points that the readouts had not seen, the same for the model as for naive forecasts.
    """

    model: list[float | None]
    last_value: list[float | None]
    drift: list[float | None] = Field(description="Of a line from the first through the last value.")
    seasonal_naive: list[float | None] | None = Field(description="Of the season before; null without a season.")
