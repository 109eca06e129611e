"""A series as a body of JSON brings it: lists of numbers, or the arrays that long ones have become."""

import sys
from typing import Annotated, Any

from pydantic import ValidatorFunctionWrapHandler, WithJsonSchema, WrapValidator


def _array_or(value: Any, read_list: ValidatorFunctionWrapHandler) -> Any:
    """An array as it is: that is what a long list of a body has become."""
    numpy = sys.modules.get("numpy")  # who has an array has loaded it
    return value if numpy is not None and isinstance(value, numpy.ndarray) else read_list(value)


Table = Annotated[
    list[Any],
    WrapValidator(_array_or),
    WithJsonSchema(
        {
            "type": "array",
            "minItems": 1,
            "items": {"anyOf": [{"type": "number"}, {"type": "array", "minItems": 1, "items": {"type": "number"}}]},
        }
    ),
]
"""A series: time first, channels second; one channel may be a flat list."""
