"""Train a model of the shape of GPT-2, whose heads are not normalised, and read it as memories."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import Seed
from kanerva.lab.recipe import Check, Row, grid, recipe

__all__ = ["gpt2"]

WEIGHTS = {"trained": "trained", "random": "random weights"}


def _checks() -> Iterator[Check]:
    logic = "a control"
    trained, shuffled, random = ({"weights": one} for one in ("trained", "shuffled", "random"))
    what = "beta with permuted keys, less that of the trained model: lengths stay the same"
    yield Check(what, "beta", 0.0, 1e-3, logic, shuffled, less=trained)
    what = "beta of random weights, as a share of that best against noise: an average"
    yield Check(what, "share", 0.25, 0.25, logic, random, "max")
    what = "largest softmax input with permuted keys, less that of the trained model: below 0"
    yield Check(what, "largest", -5.0, 5.0, logic, shuffled, less=trained)
    what = "total variation of random weights and circles of the radius of beta: nearly 0"
    yield Check(what, "variation", 0.025, 0.025, logic, random)


def _draw(rows: list[Row]) -> Any:
    rows = [row for row in rows if row["width"] == rows[0]["width"]]
    lines = [
        {"layer": row["layer"], "beta": row["beta"], "line": WEIGHTS[row["weights"]]}
        for row in rows
        if row["weights"] in WEIGHTS
    ]
    layers = sorted({row["layer"] for row in rows})
    lines += [
        {"layer": layer, "beta": rows[0][name], "line": title}
        for name, title in plot.OPTIMA.items()
        for layer in layers
    ]
    title = "Effective beta by layer, and the three best radii"
    frame = plot.Frame(title, "layer", "effective beta, mean and standard deviation of heads")
    return plot.lines(lines, "layer", "beta", frame, by="line")


@recipe(
    "learned.gpt2",
    "The effective inverse temperatures of a model of GPT-2's shape",
    "bricken2021",
    "appendix, the figure of GPT-2, on a small model trained here",
    quick=grid(width=32, context=64, updates=40),
    paper=grid(width=32, context=64, updates=1200, seed=(0, 1, 2)),
    checks=_checks(),
    draw=_draw,
)
def gpt2(
    width: Annotated[int, "dimension of a head"],
    context: Annotated[int, "characters that a head attends to, at most"],
    updates: Annotated[int, "number of updates, of 24 pieces of text each"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Train a model of GPT-2's shape on the docstrings of SciPy, and read its heads as memories.

    Queries and keys have free lengths, and their product is divided by the root of the dimension.
    ``kanerva.probe`` measures the effective beta of each head on text that was held out, beside
    two controls: the same model with random weights, and with the coordinates of its keys permuted.

    Training raises the mean beta from 0.3 to 8.1. The heads of the first layer are the sharpest,
    with a mean of 14.7 near the beta of the radius best for capacity; those of the three others lie
    at 5.4 to 6.1, near the one best against noise. Of 48 heads, 33 lie between these two. With
    permuted keys beta is the same, since it is made of lengths, but the largest softmax input is
    smaller: trained queries point at keys.
    """
    from kanerva.lab.papers.henry2020 import _gpt2, _training

    checks.integer("context", context, 2, 4096)
    checks.integer("updates", updates, 1)
    _training.optima(width, max(2, (context + 1) // 2))  # refuses a width without them
    for reading in _gpt2.readings(width, context, updates, seed):
        for head in reading.heads:
            fit = head.fit()
            best = dict(zip(plot.OPTIMA, fit.optima, strict=True))
            yield {
                "weights": reading.weights,
                "layer": head.layer,
                "head": head.index,
                "beta": head.beta,
                "share": None if head.beta is None else head.beta / best["noise"],
                "best_noise": head.noise,
                "largest": head.beta_max,
                "effective": head.effective,
                "key_spread": head.key_spread,
                "radius": fit.radius,
                "regime": fit.regime,
                "outside": fit.outside,
                "variation": fit.agreement.variation,
                "matched": fit.matched,
                "matched_variation": fit.matched_agreement.variation,
                "bits": reading.bits,
            } | best
