"""Share work among as many threads as torch uses, each of which calculates by itself.

Threads of torch that work on one small array together wait for each other at every step; these meet only at the end.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def spans(count: int, size: int = 1) -> list[slice]:
    """Cut ``count`` rows into as many spans as there are threads, each a multiple of ``size`` but the last; at least one."""
    blocks = -(-count // size)
    threads = max(1, min(torch.get_num_threads(), blocks))
    width = -(-blocks // threads) * size
    return [
        slice(start, min(start + width, count)) for start in range(0, max(1, count), max(1, width))
    ]


def share(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Do the work on every item, side by side where there is more than one; return the results in order."""
    if len(items) < 2:
        return [work(item) for item in items]
    graded, inferring = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def alike(item: Item) -> Result:
        # Whether gradients are kept is a matter of each thread.
        with torch.inference_mode(inferring), torch.set_grad_enabled(graded and not inferring):
            return work(item)

    # Threads do not live on in a forked process, such as a worker that loads data: it gets its own.
    return list(_pool(len(items), os.getpid()).map(alike, items))


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Keep the threads of a process, in which torch itself uses one each."""
    ready = Barrier(threads + 1)

    def begin() -> None:
        torch.get_num_threads()  # else torch would look the number up once more, after it was set here
        torch.set_num_threads(1)
        ready.wait()

    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="kanerva", initializer=begin)
    for _ in range(threads):
        pool.submit(int)
    ready.wait()
    # What was set in them is what threads of others would begin with, too.
    torch.set_num_threads(before)
    return pool
