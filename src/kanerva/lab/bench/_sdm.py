"""Sparse distributed memory, the neuron view: which locations are active, writing, reading."""

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanerva import bits as vectors
from kanerva import functional, models, theory
from kanerva._core.settings import settings
from kanerva.lab.bench import _peers
from kanerva.lab.bench._limits import Limits
from kanerva.lab.bench._measure import Case, Route
from kanerva.lab.bench._sizes import Sizes
from kanerva.memory import Locations
from kanerva.similarity import agreement

__all__ = ["activation", "read", "write"]

# One location in a thousand is active, or four where they are few.
SHARE, FEW = 0.001, 4
# So many queries are checked, and so many are written before reads.
CHECKED, WRITTEN = 4, 256
# The engine of plain torch unpacks addresses: it is timed where they are this few numbers.
PLAIN = 100_000_000
# Comparisons of bits beyond which NumPy takes many seconds where numba is there to show.
MANY = 50_000_000_000


def activation(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Find the active locations of each query."""
    for width, count in product(sizes.bits, sizes.locations):
        memory = _memory(width, count, value_bits=1)
        radius, keys = _radius(width, count), vectors.Packed.wrap(memory.addresses, width)
        unpacked = _peers.unpacked(keys) if 4 * width * count <= _peers.LARGEST else None
        plain = unpacked.to(torch.int8).numpy() if unpacked is not None else None
        for batch in sizes.batches:
            query = vectors.random(batch, width, seed=1)
            expected = [near.numpy() for near in _near(query[:CHECKED], keys, radius)]
            routes = list[Route]()
            call: Callable[[], Any]
            plainly = [("torch", "torch")] if width * count * batch <= PLAIN else []
            for name, engine in _engines(width * count * batch) + plainly:
                call = _by(engine, partial(_active, query, memory))
                routes.append(
                    Route(f"kanerva, {name}", call, partial(_places_off, call, expected), True)
                )
            if unpacked is not None:
                call = partial(_threshold, query, unpacked, width - 2 * radius)
                routes.append(
                    Route(
                        "torch-hd's way: one product, then its large entries",
                        call,
                        partial(_places_off, call, expected),
                    )
                )
            if plain is not None and batch * width * count <= _peers.SLOWEST:
                call = partial(_notebook, query, plain, radius)
                routes.append(
                    Route(
                        "NumPy, count_nonzero of each query",
                        call,
                        partial(_places_off, call, expected),
                    )
                )
            yield Case(
                "activation",
                {"n": width, "M": count, "B": batch},
                routes,
                0.0,
                _scan(limits, width, count, batch),
            )


def write(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Add each pattern to the counters of its active locations."""
    for width, count in product(sizes.bits, sizes.locations):
        memory = _memory(width, count)
        radius, keys = _radius(width, count), vectors.Packed.wrap(memory.addresses, width)
        other = _peers.sparse_distributed(keys, radius, width)
        plain = (
            _peers.unpacked(keys, torch.int8).numpy()
            if 5 * width * count <= _peers.LARGEST
            else None
        )
        counters = np.zeros((count, width), np.int32) if plain is not None else None
        for batch in sizes.batches:
            x = vectors.random(batch, width, seed=1)
            places = torch.cat([next(_near(x[:1], keys, radius)), torch.arange(min(100, count))])
            expected = _written(x, keys, radius, places)
            routes = list[Route]()
            call: Callable[[], Any]
            for name, engine in _engines(width * count * batch):
                call = _by(engine, partial(memory.write, x))
                routes.append(
                    _writer(f"kanerva, {name}", call, memory.counters, places, expected, True)
                )
            if other is not None:
                given = _peers.bipolar(x)
                routes.append(
                    _writer(
                        "torch-hd",
                        partial(other.write, given, given),
                        other.values.data,
                        places,
                        expected,
                    )
                )
            if (
                plain is not None
                and counters is not None
                and batch * width * count <= _peers.SLOWEST
            ):
                call = partial(_add, x.to(torch.int32).numpy(), plain, counters, radius)
                routes.append(
                    _writer(
                        "NumPy, count_nonzero of each query",
                        call,
                        torch.from_numpy(counters),
                        places,
                        expected,
                    )
                )
            yield Case(
                "write",
                {"n": width, "M": count, "B": batch},
                routes,
                0.0,
                _move(limits, memory, width, count, batch, 2),
            )


def read(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Sum the counters of the active locations and take the sign."""
    for width, count in product(sizes.bits, sizes.locations):
        memory = _memory(width, count)
        radius, keys = _radius(width, count), vectors.Packed.wrap(memory.addresses, width)
        patterns = vectors.random(WRITTEN, width, seed=1)
        memory.write(patterns)
        other = _peers.sparse_distributed(keys, radius, width)
        if other is not None:
            other.values.data.copy_(memory.values)
        plain = (
            _peers.unpacked(keys, torch.int8).numpy()
            if 5 * width * count <= _peers.LARGEST
            else None
        )
        for batch in sizes.batches:
            query = vectors.flip(patterns[torch.arange(batch) % WRITTEN], width // 20, seed=2)
            sums = torch.stack(
                [memory.values[near].long().sum(0) for near in _near(query[:CHECKED], keys, radius)]
            )
            routes = list[Route]()
            call: Callable[[], Any]
            for name, engine in _engines(width * count * batch):
                call = _by(engine, partial(memory.read, query))
                routes.append(
                    Route(f"kanerva, {name}", call, partial(_signs_off, call, sums), True)
                )
            if other is not None:
                call = partial(other.read, _peers.bipolar(query))
                routes.append(Route("torch-hd", call, partial(_signs_off, call, sums)))
            if plain is not None and batch * width * count <= _peers.SLOWEST:
                call = partial(_sum, query, plain, memory.values.numpy(), radius)
                routes.append(
                    Route(
                        "NumPy, count_nonzero of each query", call, partial(_signs_off, call, sums)
                    )
                )
            yield Case(
                "read",
                {"n": width, "M": count, "B": batch},
                routes,
                0.0,
                _move(limits, memory, width, count, batch, 1),
            )


def _radius(width: int, count: int) -> int:
    """Choose a radius that activates one location in a thousand."""
    return theory.radius.quantile(width, max(SHARE, FEW / count))


def _memory(width: int, count: int, value_bits: int | None = None) -> Locations:
    return models.sdm(width, count, _radius(width, count), value_bits=value_bits)


def _engines(work: int) -> list[tuple[str, str]]:
    """Name the engines of ours that are installed and take so many comparisons of bits, the fastest first."""
    engines = (
        [("NumPy", "numpy")]
        if find_spec("numba") is None
        else [("numba", "numba"), ("NumPy", "numpy")]
    )
    return engines[:1] if work > MANY else engines


def _by(engine: str, call: Callable[[], Any]) -> Callable[[], Any]:
    """Let an engine do the work."""

    def work() -> Any:
        with settings.use(engine=engine):
            return call()

    return work


def _active(query: Tensor, memory: Locations) -> list[Tensor]:
    """Ask our own functions which locations are active."""
    return list(functional.active(query, memory.keys, agreement, memory.separation))


def _writer(
    name: str,
    call: Callable[[], Any],
    counters: Tensor,
    places: Tensor,
    expected: Tensor,
    ours: bool = False,
) -> Route:
    """Time writes on top of one another; check one write to counters of zero."""

    def check() -> float:
        counters.zero_()
        call()
        return float((counters[places, : expected.shape[1]].long() - expected).abs().max())

    return Route(name, call, check, ours)


def _near(query: Tensor, keys: vectors.Packed, radius: int) -> Iterator[Tensor]:
    """Yield the locations within the radius of each query, from addresses unpacked a piece at a time."""
    for one in query:
        pieces = (slice(start, start + 50_000) for start in range(0, len(keys), 50_000))
        yield (
            torch.cat([(keys[rows] != one).sum(1) <= radius for rows in pieces])
            .nonzero()
            .squeeze(-1)
        )


def _written(x: Tensor, keys: vectors.Packed, radius: int, places: Tensor) -> Tensor:
    """Return what a few counters are after one write."""
    addresses = vectors.unpack(keys.words[places], keys.bits)
    return ((vectors.hamming(addresses[:, None], x) <= radius).double() @ x.double()).long()


def _threshold(query: Tensor, keys: Tensor, threshold: int) -> Tensor:
    return (query @ keys.T >= threshold).nonzero()


def _notebook(query: Tensor, addresses: NDArray[Any], radius: int) -> list[NDArray[Any]]:
    return [
        np.flatnonzero(np.count_nonzero(addresses != x, axis=1) <= radius)
        for x in query.to(torch.int8).numpy()
    ]


def _add(x: NDArray[Any], addresses: NDArray[Any], counters: NDArray[Any], radius: int) -> None:
    for one in x:
        counters[np.count_nonzero(addresses != one.astype(np.int8), axis=1) <= radius] += one


def _sum(query: Tensor, addresses: NDArray[Any], counters: NDArray[Any], radius: int) -> Tensor:
    x = query.to(torch.int8).numpy()
    return torch.from_numpy(
        np.stack(
            [counters[np.count_nonzero(addresses != one, axis=1) <= radius].sum(0) for one in x]
        )
    )


def _places_off(call: Callable[[], Any], expected: list[NDArray[Any]]) -> float:
    """Count the locations that are active by one of two lists of them and not by the other."""
    found = call()
    if isinstance(found, Tensor):
        found = [found[found[:, 0] == row, 1] for row in range(len(expected))]
    return float(
        sum(
            len(np.setxor1d(np.asarray(one), other))
            for one, other in zip(found, expected, strict=False)
        )
    )


def _signs_off(call: Callable[[], Any], sums: Tensor) -> float:
    """Count the bits read that are not the sign of their sum; a sum of zero has none."""
    value = call()[: len(sums)]
    return float(((value.sign() != sums.sign()) & (sums != 0)).sum())


def _scan(limits: Limits, width: int, count: int, batch: int) -> float | None:
    """Return the seconds in which every address is compared with every query."""
    words = -(-width // 64) * count
    return limits.counting(words * batch, 8 * words)


def _move(
    limits: Limits, memory: Locations, width: int, count: int, batch: int, times: int
) -> float | None:
    """Return the seconds of the scan, and of moving the counters of the active locations once or twice."""
    scan = _scan(limits, width, count, batch)
    row = memory.counters[0].numel() * memory.counters.element_size()
    moved = theory.circle.activation(width, _radius(width, count)) * count * batch * row
    return (
        None if scan is None else scan + times * moved * limits.reading(row * count) / (row * count)
    )
