"""Pure mathematics: numbers in, numbers out."""

from kanerva.theory import beta, circle, radius

__all__ = ["beta", "circle", "radius"]
