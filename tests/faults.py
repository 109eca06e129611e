"""`make mutants`: faults put into the code one at a time, and those that no test notices held to docs/mutants.md.

mutmut makes the faults and runs the tests of the modules that pyproject.toml names. What survives must stand in the
document with its reason, and what stands there must survive: either difference is printed, and the answer is 1.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "mutants.md"
WORKSHOP = ROOT / "mutants"
MUTMUT = Path(sys.executable).with_name("mutmut")
NOTICED = ("killed", "timeout", "caught by type check")
UNNOTICED = ("survived", "no tests")
_NAME = re.compile(r"^(?P<module>.+)\.(?:x_|xǁ(?P<owner>\w+)ǁ)(?P<function>\w+)__mutmut_\d+$")
_FENCE = re.compile(r"^```diff\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HUNK = re.compile(r"^@@ (\S+) @@\n((?:-.*\n)*)((?:\+.*\n)*)", re.MULTILINE)


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One change of one function: its lines as they stand and as the fault has them, without their indentation."""

    path: str
    function: str
    before: str
    after: str

    def __str__(self) -> str:
        lines = [f"-{line}" for line in self.before.splitlines()] + [f"+{line}" for line in self.after.splitlines()]
        return "\n".join([f"@@ {self.function} @@", *lines])


def documented(text: str) -> dict[Fault, str]:
    """The faults of a document, each with the sentence that stands before its lines."""
    faults: dict[Fault, str] = {}
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, rest = section.partition("\n")
        begin = 0
        for fence in _FENCE.finditer(rest):
            reason = " ".join(rest[begin : fence.start()].split())
            begin = fence.end()
            for function, before, after in _HUNK.findall(fence[1]):
                faults[Fault(title.strip("` "), function, _bare(before), _bare(after))] = reason
    return faults


def survivors(names: Sequence[str]) -> set[Fault]:
    """The faults of these names, as mutmut shows them."""
    return {fault_of(name, _mutmut("show", name)) for name in names}


def fault_of(name: str, diff: str) -> Fault:
    """The fault that mutmut calls by this name, and shows with this unified diff."""
    found = _NAME.match(name)
    assert found is not None, name
    function = ".".join(filter(None, (found["owner"], found["function"])))
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    before, after = ("\n".join(line for line in lines if line.startswith(sign)) for sign in "-+")
    return Fault(f"{found['module'].replace('.', '/')}.py", function, _bare(before), _bare(after))


def outcomes(listing: str) -> dict[str, str]:
    """What `mutmut results` says of each fault."""
    return dict(line.strip().split(": ", 1) for line in listing.splitlines() if "__mutmut_" in line)


def differences(found: set[Fault], listed: set[Fault]) -> Iterator[str]:
    """What has to be done so that the document is true again."""
    for fault in sorted(found - listed):
        yield f"No test notices this fault in {fault.path}; write one, or list it with its reason:\n{fault}\n"
    for fault in sorted(listed - found):
        yield f"This fault in {fault.path} is noticed or cannot be made any more; take it out of the list:\n{fault}\n"


def main() -> int:
    """Run mutmut over everything, or over some modules, and compare."""
    parser = argparse.ArgumentParser(description="Put faults into the code and see that the tests notice.")
    parser.add_argument(
        "paths", nargs="*", help="Modules such as service/files.py; all that are configured unless named."
    )
    parser.add_argument("--go-on", action="store_true", help="Keep what an earlier, interrupted run has found.")
    options = parser.parse_args()
    if not options.go_on:
        shutil.rmtree(WORKSHOP, ignore_errors=True)
    WORKSHOP.mkdir(exist_ok=True)  # before an interpreter looks for modules there, and never again if there is nothing
    names = [path.removesuffix(".py").replace("/", ".") + ".*" for path in options.paths]
    # The copy under test comes before an installed one.
    environment = {**os.environ, "PYTHONPATH": str(WORKSHOP)}
    subprocess.run([MUTMUT, "run", "--max-children", "1", *names], cwd=ROOT, env=environment, check=True)
    found = {name: outcome for name, outcome in outcomes(_mutmut("results")).items() if outcome not in NOTICED}
    unclear = [f"{name}: {outcome}" for name, outcome in found.items() if outcome not in UNNOTICED]
    if unclear and not names:
        print("\n".join(unclear))
        return 1
    unnoticed = survivors([name for name, outcome in found.items() if outcome in UNNOTICED])
    listed = {
        fault for fault in documented(DOCUMENT.read_text("utf-8")) if fault.path in (options.paths or {fault.path})
    }
    wrong = list(differences(unnoticed, listed))
    print("\n".join(wrong) or f"Every fault is noticed but the {len(listed)} that {DOCUMENT.name} gives a reason for.")
    return 1 if wrong else 0


def _mutmut(*arguments: str) -> str:
    return subprocess.run([MUTMUT, *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def _bare(lines: str) -> str:
    return "\n".join(line[1:].strip() for line in lines.splitlines())


if __name__ == "__main__":
    sys.exit(main())
