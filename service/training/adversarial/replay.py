"""Fakes of earlier iterations, so that a discriminator does not forget what a generator once did."""

from typing import Any

import torch
from torch import Tensor


class Replay:
    """Replaces a share of every batch of fakes by earlier ones (Shrivastava et al., CVPR 2017, section 2.3).

    Holds up to `size` samples beside their latents; once full, what comes in takes a random place.
    """

    def __init__(self, *, share: float, size: int) -> None:
        self._share, self._size = share, size
        self._kept: tuple[Tensor, Tensor] | None = None

    def mix(self, fake: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """A batch (n, …) and its latents (n, latent) whose first rows are earlier ones, as soon as there are any."""
        count = round(self._share * len(fake))
        if not count:
            return fake, z
        mixed = (fake, z)
        if self._kept is not None:
            known = len(self._kept[0])
            rows = torch.randint(known, (count,)).to(fake.device)
            earlier = (held[rows] for held in self._kept)
            mixed = tuple(torch.cat([old, new[count:]]) for old, new in zip(earlier, mixed, strict=True))  # type: ignore[assignment]
        self._keep(fake[:count].detach(), z[:count])
        return mixed

    def _keep(self, fake: Tensor, z: Tensor) -> None:
        if self._kept is None:
            self._kept = fake[: self._size].clone(), z[: self._size].clone()
            return
        known = len(self._kept[0])
        if known < self._size:
            self._kept = tuple(  # type: ignore[assignment]
                torch.cat([held, new])[: self._size] for held, new in zip(self._kept, (fake, z), strict=True)
            )
            return
        places = torch.randperm(self._size)[: len(fake)].to(fake.device)
        for held, new in zip(self._kept, (fake, z), strict=True):
            held[places] = new[: len(places)]

    def state_dict(self) -> dict[str, Any]:
        """What is held."""
        return {} if self._kept is None else dict(zip(("fake", "z"), self._kept, strict=True))

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Take it back."""
        self._kept = (state_dict["fake"], state_dict["z"]) if state_dict else None
