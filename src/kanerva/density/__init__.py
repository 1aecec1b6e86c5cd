"""Memories as densities: likelihood, samples, mixtures, and energies in context."""

from kanerva.density._bandwidth import bandwidth
from kanerva.density._cube import Estimate
from kanerva.density._density import Density
from kanerva.density._kernel import kernel, vmf
from kanerva.density._sphere import Sphere, SphereEM, attention_as_vmf, sphere_em

__all__ = [
    "Density",
    "Estimate",
    "Sphere",
    "SphereEM",
    "attention_as_vmf",
    "bandwidth",
    "kernel",
    "sphere_em",
    "vmf",
]
