"""The warning of every memory with finitely many locations."""

import math
import warnings

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
    warnings.warn(
        f"{memory}: {active:.3g} of {locations} locations would be active {at}: "
        f"it takes {needed:.4g} locations to have one on average; {do}.",
        stacklevel=4,
    )
