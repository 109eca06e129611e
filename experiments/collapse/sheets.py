"""The pictures of the document: a sheet for each table, every generator's samples on it beside real ones."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from experiments.collapse.record import Record
from experiments.collapse.tables import MNIST, STACKED, Table, name_of
from experiments.pictures import laid_out
from service.datasets.registry import DATASETS, MIXTURES
from service.datasets.stacked import STACKED_MNIST
from service.imaging import Pixels, tile
from service.metrics.mode_coverage import mode_coverage
from service.operations.generate import gather_samples
from service.packing.plots import SIDE, PlotPNG
from service.packing.stream import Contents, Point, Samples
from service.runtime.calls import EngineClient
from service.scoring.images import POINTS
from service.store import Model

PANEL = 292
"""Side of one generator's samples, in pixels: as wide as the longest caption."""
ROWS = 2
IMAGES = 49
SHADES = 64
"""Of a picture without colours of its own, so that it is small."""
SURE_OF = {
    MNIST.key: ", and what share of them classifiers are sure of",
    STACKED.key: ", and in what share of them classifiers are sure of all three digits",
}
Panel = tuple[str, Image.Image]
"""What stands above it, and the picture."""


async def draw_sheet(table: Table, store: Path, engine: EngineClient, data_dir: Path, record: Record) -> bytes:
    """A PNG with a panel of real samples and one for each generator; one without weights has an empty one, and says so.

    Above points stands what they cover, above digits of what share of 10,000 images the classifiers of the record are
    sure.
    """
    panels = [_real(table, data_dir, record)]
    panels += [await _panel(model, engine, record) for model in table.generators(store)]
    columns = -(-len(panels) // ROWS)
    title = f"{table.title}{SURE_OF.get(table.key, '')}"
    page = laid_out(title, [panels[place : place + columns] for place in range(0, len(panels), columns)])
    if table is not STACKED:
        page = page.quantize(SHADES, dither=Image.Dither.NONE)
    stream = io.BytesIO()
    page.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _real(table: Table, data_dir: Path, record: Record) -> Panel:
    """The first samples that no generator has seen. Raises DatasetMissing."""
    if table.dataset in MIXTURES:
        mixture = MIXTURES[table.dataset]
        return _plotted("real samples", mixture.load(data_dir, "test")[:POINTS], mixture.modes, mixture.deviation)
    images = (STACKED_MNIST if table is STACKED else DATASETS[table.dataset]).load(data_dir, "test").images
    seen = [seen for found in record.values() if (seen := found.stack if table is STACKED else found.digits)]
    return f"real samples{_sure(seen[0].confident_real if seen else None)}", _tiled(images[:IMAGES])


async def _panel(model: Model, engine: EngineClient, record: Record) -> Panel:
    name, spec = name_of(model), model.manifest.points
    if model.card is None or not model.weights.is_file():
        return name, _empty()
    samples = await gather_samples(engine, model, seed=0, count=IMAGES if spec is None else POINTS)
    if spec is not None:
        assert spec.deviation is not None
        return _plotted(name, samples, spec.modes, spec.deviation)
    found = record.get(model.id)
    seen = found and (found.stack or found.digits)
    return f"{name}{_sure(seen.confident if seen else None)}", _tiled(samples)


def _sure(share: float | None) -> str:
    return "" if share is None else f": {share:.0%}"


def _tiled(images: Pixels) -> Image.Image:
    grid = tile(images)
    picture = Image.fromarray(grid[:, :, 0] if grid.shape[2] == 1 else grid).convert("RGB")
    return picture.resize((PANEL, PANEL), Image.Resampling.LANCZOS) if picture.width > PANEL else picture


def _plotted(name: str, points: Samples, modes: tuple[Point, ...], deviation: float) -> Panel:
    """The points as `/generate` plots them, smaller, and what they cover."""
    plot = PlotPNG(Contents(name, "", 0, POINTS, (2,), modes=modes, deviation=deviation))
    plot.add(points)
    whole = Image.open(io.BytesIO(plot.finish())).crop((0, 0, SIDE, SIDE))
    found = mode_coverage(np.asarray(points), modes, deviation)
    words = f"{name}: {found.modes} modes, {found.good:.0%} good"
    return words, whole.resize((PANEL, PANEL), Image.Resampling.LANCZOS)


def _empty() -> Image.Image:
    panel = Image.new("RGB", (PANEL, PANEL), "#303030")
    ImageDraw.Draw(panel).text((PANEL / 2, PANEL / 2), "not trained yet", fill="#a0a0a0", font_size=14, anchor="mm")
    return panel
