"""What a card's pipeline overlaps: batches one at a time and beside each other, on a simulated card, as a picture.

    python -m benchmarks.pipeline --out docs/pictures/pipeline.svg

The card is threads that sleep, one for each stage; the engine and all that lies between it and them is the service's.
"""

import argparse
import asyncio
from pathlib import Path

import numpy as np

from service.drawing.svg import PlotArea, line, tag, text, ticks
from service.runtime.calls import Call, Lane
from service.runtime.cards.simulated import Costs, Hardware, SimulatedDevice, Span
from service.runtime.cards.streams import Stage
from service.runtime.in_process import LocalEngine
from service.settings import Settings
from service.store import ModelStore

MODEL = "mlp-mnist"
COSTS = {Stage.IN: Costs(batch_s=0.012), Stage.COMPUTE: Costs(batch_s=0.030), Stage.OUT: Costs(batch_s=0.008)}
"""A card so slow that this machine's own threads do not matter beside it."""
BATCHES = 6
LANES = {Lane.INTERACTIVE: "classify", Lane.BULK: "features"}
MILLISECONDS = 1000
WIDTH, ROW, HEAD, FOOT = 860, 26, 30, 26
STYLE = (
    "svg{background:#fff}text{font:12px sans-serif;fill:#444}text.in{fill:#fff;text-anchor:middle}"
    "rect.classify{fill:#1f77b4}rect.features{fill:#e07b00}.axis{stroke:#ddd}"
)


async def run(in_flight: int) -> list[Span]:
    """The stages of as many full batches of each lane, with so many under way at a time."""
    hardware = Hardware()  # which costs nothing while the model is loaded
    device = SimulatedDevice(hardware=hardware)
    device.in_flight = in_flight
    async with LocalEngine(ModelStore.of(Settings()), device=device) as engine:
        await engine.load(MODEL)
        hardware.costs.update(COSTS)
        hardware.timeline.spans.clear()
        serving = ModelStore.of(Settings()).get(MODEL).manifest.serving
        sizes = {Lane.INTERACTIVE: serving.max_batch, Lane.BULK: serving.block}
        asked = [
            engine.submit(Call(MODEL, verb), [np.zeros((sizes[lane], 28, 28, 1), np.uint8)], lane=lane)
            for _ in range(BATCHES // 2)
            for lane, verb in LANES.items()
        ]
        await asyncio.gather(*asked)
    return hardware.timeline.of(Stage.IN) + hardware.timeline.of(Stage.COMPUTE) + hardware.timeline.of(Stage.OUT)


def busy(spans: list[Span]) -> float:
    """The share of the time from first to last in which the card computed."""
    computed = sum(span.ended - span.began for span in spans if span.stage is Stage.COMPUTE)
    return computed / (max(span.ended for span in spans) - min(span.began for span in spans))


def draw(runs: dict[str, list[Span]]) -> str:
    """SVG of the stages of each run below each other, on one scale of time."""
    longest = max(max(span.ended for span in spans) - min(span.began for span in spans) for spans in runs.values())
    height = HEAD + ROW * len(Stage) + FOOT
    panels = [
        tag("g", _panel(title, spans, longest), transform=f"translate(0 {height * place})")
        for place, (title, spans) in enumerate(runs.items())
    ]
    content = tag("style", STYLE) + "".join(panels)
    return tag(
        "svg",
        content,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {height * len(panels)}",
        role="img",
        aria_label="Batches on a simulated card: one at a time, and several under way",
    )


def _panel(title: str, spans: list[Span], longest: float) -> str:
    area = PlotArea(WIDTH, HEAD + ROW * len(Stage) + FOOT, left=80, right=16, top=HEAD, bottom=FOOT)
    x, first, bottom = area.across(0.0, longest), min(span.began for span in spans), HEAD + ROW * len(Stage)
    numbers = {number: place for place, number in enumerate(sorted({span.piece.number for span in spans}), 1)}
    marks = [text(f"{title}: computing {100 * busy(spans):.0f} % of the time", 8, 18)]
    for value in ticks(0.0, longest * MILLISECONDS, 8):
        at = x(value / MILLISECONDS)
        marks += [line(at, HEAD, at, bottom, "axis"), text(f"{value:.0f} ms", at, bottom + 16, text_anchor="middle")]
    for row, stage in enumerate(Stage):
        top = HEAD + ROW * row
        marks.append(text(stage.value, 8, top + 17))
        for span in (span for span in spans if span.stage is stage):
            left, right = x(span.began - first), x(span.ended - first)
            kind = span.piece.what.partition(" ")[0]
            marks.append(tag("rect", x=left, y=top + 2, width=right - left - 1, height=ROW - 4, kind=kind))
            marks.append(text(str(numbers[span.piece.number]), (left + right) / 2, top + 17, kind="in"))
    return "".join(marks)


def main() -> None:
    """Run both, say how busy the card was, and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    runs = {
        "one batch at a time": asyncio.run(run(1)),
        "three under way (blue: single requests, orange: blocks of an evaluation)": asyncio.run(run(3)),
    }
    parser.parse_args().out.write_text(draw(runs) + "\n", "utf-8")
    for title, spans in runs.items():
        print(f"{title}: {len({span.piece.number for span in spans})} batches, computing {100 * busy(spans):.0f} %")


if __name__ == "__main__":
    main()
