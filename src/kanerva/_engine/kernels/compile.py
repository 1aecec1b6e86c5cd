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
    return _compile(function, LOOSE)


def ordered(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function whose operations keep their order, each rounded as by NumPy."""
    return _compile(function, False)


def _compile(function: Callable[..., Any], fastmath: Any) -> Callable[..., Any]:
    """Compile a function, and keep the result in a file where there is a folder for it."""
    options = {"nogil": True, "fastmath": fastmath, "error_model": "numpy"}
    plain = inspect.unwrap(function)
    try:
        return numba.njit(cache=True, **options)(plain)
    except RuntimeError:  # no folder for the cache
        return numba.njit(**options)(plain)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function into its callers, so that its loops are vectorised with theirs."""
    return numba.njit(inline="always", error_model="numpy")(inspect.unwrap(function))
