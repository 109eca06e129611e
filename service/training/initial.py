"""A net that begins where another one ended: VGG's deeper nets from the trained shallow one (section 3.1)."""

from collections.abc import Callable

import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from service.errors import InvalidManifest, ModelNotFound
from service.store import Model


class Initial(BaseModel):
    """Which layers begin as those of a trained model; the others stay as they were drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(description="A model of the store that has weights.")
    layers: tuple[str, ...] = Field(min_length=1, description="Names of layers that both nets have.")

    @torch.no_grad()
    def fill(self, net: nn.Module, find: Callable[[str], Model]) -> None:
        """Copy the layers. Raises InvalidManifest where either net has no such layer, or one of another shape."""
        try:
            path = find(self.model).weights
            trained = load_file(path)
        except (ModelNotFound, OSError, SafetensorError) as error:
            raise InvalidManifest(
                f"[training] initial: {self.model} has no weights yet; `chapterhouse train {self.model}` makes them."
            ) from error
        own = net.state_dict()
        for layer in self.layers:
            names = [name for name in own if name.startswith(f"{layer}.")]
            if not names:
                raise InvalidManifest(f"[training] initial: the net has no layer {layer!r}.")
            for name in names:
                if name not in trained or trained[name].shape != own[name].shape:
                    raise InvalidManifest(
                        f"[training] initial: {self.model} has no {name} of {tuple(own[name].shape)}."
                    )
                own[name].copy_(trained[name])
