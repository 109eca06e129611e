"""What a preprocessor's JSON says of images: Hugging Face's preprocessor_config.json, and timm's config.json."""

from pathlib import Path
from typing import Any

from service.errors import ConfigurationError
from service.store.manifest import Resample
from service.written import of_json, read_text

FILTERS: dict[object, Resample] = {
    2: "pillow-bilinear",
    3: "pillow-bicubic",
    "bilinear": "pillow-bilinear",
    "bicubic": "pillow-bicubic",
}
"""Pillow's filters, by their numbers and names."""
BYTE = 1 / 255
UNKNOWN = {"do_flip_channel_order": "its channels are blue, green, red", "do_pad": "it pads images"}
"""What changes pixels and is not done here."""


def read_preprocessor(path: Path) -> dict[str, Any]:
    """Words of `[input]`: size, mean and std; resize and resample where they are said. Raises ConfigurationError."""
    try:
        said = dict(of_json(read_text(path)))
        timm = said.get("pretrained_cfg", said if "input_size" in said else None)
        return of_timm(timm) if timm is not None else _of_transformers(said)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        raise ConfigurationError(f"{path} is no preprocessor's JSON that is understood: {error}") from error


def _of_transformers(said: dict[str, Any]) -> dict[str, Any]:
    for word, reason in UNKNOWN.items():
        if said.get(word):
            raise ValueError(f"{word}: {reason}, which is not done here")
    found: dict[str, Any] = {}
    size, crop = _sides(said.get("size")), _sides(said.get("crop_size"))
    if said.get("do_center_crop") and crop is not None:
        found["size"] = _both(crop)
    elif size is not None:
        found["size"] = _both(size)
    if isinstance(size, int) and said.get("do_resize", True):
        found["resize"] = round(size / said["crop_pct"]) if "crop_pct" in said else size
    if "resample" in said:
        found["resample"] = _filter(said["resample"])
    return {**found, **_normalisation(said)}


def _normalisation(said: dict[str, Any]) -> dict[str, Any]:
    """Mean and deviation of pixels in [0, 1]: (pixel · factor − offset − mean) / std, said in those."""
    factor = said.get("rescale_factor", BYTE) if said.get("do_rescale", True) else 1.0
    offset = 1.0 if said.get("rescale_offset") else 0.0
    mean, std = _each(said.get("image_mean", 0.0)), _each(said.get("image_std", 1.0))
    if not said.get("do_normalize", "image_mean" in said):
        mean, std = [0.0] * len(mean), [1.0] * len(std)
    return {
        "mean": tuple((value + offset) / (255 * factor) for value in mean),
        "std": tuple(value / (255 * factor) for value in std),
    }


def of_timm(said: dict[str, Any]) -> dict[str, Any]:
    """What timm says of a net's images. Raises ValueError, TypeError or KeyError for what is not understood."""
    if said.get("crop_mode", "center") not in ("center", "squash"):
        raise ValueError(f"crop_mode: {said['crop_mode']} is not done here")
    _, height, width = said["input_size"]
    found: dict[str, Any] = {"size": (height, width), "mean": tuple(said["mean"]), "std": tuple(said["std"])}
    if said.get("crop_mode", "center") == "center":
        found["resize"] = int(min(height, width) / said.get("crop_pct", 0.875))
    return {**found, "resample": _filter(said.get("interpolation", "bilinear"))}


def _each(said: Any) -> list[float]:
    """A value for each channel; one alone is that of three."""
    return [float(value) for value in said] if isinstance(said, list) else [float(said)] * 3


def _both(side: tuple[int, int] | int) -> tuple[int, int]:
    return side if isinstance(side, tuple) else (side, side)


def _sides(said: Any) -> tuple[int, int] | int | None:
    """Height and width, or the shorter side alone."""
    if isinstance(said, dict):
        if "shortest_edge" in said:
            return int(said["shortest_edge"])
        return int(said["height"]), int(said["width"])
    return None if said is None else int(said)


def _filter(said: object) -> Resample:
    if said not in FILTERS:
        raise ValueError(f"resample: of Pillow's filters bilinear (2) and bicubic (3) are used here, not {said}")
    return FILTERS[said]
