"""Memories as densities: likelihood, samples, mixtures that write themselves, energies in context."""

__all__: list[str] = []
