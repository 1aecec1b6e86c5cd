"""Associative memory in PyTorch: store, damage, recall, compare.

Every memory here is one read with different parts,

    activation(sum_i separation(similarity(query, key_i)) * value_i)

Build one by its name in the literature (``sdm``, ``hopfield``, ``attention``, ...), or put the
parts together with ``Patterns``, which keeps every pattern, and ``Locations``, which adds patterns
to the counters of fixed locations.
"""

import lazy_loader

# What the package exports stands in __init__.pyi; each name is imported when it is first used.
__getattr__, __dir__, _names = lazy_loader.attach_stub(__name__, __file__)
# A star import imports all of these, and estimators needs an extra.
__all__ = [name for name in _names if name != "estimators"]
__version__ = "0.1.0"
