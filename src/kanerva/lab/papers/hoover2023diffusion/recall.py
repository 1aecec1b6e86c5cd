"""Hoover 2023: recall of noisy digits by annealing, at a fixed temperature, and by look-up."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import Seed
from kanerva.lab.papers.hoover2023diffusion import _pictures
from kanerva.lab.papers.hoover2023diffusion._words import LAW, ONE, SEPARATE, Count, Noise
from kanerva.lab.recipe import Check, Row, grid, recipe

__all__ = ["recall"]

NOISES = (0.1, 0.3, 0.5, 0.8, 1.0)
# By noise: digits recalled, class kept, and recalled at the temperature of the noise.
FOUND = (1.0, 0.82, 0.40, 0.11, 0.06)
KEPT = (1.0, 0.99, 0.87, 0.61, 0.48)
FIXED = (1.0, 0.76, 0.02, 0.0, 0.0)
# Of all digits, twice, by plain NumPy.
MANY = {0.3: 0.818, 0.5: 0.375, 0.8: 0.100, 1.0: 0.048}
LINES = {
    "recalled": "annealed",
    "nearest": "nearest neighbour",
    "cold": "fixed, σ = 0.1",
    "fixed": "fixed, σ of the cue",
}
CLASSES = {"kept": "annealed", "nearest_kept": "nearest neighbour"}
PICTURES = ("stored", "cue", "annealed", "nearest neighbour", "fixed, σ of the cue")


def _checks() -> Iterator[Check]:
    for noise, found, kept, fixed in zip(NOISES, FOUND, KEPT, FIXED, strict=True):
        at = {"noise": noise, "seed": 0}
        yield Check(f"noise {noise:g}: digits recalled", "recalled", found, 0.03, ONE, at)
        yield Check(f"noise {noise:g}: class kept", "kept", kept, 0.03, ONE, at)
        what = f"noise {noise:g}: recalled at the temperature of the noise, error below 0.1"
        yield Check(what, "fixed", fixed, 0.03, ONE, at)
    for noise, found in MANY.items():
        what = f"noise {noise:g}: digits recalled, of 3,594"
        source = f"{SEPARATE}, all digits twice"
        # Three standard deviations of 500 digits, and those of the expected number.
        tolerance = 3 * (found * (1 - found) * (1 / 500 + 1 / 3594)) ** 0.5
        yield Check(what, "recalled", found, tolerance, source, {"noise": noise})
    what = "annealing ahead of the nearest neighbour, in standard errors, at most 3"
    # The middle and the half of a range that ends at 3.
    yield Check(what, "ahead", -97.0, 100.0, "the nearest row is the likeliest", {}, "max")
    what = "largest distance of an annealed state from a stored row"
    yield Check(what, "away", 0.0, 1e-3, LAW, {}, "max")


def _draw(rows: list[Row]) -> Any:
    long = [
        {"noise": row["noise"], "y": row[column], "line": line, "panel": panel}
        for panel, lines in (("the same digit", LINES), ("a digit of its class", CLASSES))
        for column, line in lines.items()
        for row in rows
    ]
    frame = plot.Frame(
        "Annealing recalls no more than a look-up",
        "standard deviation σ of the noise on the cue",
        "share of the cues that are recalled",
        across=2,
        limits=(-0.03, 1.03),
    )
    found = {"": plot.lines(long, "noise", "y", frame, by="line", panel="panel")}
    first = min(row["seed"] for row in rows)
    shown = sorted((row for row in rows if row["seed"] == first), key=lambda row: row["noise"])
    shown = shown[:: -(-len(shown) // 7)]
    kinds = {
        name: [row["pictures"].split("/")[place] for row in shown]
        for place, name in enumerate(PICTURES)
    }
    columns = [f"σ = {row['noise']:g}" for row in shown]
    about = "the noise on the same digit"
    found["pictures"] = _pictures.drawn("Recall of one digit", columns, kinds, about)
    return found


@recipe(
    "diffusion.recall",
    "Annealing recalls as often as looking up the nearest row",
    "hoover2023diffusion",
    "on denoising as recall; the publication prints no numbers",
    quick=grid(noise=NOISES),
    paper=grid(noise=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0), seed=range(3)),
    checks=_checks(),
    draw=_draw,
)
def recall(
    noise: Noise,
    digits: Count = 500,
    steps: Annotated[int, "evaluations of a recall, as the noise falls by the factor 100"] = 30,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Add noise to digits, and recall them from the memory of all digits in four ways.

    ``recalled`` is the share of the cues from which annealing, the reverse process of a diffusion
    model with the exact score, ends at their own digit, and ``kept`` at a digit of their class.
    ``nearest`` and ``nearest_kept`` are those of the stored row nearest to the cue. ``fixed`` is
    the share that 100 reads at the fixed inverse temperature 1 / σ², that of the noise on the cue,
    bring within 0.1 of their own digit, and ``cold`` the share that such reads at a noise of 0.1
    bring nearest to it.

    At the temperature of the noise the memory blends its rows, and hardly any cue is recalled once
    the noise is above 0.3. Annealing always ends at a stored row: ``away`` is the largest distance.
    But it is not recalled more often than by looking up the nearest row, which is the likeliest
    one, since all rows are as frequent: ``ahead`` is the difference of the two shares in standard
    errors. A fixed low temperature does the same. The two differ in detail: ``agree`` is how often
    they end at the same row. A digit of the right class is recalled a little more often by
    annealing where the noise is large, ``ahead_class`` in standard errors: it follows the mass of
    all rows near it, and not the nearest one alone.
    """
    from kanerva.lab.papers.hoover2023diffusion import _recalls

    noise = checks.number("noise", noise, 1e-3, 1e3)
    steps = checks.integer("steps", steps, 1, 10**4)
    yield _recalls.recalled(noise, digits, steps, seed)
