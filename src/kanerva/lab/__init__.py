"""Experiments, comparisons and their pages: data, recipes, benchmarks, and what the command line runs.

The library never imports the lab; the lab is built from the library's public parts.
"""

import lazy_loader

NAMES = (
    "bench",
    "citations",
    "data",
    "memories",
    "pages",
    "papers",
    "plot",
    "probing",
    "recall",
    "recipe",
    "report",
    "runner",
)
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, NAMES)
