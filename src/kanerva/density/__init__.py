"""Memories as densities: likelihood, samples, mixtures, and energies in context."""

from kanerva.density._sphere import Sphere, SphereEM, attention_as_vmf, sphere_em

__all__ = ["Sphere", "SphereEM", "attention_as_vmf", "sphere_em"]
