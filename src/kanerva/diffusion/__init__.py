"""Diffusion models as associative memories: denoisers, samplers, and whether a model copies."""

from kanerva.diffusion._annealed import Annealed, memory
from kanerva.diffusion._attractors import Attractors, attractors, critical_sigma
from kanerva.diffusion._classify import Copying, Shares, classify, copying
from kanerva.diffusion._diffusers import FromDiffusers, ToDiffusers, from_diffusers, to_diffusers
from kanerva.diffusion._exact import Exact, exact
from kanerva.diffusion._likelihood import log_likelihood
from kanerva.diffusion._net import Net
from kanerva.diffusion._samples import recall, sample
from kanerva.diffusion._schedule import schedule, to_ve, to_vp, vp
from kanerva.diffusion._train import Training, train
from kanerva.diffusion._wiener import Wiener, gaussian

__all__ = [
    "Annealed",
    "Attractors",
    "Copying",
    "Exact",
    "FromDiffusers",
    "Net",
    "Shares",
    "ToDiffusers",
    "Training",
    "Wiener",
    "attractors",
    "classify",
    "copying",
    "critical_sigma",
    "exact",
    "from_diffusers",
    "gaussian",
    "log_likelihood",
    "memory",
    "recall",
    "sample",
    "schedule",
    "to_diffusers",
    "to_ve",
    "to_vp",
    "train",
    "vp",
]
