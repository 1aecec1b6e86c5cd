"""Huang and others 2024: one gate for all blocks of a network, along its depth."""

__all__: list[str] = []
