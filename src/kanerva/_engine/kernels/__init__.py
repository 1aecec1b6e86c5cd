"""The functions that numba compiles; each works on a range of rows, which threads share."""

from kanerva._engine.kernels.packed import agreements, gather, mark, scatter, unpack
from kanerva._engine.kernels.scores import closeness, pick
from kanerva._engine.kernels.seats import join
from kanerva._engine.kernels.weights import caps, exponentials, look_up

__all__ = [
    "agreements",
    "caps",
    "closeness",
    "exponentials",
    "gather",
    "join",
    "look_up",
    "mark",
    "pick",
    "scatter",
    "unpack",
]
