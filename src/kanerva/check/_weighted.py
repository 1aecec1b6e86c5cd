"""The laws of memories whose reads are weighted sums over keys: masks, weights and potentials."""

import copy
import inspect

import torch
from torch import Tensor

from kanerva._core.errors import InputError
from kanerva.check._sample import STORED, Sample, same, that, tolerance_of
from kanerva.memory import Memory


def twice(sample: Sample) -> bool:
    """A prior of two is writing twice, where the potential is the logarithm of a sum."""
    memory = sample.weighted()
    takes = memory is not None and "prior" in inspect.signature(memory.write).parameters
    if memory is None or not takes or memory.separation.kernel is None:
        return False
    memory.clear()
    often = copy.deepcopy(memory)
    values = sample.values
    memory.write(sample.keys, values, prior=torch.arange(STORED) % 2 + 1)  # type: ignore[call-arg]
    sample.store(often, slice(None))
    often.write(sample.keys[1::2], None if values is None else values[1::2])
    same("a prior of two", memory.read(sample.query), often.read(sample.query))
    return True


def masks(sample: Sample) -> bool:
    """Masks of True, of float zeros and none read alike; with everything masked a read is zero."""
    memory, query = sample.weighted(), sample.query
    if memory is None:
        return False
    plain, kept = memory.read(query), torch.ones(memory.keys.shape[0], dtype=torch.bool)
    same("mask of True", memory.read(query, kept), plain)
    same("mask of float zeros", memory.read(query, torch.zeros(kept.shape)), plain)
    if memory.empty == "zero":
        for none in (~kept, torch.where(kept, -torch.inf, 0.0)):
            that("everything masked", (memory.read(query, none) == 0).all(), "a read is not 0")
    half = kept.clone()
    half[::2] = False
    added = memory.read(query, torch.where(half, 0.0, -torch.inf))
    same("float and bool masks", added, memory.read(query, half))
    rows = torch.stack([half if row % 2 else kept for row in range(STORED)])
    each = memory.read(query, rows)
    same("one mask for each query", each[0], plain[0])
    same("one mask for each query", each[1], memory.read(query[1], half))
    return True


def normalised(sample: Sample) -> bool:
    """Weights declared normalised are not negative and sum to one."""
    memory = sample.weighted()
    if memory is None or not memory.separation.normalised:
        return False
    weights = memory.weights(sample.query)
    that("weights", (weights >= 0).all(), "one is negative")
    same("sum of weights", weights.sum(-1), torch.ones_like(weights[:, 0]))
    return True


def gradient(sample: Sample) -> bool:
    """Weights are the gradient of the potential."""
    memory = sample.weighted()
    if memory is None or not memory.separation.gradient:
        return False
    scores = memory.scores(sample.query).detach().double().requires_grad_()
    (slope,) = torch.autograd.grad(memory.separation.potential(scores).sum(), scores)
    same("gradient of the potential", slope, memory.separation(scores).detach())
    return True


def downhill(sample: Sample) -> bool:
    """One read is one unit step down the gradient of the energy."""
    memory = sample.weighted()
    if memory is None:
        return False
    rule = memory.separation
    if not (rule.gradient and memory.activation.plain) or not _has_energy(memory, sample.query):
        return False
    # The gradient of a score is k_i - c q, with c = 0 for dot and c = 1 for closeness.
    pull = _pull(memory, sample.query)
    if pull is None or (pull != 0 and not (pull == 1 and rule.normalised)):
        return False
    query = sample.query.detach().requires_grad_()
    (slope,) = torch.autograd.grad(memory.energy(query).sum(), query)
    same("gradient of the energy", slope, (query - memory.read(query)).detach())
    return True


def _has_energy(memory: Memory, query: Tensor) -> bool:
    """Return whether a memory has an energy."""
    try:
        return bool(torch.isfinite(memory.energy(query)).all())
    except InputError:
        return False


def _pull(memory: Memory, query: Tensor) -> float | None:
    """Return c, 0 or 1, if the gradient of every score is k_i - c q; else None."""
    one = query[0].detach().double().requires_grad_()
    keys = memory.keys[:].double()
    scores = memory.similarity(one, keys)
    rows = [torch.autograd.grad(score, one, retain_graph=True)[0] for score in scores]
    for pull in (0.0, 1.0):
        if torch.allclose(torch.stack(rows), keys - pull * one.detach(), atol=1e-6):
            return pull
    return None


def falling(sample: Sample) -> bool:
    """The energy never rises along a recall, where the potential is convex."""
    memory = sample.weighted()
    if memory is None:
        return False
    rule = memory.separation
    if not (rule.convex and rule.gradient and memory.autoassociative):
        return False
    if not (memory.activation.plain or memory.value_bits):
        return False
    # On bits every similarity is a function of the dot product.
    if not memory.key_bits and _pull(memory, sample.query) is None:
        return False
    energies = memory.trace(sample.query, steps=3).energies
    if energies is None or not torch.isfinite(energies).all():
        return False
    rise, size = (energies[1:] - energies[:-1]).amax(), energies.abs().amax().clamp_min(1)
    that("energy", rise <= tolerance_of(memory.dtype) * size, f"it rises by {rise:.3g}")
    return True
