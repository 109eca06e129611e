"""Reads the Dockerfile, and says its steps as a shell script for machines without a Docker engine."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

PLACES = (
    "/build",
    "/requirements",
    "/wheels",
    "/opt/chapterhouse",
    "/var/lib/chapterhouse",
    "/var/cache/chapterhouse",
    "/etc/prometheus",
    "/prometheus",
)
"""The directories of the containers that lie under one scratch directory natively."""
_PLACE = re.compile(rf"(?<![\w./~-])(?:{'|'.join(PLACES)})(?![\w-])")


@dataclass(frozen=True)
class Instruction:
    """One instruction: `HEALTHCHECK --timeout=5s CMD …` has the flag `timeout` and the text `CMD …`."""

    keyword: str
    flags: Mapping[str, str]
    text: str

    @property
    def words(self) -> list[str]:
        """The words of the exec form, or those that a shell would see."""
        listed: list[str] = json.loads(self.text) if self.text.startswith("[") else shlex.split(self.text)
        return listed


@dataclass(frozen=True)
class Stage:
    """What stands between one FROM and the next."""

    name: str
    parent: str
    instructions: tuple[Instruction, ...]

    def all(self, keyword: str) -> list[Instruction]:
        """The instructions with this keyword, in order."""
        return [instruction for instruction in self.instructions if instruction.keyword == keyword]

    def last(self, keyword: str) -> Instruction:
        """The one that counts where several would. Raises LookupError where there is none."""
        found = self.all(keyword)
        if not found:
            raise LookupError(f"The stage {self.name} has no {keyword}.")
        return found[-1]


@dataclass(frozen=True)
class Dockerfile:
    """The stages by name, the last of them the image, and the build arguments chosen or defaulted."""

    arguments: Mapping[str, str]
    stages: Mapping[str, Stage]

    @property
    def image(self) -> Stage:
        """The stage that becomes the image."""
        return list(self.stages.values())[-1]

    def lineage(self, stage: Stage) -> list[Stage]:
        """The stages whose settings hold in this one, eldest first, itself last."""
        parent = self.stages.get(stage.parent)
        return [*(self.lineage(parent) if parent else []), stage]

    def needed(self) -> list[Stage]:
        """The stages that the image is made of, as the chosen arguments have it, each after what it needs."""
        order: dict[str, Stage] = {}

        def visit(stage: Stage) -> None:
            sources = [stage.parent, *(copy.flags.get("from", "") for copy in stage.all("COPY"))]
            for source in sources:
                if source in self.stages:
                    visit(self.stages[source])
            order.setdefault(stage.name, stage)

        visit(self.image)
        return list(order.values())


def read_dockerfile(text: str, **chosen: str) -> Dockerfile:
    """Read a Dockerfile as it builds with these build arguments. Raises KeyError for a stage that is not there."""
    arguments: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    heading: tuple[str, str] | None = None
    body: list[Instruction] = []

    def close() -> None:
        if heading is not None:
            name, parent = heading
            stages[name] = Stage(name, parent, tuple(body))
            body.clear()

    for instruction in _instructions(text):
        if instruction.keyword == "FROM":
            close()
            parent, _, name = Template(instruction.text).substitute(arguments).partition(" AS ")
            heading = (name, parent)
        elif heading is None:
            name, _, default = instruction.text.partition("=")
            arguments[name] = chosen.get(name, default)
        else:
            body.append(instruction)
    close()
    for stage in stages.values():
        if stage.parent not in stages and ":" not in stage.parent:
            raise KeyError(f"There is no stage {stage.parent}.")
    return Dockerfile({**arguments, **chosen}, stages)


def _instructions(text: str) -> Iterator[Instruction]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for joined in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        keyword, _, rest = joined.partition(" ")
        flags: dict[str, str] = {}
        while match := re.match(r"--([\w-]+)=(\S+)\s+", rest):
            flags[match[1]] = match[2]
            rest = rest[match.end() :]
        yield Instruction(keyword, flags, rest)


@dataclass(frozen=True)
class Shell:
    """Says instructions in the language of `sh`, with the containers' directories under `root`."""

    dockerfile: Dockerfile
    context: Path
    root: Path

    def relocate(self, text: str) -> str:
        """Put every directory of a container that `text` names under the root."""
        return _PLACE.sub(lambda match: f"{self.root}{match[0]}", text)

    def build(self) -> str:
        """All steps of the build, a stage in a subshell."""
        return "\n".join(["set -eu", *(self.stage(stage) for stage in self.dockerfile.needed())]) + "\n"

    def stage(self, stage: Stage) -> str:
        """One stage, with the settings of those below it; the image's own RUN makes its user and is left out."""
        settings = [line for elder in self.dockerfile.lineage(stage)[:-1] for line in self._settings(elder)]
        steps = [i for i in stage.instructions if not (stage is self.dockerfile.image and i.keyword == "RUN")]
        return "\n".join([f"( : stage {stage.name}", *settings, *(line for i in steps for line in self._say(i)), ")"])

    def start(self, environment: Mapping[str, str], command: str) -> str:
        """Run a command as in the image, with more environment."""
        more = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
        return "\n".join(["set -eu", *self._settings(self.dockerfile.image), *more, self.relocate(command)])

    def _settings(self, stage: Stage) -> list[str]:
        return [line for i in stage.instructions if i.keyword in ("ENV", "WORKDIR") for line in self._say(i)]

    def _say(self, instruction: Instruction) -> list[str]:
        text = self.relocate(instruction.text)
        match instruction.keyword:
            case "ARG":
                name, _, default = text.partition("=")
                return [f'export {name}="{self.dockerfile.arguments.get(name, default)}"']
            case "ENV":
                pairs = (word.partition("=") for word in shlex.split(text))
                return [f'export {name}="{value}"' for name, _, value in pairs]
            case "WORKDIR":
                return [f"mkdir -p {text}", f"cd {text}"]
            case "VOLUME":
                return [f"mkdir -p {shlex.join(json.loads(text))}"]
            case "COPY" if "from" not in instruction.flags:
                *sources, target = text.split()
                return [f"mkdir -p {target}", *(self._copy(source, target) for source in sources)]
            case "RUN":
                return [f"({text})"]
        return []

    def _copy(self, source: str, target: str) -> str:
        path = self.context / source
        return f"cp -R {path}/. {target}/" if path.is_dir() else f"cp {path} {target}"
