"""Schaeffer 2024: memories that the data create."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva import InputError, theory
from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import COMPUTED, SEPARATE, Seed, table
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["crp"]

ORDERS = ("shuffled", "sorted", "none")
# The mean number of memories and the mean adjusted Rand index over five orders.
FOUND = table("""
concentration  discount  found  ari
1e-06          0.0       6.0    1.0
0.01           0.0       6.0    1.0
1.0            0.0       6.4    0.9912
10.0           0.0       9.6    0.9642
100.0          0.0       20.2   0.9075
0.01           0.5       8.6    0.9838
100.0          0.5       29.4   0.8975
""")
# The expected number of memories of 1000 rows without data, by discount, the mean of simulated
# runs, and its tolerance: three standard errors of the mean of 100 runs.
PRIOR = {0.0: (7.485470860550, 7.84, 1.0), 0.5: (69.39172260566, 70.28, 15.0)}
SHUFFLED: Cell = {"order": "shuffled", "normalised": "yes", "sweeps": 0}
RUNS = 100


def _checks() -> Iterator[Check]:
    for row in FOUND:
        rule = {"concentration": row["concentration"], "discount": row["discount"]}
        words = f"concentration {row['concentration']:g}, discount {row['discount']:g}"
        five = "mean of five orders"
        at = SHUFFLED | rule
        yield Check(f"memories, {words}, {five}", "found", row["found"], 1e-9, SEPARATE, at)
        what = f"adjusted Rand index, {words}, {five}"
        yield Check(what, "ari", row["ari"], 5e-5, SEPARATE, at)
        if row["found"] == 6:
            for end in ("min", "max"):
                what = f"memories, {words}, {end} of five orders"
                yield Check(what, "found", 6, 0, SEPARATE, at, end)
    one = {"concentration": 1.0, "discount": 0.0, "sweeps": 0}
    at = one | {"order": "sorted", "normalised": "yes"}
    yield Check("memories, sorted by cluster, concentration 1", "found", 8, 0, SEPARATE, at)
    what = "adjusted Rand index, sorted by cluster, concentration 1"
    yield Check(what, "ari", 0.957, 5e-4, SEPARATE, at)
    at = one | {"order": "shuffled", "normalised": "no", "seed": 0}
    yield Check("memories, energy as printed, concentration 1", "found", 23, 0, SEPARATE, at)
    what = "adjusted Rand index, energy as printed, concentration 1"
    yield Check(what, "ari", 0.936, 5e-4, SEPARATE, at)
    at = at | {"concentration": 0.01}
    yield Check("memories, energy as printed, concentration 0.01", "found", 6, 0, SEPARATE, at)
    for discount, (expected, simulated, tolerance) in PRIOR.items():
        at = {"order": "none", "concentration": 1.0, "discount": discount}
        words = f"1000 rows without data, concentration 1, discount {discount:g}"
        what = f"expected memories, {words}"
        yield Check(what, "expected", expected, 1e-9, COMPUTED, at)
        what = f"simulated memories, {words}"
        yield Check(what, "found", simulated, tolerance, SEPARATE, at)


def _draw(rows: list[Row]) -> Any:
    data = [row | {"line": _line(row)} for row in rows if row["order"] == "shuffled"]
    if not data:
        return {}
    found = plot.Frame(
        "Memories that six clusters create",
        "concentration",
        "number of memories",
        log="x",
    )
    index = plot.Frame(
        "Agreement with the six clusters", "concentration", "adjusted Rand index", log="x"
    )
    return {
        "": plot.lines(data, "concentration", "found", found, by="line"),
        "ari": plot.lines(data, "concentration", "ari", index, by="line"),
    }


def _line(row: Row) -> str:
    kind = "" if row["normalised"] == "yes" else ", as printed"
    kind += f", {row['sweeps']} sweeps" if row["sweeps"] else ""
    return f"discount {row['discount']:g}{kind}"


def _cells(*concentrations: float, seeds: int = 5, **rule: Any) -> list[Cell]:
    return grid(**(SHUFFLED | rule), concentration=concentrations, seed=range(seeds))


FEW = (1e-6, 0.01, 1.0, 10.0, 100.0)
MANY = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0, 100.0)
# Numbers of a table are of five orders, so that neither size has more.
OTHERS = [
    *grid(order="sorted", normalised="yes", sweeps=0, concentration=(0.01, 1.0), discount=0.0),
    *grid(order="none", rows=1000, concentration=1.0, discount=(0.0, 0.5)),
]


@recipe(
    "bridge.crp",
    "Memories that the data create",
    "schaeffer2024",
    "on memories by the Chinese restaurant process",
    quick=[
        *_cells(*FEW, discount=0.0),
        *_cells(0.01, 100.0, discount=0.5),
        *_cells(0.01, 1.0, seeds=1, discount=0.0, normalised="no"),
        *_cells(1.0, 10.0, 100.0, discount=0.0, sweeps=20),
        *OTHERS,
    ],
    paper=[
        *_cells(*MANY, discount=0.0),
        *_cells(*MANY, discount=0.5),
        *_cells(*MANY, discount=0.0, normalised="no"),
        *_cells(*MANY, discount=0.0, sweeps=20),
        *OTHERS,
    ],
    checks=_checks(),
    draw=_draw,
)
def crp(
    concentration: Annotated[float, "how readily memories are created"],
    discount: Annotated[float, "how much less than its rows a memory counts, in [0, 1)"] = 0.0,
    order: Annotated[str, "shuffled; sorted, by cluster; none, for the process alone"] = "shuffled",
    normalised: Annotated[str, "yes; or no, for the energy as it is printed"] = "yes",
    sweeps: Annotated[int, "passes in which every row is assigned again"] = 0,
    rows: Annotated[int, "number of points, a multiple of six, or of rows without data"] = 600,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Write six clusters of points one by one, and count the memories that they create.

    The centres of the clusters are the corners of a hexagon of radius 8, and the standard deviation
    of each is 0.5. The memory knows this, and a standard deviation of 6 for the centres. A row goes
    to the memory with the largest term, or creates one. The column ``found`` is the number of
    memories, ``ari`` the adjusted Rand index of rows and clusters, and ``expected`` the number that
    the process expects without data, ``theory.crp.expected``. With ``order`` none there are no data
    at all: ``found`` is the mean of 100 simulated runs of the process.

    A larger concentration creates more memories, and so does a discount, each of which holds
    outliers of a cluster. Rows sorted by cluster create more than shuffled ones. The printed energy
    leaves out the normalisers of the Gaussians; in two dimensions a new memory then weighs 145
    times as much. Sweeps in which each row leaves and enters again remove some of the small
    memories.
    """
    import torch

    from kanerva import density
    from kanerva.lab.papers.schaeffer2024 import _clusters

    order = checks.choice("order", order, ORDERS)
    flag = checks.choice("normalised", normalised, ("yes", "no")) == "yes"
    rows, seed = checks.integer("rows", rows, 6, 10**6), checks.integer("seed", seed, 0, 2**62)
    expected = theory.crp.expected(rows, concentration, discount)
    if order == "none":
        found = _clusters.tables(rows, concentration, discount, RUNS, seed)
        yield {"found": found, "expected": expected, "ari": None}
        return
    if rows % 6:
        raise InputError("bridge.crp", "rows", "a multiple of six", str(rows), "give such a number")
    x, cluster = _clusters.hexagon(rows // 6, order, seed)
    memory = density.crp(2, 0.5, 6.0, concentration, discount, normalised=flag, dtype=torch.float64)
    ids = memory.fit(x, sweeps=sweeps)
    ari = _clusters.scores(x, cluster, ids.tolist())["ari"]
    yield {"found": len(memory), "expected": expected, "ari": ari}
