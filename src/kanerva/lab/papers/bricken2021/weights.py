"""Bricken and Pehlevan 2021: the weights of circles, caps and attention by distance (E1)."""

from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np

from kanerva import theory
from kanerva.lab import plot
from kanerva.lab.papers._common import COMPUTED, PLOT, Bits, Radius, table
from kanerva.lab.papers.bricken2021 import _shares
from kanerva.lab.recipe import Check, Row, recipe

__all__ = ["weights"]

# Shares of the space that the circles hold.
SHARES = (4e-13, 1e-9, 1e-8, 1e-5, 3.7e-4, 1e-3, 0.1)
# By dimension: the least radii that hold these shares.
RADII = {
    64: (5, 9, 11, 15, 19, 20, 27),
    784: (292, 308, 314, 332, 345, 349, 374),
    1000: (387, 405, 411, 433, 447, 451, 480),
}
# At 64 bits: weights of circles by distance, and the total variation between circles and softmax.
WEIGHTS = """
radius  at_0     at_1     at_3     variation
5       0.72864  0.11186  0.02028  0.113
9       0.54473  0.15012  0.05192  0.121
11      0.46377  0.15594  0.06578  0.111
15      0.32364  0.14775  0.08291  0.084
19      0.21209  0.12188  0.08326  0.060
27      0.06985  0.05562  0.04854  0.065
"""
# At 64 bits: log10 of the share of the sphere in two caps by distance, and the first distance at
# which they do not intersect.
CAPS = """
radius  0          1          2          4          8          end
5       -18.25442  -19.21781  -19.93477  -21.42541  -25.15239  19
9       -11.10749  -11.64414  -11.99250  -12.65771  -14.09586  31
11      -8.83188   -9.26137   -9.52693   -10.02003  -11.04583  37
15      -5.57780   -5.86726   -6.03249   -6.32536   -6.89944   46
19      -3.40581   -3.60431   -3.71023   -3.89052   -4.22627   54
27      -0.97084   -1.05315   -1.09221   -1.15373   -1.25703   63
"""


def _checks() -> Iterator[Check]:
    for bits, radii in RADII.items():
        for share, radius in zip(SHARES, radii, strict=True):
            what = f"radius that holds {share:g} of {bits} bits"
            yield Check(what, "radius", radius, 0, COMPUTED, {"bits": bits, "share": share})
    for row in table(WEIGHTS):
        # Circles an odd distance apart intersect as much as those one bit further apart.
        for far, column in enumerate(("at_0", "at_1", "at_1", "at_3", "at_3")):
            what, at = f"weight at {far}, radius {row['radius']}", _at(row, distance=far)
            yield Check(what, "binary", row[column], 5e-6, COMPUTED, at)
    for row in table(WEIGHTS):
        what = f"difference from softmax, radius {row['radius']}"
        yield Check(what, "variation", row["variation"], 5e-4, COMPUTED, _at(row))
    for row in table(CAPS):
        for far in (0, 1, 2, 4, 8):
            what, at = f"caps at {far}, radius {row['radius']}", _at(row, distance=far)
            yield Check(what, "log10_cap", row[str(far)], 5e-6, "adaptive quadrature", at)
    for row in table(CAPS):
        what = f"first distance without shared caps, radius {row['radius']}"
        yield Check(what, "distance", row["end"], 0, COMPUTED, _at(row, log10_cap=None), "min")
    at = {"bits": 64, "radius": 15, "distance": 0}
    yield Check("weight of a softmax at 0, radius 15", "softmax", 0.27, 0.005, PLOT, at)
    yield Check("weight of caps at 0, radius 15", "continuous", 0.366, 5e-4, PLOT, at)
    yield Check("beta, radius 15", "beta", 10.11, 0.005, PLOT, at)


def _at(row: Row, **more: Any) -> Row:
    return {"bits": 64, "radius": row["radius"], **more}


def _draw(rows: list[Row]) -> Any:
    curves = {"binary": "circles of bits", "continuous": "caps of a sphere", "softmax": "softmax"}
    rows = _shares.ends(rows)
    shown = _few(rows)
    long = [
        {"x": row["distance"], "y": row[column], "line": label, "panel": _shares.panel(row)}
        for row in rows
        if _shares.panel(row) in shown
        if row["distance"] <= 2 * row["radius"] and row["softmax"] > 1e-9
        for column, label in curves.items()
    ]
    title = "A softmax weighs patterns much as shared circles do"
    frame = plot.Frame(title, "distance in bits", "share of all weight", log="y", limits=(1e-9, 2))
    return plot.lines(long, "x", "y", frame, by="line", panel="panel")


def _few(rows: list[Row]) -> set[str]:
    """Name the panels of a small, a middle and a large radius of each dimension."""
    panels: dict[Any, list[str]] = {}
    for name, row in {_shares.panel(row): row for row in rows}.items():
        panels.setdefault(row["bits"], []).append(name)
    return {names[place] for names in panels.values() for place in (0, len(names) // 2, -1)}


@recipe(
    "sdm.weights",
    "Attention and memory weigh by distance alike",
    "bricken2021",
    "figures of the weights",
    quick=_shares.cells(64, SHARES),
    paper=[cell for bits in (64, 100, 784, 1000) for cell in _shares.cells(bits, SHARES)],
    checks=_checks(),
    draw=_draw,
)
def weights(
    bits: Bits,
    radius: Radius,
    method: Annotated[str, "method that fits beta: kl, ols, published or mse"] = "published",
) -> Iterator[Row]:
    """Compare three models of the weight of a stored pattern, by its distance from the query.

    A sparse distributed memory weighs a pattern by the number of locations that it shares with the
    query. With very many locations this is the share of the space in the intersection of two
    circles. A memory of real vectors uses the intersection of two caps of a sphere instead.
    Attention uses the exponential of beta times the cosine; here beta is the one that the paper
    fitted to the circles. Each curve is divided by its sum over all distances and so gives shares
    of the total weight.

    On a logarithmic scale the three curves are nearly parallel over the distances that carry nearly
    all the weight. At 64 bits and radius 15 or more, circles and softmax differ by less than a
    tenth of the total weight. The curves are not the same: the weight of circles falls steeply from
    distance 0 to 1, changes in steps of two bits, and is zero beyond twice the radius, where a
    softmax is positive. All values are computed, none is sampled. For N distances the paper's beta
    is N / (N - 1) times that of the least squares line, because of an error in its code; ``--set
    method=ols`` fits the line itself.
    """
    log_circle, log_cap = theory.circle.log_fraction(bits, radius), theory.cap.curve(bits, radius)
    fit = theory.beta.fit(bits, radius, method)
    log_softmax = fit.beta * theory.circle.cosine(bits, np.arange(bits + 1))
    binary, continuous, softmax = map(_normalised, (log_circle, log_cap, log_softmax))
    shares = {theory.radius.quantile(bits, share): share for share in SHARES}
    for distance in range(bits + 1):
        yield {
            "share": shares.get(radius),
            "distance": distance,
            "binary": binary[distance],
            "continuous": continuous[distance],
            "softmax": softmax[distance],
            "log10_cap": _shares.log10(log_cap[distance]),
            "beta": fit.beta,
            "variation": fit.residual,
        }


def _normalised(logs: Any) -> Any:
    """Return weights that sum to one, from their logarithms."""
    weights = np.exp(logs - logs.max())
    return weights / weights.sum()
