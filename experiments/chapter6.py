"""The numbers of chapter 6 over five seeds, each a net and data of its own, beside what was published; and plots.

    python experiments/chapter6.py [--plots FOLDER]

Echo state networks take seconds; the Clockwork RNN and the nets beside it take minutes.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torch.autograd import backward

from service.datasets.lorenz import LYAPUNOV, STEP, lorenz
from service.datasets.mackey_glass import mackey_glass
from service.datasets.narma10 import narma10
from service.datasets.waveforms import waveforms
from service.nets.clockwork import ClockworkRNN
from service.nets.echo_state import EchoState
from service.nets.layers import count_parameters
from service.nets.recurrent import LSTM, PlainRNN
from service.nets.registry import build_net
from service.scoring.forecasts import nmse, nrmse, valid_steps
from service.settings import Settings
from service.store import Model
from service.tasks.forecast import Fit

SEEDS = range(5)
TRAINED, TESTED = 1000, 2000
"""Seeds of the data; options were chosen on other series."""
LEAD, CONTINUATIONS = 84, 100
SPARSE: dict[str, Any] = {"connections": 10}
GLASS_400 = {"spectral_radius": 0.95, "leak": 0.6, "input_scaling": 0.2, "bias_scaling": 0.15, **SPARSE}
GLASS_1000 = {"spectral_radius": 0.9, "leak": 0.6, "input_scaling": 0.3, "bias_scaling": 0.1, **SPARSE}
NARMA = {"spectral_radius": 0.9, "input_scaling": 0.015, "bias_scaling": 0.5, **SPARSE}
LORENZ = {"spectral_radius": 0.4, "input_scaling": 0.3, "bias_scaling": 1.0, **SPARSE}
EPOCHS, RATE = 2000, 3e-3
WIDTH, HEIGHT, MARGIN = 1000, 240, 36
COLOURS = ("#1b1b1b", "#d62728", "#1f77b4", "#2ca02c", "#9467bd")
BAND = "#f6d5d5"

Values = NDArray[np.float64]
Score = tuple[float, tuple[Values, Values]]
"""A number, and a forecast beside what came, (T, channels) both."""


def as_row(values: Values) -> Tensor:
    """A series (T, c) as a batch of one."""
    return torch.from_numpy(np.ascontiguousarray(values))[None]


def fitted(net: EchoState, series: Tensor, *, washout: int, ridge: float) -> EchoState:
    """The net with a readout of all steps after the washout."""
    features = net.normalise_by(series[0]).features(series)[0]
    return net.settle(net.sums(features[washout:], series[0, washout:, : net.channels]).solve(ridge))


def free_runs(net: EchoState, values: Values, ends: NDArray[np.int64], horizon: int) -> tuple[Values, Values]:
    """What the net expects after some points of a series, and what came, (points, horizon, channels) both."""
    series = as_row(values)
    nothing = series[..., :0]
    memories = net.follow(series, nothing, ends.tolist())[0]
    found, _ = net.run(memories, nothing[:, :horizon].expand(len(ends), -1, -1))
    return found.numpy(), np.stack([values[end : end + horizon] for end in ends])


def glass(seed: int, *, units: int, options: dict[str, Any], delay: int = 17, ridge: float = 1e-11) -> Score:
    """NRMSE84 of the Mackey–Glass series: 3,000 steps, 1,000 of them washed out."""
    net = EchoState(units=units, seed=seed, **options)
    fitted(net, as_row(mackey_glass(3000, delay=delay, seed=TRAINED + seed)), washout=1000, ridge=ridge)
    test = mackey_glass(1000 + CONTINUATIONS * LEAD, delay=delay, seed=TESTED + seed)
    ends = 1000 + LEAD * np.arange(CONTINUATIONS)
    found, truth = free_runs(net, test, ends, LEAD)
    [shown], [came] = free_runs(net, test, ends[:1], 500)
    return nrmse(found[:, -1], truth[:, -1], float(test.var())), (shown, came)


def narma(seed: int, *, units: int) -> Score:
    """NMSE of NARMA-10: 200 steps washed out, 2,000 to train, 2,000 to test."""
    (y, u), (y_test, u_test) = (narma10(2200, seed=part + seed) for part in (TRAINED, TESTED))
    net = EchoState(units=units, inputs=1, feedback=False, seed=seed, **NARMA)
    fitted(net, as_row(np.concatenate([y, u], axis=1)), washout=200, ridge=1e-8)
    with torch.no_grad():
        found = net(as_row(np.concatenate([y_test, u_test], axis=1)))[0, 200:].numpy()
    return nmse(found, y_test[200:]), (found[:300], y_test[200:500])


def butterfly(seed: int, *, units: int) -> Score:
    """Valid time of the Lorenz system in Lyapunov times: 5,000 steps to train, the mean of 50 free runs."""
    net = EchoState(channels=3, units=units, seed=seed, **LORENZ)
    fitted(net, as_row(lorenz(5000, seed=TRAINED + seed)), washout=200, ridge=1e-8)
    test = lorenz(1000 + 51 * 750, seed=TESTED + seed)
    found, truth = free_runs(net, test, 1000 + 750 * np.arange(50), 750)
    variance = float(test.var(axis=0).sum())
    steps = [valid_steps(*pair, variance) for pair in zip(found, truth, strict=True)]
    return float(np.mean(steps)) * STEP * LYAPUNOV, (found[0], truth[0])


def by_heart(kind: Callable[..., nn.Module], **options: int) -> tuple[Values, Values, float]:
    """NMSE of five waveforms (seeds, waveforms) learnt by nets side by side, what one seed plays, and seconds."""
    torch.manual_seed(0)
    waves = waveforms()
    target = torch.from_numpy(np.tile(waves, len(SEEDS))).float()[None]  # (1, T, seeds·waveforms)
    net = kind(groups=target.shape[2], **options)
    optimiser = torch.optim.Adam(net.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
    nothing = torch.zeros(1, len(waves), 0)
    began = time.perf_counter()
    for _ in range(EPOCHS):
        loss = (net(nothing) - target).square().mean(dim=(0, 1)).sum()
        optimiser.zero_grad()
        backward(loss)
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        played = net(nothing)
    errors = (played - target).square().mean(dim=(0, 1)) / target.var(dim=(0, 1), correction=0)
    shape = (len(SEEDS), waves.shape[1])
    return errors.view(shape).double().numpy(), played[0, :, : shape[1]].numpy(), time.perf_counter() - began


def over_seeds(name: str, target: str, measure: Callable[[int], Score]) -> tuple[Values, Values]:
    """Print a line of the table; the first seed's forecast and what came."""
    began = time.perf_counter()
    scores = [measure(seed) for seed in SEEDS]
    report(name, target, np.array([value for value, _ in scores]), time.perf_counter() - began)
    return scores[0][1]


def report(name: str, target: str, values: Values, seconds: float) -> None:
    """Print one line of the table."""
    each = ", ".join(f"{value:.3g}" for value in values)
    print(
        f"| {name} | {target} | **{values.mean():.3g}** ± {values.std(ddof=1):.2g} | {each} | {seconds:.0f} |",
        flush=True,
    )


def channels(title: str, found: Values, truth: Values) -> list[Any]:
    """A panel a channel."""
    pairs = zip(found.T, truth.T, strict=True)
    return [plot_lines(f"{title}, channel {place}", {"truth": b, "forecast": a}) for place, (a, b) in enumerate(pairs)]


def noisy_seasons(length: int) -> Values:
    """Two seasons and noise, (length, 1)."""
    t, noise = np.arange(length), np.random.default_rng(0).normal(0, 0.5, length)
    wave: Values = 10 + 3 * np.sin(2 * np.pi * t / 24) + np.sin(2 * np.pi * t / 7.3) + noise
    return wave[:, None]


INTERVALS: dict[str, Callable[[int], Values]] = {
    "Mackey-Glass": mackey_glass,
    "Lorenz": lorenz,
    "noisy seasons": noisy_seasons,
}


def with_interval(name: str, series: Values, horizon: int = 300) -> Image.Image:
    """What `fit: true` makes of 2,000 steps, the interval of 95 % around it, and what came."""
    manifest = Model(Settings().shipped_models_dir / "esn-mackey-glass").manifest
    net = build_net(manifest.net, manifest.options).eval().requires_grad_(requires_grad=False)
    fit = Fit()
    with torch.inference_mode():
        tensors = [as_row(series[:2000]), torch.zeros(1, 2000 + horizon, 0, dtype=torch.float64)]
        forecast, errors, starts, *_ = fit.forward(net, tensors, manifest)
    half = fit.finish(errors[0].numpy(), starts[0].numpy(), horizon, 0.95).half
    assert half is not None
    found, truth = forecast[0, :, 0].numpy(), series[2000 : 2000 + horizon, 0]
    inside = np.mean(np.abs(found - truth) <= half[:, 0])
    title = f"{name}: fitted to 2,000 steps, {inside:.0%} of {horizon} inside the interval of 95 %"
    return plot_lines(title, {"truth": truth, "forecast": found}, band=(found - half[:, 0], found + half[:, 0]))


def plot_lines(title: str, lines: Mapping[str, Values], *, band: tuple[Values, Values] | None = None) -> Image.Image:
    """One panel: named lines (T,) over the same steps, and a band between two more."""
    panel = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(panel)
    values = np.concatenate([*lines.values()])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    pad = 0.05 * (high - low or 1.0)
    low, high = low - pad, high + pad

    def points(line: Values) -> list[tuple[float, float]]:
        x = MARGIN + np.arange(len(line)) / max(1, len(line) - 1) * (WIDTH - 2 * MARGIN)
        shown = np.clip(line, low, high)
        y = HEIGHT - MARGIN - (shown - low) / (high - low) * (HEIGHT - 2 * MARGIN)
        return list(zip(x.tolist(), y.tolist(), strict=True))

    if band is not None:
        draw.polygon(points(band[0]) + points(band[1])[::-1], fill=BAND)
    draw.rectangle((MARGIN, MARGIN, WIDTH - MARGIN, HEIGHT - MARGIN), outline="#bbbbbb")
    for colour, line in zip(COLOURS, lines.values(), strict=False):
        draw.line(points(line), fill=colour, width=2)
    draw.text((MARGIN, 8), title, fill="black", font_size=15)
    at = float(MARGIN)
    for colour, name in zip(COLOURS, lines, strict=False):
        draw.text((at, HEIGHT - MARGIN + 10), name, fill=colour, font_size=13)
        at += draw.textlength(name, font_size=13) + 24
    for value, y in ((high, MARGIN), (low, HEIGHT - MARGIN)):
        draw.text((2, y - 6), f"{value:.3g}", fill="#555555", font_size=11)
    return panel


def save_panels(panels: Sequence[Image.Image], path: Path) -> None:
    """Panels one below the other, in one PNG."""
    page = Image.new("RGB", (WIDTH, HEIGHT * len(panels)), "white")
    for place, panel in enumerate(panels):
        page.paste(panel, (0, place * HEIGHT))
    page.save(path)


def main() -> None:
    """Print the table; draw the plots where a folder is given."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--plots", type=Path, help="where to draw forecasts against the truth")
    folder = parser.parse_args().plots
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, one thread; five seeds: mean ± standard deviation\n")
    print("| what | to beat | here | each seed | s |\n|---|---|---|---|---|")
    pages = {
        "mackey-glass-400": over_seeds(
            "Mackey–Glass τ=17, NRMSE84, N=400", "≤ 3e-4", lambda seed: glass(seed, units=400, options=GLASS_400)
        ),
        "mackey-glass-1000": over_seeds(
            "Mackey–Glass τ=17, NRMSE84, N=1000", "≤ 6e-5", lambda seed: glass(seed, units=1000, options=GLASS_1000)
        ),
        "mackey-glass-30": over_seeds(
            "Mackey–Glass τ=30, NRMSE84, N=400",
            "0.11 in 2001",
            lambda seed: glass(seed, units=400, options=GLASS_400, delay=30, ridge=1e-6),
        ),
        "narma10-100": over_seeds("NARMA-10, NMSE, N=100", "≤ 0.10", lambda seed: narma(seed, units=100)),
        "narma10-200": over_seeds("NARMA-10, NMSE, N=200", "≤ 0.05", lambda seed: narma(seed, units=200)),
        "lorenz": over_seeds("Lorenz, Lyapunov times, N=300", "≥ 7", lambda seed: butterfly(seed, units=300)),
    }
    kinds: dict[str, tuple[Callable[..., nn.Module], int, str]] = {
        "Clockwork RNN": (ClockworkRNN, 40, "≤ 0.01"),
        "plain RNN": (PlainRNN, 31, "–"),
        "LSTM": (LSTM, 15, "–"),
    }
    for name, (kind, units, target) in kinds.items():
        errors, played, seconds = by_heart(kind, units=units)
        parameters = count_parameters(kind(units=units))
        title = f"waveforms, NMSE, {name} of {units} units ({parameters:,} parameters)"
        report(title, target, errors.mean(axis=1), seconds)
        pages[f"waveforms-{name.split()[0].lower()}"] = (played.astype(np.float64), waveforms())
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, (found, truth) in pages.items():
            save_panels(channels(name, found, truth), folder / f"{name}.png")
        fits = [with_interval(name, np.ascontiguousarray(source(2300))) for name, source in INTERVALS.items()]
        save_panels(fits, folder / "intervals.png")
        print(f"\nplots in {folder}")


if __name__ == "__main__":
    main()
