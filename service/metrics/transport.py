"""Optimal transport between two uniform measures, exactly, with the potentials that prove it."""

from dataclasses import dataclass
from math import gcd

import numpy as np
from scipy.optimize import linear_sum_assignment

from service.errors import InvalidSamples
from service.metrics.distances import Index
from service.metrics.samples import Real

GAP = 1e-9  # share of the largest cost by which the plan's and the potentials' costs may differ


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The least cost, and potentials f (n,) and g (m,) with f_i + g_j ≤ C_ij whose means add up to it."""

    cost: float
    f: Real
    g: Real


def transport(costs: Real) -> Plan:
    """The optimal plan between weights 1/n and 1/m at costs (n, m).

    Raises InvalidSamples where the potentials do not prove the plan optimal: a score is the optimum or an error.
    """
    n, m = costs.shape
    if n == m:
        plan = _assign(costs)
    elif n < m:
        plan = _Shipping(costs).solve()
    else:
        turned = _Shipping(np.ascontiguousarray(costs.T)).solve()
        plan = Plan(turned.cost, turned.g, turned.f)
    scale = float(costs.max())
    proof = float(plan.f.mean() + plan.g.mean())
    feasible = float((costs - plan.f[:, None] - plan.g).min(initial=0.0)) >= -GAP * scale
    if not feasible or not abs(plan.cost - proof) <= GAP * scale:
        raise InvalidSamples("The transport plan did not reach its optimum; there is no exact Wasserstein distance.")
    return plan


def _assign(costs: Real) -> Plan:
    """One to one. The potentials lie halfway between the two extreme ones, which vary more with the sample."""
    rows, columns = linear_sum_assignment(costs)
    matched = costs[rows, columns]
    W = costs[:, columns] - matched  # f_i ≤ W_ij + f_j; no circle of such steps is negative at the optimum
    f = (_shortest(W) - _shortest(np.ascontiguousarray(W.T))) / 2
    g = np.empty(len(f))
    g[columns] = matched - f
    return Plan(float(matched.mean()), f, g)


def _shortest(W: Real) -> Real:
    """The largest f ≤ 0 with f_i ≤ W_ij + f_j, by Bellman and Ford's steps from the rows that moved."""
    f = np.zeros(len(W))
    rounding = 1e-13 * float(np.abs(W).max(initial=0.0))
    moved = np.arange(len(W))
    for _ in range(len(W) + 1):
        shorter = (W[:, moved] + f[moved]).min(axis=1)
        changed = shorter < f - rounding
        if not changed.any():
            break
        f[changed] = shorter[changed]
        moved = np.nonzero(changed)[0]
    return f


def _nearly(costs: Real) -> Real:
    """Potentials f (n,) that are close to the optimal ones, n ≤ m: those of as many columns as whole copies of rows."""
    n, m = costs.shape
    copies = m // n
    plan = _assign(np.repeat(costs, copies, axis=0)[:, : n * copies])
    f: Real = plan.f.reshape(n, copies).mean(axis=1)
    return f


class _Shipping:
    """The transport problem by successive shortest paths (Jonker and Volgenant 1987) with several units a row.

    Row i has m / gcd units to send, column j takes n / gcd; every path sends as much as it can.
    """

    def __init__(self, costs: Real) -> None:
        self._costs = costs
        n, m = costs.shape
        unit = gcd(n, m)
        self._supply = np.full(n, m // unit)
        self._demand = np.full(m, n // unit)
        self._flow = np.zeros((n, m), np.int64)
        self._senders: list[set[int]] = [set() for _ in range(m)]
        f = _nearly(costs)
        self._g = (costs - f[:, None]).min(axis=0)
        self._f = (costs - self._g).min(axis=1)

    def solve(self) -> Plan:
        """Send everything."""
        for row in range(len(self._supply)):
            while self._supply[row]:
                self._send(row)
        shares = self._flow / self._flow.sum()
        return Plan(float((shares * self._costs).sum()), self._f, self._g)

    def _send(self, source: int) -> None:
        """One shortest path from a row with units left to a column that takes some; then the potentials follow."""
        m = len(self._demand)
        reach, through = np.full(m, np.inf), np.full(m, -1, np.intp)
        done = np.zeros(m, bool)
        entered = {source: 0.0}  # rows on the tree, and how far they are
        came_by: dict[int, int] = {}
        fresh = [source]
        while True:
            for row in fresh:
                path = self._costs[row] - (self._f[row] - entered[row]) - self._g
                closer = (path < reach) & ~done
                reach[closer], through[closer] = path[closer], row
            column = int(np.where(done, np.inf, reach).argmin())
            if self._demand[column]:
                break
            done[column] = True
            fresh = [row for row in self._senders[column] if row not in entered]
            for row in fresh:
                entered[row], came_by[row] = float(reach[column]), column
        length = float(reach[column])
        self._follow(length, entered, done, reach)
        self._ship(source, column, through, came_by)

    def _follow(self, length: float, entered: dict[int, float], done: Index, reach: Real) -> None:
        for row, distance in entered.items():
            self._f[row] += length - distance
        self._g[done] -= length - reach[done]

    def _ship(self, source: int, column: int, through: Index, came_by: dict[int, int]) -> None:
        steps = []
        at, row = column, int(through[column])
        while row != source:
            steps.append((row, at, came_by[row]))
            at = came_by[row]
            row = int(through[at])
        amount = min(
            [int(self._supply[source]), int(self._demand[column])] + [int(self._flow[r, c]) for r, _, c in steps]
        )
        self._supply[source] -= amount
        self._demand[column] -= amount
        self._change(source, at, amount)
        for r, to, back in steps:
            self._change(r, to, amount)
            self._change(r, back, -amount)

    def _change(self, row: int, column: int, amount: int) -> None:
        self._flow[row, column] += amount
        if self._flow[row, column]:
            self._senders[column].add(row)
        else:
            self._senders[column].discard(row)
