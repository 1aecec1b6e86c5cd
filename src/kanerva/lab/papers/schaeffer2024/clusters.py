"""Schaeffer 2024: groups that mixtures find in tables, beside those of other methods."""

import statistics
from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import LAW, Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["clusters"]

SETS = ("iris", "wine", "breast_cancer", "digits")
# The names of the methods in figures; the first three are scikit-learn's.
NAMES = {
    "kmeans": "k-means",
    "gaussians": "Gaussian mixture",
    "dirichlet": "Dirichlet process",
    "clam": "CLAM",
    "elbo": "ELBO",
    "crp": "CRP",
    "vmf": "von Mises–Fisher",
}
# Methods that find the number of groups, and those that know it.
FINDING = ("dirichlet", "crp")
KNOWING = ("gaussians", "clam", "elbo", "vmf")
BOUND = "bound of the index"
LOW, HIGH = 0.01, 100.0


def _checks() -> Iterator[Check]:
    for column, words in (
        ("ari", "adjusted Rand index"),
        ("ami", "adjusted mutual information"),
        ("silhouette", "silhouette"),
    ):
        for end in ("min", "max"):
            what = f"{words}, {end} of all runs, in [−1, 1]"
            yield Check(what, column, 0.0, 1.0 + 1e-9, BOUND, aggregate=end)
    yield Check("runs with a number that is not finite", "broken", 0, 0, LAW, aggregate="max")
    what = "groups less classes, where the number of classes is known, at most"
    yield Check(what, "excess", 0, 0, LAW, aggregate="max")
    for name in SETS:
        at = {"data": name, "method": "crp", "prior": HIGH}
        what = f"{name}: memories of CRP, concentration {HIGH:g} less {LOW:g}, at least 0"
        # The middle and the half of a range that starts at 0 and has no end.
        yield Check(what, "found", 1e4, 1e4, LAW, at, less=at | {"prior": LOW})
        what = f"{name}: groups of k-means less classes"
        at = {"data": name, "method": "kmeans"}
        yield Check(what, "excess", 0, 0, LAW, at, "min")


def _draw(rows: list[Row]) -> Any:
    runs: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        runs.setdefault((row["data"], row["method"]), []).append(row["ari"])
    long = [
        {"data": name, "line": NAMES[method], "x": place / max(1, len(some) - 1), "y": value}
        for (name, method), some in runs.items()
        for place, value in enumerate(sorted(some))
    ]
    frame = plot.Frame(
        "From the worst to the best run of each method",
        "share of the runs of a method that are below",
        "adjusted Rand index",
        across=2,
    )
    drawn = {"": plot.lines(long, "x", "y", frame, by="line", panel="data")}
    summary = [
        {"data": name, "line": NAMES[method], "x": statistics.median(some), "y": max(some)}
        for (name, method), some in runs.items()
    ]
    frame = plot.Frame(
        "The best run of each method against its median",
        "adjusted Rand index, median",
        "adjusted Rand index, best",
        across=2,
        dots=tuple(NAMES.values()),
        diagonal=True,
    )
    drawn["best"] = plot.lines(summary, "x", "y", frame, by="line", panel="data")
    number = [row | {"line": NAMES[row["method"]]} for row in rows if row["method"] in FINDING]
    if number:
        frame = plot.Frame(
            "Groups found by methods that choose their number",
            "concentration",
            "number of groups, mean over scales and starts",
            log="xy",
            across=2,
        )
        drawn["found"] = plot.lines(number, "prior", "found", frame, by="line", panel="data")
    return drawn


def _cells(name: str, scales: tuple[float, ...], priors: tuple[float, ...], starts: int) -> Any:
    one: Cell = {"data": name, "starts": starts}
    return [
        *grid(**one, method="kmeans", scale=1.0, prior=1.0),
        *grid(**one, method=KNOWING, scale=scales, prior=1.0),
        *grid(**one, method=FINDING, scale=scales, prior=priors),
    ]


@recipe(
    "bridge.clusters",
    "Groups that mixtures find in tables",
    "schaeffer2024",
    "for the clustering of tables",
    quick=[
        cell for name in SETS[:2] for cell in _cells(name, (0.5, 1.0), (LOW, 1.0, HIGH), starts=2)
    ],
    paper=[
        cell
        for name in SETS
        for cell in _cells(name, (0.25, 0.5, 0.75, 1.0), (LOW, 0.1, 1.0, 10.0, HIGH), starts=5)
    ],
    checks=_checks(),
    draw=_draw,
)
def clusters(
    data: Annotated[str, "iris, wine, breast_cancer or digits"],
    method: Annotated[str, "kmeans, gaussians, dirichlet, clam, elbo, crp or vmf"],
    scale: Annotated[float, "standard deviation of a group, in those of the columns"] = 1.0,
    prior: Annotated[float, "concentration of crp and of dirichlet"] = 1.0,
    starts: Annotated[int, "number of starts, or of orders for crp"] = 2,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Group the rows of a table by several methods, and compare the groups with its classes.

    Columns are standardised. K-means, the Gaussian mixture, ``clam``, ``elbo`` and ``vmf``, which
    is ``elbo`` on directions with half the scale, know the number of classes; the
    Dirichlet-process mixture, which may use twice as many, and ``crp`` find a number of their own.
    The mixtures of scikit-learn have spherical covariances, and the scale is their smallest
    standard deviation. Every start is at other random rows; for ``crp`` it is another order of the
    rows.

    The column ``ari`` is the adjusted Rand index of groups and classes, ``ami`` their adjusted
    mutual information, ``silhouette`` how far apart the groups are, and ``found`` their number.
    The indices depend on the scales, concentrations and starts that are tried, so that the table
    has no expected numbers and ranks no method; the figures show all runs, the best and the median.
    """
    import math

    from kanerva.lab.papers.schaeffer2024 import _clusters, _methods

    data = checks.choice("data", data, SETS)
    group = _methods.METHODS[checks.choice("method", method, tuple(NAMES))]
    scale = checks.number("scale", scale, 1e-3, 1e3)
    prior = checks.number("prior", prior, 0.0, 1e6, open_low=True)
    seed = checks.integer("seed", seed, 0, 2**31)  # scikit-learn takes 32 bits
    x, classes = _methods.load(data)
    known = len(set(classes.tolist()))
    for start in range(checks.integer("starts", starts, 1, 1000)):
        ids = group(x, known, scale, prior, seed + start).tolist()
        row: Row = dict(_clusters.scores(x, classes, ids))
        broken = any(one is not None and not math.isfinite(one) for one in row.values())
        excess = None if method in FINDING else row["found"] - known
        yield {"start": start, **row, "excess": excess, "broken": int(broken)}
