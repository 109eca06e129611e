"""How exact a classifier has to be: the forms that it may answer in, their precision, and what each of them loses."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Precision = Literal["float32", "bfloat16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16", "int8")
"""The most precise first."""
FormName = Literal[
    "plain",
    "folded",
    "traced",
    "onnxruntime",
    "openvino",
    "tf32",
    "bfloat16",
    "openvino-bfloat16",
    "int8",
]
PLAIN: FormName = "plain"
"""The net as its file and its manifest make it, in float32: what all others are compared with."""
LOST_AT_MOST = 0.001
"""A form that is right about fewer images than the plain one, by more than this share, is never chosen by itself."""


class FormScore(BaseModel):
    """What a classifier is worth in one form, on images that training never saw."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    accuracy: float = Field(description="Share of the images that it is right about.")
    agreement: float = Field(description="Share of the images whose likeliest label is that of the plain form.")
    apart: float = Field(
        description="Mean over the images of ½ Σ |p − q|, p and q the probabilities of the plain form and of this one."
    )
    on: str
    how: str
