"""Measure what this machine can do at most, in the same run as what is compared with it.

Every limit is the best of its rounds, of the fastest plain way that was found to do nothing else.
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

__all__ = ["Limits", "measure"]

# Of what is read: in the cache of a core, shared by cores, beyond.
SIZES = (2**20, 2**23, 2**25, 2**28)


@dataclass(frozen=True)
class Limits:
    """Rates of the machine with so many threads, each a second.

    * ``words``: 64-bit words compared with a query, their differing bits counted and summed; None without numba.
    * ``single``, ``half``: floating operations in a product of matrices of float32 and of bfloat16.
    * ``exponentials``: of float32 numbers in the cache.
    * ``bandwidth``: bytes read, by the bytes that are read again and again.
    """

    words: float | None
    single: float
    half: float
    exponentials: float
    bandwidth: Mapping[int, float]

    def counting(self, words: float, size: float) -> float | None:
        """Return the seconds in which so many words are compared that take so many bytes, read once."""
        return None if self.words is None else max(words / self.words, self.reading(size))

    def attending(self, queries: int, keys: int, dim: int) -> float:
        """Return the seconds of a softmax read in float32: two products and the exponentials, or reading the keys once."""
        pairs = queries * keys
        return max(
            4 * pairs * dim / self.single + pairs / self.exponentials, self.reading(4 * keys * dim)
        )

    def reading(self, size: float) -> float:
        """Return the seconds in which so many bytes are read, at the rate of the sizes nearest to it."""
        known = sorted(self.bandwidth.items())
        return size / math.exp(np.interp(math.log(max(size, 1)), *np.log(known).T))

    def plain(self) -> dict[str, Any]:
        """Return the rates as what JSON can say."""
        return asdict(self) | {
            "bandwidth": {str(size): rate for size, rate in self.bandwidth.items()}
        }


def measure(seconds: float) -> Limits:
    """Measure every limit for a share of so many seconds, on all threads and on one: small work may be quicker on one."""
    threads = torch.get_num_threads()
    share = seconds / (4 + len(SIZES)) / 2
    found = []
    try:
        for count in (threads, 1):
            torch.set_num_threads(count)
            numbers = torch.linspace(-1, 0, 2**17)
            out = torch.empty_like(numbers)
            exponentials = _best(partial(torch.exp, numbers, out=out), share, len(numbers))
            products = (_product(dtype, share) for dtype in (torch.float32, torch.bfloat16))
            found.append((*products, exponentials, *(_bandwidth(size, share) for size in SIZES)))
    finally:
        torch.set_num_threads(threads)
    single, half, exponentials, *bandwidth = map(max, zip(*found, strict=True))
    return Limits(
        _words(2 * share), single, half, exponentials, dict(zip(SIZES, bandwidth, strict=True))
    )


def _best(call: Callable[[], Any], seconds: float, work: float) -> float:
    """Return the best rate of calls that each do so much work: three at least."""
    call()
    best, end, rounds = math.inf, time.perf_counter() + seconds, 0
    while rounds < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        best, rounds = min(best, time.perf_counter() - start), rounds + 1
    return work / best


def _product(dtype: torch.dtype, seconds: float) -> float:
    """Multiply two square matrices."""
    side = 1024
    left = torch.linspace(0, 1, side * side).reshape(side, side).to(dtype)
    right = left.T.contiguous()
    return _best(lambda: left @ right, seconds, 2 * side**3)


def _bandwidth(size: int, seconds: float) -> float:
    """Read an array of so many bytes, by a sum and by a product with itself."""
    numbers = torch.ones(size // 4)
    return max(
        _best(numbers.sum, seconds / 2, size), _best(lambda: numbers @ numbers, seconds / 2, size)
    )


def _words(seconds: float) -> float | None:
    """Count differing bits on every thread."""
    if find_spec("numba") is None:
        return None
    from kanerva.lab.bench._counting import count

    threads, times = torch.get_num_threads(), 2000
    words = [np.arange(start, start + 1024) for start in range(threads)]
    totals = [np.zeros(1, np.int64) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:

        def call() -> None:
            for part in [
                pool.submit(count, one, 12345, times, total)
                for one, total in zip(words, totals, strict=True)
            ]:
                part.result()

        return _best(call, seconds, threads * times * len(words[0]))
