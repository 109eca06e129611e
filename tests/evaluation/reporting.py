"""Reports and figures small enough to read, as an evaluation would leave them."""

import numpy as np

from service.evaluation.figures.data import Classes, Curve, Figures, Pairs, Projection, Typicality
from service.evaluation.report.schema import (
    Check,
    Extraction,
    GeneratedSet,
    MetricEntry,
    NoiseFloor,
    ReferenceSet,
    Report,
    Verdict,
)

HELD = Check(threshold="fid<=30", value=12.3456, passed=True)
BROKEN = Check(threshold="kid<0.01", value=0.0140135, passed=False)
NASTY = "'<script>alert(1)</script>|`*@everyone*`\n](http://evil) & \"quoted\".png': it is damaged."
"""A warning with a file name that tries to be markup."""


def entry(value: float = 12.3456, **fields: object) -> MetricEntry:
    """A score with an interval and a floor, unless they are given otherwise."""
    return MetricEntry.model_validate(
        {
            "value": value,
            "interval": (value * 0.9, value * 1.1),
            "interval_reason": None,
            "level": 0.95,
            "estimand": None,
            "standard_error": None,
            "generated_error": None,
            "noise_floor": NoiseFloor(value=value / 10, sizes=(30, 30), how="between halves"),
            "noise_floor_reason": None,
            **fields,
        }
    )


def report(*checks: Check, warnings: tuple[str, ...] = (), **fields: object) -> Report:
    """A report that these checks judge; without any it has no verdict."""
    verdict = Verdict(passed=all(check.passed for check in checks), checks=checks) if checks else None
    described: dict[str, object] = {
        "id": "5f3a9c01",
        "seed": 7,
        "generated": GeneratedSet(count=5000, sha256="a" * 64),
        "reference": ReferenceSet(name="mnist-test", dataset="mnist test", count=10000, kept=2000, sha256="b" * 64),
        "features": Extraction(extractor="lenet5-mnist", weights_sha256="c" * 64, dim=84, decoder="libspng"),
        "metrics": {
            "fid": entry(rank=84, estimand="the expectation"),
            "kid": entry(0.0140135, interval=None, interval_reason="there is none", p_value=0.005),
        },
        "warnings": warnings,
        "verdict": verdict,
        "timing": {"total": 1.75, "fid": 0.25, "measure": 1.5},
        "versions": {"chapterhouse": "0.1.0"},
        **fields,
    }
    return Report.model_validate(described)


def figures(*, classes: int = 4, real_images: bool = True) -> Figures:
    """One of each, of random samples."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 5, 6, 1), dtype=np.uint8)
    shares = rng.dirichlet(np.ones(classes), 2)
    return Figures(
        Projection(rng.normal(size=(30, 2)), rng.normal(size=(20, 2)), np.array([0.5, 0.25])),
        Classes(np.array([f"class <{index}>" for index in range(classes)]), *shares),
        Pairs(
            images,
            images if real_images else images[:0],
            np.array([0.1, 0.2, 0.3]),
            np.array([0.5, 0.4]),
            np.array([5000, 2000]),
        ),
        Typicality(images, images, rng.random((2, 3))),
        Curve(np.array([20, 40, 80]), np.array([[9.0, 8.0], [4.0, 5.0], [2.0, np.nan]])),
    )
