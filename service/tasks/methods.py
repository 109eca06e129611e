"""The methods of `/explain`: their words, what each answers, and which layer it asks where none is named."""

from collections.abc import Mapping
from typing import Literal

Method = Literal["deconvnet", "guided", "occlusion", "saliency", "activations", "filters"]
Projecting = Literal["deconvnet", "guided"]
"""Those that send the answer of a unit back to pixels."""

ARRAYS: dict[Method, tuple[str, ...]] = {
    "activations": ("maps", "units"),
    "deconvnet": ("projections", "units", "strengths"),
    "filters": ("kernels", "units"),
    "guided": ("projections", "units", "strengths"),
    "occlusion": ("log_odds", "probabilities", "label", "log_odds_whole", "probability", "square"),
    "saliency": ("slopes", "label", "probability"),
}
"""What each method answers, by name."""
SHOWN_SIDE = 8
"""Maps with a shorter side of fewer pixels are nothing to look at, unless there are no others."""


def usual_layer(method: Method, sides: Mapping[str, int]) -> str:
    """The layer that is asked where none is named; empty where there is none.

    `sides` are the shorter sides of the maps of each layer with weights, first to last. Filters are those of the first
    layer; projections begin at the last; activations are those of the last whose maps can be looked at.
    """
    if not sides:
        return ""
    names = list(sides)
    if method == "filters":
        return names[0]
    if method == "activations":
        enough = min(SHOWN_SIDE, max(sides.values()))
        return [name for name in names if sides[name] >= enough][-1]
    return names[-1]
