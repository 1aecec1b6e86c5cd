"""Pham and others 2025: a denoiser of a hundred slots, past its capacity."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import SEPARATE, Seed, table
from kanerva.lab.recipe import Check, Row, grid, recipe

__all__ = ["slots"]

METHODS = ("exact", "kmeans", "elbo")
TITLES = {"exact": "all digits are kept", "kmeans": "k-means", "elbo": "ELBO, by gradients"}
SLOTS = 100
KNOWN = table("""
    count  memorised  spurious
    60     1.00       0.00
    100    1.00       0.00
    120    0.83       0.17
    150    0.66       0.33
    300    0.28       0.71
    1000   0.00       0.99
""")
KINDS = ("memorised", "spurious", "generalised")


def _checks() -> Iterator[Check]:
    for known in KNOWN:
        at = {"method": "kmeans", "count": known["count"], "slots": SLOTS}
        for column in KINDS[:2]:
            what = f"k-means of {known['count']} digits: {column} share"
            yield Check(what, column, known[column], 0.08, SEPARATE, at)
    for count in (120, 150, 300):
        at = {"method": "kmeans", "count": count, "slots": SLOTS}
        what = f"k-means of {count} digits: memorised share less that of slots with one digit"
        yield Check(what, "excess", 0, 0.06, "a sample ends at any slot alike", at)
    what = "samples that do not end at a slot, at most"
    yield Check(what, "off", 0, 0.01, "the exact denoiser ends at its rows", {}, "max")
    what = "all digits kept: memorised share, at least"
    yield Check(what, "memorised", 1, 0, "the exact denoiser copies", {"method": "exact"}, "min")


def _draw(rows: list[Row]) -> Any:
    long = [
        {"count": row["count"], "y": row[kind], "line": kind, "panel": TITLES[row["method"]]}
        for kind in KINDS
        for row in rows
        if row["slots"] == SLOTS
    ]
    if not long:
        return {}
    frame = plot.Frame(
        "Past its capacity a memory averages",
        "number K of digits, for 100 slots",
        "share of the samples",
        log="x",
        verticals={"100 digits": SLOTS},
    )
    drawn = {"": plot.lines(long, "count", "y", frame, by="line", panel="panel")}
    fitted = [row | {"line": TITLES[row["method"]]} for row in rows if row["method"] != "exact"]
    if fitted:
        frame = plot.Frame(
            "What is copied is what has a slot of its own",
            "share of slots that hold a single digit",
            "share of the samples that are memorised",
            diagonal=True,
            dots=tuple(TITLES[method] for method in METHODS[1:]),
        )
        drawn["single"] = plot.lines(fitted, "single", "memorised", frame, by="line")
    return drawn


@recipe(
    "diffusion.slots",
    "A denoiser with too few slots repeats averages",
    "pham2025",
    "on spurious states between memorisation and generalisation",
    quick=[
        *grid(method="kmeans", count=(60, 100, 120, 150, 300, 1000)),
        *grid(method="elbo", count=(60, 150)),
        *grid(method="exact", count=(60, 300, 1000)),
    ],
    paper=[
        *grid(
            method="kmeans",
            count=(30, 60, 80, 100, 110, 120, 130, 150, 200, 300, 500, 1000, 1797),
            seed=range(5),
        ),
        *grid(method="elbo", count=(30, 60, 100, 120, 150, 200, 300, 1000)),
        *grid(method="exact", count=(30, 60, 100, 150, 300, 1000, 1797)),
    ],
    checks=_checks(),
    draw=_draw,
)
def slots(
    method: Annotated[str, "kmeans, elbo, or exact, which keeps all digits"],
    count: Annotated[int, "number K of digits"],
    slots: Annotated[int, "number of means, at most; of no effect for exact"] = SLOTS,
    samples: Annotated[int, "number of samples"] = 500,
    copied: Annotated[float, "distance to a digit below which a sample is memorised"] = 0.25,
    repeated: Annotated[float, "distance to a sample below which one is repeated"] = 0.1,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Sample from the exact denoiser of means that were fitted to more digits than there are means.

    The means are those of k-means, the best of ten starts, or of ``density.elbo``; where there are
    more means than digits, each digit has its own. Sampling follows the probability flow in 20
    steps, from sigma 10 to 0.05, and ends at one of the means: ``off`` is the share of the samples
    that do not. A sample is memorised within the first threshold of a digit; else spurious within
    the second of another sample; else generalised.

    Up to its capacity the memory is exact and copies. Past it some means are averages of several
    digits, and samples repeat these: ``single`` is the share of means with one digit alone, and
    ``excess`` how much more is memorised than that. So the averages are the spurious states. A mean
    that only one sample reached counts as generalised, so that this share depends on the number of
    samples: nothing is new in it. The control with all digits copies at any number of them.
    """
    from kanerva.lab.papers.pham2025 import _slots

    method = checks.choice("method", method, METHODS)
    count = checks.integer("count", count, 2, 1797)
    number = checks.integer("slots", slots, 1, 1797)
    thresholds = (
        checks.number("copied", copied, 0, 1e3),
        checks.number("repeated", repeated, 0, 1e3),
    )
    samples = checks.integer("samples", samples, 2, 100_000)
    seed = checks.integer("seed", seed, 0, 2**31)  # scikit-learn takes 32 bits
    yield _slots.measured(method, count, number, samples, thresholds, seed)
