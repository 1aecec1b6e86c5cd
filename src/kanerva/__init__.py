"""Associative memory in PyTorch: store, damage, recall, compare.

Every memory here is one read with different parts,

    activation(sum_i separation(similarity(query, key_i)) * value_i)

Build one by its name in the literature (``sdm``, ``hopfield``, ``attention``, ...), or put the
parts together with ``Patterns``, which keeps every pattern, and ``Locations``, which adds patterns
to the counters of fixed locations.
"""

import lazy_loader

# What the package exports stands in __init__.pyi; each name is imported when it is first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"
