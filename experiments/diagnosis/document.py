"""docs/zfnet.md from the measurements."""

from collections.abc import Iterator, Sequence
from statistics import mean, stdev

from experiments.diagnosis.changing import LAYERS
from experiments.diagnosis.growing import EPOCHS, SEARCHED, UNITS
from experiments.diagnosis.hiding import EACH, SQUARE
from experiments.diagnosis.hiding import LAYERS as HIDDEN
from experiments.diagnosis.record import Correspondence, Record, Response
from experiments.spreads import Difference

HEAD = """# What a net has learnt to see

Zeiler and Fergus's diagnosis (*Visualizing and understanding convolutional networks*, ECCV 2014, arXiv 1311.2901), of
this project's own ZFNet for photographs of 32×32. Written by `python -m experiments.diagnosis`; what was measured lies
in [zfnet.json](zfnet.json), and `--render` writes this page from it alone. A single picture of any net, with any image,
comes from `/explain` ([endpoints](endpoints.md)).
"""
GROWTH = """## Features over the course of a training

Figure 4 of the paper: for {units} maps of each of some layers, those with the strongest answers at the end, the
strongest answer among {searched} training images at that moment, sent back to pixels by the deconvnet, and the image
that gave it. The net is a narrow ZFNet that learns 5,000 images for {epochs} epochs; where the image beside a
projection changes, another one has taken the lead.

![A narrow ZFNet's features over its training](zfnet/training.png)
"""
RESPONSES = """## Shifted, scaled and turned

Figure 5 of the paper: {images} test images ({labels}) of which `zfnet-cifar10` is
sure, shifted upwards, scaled and turned. A distance is ‖f(x) − f(x′)‖ / ‖f(x)‖. The border goes on where an image ends.

![How far features move with shift, scale and turn](zfnet/changes.png)
"""
HIDING = """## Hiding the same part

Section 4.3 of the paper: if a net knows a part of an object, hiding that part changes the features of different images
alike. Δ is the share of features whose changes differ in sign between two images; {each} images of each class of which
`zfnet-cifar10` is sure, a grey square of {side}×{side} at each of nine places, the same in all of them or drawn for
each. The paper hid eyes and noses of dogs by hand; here the places are those of a grid, and objects lie where the
photographer had them.

![Δ of each class, with the same place hidden and with places drawn](zfnet/hiding.png)
"""


def render(record: Record) -> str:
    """The whole page."""
    parts = [
        HEAD,
        GROWTH.format(units=UNITS, searched=SEARCHED, epochs=EPOCHS),
        _table(_snapshots(record)),
        *(f"- {sentence}" for sentence in _settled(record)),
        "",
        RESPONSES.format(images=len(record.labels), labels=", ".join(record.labels)),
        _table(_responses(record.responses)),
        *(f"- {sentence}" for sentence in _followed(record.responses)),
        "",
        HIDING.format(each=EACH, side=SQUARE),
        _table(_hidden(record.correspondences)),
        *(f"- {sentence}" for sentence in _alike(record.correspondences)),
        "",
    ]
    return "\n".join(parts)


def _snapshots(record: Record) -> Iterator[Sequence[str]]:
    layers = list(record.snapshots[0].moved) if record.snapshots else []
    yield "after epoch", "accuracy", *(f"{layer}: distance to the end" for layer in layers)
    for one in record.snapshots:
        yield f"{one.epoch}", f"{100 * one.accuracy:.1f} %", *(f"{abs(one.moved[layer]):.2f}" for layer in layers)


def _settled(record: Record) -> Iterator[str]:
    """Whether lower layers are there first, as the paper says."""
    if not record.snapshots:
        return
    *before, _ = record.snapshots
    means = {layer: mean(one.moved[layer] for one in before) for layer in before[0].moved}
    lowest, *others = means.values()
    held = "reproduced" if lowest < min(others) else "**not reproduced**"
    words = ", ".join(f"{value:.2f} of {layer}" for layer, value in means.items())
    yield (
        "The lower layers converge within a few epochs, the upper ones only after many (section 4, *feature evolution"
        f" during training*): {held}, as far as the lowest layer is there first. Before the end projections are on"
        f" average so far (1 − cosine) from those at the end: {words}."
    )


def _responses(responses: Sequence[Response]) -> Iterator[Sequence[str]]:
    yield "change", *(f"{title}: mean distance" for title in LAYERS.values()), "mean probability of the true label"
    for one in responses:
        cells = (f"{mean(map(mean, one.distances[layer])):.2f}" for layer in LAYERS)
        yield one.of, *cells, f"{mean(map(mean, one.probabilities)):.2f}"


def _followed(responses: Sequence[Response]) -> Iterator[str]:
    if not responses:
        return
    first, last = LAYERS
    least = [_least(one) for one in responses]
    lower = all(ours > theirs for ours, theirs in (pair for _, pair in least))
    held = "reproduced" if lower else "**not reproduced**"
    words = "; ".join(f"{name}: {ours:.2f} and {theirs:.2f}" for name, (ours, theirs) in least)
    yield (
        f"Small changes move the {LAYERS[first]} much and the {LAYERS[last]} less (section 4, *feature invariance*):"
        f" {held}. Distances at the smallest change of each kind: {words}."
    )
    turn = responses[-1]
    by_amount = [mean(values) for values in zip(*turn.probabilities, strict=True)]
    yield (
        f"Turning is what it does not bear: upright the true label has a probability of {by_amount[0]:.2f} on average,"
        f" in the worst turn {min(by_amount):.2f}."
    )


def _least(one: Response) -> tuple[str, tuple[float, float]]:
    """The first and the last layer's mean distance at the amounts next to none at all."""
    means = {layer: [mean(values) for values in zip(*rows, strict=True)] for layer, rows in one.distances.items()}
    first, last = (means[layer] for layer in LAYERS)
    still = min(range(len(first)), key=first.__getitem__)
    beside = [place for place in (still - 1, still + 1) if 0 <= place < len(first)]
    return one.of, (mean(first[place] for place in beside), mean(last[place] for place in beside))


def _hidden(found: Sequence[Correspondence]) -> Iterator[Sequence[str]]:
    yield "layer", "Δ, the same place", "Δ, places drawn", "difference", "classes"
    for one in found:
        apart = Difference.paired(one.anywhere, one.same)
        yield (
            HIDDEN[one.layer],
            f"{mean(one.same):.3f} ± {stdev(one.same):.3f}",
            f"{mean(one.anywhere):.3f} ± {stdev(one.anywhere):.3f}",
            f"{apart.mean:.3f}, standard error {apart.error:.3f}",
            f"{len(one.same)}",
        )


def _alike(found: Sequence[Correspondence]) -> Iterator[str]:
    """Whether the same place changes images more alike than places drawn, class by class."""
    for one in found:
        apart = Difference.paired(one.anywhere, one.same)
        said = "reproduced" if apart.mean > 0 else "**not reproduced**"
        verdict = said if apart.counts else "too close to call"
        yield f"Hiding the same part changes {HIDDEN[one.layer]} more alike than hiding any part: {verdict}."


def _table(rows: Iterator[Sequence[str]]) -> str:
    """The first row is the head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * (lines[0].count("|") - 1), *lines[1:]]) + "\n"
