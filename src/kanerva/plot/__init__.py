"""Figures from plain rows, in one style, as objects that belong to the caller."""

from kanerva.plot._style import png, save, svg
from kanerva.plot.correspondence import correspondence
from kanerva.plot.lines import Frame, lines
from kanerva.plot.recall import gallery, recall_curves, weight_curves

__all__ = ["Frame", "correspondence", "gallery", "lines", "png", "recall_curves", "save", "svg", "weight_curves"]
