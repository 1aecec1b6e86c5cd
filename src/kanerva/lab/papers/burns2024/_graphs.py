"""Graphs with communities, and how well groups of their nodes agree with them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import networkx
import torch
from torch import Tensor

from kanerva import correlated
from kanerva.lab.data._raw import extra

__all__ = ["GRAPHS", "Agreement", "Community", "agreement", "community"]


class Community(NamedTuple):
    """A graph and the groups of its nodes.

    * ``graph``: of networkx, without strengths.
    * ``known``: the group of each node; None where none is given.
    * ``found``: the group of each node by Louvain's method.
    """

    graph: Any
    known: list[int] | None
    found: list[int]


class Agreement(NamedTuple):
    """How well the states of a memory agree with the groups of its graph.

    * ``known``: adjusted Rand index with the given groups, for as many groups.
    * ``right``: with two given groups, the share of nodes in the right one.
    * ``found``: adjusted Rand index with the groups by Louvain's method, for as many.
    * ``reference``: adjusted Rand index of Louvain's groups with the given ones.
    """

    known: float | None
    right: float | None
    found: float
    reference: float | None


def _karate() -> tuple[Any, list[int]]:
    """Return a club of 34 members that broke into two, with unweighted edges."""
    graph = networkx.karate_club_graph()
    return graph, [int(graph.nodes[node]["club"] == "Officer") for node in graph]


def _tutte() -> tuple[Any, None]:
    """Return Tutte's graph of 46 nodes, each with three neighbours."""
    return networkx.tutte_graph(), None


def _three() -> tuple[Any, list[int]]:
    """Return three groups of five in a ring: 15 nodes, each with four neighbours."""
    graph = networkx.Graph()
    graph.add_nodes_from(range(15))
    for first in (0, 5, 10):
        group = range(first, first + 5)
        graph.add_edges_from((i, j) for i in group for j in group if i < j)
        graph.remove_edge(first, first + 4)
        graph.add_edge(first + 4, (first + 5) % 15)
    return graph, [node // 5 for node in graph]


def _barbell() -> tuple[Any, list[int]]:
    """Return two groups of ten that one edge joins."""
    graph = networkx.barbell_graph(10, 0)
    return graph, [node // 10 for node in graph]


def _rooms() -> tuple[Any, list[int]]:
    """Return four rooms of 5 by 5 places with a door between each two that touch."""
    grid = networkx.grid_2d_graph(10, 10)
    doors = {((4, 2), (5, 2)), ((4, 7), (5, 7)), ((2, 4), (2, 5)), ((7, 4), (7, 5))}
    room = {place: 2 * (place[0] // 5) + place[1] // 5 for place in grid}
    walls = [edge for edge in grid.edges if room[edge[0]] != room[edge[1]]]
    grid.remove_edges_from(edge for edge in walls if edge not in doors)
    return grid, list(room.values())


GRAPHS: dict[str, Callable[[], tuple[Any, list[int] | None]]] = {
    "karate": _karate,
    "tutte": _tutte,
    "three": _three,
    "barbell": _barbell,
    "rooms": _rooms,
}


def community(name: str) -> Community:
    """Return a graph with its groups, given and by Louvain's method."""
    graph, known = GRAPHS[name]()
    # The edges of the karate club have strengths in networkx, which are left out here and there.
    groups = networkx.community.louvain_communities(graph, weight=None, seed=0)
    group = {node: place for place, nodes in enumerate(groups) for node in nodes}
    return Community(graph, known, [group[node] for node in graph])


def agreement(correlations: Tensor, groups: Community) -> Agreement:
    """Group nodes whose states are correlated, and compare the groups with others."""
    metrics = extra("sklearn.metrics", "scikit-learn", "cdam.communities")

    def ours(others: list[int]) -> Tensor:
        return correlated.communities(correlations, count=len(set(others)))

    found = float(metrics.adjusted_rand_score(groups.found, ours(groups.found)))
    if groups.known is None:
        return Agreement(None, None, found, None)
    mine, right = ours(groups.known), None
    if len(set(groups.known)) == 2:
        same = float((mine == torch.tensor(groups.known)).double().mean())
        right = max(same, 1 - same)
    known = float(metrics.adjusted_rand_score(groups.known, mine))
    reference = float(metrics.adjusted_rand_score(groups.known, groups.found))
    return Agreement(known, right, found, reference)
