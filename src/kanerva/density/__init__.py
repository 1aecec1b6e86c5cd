"""Memories as densities: likelihood, samples, mixtures, and energies in context."""

__all__: list[str] = []
