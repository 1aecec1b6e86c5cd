"""Burns 2024: memories that are linked by a graph, and their correlated attractors."""

__all__: list[str] = []
