"""Memories as densities: likelihood, samples, mixtures that write themselves, and context."""

__all__: list[str] = []
