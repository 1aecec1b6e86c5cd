"""Jaeckel 1989, alternative designs for a sparse distributed memory: its experiment."""

__all__: list[str] = []
