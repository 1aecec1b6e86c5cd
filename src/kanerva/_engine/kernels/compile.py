"""Compile a function with numba."""

import inspect
from collections.abc import Callable
from typing import Any

import numba

# A product and a sum may share one rounding, sums may be in any order, and no number is NaN: with
# these assumptions loops are vectorised.
LOOSE = {"contract", "reassoc", "nnan", "nsz"}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function without the wrappers around it, such as run-time type checks."""
    plain = inspect.unwrap(function)
    try:
        return numba.njit(cache=True, nogil=True, fastmath=LOOSE, error_model="numpy")(plain)
    except RuntimeError:  # no folder for the cache
        return numba.njit(nogil=True, fastmath=LOOSE, error_model="numpy")(plain)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function into its callers, so that its loops are vectorised with theirs."""
    return numba.njit(inline="always", error_model="numpy")(inspect.unwrap(function))
