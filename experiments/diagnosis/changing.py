"""Images shifted, scaled and turned, and how a net's features follow: Zeiler and Fergus's figure 5."""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from experiments.diagnosis.record import Response
from experiments.diagnosis.subject import Subject
from service.imaging import Pixels

LAYERS = {"norm1": "first layer", "fc7": "last hidden layer"}
"""What is compared, and what the page calls it."""
Change = Callable[[Pixels, float], Pixels]


def shifted(image: Pixels, pixels: float) -> Pixels:
    """Upwards by so many pixels; what comes into view goes on as the border is."""
    return _moved(image, (1, 0, 0, 0, 1, pixels))


def scaled(image: Pixels, times: float) -> Pixels:
    """About the middle."""
    return _moved(image, (1 / times, 0, 0, 0, 1 / times, 0))


def turned(image: Pixels, degrees: float) -> Pixels:
    """About the middle, against the clock."""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return _moved(image, (cosine, -sine, 0, sine, cosine, 0))


CHANGES: dict[str, tuple[Change, tuple[float, ...]]] = {
    "shift, pixels": (shifted, tuple(range(-12, 13, 2))),
    "scale": (scaled, (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0)),
    "turn, degrees": (turned, tuple(range(0, 361, 15))),
}


def _moved(image: Pixels, matrix: Sequence[float]) -> Pixels:
    """The image (H, W, C) where (x, y) from its middle shows what was at (ax + by + c, dx + ey + f)."""
    side = image.shape[0]
    wide = np.pad(image, ((side, side), (side, side), (0, 0)), mode="edge")
    a, b, c, d, e, f = matrix
    middle = wide.shape[0] / 2
    own = side / 2
    given = (a, b, middle + c - a * own - b * own, d, e, middle + f - d * own - e * own)
    found = Image.fromarray(wide).transform(
        (side, side), Image.Transform.AFFINE, given, resample=Image.Resampling.BILINEAR
    )
    return np.asarray(found)


def respond(subject: Subject, images: Pixels, labels: Sequence[int], name: str) -> Response:
    """What one change does to images uint8 (n, H, W, C) of these labels."""
    change, amounts = CHANGES[name]
    whole, _ = subject.answers(images, tuple(LAYERS))
    distances: dict[str, list[list[float]]] = {layer: [] for layer in LAYERS}
    probabilities = []
    for place, label in enumerate(labels):
        altered = np.stack([change(images[place], amount) for amount in amounts])
        found, sure = subject.answers(altered, tuple(LAYERS))
        probabilities.append(_rounded(sure[:, label].tolist()))
        for layer, features in found.items():
            own = whole[layer][place]
            distances[layer].append(_rounded(((features - own).norm(dim=1) / own.norm()).tolist()))
    return Response(
        of=name,
        amounts=amounts,
        distances={layer: tuple(map(tuple, rows)) for layer, rows in distances.items()},
        probabilities=tuple(map(tuple, probabilities)),
    )


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 4) for value in values]
