"""Bricken and others 2023: a sparse distributed memory that learns task after task."""

__all__: list[str] = []
