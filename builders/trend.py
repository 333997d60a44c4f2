"""Levels of groups and one smooth curve through time, told apart from scatter.

Timing errors and loudness are taken apart in the same way, by least squares:

    value = level of its group + curve(time) + residual,    curve(time) = a time + b time^2

The curve is zero at time 0. Its two terms are made orthogonal to the groups and to each other
(Lovell 1963, doi:10.1080/01621459.1963.10480682), so that each can be judged on its own. Scatter
leaks into every estimate; what scatter alone explains is taken out again (`beyond`), so that it is
judged once and not as a little of everything.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

_VANISHING = 1e-12
"""Sums of squares of times of order 1 that are only rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A parabola that is zero at time 0.

    Attributes:
        line: Slope of the straight line through all groups.
        bend: Coefficient of `time^2 - lean * time`, which is orthogonal to the line.
        lean: See `bend`.
    """

    line: float
    bend: float
    lean: float

    def __call__(self, time: Floats) -> Floats:
        """Return the values at some times."""
        return (self.line - self.bend * self.lean) * time + self.bend * time**2

    def slope(self, time: Floats) -> Floats:
        """Return the change per unit of time at some times."""
        return self.line - self.bend * self.lean + 2 * self.bend * time


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Trend:
    """What `fit` found.

    Attributes:
        level: Value of each group at time 0, `(groups,)`; 0 for groups without members.
        count: Members of each group, `(groups,)`.
        curve: Change over time, as far as scatter does not explain it.
        residual: What neither levels nor any parabola explain, `(values,)`.
        freedom: Degrees of freedom of the residual, at least 1.
        variance: Of one value, estimated from the residual.
    """

    level: Floats
    count: Ints
    curve: Curve
    residual: Floats
    freedom: int
    variance: float


def fit(values: Floats, group: Ints, time: Floats, groups: int) -> Trend:
    """Return the levels and the curve of some values.

    The curve is flat where time does not vary within groups.

    Args:
        values: One or more.
        group: Group of each value, in [0, groups).
        time: Time of each value, of order 1.
        groups: How many groups there may be.
    """
    count = np.bincount(group, minlength=groups)
    share = 1 / np.maximum(count, 1)

    def centred(x: Floats) -> Floats:
        return x - (np.bincount(group, x, groups) * share)[group]

    line, square, residual = centred(time), centred(time**2), centred(values)
    line_size = float(line @ line)
    lean = _ratio(float(square @ line), line_size)
    bow = square - lean * line
    bow_size = float(bow @ bow)
    slope = _ratio(float(line @ residual), line_size)
    bend = _ratio(float(bow @ residual), bow_size)
    residual = residual - slope * line - bend * bow

    freedom = max(len(values) - int(np.count_nonzero(count)) - 2, 1)
    variance = float(residual @ residual) / freedom
    curve = Curve(
        line=shrunk(slope, _ratio(variance, line_size)),
        bend=shrunk(bend, _ratio(variance, bow_size)),
        lean=lean,
    )
    return Trend(
        level=np.bincount(group, values - curve(time), groups) * share,
        count=count,
        curve=curve,
        residual=residual,
        freedom=freedom,
        variance=variance,
    )


def contrasts(values: Floats, group: Ints, block: Ints) -> tuple[Floats, float]:
    """Return how groups differ from each other within blocks, so that blocks may differ freely.

    Two-way analysis of variance without interaction, for any numbers of members. Slow wandering
    from block to block neither shifts the groups nor counts as scatter.

    Args:
        values: One or more.
        group: Group of each value, all of 0, 1, ... in use.
        block: Block of each value, from 0.

    Returns:
        Deviation of each group from the mean of all values, `(groups,)`, as far as scatter does
        not explain it, and its root mean square over the values.
    """
    table = np.zeros((int(block.max()) + 1, int(group.max()) + 1))
    np.add.at(table, (block, group), 1.0)
    count = table.sum(axis=0)
    share = 1 / np.maximum(table.sum(axis=1), 1)
    inverse = np.linalg.pinv(np.diag(count) - table.T @ (table * share[:, None]), hermitian=True)
    level = np.bincount(block, values) * share
    deviation = inverse @ (np.bincount(group, values) - table.T @ level)
    deviation -= float(count @ deviation) / len(values)

    residual = values - deviation[group]
    residual -= (np.bincount(block, residual) * share)[block]
    dims = len(count) - 1
    freedom = len(values) - int(np.count_nonzero(table.any(axis=1))) - dims
    variance = float(residual @ residual) / max(freedom, 1)
    leverage = float(count @ np.diag(inverse)) / max(dims, 1)
    square = float(count @ deviation**2) / len(values)
    size = beyond(square, variance * leverage / len(values), dims)
    return deviation * (size / sqrt(square) if size else 0.0), size


def beyond(square: float, variance: float, dims: int = 1) -> float:
    """Return the size of an effect beyond what scatter explains.

    Args:
        square: Squared size of the estimated effect, summed over its dimensions.
        variance: Of the estimate in each dimension, under scatter alone.
        dims: Dimensions of the effect.

    Returns:
        The root of `square` less what chance alone seldom exceeds: `variance` times the mean plus
        one standard deviation of a chi-square variable with `dims` degrees of freedom. 0 where
        nothing is left.

    Examples:
        >>> beyond(9.0, 0.0)
        3.0
        >>> beyond(9.0, 4.0)
        0.0
    """
    return sqrt(max(0.0, square - variance * (dims + sqrt(2 * dims))))


def shrunk(effect: float, variance: float) -> float:
    """Return a signed effect, as far as scatter of some variance does not explain it."""
    size = beyond(effect**2, variance)
    return size if effect > 0 else -size


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > _VANISHING else 0.0
