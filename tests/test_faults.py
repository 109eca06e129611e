"""The faults that are listed as unnoticed are faults of the code as it stands, and are read as they are meant."""

import ast
import tomllib
from pathlib import Path
from textwrap import dedent

import pytest
from faults import DOCUMENT, ROOT, Fault, differences, documented, fault_of, outcomes

LISTED = documented(DOCUMENT.read_text("utf-8"))
MUTMUT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["mutmut"]
FAULT = Fault("service/files.py", "is_stale", "return age > STALE_S", "return age >= STALE_S")


def functions(path: Path) -> set[str]:
    """The functions and methods of a module, methods behind their class."""
    tree = ast.parse(path.read_text("utf-8"))
    classes = [(f"{node.name}.", node.body) for node in tree.body if isinstance(node, ast.ClassDef)]
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return {
        prefix + node.name for prefix, body in (("", tree.body), *classes) for node in body if isinstance(node, kinds)
    }


@pytest.mark.parametrize("fault", LISTED, ids=lambda fault: fault.function)
def test_what_is_listed_stands_in_the_code_and_has_a_reason(fault: Fault) -> None:
    path = ROOT / fault.path
    assert fault.path in MUTMUT["only_mutate"]
    assert fault.function in functions(path)
    lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    assert fault.before in "\n".join(lines)
    assert fault.before != fault.after
    assert len(LISTED[fault]) > 20


def test_modules_and_tests_that_are_configured_exist() -> None:
    assert documented(DOCUMENT.read_text("utf-8"))
    named = [*MUTMUT["only_mutate"], *(path for path in MUTMUT["pytest_add_cli_args_test_selection"] if "/" in path)]
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_a_document_is_read_as_its_reader_reads_it() -> None:
    text = dedent(
        """
        # Title

        ## `service/files.py`

        The moment
        itself does not matter.

        ```diff
        {0}
        @@ Owner.method @@
        -first
        -second
        +third
        ```

        Another reason.

        ```diff
        @@ show @@
        -gone
        ```
        """
    ).replace("{0}", str(FAULT))
    assert documented(text) == {
        FAULT: "The moment itself does not matter.",
        Fault("service/files.py", "Owner.method", "first\nsecond", "third"): "The moment itself does not matter.",
        Fault("service/files.py", "show", "gone", ""): "Another reason.",
    }


def test_a_fault_is_known_by_what_it_changes_and_not_by_its_number() -> None:
    diff = """# service.files.x_is_stale__mutmut_2: survived
--- service/files.py
+++ service/files.py
@@ -1,3 +1,3 @@
 def is_stale(path: Path) -> bool:
-    return age > STALE_S
+    return age >= STALE_S
"""
    assert fault_of("service.files.x_is_stale__mutmut_2", diff) == FAULT
    assert fault_of("service.files.x_is_stale__mutmut_7", diff) == FAULT
    assert fault_of("service.files.xǁOwnerǁ__len____mutmut_7", diff).function == "Owner.__len__"


def test_what_mutmut_prints_is_read() -> None:
    listing = "    service.files.x_show__mutmut_1: survived\n    service.files.x_show__mutmut_2: no tests\n\n"
    assert outcomes(listing) == {
        "service.files.x_show__mutmut_1": "survived",
        "service.files.x_show__mutmut_2": "no tests",
    }


def test_a_fault_that_is_not_listed_and_one_that_no_longer_survives_are_both_told() -> None:
    assert list(differences({FAULT}, {FAULT})) == []
    [new] = differences({FAULT}, set())
    assert new.startswith("No test notices this fault in service/files.py")
    assert str(FAULT) in new
    [stale] = differences(set(), {FAULT})
    assert "take it out of the list" in stale
