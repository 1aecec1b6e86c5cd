"""Kanerva 1988, Sparse Distributed Memory: its experiments."""

__all__: list[str] = []
