"""Experiments, comparisons of memories, benchmarks and their pages, as the command line runs them.

The library does not import the lab. The lab uses the public parts of the library.
"""

import lazy_loader

NAMES = (
    "bench",
    "citations",
    "codec",
    "data",
    "memories",
    "pages",
    "papers",
    "plot",
    "plugins",
    "probing",
    "recall",
    "recipe",
    "report",
    "runner",
)
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, NAMES)
