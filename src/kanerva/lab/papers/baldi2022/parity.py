"""Learning parity: units that gate one another, a single unit, and layers without gates."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import LAW, SEPARATE, Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["parity"]

WAYS = ("one unit", "gated units", "layer", "wide layer")
STARTS = ("uniform", "no bias", "normal")
BITS = (2, 3, 4)
# The share of the layers that learned with separate code, by bits.
LAYERS = {2: 0.74, 3: 0.99, 4: 0.34}


def _checks() -> Iterator[Check]:
    end: Cell = {"step": 2000, "start": "uniform"}
    for bits in BITS:
        at = end | {"bits": bits}
        name = f"{bits} bits, gated units: share of the seeds that learn"
        yield Check(name, "learned", 1.0, 0.05, SEPARATE, at | {"way": "gated units"})
        name = f"{bits} bits, one unit: share of the seeds that learn"
        yield Check(name, "learned", 0.0, 0.0, LAW, at | {"way": "one unit"})
        name = f"{bits} bits, a layer: share of the seeds that learn"
        # Three standard errors of the share of 200 seeds.
        yield Check(name, "learned", LAYERS[bits], 0.1, SEPARATE, at | {"way": "layer"})


def _draw(rows: list[Row]) -> Any:
    frame = plot.Frame(
        "Gated units learn parity, a single unit never",
        "steps of training, and one",
        "share of the random starts with every sign right",
        log="x",
        limits=(-0.03, 1.04),
    )
    drawn = {"": _curves([row for row in rows if row["start"] == rows[0]["start"]], frame)}
    if len({row["start"] for row in rows}) > 1:
        drawn["starts"] = _starts(rows)
    return drawn


def _curves(rows: list[Row], frame: plot.Frame) -> Any:
    long = [
        {"x": row["step"] + 1, "y": row["learned"], "line": row["way"], "panel": _title(row)}
        for row in rows
    ]
    return plot.lines(long, "x", "y", frame, by="line", panel="panel")


def _starts(rows: list[Row]) -> Any:
    last = max(row["step"] for row in rows)
    long = [
        {"x": row["bits"], "y": row["learned"], "line": row["way"], "panel": row["start"]}
        for row in rows
        if row["step"] == last
    ]
    frame = plot.Frame(
        "Layers depend on how their weights start",
        "bits of the parity",
        "share of the random starts that learn",
        limits=(-0.03, 1.04),
    )
    return plot.lines(long, "x", "y", frame, by="line", panel="panel")


def _title(row: Row) -> str:
    return f"{row['bits']} bits"


@recipe(
    "quarks.parity",
    "Learning the parity of a few bits",
    "baldi2022",
    "beyond the publication, which has no experiment; after its circuits for parity",
    quick=grid(bits=BITS, way=WAYS[:3]),
    paper=[
        *grid(bits=BITS, way=WAYS, start="uniform"),
        *grid(bits=BITS, way=WAYS, start=STARTS[1:]),
    ],
    checks=_checks(),
    draw=_draw,
)
def parity(
    bits: Annotated[int, "bits of the parity, 2 to 8"],
    way: Annotated[str, "one unit, gated units, layer, or wide layer"],
    start: Annotated[str, "initial weights: uniform, no bias (uniform, biases 0), normal"] = (
        "uniform"
    ),
    seeds: Annotated[int, "random starts"] = 200,
    steps: Annotated[int, "steps of training, each by all points"] = 2000,
    rate: Annotated[float, "learning rate of Adam"] = 0.05,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Train small networks on the parity of some bits: the product of their signs.

    ``gated units`` are k tanh units of k bits, each gated by the others: the output is their
    product. ``one unit`` is a single one, which no weights let compute parity. ``layer`` has k
    hidden tanh units and one tanh unit after them, and ``wide layer`` twice as many hidden ones.
    All networks are trained by Adam on the squared error of all 2^k points at once. ``uniform``
    starts weights and biases uniformly within 1 / sqrt(inputs), as a linear layer of torch does;
    ``no bias`` starts biases at zero; ``normal`` draws both from a normal distribution of that
    standard deviation. ``learned`` is the share of the random starts that have every sign right
    after so many steps, and ``weights`` the number of weights of one network, with biases.

    All 200 starts of gated units learn 2, 3 and 4 bits, most of them within 50 steps, and one unit
    never does. A layer of k units ends in 0.74, 0.99 and 0.335 of the starts, and how it starts
    matters: 0.605, 1.00 and 0.25 without biases, 0.68, 0.99 and 0.475 with normal weights. Gated
    units learn from all three. So does a layer of twice as many hidden units, in 0.995 of the
    starts or more: what the gate saves is weights (20 against 49 for 4 bits) and one layer of
    depth, not the possibility to learn.
    """
    from kanerva.lab.papers.baldi2022 import _parity

    checks.choice("way", way, WAYS)
    checks.choice("start", start, STARTS)
    checks.choice("start", start, STARTS)
    yield from _parity.learned(
        _parity.Design(
            way,
            checks.integer("bits", bits, 2, 8),
            start,
            checks.integer("seeds", seeds, 1, 10**5),
            checks.integer("steps", steps, 1, 10**6),
            checks.number("rate", rate, 0, 10, open_low=True),
            checks.integer("seed", seed, 0, 2**62),
        )
    )
