"""Find the locations near an address among packed bits on a GPU; sum or change their counters.

Triton kernels do what torch has no operation for: they count bits, and add rows that are scattered
over the memory. Each number is written by one program only, so the results do not depend on the
order of the programs. This module can be imported without Triton; ``scans`` is then False.
"""

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float, Int32, Int64, Shaped
from torch import Tensor

from kanerva._core.settings import settings
from kanerva.bits import Packed, signs, unpack

try:
    triton: Any = import_module("triton")
    tl: Any = import_module("triton.language")
except ImportError:
    triton = tl = None
if TYPE_CHECKING:
    constexpr = Any
else:  # a parameter that is fixed when a kernel is compiled, for Triton by this annotation
    constexpr = int if tl is None else tl.constexpr

# Queries up to which bits are counted rather than multiplied. For products all keys are unpacked,
# which moves a hundred times their bytes. By the bandwidth and the rate of bit counts of present
# GPUs this takes as long as counting for about this number of queries: an estimate, not measured.
FEW = 128
# Rows of counters that one program adds: lists are cut here for every batch, so that the size of a
# batch changes no sum.
RUN = 256
# Bytes for an active pair of query and location: its two places, sorted and unsorted.
PAIR_BYTES = 48
# The options for compiling kernels. They contain no product to fuse with a sum; the option is given
# because its default differs between versions of Triton.
PLAIN = {"enable_fp_fusion": False}


def scans(values: Shaped[Tensor, "m e"]) -> bool:
    """Return whether these kernels read packed keys with such values: on a GPU, or interpreted."""
    plain = not values.requires_grad and values.dtype not in (torch.float16, torch.bfloat16)
    return plain and triton is not None and (values.is_cuda or INTERPRETED)


def product_dtype(queries: int, bits: int, radius: int) -> torch.dtype | None:
    r"""Return the dtype in which queries and keys are multiplied as -1/+1; None to count bits.

    .. math:: h \le r \iff q \cdot k \ge t, \quad t = n - 2 r

    For up to ``FEW`` queries bits are counted, because packed keys take a sixteenth of the memory.
    More queries are multiplied, on tensor cores. A product is precise enough if t differs from
    t - 2, the next smaller product of n bits. bfloat16 represents whole numbers up to 256, and even
    ones up to 512; products are even where n is. So bfloat16 suffices for -256 < t <= 256, and for
    even n for -512 < t <= 512. float32 represents all whole numbers up to 2^24. Sums must be
    rounded once, at their end: see ``rounded_once``.

    Args:
        queries: the number of queries in a batch.
        bits: n, length of a key.
        radius: r, largest distance of an active key; -1 for none.
    """
    if queries <= FEW:
        return None
    exact, threshold = 256 if bits % 2 else 512, bits - 2 * radius
    if -exact < threshold <= exact:
        return torch.bfloat16
    return torch.float32 if bits <= 2**24 else torch.float64


def distances(
    query: Int64[Tensor, "b words"], keys: Int64[Tensor, "m words"]
) -> Int32[Tensor, "b m"]:
    """Count the bits in which packed queries and keys differ."""
    result = torch.empty(len(query), len(keys), dtype=torch.int32, device=keys.device)
    _launch_compare(query, keys, 0, result)
    return result


def gather(
    query: Float[Tensor, "b n"], keys: Packed, counters: Shaped[Tensor, "m e"], radius: int
) -> tuple[Float[Tensor, "b e"], Bool[Tensor, "b"]]:
    """Sum the counters of the locations within ``radius``; also return where there are none."""
    exact = torch.float64 if counters.is_floating_point() else torch.int64
    total = counters.new_zeros(len(query), counters.shape[1], dtype=exact)
    empty = torch.ones(len(query), dtype=torch.bool, device=counters.device)
    for rows, marks in _marked(query, keys, radius):
        counts = marks.sum(-1)
        empty[rows] = counts == 0
        for part in _cut(counts.tolist()):
            total[rows][part] = _sums(counters, marks[part].nonzero()[:, 1], counts[part], exact)
    return total.to(torch.promote_types(query.dtype, torch.float32)), empty


def scatter(
    query: Float[Tensor, "b n"],
    values: Shaped[Tensor, "b e"],
    keys: Packed,
    counters: Shaped[Tensor, "m e"],
    radius: int,
    times: int,
) -> None:
    """Add each value ``times`` to the counters within ``radius`` of its address, in place."""
    given = (times * values).to(counters.dtype).contiguous()
    width = counters.shape[1]
    block = _power(width, 1024)
    for rows, marks in _marked(query, keys, radius):
        for part in _cut(marks.sum(-1).tolist()):
            row, place = marks[part].nonzero().unbind(-1)
            # One program adds the values of a location in the order of writing, as on the CPU.
            place, order = place.sort(stable=True)
            places, counts = torch.unique_consecutive(place, return_counts=True)
            last = counts.cumsum(0)
            lists = (given[rows][part], row[order], places, last - counts, last)
            table = (counters, width, *counters.stride())
            with _device_of(counters):
                _scatter[len(places), -(-width // block)](*lists, *table, block=block, **PLAIN)


def near(
    query: Float[Tensor, "b n"], keys: Packed, radius: int
) -> Iterator[Int64[Tensor, "_active"]]:
    """Yield the locations within ``radius`` of each query, in order."""
    for _, marks in _marked(query, keys, radius):
        for row in marks:
            yield row.nonzero().squeeze(-1)


def _marked(query: Tensor, keys: Packed, radius: int) -> Iterator[tuple[slice, Tensor]]:
    """Mark the locations near the queries, as many queries at a time as fit half of the budget."""
    size = max(1, settings.budget // (2 * max(1, len(keys))))
    for start in range(0, len(query), size):
        rows = slice(start, start + size)
        part = query[rows]
        dtype = product_dtype(len(part), keys.bits, radius)
        if dtype is None:
            yield rows, count_bits(part, keys, radius)
        else:
            yield rows, multiply(part, keys, radius, dtype)


def count_bits(query: Float[Tensor, "b n"], keys: Packed, radius: int) -> Bool[Tensor, "b m"]:
    """Mark the keys within ``radius`` of each query by counts of the bits in which they differ."""
    marks = torch.empty(len(query), len(keys), dtype=torch.uint8, device=keys.words.device)
    _launch_compare(signs(query), keys.words, radius, marks)
    return marks.view(torch.bool)


def multiply(
    query: Float[Tensor, "b n"], keys: Packed, radius: int, dtype: torch.dtype
) -> Bool[Tensor, "b m"]:
    """Mark the keys within ``radius`` of each query by their products in ``dtype``.

    As many keys are unpacked at a time as fit a quarter of the budget.
    """
    query = query.to(dtype)
    marks = torch.empty(len(query), len(keys), dtype=torch.bool, device=query.device)
    key_bytes = keys.bits * (2 + 3 * dtype.itemsize) + len(query) * (1 + dtype.itemsize)
    size = max(1, settings.budget // 4 // key_bytes)
    for start in range(0, len(keys), size):
        rows = slice(start, start + size)
        with rounded_once(query.device):
            product = query @ unpack(keys.words[rows], keys.bits, dtype).mT
        marks[:, rows] = product >= keys.bits - 2 * radius
    return marks


_lock = threading.Lock()


@contextmanager
def rounded_once(device: torch.device) -> Iterator[None]:
    """Make the GPU round sums of bfloat16 products once; by default it may round partial sums."""
    matmul = torch.backends.cuda.matmul
    with _lock:
        if device.type != "cuda" or not matmul.allow_bf16_reduced_precision_reduction:
            yield
            return
        matmul.allow_bf16_reduced_precision_reduction = False
        try:
            yield
        finally:
            matmul.allow_bf16_reduced_precision_reduction = True


def _cut(counts: list[int]) -> Iterator[slice]:
    """Cut queries so that the active pairs of a part fit half of the budget, or one query."""
    start, load, most = 0, 0, settings.budget // (2 * PAIR_BYTES)
    for stop, count in enumerate(counts):
        if stop > start and load + count > most:
            yield slice(start, stop)
            start, load = stop, 0
        load += count
    yield slice(start, len(counts))


def _sums(table: Tensor, places: Tensor, counts: Tensor, exact: torch.dtype) -> Tensor:
    """Sum the rows of ``table`` at ``places``, of which ``counts`` belong to each query in turn.

    Runs are summed first, then the sums of the runs.
    """
    ends, runs = counts.cumsum(0), (counts + RUN - 1) // RUN
    done = runs.cumsum(0)
    owner = torch.repeat_interleave(runs)
    turn = torch.arange(len(owner), device=table.device) - (done - runs)[owner]
    first = (ends - counts)[owner] + RUN * turn
    parts = _add(table, places, first, torch.minimum(first + RUN, ends[owner]), exact)
    return _add(parts, torch.arange(len(parts), device=table.device), done - runs, done, exact)


def _add(table: Tensor, places: Tensor, first: Tensor, last: Tensor, exact: torch.dtype) -> Tensor:
    """Sum, for each stretch ``first`` to ``last`` of ``places``, the rows of ``table`` there."""
    width = table.shape[1]
    block = _power(width, 128)
    total = table.new_empty(len(first), width, dtype=exact)
    lists = (places.contiguous(), first, last)
    shape = {"block": block, "rows": max(1, 1024 // block)}
    with _device_of(table):
        launch = _gather[len(first), -(-width // block)]
        launch(*lists, table, total, width, *table.stride(), **shape, **PLAIN)
    return total


def _launch_compare(query: Tensor, keys: Tensor, radius: int, out: Tensor) -> None:
    """Compare packed queries with packed keys: marks into uint8, distances into int32."""
    rows, piece = _power(len(query), 4), _power(keys.shape[1], 16)
    block = max(16, 1024 // piece)
    given = (query.contiguous(), keys.contiguous(), out, *out.shape, keys.shape[1], radius)
    shape = {"rows": rows, "block": block, "piece": piece}
    with _device_of(keys):
        launch = _compare[-(-len(keys) // block), -(-len(query) // rows)]
        launch(*given, marks=out.dtype == torch.uint8, **shape, **PLAIN)


def _device_of(tensor: Tensor) -> AbstractContextManager[Any]:
    """Start kernels on the GPU of a tensor."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()


def _power(count: int, most: int) -> int:
    """Return the least power of two >= ``count``, or ``most``; blocks have such lengths only."""
    return min(most, 1 << max(0, count - 1).bit_length())


def _compiled(function: Callable[..., None]) -> Any:
    """Compile a function without the wrappers around it, such as run-time type checks."""
    return function if triton is None else triton.jit(inspect.unwrap(function))


@_compiled
def _compare(
    query_words: "Any",
    key_words: "Any",
    out: "Any",
    queries: "Any",
    count: "Any",
    width: "Any",
    radius: "Any",
    marks: constexpr,
    rows: constexpr,
    block: constexpr,
    piece: constexpr,
) -> None:
    """Count the bits in which queries differ from a block of keys; store the counts or marks."""
    place = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    query = tl.program_id(1).to(tl.int64) * rows + tl.arange(0, rows)
    distance = tl.zeros((rows, block), tl.int32)
    for start in range(0, width, piece):
        word = start + tl.arange(0, piece)
        inside = (word < width)[None, :]
        one = tl.load(
            query_words + query[:, None] * width + word[None, :],
            mask=(query < queries)[:, None] & inside,
            other=0,
        )
        other = tl.load(
            key_words + place[:, None] * width + word[None, :],
            mask=(place < count)[:, None] & inside,
            other=0,
        )
        # Sums of 2, 4 and 8 neighbouring bits, then of all bytes: the compiler makes it one
        # instruction.
        bits = (one[:, None, :] ^ other[None, :, :]).to(tl.uint64, bitcast=True)
        bits = bits - ((bits >> 1) & 0x5555555555555555)
        bits = (bits & 0x3333333333333333) + ((bits >> 2) & 0x3333333333333333)
        bits = (bits + (bits >> 4)) & 0x0F0F0F0F0F0F0F0F
        distance += tl.sum(((bits * 0x0101010101010101) >> 56).to(tl.int32), 2)
    spot = out + query[:, None] * count + place[None, :]
    there = (query < queries)[:, None] & (place < count)[None, :]
    if marks:
        tl.store(spot, (distance <= radius).to(tl.uint8), mask=there)
    else:
        tl.store(spot, distance, mask=there)


@_compiled
def _gather(
    places: "Any",
    first: "Any",
    last: "Any",
    table: "Any",
    total: "Any",
    width: "Any",
    row_step: "Any",
    column_step: "Any",
    block: constexpr,
    rows: constexpr,
) -> None:
    """Sum a block of columns of the rows in one stretch of ``places``."""
    stretch = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1).to(tl.int64) * block + tl.arange(0, block)
    start, stop = tl.load(first + stretch), tl.load(last + stretch)
    sums = tl.zeros((block,), total.dtype.element_ty)
    for at in range(start, stop, rows):
        turn = at + tl.arange(0, rows)
        place = tl.load(places + turn, mask=turn < stop, other=0)
        spot = table + place[:, None] * row_step + column[None, :] * column_step
        there = (turn < stop)[:, None] & (column < width)[None, :]
        sums += tl.sum(tl.load(spot, mask=there, other=0).to(sums.dtype), 0)
    tl.store(total + stretch * width + column, sums, mask=column < width)


@_compiled
def _scatter(
    values: "Any",
    queries: "Any",
    places: "Any",
    first: "Any",
    last: "Any",
    counters: "Any",
    width: "Any",
    row_step: "Any",
    column_step: "Any",
    block: constexpr,
) -> None:
    """Add the values in its stretch of ``queries`` to a block of counters of one location."""
    stretch = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1).to(tl.int64) * block + tl.arange(0, block)
    spot = counters + tl.load(places + stretch) * row_step + column * column_step
    sums = tl.load(spot, mask=column < width, other=0)
    for at in range(tl.load(first + stretch), tl.load(last + stretch)):
        value = values + tl.load(queries + at) * width + column
        sums += tl.load(value, mask=column < width, other=0)
    tl.store(spot, sums, mask=column < width)


# With TRITON_INTERPRET=1 before the first import of Triton, kernels run as Python, on any device.
INTERPRETED = triton is not None and not isinstance(_compare, triton.JITFunction)
