"""What waits where: requests in the fronts and batches of a pod, evaluations that share evaluators and devices."""

import heapq
from dataclasses import dataclass

import numpy as np

from experiments.scaling.inputs import Inputs


@dataclass(frozen=True, slots=True)
class Seconds:
    """How long it took."""

    p50: float
    p99: float
    mean: float

    @classmethod
    def of(cls, times: np.ndarray) -> "Seconds":
        """Of these times, in seconds."""
        return cls(float(np.quantile(times, 0.5)), float(np.quantile(times, 0.99)), float(times.mean()))


def classified(inputs: Inputs, per_second: float, *, count: int = 40_000, seed: int = 0) -> Seconds:
    """From a request's arrival at one pod to its answer, where requests come at random.

    Any of the fronts takes the next request; the device takes what waits when it is free, up to a whole batch.
    """
    draw = np.random.default_rng(seed)
    arrivals = np.cumsum(draw.exponential(1 / per_second, count))
    free = [0.0] * max(1, int(inputs.front_cores))
    read = np.empty(count)
    for number, arrival in enumerate(arrivals):
        begins = max(arrival, heapq.heappop(free))
        read[number] = begins + inputs.request_core_s
        heapq.heappush(free, read[number])
    order = np.argsort(read, kind="stable")
    waiting, answered = read[order], np.empty(count)
    at, done = 0.0, 0
    while done < count:
        at = max(at, waiting[done])
        rows = min(int(inputs.max_batch), int(np.searchsorted(waiting, at, side="right")) - done)
        at += inputs.batch_fixed_s + rows * inputs.batch_row_s
        answered[order[done : done + rows]] = at
        done += rows
    warm = count // 10
    return Seconds.of((answered - arrivals)[warm:])


def evaluated(inputs: Inputs, pods: int, per_second: float, *, count: int = 20_000, seed: int = 0) -> Seconds:
    """From an evaluation's acceptance to its report, where any evaluator takes the next, and asks its own pod's device.

    Reading takes a core, then the device the images in its turn, then measuring a core; a third more or less each time.
    """
    draw = np.random.default_rng(seed)
    arrivals = np.cumsum(draw.exponential(1 / per_second, count))
    size = draw.uniform(2 / 3, 4 / 3, count)
    evaluators = [(0.0, number % pods) for number in range(pods * int(inputs.evaluators_per_pod))]
    heapq.heapify(evaluators)
    device = np.zeros(pods)
    times = np.empty(count)
    for number, arrival in enumerate(arrivals):
        free, pod = heapq.heappop(evaluators)
        at = max(arrival, free) + size[number] * inputs.images * inputs.image_core_s
        begins = max(at, device[pod])
        device[pod] = begins + size[number] * inputs.images * inputs.image_device_s
        at = device[pod] + inputs.measure_core_s
        times[number] = at - arrival
        heapq.heappush(evaluators, (at, pod))
    return Seconds.of(times[count // 10 :])
