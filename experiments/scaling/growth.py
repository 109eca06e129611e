"""What becomes the limit as pods are added, how many are needed for a day's work, and what that costs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from experiments.scaling.inputs import Inputs

DAY_S = 86_400.0
GIB = 1 << 30
UNLIMITED = math.inf


@dataclass(frozen=True, slots=True)
class Limits:
    """How many a second each resource can do, all pods together."""

    rates: Mapping[str, float]

    @property
    def first(self) -> str:
        """What is the limit."""
        return min(self.rates, key=lambda name: self.rates[name])

    @property
    def per_second(self) -> float:
        """How many a second there can be."""
        return self.rates[self.first]


def listeners(inputs: Inputs) -> float:
    """Processes of a pod that listen to the database: its fronts and evaluators."""
    return inputs.front_cores + inputs.evaluators_per_pod


def connections(inputs: Inputs) -> float:
    """Connections of a pod: each of those has one for its questions and one that listens."""
    return 2 * listeners(inputs)


def classifying(inputs: Inputs, pods: int) -> Limits:
    """Classifications a second: of one pod's cores and device, times the pods, and of what is before them."""
    batch_s = inputs.batch_fixed_s + inputs.max_batch * inputs.batch_row_s
    rates = {
        "cores of the fronts": pods * inputs.front_cores / inputs.request_core_s,
        "devices": pods * inputs.max_batch / batch_s,
        "load balancer": min(inputs.balancer_requests_s, inputs.balancer_bytes_s / inputs.request_bytes),
    }
    return Limits({name: inputs.share * rate for name, rate in rates.items()})


def evaluation_s(inputs: Inputs) -> float:
    """How long an evaluator is busy with an evaluation that waits for nothing."""
    return inputs.images * (inputs.image_core_s + inputs.image_device_s) + inputs.measure_core_s


def evaluating(inputs: Inputs, pods: int) -> Limits:
    """Evaluations a second."""
    spare = max(0.0, inputs.transactions_s - pods * inputs.pod_transactions_s)
    told = inputs.evaluation_changes * pods * listeners(inputs)
    rates = {
        "devices": pods / (inputs.images * inputs.image_device_s),
        "evaluators": pods * inputs.evaluators_per_pod / evaluation_s(inputs),
        "transactions": spare / (inputs.evaluation_transactions + evaluation_s(inputs)),
        "notices": inputs.notices_s / told,
        "connections": UNLIMITED if pods * connections(inputs) <= inputs.connections else 0.0,
        "bytes of the store": inputs.store_bytes_s / (2 * inputs.images * inputs.image_bytes),
        "requests of the store": inputs.store_requests_s / inputs.evaluation_store_requests,
    }
    return Limits({name: inputs.share * rate for name, rate in rates.items()})


def pods_of_a_cell(inputs: Inputs) -> int:
    """So many pods can share one database."""
    return max(1, math.floor(inputs.connections / connections(inputs)))


def cells(inputs: Inputs, pods: int) -> int:
    """Databases for so many pods."""
    return math.ceil(pods / pods_of_a_cell(inputs))


def evaluating_in_cells(inputs: Inputs, pods: int) -> Limits:
    """Evaluations a second of pods that share a database in groups of no more than it can take."""
    together = min(pods, pods_of_a_cell(inputs))
    return Limits({name: rate * pods / together for name, rate in evaluating(inputs, together).rates.items()})


def pods_for_classifications(inputs: Inputs, per_day: float) -> int:
    """Pods for so many a day in the busiest hour."""
    one = classifying(inputs, 1).rates
    return math.ceil(inputs.peak * per_day / DAY_S / min(one["cores of the fronts"], one["devices"]))


def pods_for_evaluations(inputs: Inputs, per_day: float) -> int:
    """Pods for so many a day in the busiest hour."""
    one = evaluating(inputs, 1).rates
    return math.ceil(inputs.peak * per_day / DAY_S / min(one["devices"], one["evaluators"]))


def balancers(inputs: Inputs, per_day: float) -> int:
    """Load balancers for so many requests a day in the busiest hour."""
    return math.ceil(inputs.peak * per_day / DAY_S / classifying(inputs, 1).rates["load balancer"])


def classifications_cost(inputs: Inputs, per_day: float) -> Mapping[str, float]:
    """Dollars for a million classifications, where pods for the busiest hour run all day."""
    share = 1e6 / per_day * 24
    return {
        "pods": share * inputs.gpu_hour * pods_for_classifications(inputs, per_day),
        "load balancers": share * inputs.balancer_hour * balancers(inputs, per_day),
    }


def evaluations_cost(inputs: Inputs, per_day: float) -> Mapping[str, float]:
    """Dollars for a million evaluations, where pods for the busiest hour run all day."""
    share = 1e6 / per_day * 24
    pods = pods_for_evaluations(inputs, per_day)
    kept_gib = 1e6 * inputs.images * inputs.image_bytes / GIB * inputs.kept_days / 30
    return {
        "pods": share * inputs.gpu_hour * pods,
        "databases": share * inputs.database_hour * cells(inputs, pods),
        "store": kept_gib * inputs.store_gib_month
        + 1e6 * inputs.evaluation_store_requests / 1000 * inputs.store_thousand_requests,
    }


def series(inputs: Inputs, pods: int) -> float:
    """Series of all pods, beside what one Prometheus holds."""
    return pods * inputs.pod_series / inputs.series
