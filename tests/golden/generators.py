"""The arrays behind metrics.json, from PCG64 and element-wise arithmetic alone: the same bytes on every machine."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Case = tuple[Callable[[], Floats], Callable[[], Floats]]


def rng_of(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def sha256_of(array: NDArray[Any]) -> str:
    return hashlib.sha256(str(array.dtype).encode() + str(array.shape).encode() + array.tobytes()).hexdigest()


def gauss(n: int, d: int, seed: int, shift: float = 0.0, scale: float = 1.0, corr: float = 0.0) -> Floats:
    """x_j = scale · z_j + corr · z_{j−1} + shift · ((j mod 7) − 3) / 3."""
    z = rng_of(seed).standard_normal((n, d))
    x = z * scale
    if corr:
        x[:, 1:] = x[:, 1:] + corr * z[:, :-1]
    x = x + shift * (((np.arange(d) % 7) - 3) / 3.0)
    return x.astype(np.float32)


def inceptionlike(n: int, d: int, seed: int, shift: float = 0.0) -> Floats:
    """Not negative, skewed, of low rank with noise, as Inception's pool3 is."""
    factors = 8
    w = rng_of(99).standard_normal((factors, d)) / 4.0
    g = rng_of(seed)
    f = g.standard_normal((n, factors))
    x = 0.3 * g.standard_normal((n, d)) + (0.2 + shift)
    for k in range(factors):
        x = x + f[:, k : k + 1] * w[k][None, :]
    return np.maximum(x, 0.0).astype(np.float32)


def collapsed(n: int, d: int, seed: int, k: int) -> Floats:
    """n rows that are copies of k points."""
    points = rng_of(seed).standard_normal((k, d)).astype(np.float32)
    copies: Floats = points[np.arange(n) % k]
    return copies


def with_a_nan(rows: Floats) -> Floats:
    """Number 17, counted row by row, is not a number."""
    return np.where(np.arange(rows.size).reshape(rows.shape) == 17, np.float32(np.nan), rows).astype(np.float32)


def logits(n: int, c: int, seed: int, conf: float = 6.0, classes: int | None = None, noise: float = 1.0) -> Floats:
    """Class i mod `classes` gets `conf` more than noise."""
    x = noise * rng_of(seed).standard_normal((n, c))
    x[np.arange(n), np.arange(n) % (classes or c)] += conf
    return x.astype(np.float32)


def image(height: int, width: int, seed: int, kind: str) -> NDArray[np.uint8]:
    """Noise, a checkerboard of 4×4 pixels, or ramps: uint8 (height, width, 3)."""
    if kind == "noise":
        return rng_of(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    y, x = np.mgrid[0:height, 0:width]
    if kind == "checker":
        squares = ((y // 4 + x // 4) % 2 * 255).astype(np.uint8)
        return np.stack([squares, 255 - squares, squares], 2)
    ramps = [x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), (x + y) % 256]
    return np.stack(ramps, 2).astype(np.uint8)


FEATURES: dict[str, Case] = {
    "gauss_500x64": (lambda: gauss(500, 64, 1), lambda: gauss(500, 64, 2, 0.3, 1.2, 0.4)),
    "gauss_2000x768": (lambda: gauss(2000, 768, 5), lambda: gauss(2000, 768, 6, 0.1, 1.05, 0.2)),
    "gauss_3000x2048": (lambda: gauss(3000, 2048, 7), lambda: gauss(3000, 2048, 8, 0.1, 1.05, 0.2)),
    "same_dist_1000x64": (lambda: gauss(1000, 64, 11), lambda: gauss(1000, 64, 12)),
    "inc_1000x64": (lambda: inceptionlike(1000, 64, 21), lambda: inceptionlike(1000, 64, 22, 0.1)),
    "inc_500x768_N_lt_d": (lambda: inceptionlike(500, 768, 25), lambda: inceptionlike(500, 768, 26, 0.1)),
    "identical_500x64": (lambda: inceptionlike(500, 64, 41), lambda: inceptionlike(500, 64, 41)),
    "identical_1000x2048_N_lt_d": (
        lambda: inceptionlike(1000, 2048, 43),
        lambda: inceptionlike(1000, 2048, 43),
    ),
    "collapsed10_500x64": (lambda: gauss(500, 64, 51), lambda: collapsed(500, 64, 52, 10)),
    "constant_500x64": (lambda: gauss(500, 64, 55), lambda: collapsed(500, 64, 56, 1)),
    "both_constant_100x64": (lambda: collapsed(100, 64, 57, 1), lambda: collapsed(100, 64, 58, 1)),
    "tiny1e-4_500x64": (
        lambda: gauss(500, 64, 63) * np.float32(1e-4),
        lambda: gauss(500, 64, 64, 0.3, 1.2, 0.4) * np.float32(1e-4),
    ),
    "d2_20x2": (lambda: gauss(20, 2, 73), lambda: gauss(20, 2, 74, 0.3, 1.2, 0.4)),
    "n2_2x64": (lambda: gauss(2, 64, 75), lambda: gauss(2, 64, 76)),
    "nan_100x64": (lambda: gauss(100, 64, 77), lambda: with_a_nan(gauss(100, 64, 78))),
}

LOGITS: dict[str, Case] = {
    "c10_1000": (lambda: logits(1000, 10, 101), lambda: logits(1000, 10, 102, conf=4.0, classes=7)),
    "c1000_1000": (
        lambda: logits(1000, 1000, 103, conf=12.0),
        lambda: logits(1000, 1000, 104, conf=9.0, classes=300),
    ),
    "c10_uniform": (lambda: logits(1000, 10, 111), lambda: np.zeros((1000, 10), np.float32)),
    "c10_saturated": (
        lambda: logits(1000, 10, 112),
        lambda: logits(1000, 10, 113, conf=1e4, classes=7, noise=0.0),
    ),
    "n5_lt_splits": (lambda: logits(5, 10, 115), lambda: logits(5, 10, 116)),
}

IMAGES: dict[str, Callable[[], NDArray[np.uint8]]] = {
    "noise_32x32": lambda: image(32, 32, 201, "noise"),
    "noise_64x48": lambda: image(64, 48, 202, "noise"),
    "noise_299x299": lambda: image(299, 299, 203, "noise"),
    "noise_512x512": lambda: image(512, 512, 204, "noise"),
    "checker_512x512": lambda: image(512, 512, 205, "checker"),
    "ramp_256x256": lambda: image(256, 256, 206, "ramp"),
    "checker_1024x768": lambda: image(1024, 768, 207, "checker"),
}
