"""How often and how long each model has worked, in the words of Triton's statistics, from the service's instruments."""

from collections.abc import Iterable
from typing import Any

from service.store import Model

Samples = dict[tuple[str, str], float]
"""Values by the name of the sample and the model that it is of."""

_NANOSECONDS = 1e9
COUNTED = ("chapterhouse_batch_rows", "chapterhouse_forward_seconds", "chapterhouse_queue_seconds")
FAILED = "chapterhouse_model_failures_total"
NAMES = (*(f"{name}_{part}" for name in COUNTED for part in ("count", "sum")), FAILED)
"""The samples that are asked for."""


def samples_of(lines: Iterable[tuple[str, dict[str, str], float]]) -> Samples:
    """The samples of each model, those of several devices together."""
    found: Samples = {}
    for name, labels, value in lines:
        if "model" in labels:
            key = name, labels["model"]
            found[key] = found.get(key, 0.0) + value
    return found


def describe_work(model: Model, samples: Samples) -> dict[str, Any]:
    """The statistics of one model: an inference is a row, an execution a forward pass."""

    def of(name: str) -> float:
        return samples.get((name, model.id), 0.0)

    rows, passes = int(of("chapterhouse_batch_rows_sum")), int(of("chapterhouse_forward_seconds_count"))
    queue_s, forward_s = of("chapterhouse_queue_seconds_sum"), of("chapterhouse_forward_seconds_sum")
    nothing = _duration(0, 0.0)
    return {
        "name": model.name,
        "version": model.version,
        "last_inference": 0,
        "inference_count": rows,
        "execution_count": passes,
        "inference_stats": {
            "success": _duration(rows, queue_s + forward_s),
            "fail": _duration(int(of(FAILED)), 0.0),
            "queue": _duration(int(of("chapterhouse_queue_seconds_count")), queue_s),
            "compute_input": _duration(passes, 0.0),
            "compute_infer": _duration(passes, forward_s),
            "compute_output": _duration(passes, 0.0),
            "cache_hit": nothing,
            "cache_miss": nothing,
        },
        "batch_stats": [],
        "memory_usage": [],
    }


def _duration(count: int, seconds: float) -> dict[str, int]:
    return {"count": count, "ns": int(seconds * _NANOSECONDS)}
