"""Pure mathematics: numbers in, numbers out."""

from kanerva.theory import (
    approximation,
    beta,
    cap,
    capacity,
    circle,
    critical,
    jaeckel,
    overview,
    pull,
    radius,
)

__all__ = [
    "approximation",
    "beta",
    "cap",
    "capacity",
    "circle",
    "critical",
    "jaeckel",
    "overview",
    "pull",
    "radius",
]
