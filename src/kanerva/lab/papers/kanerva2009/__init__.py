"""Kanerva 2009: computing with long random vectors."""

__all__: list[str] = []
