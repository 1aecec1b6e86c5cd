"""Burns 2024: retrieval of pictures without links, scored by rows and by columns."""

import math
from collections.abc import Iterator
from typing import Annotated, Any

from kanerva.lab import plot
from kanerva.lab.papers._common import COMPUTED, Patterns, Seed, table
from kanerva.lab.papers.burns2024._words import Beta
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["images"]

SEEDS = 5
SOURCE = f"{COMPUTED}, 20 seeds; three standard deviations between seeds"
# Scores of the first digits of scikit-learn with their standard deviations between seeds.
DIGITS = """
auto  patterns  row    row_sd  column  column_sd
1     10        0.635  0.065   0.715   0.079
1     20        0.412  0.047   0.778   0.060
1     30        0.317  0.056   0.627   0.054
1     100       0.056  0.006   0.153   0.017
0.9   10        0.300  0       0.665   0.057
0.9   20        0.275  0.025   0.238   0.038
0.9   30        0.178  0.019   0.120   0.024
0.9   100       0.052  0.004   0.040   0.010
0.5   10        0.100  0       0.195   0.022
0.5   20        0.050  0       0.230   0.043
0.5   30        0.033  0       0.197   0.048
0.5   100       0.010  0       0.108   0.025
0.1   10        0.100  0       0.655   0.097
0.1   20        0.050  0       0.802   0.090
0.1   30        0.033  0       0.727   0.039
0.1   100       0.010  0       0.463   0.045
"""
# Column scores of the first test pictures of Fashion-MNIST; one run of the published code.
FASHION = """
auto  10   20    30
1     0.8  0.8   0.667
0.9   0.9  0.75  0.767
0.5   0.5  0.15  0.1
0.1   1    1     1
"""
# Row scores of 100 digits with little noise, each with its tolerance, by beta.
RAW = {1: (0.05, 0.03), 5: (0.34, 0.03), 20: (0.38, 0.03)}
CENTRED = {20: (0.884, 0.02), 100: (1.0, 0.01)}
# Column scores of 100 digits at a = 0.1 by the number of steps.
TRACES = {150: 0.362, 200: 0.272}
BASE: Cell = {"data": "digits", "form": "raw", "beta": 1.0, "mean": 1.0, "noise": 1.0}
QUIET: Cell = BASE | {"auto": 1.0, "patterns": 100, "noise": 0.2, "steps": 100}
CLEAN: Cell = QUIET | {"form": "centred", "mean": 0.0}
AUTOS, COUNTS, BETAS = (1.0, 0.9, 0.5, 0.1), (10, 20, 30, 100), (1.0, 5.0, 20.0, 100.0)


def _checks() -> Iterator[Check]:
    spread = 3 * math.sqrt(1 / SEEDS + 1 / 20)
    for row in table(DIGITS):
        at = BASE | {"auto": float(row["auto"]), "patterns": row["patterns"], "steps": 100}
        for score in ("row", "column"):
            what = f"{row['patterns']} digits, a = {row['auto']:g}: {score} score"
            tolerance = spread * row[f"{score}_sd"] + 0.0005
            yield Check(what, score, row[score], tolerance, SOURCE, at)
    at = BASE | {"auto": 0.1, "patterns": 100, "steps": 100}
    what = "100 digits, a = 0.1: spread of the last states"
    yield Check(what, "spread", 0, 1e-3, "all starts end in one state", at, "max")
    source = f"{COMPUTED}, five seeds; three standard deviations of such a mean"
    for steps, expected in TRACES.items():
        what = f"100 digits, a = 0.1, {steps} steps: column score"
        yield Check(what, "column", expected, 0.08, source, at | {"steps": steps})
    for form, base, found in (("as they are", QUIET, RAW), ("centred", CLEAN, CENTRED)):
        for beta, (expected, tolerance) in found.items():
            what = f"100 digits {form}, little noise, beta {beta}: row score"
            at = base | {"beta": float(beta)}
            yield Check(what, "row", expected, tolerance, COMPUTED, at)


def _draw(rows: list[Row]) -> Any:
    noisy = [row for row in rows if row["form"] == "raw" and row["steps"] == 100] or rows
    noisy = [row for row in noisy if row["noise"] == noisy[0]["noise"]]
    long = [
        row | {"y": row[score], "line": f"{score} score", "panel": f"a = {row['auto']:g}"}
        for row in noisy
        for score in ("row", "column")
    ]
    long += [
        {"patterns": count, "y": 1 / count, "line": "chance", "panel": f"a = {auto:g}"}
        for auto in dict.fromkeys(row["auto"] for row in noisy)
        for count in sorted({row["patterns"] for row in noisy})
    ]
    published = "published, column score, other pictures"
    drawn = {row["panel"] for row in long}
    for row in table(FASHION):
        panel = f"a = {row['auto']:g}"
        for count in ("10", "20", "30"):
            point = {"patterns": int(count), "y": row[count], "line": published, "panel": panel}
            long += [point] if panel in drawn else []
    frame = plot.Frame(
        "A high column score is not retrieval",
        "stored pictures",
        "share of the pictures retrieved",
        log="x",
        across=2,
        dots=(published,),
        limits=(-0.04, 1.04),
    )
    figures = {"scores": plot.lines(long, "patterns", "y", frame, by="line", panel="panel")}
    beta = [row for row in rows if row["noise"] != noisy[0]["noise"]]
    if beta:
        names = {"raw": "pictures as they are", "centred": "centred, of length one"}
        frame = plot.Frame(
            "Centred pictures of one length are retrieved",
            "beta",
            "share of the starts that end nearest to their own picture",
            log="x",
            limits=(-0.04, 1.04),
        )
        named = [row | {"line": names[row["form"]]} for row in beta]
        figures["beta"] = plot.lines(named, "beta", "row", frame, by="line")
    traces = [row for row in noisy + rows if row["form"] == "raw" and row["noise"] == 1]
    least = min(row["auto"] for row in rows)
    most = max(row["patterns"] for row in rows)
    traces = [row for row in traces if row["auto"] == least and row["patterns"] == most]
    if len({row["steps"] for row in traces}) > 1:
        found = [
            row | {"y": row[score], "line": f"{score} score"}
            for row in {id(row): row for row in traces}.values()
            for score in ("row", "column")
        ]
        frame = plot.Frame(
            "The column score is a trace of the start, which fades",
            "steps",
            f"share of {most} pictures retrieved, a = {least:g}",
            limits=(-0.04, 1.04),
        )
        figures["steps"] = plot.lines(found, "steps", "y", frame, by="line")
    return figures


@recipe(
    "cdam.images",
    "Pictures without links, and two scores",
    "burns2024",
    "the table of image retrieval; Fashion-MNIST there, digits here",
    quick=[
        *grid(**BASE, auto=(1.0, 0.5, 0.1), patterns=COUNTS, seed=range(SEEDS)),
        *grid(**QUIET | {"beta": (1.0, 20.0)}, seed=range(2)),
        *grid(**CLEAN | {"beta": (20.0, 100.0)}, seed=range(2)),
    ],
    paper=[
        *grid(**BASE, auto=AUTOS, patterns=COUNTS, seed=range(SEEDS)),
        *grid(**BASE, auto=0.1, patterns=100, steps=(50, 150, 200, 300, 400), seed=range(SEEDS)),
        *grid(**QUIET | {"beta": BETAS}, seed=range(SEEDS)),
        *grid(**CLEAN | {"beta": BETAS}, seed=range(SEEDS)),
    ],
    checks=_checks(),
    draw=_draw,
)
def images(
    data: Annotated[str, "digits, or mnist, which is downloaded, or another set of pictures"],
    form: Annotated[str, "raw, or centred: the mean picture is removed, and each has length one"],
    beta: Beta,
    mean: Annotated[float, "how often the mean pattern is subtracted from a read"],
    noise: Annotated[float, "width of the uniform noise on the starts; pictures are from 0 to 1"],
    auto: Annotated[float, "a, strength of auto-association; there are no links"],
    patterns: Patterns,
    steps: Annotated[int, "number of steps of rate 0.1"] = 100,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Store pictures without links, start at each with noise, and score the last states twice.

    The row score is the share of starts whose last state correlates most with their own picture.
    The column score, which was published, is the share of pictures that correlate most with the
    last state of their own start, among the states of all starts. At a = 1 both fall with the
    number of pictures. At a = 0.1 the column score is high, and this was reported as retrieval by
    another mechanism. The row score there is chance, 1 / p: all starts end in one state. After T
    steps a part of 0.9^T of the start is left, 3e-5 after 100, and the column score compares these
    remainders with one another. Column ``spread`` shows it: the states differ by less than 0.001 of
    their own variation. With more steps the column score falls, as the third figure shows.

    The main figure shows both scores against the number of pictures, with the published column
    scores, which are of other pictures. The second figure shows a retrieval that works: pictures
    without their mean, scaled to length one, are all retrieved at a high beta, while pictures as
    they are, are not: those of the greatest length win.
    """
    from kanerva.lab.papers.burns2024 import _images

    yield _images.scored(_images.Design(data, form, patterns, noise, steps, seed), auto, beta, mean)
