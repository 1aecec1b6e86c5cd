"""Measures of attractors that are correlated by the links of their patterns.

The states are those in which a memory ends, one for each start. Burns 2024 compares them with the
patterns, with one another, and with the distances of the graph that links the patterns.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, describe, door, refuse
from kanerva.memory import _graph

__all__ = ["Distance", "Scores", "by_distance", "communities", "overlaps", "scores", "spread_of"]

TIE = 1e-12  # Correlations that differ by less are equal up to rounding in float64.


class Distance(NamedTuple):
    """The correlations of all pairs at one distance in a graph.

    Attributes:
        distance: the number of edges of the shortest path from the one to the other, >= 1.
        mean: of the correlations.
        std: their standard deviation, 0 for a single pair.
        pairs: the number of ordered pairs.
    """

    distance: int
    mean: float
    std: float
    pairs: int


class Scores(NamedTuple):
    """How many patterns are retrieved, by rows and by columns of the overlaps.

    Attributes:
        row: the share of starts whose final state overlaps most with its own pattern.
        column: the share of patterns that overlap most with the final state of their own start.
        spread: the standard deviation of the states over the starts, as a share of that of all
            numbers in the states: near 0 where all starts end in one state.
    """

    row: float
    column: float
    spread: float


@door("correlated.overlaps")
def overlaps(
    states: Float[Tensor, "*batch d"], patterns: Float[Tensor, "m d"]
) -> Float[Tensor, "*batch m"]:
    r"""Return the Pearson correlation of every state with every pattern.

    .. math:: m_\mu = \frac{\sum_j (x_j - \bar x)(\xi_j^\mu - \bar\xi^\mu)}
              {\sqrt{\sum_j (x_j - \bar x)^2 \sum_j (\xi_j^\mu - \bar\xi^\mu)^2}}

    Means are taken over the d coordinates. The overlap is 0 where all coordinates of the state, or
    of the pattern, are equal. With the final states as both arguments it is the correlation of the
    attractors. Sums are accumulated in float64.

    Args:
        states: ``(..., d)``, floating.
        patterns: ``(m, d)``, of the same dtype and device, at least one.

    Returns:
        ``(..., m)`` from -1 to 1, float64 for float64 and float32 for other dtypes.

    Raises:
        InputError: the arguments differ in length, dtype or device, hold integers or numbers that
            are not finite, or there is no pattern.

    Example:
        >>> import torch
        >>> from kanerva import correlated
        >>> patterns = torch.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0], [5.0, 5.0, 5.0]])
        >>> correlated.overlaps(torch.tensor([1.0, 3.0, 5.0]), patterns).tolist()
        [1.0, -1.0, 0.0]

    Source: Burns 2024, and its published code, where an overlap with equal coordinates is NaN.
    """
    _vet(states, patterns)
    return _overlaps(states, patterns).to(torch.promote_types(states.dtype, torch.float32))


def _vet(states: Tensor, patterns: Tensor) -> None:
    """Refuse states and patterns that cannot be correlated."""
    arrays.floats("patterns", arrays.rows("patterns", patterns))
    if not len(patterns):
        refuse("patterns", patterns, must="one row or more", do="give at least one pattern")
    arrays.floats("states", states, patterns.shape[1])
    if states.dtype != patterns.dtype or states.device != patterns.device:
        must = f"{patterns.dtype} on {patterns.device}, as the patterns are"
        got, do = f"{states.dtype} on {states.device}", "convert it with states.to(patterns)"
        refuse("states", must=must, got=got, do=do, error=InputTypeError)
    arrays.finite("patterns", patterns)
    arrays.finite("states", states)


def _overlaps(states: Tensor, patterns: Tensor) -> Tensor:
    """Return the correlations in float64, without checks."""
    needed = 32 * (states.numel() + patterns.numel())
    with checks.room("states", f"of shape {tuple(states.shape)}", needed):
        return (_unit(states) @ _unit(patterns).mT).clamp(-1, 1)


def _unit(x: Tensor) -> Tensor:
    """Return the deviations of each row from its mean, scaled to length 1; equal numbers give 0.

    The first number is subtracted first, so that equal numbers give exactly 0. Both are halved, so
    that their difference is finite.
    """
    x = x.double() / 2
    x = x - x[..., :1]
    top = x.detach().abs().amax(-1, keepdim=True)
    x = x / torch.where(top > 0, top, 1)
    return torch.nn.functional.normalize(x - x.mean(-1, keepdim=True), dim=-1)


@door("correlated.by_distance")
def by_distance(correlations: Float[Tensor, "m m"], graph: Any) -> list[Distance]:
    r"""Average a matrix over the pairs at each distance of a graph.

    .. math:: \bar C(k) = \frac{1}{|P_k|} \sum_{(i, j) \in P_k} C_{ij},
              \quad P_k = \{(i, j) : \text{the shortest path from } i \text{ to } j
              \text{ has } k \text{ edges}\}

    Paths follow the direction of the edges, and their strengths do not count. Pairs without a path
    are left out.

    Args:
        correlations: ``(m, m)``, floating, such as ``overlaps(states, states)``.
        graph: of m nodes: a networkx graph, whose nodes are numbered in its own order; a SciPy
            sparse array or a square array or tensor, in which an entry (i, j) that is not 0 is an
            edge from i to j; or a list of directed edges ``(i, j)``.

    Returns:
        a ``Distance`` for each of the distances 1, 2, ... up to the largest; an empty list where
        nothing is connected.

    Raises:
        InputError: a matrix that is not square or not finite, or a graph that does not fit it.

    Example:
        >>> import torch
        >>> from kanerva import correlated
        >>> matrix = torch.tensor([[1.0, 0.5, 0.2], [0.5, 1.0, 0.7], [0.2, 0.7, 1.0]])
        >>> path = [(0, 1), (1, 0), (1, 2), (2, 1)]
        >>> [(one.distance, round(one.mean, 3), one.pairs)
        ...  for one in correlated.by_distance(matrix, path)]
        [(1, 0.6, 4), (2, 0.2, 2)]

    Source: Burns 2024, and its published code, for a cycle; Miyashita 1988 measured neurons.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import shortest_path

    matrix = _square(correlations)
    found = _graph.edges(graph, len(matrix))
    with checks.room("correlations", f"of shape {matrix.shape}", 32 * matrix.size):
        ends, ones = (found.sources, found.targets), np.ones(len(found.sources))
        links = csr_array((ones, ends), shape=matrix.shape)
        steps = shortest_path(links, method="D", unweighted=True)
        joined = np.isfinite(steps) & (steps > 0)
        place, values = steps[joined].astype(np.int64), matrix[joined]
        pairs = np.bincount(place)
        shared = np.maximum(pairs, 1)
        mean = np.bincount(place, values) / shared
        std = np.sqrt(np.bincount(place, (values - mean[place]) ** 2) / shared)
    rows = zip(mean.tolist(), std.tolist(), pairs.tolist(), strict=True)
    return [Distance(k, *row) for k, row in enumerate(rows) if k]


@door("correlated.communities")
def communities(
    correlations: Float[Tensor, "m m"],
    count: int | None = None,
    within: int | float | None = None,
) -> Int64[Tensor, "m"]:
    r"""Group items that are correlated, by average-linkage clustering.

    .. math:: d_{ij} = \max(0, 1 - \tfrac12 (C_{ij} + C_{ji})), \quad d_{ii} = 0

    The two groups with the smallest mean distance are joined, again and again.

    Args:
        correlations: ``(m, m)``, floating, such as ``overlaps(states, states)``.
        count: the largest number of groups, 1 to m. Joins at equal distances are made together,
            so fewer groups are left where ``count`` groups would depend on the order of the items.
        within: the largest mean distance at which groups are joined, >= 0. The number of groups
            is that of distinct attractors, up to this distance. Give either it or ``count``.

    Returns:
        ``(m,)`` int64, the group of each item; groups are numbered from 0 in order of their first
        item.

    Raises:
        InputError: a matrix that is not square or not finite, or not exactly one of ``count`` and
            ``within``.

    Example:
        >>> import torch
        >>> from kanerva import correlated
        >>> matrix = torch.tensor([[1.0, -0.4, 0.9], [-0.4, 1.0, -0.5], [0.9, -0.5, 1.0]])
        >>> correlated.communities(matrix, count=2).tolist()
        [0, 1, 0]
        >>> correlated.communities(matrix, within=0.05).tolist()
        [0, 1, 2]

    Source: average linkage as in Sokal and Michener 1958; the predecessors of Burns 2024 found
        communities of a graph in the correlations of its attractors.
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    matrix = _square(correlations)
    if np.abs(matrix).max() > 1e100:
        got, do = f"up to {np.abs(matrix).max():.3g}", "scale them to -1 to 1"
        refuse("correlations", must="such as those of correlated.overlaps", got=got, do=do)
    if (count is None) == (within is None):
        both = f"{describe(count)} beside within of {describe(within)}"
        got = "left out, as within is" if count is None else both
        do = "give the number of groups, or the distance within which items are one group"
        refuse("count", got=got, must="given, or within in its place", do=do)
    if within is None:
        cut, rule = float(checks.integer("count", count, 1, len(matrix))), "maxclust"
    else:
        cut, rule = checks.number("within", within, 0), "distance"
    if len(matrix) == 1:
        return torch.zeros(1, dtype=torch.int64, device=correlations.device)
    with checks.room("correlations", f"of shape {matrix.shape}", 32 * matrix.size):
        # Halved before they are added, so that the sum is finite.
        apart = np.maximum(1 - (matrix / 2 + matrix.T / 2), 0)
        np.fill_diagonal(apart, 0)
        tree = linkage(squareform(apart, checks=False), "average")
        labels = fcluster(tree, cut, rule)
    _, first, group = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first)).astype(np.int64)
    return torch.from_numpy(order[group]).to(correlations.device)


def _square(correlations: Tensor) -> np.ndarray:
    """Return a square matrix of finite numbers in float64."""
    arrays.floats("correlations", arrays.rows("correlations", correlations))
    if correlations.shape[0] != correlations.shape[1]:
        do = "give one row and one column for each item, such as overlaps(states, states)"
        refuse("correlations", correlations, must="square", do=do)
    return arrays.finite("correlations", correlations).detach().double().cpu().numpy()


@door("correlated.scores")
def scores(states: Float[Tensor, "m d"], patterns: Float[Tensor, "m d"]) -> Scores:
    r"""Return the share of patterns that are retrieved from a start near each of them.

    .. math:: \text{row} = \frac1m \left|\{i : m_{ii} > m_{i\mu} \;\forall \mu \ne i\}\right|,
              \quad \text{column} = \frac1m \left|\{i : m_{ii} > m_{\nu i} \;\forall \nu \ne i\}
              \right|

    Here m is the matrix of ``overlaps``; overlaps equal to 12 digits are ties, which count as not
    retrieved. A single pattern has no rival, and both scores are 1.

    The row score is that of retrieval: it asks which pattern a state is most like. The column score
    was published, and is no measure of retrieval. It asks which state a pattern is most like, so it
    compares states with one another, however little they differ. Where all starts end in one
    attractor, each state still holds a trace of its start, (1 - eta)^T of it after T steps of rate
    eta, and this trace decides: the column score can be 1 while the row score is 1 / m. Read it
    together with ``spread``, which is then near 0.

    Args:
        states: ``(m, d)``, floating; row i is the final state of the start at pattern i.
        patterns: ``(m, d)``, of the same dtype, at least one.

    Returns:
        the two scores, from 0 to 1, and the spread, 0 where nothing varies.

    Raises:
        InputError: as in ``overlaps``, or another number of states than of patterns.

    Example:
        >>> import torch
        >>> from kanerva import correlated
        >>> patterns = torch.eye(4)
        >>> one = torch.tensor([[3.0, 2.0, 1.0, 0.0]]) + 1e-4 * patterns  # one attractor for all
        >>> found = correlated.scores(one, patterns)
        >>> found.row, found.column, found.spread < 1e-4
        (0.25, 1.0, True)

    Source: Burns 2024, published code (column score); the row score and the spread are ours.
    """
    _vet(states, patterns)
    arrays.rows("states", states, *patterns.shape)
    found = _overlaps(states, patterns)
    own = found.diagonal()
    rivals = found.masked_fill(torch.eye(len(found), dtype=torch.bool, device=found.device), -2)
    row, column = ((own > rivals.amax(side) + TIE).double().mean().item() for side in (1, 0))
    return Scores(row, column, spread_of(states))


def spread_of(states: Tensor) -> float:
    """Return the share of the standard deviation that is due to the starts.

    As in ``_unit``, numbers are halved and one of them is subtracted first.
    """
    half = states.detach().double() / 2
    whole, over = half - half[:1, :1], half - half[:1]
    top = whole.abs().amax()
    if top == 0:
        return 0.0
    whole, over = whole / top, over / top
    whole, over = whole - whole.mean(), over - over.mean(0)
    return min(1.0, (over.norm() / whole.norm()).item())
