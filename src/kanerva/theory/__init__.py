"""The mathematics of associative memories, on plain numbers and NumPy arrays, without torch."""

from kanerva.theory import (
    approximation,
    beta,
    cap,
    capacity,
    circle,
    correlated,
    critical,
    crp,
    entropic,
    jaeckel,
    kernel,
    overview,
    pull,
    radius,
    ring,
)

__all__ = [
    "approximation",
    "beta",
    "cap",
    "capacity",
    "circle",
    "correlated",
    "critical",
    "crp",
    "entropic",
    "jaeckel",
    "kernel",
    "overview",
    "pull",
    "radius",
    "ring",
]
