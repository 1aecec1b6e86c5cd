"""What memories with finitely many locations check: that they fit, and that some are active."""

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch

from kanerva._core import checks
from kanerva._core.errors import warn

__all__: list[str] = []


def warn_sparse(memory: str, share: float, locations: int, at: str, do: str) -> None:
    """Warn where a query activates fewer than one location on average.

    Args:
        memory: the name of the constructor.
        share: the share of the locations that a query activates.
        locations: how many there are.
        at: the parameters that give this share, in words.
        do: what the caller can do.
    """
    active = share * locations
    if active >= 1:
        return
    needed = math.ceil(1 / share) if share > 1e-300 else math.inf
    warn(
        f"{memory}: {active:.3g} of {locations} locations would be active {at}: "
        f"it takes {needed:.4g} locations to have one on average; {do}.",
    )


def room(
    locations: int,
    address: tuple[int, str],
    needed: int,
    value_dim: int | None,
    store: Mapping[str, Any],
    counters: torch.dtype = torch.int32,
) -> AbstractContextManager[None]:
    """Refuse locations that do not fit into memory with their counters, before any is drawn.

    Args:
        locations: how many.
        address: the length of an address, and what it consists of.
        needed: the bytes that one address takes while it is made.
        value_dim: the length of a value; None for that of an address.
        store: the arguments of ``Locations`` that were given; they may name other counters.
        counters: their dtype otherwise.

    Returns:
        the block in which the locations are built.
    """
    dim, unit = address
    width = dim if value_dim is None else checks.integer("value_dim", value_dim, 1, checks.LONGEST)
    given = store.get("counters", counters)
    counter = given.itemsize if isinstance(given, torch.dtype) else counters.itemsize
    bytes_ = locations * (needed + counter * (width + 1))
    return checks.room("locations", f"{locations} of {dim} {unit} with values of {width}", bytes_)
