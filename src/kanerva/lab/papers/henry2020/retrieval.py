"""Train beta where the right answer is known: retrieval from noisy queries."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva import theory
from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import Bits, Patterns, Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["retrieval"]

CRITERIA = ("noise", "snr", "capacity")
READERS = {
    "posterior": "posterior",
    "learned": "learned beta",
    "best": "circle that retrieves best",
    "nearest": "circle of the nearest beta",
    "noise": "circle best against noise",
    "snr": "circle best for signal to noise",
    "capacity": "circle best for capacity",
}
# Beta alone, by bits, patterns and the share of wrong bits.
SIZES = ((64, 32), (32, 64))
FLIPS = (0.2, 0.3, 0.4)


def _checks() -> Iterator[Check]:
    source = "posterior, by Bayes' rule"
    for bits, patterns in SIZES:
        for flips in FLIPS:
            at = _at(bits, patterns, flips)
            what = f"learned beta over the posterior's, {bits} bits, {flips:.0%} wrong"
            yield Check(what, "ratio", 1, 0.03, source, at)
    for patterns in (8, 128, 1024):
        what = f"learned beta over the posterior's, 64 bits, 30% wrong, {patterns:,} patterns"
        yield Check(what, "ratio", 1, 0.03, source, _at(64, patterns, 0.3))
    what = "learned beta over the posterior's, correlated keys"
    yield Check(what, "ratio", 1, 0.03, source, _at(64, 32, 0.3) | {"keys": "correlated"})
    what = "learned beta over that of Gaussian noise"
    yield Check(what, "ratio", 1, 0.05, source, _at(64, 32, 0.3) | {"noise": "gaussian"})
    what = "share of right answers above the posterior's, at most"
    yield Check(what, "above", 0, 0.02, "no answer is better than the posterior's", aggregate="max")


def _at(bits: int, patterns: int, flips: float) -> Cell:
    at = {"bits": bits, "patterns": patterns, "flips": flips, "reader": "learned"}
    return at | {"noise": "flips", "keys": "random", "train": "beta"}


def _draw(rows: list[Row]) -> Any:
    shown = [row for row in rows if row["noise"] == "flips" and row["keys"] == "random"]
    shown = [row for row in shown if row["train"] == "beta"] or rows
    sizes = sorted({(row["bits"], row["patterns"]) for row in shown}, key=_levels(shown))[-2:]
    long = [
        {
            "x": row["flips"],
            "y": row["right"],
            "line": READERS[row["reader"]],
            "panel": f"{row['bits']} bits, {row['patterns']} patterns",
        }
        for row in shown
        if (row["bits"], row["patterns"]) in sizes and row["reader"] != "learned"
    ]
    frame = plot.Frame(
        "Which circle retrieves best depends on the noise",
        "share of wrong bits in the query",
        "share of queries whose pattern has the largest weight",
        across=2,
    )
    return plot.lines(long, "x", "y", frame, by="line", panel="panel")


def _levels(rows: list[Row]) -> Any:
    """Return a key that orders sizes by the number of levels of noise that they were run with."""
    return lambda size: len(
        {row["flips"] for row in rows if (row["bits"], row["patterns"]) == size}
    )


BASE = {"noise": "flips", "keys": "random", "train": "beta"}
TRAINED = {"updates": 1500, "batch": 256}
SOME = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45)


@recipe(
    "learned.retrieval",
    "Training finds the beta of the posterior",
    "henry2020",
    "for the normalised attention; the claim is that of Bricken and Pehlevan 2021",
    quick=grid(
        bits=64, patterns=32, flips=FLIPS[1:], **BASE | {"keys": ("random", "correlated")},
        updates=400, batch=256,
    ),
    paper=[
        *grid(bits=64, patterns=32, flips=SOME, **BASE, **TRAINED),
        *grid(bits=32, patterns=64, flips=SOME, **BASE, **TRAINED),
        *grid(bits=64, patterns=(8, 128, 1024), flips=0.3, **BASE, **TRAINED),
        *grid(bits=64, patterns=32, flips=FLIPS, **BASE | {"train": "projection"}, **TRAINED),
        *grid(bits=64, patterns=32, flips=FLIPS, **BASE | {"noise": "gaussian"}, **TRAINED),
        *grid(
            bits=64, patterns=32, flips=FLIPS, noise="flips", keys="correlated",
            train=("beta", "projection"), **TRAINED,
        ),
    ],
    checks=_checks(),
    draw=_draw,
)  # fmt: skip
def retrieval(
    bits: Bits,
    patterns: Patterns,
    flips: Annotated[float, "probability that a bit of a query is wrong"],
    noise: Annotated[str, "flips, or gaussian: noise that makes as many signs wrong"],
    keys: Annotated[str, "random, or correlated: three quarters of the bits are shared"],
    train: Annotated[str, "beta alone, or beta and a projection"],
    updates: Annotated[int, "number of updates of Adam"],
    batch: Annotated[int, "queries in an update"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Train beta by cross-entropy to name the pattern from which a noisy query was made.

    The posterior over the patterns is a softmax with a known beta, so training has a right answer.
    Beta alone reaches it, whatever the number of patterns and however alike they are, and it falls
    as the noise grows. A projection that is trained with it leaves beta as it is within three
    hundredths. Below 20 % wrong bits at 64 bits nearly every answer is right, the loss no longer
    depends on beta, and training stops short of it.

    A circle has an end, which a softmax has not: patterns farther away than twice the radius have
    no weight. So the circle whose fitted beta is nearest to that of the posterior finds nothing for
    most queries with 30 % of their bits wrong, where the circle that retrieves best is twice as
    large and comes within three hundredths of the posterior. Of the three best radii, the one for
    capacity retrieves less than the others from 10 % on. The one against noise retrieves most from
    30 % on, while the one for signal to noise gives the right pattern more weight up to 40 %. What
    is optimal depends on the noise and on the criterion.
    """
    from kanerva.lab.papers.henry2020 import _retrieval

    checks.choice("noise", noise, ("flips", "gaussian"))
    checks.choice("keys", keys, ("random", "correlated"))
    checks.choice("train", train, ("beta", "projection"))
    checks.number("flips", flips, 1e-6, 0.49)
    checks.integer("patterns", patterns, 2)
    checks.integer("updates", updates, 1)
    checks.integer("batch", batch, 1)
    task = _retrieval.Task(bits, patterns, flips, noise, keys)
    trained = _retrieval.train(task, train == "projection", updates, batch, seed)
    bayes = task.bayes()
    largest = theory.beta.fit(bits, 1).beta
    radii = {"nearest": theory.beta.radius(bits, min(bayes, largest)).radius}
    for criterion in CRITERIA:
        optimal = theory.radius.optimal(bits, patterns, criterion=criterion).radius
        radii[criterion] = max(1, optimal)
    every: dict[str, _retrieval.Trained | int] = {
        str(radius): radius for radius in range(1, bits // 2 + 1)
    }
    most = max(_retrieval.score(task, every, seed + 2), key=lambda one: one.right)
    radii["best"] = int(most.name)
    posterior = _retrieval.Trained(bayes, None)
    readers: dict[str, _retrieval.Trained | int]
    readers = {"posterior": posterior, "learned": trained, **radii}
    found = list(_retrieval.score(task, readers, seed + 1))
    for one in found:
        reader, radius = readers[one.name], radii.get(one.name)
        if isinstance(reader, int):
            beta, ratio = theory.beta.fit(bits, reader).beta, None
        else:
            beta, ratio = reader.beta, reader.beta / bayes
        yield {
            "reader": one.name,
            "radius": radius,
            "beta": beta,
            "ratio": ratio,
            "right": one.right,
            "above": one.right - found[0].right,
            "weight": one.weight,
            "empty": one.empty,
        }
