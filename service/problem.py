"""The shape of every error over HTTP: problem details (RFC 9457)."""

from typing import Annotated, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12


class FieldProblem(TypedDict):
    """What is wrong with one field, parameter or condition."""

    field: str
    message: str


@with_config(ConfigDict(extra="allow"))
class Problem(TypedDict):
    """What every error answers: problem details (RFC 9457)."""

    type: str
    title: Annotated[str, Field(description="The kind of error.")]
    status: Annotated[int, Field(description="The HTTP status.")]
    detail: Annotated[str, Field(description="What happened this time.")]
    errors: NotRequired[Annotated[list[FieldProblem], Field(description="Each field that is wrong.")]]
    retry_after_s: NotRequired[
        Annotated[float, Field(description="Seconds after which to ask again; `Retry-After` is rounded up.")]
    ]
