"""Hernandez, Morales and Pineda 2024, and the line before: entropic associative memories."""

__all__: list[str] = []
