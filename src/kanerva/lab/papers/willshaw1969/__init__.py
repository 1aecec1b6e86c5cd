"""Willshaw and others 1969, Tsodyks and Feigel'man 1988: memories for sparse codes."""

__all__: list[str] = []
