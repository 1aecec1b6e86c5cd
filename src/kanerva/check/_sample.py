"""A memory with vectors that it accepts, and comparisons that name the law they are made for."""

import copy
from typing import NamedTuple

import torch
from torch import Tensor

from kanerva import bits
from kanerva.memory import Associative, Memory

STORED = 12


class ContractError(AssertionError):
    """A law that does not hold for a memory; the message names the law and what was found.

    Example:
        >>> import kanerva
        >>> issubclass(kanerva.check.ContractError, AssertionError)
        True
    """


class Sample(NamedTuple):
    """An empty memory, and keys, values and queries that it accepts, to check a law on."""

    memory: Associative
    keys: Tensor
    values: Tensor | None
    query: Tensor

    def filled(self) -> Associative:
        """Return a copy of the memory with all keys and values written."""
        memory = copy.deepcopy(self.memory)
        self.store(memory)
        return memory

    def weighted(self) -> Memory | None:
        """Return a filled copy if a read is a weighted sum over keys, as that of every Memory."""
        memory = self.filled()
        return memory if isinstance(memory, Memory) else None

    def store(self, memory: Associative, part: slice = slice(None)) -> None:
        """Write a part of the keys and values, in their order."""
        if self.values is None:
            memory.write(self.keys[part])
        else:
            memory.write(self.keys[part], self.values[part])

    def turned(self) -> "Sample":
        """Return the sample with keys and values in the reverse order."""
        values = None if self.values is None else self.values.flip(0)
        return self._replace(keys=self.keys.flip(0), values=values)


def draw(memory: Associative, seed: int = 0) -> Sample:
    """Return an empty copy of a memory, and random vectors that it accepts."""
    source = torch.Generator().manual_seed(seed)
    empty = copy.deepcopy(memory)
    empty.clear()
    keys = _vectors(STORED, memory.dim, memory.key_bits, memory.dtype, source)
    values = None
    if not memory.autoassociative:
        values = _vectors(STORED, memory.value_dim, memory.value_bits, memory.dtype, source)
    if memory.key_bits:
        query = bits.flip(keys, memory.dim // 16, seed=source)
    else:
        query = keys + 0.1 * torch.randn(keys.shape, generator=source).to(keys)
    return Sample(empty, keys, values, query)


def _vectors(
    count: int, dim: int, binary: bool, dtype: torch.dtype, source: torch.Generator
) -> Tensor:
    if binary:
        return bits.random(count, dim, seed=source).to(dtype)
    return torch.randn(count, dim, generator=source).to(dtype)


def tolerance_of(dtype: torch.dtype) -> float:
    return {torch.float64: 1e-9, torch.float32: 1e-4}.get(dtype, 3e-2)


def same(law: str, got: Tensor, expected: Tensor) -> None:
    """Compare shapes, dtypes, and numbers within the tolerance of their dtype."""
    kinds = [f"{each.dtype} {tuple(each.shape)}" for each in (got, expected)]
    that(law, kinds[0] == kinds[1], f"{kinds[0]} is not {kinds[1]}")
    tolerance = tolerance_of(got.dtype)
    if not torch.allclose(got, expected, rtol=tolerance, atol=tolerance, equal_nan=False):
        raise ContractError(f"{law}: results differ by {(got - expected).abs().max():.3g}")


def that(law: str, holds: bool | Tensor, seen: str = "it does not hold") -> None:
    if not holds:
        raise ContractError(f"{law}: {seen}")
