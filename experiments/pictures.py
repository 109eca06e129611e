"""How every trained net sees one image: a page of pictures for each, as /explain draws them, first to last layer.

    python experiments/pictures.py FOLDER [--models nin-cifar10 …] [--image FILE] [--layers 5]

A page shows saliency and occlusion on top, and below for some convolutions: the nine strongest maps sent back to pixels
by the deconvnet (and guided, where nothing pools), the strongest maps themselves, and filters. Without `--image` it is
the first test image that the net names rightly, sure but not certain of it, or the one that comes nearest to that.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import nn

from service.datasets.registry import find_dataset
from service.drawing.explanation import DRAWINGS, WHOLE, enlarge
from service.imaging import Pixels
from service.nets.attribution import RECTIFYING, map_layers
from service.nets.registry import build_net
from service.nets.weights import load_weights
from service.settings import Settings
from service.store import Model, ModelStore
from service.tasks.classify import Classify, normalise
from service.tasks.explain import Explain
from service.tasks.methods import ARRAYS, Method

CHAPTERS = (4, 5)
LOOKED_AT = 200
"""So many test images are searched for one that the net is sure of."""
SURE = (0.8, 0.97)
MAPS, FILTERS = 16, 25
MARGIN, LINE = 12, 22
PAPER, INK = "#202020", "#f0f0f0"
LIMIT_PIXELS = 1 << 26

Array = NDArray[Any]


class Subject:
    """A net, and the image that it looks at."""

    def __init__(self, model: Model, image: Path | None, data_dir: Path) -> None:
        self.model = model
        self.net = build_net(model.manifest.net, model.manifest.options)
        load_weights(self.net, model.weights)
        self.net.eval().requires_grad_(requires_grad=False)
        if image is None:
            self.pixels = self._find(data_dir)
        else:
            self.pixels = Explain().prepare(image.read_bytes(), model.input, limit_pixels=LIMIT_PIXELS).pixels

    def _find(self, data_dir: Path) -> Pixels:
        """The first test image of whose label the net is sure, but not certain; else the one nearest to that."""
        test = find_dataset(self.model.manifest.dataset).load(data_dir, "test").first(LOOKED_AT)
        with torch.inference_mode():
            [logits] = Classify().forward(self.net, [torch.from_numpy(test.images)], self.model.manifest)
        right = logits.softmax(dim=1).numpy()[np.arange(len(test)), test.labels]
        place = int(np.abs(right - right.clip(*SURE)).argmin())
        return test.images[place : place + 1]

    def layers(self, count: int) -> list[str]:
        """Some convolutions, evenly from the first to the last."""
        with torch.inference_mode():
            x = normalise(torch.from_numpy(self.pixels), self.model.input)
            found = map_layers(self.net, x)
        names = [name for name, layer in found.items() if _is_spatial(layer)]
        places = np.linspace(0, len(names) - 1, min(count, len(names))).round().astype(int)
        return [names[place] for place in dict.fromkeys(places.tolist())]

    def ask(self, **question: Any) -> dict[str, Array]:
        """What /explain answers by name, the image's axis taken off."""
        with torch.inference_mode():
            answer = Explain(**question).forward(self.net, [torch.from_numpy(self.pixels)], self.model.manifest)
        names = ARRAYS[question["method"]]
        return {name: array[0].numpy() for name, array in zip(names, answer, strict=True)}

    def draw(self, method: Method, arrays: Mapping[str, Array]) -> Image.Image:
        """The picture that /explain sends beside the image."""
        pixels = DRAWINGS[method](arrays, self.pixels[0])
        return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).convert("RGB")

    def show(self) -> Image.Image:
        """The image itself."""
        pixels = enlarge(self.pixels[0], WHOLE)
        return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).convert("RGB")


def _is_spatial(layer: nn.Module) -> bool:
    """Whether it is a convolution that looks further than one pixel."""
    weight = getattr(layer, "weight", None)
    return isinstance(weight, torch.Tensor) and weight.ndim == len("KCHW") and weight.shape[-1] > 1


def projections_of(net: nn.Module) -> tuple[Method, ...]:
    """How a net's maps are sent back: guided, too, where units are rectified and no switches are recorded."""
    kinds = {type(module) for module in net.modules()}
    return ("deconvnet",) if nn.MaxPool2d in kinds or kinds.isdisjoint(RECTIFYING) else ("deconvnet", "guided")


def page_of(subject: Subject, count: int) -> Image.Image:
    """All pictures of a net, with their names above them."""
    labels = subject.model.manifest.labels
    rows = [[("the image", subject.show())]]
    methods: tuple[Method, ...] = ("saliency", "occlusion")
    for method in methods:
        arrays = subject.ask(method=method)
        name = f"{method}: {labels[int(arrays['label'])]}, probability {float(arrays['probability']):.2f}"
        rows[0].append((name, subject.draw(method, arrays)))
    return laid_out(subject.model.id, [*rows, *(layer_row(subject, name) for name in subject.layers(count))])


def layer_row(subject: Subject, name: str) -> list[tuple[str, Image.Image]]:
    """Projections, maps and filters of one layer."""
    maps, units = subject.ask(method="activations", layer=name).values()
    order = np.argsort(-maps.max(axis=(1, 2)), kind="stable")[:MAPS]
    kernels, owners = subject.ask(method="filters", layer=name).values()
    if kernels.shape[1] not in (1, 3):
        owners = np.repeat(owners, kernels.shape[1])
        kernels = kernels.reshape(-1, 1, *kernels.shape[2:])
    return [
        *(
            (f"{name}: {method}", subject.draw(method, subject.ask(method=method, layer=name)))
            for method in projections_of(subject.net)
        ),
        (
            "the strongest of {} maps of {} by {}".format(*maps.shape),
            subject.draw("activations", {"maps": maps[order], "units": units[order]}),
        ),
        (
            "filters of {} by {}".format(*kernels.shape[2:]),
            subject.draw("filters", {"kernels": kernels[:FILTERS], "units": owners[:FILTERS]}),
        ),
    ]


def laid_out(title: str, rows: Sequence[Sequence[tuple[str, Image.Image]]]) -> Image.Image:
    """Rows of named pictures under a title, columns aligned."""
    columns = max(len(row) for row in rows)
    widths = [max((row[place][1].width for row in rows if place < len(row)), default=0) for place in range(columns)]
    heights = [LINE + max(picture.height for _, picture in row) for row in rows]
    size = (MARGIN + sum(widths) + MARGIN * columns, MARGIN + LINE + sum(heights) + MARGIN * len(rows))
    page = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, MARGIN // 2), title, fill=INK, font_size=18)
    y = MARGIN + LINE
    for row, height in zip(rows, heights, strict=True):
        x = MARGIN
        for (name, picture), width in zip(row, widths, strict=False):
            draw.text((x, y), name, fill=INK, font_size=13)
            page.paste(picture, (x, y + LINE))
            x += width + MARGIN
        y += height + MARGIN
    return page


def main() -> None:
    """Draw a page for every net that has weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", nargs="+", help="all convolutional classifiers that have weights unless given")
    parser.add_argument("--image", type=Path)
    parser.add_argument("--layers", type=int, default=5)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    settings = Settings()
    store = ModelStore.of(settings)
    for model_id in options.models or store.ids():
        model = store.get(model_id)
        if model.manifest.task != "classify" or model.manifest.chapter not in CHAPTERS:
            continue
        subject = Subject(model, options.image, settings.data)
        if subject.layers(1):
            page_of(subject, options.layers).save(options.folder / f"{model_id}.png")
            print(options.folder / f"{model_id}.png")


if __name__ == "__main__":
    main()
