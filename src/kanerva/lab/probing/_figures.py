"""Figures of the report of an examination."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from kanerva.lab import plot
from kanerva.lab.probing._examination import Examination

if TYPE_CHECKING:
    import matplotlib.figure

__all__ = ["FIGURES", "Drawing", "drawings"]

FIGURES = ("replacements", "sweep", "betas", "heads", "agreement", "histograms")
MAPPED = ("beta", "radius", "variation", "entropy", "effective", "special")
MEASURES = {"embedding": "cosine of embeddings", "loss": "loss"}


class Drawing(NamedTuple):
    """A figure of the page: the name of its files, its caption, and functions that draw it."""

    name: str
    caption: str
    wide: "Callable[[], matplotlib.figure.Figure]"
    narrow: "Callable[[], matplotlib.figure.Figure]"


def drawings(found: Examination) -> list[Drawing]:
    """Return the figures that an examination has rows for."""
    drawn = (
        _replacements(found),
        _sweep(found),
        _betas(found),
        _heads(found),
        _agreement(found),
        _histograms(found),
    )
    return [drawing for drawing in drawn if drawing is not None]


def _drawing(name: str, caption: str, draw: Callable[..., Any], *given: Any) -> Drawing:
    """Return a figure whose function draws a narrow form too."""
    return Drawing(name, caption, partial(draw, *given), partial(draw, *given, narrow=True))


def _replacements(found: Examination) -> Drawing | None:
    measures = ("embedding", "loss", "divergence")
    if not any(row.get(name) is not None for row in found.effects for name in measures):
        return None
    caption = "What is preserved when one memory replaces every head."
    return _drawing("replacements", caption, plot.replacement_bars, found.effects)


def _sweep(found: Examination) -> Drawing | None:
    if not found.sweep:
        return None
    losses = any(row.get("loss") is not None for row in found.sweep)
    caption = (
        f"The {MEASURES['loss' if losses else 'embedding']} with circles of one radius in place "
        "of every head; dashed, the replacements above."
    )
    return _drawing("sweep", caption, plot.replacement_curve, found.sweep, found.effects)


def _betas(found: Examination) -> Drawing | None:
    if not any(row.get("beta") is not None for row in found.rows):
        return None
    caption = "Heads by effective beta, and the betas of the optimal radii in theory."
    return _drawing("betas", caption, plot.beta_histogram, found.rows, found.optima)


def _heads(found: Examination) -> Drawing | None:
    mapped = [name for name in MAPPED if any(row.get(name) is not None for row in found.rows)]
    if not mapped:
        return None
    rows = [{**dict.fromkeys(mapped), **row} for row in found.rows]
    caption = (
        "One map for each kind of number, with one cell for each head and the first layer at the "
        "top. Hatched: not measured."
    )
    draw = partial(plot.head_maps, rows, mapped)
    return Drawing("heads", caption, draw, partial(draw, across=1))


def _agreement(found: Examination) -> Drawing | None:
    if not found.curves:
        return None
    caption = (
        "Total variation between circles of each radius and the weights of each head: one thin "
        "line for each head."
    )
    return _drawing("agreement", caption, plot.agreement_curves, found.curves)


def _histograms(found: Examination) -> Drawing | None:
    if not found.inputs or not found.cosines:
        return None
    caption = (
        "Cosines and softmax inputs of all pairs of a query and a key, layer by layer; the first "
        "and the last bin include everything beyond."
    )
    return _drawing("histograms", caption, plot.layer_histograms, found.inputs, found.cosines)
