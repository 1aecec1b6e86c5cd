"""Figures from plain rows, in one style, as matplotlib objects that belong to the caller."""

from kanerva.lab.plot._style import png, save, svg
from kanerva.lab.plot.capacity import capacity_curves
from kanerva.lab.plot.correspondence import correspondence
from kanerva.lab.plot.heads import OPTIMA, agreement_curves, beta_histogram, layer_histograms
from kanerva.lab.plot.lines import Frame, lines
from kanerva.lab.plot.maps import head_maps
from kanerva.lab.plot.paths import beta_paths
from kanerva.lab.plot.pictures import gallery
from kanerva.lab.plot.recall import recall_curves
from kanerva.lab.plot.regions import regions
from kanerva.lab.plot.replacements import replacement_bars, replacement_curve
from kanerva.lab.plot.weights import weight_curves

__all__ = [
    "OPTIMA",
    "Frame",
    "agreement_curves",
    "beta_histogram",
    "beta_paths",
    "capacity_curves",
    "correspondence",
    "gallery",
    "head_maps",
    "layer_histograms",
    "lines",
    "png",
    "recall_curves",
    "regions",
    "replacement_bars",
    "replacement_curve",
    "save",
    "svg",
    "weight_curves",
]
