"""Waveforms to be generated from memory, in place of the music of the Clockwork RNN's first task.

Koutník et al. (ICML 2014, section 4.1) took five excerpts of 320 samples, 7 ms at 44.1 kHz, which they did not publish.
"""

from pathlib import Path

import numpy as np

from service.datasets.publication import Part
from service.datasets.series import Series, SeriesSource, Values

LENGTH = 320
PARTIALS = 8
SLOWEST, QUICKEST = 320.0, 12.0
"""Samples of the longest and of the shortest period."""
NOISE = 0.02


def waveforms(count: int = 5, *, length: int = LENGTH, seed: int = 0) -> Values:
    """Sums of eight sines a little off a logarithmic scale of periods, and noise; in [−1, 1], (length, count)."""
    rng = np.random.default_rng(seed)
    t = np.arange(length)[:, None, None]
    periods = np.geomspace(SLOWEST, QUICKEST, PARTIALS) * rng.uniform(0.85, 1.15, (count, PARTIALS))
    amplitudes = rng.uniform(0.2, 1.0, (count, PARTIALS))
    phases = rng.uniform(0, 2 * np.pi, (count, PARTIALS))
    wave = (amplitudes * np.sin(2 * np.pi * t / periods + phases)).sum(axis=2)  # (length, count)
    wave = wave / wave.std(axis=0) + NOISE * rng.standard_normal((length, count))
    scaled: Values = wave / np.abs(wave).max(axis=0)
    return scaled


def _read(_data_dir: Path, _part: Part) -> Series:
    """The same in both parts: a waveform is learnt by heart."""
    return Series.of(waveforms())


WAVEFORMS = SeriesSource("waveforms", ("first", "second", "third", "fourth", "fifth"), (), _read)
