"""Burns 2024: communities of a graph at several scales, from the attractors of one memory."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import Seed
from kanerva.lab.papers.burns2024._words import SEPARATE, Beta, Neurons, Rate, Steps
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["communities"]

NAMES = {
    "karate": "karate club, n = 34",
    "tutte": "Tutte's graph, n = 46",
    "three": "three groups of five, n = 15",
    "barbell": "two groups of ten, n = 20",
    "rooms": "four rooms, n = 100",
}
SCALES = (1.0, 0.5, 0.2, 0.0, -0.5, -1.0)
QUICK = (1.0, 0.5, 0.0, -0.5)
SIZE: Cell = {"neurons": 1000, "beta": 1.0, "rate": 0.1, "steps": 100}
WITHIN = 0.1  # the mean of 1 less the correlation, up to which states are one attractor
FARTHEST = 5  # the largest distance in the graph
# Of the karate club, by a: the number of attractors, and the share of members in the right club.
ATTRACTORS = {1.0: 34, 0.5: 34, 0.0: 10, -0.5: 4}
RIGHT = {0.0: (0.94, 0.03), -0.5: (0.965, 0.03)}
# Correlation by distance, from 1 on, at a = 0 and -0.5; its standard deviation over seeds is 0.034
# at most.
REACH = {
    0.0: (0.559, 0.120, -0.244, -0.347),
    -0.5: (0.650, 0.209, -0.279, -0.488),
}


def _checks() -> Iterator[Check]:
    source = f"{SEPARATE}, five seeds"
    for auto in (0.0, -0.5):
        at = SIZE | {"graph": "three", "auto": auto}
        what = f"three groups of five, a = {auto:g}: adjusted Rand index, every seed"
        yield Check(what, "agreement", 1.0, 1e-9, source, at, "min")
    for auto, count in ((0.5, 20), (0.0, 2)):
        at = SIZE | {"graph": "barbell", "auto": auto}
        what = f"two groups of ten, a = {auto:g}: attractors"
        yield Check(what, "attractors", count, 0, source, at)
        what = f"two groups of ten, a = {auto:g}: adjusted Rand index, every seed"
        yield Check(what, "agreement", 1.0, 1e-9, source, at, "min")
    for auto, count in ATTRACTORS.items():
        at = SIZE | {"graph": "karate", "auto": auto}
        what = f"karate club, a = {auto:g}: attractors"
        yield Check(what, "attractors", count, 2, source, at)
    for auto, (share, tolerance) in RIGHT.items():
        at = SIZE | {"graph": "karate", "auto": auto}
        what = f"karate club, a = {auto:g}: share of members in the right club"
        yield Check(what, "right", share, tolerance, source, at)
        for distance, value in enumerate(REACH[auto], 1):
            what = f"karate club, a = {auto:g}: correlation at distance {distance}"
            many = f"{SEPARATE}, forty seeds"
            yield Check(what, f"correlation_{distance}", value, 0.04, many, at)
    at = SIZE | {"graph": "karate"}
    yield Check("karate club: groups by Louvain's method", "found", 4, 0, "networkx", at)


def _draw(rows: list[Row]) -> Any:
    lines = {
        "agreement": "states, with the known groups",
        "with_found": "states, with Louvain's groups",
        "reference": "Louvain's, with the known groups",
    }
    ours = [
        {"x": row["auto"], "y": row[column], "panel": NAMES[row["graph"]], "line": line}
        for column, line in lines.items()
        for row in rows
    ]
    frame = plot.Frame(
        "Groups of n nodes from correlated states",
        "auto-association a, h = 1 − a",
        "adjusted Rand index of two groupings",
        limits=(-0.15, 1.08),
    )
    drawn = {"": plot.lines(ours, "x", "y", frame, by="line", panel="panel")}
    counts = [
        {"x": row["auto"], "y": row["attractors"] / row["nodes"], "line": NAMES[row["graph"]]}
        for row in rows
    ]
    frame = plot.Frame(
        "Distinct attractors, scale by scale",
        "auto-association a, h = 1 − a",
        "attractors per node",
        limits=(0, 1.08),
    )
    drawn["attractors"] = plot.lines(counts, "x", "y", frame, by="line")
    curves = [
        {
            "x": distance,
            "y": row[f"correlation_{distance}"],
            "panel": NAMES[row["graph"]],
            "line": f"a = {row['auto']:g}".replace("-", "−"),
        }
        for row in rows
        for distance in range(1, FARTHEST + 1)
    ]
    frame = plot.Frame(
        "Correlation of states by distance in the graph",
        "distance in the graph",
        "correlation of the last states, h = 1 − a",
    )
    drawn["distance"] = plot.lines(curves, "x", "y", frame, by="line", panel="panel")
    return drawn


@recipe(
    "cdam.communities",
    "Communities of a graph at several scales",
    "burns2024",
    "for the communities of graphs",
    quick=grid(**SIZE, graph=tuple(NAMES), auto=QUICK, seed=range(2)),
    paper=grid(**SIZE, graph=tuple(NAMES), auto=SCALES, seed=range(10)),
    checks=_checks(),
    draw=_draw,
)
def communities(
    graph: Annotated[str, "karate, tutte, three (of five), barbell (two of ten) or rooms (four)"],
    auto: Annotated[float, "strength a of auto-association; that of hetero-association is 1 - a"],
    neurons: Neurons = 1000,
    beta: Beta = 1.0,
    rate: Rate = 0.1,
    steps: Steps = 100,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Link random patterns by a graph, and group its nodes by the states in which recalls end.

    Each node of the graph is a random pattern. Recalls start from every node, and nodes whose last
    states are correlated are grouped by average linkage. The strength a alone sets the scale: at
    a = 1 each node has an attractor of its own, and as a falls nodes of a community share one. The
    second figure counts the attractors: a state is another one where its correlation is below
    0.9 on average. The third shows the correlation by the distance of two nodes in the graph.

    The first figure compares the groups of nodes with known ones and with those of Louvain's
    method, which maximises modularity, always for as many groups. The known groups are the two
    clubs into which the karate club broke, the groups of five and of ten, and the rooms; of Tutte's
    graph none are known. An adjusted Rand index of 1 is agreement, and 0 that of chance. At
    a = -0.5, where the states are wide, the three groups of five, the two of ten and the four rooms
    are found without errors, and all but one or two members of the karate club are in the right
    club. Louvain's method agrees less with clubs and rooms, because it chooses more groups there,
    four and five.

    Edges are all of the same strength: those of the karate club have weights in networkx, which are
    not used. With a = -1 and steps of rate 0.1 some states go on changing, and there are more
    attractors than at -0.5; see ``cdam.step``.
    """
    import torch

    from kanerva import correlated
    from kanerva.lab.papers.burns2024 import _graphs, _memories

    checks.choice("graph", graph, tuple(NAMES))
    steps = checks.integer("steps", steps, 1)
    groups = _graphs.community(graph)
    source = torch.Generator().manual_seed(seed)
    patterns = _memories.uniform(len(groups.graph), neurons, source)
    memory = _memories.linked(patterns, groups.graph, beta, auto=auto, hetero=1 - auto, rate=rate)
    found = correlated.attractors(memory, seed=source, steps=steps)
    agreement = _graphs.agreement(found.correlations, groups)
    means = _memories.by_distance(found.correlations, groups.graph, FARTHEST)
    distinct = correlated.communities(found.correlations, within=WITHIN)
    row = {
        "nodes": len(groups.graph),
        "attractors": int(distinct.max()) + 1,
        "known": None if groups.known is None else len(set(groups.known)),
        "found": len(set(groups.found)),
        "agreement": agreement.known,
        "right": agreement.right,
        "with_found": agreement.found,
        "reference": agreement.reference,
        "own": float(found.overlaps.diagonal().mean()),
        "mode": found.mode,
        "speed": found.speed,
    }
    distances = range(1, FARTHEST + 1)
    yield row | {f"correlation_{distance}": means[distance] for distance in distances}
