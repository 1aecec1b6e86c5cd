"""Keeler 1988, comparison of sparse distributed memory and Hopfield-type networks: its experiment."""

from collections.abc import Iterator
from typing import Annotated, Any

import torch
from torch import Tensor

import kanerva
from kanerva import Memory, functional
from kanerva import bits as bits_
from kanerva.lab import plot
from kanerva.lab.recipe import Check, Row, grid, recipe
from kanerva.separation import Linear, Step
from kanerva.similarity import agreement, dot

__all__ = ["hopfield"]

MEMORIES = (
    {"memory": "hopfield", "size": 2},
    {"memory": "dense", "size": 3},
    {"memory": "dense", "size": 4},
    {"memory": "exponential", "size": 0},
    {"memory": "sdm", "size": 1000},
    {"memory": "sdm", "size": 10_000},
    {"memory": "sdm", "size": 100_000},
)
TARGETS = 200


def _draw(rows: list[Row]) -> Any:
    names = {
        "hopfield": "Hopfield",
        "dense": "polynomial of order {size}",
        "exponential": "exponential",
        "sdm": "{size:,} locations",
    }
    long = [
        {
            "patterns": row["patterns"],
            "recalled": row["recalled"],
            "line": names[str(row["memory"])].format(size=row["size"]),
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


@recipe(
    "keeler.hopfield",
    "A Hopfield network as a sparse distributed memory, and what others hold",
    "keeler1988",
    "the comparison of the models",
    quick=[{**one, **rest} for one in MEMORIES for rest in grid(bits=100, wrong=5, doublings=11)],
    paper=[{**one, **rest} for one in MEMORIES for rest in grid(bits=100, wrong=5, doublings=15, seed=(0, 1))],
    checks=[
        Check("field of the memory with a location at every pattern, less the network's, at most", "field_difference", 0, 0,
              "the two are one matrix", aggregate="max"),
        Check("bits that the two read differently, at most", "bits_different", 0, 0, "the two are one matrix", aggregate="max"),
        Check("Hopfield: share of bits wrong after one clean read, less that of the binomial, on average", "off", 0, 0.008,
              "tail of a fair binomial"),
    ],
    draw=_draw,
)  # fmt: skip
def hopfield(
    memory: Annotated[str, "hopfield, dense, exponential or sdm"],
    size: Annotated[
        int, "order of the interaction, or how many locations; 0 for the exponential one"
    ],
    bits: Annotated[int, "neurons of a network, length of a pattern"],
    wrong: Annotated[int, "wrong bits of a query"],
    doublings: Annotated[int, "the number of patterns grows to two to this power"],
    seed: Annotated[int, "of all that is drawn at random"] = 0,
) -> Iterator[Row]:
    """Store more and more patterns, and recall them from queries with a few wrong bits.

    A Hopfield network is a sparse distributed memory with a location at every pattern: write only where the address is
    the pattern itself, read from all locations, and weigh each by its product with the query. The sums are those of the
    network of outer products with its diagonal, bit by bit, and this is checked to be so without any tolerance.

    What is to be seen: a Hopfield network of a hundred neurons holds about ten patterns, and nothing can be added to
    it. Interactions of a higher order hold more, and exponential ones, whose read is nearly softmax attention, more
    than is tried here. A sparse distributed memory of the same hundred bits holds more with every location. The counts
    are of this size and of queries with five wrong bits; the comparison is not of the cost of each.
    """
    source = torch.Generator().manual_seed(seed)
    for count in (2**power for power in range(1, doublings + 1)):
        patterns = bits_.random(count, bits, seed=source)
        store = _memory(memory, size, bits, count, seed)
        store.write(patterns)
        targets = patterns[:TARGETS]
        cues = bits_.flip(targets, wrong, seed=source)
        same = (
            _differences(patterns, cues)
            if memory == "hopfield" and count <= 2**10
            else (None, None)
        )
        error = (store.read(targets) != targets).double().mean().item()
        yield {
            "patterns": count,
            "recalled": (store.recall(cues) == targets).all(-1).double().mean(),
            "error": error,
            "off": error - _clean_error(bits, count)
            if memory == "hopfield" and count >= TARGETS // 4
            else None,
            "field_difference": same[0],
            "bits_different": same[1],
        }


def _memory(memory: str, size: int, bits: int, patterns: int, seed: int) -> Memory:
    if memory == "hopfield":
        return kanerva.hopfield(bits)
    if memory == "dense":
        return kanerva.dense(bits, size)
    if memory == "exponential":
        return kanerva.exponential(bits)
    return kanerva.sdm(bits, size, patterns=patterns, seed=seed)


def _differences(patterns: Tensor, queries: Tensor) -> tuple[float, int]:
    """Compare the memory with a location at every pattern with the network of outer products, its diagonal kept."""
    counters = torch.zeros_like(patterns)
    functional.deposit(patterns, patterns, patterns, counters, agreement, Step(patterns.shape[1]))
    field = functional.read(queries, patterns, counters, dot, Linear())
    network = kanerva.hopfield(patterns.shape[1], diagonal="kept")
    network.write(patterns)
    outer = queries @ (patterns.T @ patterns)
    settled = torch.where(field == 0, queries, field.sign())
    return (field - outer).abs().max().item(), int((network.read(queries) != settled).sum())


def _clean_error(bits: int, patterns: int) -> float:
    """Return the chance that a Hopfield network reads a bit of a stored pattern wrong: (m - 1)(n - 1) signs outvote n - 1."""
    from scipy.stats import binom

    votes = (patterns - 1) * (bits - 1)
    return float(binom.cdf((votes - bits + 1) / 2 - 0.5, votes, 0.5))
