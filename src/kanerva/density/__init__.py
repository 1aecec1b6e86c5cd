"""Memories as densities: likelihood, samples, mixtures, and energies in context."""

from kanerva.density._bandwidth import bandwidth
from kanerva.density._clam import Reconstruction as Reconstruction
from kanerva.density._clam import clam
from kanerva.density._context import InContext
from kanerva.density._crp import Restaurant as Restaurant
from kanerva.density._crp import crp
from kanerva.density._cube import Estimate
from kanerva.density._density import Density
from kanerva.density._elbo import Proportional as Proportional
from kanerva.density._elbo import elbo
from kanerva.density._fit import Losses, fit_in_context
from kanerva.density._kde import kernel, vmf
from kanerva.density._kernels import Directional as Directional
from kanerva.density._kernels import Gaussian as Gaussian
from kanerva.density._langevin import Langevin
from kanerva.density._mixture import Mixture
from kanerva.density._sphere import Sphere, SphereEM, attention_as_vmf, sphere_em
from kanerva.density._writing import context_energy

# The parts of mixtures are here for files, which name them by this package.
__all__ = [
    "Density",
    "Estimate",
    "InContext",
    "Langevin",
    "Losses",
    "Mixture",
    "Sphere",
    "SphereEM",
    "attention_as_vmf",
    "bandwidth",
    "clam",
    "context_energy",
    "crp",
    "elbo",
    "fit_in_context",
    "kernel",
    "sphere_em",
    "vmf",
]
