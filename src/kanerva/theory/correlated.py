r"""The correlated dense associative memory with many neurons: closed forms and reduced dynamics.

This memory reads by attention and sends the weights along the edges of a graph of its m memories.
Where the entries of the patterns are independent and the number n of neurons grows at fixed m, dot
products of different patterns vanish beside those of equal ones. A state is then a sum of patterns,
:math:`\sum_j c_j x_j`, and its coordinates c obey

.. math:: \dot c = \text{softmax}(s c)\, B - \frac{\text{mean}}{m} \mathbf 1 - c, \quad
    B = a I + h M

where the ``sharpness`` s is beta n v, for patterns whose entries have the variance v, and ``mean``
is the share of the mean pattern that is subtracted. A common mean of the entries adds the same
number to all scores, which the softmax ignores.

The array B is the ``mixing``. Its row i is what memory i adds to the state once it is attended to:
a of itself, and h M_ij of memory j for an edge from i to j. So in a directed graph the state moves
along the edges.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Real

from kanerva._core import checks
from kanerva._core.errors import InputError, InputTypeError, door, refuse
from kanerva.theory import _inputs

__all__ = ["Pure", "lyapunov", "pure", "settle", "uniform"]

LARGEST = 1e100  # Products of three such numbers are within the range of floats.
ROUNDING = 1e-14  # Coordinates smaller than this share of their terms count as zero.
EQUAL = 1e-9  # Sums and entries that differ by this share of the largest count as equal.
Square = Float64[np.ndarray, "m m"]


class Pure(NamedTuple):
    """The states in which attention rests on one memory, for many neurons.

    * ``stable``: ``(m,)`` bool, True where the diagonal entry of the mixing is the strict maximum
      of its row, so that attention stays on that memory.
    * ``overlaps``: ``(m, m)``, the Pearson correlation of the state, by row, with each pattern, by
      column.
    * ``correlations``: ``(m, m)``, the Pearson correlation of every two states.

    Rows of memories that are not stable describe states that the memory leaves.
    """

    stable: Bool[np.ndarray, "m"]
    overlaps: Square
    correlations: Square


@door("correlated.pure")
def pure(mixing: Real[np.ndarray, "m m"], mean: float = 1.0) -> Pure:
    r"""Describe the state at each memory, for many neurons and a sharpness without limit.

    .. math:: c^i = B_{i \cdot} - \frac{\text{mean}}{m} \mathbf 1, \quad
        \text{overlap}_{ij} = \frac{c^i_j}{|c^i|}, \quad
        \text{correlation}_{ij} = \frac{c^i \cdot c^j}{|c^i| |c^j|}

    The state at memory i is stable where B_ii > B_ij for every other j. On a graph whose memories
    have d neighbours of weight 1 / d each that is a > h / d.

    Args:
        mixing: ``(m, m)``, B = a I + h M; row i is what memory i adds to the state.
        mean: the share of the mean pattern that is subtracted; 1 in Burns's code.

    Returns:
        a ``Pure``: stable, overlaps, correlations. An overlap or a correlation is 0 where c
        vanishes up to rounding.

    Raises:
        InputError: the mixing is not square, or a number is not finite or beyond 1e100.

    Example:
        >>> import numpy as np
        >>> from kanerva.theory import correlated
        >>> cycle = (np.roll(np.eye(30), 1, 0) + np.roll(np.eye(30), -1, 0)) / 2
        >>> found = correlated.pure(0.5 * np.eye(30) + 0.5 * cycle)
        >>> found.stable.all(), found.overlaps[0, :3].round(4)
        (np.True_, array([ 0.7984,  0.3707, -0.057 ]))
        >>> found.correlations[0, 1:4].round(4)
        array([ 0.6341,  0.0854, -0.0976])

    Source:
        derived here for the model of Burns (2024), Semantically-correlated memories in a dense
        associative model.
    """
    rows = _mixing(mixing)
    own = rows.diagonal()
    others = np.where(np.eye(len(rows), dtype=bool), -np.inf, rows)
    directions = _directions(rows, _share(mean, rows))
    correlations = np.clip(directions @ directions.T, -1.0, 1.0)
    return Pure(own > others.max(axis=1), directions, correlations)


@door("correlated.settle")
def settle(
    mixing: Real[np.ndarray, "m m"],
    sharpness: float,
    mean: float = 1.0,
    rate: float = 0.1,
    steps: int = 100,
) -> Square:
    r"""Iterate the coordinates from each memory by steps of Euler's method.

    .. math:: c \leftarrow c + \text{rate} \left( \text{softmax}(s c)\, B
        - \frac{\text{mean}}{m} \mathbf 1 - c \right), \quad c^i = e_i \text{ at first}

    The overlap of a state with pattern j is c_j over the length of c, as in ``pure``. Where rate
    times sharpness times the largest sum of a row is far above 1, the steps may overshoot: states
    then go on changing that settle along the flow.

    Args:
        mixing: ``(m, m)``, B = a I + h M; row i is what memory i adds to the state.
        sharpness: s = beta n v >= 0, for n neurons and patterns of variance v; 1 / 12 is the
            variance of numbers uniform in 0 to 1.
        mean: the share of the mean pattern that is subtracted.
        rate: the length of a step, above 0 and up to 1.
        steps: how many, >= 0.

    Returns:
        ``(m, m)`` float64: row i holds the coordinates after the steps from memory i.

    Raises:
        InputError: the mixing is not square, or a number is out of range.

    Example:
        >>> import numpy as np
        >>> from kanerva.theory import correlated
        >>> along = np.roll(np.eye(3), 1, 1)  # edges 0 -> 1 -> 2 -> 0
        >>> mixing = 0.6 * np.eye(3) + 0.4 * along
        >>> correlated.settle(mixing, 1000.0, mean=0.0)[0].round(3)
        array([0.6, 0.4, 0. ])

    Source:
        derived here for the model of Burns (2024), Semantically-correlated memories in a dense
        associative model.
    """
    rows = _mixing(mixing)
    sharpness = checks.number("sharpness", sharpness, 0.0, LARGEST)
    rate = checks.number("rate", rate, 0.0, 1.0, open_low=True)
    steps = checks.integer("steps", steps, 0, checks.LONGEST)
    share = _share(mean, rows)
    state = np.eye(len(rows))
    for _ in range(steps):
        state += rate * (_attend(state, sharpness) @ rows - share - state)
    return state


@door("correlated.lyapunov")
def lyapunov(
    coordinates: Real[np.ndarray, "*batch m"], mixing: Real[np.ndarray, "m m"], sharpness: float
) -> Float64[np.ndarray, "*batch"]:
    r"""Return a function of the state that never rises along the flow of an undirected graph.

    .. math:: L(c) = -\tfrac12\, p B p + c \cdot p - \frac1s \log \sum_j e^{s c_j}, \quad
        p = \text{softmax}(s c)

    With J = dp / dc, which is symmetric and positive semidefinite, the gradient of L is J (c - B p)
    for a symmetric B. The flow is B p - mean / m - c, and J times a constant vector is zero, since
    the softmax ignores a common number. Hence dL / dt is -(dc / dt) J (dc / dt) <= 0 for any
    ``mean``, and L does not depend on it. Steps of Euler's method that are too long may raise L.

    Args:
        coordinates: ``(..., m)``, the states.
        mixing: ``(m, m)``, symmetric.
        sharpness: s = beta n v, > 0, at least 1e-100.

    Returns:
        ``(...)`` float64, L of each state; an array without axes for a single state.

    Raises:
        InputError: the mixing is not symmetric, the coordinates are not as many, or a number is out
            of range.

    Example:
        >>> import numpy as np
        >>> from kanerva.theory import correlated
        >>> mixing = np.full((3, 3), 0.2) + 0.4 * np.eye(3)
        >>> states = np.stack([correlated.settle(mixing, 10.0, steps=t)[0] for t in (0, 5, 50)])
        >>> correlated.lyapunov(states, mixing, 10.0).round(4)
        array([-0.3001, -0.3005, -0.3041])

    Source:
        derived here; a Lyapunov function of continuous networks with symmetric weights, Hopfield
        (1984), Neurons with graded response have collective computational properties like those of
        two-state neurons.
    """
    rows = _mixing(mixing)
    far = np.abs(rows - rows.T)
    if far.max() > EQUAL * np.abs(rows).max():
        i, j = (int(place) for place in np.unravel_index(far.argmax(), far.shape))
        got = f"one with {rows[i, j]:g} at ({i}, {j}) and {rows[j, i]:g} at ({j}, {i})"
        do = "give that of an undirected graph; with directed edges no such function is known"
        refuse("mixing", must="symmetric", got=got, do=do)
    sharpness = checks.number("sharpness", sharpness, 1 / LARGEST, LARGEST)
    states = _states(coordinates, len(rows))
    weights = _attend(states, sharpness)
    below = states - states.max(axis=-1, keepdims=True)
    # c p - log sum exp(s c) / s, without the largest coordinate, which cancels.
    log_mass = np.log(np.exp(sharpness * below).sum(axis=-1)) / sharpness
    return np.asarray((weights * (below - weights @ rows / 2)).sum(axis=-1) - log_mass)


@door("correlated.uniform")
def uniform(mixing: Real[np.ndarray, "m m"], sharpness: float) -> bool:
    r"""Return whether attention that is equal for all memories persists under small disturbances.

    .. math:: \frac sm \lambda_2 < 1

    Equal attention is a state of rest where the columns of B have equal sums, as on a regular
    graph: each memory then receives as much as any other. Near it a disturbance d of the
    coordinates obeys d' = (s / m) (d - its mean) B - d. The eigenvalue of the vector of ones
    drops out, because the softmax ignores a common number. So lambda_2 is the largest real part
    of the other eigenvalues of B; of a symmetric B it is the largest eigenvalue on the space
    orthogonal to the ones. In a directed graph the imaginary part makes disturbances turn, and does
    not change whether they shrink.

    The condition is local: other states may be stable at the same time. It is that of the flow;
    steps of Euler's method of rate r need 1 - r + r s lambda / m within the unit circle for each of
    the other eigenvalues, which is more where one is complex or far below 0.

    Args:
        mixing: ``(m, m)``, with equal sums of columns.
        sharpness: s = beta n v >= 0.

    Returns:
        True where every small disturbance of equal attention dies out.

    Raises:
        InputError: the sums of the columns differ, or a number is out of range.

    Example:
        >>> import numpy as np
        >>> from kanerva.theory import correlated
        >>> cycle = (np.roll(np.eye(30), 1, 0) + np.roll(np.eye(30), -1, 0)) / 2
        >>> [correlated.uniform(0.3 * np.eye(30) + 0.3 * cycle, s) for s in (50.0, 51.0)]
        [True, False]

    Source:
        derived here, by linearising the coordinates of the model of Burns (2024),
        Semantically-correlated memories in a dense associative model.
    """
    rows = _mixing(mixing)
    sharpness = checks.number("sharpness", sharpness, 0.0, LARGEST)
    sums = rows.sum(axis=0)
    if sums.max() - sums.min() > EQUAL * np.abs(rows).sum(axis=0).max():
        got = f"one with sums from {sums.min():g} to {sums.max():g}"
        do = "give that of a graph in which every memory receives the same weight"
        refuse("mixing", must="an array whose columns have equal sums", got=got, do=do)
    # On B less the mean of each row the ones have the eigenvalue 0, which fulfils the condition.
    values = np.linalg.eigvals(rows - rows.mean(axis=1, keepdims=True))
    return bool(sharpness / len(rows) * values.real.max() < 1)


def _attend(
    coordinates: Float64[np.ndarray, "*batch m"], sharpness: float
) -> Float64[np.ndarray, "*batch m"]:
    """Return softmax(s c), shifted by the maximum."""
    above = np.exp(sharpness * (coordinates - coordinates.max(axis=-1, keepdims=True)))
    return above / above.sum(axis=-1, keepdims=True)


def _directions(rows: Square, share: float) -> Square:
    """Return the rows less a common number, each of length 1, or 0 where nothing is left."""
    left = rows - share
    size = np.abs(left).max(axis=1, keepdims=True)
    terms = np.abs(rows).max(axis=1, keepdims=True) + abs(share)
    kept = size > ROUNDING * terms
    scaled = np.where(kept, left, 0.0) / np.where(kept, size, 1.0)
    return scaled / np.where(kept, np.linalg.norm(scaled, axis=1, keepdims=True), 1.0)


def _share(mean: float, rows: Square) -> float:
    return checks.number("mean", mean, -LARGEST, LARGEST) / len(rows)


def _mixing(mixing: Any) -> Square:
    """Check the mixing, and return it as float64."""
    must = "a NumPy array of numbers of shape (m, m), m >= 1"
    do = "give a I + h M, with a row and a column for each memory"
    if not isinstance(mixing, np.ndarray):
        refuse("mixing", mixing, must=must, do=do, error=InputTypeError)
    if mixing.ndim != 2 or not mixing.shape[0] == mixing.shape[1] > 0:
        refuse("mixing", mixing, must=must, do=do)
    return _numbers("mixing", mixing)


def _states(coordinates: Any, length: int) -> Float64[np.ndarray, "*batch m"]:
    """Check coordinates, and return them as float64."""
    array = isinstance(coordinates, np.ndarray)
    if not array or coordinates.ndim == 0 or coordinates.shape[-1] != length:
        must = f"a NumPy array of numbers of shape (..., {length})"
        do = "give a coordinate for each row of the mixing"
        kind = InputError if array else InputTypeError
        refuse("coordinates", coordinates, must=must, do=do, error=kind)
    return _numbers("coordinates", coordinates)


def _numbers(argument: str, value: np.ndarray) -> Float64[np.ndarray, "*shape"]:
    return np.asarray(_inputs.reals(argument, np.asarray(value), -LARGEST, LARGEST))
