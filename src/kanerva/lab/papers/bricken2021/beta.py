"""Bricken and Pehlevan 2021: the beta of a softmax that weighs as circles do (E2)."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva import theory
from kanerva.lab import plot
from kanerva.lab.papers._common import CODE, COMPUTED, Bits, table
from kanerva.lab.recipe import Check, Row, grid, recipe

__all__ = ["beta"]

# The least share of the space for which beta is fitted.
LEAST = 1e-13
# At 64 bits: the share of the space; beta as published and by least squares, and R^2 of the latter;
# beta by least squares up to twice the radius, by squared error, and by divergence.
FITS = """
radius  share          published  ols        r2       twice      mse      kl
5       4.5014085e-13  35.484762  28.387809  0.88731  32.950589  43.7384  34.4010
9       1.7711117e-09  20.040985  17.814209  0.96015  22.876183  24.5934  20.1867
11      5.0292899e-08  15.852765  14.411605  0.97223  19.339589  18.8138  15.9225
15      1.2182286e-05  10.110419  9.436391   0.98367  13.786243  11.1641  10.0942
19      7.8139467e-04  6.303327   5.971573   0.98842  9.495154   6.5969   6.3983
27      0.13021774     1.848715   1.780244   0.99070  3.219893   2.0547   2.3029
"""
# The same for caps of a sphere.
CAPS = """
radius  published  ols
5       71.70921   57.36737
9       29.76709   26.45964
11      21.53975   19.58159
15      12.22981   11.41449
19      7.14775    6.77155
27      2.04400    1.96830
"""
# At 64 bits: beta of the two closed forms.
FORMS = """
radius  leading  entropic
5       11.391   19.912
11      6.891    9.013
15      4.516    5.306
"""
# At 64 bits, from radius 5 on: beta as published, but fitted to distances from 1 to the radius.
FROM_1 = """
35.362378 27.049051 25.903236 21.431025 20.042666 17.157364 15.868339 13.810510 12.673035
11.113133 10.122578 8.893594 8.034746 7.042782 6.300680 5.489008 4.851358 4.183960 3.641346
3.094583 2.640078 2.198058 1.826635 1.478327 1.186077 .923127 .706103
"""
# In larger spaces: beta as published, by least squares and, at 1000 bits, to first order.
LARGE = """
bits  radius  published  ols       leading
1000  384     24.61942   24.55531  13.456
1000  405     17.36497   17.32209  9.025
1000  411     15.52851   15.49073  7.921
1000  431     10.16331   10.13973  4.761
1000  444     7.30209    7.28565   3.136
1000  447     6.71194    6.69692   2.809
1000  448     6.52131    6.50676   2.704
1000  451     5.96644    5.95321   2.401
1000  463     4.01213    4.00347   1.369
1000  480     1.96321    1.95912   0.400
784   290     24.13861   24.05537  -
784   308     17.19061   17.13479  -
784   314     15.14358   15.09535  -
784   331     10.06616   10.03574  -
784   345     6.68634    6.66696   -
784   374     1.98746    1.98215   -
"""
# At 1000 bits, by radius: beta as printed for figures.
PRINTED = {384: 24.619, 418: 13.519, 441: 7.918, 463: 4.012}


def _checks() -> Iterator[Check]:
    for row, cap in zip(table(FITS), table(CAPS), strict=True):
        radius = row["radius"]
        at = {"bits": 64, "radius": radius, "space": "binary", "method": "ols"}
        share, what = row["share"], f"share of the space, radius {radius}"
        yield Check(what, "activation", share, 1e-7 * share, COMPUTED, at)
        yield _fitted(64, radius, "published", row["published"], 5e-7, CODE)
        yield _fitted(64, radius, "ols", row["ols"], 5e-7)
        yield Check(f"R^2 of ols, radius {radius}", "r2", row["r2"], 1e-5, COMPUTED, at)
        yield _fitted(64, radius, "ols, twice as far", row["twice"], 5e-7)
        yield _fitted(64, radius, "mse", row["mse"], 5e-5)
        yield _fitted(64, radius, "kl", row["kl"], 5e-5)
        yield _fitted(64, radius, "published", cap["published"], 5e-6, CODE, "continuous")
        yield _fitted(64, radius, "ols", cap["ols"], 5e-6, COMPUTED, "continuous")
    for row in table(FORMS):
        for method in ("leading", "entropic"):
            yield _fitted(64, row["radius"], method, row[method], 5e-4)
    for radius, value in enumerate(map(float, FROM_1.split()), 5):
        yield _fitted(64, radius, "published, from 1", value, 5e-7, CODE)
    for row in table(LARGE):
        for method, digit in {"published": 5e-6, "ols": 5e-6, "leading": 5e-4}.items():
            if row[method] != "-":
                yield _fitted(row["bits"], row["radius"], method, row[method], digit)
    for radius, value in PRINTED.items():
        at = {"bits": 1000, "radius": radius, "method": "published", "space": "binary"}
        yield Check(f"beta printed, radius {radius}", "beta", value, 5e-4, CODE, at)
    for asked, radius in {10.0: 15, 25.0: 7}.items():
        what, at = f"radius of beta {asked:g}", {"bits": 64, "asked": asked}
        yield Check(what, "radius", radius, 0, CODE, at)


def _fitted(
    bits: int,
    radius: int,
    method: str,
    value: float,
    tolerance: float,
    source: str = COMPUTED,
    space: str = "binary",
) -> Check:
    what = f"beta {method}, {bits} bits, radius {radius}{', caps' * (space == 'continuous')}"
    at = {"bits": bits, "radius": radius, "space": space, "method": method}
    return Check(what, "beta", value, tolerance, source, at)


def _draw(rows: list[Row]) -> Any:
    lines = {
        "kl": "divergence",
        "mse": "squared error",
        "ols": "line",
        "published": "line, as published",
        "entropic": "by entropy",
        "leading": "to first order",
        "asked": "least and most learned",
    }
    spaces = {"binary": "circles", "continuous": "caps of a sphere"}
    long = [
        {
            "x": row["radius"],
            "y": row["asked"] or row["beta"],
            "line": lines[str(row["method"])],
            "panel": f"{row['bits']} bits, {spaces[str(row['space'])]}",
        }
        for row in rows
        if row["method"] in lines and (row["bits"] == 64 or not row["asked"])
    ]
    title, dots = "The larger the circle, the softer the attention", (lines["asked"],)
    frame = plot.Frame(title, "radius in bits", "beta", across=2, dots=dots, limits=(0, 60))
    return plot.lines(long, "x", "y", frame, by="line", panel="panel")


@recipe(
    "sdm.beta",
    "The beta that makes a softmax weigh as circles do",
    "bricken2021",
    "figures of beta against radius, and appendix on fitting it",
    quick=grid(bits=64),
    paper=grid(bits=(64, 784, 1000)),
    checks=_checks(),
    draw=_draw,
)
def beta(
    bits: Bits,
    low: Annotated[
        float, "a beta whose nearest radius is computed: the least that transformers learned"
    ] = 10.0,
    high: Annotated[float, "a second such beta: the largest that they learned"] = 25.0,
) -> Iterator[Row]:
    """Fit the inverse temperature beta of a softmax to the weights of circles, for every radius.

    The logarithm of the weights is not linear in the distance: it falls steeply at first, then
    evenly, then ever more steeply. The fitted beta therefore depends on the criterion: a straight
    line through the logarithms, the squared error of the weights, or their divergence. R^2 and the
    remaining total variation measure the quality of each fit. Two closed forms are listed beside
    the fits, one to first order and one by entropy; both are far too small at 64 bits. Fits to caps
    of a sphere are steeper than fits to circles of the same radius, because a cap holds a smaller
    share of its space than a circle.

    Beta falls as the radius grows, and the methods agree better the larger the radius is. The
    values of beta that transformers with normalised queries and keys learned, about 10 to 25,
    correspond to radii from 15 to 7 at 64 bits. The slope of the published line is N / (N - 1)
    times that of the least squares line for N distances, because the authors' code divides a
    covariance by N - 1 and a variance by N. By chance it is close to the fit of least divergence,
    which is the default of the library.
    """
    methods = theory.beta.METHODS
    for radius in range(max(2, theory.radius.quantile(bits, LEAST)), bits // 2):
        fit = theory.beta.fit
        fits = {("binary", method): fit(bits, radius, method) for method in methods}
        reaches = {"published, from 1": (1, radius), "ols, twice as far": (0, 2 * radius)}
        for label, reach in reaches.items():
            method = label.split(",")[0]
            fits["binary", label] = fit(bits, radius, method, reach=reach)
        for method in methods:
            fits["continuous", method] = fit(bits, radius, method, space="continuous")
        for (space, method), found in fits.items():
            quality = {"r2": found.r2, "variation": found.residual}
            yield _row(bits, radius, space, method, found.beta) | quality
        yield _row(bits, radius, "binary", "leading", theory.beta.leading(bits, radius))
        yield _row(bits, radius, "binary", "entropic", theory.beta.entropic(bits, radius))
    for asked in (low, high):
        nearest = theory.beta.radius(bits, asked)
        yield _row(bits, nearest.radius, "binary", "asked", nearest.fit.beta) | {"asked": asked}


def _row(bits: int, radius: int, space: str, method: str, beta: float) -> Row:
    shape = theory.circle if space == "binary" else theory.cap
    share = shape.activation(bits, radius)
    row: Row = {"radius": radius, "activation": share, "space": space, "method": method}
    return row | {"beta": beta, "r2": None, "variation": None, "asked": None}
