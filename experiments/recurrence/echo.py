"""Echo state networks at the task that the others learn by gradient: one pass and one linear system."""

import time

import numpy as np
import torch

from experiments.chapter6 import NARMA, as_row, fitted
from experiments.recurrence.record import Echoed
from experiments.recurrence.tasks import Narma
from experiments.recurrence.training import SEEDS
from service.nets.echo_state import EchoState
from service.scoring.forecasts import nmse

SIZES = (50, 100, 200)
WASHOUT = 200
RIDGE = 1e-8


def echo(task: Narma, units: int) -> Echoed:
    """Five reservoirs of one size on the task's own series."""
    (u, y), (u_test, y_test) = (task.series(part) for part in ("training", "test"))
    series, unseen = (as_row(np.concatenate([b, a], axis=1)) for a, b in ((u, y), (u_test, y_test)))
    nets = [EchoState(units=units, inputs=1, feedback=False, seed=seed, **NARMA) for seed in range(SEEDS)]
    errors, begun = [], time.process_time()
    for net in nets:
        fitted(net, series, washout=WASHOUT, ridge=RIDGE)
        with torch.no_grad():
            found = net(unseen)[0, WASHOUT:].numpy()
        errors.append(round(nmse(found, y_test[WASHOUT:].numpy()), 6))
    return Echoed(
        units=units,
        fitted=nets[0].readout.weight.numel(),
        errors=tuple(errors),
        seconds=round(time.process_time() - begun, 2),
    )
