"""A warning that all finite memories share."""

import math
import warnings

__all__: list[str] = []


def warn_sparse(function: str, share: float, locations: int, do: str) -> None:
    """Warn where fewer than one location would be active."""
    if share * locations < 1:
        needed = math.ceil(1 / share) if share > 1e-300 else math.inf
        warnings.warn(
            f"{function}: {share * locations:.3g} of {locations} locations would be active: "
            f"it takes {needed:.4g} locations to have one on average; {do}.",
            stacklevel=4,
        )
