"""The limits of the machine, measured in the same run as the operations.

Each limit is the best of several rounds of the fastest code that was found for one primitive.
"""

import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch

from kanerva._engine import threads

__all__ = ["Limits", "measure"]

# Bytes that are read: in the cache of a core, in a shared cache, and in main memory.
SIZES = (2**20, 2**23, 2**25, 2**28)
# The numbers that are multiplied.
DTYPES = (torch.float32, torch.bfloat16)


@dataclass(frozen=True)
class Limits:
    """Rates of the machine, each per second.

    * ``words``: 64-bit words whose Hamming distance from a query is computed and summed; None
      without numba.
    * ``single``, ``half``: floating-point operations in a product of matrices of float32 and of
      bfloat16.
    * ``exponentials``: of float32 numbers in the cache.
    * ``bandwidth``: bytes read, by the size of the array that is read repeatedly.

    Example:
        >>> from kanerva.lab import bench
        >>> bench.Limits(None, 1e11, 2e11, 1e9, {2**20: 1e10}).single
        100000000000.0
    """

    words: float | None
    single: float
    half: float
    exponentials: float
    bandwidth: Mapping[int, float]

    def counting(self, words: float, size: float) -> float | None:
        """Return the seconds of so many comparisons of words, whose size in bytes is read once."""
        return None if self.words is None else max(words / self.words, self.reading(size))

    def attending(self, queries: int, keys: int, dim: int) -> float:
        """Return the seconds of a softmax read in float32.

        Either two matrix products and the exponentials, or reading the keys once.
        """
        pairs = queries * keys
        computing = 4 * pairs * dim / self.single + pairs / self.exponentials
        return max(computing, self.reading(4 * keys * dim))

    def scoring(self, queries: int, keys: int, dim: int) -> float:
        """Return the seconds of one matrix product in float32, or of reading the keys once."""
        return max(2 * queries * keys * dim / self.single, self.reading(4 * keys * dim))

    def reading(self, size: float) -> float:
        """Return the seconds of reading so many bytes, at an interpolated rate."""
        known = sorted(self.bandwidth.items())
        return size / math.exp(np.interp(math.log(max(size, 1)), *np.log(known).T))

    def plain(self) -> dict[str, Any]:
        """Return the rates as a dict for JSON."""
        bandwidth = {str(size): rate for size, rate in self.bandwidth.items()}
        return asdict(self) | {"bandwidth": bandwidth}


def measure(seconds: float, side: int) -> Limits:
    """Measure the limits within so many seconds, with all threads and with one.

    The products are of square matrices with ``side`` rows.

    The better rate counts, since small work may be faster on one thread.
    """
    share = seconds / (4 + len(SIZES)) / 2
    found = []
    for count in dict.fromkeys((torch.get_num_threads(), 1)):
        with threads.using(count):
            numbers = torch.linspace(-1, 0, 2**17)
            out = torch.empty_like(numbers)
            exponentials = _best(partial(torch.exp, numbers, out=out), share, len(numbers))
            products = (_product(dtype, side, share) for dtype in DTYPES)
            found.append((*products, exponentials, *(_bandwidth(size, share) for size in SIZES)))
    single, half, exponentials, *rates = map(max, zip(*found, strict=True))
    bandwidth = dict(zip(SIZES, rates, strict=True))
    return Limits(_words(2 * share), single, half, exponentials, bandwidth)


def _best(call: Callable[[], Any], seconds: float, work: float) -> float:
    """Return the best rate of at least three calls that each do so much work."""
    call()
    best, end, rounds = math.inf, time.perf_counter() + seconds, 0
    while rounds < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        best, rounds = min(best, time.perf_counter() - start), rounds + 1
    return work / best


def _product(dtype: torch.dtype, side: int, seconds: float) -> float:
    """Return the floating-point operations per second of a product of square matrices."""
    left = torch.linspace(0, 1, side * side).reshape(side, side).to(dtype)
    right = left.T.contiguous()
    return _best(lambda: left @ right, seconds, 2 * side**3)


def _bandwidth(size: int, seconds: float) -> float:
    """Return the bytes per second of reading an array, by a sum or by a dot product with itself."""
    numbers = torch.ones(size // 4)
    calls = (numbers.sum, lambda: numbers @ numbers)
    return max(_best(call, seconds / 2, size) for call in calls)


def _words(seconds: float) -> float | None:
    """Return the words per second whose Hamming distance is computed by all threads."""
    if find_spec("numba") is None:
        return None
    from kanerva.lab.bench._counting import count

    threads, times = torch.get_num_threads(), 2000
    words = [np.arange(start, start + 1024) for start in range(threads)]
    totals = [np.zeros(1, np.int64) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:

        def call() -> None:
            pairs = zip(words, totals, strict=True)
            parts = [pool.submit(count, one, 12345, times, total) for one, total in pairs]
            for part in parts:
                part.result()

        return _best(call, seconds, threads * times * len(words[0]))
