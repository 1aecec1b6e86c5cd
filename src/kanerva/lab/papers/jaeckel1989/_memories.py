"""Memories of the three designs, keys for them, and what is counted and measured."""

import torch
from torch import Tensor

import kanerva
from kanerva import Locations, bits, functional

__all__ = ["build", "count_shared", "keys", "moved", "signal_to_noise"]


def build(design: str, n: int, locations: int, size: int, ones: int, seed: int) -> Locations:
    """Build an empty memory of a design."""
    if design == "circle":
        return kanerva.sdm(n, locations, size, value_bits=64, seed=seed)
    if design == "selected":
        return kanerva.sdm_selected(n, locations, size, value_bits=64, seed=seed)
    return kanerva.sdm_hyperplane(n, locations, size, ones, value_bits=64, seed=seed)


def keys(design: str, count: int, n: int, ones: int, source: torch.Generator) -> Tensor:
    """Draw random keys; those of the hyperplane design have a fixed number of ones."""
    if design != "hyperplane":
        return bits.random(count, n, seed=source)
    order = torch.rand(count, n, generator=source).argsort(-1)
    return torch.where(order < ones, 1.0, -1.0)


def moved(design: str, keys: Tensor, distance: int, source: torch.Generator) -> Tensor:
    """Flip so many bits of every key; keys of the hyperplane design keep their number of ones."""
    if design != "hyperplane":
        return bits.flip(keys, distance, seed=source)
    order = torch.rand(keys.shape, generator=source)
    off = (order + (keys < 0)).argsort(-1)[:, : distance // 2]
    on = (order + (keys > 0)).argsort(-1)[:, : distance // 2]
    return keys.scatter(-1, off, -1.0).scatter(-1, on, 1.0)


def count_shared(memory: Locations, keys: Tensor, others: Tensor) -> float:
    """Count the locations that two keys both activate; return the mean over pairs."""
    rule = (memory.keys, memory.similarity, memory.separation)
    pairs = zip(functional.active(keys, *rule), functional.active(others, *rule), strict=True)
    return sum(torch.isin(*pair).sum().item() for pair in pairs) / len(keys)


def signal_to_noise(memory: Locations, keys: Tensor, source: torch.Generator) -> float:
    """Store random values, and divide the mean of the read sums by their standard deviation."""
    values = bits.random(len(keys), memory.value_dim, seed=source)
    memory.write(keys, values)
    field = functional.field(keys, memory.keys, memory.values, memory.similarity, memory.separation)
    agreeing = (field.value * values).double()
    return float(agreeing.mean() / agreeing.std())
