"""Sparse distributed memory with locations: which are active, writing, and reading."""

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from itertools import product
from typing import Any, NamedTuple

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

__all__ = ["activation", "read", "write"]

# One location in a thousand is active, or four where the locations are few.
SHARE, FEW = 0.001, 4
# The number of queries that are checked, and of patterns that are written before reads.
CHECKED, WRITTEN = 4, 256
# The engine of plain torch unpacks all addresses; it is timed up to so many comparisons of bits.
PLAIN = 100_000_000
# Where numba is installed, the engine of NumPy is timed up to so many comparisons of bits.
MANY = 50_000_000_000
NUMPY = "NumPy, count_nonzero of each query"
PRODUCT = "torch-hd's way: one product, then its large entries"


class Space(NamedTuple):
    """A memory with its addresses and radius.

    * ``memory``: of random locations, with nothing written.
    * ``keys``: the packed addresses.
    * ``radius``: in bits.
    """

    memory: Locations
    keys: vectors.Packed
    radius: int

    @property
    def width(self) -> int:
        """The number of bits of an address."""
        return self.keys.bits

    def setting(self, batch: int) -> dict[str, int]:
        """Return the sizes of a case."""
        return {"n": self.width, "M": len(self.keys), "B": batch}

    def comparisons(self, batch: int) -> int:
        """Return the number of bits that a search compares."""
        return self.width * len(self.keys) * batch

    def integers(self) -> NDArray[Any] | None:
        """Return the addresses for plain NumPy, or None where they are too large."""
        if 5 * self.width * len(self.keys) > _peers.LARGEST:
            return None
        return _peers.unpacked(self.keys, torch.int8).numpy()

    def near(self, query: Tensor) -> Iterator[Tensor]:
        """Yield the locations within the radius of each query, computed from unpacked addresses."""
        for row in query:
            blocks = (slice(start, start + 50_000) for start in range(0, len(self.keys), 50_000))
            distances = torch.cat([(self.keys[block] != row).sum(1) for block in blocks])
            yield (distances <= self.radius).nonzero().squeeze(-1)

    def scan(self, limits: Limits, batch: int) -> float | None:
        """Return the fewest seconds of comparing every address with every query."""
        words = self.keys.words.numel()
        return limits.counting(words * batch, 8 * words)

    def move(self, limits: Limits, batch: int, times: int) -> float | None:
        """Return the seconds of the scan and of moving the counters of active locations."""
        scan = self.scan(limits, batch)
        if scan is None:
            return None
        counters = self.memory.counters
        size = counters.numel() * counters.element_size()
        share = theory.circle.activation(self.width, self.radius)
        return scan + times * batch * share * limits.reading(size)


def activation(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Find the active locations of each query."""
    for width, count in product(sizes.bits, sizes.locations):
        space = _space(width, count, value_bits=1)
        floats = integers = None
        if 4 * width * count <= _peers.LARGEST:
            floats = _peers.unpacked(space.keys)
            integers = floats.to(torch.int8).numpy()
        for batch in sizes.batches:
            query = vectors.random(batch, width, seed=1)
            expected = [near.numpy() for near in space.near(query[:CHECKED])]
            work = space.comparisons(batch)
            calls = _by_engine(partial(_active, query, space.memory), work)
            if work <= PLAIN:
                calls["kanerva, torch"] = _by("torch", partial(_active, query, space.memory))
            if floats is not None:
                threshold = width - 2 * space.radius
                calls[PRODUCT] = partial(_threshold, query, floats, threshold)
            if integers is not None and work <= _peers.SLOWEST:
                calls[NUMPY] = partial(_notebook, query, integers, space.radius)
            routes = _routes(calls, partial(_places_off, expected=expected))
            limit = space.scan(limits, batch)
            yield Case("activation", space.setting(batch), routes, 0.0, limit)


def write(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Add each pattern to the counters of its active locations."""
    for width, count in product(sizes.bits, sizes.locations):
        space = _space(width, count)
        other = _peers.sparse_distributed(space.keys, space.radius, width)
        integers = space.integers()
        counters = np.zeros((0 if integers is None else count, width), np.int32)
        for batch in sizes.batches:
            x = vectors.random(batch, width, seed=1)
            places = torch.cat([next(space.near(x[:1])), torch.arange(min(100, count))])
            expected = _written(x, space, places)
            calls = _by_engine(partial(space.memory.write, x), space.comparisons(batch))
            routes = [
                _writer(name, call, space.memory.counters, (places, expected))
                for name, call in calls.items()
            ]
            if other is not None:
                given = _peers.bipolar(x)
                call = partial(other.write, given, given)
                routes.append(_writer("torch-hd", call, other.values.data, (places, expected)))
            if integers is not None and space.comparisons(batch) <= _peers.SLOWEST:
                call = partial(_add, x.to(torch.int32).numpy(), integers, counters, space.radius)
                sums = torch.from_numpy(counters)
                routes.append(_writer(NUMPY, call, sums, (places, expected)))
            limit = space.move(limits, batch, 2)
            yield Case("write", space.setting(batch), routes, 0.0, limit)


def read(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Sum the counters of the active locations and return the signs."""
    for width, count in product(sizes.bits, sizes.locations):
        space = _space(width, count)
        patterns = vectors.random(WRITTEN, width, seed=1)
        space.memory.write(patterns)
        values = space.memory.values
        other = _peers.sparse_distributed(space.keys, space.radius, width)
        if other is not None:
            other.values.data.copy_(values)
        integers = space.integers()
        for batch in sizes.batches:
            query = vectors.flip(patterns[torch.arange(batch) % WRITTEN], width // 20, seed=2)
            near = space.near(query[:CHECKED])
            expected = torch.stack([values[places].long().sum(0) for places in near])
            work = space.comparisons(batch)
            calls = _by_engine(partial(space.memory.read, query), work)
            if other is not None:
                calls["torch-hd"] = partial(other.read, _peers.bipolar(query))
            if integers is not None and work <= _peers.SLOWEST:
                calls[NUMPY] = partial(_sum, query, integers, values.numpy(), space.radius)
            routes = _routes(calls, partial(_signs_off, sums=expected))
            limit = space.move(limits, batch, 1)
            yield Case("read", space.setting(batch), routes, 0.0, limit)


def _space(width: int, count: int, value_bits: int | None = None) -> Space:
    """Return a memory whose radius activates one location in a thousand."""
    radius = theory.radius.quantile(width, max(SHARE, FEW / count))
    memory = models.sdm(width, count, radius, value_bits=value_bits)
    return Space(memory, vectors.Packed.wrap(memory.addresses, width), radius)


def _by_engine(call: Callable[[], Any], work: int) -> dict[str, Callable[[], Any]]:
    """Return a call for each installed engine, the fastest first, by the name of the route."""
    engines = {"NumPy": "numpy"}
    if find_spec("numba") is not None:
        engines = {"numba": "numba"} | (engines if work <= MANY else {})
    return {f"kanerva, {title}": _by(engine, call) for title, engine in engines.items()}


def _by(engine: str, call: Callable[[], Any]) -> Callable[[], Any]:
    """Return a call that uses an engine."""

    def work() -> Any:
        with settings.use(engine=engine):
            return call()

    return work


def _routes(calls: dict[str, Callable[[], Any]], error: Callable[[Any], float]) -> list[Route]:
    """Return routes whose answers have an error."""

    def checked(call: Callable[[], Any]) -> Callable[[], float]:
        return lambda: error(call())

    return [
        Route(name, call, checked(call), name.startswith("kanerva")) for name, call in calls.items()
    ]


def _active(query: Tensor, memory: Locations) -> list[Tensor]:
    """Return the active locations of each query."""
    return list(functional.active(query, memory.keys, memory.similarity, memory.separation))


def _writer(
    name: str, call: Callable[[], Any], counters: Tensor, expected: tuple[Tensor, Tensor]
) -> Route:
    """Return a route that writes again and again; the check is of one write to zero counters."""
    places, sums = expected

    def check() -> float:
        counters.zero_()
        call()
        return float((counters[places, : sums.shape[1]].long() - sums).abs().max())

    return Route(name, call, check, name.startswith("kanerva"))


def _written(x: Tensor, space: Space, places: Tensor) -> Tensor:
    """Return some of the counters after one write."""
    addresses = vectors.unpack(space.keys.words[places], space.width)
    near = vectors.hamming(addresses[:, None], x) <= space.radius
    return (near.double() @ x.double()).long()


def _threshold(query: Tensor, keys: Tensor, threshold: int) -> Tensor:
    return (query @ keys.T >= threshold).nonzero()


def _within(one: NDArray[Any], addresses: NDArray[Any], radius: int) -> NDArray[np.bool_]:
    return np.count_nonzero(addresses != one, axis=1) <= radius


def _notebook(query: Tensor, addresses: NDArray[Any], radius: int) -> list[NDArray[Any]]:
    rows = query.to(torch.int8).numpy()
    return [np.flatnonzero(_within(one, addresses, radius)) for one in rows]


def _add(x: NDArray[Any], addresses: NDArray[Any], counters: NDArray[Any], radius: int) -> None:
    for one in x:
        counters[_within(one.astype(np.int8), addresses, radius)] += one


def _sum(query: Tensor, addresses: NDArray[Any], counters: NDArray[Any], radius: int) -> Tensor:
    rows = query.to(torch.int8).numpy()
    sums = [counters[_within(one, addresses, radius)].sum(0) for one in rows]
    return torch.from_numpy(np.stack(sums))


def _places_off(found: Any, expected: list[NDArray[Any]]) -> float:
    """Count the locations that are in only one of two lists of active locations."""
    if isinstance(found, Tensor):
        found = [found[found[:, 0] == row, 1] for row in range(len(expected))]
    pairs = zip(found, expected, strict=False)
    return float(sum(len(np.setxor1d(np.asarray(one), other)) for one, other in pairs))


def _signs_off(found: Tensor, sums: Tensor) -> float:
    """Count the bits that differ from the sign of their sum; a sum of zero has no sign."""
    value = found[: len(sums)]
    return float(((value.sign() != sums.sign()) & (sums != 0)).sum())
