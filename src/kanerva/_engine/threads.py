"""Share work among as many threads as torch uses, each of which computes on one core.

When torch uses several threads for one small array, they wait for each other at every operation;
the threads here meet only at the end of the work.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import cache
from threading import Barrier
from typing import TypeVar

import torch

from kanerva._core import arrays

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def using(count: int) -> Iterator[None]:
    """Let torch, and so the engines, use ``count`` threads within the block.

    Several add floats in another order than one does.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def spans(count: int, size: int = 1) -> list[slice]:
    """Cut ``count`` rows into at most one span for each thread; there is at least one.

    The length of a span is a multiple of ``size``, except for the last.
    """
    blocks = -(-count // size)
    threads = max(1, min(torch.get_num_threads(), blocks))
    width = -(-blocks // threads) * size
    starts = range(0, max(1, count), max(1, width))
    return [slice(start, min(start + width, count)) for start in starts]


def share(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Do the work on every item, in parallel for several items; return the results in order.

    A mode that records the operations of torch holds for one thread, which then does all of them.
    """
    if len(items) < 2 or arrays.observed():
        return [work(item) for item in items]
    graded, inferring = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def alike(item: Item) -> Result:
        # Each thread has its own setting of whether gradients are kept.
        with torch.inference_mode(inferring), torch.set_grad_enabled(graded and not inferring):
            return work(item)

    # The settings of this thread hold in the others too.
    contexts = [copy_context() for _ in items]
    # Threads do not survive a fork: a forked process, such as one that loads data, gets its own.
    pool = _pool(len(items), os.getpid())
    return list(pool.map(lambda context, item: context.run(alike, item), contexts, items))


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Keep the threads of a process; in each of them torch uses one thread."""
    ready = Barrier(threads + 1)

    def begin() -> None:
        # In a new thread the first call of get_num_threads sets the number, so it comes first.
        torch.get_num_threads()
        torch.set_num_threads(1)
        ready.wait()

    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="kanerva", initializer=begin)
    for _ in range(threads):
        pool.submit(int)
    ready.wait()
    # Every new thread of the process begins with the number that was set last.
    torch.set_num_threads(before)
    return pool
