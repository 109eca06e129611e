"""A small program of torch.export that looks at images: `features` and `logits`, once a session."""

import io
import json
import zipfile
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn


class Looking(nn.Module):
    """Images (n, 3, 8, 8) to features (n, 4) and logits (n, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Both."""
        features = torch.relu(self.norm(self.conv(x))).mean((2, 3))
        return {"features": features, "logits": self.head(features)}


@cache
def looking_net() -> nn.Module:
    """The net, the same in every test."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Looking().eval()


@cache
def looking_program(rows: str = "any") -> bytes:
    """The file of it, for any number of rows or for `two`."""
    torch.backends.cudnn.allow_tf32 = (
        False  # export reads it, which torch allows only where all say the same as engines
    )
    shapes = ({0: torch.export.Dim("n", min=2, max=64)},) if rows == "any" else None
    program = torch.export.export(looking_net(), (torch.zeros(2, 3, 8, 8),), dynamic_shapes=shapes)
    file = io.BytesIO()
    torch.export.save(program, file)
    return file.getvalue()


def changed(
    change: Callable[[dict[str, bytes]], None], data: bytes | None = None, *, compression: int = zipfile.ZIP_STORED
) -> bytes:
    """That file with other records."""
    with zipfile.ZipFile(io.BytesIO(data or looking_program())) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    change(records)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    return file.getvalue()


def changed_json(ending: str, change: Callable[[Any], None]) -> bytes:
    """That file with other words in the record whose name ends so."""

    def rewrite(records: dict[str, bytes]) -> None:
        [name] = [name for name in records if name.endswith(ending)]
        document = json.loads(records[name])
        change(document)
        records[name] = json.dumps(document).encode()

    return changed(rewrite)
