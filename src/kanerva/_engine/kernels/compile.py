"""Compile a function with numba."""

import inspect
from collections.abc import Callable
from typing import Any

import numba

# Products and sums may share one rounding, sums may be taken in any order, and nothing is NaN: so that loops are vectorised.
LOOSE = {"contract", "reassoc", "nnan", "nsz"}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function as it was written, whatever has been wrapped around it (such as run-time type checks)."""
    plain = inspect.unwrap(function)
    try:
        return numba.njit(cache=True, nogil=True, fastmath=LOOSE, error_model="numpy")(plain)
    except RuntimeError:  # no folder to keep it in
        return numba.njit(nogil=True, fastmath=LOOSE, error_model="numpy")(plain)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function into those that call it, where its loops are vectorised with theirs."""
    return numba.njit(inline="always", error_model="numpy")(inspect.unwrap(function))
