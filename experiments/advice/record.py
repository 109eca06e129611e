"""What has been measured of each piece of advice: a line of JSON for each, kept beside the document."""

import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Measured(BaseModel):
    """The generators of all seeds with one switch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    switch: str
    recipe: str
    """A digest of the whole recipe: what was changed is measured again."""
    modes: tuple[float, ...]
    good: tuple[float, ...]
    reverse_kl: tuple[float, ...]
    fid: tuple[float, ...]
    seconds: float
    """Of one processor, for all seeds together."""


def read_record(path: Path) -> dict[str, Measured]:
    """The measurements by switch; none where there is no file."""
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    return {found.switch: found for found in map(Measured.model_validate_json, lines)}


def write_record(path: Path, measurements: Iterable[Measured]) -> None:
    """Write these and no others, a line each."""
    lines = (json.dumps(found.model_dump(), ensure_ascii=False) for found in measurements)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
