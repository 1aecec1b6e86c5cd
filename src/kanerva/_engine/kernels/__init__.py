"""What numba compiles: loops of which each does a part of the work, so that threads can share it."""

from kanerva._engine.kernels.packed import agreements, gather, mark, scatter, unpack
from kanerva._engine.kernels.scores import closeness, pick
from kanerva._engine.kernels.weights import caps, exponentials, look_up

__all__ = [
    "agreements",
    "caps",
    "closeness",
    "exponentials",
    "gather",
    "look_up",
    "mark",
    "pick",
    "scatter",
    "unpack",
]
