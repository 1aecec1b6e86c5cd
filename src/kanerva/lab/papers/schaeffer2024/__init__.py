"""Schaeffer and others 2024: associative memories as probabilistic models."""

__all__: list[str] = []
