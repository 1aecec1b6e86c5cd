"""Schaeffer 2024: the tokens of a trained model around its attention, as a density on a sphere."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import SEPARATE, Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["tokens"]

LAYERS = 6
LINES = {
    ("before", 0): "tokens before attention",
    ("after", 0): "tokens after it",
    ("keys", 0): "keys of a head",
    ("keys", 1): "keys, shuffled",
}
# The share of the tokens of a sentence that are modes of their own, with a tolerance.
SHARES = {
    ("keys", 0, 0): (0.37, 0.1),
    ("keys", LAYERS - 1, 0): (0.08, 0.05),
    ("keys", 0, 1): (0.81, 0.12),
    ("keys", LAYERS - 1, 1): (0.92, 0.08),
    ("before", 0, 0): (0.95, 0.05),
    ("after", LAYERS - 1, 0): (0.06, 0.04),
    ("before", 0, 1): (1.0, 0.0),
}


def _checks() -> Iterator[Check]:
    what = "kappa of the heads, mean"
    at: Cell = {"place": "keys", "shuffled": 0}
    yield Check(what, "kappa", 6.8, 0.3, "kanerva probe, 520 sentences", at)
    for layer in range(LAYERS):
        before, after = ({"layer": layer, "place": name} for name in ("before", "after"))
        what = f"mean cosine of tokens after the attention of layer {layer} less that before"
        at, less = after | {"shuffled": 0}, before | {"shuffled": 0}
        yield Check(what, "cosine", 0.17, 0.1, SEPARATE, at, less=less)
    for place in ("before", "after", "keys"):
        at = {"place": place, "shuffled": 1}
        what = f"mean cosine of shuffled tokens, {place}, at most"
        yield Check(what, "cosine", 0, 0.05, "independent directions", at, "max")
    for (place, layer, shuffled), (share, tolerance) in SHARES.items():
        at = {"place": place, "layer": layer, "shuffled": shuffled}
        what = f"share of modes, {place}{', shuffled' * shuffled}, layer {layer}"
        yield Check(what, "share", share, tolerance, SEPARATE, at)


def _draw(rows: list[Row]) -> Any:
    long = [
        row | {"line": LINES[row["place"], row["shuffled"]]}
        for row in rows
        if (row["place"], row["shuffled"]) in LINES
    ]
    frame = plot.Frame(
        "Tokens merge from layer to layer",
        "layer of MiniLM",
        "modes of the density, as a share of the tokens",
        limits=(0, 1.05),
    )
    drawn = {"": plot.lines(long, "layer", "share", frame, by="line")}
    frame = plot.Frame(
        "Each attention aligns the tokens", "layer of MiniLM", "mean cosine of two tokens"
    )
    drawn["cosine"] = plot.lines(long, "layer", "cosine", frame, by="line")
    return drawn


@recipe(
    "bridge.tokens",
    "Tokens of a trained model as clusters on the sphere",
    "schaeffer2024",
    "on normalisation before self-attention; the model is MiniLM",
    quick=grid(sentences=6),
    paper=grid(sentences=52, seed=range(2)),
    checks=_checks(),
    draw=_draw,
)
def tokens(
    sentences: Annotated[int, "number of sentences of the library that the model reads"] = 6,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Measure the tokens of MiniLM before and after each attention, and the keys of its heads.

    The tokens of a sentence are taken as directions on the sphere, with a von Mises-Fisher kernel
    at each. Its concentration is that of the heads: for keys that of each head (``Head.kappa``),
    for the tokens themselves the mean of the heads of the layer. From every token mean shift climbs
    to a mode of this density, and modes with a cosine above 0.999 are one.

    Each attention, with the sum and the norm after it, raises the mean cosine of two tokens. The
    number of modes falls from layer to layer: before the first attention nearly each token is a
    mode of its own, and after the last all tokens of a sentence have one mode. Keys of the first
    layers have several modes, and those of the last layer one. So the regimes of storage, clusters
    and a global average follow one another in depth. The control permutes the coordinates of each
    token on their own. It keeps the lengths and removes what the directions have in common, and
    nearly all modes come back. It is the alignment of the tokens that merges them, together with
    the kappa of the heads.
    """
    from kanerva.lab.papers.schaeffer2024 import _tokens

    checks.integer("sentences", sentences, 1, 520)
    for row in _tokens.measured(sentences, seed):
        yield row._asdict()
