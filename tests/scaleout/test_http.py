"""The tests of the HTTP interface, once more through Ray's proxy: all that look at a front from outside."""

from importlib import import_module
from types import CodeType, FunctionType

import pytest

AGAIN = (
    "documents.documentation",
    "documents.page",
    "evaluations.answers",
    "evaluations.evaluate",
    "inference.classify",
    "inference.explain",
    "inference.forecast",
    "inference.generate",
    "inference.images",
    "models",
    "problems",
    "routes",
    "v2.infer",
    "v2.malformed",
    "v2.models",
)
"""Files of tests/api; two of them may have a test of the same name."""

INSIDE = {"Echo", "FakeEngine", "Slow", "Unanswering", "worked_on"}
"""What tests look at, or let go, in their own process, where the engines are not."""

pytestmark = pytest.mark.ray


def names_in(code: CodeType) -> set[str]:
    """What a function and those inside it speak of."""
    inner = [names_in(part) for part in code.co_consts if isinstance(part, CodeType)]
    return set(code.co_names).union(*inner)


for place in AGAIN:
    folder, _, file = place.rpartition(".")
    for name, test in vars(import_module(".".join(filter(None, ("api", folder, f"test_{file}"))))).items():
        if name.startswith("test_") and isinstance(test, FunctionType) and not INSIDE & names_in(test.__code__):
            globals()[f"{name}__{place.replace('.', '_')}"] = test
