"""Memories by name, and a Hopfield network compared with a sparse distributed memory."""

import torch
from torch import Tensor

import kanerva
from kanerva import Memory, functional
from kanerva.separation import Linear, Step
from kanerva.similarity import agreement, dot

__all__ = ["build", "differences"]


def build(memory: str, size: int, bits: int, patterns: int, seed: int) -> Memory:
    """Build an empty memory."""
    if memory == "hopfield":
        return kanerva.hopfield(bits)
    if memory == "dense":
        return kanerva.dense(bits, size)
    if memory == "exponential":
        return kanerva.exponential(bits)
    return kanerva.sdm(bits, size, patterns=patterns, seed=seed)


def differences(patterns: Tensor, queries: Tensor) -> tuple[float, int]:
    """Compare a memory with a location at every pattern with a network of outer products.

    Returns:
        the largest difference of the sums, and the number of bits that are read differently; the
        network keeps its diagonal.
    """
    counters = torch.zeros_like(patterns)
    functional.deposit(patterns, patterns, patterns, counters, agreement, Step(patterns.shape[1]))
    field = functional.read(queries, patterns, counters, dot, Linear())
    network = kanerva.hopfield(patterns.shape[1], diagonal="kept")
    network.write(patterns)
    outer = queries @ (patterns.T @ patterns)
    settled = torch.where(field == 0, queries, field.sign())
    return (field - outer).abs().max().item(), int((network.read(queries) != settled).sum())
