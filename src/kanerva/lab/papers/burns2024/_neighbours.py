"""A ring of correlated attractors, a sequence, and attention to successors."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

import kanerva
from kanerva import correlated, dynamics
from kanerva._core import checks
from kanerva.memory import Linked

__all__ = ["difference", "ring", "sequence"]

STEPS = 100


def ring(count: int, auto: float, half: bool, seed: int) -> Iterator[dict[str, Any]]:
    """Yield overlaps, in 128ths, and correlations of the attractors of a ring, by distance."""
    signs = list(itertools.product((1.0, -1.0), repeat=count))
    patterns = torch.tensor(signs, dtype=torch.float64).mT.contiguous()
    size = patterns.shape[1]
    memory = kanerva.correlated_hopfield(size, auto, dtype=torch.float64)
    ids = memory.write(patterns)
    for step in (1, -1):
        memory.link(ids, ids.roll(step))
    states, settled = _halves(memory, patterns, seed) if half else _whole(memory, patterns)
    overlaps = states @ patterns.mT * (128 / size)
    correlations = correlated.overlaps(states, states)
    for distance in range(count // 2 + 1):
        found = {
            name: matrix.roll(-distance, -1).diagonal().mean().item()
            for name, matrix in (("overlap", overlaps), ("correlation", correlations))
        }
        yield {"distance": distance, **found, "settled": settled.double().mean().item()}


def _whole(memory: Linked, patterns: Tensor) -> tuple[Tensor, Tensor]:
    """Update all neurons at once, until nothing changes."""
    found = memory.settle(patterns, steps=STEPS)
    return found.state, found.converged


def _halves(memory: Linked, patterns: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Update each neuron with probability one half, until nothing would change."""
    source = torch.Generator().manual_seed(seed)
    states = patterns
    for _ in range(STEPS):
        read = memory.read(states)
        if torch.equal(read, states):
            break
        chosen = torch.rand(states.shape, generator=source) < 0.5
        states = torch.where(chosen, read, states)
    return states, (memory.read(states) == states).all(-1)


def sequence(count: int, bits: int, order: float, seed: int) -> dict[str, Any]:
    """Return the share of the transitions, and of a chain from the first, that are right."""
    with checks.room("patterns", f"{count:,} of {bits:,} bits", 64 * count * (bits + count)):
        patterns = kanerva.bits.random(count, bits, seed=seed).double()
    memory = kanerva.sequence_hopfield(bits, order)
    ids = memory.write(patterns)
    memory.link(ids, ids.roll(-1))
    right = (memory.read(patterns) == patterns.roll(-1, 0)).all(-1)
    path = dynamics.chain(memory.read, patterns[0], count - 1)
    chain = (path[1:] == patterns[1:]).all(-1)
    return {"right": right.double().mean().item(), "chain": chain.double().mean().item()}


def difference(count: int, size: int, beta: float, seed: int) -> float:
    """Return the largest difference of attention to mean successors from a read along links."""
    drawn = np.random.default_rng(seed)
    with checks.room("patterns", f"{count:,} of {size:,} numbers", 64 * count * (size + count)):
        keys, queries = torch.from_numpy(drawn.standard_normal((2, count, size)) / size**0.5)
        edges = torch.from_numpy(drawn.random((count, count)) < 4 / count).double()
    linked = kanerva.cdam(size, beta, 0.0, 1.0, mean=0.0, normalise="rows", dtype=torch.float64)
    linked.write(keys)
    linked.connect(edges)
    values = edges @ keys / edges.sum(-1, keepdim=True).clamp(min=1)
    attention = kanerva.attention(size, beta, value_dim=size, dtype=torch.float64)
    attention.write(keys, values)
    return (linked.read(queries) - attention.read(queries)).abs().max().item()
