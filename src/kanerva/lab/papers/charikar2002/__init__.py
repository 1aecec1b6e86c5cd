"""Charikar 2002: codes of random hyperplanes, here as keys of memories."""

__all__: list[str] = []
