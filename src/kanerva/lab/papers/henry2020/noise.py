"""The noise that an inverse temperature is best for, beside the radius of circles."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva import theory
from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import COMPUTED, Bits, Patterns
from kanerva.lab.recipe import Check, Row, grid, recipe

__all__ = ["noise"]

CRITERIA = {"noise": "noise", "snr": "signal to noise", "capacity": "capacity"}
# Beta to one digit and the radius whose fitted beta is nearest, by bits and share of wrong bits.
FOUND = {
    (64, 0.2): (44.4, 3),
    (64, 0.3): (27.1, 7),
    (64, 0.4): (13.0, 13),
    (32, 0.2): (22.2, 2),
    (32, 0.3): (13.6, 4),
    (32, 0.4): (6.5, 7),
}


def _checks() -> Iterator[Check]:
    for (bits, flips), (beta, radius) in FOUND.items():
        at, of = {"bits": bits, "flips": flips}, f"{bits} bits, {flips:.0%} wrong"
        yield Check(f"beta, {of}", "beta", beta, 0.05, COMPUTED, at)
        yield Check(f"radius, {of}", "radius", radius, 0, COMPUTED, at)


def _draw(rows: list[Row]) -> Any:
    long = []
    for row in rows:
        panel = f"{row['bits']:,} bits, {row['patterns']:,} patterns"
        line = CRITERIA.get(row["criterion"], "beta of the posterior")
        long.append({"x": row["flips"], "y": row["beta"], "panel": panel, "line": line})
    frame = plot.Frame(
        "Each best radius suits one level of noise",
        "share of wrong bits p",
        "beta per unit of cosine",
        log="y",
        across=2,
        dots=tuple(CRITERIA.values()),
    )
    return plot.lines(long, "x", "y", frame, by="line", panel="panel")


@recipe(
    "learned.noise",
    "The noise that an inverse temperature is best for",
    "bricken2021",
    "for the three best radii; the posterior is Bayes' rule",
    quick=grid(bits=(32, 64), patterns=64, steps=20),
    paper=grid(bits=(32, 64, 128, 1000), patterns=64, steps=50),
    checks=_checks(),
    draw=_draw,
)
def noise(
    bits: Bits,
    patterns: Patterns,
    steps: Annotated[int, "number of shares of wrong bits, from 0 to 0.5"],
) -> Iterator[Row]:
    """Compute the beta at which attention is the posterior over patterns with wrong bits.

    A query is one of the stored patterns, of which each bit is wrong with probability p. Attention
    over the patterns is then the posterior if beta is (n / 2) ln((1 - p) / p), for any number of
    patterns. So each beta is best for one level of noise, and so is each radius, by its fitted
    beta. The three radii that are best by signal to noise, by capacity and against noise differ in
    the noise that they are best for: at 64 bits and 64 patterns 39, 25 and 43 % of the bits.
    They assume queries without errors, or ask how many errors one read still reduces, which is not
    the same as the best answer to queries with a given share of errors.
    """
    checks.integer("steps", steps, 1)
    largest = theory.beta.fit(bits, 1).beta
    for step in range(1, steps + 1):
        flips = step / (2 * steps)
        beta = theory.beta.of_noise(bits, flips)
        radius = theory.beta.radius(bits, beta).radius if beta <= largest else None
        yield _row(flips, beta, radius, None)
    for criterion in CRITERIA:
        radius = max(1, theory.radius.optimal(bits, patterns, criterion=criterion).radius)
        beta = theory.beta.fit(bits, radius).beta
        yield _row(theory.beta.noise(bits, beta), beta, radius, criterion)


def _row(flips: float, beta: float, radius: int | None, criterion: str | None) -> Row:
    return {"flips": flips, "beta": beta, "radius": radius, "criterion": criterion}
