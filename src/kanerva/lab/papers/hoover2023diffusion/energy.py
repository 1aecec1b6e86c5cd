"""Hoover 2023: energies along recalls, and one landscape drawn in the words of both fields."""

import math
from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import Seed
from kanerva.lab.papers.hoover2023diffusion import _landscape
from kanerva.lab.papers.hoover2023diffusion._words import BOUND, IDENTITY, SEPARATE
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["energy"]

PARTS = ("fixed", "annealed", "conventions", "landscape")
STORED = {"plane": 6, "digits": 1797}
COLUMNS = (
    *("kind", "step", "line", "sigma", "energy", "state", "time", "total", "rise", "share"),
    *("wrong", "apart", "factor", "x", "y", "u", "v"),
)
TERMS = {
    "state": "the state moves, at its noise",
    "time": "the noise falls, at its state",
    "total": "sum",
}
# The distance of the two rows of the plane that are near each other.
PAIR = 0.4743
# Shares of paths on which an energy rises in some step, by its noise, and that of the state.
RISING = {
    "plane": {0.05: 0.357, 0.3: 0.394, 0.7: 0.449, 1.0: 0.506, 2.0: 0.520, 5.0: 0.521},
    "digits": {0.05: 0.0, 0.3: 0.0, 1.0: 0.020, 2.0: 0.067, 5.0: 0.077},
}
OWN = {"plane": 0.844, "digits": 0.0}


def _checks() -> Iterator[Check]:
    what = "at a fixed noise: largest rise of the energy in a read"
    # Energies of digits reach 100, of which 1e-12 is some hundred units in the last place.
    at: Cell = {"part": "fixed", "kind": "read"}
    yield Check(what, "rise", 0.0, 1e-12, "majorisation", at, "max")
    for data, count in STORED.items():
        at = {"part": "annealed", "data": data, "kind": "step"}
        what = f"{data}, falling noise: largest rise in a step of the energy at its first noise"
        yield Check(what, "rise", 0.0, 1e-12, "majorisation", at, "max")
        for end in ("min", "max"):
            what = f"{data}, falling noise: {end} of the time term, from 0 to ln {count} nats"
            half = math.log(count) / 2
            yield Check(what, "time", half, half + 1e-9, "entropy of the weights", at, end)
        what = f"{data}: derivative of the energy by σ² plus the entropy of the weights"
        yield Check(what, "wrong", 0.0, 1e-9, IDENTITY, at, "max")
        for sigma, share in RISING[data].items():
            what = f"{data}, falling noise: share of paths on which the energy at {sigma:g} rises"
            at = {"part": "annealed", "data": data, "kind": "level", "sigma": sigma}
            yield _share(what, share, at)
        what = f"{data}, falling noise: the same of the energy at the noise of the state"
        yield _share(what, OWN[data], {"part": "annealed", "data": data, "kind": "own"})
    for column, words in (("apart", "E^AM"), ("factor", "twice the energy of the denoiser")):
        what = f"largest relative difference of E^DM from {words}"
        yield Check(what, column, 0.0, 1e-12, IDENTITY, {"part": "conventions"}, "max")
    at = {"part": "landscape", "kind": "minimum", "noise": 0.35}
    yield Check("landscape of six rows: last of the minima, from 0", "line", 4, 0, BOUND, at, "max")
    what = "landscape: distance from the minimum that two rows share to either, half of theirs"
    yield Check(what, "apart", PAIR / 2, 0.02, "symmetry", at, "max")


def _share(what: str, share: float, at: Cell) -> Check:
    """Return a check of a share of 200 paths, within three standard deviations."""
    return Check(what, "share", share, 3 * math.sqrt(share * (1 - share) / 200), SEPARATE, at)


def _draw(rows: list[Row]) -> Any:
    found: dict[str, Any] = {}
    land = [row for row in rows if row["part"] == "landscape"]
    if land:
        sigma = min(row["noise"] for row in land)
        found["landscape"] = _landscape.drawn([row for row in land if row["noise"] == sigma], sigma)
    for data in STORED:
        steps = [row for row in rows if row["kind"] == "step" and row["data"] == data]
        if steps:
            found[data] = _terms(steps, data)
    levels = [row for row in rows if row["kind"] == "level"]
    if levels:
        frame = plot.Frame(
            "While the noise falls, energies rise",
            "noise σ at which the energy is taken",
            "share of the paths on which that energy rises in some step",
            log="x",
            limits=(-0.03, 1.03),
        )
        found["levels"] = plot.lines(levels, "sigma", "share", frame, by="data")
    reads = [row for row in rows if row["kind"] == "read"]
    reads = [row for row in reads if row["data"] == "digits"] or reads
    if reads:
        lowest: dict[float, float] = {}
        for row in reads:
            lowest[row["sigma"]] = min(row["energy"], lowest.get(row["sigma"], math.inf))
        named = [
            {"step": row["step"], "y": row["energy"] - lowest[sigma], "line": f"σ = {sigma:g}"}
            for sigma in sorted(lowest)
            for row in reads
            # What is less is rounding.
            if row["sigma"] == sigma and row["energy"] - lowest[sigma] > 1e-12
        ]
        frame = plot.Frame(
            "At a fixed noise no read raises the energy",
            "reads",
            "energy above its lowest, mean over 200 starts",
            log="y",
        )
        found["fixed"] = plot.lines(named, "step", "y", frame, by="line")
    if not found:
        named = [row for row in rows if row["kind"] == "time"]
        frame = plot.Frame(
            "The energies of the publication are one function",
            "standard deviation σ of the noise",
            "largest relative difference of E^DM from twice the energy",
            log="x",
        )
        found["conventions"] = plot.lines(named, "sigma", "factor", frame, by="data")
    return found


def _terms(steps: list[Row], data: str) -> Any:
    """Draw the two terms of the change of the energy while the noise falls."""
    long = [
        {"sigma": row["sigma"], "y": row[term], "line": line}
        for term, line in TERMS.items()
        for row in steps
    ]
    frame = plot.Frame(
        f"Change of the energy while the noise falls: {data}",
        "standard deviation σ of the noise, which falls to the left",
        "change over the fall of σ², nats",
        log="x",
    )
    return plot.lines(long, "sigma", "y", frame, by="line")


QUICK = [
    *grid(part="fixed", data="plane", noise=0.35),
    *grid(part="fixed", data="digits", noise=(0.1, 0.3, 0.5, 1.0)),
    *grid(part="annealed", data=("plane", "digits")),
    *grid(part="conventions", data=("plane", "digits")),
    *grid(part="landscape", data="plane", noise=0.35),
]


@recipe(
    "diffusion.energy",
    "Energies along a recall, and one landscape in the words of both fields",
    "hoover2023diffusion",
    "figure 1, and on the Lyapunov function; its curves are not printed as numbers",
    quick=QUICK,
    paper=[
        *QUICK,
        *grid(part="fixed", data="digits", noise=(0.2, 0.7, 2.0)),
        *grid(part="annealed", data=("plane", "digits"), seed=(1, 2)),
    ],
    checks=_checks(),
    draw=_draw,
)
def energy(
    part: Annotated[str, "fixed, annealed, conventions or landscape"],
    data: Annotated[str, "plane, six rows of two numbers; or digits"],
    noise: Annotated[float, "standard deviation of the noise, for fixed and landscape"] = 0.35,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Measure how the energy of a memory changes at a fixed noise and while the noise falls.

    At a fixed noise σ the energy E = −σ² log Σ exp(−|x − x_i|² / 2σ²) falls in every read: it is a
    Lyapunov function of recall, as of any associative memory of this family. While the noise falls,
    a step changes the energy in two ways. The state moves at its noise, which lowers the energy.
    Then the noise falls at that state, which raises it: the derivative of E by σ² is minus the
    entropy of the weights. The first term is about −|x − D|² / 2σ² for each unit of σ², which is
    half the number of coordinates as long as noise is what separates x and D; the second is at most
    the logarithm of the number of rows. So the sum rises in the plane, where ln 6 is more than 1,
    and falls for digits, where ln 1797 = 7.5 is less than 32.

    While the noise falls, no energy at one fixed noise is a Lyapunov function either. In the plane
    each of them rises along a third of the paths or more. On digits those at a high noise rise
    along a few paths in a hundred, but those at a low noise fall along every path that was tried.

    The publication writes two energies, E^DM = −2σ²t log Σ exp(−|x − x_i|² / 2σ²t), and E^AM =
    −β⁻¹ log Σ exp(−β |x − x_i|²). They are one function where β = 1 / (2σ²t), and twice the energy
    here. The first figure is its figure 1, computed: one landscape of six rows as the score with
    reverse paths, and as contours with minima and descents. Two rows are so near that they share a
    minimum, which is on neither; the reverse path from the same start ends on one of them.
    """
    from kanerva.lab.papers.hoover2023diffusion import _energies

    part = checks.choice("part", part, PARTS)
    rows = _energies.stored(checks.choice("data", data, tuple(STORED)))
    noise = checks.number("noise", noise, 1e-2, 1e2)
    seed = checks.integer("seed", seed, 0, 2**62)
    if part == "fixed":
        found = _energies.descended(rows, noise, seed)
    elif part == "annealed":
        found = _energies.annealed(rows, seed)
    elif part == "conventions":
        found = _energies.conventions(rows, seed)
    else:
        found = _energies.landscape(_energies.stored("plane"), noise)
    none: Row = dict.fromkeys(COLUMNS)
    for row in found:
        yield none | row
