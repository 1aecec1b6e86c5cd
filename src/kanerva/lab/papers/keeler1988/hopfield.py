"""Keeler 1988: a Hopfield network as a sparse distributed memory, and what other networks hold."""

from collections.abc import Iterator
from typing import Annotated, Any

import kanerva
from kanerva._core import checks, machine
from kanerva.lab import plot
from kanerva.lab.papers._common import Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["clean_error", "hopfield"]

MEMORIES: tuple[Cell, ...] = (
    {"memory": "hopfield", "size": 2},
    {"memory": "dense", "size": 3},
    {"memory": "dense", "size": 4},
    {"memory": "exponential", "size": 0},
    {"memory": "sdm", "size": 1000},
    {"memory": "sdm", "size": 10_000},
    {"memory": "sdm", "size": 100_000},
)
LINES = {
    "hopfield": "Hopfield",
    "dense": "polynomial of order {size}",
    "exponential": "exponential",
    "sdm": "{size:,} locations",
}
# The largest number of patterns that are recalled, and with which the network is compared.
TARGETS, COMPARED = 200, 2**10


def _checks() -> Iterator[Check]:
    what = "field of the memory with a location at every pattern, less the network's, at most"
    matrix = "the two are one matrix"
    yield Check(what, "field_difference", 0, 0, matrix, aggregate="max")
    what = "bits that the two read differently, at most"
    yield Check(what, "bits_different", 0, 0, matrix, aggregate="max")
    what = "Hopfield: share of bits wrong after one clean read, less that of the binomial"
    yield Check(f"{what}, on average", "off", 0, 0.008, "tail of a fair binomial")


def _draw(rows: list[Row]) -> Any:
    long = [
        {
            "patterns": row["patterns"],
            "recalled": row["recalled"],
            "line": LINES[row["memory"]].format(size=row["size"]),
            "panel": "sparse distributed memory" if row["memory"] == "sdm" else "networks",
        }
        for row in rows
    ]
    frame = plot.Frame(
        "Locations can be added, neurons cannot",
        "patterns stored",
        "share of the patterns recalled",
        log="x",
        across=2,
    )
    return plot.lines(long, "patterns", "recalled", frame, by="line", panel="panel")


SIZE: Cell = {"bits": 100, "wrong": 5}


@recipe(
    "keeler.hopfield",
    "A Hopfield network as a sparse distributed memory, and the capacity of others",
    "keeler1988",
    "the comparison of the models",
    quick=[cell for one in MEMORIES for cell in grid(**one, **SIZE, doublings=11)],
    paper=[cell for one in MEMORIES for cell in grid(**one, **SIZE, doublings=15, seed=(0, 1))],
    checks=_checks(),
    draw=_draw,
)
def hopfield(
    memory: Annotated[str, "hopfield, dense, exponential or sdm"],
    size: Annotated[int, "order of the interaction, or number of locations; 0 for exponential"],
    bits: Annotated[int, "number of neurons of a network, length of a pattern"],
    wrong: Annotated[int, "wrong bits of a query"],
    doublings: Annotated[int, "the number of patterns grows to two to this power"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Store a growing number of patterns, and recall them from queries with a few wrong bits.

    A Hopfield network is a sparse distributed memory with a location at every pattern: a pattern is
    written only to the location with its own address, and a read sums over all locations, weighed
    by the dot product of their address with the query. The sums equal those of the network of outer
    products that keeps its diagonal, bit by bit; this is checked without any tolerance.

    A Hopfield network of a hundred neurons holds about ten patterns, and its capacity cannot be
    increased. Interactions of a higher order hold more. Exponential interactions, whose read is
    nearly softmax attention, hold more than are stored here. A sparse distributed memory of the
    same hundred bits holds more with every location that is added. The numbers are those of this
    size and of queries with five wrong bits; the cost of each memory is not compared.
    """
    import torch

    from kanerva.lab.papers.keeler1988 import _networks

    _fit(memory, bits, doublings)
    source = torch.Generator().manual_seed(seed)
    for count in (2**power for power in range(1, doublings + 1)):
        patterns = kanerva.bits.random(count, bits, seed=source)
        store = _networks.build(memory, size, bits, count, seed)
        store.write(patterns)
        targets = patterns[:TARGETS]
        cues = kanerva.bits.flip(targets, wrong, seed=source)
        error = (store.read(targets) != targets).double().mean().item()
        field = different = off = None
        if memory == "hopfield" and count <= COMPARED:
            field, different = _networks.differences(patterns, cues)
        if memory == "hopfield" and count >= TARGETS // 4:
            off = error - clean_error(bits, count)
        yield {
            "patterns": count,
            "recalled": (store.recall(cues) == targets).all(-1).double().mean(),
            "error": error,
            "off": off,
            "field_difference": field,
            "bits_different": different,
        }


def _fit(memory: str, bits: int, doublings: int) -> None:
    """Refuse more patterns, or a larger network of outer products, than fit into memory."""
    bits = checks.integer("bits", bits, 1, checks.LONGEST)
    doublings = checks.integer("doublings", doublings, 1, 30)
    machine.fit("doublings", 16 * bits * 2**doublings, str(doublings), "store fewer patterns")
    if memory == "hopfield":
        machine.fit("bits", 8 * bits**2, str(bits), "take a smaller network")


def clean_error(bits: int, patterns: int) -> float:
    """Return the probability that a Hopfield network reads a bit of a stored pattern wrong.

    It is the probability that (m - 1)(n - 1) random signs outvote n - 1 equal ones, for m patterns
    of n bits.

    Example:
        >>> round(clean_error(100, 14), 4)
        0.0026
    """
    from scipy.stats import binom

    votes = (patterns - 1) * (bits - 1)
    return float(binom.cdf((votes - bits + 1) / 2 - 0.5, votes, 0.5))
