"""The edges of a graph, from each of the forms in which graphs are given."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, refuse

__all__ = ["Edges", "edges"]

KINDS = (
    "a networkx graph, a SciPy sparse array, a square array of strengths, "
    "or a list of edges (i, j) or (i, j, strength)"
)
NUMBERS, INTEGERS = "biuf", "iu"  # kinds of NumPy dtypes


class Edges(NamedTuple):
    """The directed edges of a graph whose nodes are the numbers 0 to ``count - 1``.

    Attributes:
        sources: ``(edges,)`` int64, the node at which each edge starts.
        targets: ``(edges,)`` int64, the node at which it ends.
        strengths: ``(edges,)`` float64, finite, none of them 0.
        count: the number of nodes.
    """

    sources: Int64[np.ndarray, "edges"]
    targets: Int64[np.ndarray, "edges"]
    strengths: Float64[np.ndarray, "edges"]
    count: int  # type: ignore[assignment]  # tuple.count is of no use here


def edges(graph: Any, count: int | None = None, weight: str | None = None) -> Edges:
    """Return the edges of a graph; an edge of strength 0 is none.

    Args:
        graph: a networkx graph, whose nodes are numbered in its own order; a SciPy sparse array or
            a square array or tensor, whose entry (i, j) is the strength of the edge from i to j;
            or a list of directed edges ``(i, j)``, of strength 1, or ``(i, j, strength)``. An
            undirected networkx graph has both directions of every edge, and a self-loop once.
            Parallel edges of a multigraph or a list are listed one by one.
        count: the number of nodes that the graph must have; None for any. For a list of edges it
            is their number of nodes, and None means the largest one plus 1.
        weight: the attribute of the edges of a networkx graph that holds their strengths; None
            for strength 1, whatever attributes there are.

    Returns:
        the edges.

    Raises:
        InputError: a graph of another size, an array that is not square, an edge between nodes
            that do not exist or without the attribute, or a strength that is not finite.
    """
    if weight is not None and not isinstance(weight, str):
        do = "write 'weight', or None for strength 1"
        must = "the name of an attribute of the edges, or None"
        refuse("weight", weight, must=must, do=do, error=InputTypeError)
    if _networkx(graph):
        found = _of_networkx(graph, weight)
    elif weight is not None:
        do = "leave it out: arrays and lists hold their strengths"
        refuse("weight", weight, must="None for a graph that is not of networkx", do=do)
    elif _sparse(graph):
        found = _of_sparse(graph)
    elif isinstance(graph, Tensor) or hasattr(graph, "__array__"):
        found = _of_array(graph)
    else:
        found = _of_list(graph, count)
    if count is not None and found.count != count:
        must = f"a graph of {count} nodes, one for each item"
        do = "add the nodes without edges, or take away those that stand for no item"
        refuse("graph", got=f"one of {found.count} nodes", must=must, do=do)
    if not np.isfinite(found.strengths).all():
        wrong = int((~np.isfinite(found.strengths)).sum())
        got = f"one with {wrong} of {len(found.strengths)} strengths NaN or infinite"
        refuse("graph", got=got, must="a graph of finite strengths", do="drop or fill them first")
    kept = found.strengths != 0
    if kept.all():
        return found
    return Edges(found.sources[kept], found.targets[kept], found.strengths[kept], found.count)


def _networkx(graph: Any) -> bool:
    """Return whether a graph has the methods of networkx."""
    methods = ("nodes", "edges", "is_directed", "is_multigraph")
    return not isinstance(graph, type) and all(hasattr(graph, name) for name in methods)


def _sparse(graph: Any) -> bool:
    """Return whether a graph is a sparse array of SciPy, which is imported for nothing else."""
    if not type(graph).__module__.startswith("scipy."):
        return False
    from scipy.sparse import issparse

    return bool(issparse(graph))


def _of_networkx(graph: Any, weight: str | None) -> Edges:
    """Number the nodes in the order of the graph, and list each undirected edge in both ways."""
    number = {node: place for place, node in enumerate(graph.nodes)}
    if weight is None:
        ends = list(graph.edges(data=False))
        strengths = np.ones(len(ends))
    else:
        ends = list(graph.edges(data=weight, default=None))
        lacking = next((end for end in ends if end[2] is None), None)
        if lacking is not None:
            got = f"{weight!r}, which the edge {lacking[:2]!r} lacks"
            do = "give it to every edge, or leave weight out for strength 1"
            refuse("weight", got=got, must="an attribute of every edge", do=do)
        must = "an attribute that holds a number at every edge"
        strengths = _column("weight", [end[2] for end in ends], NUMBERS, must)
    sources = np.array([number[end[0]] for end in ends], dtype=np.int64)
    targets = np.array([number[end[1]] for end in ends], dtype=np.int64)
    strengths = strengths.astype(np.float64)
    if not graph.is_directed():
        twice = np.flatnonzero(sources != targets)  # a self-loop has one direction
        sources, targets = (
            np.concatenate([sources, targets[twice]]),
            np.concatenate([targets, sources[twice]]),
        )
        strengths = np.concatenate([strengths, strengths[twice]])
    return Edges(sources, targets, strengths, len(number))


def _of_sparse(graph: Any) -> Edges:
    """List the entries of a sparse array; those of one place are added up, as SciPy does."""
    from scipy.sparse import csr_array

    _vet_square(graph, graph.shape, graph.dtype)
    rows = csr_array(graph, copy=True)
    rows.sum_duplicates()
    sources = np.repeat(np.arange(rows.shape[0], dtype=np.int64), np.diff(rows.indptr))
    targets, strengths = rows.indices.astype(np.int64), rows.data.astype(np.float64)
    return Edges(sources, targets, strengths, int(rows.shape[0]))


def _of_array(graph: Any) -> Edges:
    """List the entries of a square array or tensor that are not 0."""
    if isinstance(graph, Tensor):
        graph = arrays.dense("graph", graph, KINDS).detach().double().cpu().numpy()
    if isinstance(graph, np.ma.MaskedArray):
        do = "fill its masked entries first, such as with graph.filled(0)"
        refuse("graph", graph, must="an array without a mask", do=do, error=InputTypeError)
    array = np.asarray(graph)
    _vet_square(graph, array.shape, array.dtype)
    sources, targets = (place.astype(np.int64) for place in np.nonzero(array))
    return Edges(sources, targets, array[sources, targets].astype(np.float64), len(array))


def _vet_square(graph: Any, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Refuse an array that is not square, or not of real numbers."""
    if len(shape) != 2 or shape[0] != shape[1]:
        do = "give the strength from i to j at place (i, j), or a list of edges (i, j)"
        refuse("graph", got=f"of shape {tuple(shape)}", must="square", do=do)
    if dtype.kind not in NUMBERS:
        refuse("graph", graph, must="real numbers", do="convert it first", error=InputTypeError)


def _of_list(graph: Any, count: int | None) -> Edges:
    """List the edges of a list; its nodes are integers."""
    listed = checks.several("graph", graph, KINDS)
    try:
        widths = sorted({len(edge) for edge in listed})
        columns = [[edge[k] for edge in listed] for k in range(min([*widths, 3]))]
    except Exception:  # whatever a stranger's parts raise; those of a set have no order
        refuse("graph", graph, must=KINDS, do="give pairs (i, j)", error=InputTypeError)
    if len(widths) > 1 or (widths and widths[0] not in (2, 3)):
        got = f"a list of edges of {' and '.join(map(str, widths))} numbers"
        must = "a list of pairs (i, j), or of triples (i, j, strength)"
        do = "give all edges in one form, or the strengths as a square array"
        refuse("graph", got=got, must=must, do=do)
    if widths == [len(listed)] and all(isinstance(edge, list) for edge in listed):
        do = "write edges as tuples (i, j), or the strengths as numpy.array(graph)"
        refuse("graph", graph, must="edges, or an array, and not lists that may be both", do=do)
    columns = columns if widths else [[], []]
    must = "a list of edges between integers"
    sources, targets = (_column("graph", part, INTEGERS, must) for part in columns[:2])
    strengths = np.ones(len(listed))
    if len(columns) == 3:
        must = "a list of edges with numbers as strengths"
        strengths = _column("graph", columns[2], NUMBERS, must)
    largest = max((int(ends.max()) for ends in (sources, targets) if len(ends)), default=-1)
    smallest = min((int(ends.min()) for ends in (sources, targets) if len(ends)), default=0)
    most = checks.LONGEST if count is None else count - 1
    if smallest < 0 or largest > most:
        must = f"edges between the nodes 0 to {most}"
        got = f"one with node {smallest if smallest < 0 else largest}"
        refuse("graph", got=got, must=must, do="number the nodes from 0")
    size = largest + 1 if count is None else count
    ends = (sources.astype(np.int64), targets.astype(np.int64))
    return Edges(*ends, strengths.astype(np.float64), size)


def _column(argument: str, values: Any, kinds: str, must: str) -> np.ndarray:
    """Return numbers as an array; those of another kind are refused."""
    if not len(values):
        return np.zeros(0, np.int64)
    try:
        column = np.asarray(values)
        if column.ndim == 1 and column.dtype.kind in kinds:
            return column
        wrong = next((one for one in values if np.asarray(one).dtype.kind not in kinds), values)
    except Exception:  # whatever a stranger's __array__ raises
        wrong = values
    refuse(argument, wrong, must=must, do="convert them first", error=InputTypeError)
