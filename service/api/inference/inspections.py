"""What `/explain` is asked: by its query, or beside the image by members of JSON and fields of a form."""

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Self

from fastapi import Query
from pydantic import BaseModel, ConfigDict, ValidationError

from service.api.models import Version
from service.api.problems import validation_problem
from service.errors import InvalidRequest
from service.operations.explain import LARGEST
from service.tasks.methods import Method

Classifier = Annotated[
    str | None, Query(description="A classifier; the default one unless given.", examples=["lenet5-mnist"])
]
Asking = Annotated[Method, Query(description="What is asked.", examples=["occlusion"])]
Layer = Annotated[
    str | None,
    Query(
        description="As `GET /models/{id}` names it; of filters the first, of activations the last with maps of 8 "
        "pixels a side, else the last with maps.",
        examples=["C3"],
    ),
]
Unit = Annotated[
    int | None, Query(ge=0, le=LARGEST, description="One map of the layer; the strongest, or all.", examples=[0])
]
Label = Annotated[
    int | None, Query(ge=0, le=LARGEST, description="A label's index; the likeliest unless given.", examples=[7])
]
Square = Annotated[
    int | None,
    Query(
        ge=1,
        le=LARGEST,
        description="Side in pixels of what occludes; a third of the image's unless given.",
        examples=[9],
    ),
]
AsIs = Annotated[
    bool,
    Query(description="Take the image as it is, not as the model's training images were drawn.", examples=[False]),
]


class Asked(BaseModel):
    """What is asked of one image."""

    model_config = ConfigDict(frozen=True)

    model: Classifier = None
    version: Version = None
    method: Asking = "saliency"
    layer: Layer = None
    unit: Unit = None
    label: Label = None
    square: Square = None
    as_is: AsIs = False

    def beside(self, fields: Mapping[str, str], query: Collection[str]) -> Self:
        """The same with what the body says. Raises InvalidRequest, also for what the query says as well."""
        for name in fields.keys() & set(query):
            raise InvalidRequest.of_field(name, "is given twice")
        try:
            return type(self).model_validate({**self.model_dump(), **fields})
        except ValidationError as error:
            raise validation_problem([dict(found) for found in error.errors()]) from error


def _plain(described: Mapping[str, Any]) -> dict[str, Any]:
    """A schema of a member that may be left out, and is not null where it is given."""
    kind = {**described, **next(iter(described.get("anyOf", ())), {})}
    return {name: kind[name] for name in ("type", "enum", "minimum", "maximum", "description") if name in kind}


OPTIONS: Mapping[str, Any] = {
    name: _plain(described) for name, described in Asked.model_json_schema()["properties"].items()
}
"""What may stand beside the image, as the document has it."""
