"""Bricken and Pehlevan 2021, Attention Approximates Sparse Distributed Memory: the weights, and the radii to choose (E1 to E3)."""

import math
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np

from kanerva import theory
from kanerva.lab import plot
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["approximations", "beta", "weights"]

Bits = Annotated[int, "dimension n of the space"]
Radius = Annotated[int, "of the circles, in bits"]
Locations = Annotated[int, "number of hard locations r; 2^n is one at every point"]
Patterns = Annotated[int, "number of stored patterns m"]

COMPUTED = "computed independently"
CODE = "authors' code, stored output"
PLOT = "authors' code, stored plot"

# Shares of the space that circles are to hold: those of the figures of the weights, and of the approximations.
WEIGHED = (4e-13, 1e-9, 1e-8, 1e-5, 3.7e-4, 1e-3, 0.1)
APPROXIMATED = (1e-13, 1e-7, 1e-4, 1e-2)
DIMENSIONS = (64, 100, 128, 500, 784, 1000)
SHARES = {
    (bits, theory.radius.quantile(bits, share)): share
    for bits in DIMENSIONS
    for share in APPROXIMATED + WEIGHED
}


def _cells(bits: int, shares: tuple[float, ...]) -> list[Cell]:
    return grid(bits=bits, radius=tuple(theory.radius.quantile(bits, share) for share in shares))


def _panel(row: Row) -> str:
    return f"{row['bits']} bits, radius {row['radius']}"


def _few(rows: list[Row]) -> set[str]:
    """Name a small, a middle and a large radius of each dimension."""
    radii: dict[Any, list[str]] = {}
    for name, row in {_panel(row): row for row in rows}.items():
        radii.setdefault(row["bits"], []).append(name)
    return {names[place] for names in radii.values() for place in (0, len(names) // 2, -1)}


# E1: weights by distance.

# Weight at distances 0, 1, 3, and the total variation between circle and softmax.
WEIGHTS = {
    5: (0.72864, 0.11186, 0.02028, 0.113),
    9: (0.54473, 0.15012, 0.05192, 0.121),
    11: (0.46377, 0.15594, 0.06578, 0.111),
    15: (0.32364, 0.14775, 0.08291, 0.084),
    19: (0.21209, 0.12188, 0.08326, 0.060),
    27: (0.06985, 0.05562, 0.04854, 0.065),
}
# Radii that hold the shares above.
RADII = {
    64: (5, 9, 11, 15, 19, 20, 27),
    784: (292, 308, 314, 332, 345, 349, 374),
    1000: (387, 405, 411, 433, 447, 451, 480),
}
# log10 of the share of the sphere in two caps at distances 0, 1, 2, 4, 8, and the first distance at which they do not meet.
CAPS = {
    5: (-18.25442, -19.21781, -19.93477, -21.42541, -25.15239, 19),
    9: (-11.10749, -11.64414, -11.99250, -12.65771, -14.09586, 31),
    11: (-8.83188, -9.26137, -9.52693, -10.02003, -11.04583, 37),
    15: (-5.57780, -5.86726, -6.03249, -6.32536, -6.89944, 46),
    19: (-3.40581, -3.60431, -3.71023, -3.89052, -4.22627, 54),
    27: (-0.97084, -1.05315, -1.09221, -1.15373, -1.25703, 63),
}


def _weights_checks() -> list[Check]:
    radii = [
        Check(
            f"radius that holds {share:g} of {bits} bits",
            "radius",
            radius,
            0,
            COMPUTED,
            {"bits": bits, "share": share},
        )
        for bits, row in RADII.items()
        for share, radius in zip(WEIGHED, row, strict=True)
    ]
    binary = [
        Check(
            f"weight at {far}, radius {radius}",
            "binary",
            row[place],
            5e-6,
            COMPUTED,
            {"bits": 64, "radius": radius, "distance": far},
        )
        for radius, row in WEIGHTS.items()
        for far, place in {0: 0, 1: 1, 2: 1, 3: 2, 4: 2}.items()
    ]
    variation = [
        Check(
            f"difference from softmax, radius {radius}",
            "variation",
            row[3],
            5e-4,
            COMPUTED,
            {"bits": 64, "radius": radius},
        )
        for radius, row in WEIGHTS.items()
    ]
    caps = [
        Check(
            f"caps at {far}, radius {radius}",
            "log10_cap",
            row[place],
            5e-6,
            "adaptive quadrature",
            {"bits": 64, "radius": radius, "distance": far},
        )
        for radius, row in CAPS.items()
        for place, far in enumerate((0, 1, 2, 4, 8))
    ]
    ends = [
        Check(
            f"first distance without shared caps, radius {radius}",
            "distance",
            row[5],
            0,
            COMPUTED,
            {"bits": 64, "radius": radius, "log10_cap": None},
            "min",
        )
        for radius, row in CAPS.items()
    ]
    start = {"bits": 64, "radius": 15, "distance": 0}
    drawn = [
        Check("weight of a softmax at 0, radius 15", "softmax", 0.27, 0.005, PLOT, start),
        Check("weight of caps at 0, radius 15", "continuous", 0.366, 5e-4, PLOT, start),
        Check("beta, radius 15", "beta", 10.11, 0.005, PLOT, start),
    ]
    return [*radii, *binary, *variation, *caps, *ends, *drawn]


def _ends(rows: list[Row]) -> list[Row]:
    """Return the rows of the smallest and the largest space; what lies between looks like them."""
    sizes = [row["bits"] for row in rows]
    return [row for row in rows if row["bits"] in (min(sizes), max(sizes))]


def _draw_weights(rows: list[Row]) -> Any:
    curves = {"binary": "circles of bits", "continuous": "caps of a sphere", "softmax": "softmax"}
    rows = _ends(rows)
    shown = _few(rows)
    long = [
        {"x": row["distance"], "y": row[column], "line": label, "panel": _panel(row)}
        for row in rows
        for column, label in curves.items()
        if _panel(row) in shown and row["distance"] <= 2 * row["radius"] and row["softmax"] > 1e-9
    ]
    title = "A softmax weighs patterns much as shared circles do"
    frame = plot.Frame(title, "distance in bits", "share of all weight", log="y", limits=(1e-9, 2))
    return plot.lines(long, "x", "y", frame, by="line", panel="panel")


@recipe(
    "sdm.weights",
    "Attention and memory weigh by distance alike",
    "bricken2021",
    "figures of the weights",
    quick=_cells(64, WEIGHED),
    paper=[cell for bits in (64, 100, 784, 1000) for cell in _cells(bits, WEIGHED)],
    checks=_weights_checks(),
    draw=_draw_weights,
)
def weights(
    bits: Bits,
    radius: Radius,
    method: Annotated[str, "how beta is fitted: kl, ols, published or mse"] = "published",
) -> Iterator[Row]:
    """Weigh a stored pattern by its distance from the query, in three ways.

    A sparse distributed memory counts the locations that pattern and query share; with very many locations that is the
    space which two circles have in common. A memory of real vectors does the same with caps of a sphere. Attention takes
    the exponential of the cosine times beta, here with the beta that the paper fitted to the circles. Each curve is
    divided by its sum over all distances, so that it is a share of all weight.

    What is to be seen: over the distances that carry nearly all weight, the curves run side by side on a logarithmic scale;
    at 64 bits and radius 15 or more, circles differ from softmax by less than a tenth of all weight. They are not the same:
    circles fall steeply from distance 0 to 1, come in steps of two, and end at twice the radius, where a softmax goes on.
    Everything here is computed, nothing is sampled. The paper's beta is N / (N - 1) times that of the straight line it
    means to fit through N points, by a slip in its code; ``--set method=ols`` fits that line.
    """
    log_circle, log_cap = theory.circle.log_fraction(bits, radius), theory.cap.curve(bits, radius)
    fit = theory.beta.fit(bits, radius, method)
    binary, continuous, softmax = map(
        _shares, (log_circle, log_cap, fit.beta * theory.circle.cosine(bits, np.arange(bits + 1)))
    )
    for distance in range(bits + 1):
        yield {
            "share": SHARES.get((bits, radius)),
            "distance": distance,
            "binary": binary[distance],
            "continuous": continuous[distance],
            "softmax": softmax[distance],
            "log10_cap": _log10(log_cap[distance]),
            "beta": fit.beta,
            "variation": fit.residual,
        }


def _shares(logs: Any) -> Any:
    weights = np.exp(logs - logs.max())
    return weights / weights.sum()


def _log10(log: float) -> float | None:
    """Turn a natural logarithm into one to base ten; there is none of zero."""
    return log / math.log(10) if log > -math.inf else None


# E2: the beta of a softmax that stands for a circle.

# By radius at 64 bits: share of the space; beta as published, by least squares, its R^2, by least squares over distances
# up to twice the radius, by mean squared error, by divergence; the first two again for caps.
FITS = {
    5: (
        4.5014085e-13,
        35.484762,
        28.387809,
        0.88731,
        32.950589,
        43.7384,
        34.4010,
        71.70921,
        57.36737,
    ),
    9: (
        1.7711117e-09,
        20.040985,
        17.814209,
        0.96015,
        22.876183,
        24.5934,
        20.1867,
        29.76709,
        26.45964,
    ),
    11: (
        5.0292899e-08,
        15.852765,
        14.411605,
        0.97223,
        19.339589,
        18.8138,
        15.9225,
        21.53975,
        19.58159,
    ),
    15: (
        1.2182286e-05,
        10.110419,
        9.436391,
        0.98367,
        13.786243,
        11.1641,
        10.0942,
        12.22981,
        11.41449,
    ),
    19: (7.8139467e-04, 6.303327, 5.971573, 0.98842, 9.495154, 6.5969, 6.3983, 7.14775, 6.77155),
    27: (0.13021774, 1.848715, 1.780244, 0.99070, 3.219893, 2.0547, 2.3029, 2.04400, 1.96830),
}
# To first order and by entropy.
FORMS = {5: (11.391, 19.912), 11: (6.891, 9.013), 15: (4.516, 5.306)}
# As published, but over distances 1 to the radius, at 64 bits from radius 5 on.
FROM_1 = """35.362378 27.049051 25.903236 21.431025 20.042666 17.157364 15.868339 13.810510 12.673035 11.113133 10.122578 8.893594
    8.034746 7.042782 6.300680 5.489008 4.851358 4.183960 3.641346 3.094583 2.640078 2.198058 1.826635 1.478327 1.186077 .923127
    .706103"""
# As published, by least squares, and to first order where known.
LARGE = {
    (1000, 384): (24.61942, 24.55531, 13.456),
    (1000, 405): (17.36497, 17.32209, 9.025),
    (1000, 411): (15.52851, 15.49073, 7.921),
    (1000, 431): (10.16331, 10.13973, 4.761),
    (1000, 444): (7.30209, 7.28565, 3.136),
    (1000, 447): (6.71194, 6.69692, 2.809),
    (1000, 448): (6.52131, 6.50676, 2.704),
    (1000, 451): (5.96644, 5.95321, 2.401),
    (1000, 463): (4.01213, 4.00347, 1.369),
    (1000, 480): (1.96321, 1.95912, 0.400),
    (784, 290): (24.13861, 24.05537),
    (784, 308): (17.19061, 17.13479),
    (784, 314): (15.14358, 15.09535),
    (784, 331): (10.06616, 10.03574),
    (784, 345): (6.68634, 6.66696),
    (784, 374): (1.98746, 1.98215),
}
# Printed for figures.
PRINTED = {384: 24.619, 418: 13.519, 441: 7.918, 463: 4.012}


def _beta_checks() -> list[Check]:
    def fitted(
        bits: int,
        radius: int,
        method: str,
        expected: float,
        tolerance: float,
        source: str = CODE,
        space: str = "binary",
    ) -> Check:
        what = f"beta {method}, {bits} bits, radius {radius}{', caps' if space == 'continuous' else ''}"
        return Check(
            what,
            "beta",
            expected,
            tolerance,
            source,
            {"bits": bits, "radius": radius, "space": space, "method": method},
        )

    checks = []
    for radius, (share, published, ols, r2, whole, mse, kl, cap, cap_ols) in FITS.items():
        at: Cell = {"bits": 64, "radius": radius, "space": "binary", "method": "ols"}
        checks += [
            Check(
                f"share of the space, radius {radius}",
                "activation",
                share,
                1e-7 * share,
                COMPUTED,
                at,
            ),
            fitted(64, radius, "published", published, 5e-7),
            fitted(64, radius, "ols", ols, 5e-7, COMPUTED),
            Check(f"R^2 of ols, radius {radius}", "r2", r2, 1e-5, COMPUTED, at),
            fitted(64, radius, "ols, twice as far", whole, 5e-7, COMPUTED),
            fitted(64, radius, "mse", mse, 5e-5, COMPUTED),
            fitted(64, radius, "kl", kl, 5e-5, COMPUTED),
            fitted(64, radius, "published", cap, 5e-6, CODE, "continuous"),
            fitted(64, radius, "ols", cap_ols, 5e-6, COMPUTED, "continuous"),
        ]
    for radius, (leading, entropic) in FORMS.items():
        checks += [
            fitted(64, radius, "leading", leading, 5e-4, COMPUTED),
            fitted(64, radius, "entropic", entropic, 5e-4, COMPUTED),
        ]
    checks += [
        fitted(64, radius, "published, from 1", float(beta), 5e-7)
        for radius, beta in enumerate(FROM_1.split(), 5)
    ]
    for (bits, radius), row in LARGE.items():
        for method, beta, digit in zip(
            ("published", "ols", "leading"), row, (5e-6, 5e-6, 5e-4), strict=False
        ):
            checks.append(fitted(bits, radius, method, beta, digit, COMPUTED))
    checks += [
        Check(
            f"beta printed, radius {radius}",
            "beta",
            beta,
            5e-4,
            CODE,
            {"bits": 1000, "radius": radius, "method": "published", "space": "binary"},
        )
        for radius, beta in PRINTED.items()
    ]
    learned = {10.0: 15, 25.0: 7}
    return checks + [
        Check(f"radius of beta {beta:g}", "radius", radius, 0, CODE, {"bits": 64, "asked": beta})
        for beta, radius in learned.items()
    ]


def _draw_beta(rows: list[Row]) -> Any:
    lines = {
        "kl": "divergence",
        "mse": "squared error",
        "ols": "line",
        "published": "line, as published",
        "entropic": "by entropy",
        "leading": "to first order",
        "asked": "least and most learned",
    }
    long = [
        {
            "x": row["radius"],
            "y": row["asked"] or row["beta"],
            "line": lines[str(row["method"])],
            "panel": f"{row['bits']} bits, {'circles' if row['space'] == 'binary' else 'caps of a sphere'}",
        }
        for row in rows
        if row["method"] in lines and (row["bits"] == 64 or not row["asked"])
    ]
    title = "The larger the circle, the softer the attention"
    frame = plot.Frame(
        title, "radius in bits", "beta", across=2, dots=(lines["asked"],), limits=(0, 60)
    )
    return plot.lines(long, "x", "y", frame, by="line", panel="panel")


@recipe(
    "sdm.beta",
    "The beta that makes a softmax weigh as circles do",
    "bricken2021",
    "figures of beta against radius, and appendix on fitting it",
    quick=grid(bits=64),
    paper=grid(bits=(64, 784, 1000)),
    checks=_beta_checks(),
    draw=_draw_beta,
)
def beta(
    bits: Bits,
    low: Annotated[
        float, "a beta whose nearest radius is sought: the least that transformers learned"
    ] = 10.0,
    high: Annotated[float, "another: the largest that they learned"] = 25.0,
) -> Iterator[Row]:
    """Fit the inverse temperature beta of a softmax to the weights of a memory, for every radius, by every method.

    The logarithm of the weights is not straight over distance: it falls steeply at first, then evenly, then ever faster.
    So beta depends on what is to fit best: the straight line through the logarithms, the weights themselves, or their
    divergence. R^2 and the total variation that is left say how good each fit is. Two closed forms stand beside them, to
    first order and by entropy; both are far too small at 64 bits. Fits to caps of a sphere are steeper at the same
    radius, as a cap holds less than a circle.

    What is to be seen: a larger circle is a softer attention, and the methods agree better the larger it is. The betas
    that transformers with normalised queries and keys learned, about 10 to 25, are those of radius 15 to 7 at 64 bits.
    The published line is N / (N - 1) times the true one for N distances, as the authors' code divides a covariance by
    N - 1 and a variance by N; by luck that lies close to the least divergence, which is what the library fits by default.
    """
    for radius in range(max(2, theory.radius.quantile(bits, APPROXIMATED[0])), bits // 2):
        fits = {
            ("binary", method): theory.beta.fit(bits, radius, method)
            for method in theory.beta.METHODS
        }
        fits["binary", "published, from 1"] = theory.beta.fit(
            bits, radius, "published", reach=(1, radius)
        )
        fits["binary", "ols, twice as far"] = theory.beta.fit(
            bits, radius, "ols", reach=(0, 2 * radius)
        )
        for method in theory.beta.METHODS:
            fits["continuous", method] = theory.beta.fit(bits, radius, method, space="continuous")
        for (space, method), fit in fits.items():
            yield _beta_row(bits, radius, space, method, fit.beta) | {
                "r2": fit.r2,
                "variation": fit.residual,
            }
        yield _beta_row(bits, radius, "binary", "leading", theory.beta.leading(bits, radius))
        yield _beta_row(bits, radius, "binary", "entropic", theory.beta.entropic(bits, radius))
    for asked in (low, high):
        found = theory.beta.radius(bits, asked)
        yield _beta_row(bits, found.radius, "binary", "asked", found.fit.beta) | {"asked": asked}


def _beta_row(bits: int, radius: int, space: str, method: str, beta: float) -> Row:
    share = (
        theory.circle.activation(bits, radius)
        if space == "binary"
        else theory.cap.activation(bits, radius)
    )
    row: Row = {"radius": radius, "activation": share, "space": space, "method": method}
    return row | {"beta": beta, "r2": None, "variation": None, "asked": None}


# E3: from the exact share to an exponential, step by step.

# log10 of the share of the space in two circles of 64 bits, from exact integers, by radius and distance.
EXACT = {
    5: {0: 8303633, 2: 1274786, 4: 231076, 6: 36022, 8: 4102, 10: 252},
    11: {
        0: 927740240713,
        2: 311949983890,
        4: 131595643438,
        6: 56201615872,
        8: 23153386372,
        10: 8948445622,
        12: 3163160662,
        16: 265470790,
        20: 8649940,
        22: 705432,
    },
}
# log10 at distance 8, radius 11 of 64 bits, from the formulas by hand.
AT_8 = {
    "largest": -9.055488349,
    "normal": -8.361896974,
    "taylor": -8.255019816,
    "lower": -8.434530788,
    "upper": -6.113047740,
}
STEPS = {
    "exact": "exact",
    "largest": "largest term",
    "normal": "normal densities",
    "taylor": "first order",
    "lower": "least factor",
    "upper": "largest factor",
}


def _approximation_checks() -> list[Check]:
    exact = [
        Check(
            f"exact share at {far}, radius {radius}",
            "exact",
            math.log10(count) - 64 * math.log10(2),
            1e-9,
            "exact integers",
            {"bits": 64, "radius": radius, "distance": far},
        )
        for radius, row in EXACT.items()
        for far, count in row.items()
    ]
    memory: Cell = {"bits": 64, "radius": 11}
    steps = [
        Check(
            f"{STEPS[column]} at 8, radius 11",
            column,
            log,
            1e-8,
            COMPUTED,
            {**memory, "distance": 8},
        )
        for column, log in AT_8.items()
    ]
    last = "a single term is left where the circles touch"
    bound = [
        Check(
            "largest term at 22",
            "largest",
            math.log10(705432) - 64 * math.log10(2),
            1e-9,
            last,
            {**memory, "distance": 22},
        ),
        Check(
            "first distance with the least factor above the exact share",
            "distance",
            3,
            0,
            COMPUTED,
            {**memory, "above": 1},
            "min",
        ),
        Check(
            "last distance with the least factor above the exact share",
            "distance",
            22,
            0,
            COMPUTED,
            {**memory, "above": 1},
            "max",
        ),
        Check("share of distances with it above", "above", 20 / 23, 1e-9, COMPUTED, memory),
    ]
    return exact + steps + bound


def _draw_approximations(rows: list[Row]) -> Any:
    rows = sorted(_ends(rows), key=lambda row: (row["bits"], row["radius"]))
    start = {(row["bits"], row["radius"]): row["exact"] for row in rows if row["distance"] == 0}
    long = [
        {
            "x": row["distance"],
            "y": row[column] - start[row["bits"], row["radius"]],
            "line": label,
            "panel": _panel(row),
        }
        for row in rows
        for column, label in STEPS.items()
        if row[column] is not None and row["exact"] is not None
    ]
    long = [row for row in long if -8 <= row["y"] <= 4]
    title = "An exponential runs beside the exact share, not below it"
    frame = plot.Frame(
        title,
        "distance in bits",
        "log10 of the share of the space, less that of distance 0",
        limits=(-8, 4),
    )
    return plot.lines(long, "x", "y", frame, by="line", panel="panel")


@recipe(
    "sdm.approximations",
    "From shared circles to an exponential, step by step",
    "bricken2021",
    "appendix on the exponential approximation",
    quick=grid(bits=64, radius=(5, 11, 17, 23)),
    paper=[cell for bits in (64, 100, 128, 500, 1000) for cell in _cells(bits, APPROXIMATED)]
    + grid(bits=64, radius=11),
    checks=_approximation_checks(),
    draw=_draw_approximations,
)
def approximations(bits: Bits, radius: Radius) -> Iterator[Row]:
    """Follow the paper from the exact share of the space in two circles to an exponential of their distance.

    The exact share is a double sum of products of binomials. The steps are: its largest term alone; normal densities in
    place of the binomials; the exponent to first order in the distance; and then a constant for the factor in front, its
    least value, or its largest value times the number of terms. The last two are exponentials of the distance, and a
    softmax of the cosine is just that.

    What is to be seen: only slopes count, since weights are divided by their sum. The largest term keeps them, and normal
    densities nearly do unless circles are small; but the exponentials at the end fall about half as fast as the exact
    share or less, which is why ``sdm.beta`` fits one instead. Circles end at twice their radius, and no exponential does.
    The authors call the curve with the least factor the lower one. It is no bound, for the exponent is only approximate:
    at 64 bits and radius 11 it lies above the exact share from distance 3 on. Nothing is sampled here.
    """
    curves = {"exact": theory.circle.log_fraction(bits, radius)}
    curves |= {
        method: theory.approximation.log_fraction(bits, radius, method)
        for method in STEPS
        if method != "exact"
    }
    for distance in range(2 * radius + 1):
        above = bool(curves["lower"][distance] > curves["exact"][distance])
        yield (
            {"distance": distance}
            | {name: _log10(curve[distance]) for name, curve in curves.items()}
            | {"above": above}
        )
