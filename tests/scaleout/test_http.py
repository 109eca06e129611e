"""The tests of the HTTP interface, once more through Ray's proxy: all that look at a front from outside."""

from importlib import import_module

import pytest

AGAIN = (
    "answers",
    "classify",
    "documentation",
    "evaluate",
    "explain",
    "forecast",
    "generate",
    "images",
    "models",
    "page",
    "problems",
    "routes",
    "v2.infer",
    "v2.malformed",
    "v2.models",
)
"""Files of tests/api; two of them may have a test of the same name."""

pytestmark = pytest.mark.ray

for place in AGAIN:
    folder, _, file = place.rpartition(".")
    for name, test in vars(import_module(".".join(filter(None, ("api", folder, f"test_{file}"))))).items():
        if name.startswith("test_") and callable(test):
            globals()[f"{name}__{place.replace('.', '_')}"] = test
