"""Find the hard locations near an address among packed bits on a GPU, and sum or change their counters: ``_engine`` there.

Kernels of Triton do what torch has no operation for: they count bits, and add rows that are scattered over the memory. Each
number is written by one program and no two programs write the same one, so that nothing depends on their order. This module
can be imported without Triton; ``scans`` tells whether there is any.
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
else:  # a number that is fixed when a kernel is compiled: annotations tell Triton so
    constexpr = int if tl is None else tl.constexpr

# Queries up to which bits are counted. To multiply, all keys are unpacked first, which moves a hundred times their bytes: by the
# bandwidth and the rate of bit counts of present GPUs, about as long as counting for so many. It is not yet measured on one.
FEW = 128
# Rows of counters that one program adds: lists are cut there, whatever the batch, so that its size changes no sum.
RUN = 256
# Bytes that an active pair of query and location costs on its way to a sum: its two places, sorted and unsorted.
PAIR_BYTES = 48
# How kernels are compiled: no product is fused with a sum, for there is none, and what Triton does by default changes.
PLAIN = {"enable_fp_fusion": False}


def scans(values: Shaped[Tensor, "m e"]) -> bool:
    """Tell whether packed bits that stand for ``values`` are searched here: on a GPU, or where Triton's interpreter stands for one."""
    plain = not values.requires_grad and values.dtype not in (torch.float16, torch.bfloat16)
    return plain and triton is not None and (values.is_cuda or INTERPRETED)


def product_dtype(queries: int, bits: int, radius: int) -> torch.dtype | None:
    r"""Choose how queries are compared with packed keys: None to count differing bits, else the dtype to multiply -1/+1 in.

    .. math:: h \le r \iff q \cdot k \ge t, \quad t = n - 2 r

    Up to ``FEW`` queries bits are counted, for packed keys are a sixteenth of the memory. More are multiplied, on tensor cores. A
    product is right if t and t - 2, the next below with as many bits, are told apart. bfloat16 holds whole numbers up to 256, and
    even ones up to 512; products are even where n is. So it serves for -256 < t <= 256, for even n for -512 < t <= 512. float32
    holds all of them up to 2^24. This takes sums that are rounded once, at their end: see ``rounded_once``.

    Args:
        queries: how many in a batch.
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
    asked: Int64[Tensor, "b words"], words: Int64[Tensor, "m words"]
) -> Int32[Tensor, "b m"]:
    """Count the bits in which packed queries and keys differ."""
    result = torch.empty(len(asked), len(words), dtype=torch.int32, device=words.device)
    _launch_compare(asked, words, 0, result)
    return result


def gather(
    query: Float[Tensor, "b n"], keys: Packed, counters: Shaped[Tensor, "m e"], radius: int
) -> tuple[Float[Tensor, "b e"], Bool[Tensor, "b"]]:
    """Sum the counters of the locations within ``radius`` of each query; say where there are none."""
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
    """Add ``times`` each value to the counters of the locations within ``radius`` of its address, in place."""
    given = (times * values).to(counters.dtype).contiguous()
    width = counters.shape[1]
    block = _power(width, 1024)
    for rows, marks in _marked(query, keys, radius):
        for part in _cut(marks.sum(-1).tolist()):
            row, place = marks[part].nonzero().unbind(-1)
            # A program takes one location and adds what was written there in the order of writing, as the other engines do.
            place, order = place.sort(stable=True)
            places, counts = torch.unique_consecutive(place, return_counts=True)
            last = counts.cumsum(0)
            with _device_of(counters):
                _scatter[len(places), -(-width // block)](
                    given[rows][part],
                    row[order],
                    places,
                    last - counts,
                    last,
                    counters,
                    width,
                    *counters.stride(),
                    block=block,
                    **PLAIN,
                )


def near(
    query: Float[Tensor, "b n"], keys: Packed, radius: int
) -> Iterator[Int64[Tensor, "_active"]]:
    """Yield the locations within ``radius`` of each query, in order."""
    for _, marks in _marked(query, keys, radius):
        for row in marks:
            yield row.nonzero().squeeze(-1)


def _marked(query: Tensor, keys: Packed, radius: int) -> Iterator[tuple[slice, Tensor]]:
    """Mark the locations within ``radius`` of the queries, as many queries at a time as half of the budget allows."""
    size = max(1, settings.budget // (2 * max(1, len(keys))))
    for start in range(0, len(query), size):
        rows = slice(start, start + size)
        dtype = product_dtype(len(query[rows]), keys.bits, radius)
        yield (
            rows,
            count_bits(query[rows], keys, radius)
            if dtype is None
            else multiply(query[rows], keys, radius, dtype),
        )


def count_bits(query: Float[Tensor, "b n"], keys: Packed, radius: int) -> Bool[Tensor, "b m"]:
    """Mark the keys within ``radius`` of each query by counting the bits in which they differ."""
    marks = torch.empty(len(query), len(keys), dtype=torch.uint8, device=keys.words.device)
    _launch_compare(signs(query), keys.words, radius, marks)
    return marks.view(torch.bool)


def multiply(
    query: Float[Tensor, "b n"], keys: Packed, radius: int, dtype: torch.dtype
) -> Bool[Tensor, "b m"]:
    """Mark the keys within ``radius`` of each query by their products in ``dtype``, unpacking as many as fit a quarter of the budget."""
    asked, marks = (
        query.to(dtype),
        torch.empty(len(query), len(keys), dtype=torch.bool, device=query.device),
    )
    size = max(
        1,
        settings.budget
        // 4
        // (keys.bits * (2 + 3 * dtype.itemsize) + len(query) * (1 + dtype.itemsize)),
    )
    for start in range(0, len(keys), size):
        rows = slice(start, start + size)
        with rounded_once(query.device):
            product = asked @ unpack(keys.words[rows], keys.bits, dtype).mT
        marks[:, rows] = product >= keys.bits - 2 * radius
    return marks


_lock = threading.Lock()


@contextmanager
def rounded_once(device: torch.device) -> Iterator[None]:
    """Keep products of bfloat16 from being added up in bfloat16, as torch lets the GPU do where it cuts long ones in parts."""
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
    """Cut queries so that the active pairs of a piece fit half of the budget; one query is the least."""
    start, load, most = 0, 0, settings.budget // (2 * PAIR_BYTES)
    for stop, count in enumerate(counts):
        if stop > start and load + count > most:
            yield slice(start, stop)
            start, load = stop, 0
        load += count
    yield slice(start, len(counts))


def _sums(table: Tensor, places: Tensor, counts: Tensor, exact: torch.dtype) -> Tensor:
    """Add the rows of ``table`` at ``places``, of which ``counts`` belong to each query in turn: runs first, then their sums."""
    ends, runs = counts.cumsum(0), (counts + RUN - 1) // RUN
    done = runs.cumsum(0)
    owner = torch.repeat_interleave(runs)
    turn = torch.arange(len(owner), device=table.device) - (done - runs)[owner]
    first = (ends - counts)[owner] + RUN * turn
    parts = _add(table, places, first, torch.minimum(first + RUN, ends[owner]), exact)
    return _add(parts, torch.arange(len(parts), device=table.device), done - runs, done, exact)


def _add(table: Tensor, places: Tensor, first: Tensor, last: Tensor, exact: torch.dtype) -> Tensor:
    """Add, for each stretch ``first`` to ``last`` of ``places``, the rows of ``table`` there."""
    width = table.shape[1]
    block = _power(width, 128)
    total = table.new_empty(len(first), width, dtype=exact)
    with _device_of(table):
        _gather[len(first), -(-width // block)](
            places.contiguous(),
            first,
            last,
            table,
            total,
            width,
            *table.stride(),
            block=block,
            rows=max(1, 1024 // block),
            **PLAIN,
        )
    return total


def _launch_compare(asked: Tensor, words: Tensor, radius: int, out: Tensor) -> None:
    """Compare packed queries with packed keys: marks into uint8, distances into int32."""
    rows, piece = _power(len(asked), 4), _power(words.shape[1], 16)
    block = max(16, 1024 // piece)
    with _device_of(words):
        _compare[-(-len(words) // block), -(-len(asked) // rows)](
            asked.contiguous(), words.contiguous(), out, *out.shape, words.shape[1], radius,
            marks=out.dtype == torch.uint8, rows=rows, block=block, piece=piece, **PLAIN,
        )  # fmt: skip


def _device_of(tensor: Tensor) -> AbstractContextManager[Any]:
    """Make the GPU of a tensor the one on which kernels start."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()


def _power(count: int, most: int) -> int:
    """Return the least power of two that holds ``count``, or ``most``: blocks of a kernel have such lengths only."""
    return min(most, 1 << max(0, count - 1).bit_length())


def _compiled(function: Callable[..., None]) -> Any:
    """Let Triton compile a function as it was written, whatever has been wrapped around it (such as run-time type checks)."""
    return function if triton is None else triton.jit(inspect.unwrap(function))


@_compiled
def _compare(
    asked: "Any",
    words: "Any",
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
    """Count the bits in which ``rows`` queries differ from a block of keys, and store the counts or which are within ``radius``."""
    place = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    query = tl.program_id(1).to(tl.int64) * rows + tl.arange(0, rows)
    distance = tl.zeros((rows, block), tl.int32)
    for start in range(0, width, piece):
        word = start + tl.arange(0, piece)
        inside = (word < width)[None, :]
        mine = tl.load(
            asked + query[:, None] * width + word[None, :],
            mask=(query < queries)[:, None] & inside,
            other=0,
        )
        theirs = tl.load(
            words + place[:, None] * width + word[None, :],
            mask=(place < count)[:, None] & inside,
            other=0,
        )
        # Sums of 2, 4 and 8 neighbouring bits, then of all bytes at once; the compiler knows it as one instruction.
        bits = (mine[:, None, :] ^ theirs[None, :, :]).to(tl.uint64, bitcast=True)
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
    """Add a block of columns of the rows in one stretch of ``places``."""
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
    """Add to a block of counters of one location the values of the queries in its stretch of ``queries``."""
    stretch = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1).to(tl.int64) * block + tl.arange(0, block)
    spot = counters + tl.load(places + stretch) * row_step + column * column_step
    sums = tl.load(spot, mask=column < width, other=0)
    for at in range(tl.load(first + stretch), tl.load(last + stretch)):
        sums += tl.load(
            values + tl.load(queries + at) * width + column, mask=column < width, other=0
        )
    tl.store(spot, sums, mask=column < width)


# Where TRITON_INTERPRET=1 was set before Triton was first imported, kernels run as Python, on tensors of any device.
INTERPRETED = triton is not None and not isinstance(_compare, triton.JITFunction)
