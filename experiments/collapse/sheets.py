"""The pictures of the document: a sheet for each table, every generator's samples on it."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from experiments.collapse.tables import STACKED, Table, name_of
from experiments.pictures import laid_out
from service.imaging import tile
from service.metrics.mode_coverage import mode_coverage
from service.operations.generate import gather_samples
from service.packing.plots import SIDE, PlotPNG
from service.packing.stream import Contents
from service.runtime.calls import EngineClient
from service.scoring.images import POINTS
from service.store import Model

PANEL = 292
"""Side of one generator's samples, in pixels: as wide as the longest caption."""
COLUMNS = 5
IMAGES = 49
SHADES = 64
"""Of a picture without colours of its own, so that it is small."""


async def draw_sheet(table: Table, store: Path, engine: EngineClient) -> bytes:
    """A PNG with a panel for each generator; one without weights has an empty one that says so."""
    panels = [await _panel(model, engine) for model in table.generators(store)]
    page = laid_out(table.title, [panels[place : place + COLUMNS] for place in range(0, len(panels), COLUMNS)])
    if table is not STACKED:
        page = page.quantize(SHADES, dither=Image.Dither.NONE)
    stream = io.BytesIO()
    page.save(stream, "PNG", optimize=True)
    return stream.getvalue()


async def _panel(model: Model, engine: EngineClient) -> tuple[str, Image.Image]:
    name = name_of(model)
    if model.card is None or not model.weights.is_file():
        return name, _empty()
    if model.manifest.points is not None:
        return await _plot(model, engine)
    images = await gather_samples(engine, model, seed=0, count=IMAGES)
    grid = tile(images)
    picture = Image.fromarray(grid[:, :, 0] if grid.shape[2] == 1 else grid).convert("RGB")
    return name, picture.resize((PANEL, PANEL), Image.Resampling.LANCZOS) if picture.width > PANEL else picture


async def _plot(model: Model, engine: EngineClient) -> tuple[str, Image.Image]:
    """The points as `/generate` plots them, smaller, and what they cover."""
    spec = model.manifest.points
    assert spec is not None
    assert spec.deviation is not None
    points = await gather_samples(engine, model, seed=0, count=POINTS)
    plot = PlotPNG(Contents(model.id, model.version, 0, POINTS, (2,), modes=spec.modes, deviation=spec.deviation))
    plot.add(points)
    whole = Image.open(io.BytesIO(plot.finish())).crop((0, 0, SIDE, SIDE))
    found = mode_coverage(np.asarray(points), spec.modes, spec.deviation)
    words = f"{name_of(model)}: {found.modes} modes, {found.good:.0%} good"
    return words, whole.resize((PANEL, PANEL), Image.Resampling.LANCZOS)


def _empty() -> Image.Image:
    panel = Image.new("RGB", (PANEL, PANEL), "#303030")
    ImageDraw.Draw(panel).text((PANEL / 2, PANEL / 2), "not trained yet", fill="#a0a0a0", font_size=14, anchor="mm")
    return panel
