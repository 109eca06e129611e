"""Samples as pictures inside a page: every image a PNG in the text itself."""

from base64 import b64encode
from html import escape

from service.evaluation.figures.data import Pairs, Typicality
from service.evaluation.rendering.words import number
from service.imaging import Pixels, encode_png


def picture(image: Pixels, words: str) -> str:
    """One image (H, W, C) with what it is."""
    data = b64encode(encode_png(image)).decode("ascii")
    return f'<img src="data:image/png;base64,{data}" alt="{escape(words, quote=True)}">'


def pairs_of(pairs: Pairs) -> str:
    """Each generated sample beside the real one that it is nearest to, where that has a picture."""
    figures = []
    for index, image in enumerate(pairs.generated):
        distance = number(float(pairs.distances[index]), 3)
        shown = picture(image, f"generated, {distance} from the nearest real sample")
        if len(pairs.real):
            shown += picture(pairs.real[index], "the real sample nearest to it")
        figures.append(f'<figure><div class="pair">{shown}</div><figcaption>{distance}</figcaption></figure>')
    return f'<div class="pictures">{"".join(figures)}</div>'


def typical_of(typicality: Typicality) -> str:
    """The most and the least typical generated samples, in two rows."""
    rows = []
    for name, images, distances in zip(
        ("Most typical", "Least typical"), (typicality.most, typicality.least), typicality.distances, strict=True
    ):
        figures = "".join(
            f"<figure>{picture(image, name.lower())}<figcaption>{number(float(distance), 3)}</figcaption></figure>"
            for image, distance in zip(images, distances, strict=True)
        )
        rows.append(f'<h3>{name}</h3><div class="pictures">{figures}</div>')
    return "".join(rows)
