"""The promises of docs/reliability.md, compared with the tests and measured where they are numbers.

Run this file as a program to print the table of the page anew.
"""

import re
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

import kanerva
import test_files
import test_fuzz
import test_machine
from kanerva import Memory, Patterns, bits, similarity
from kanerva._engine import packed, routes, select, stream
from kanerva.separation import Argmax, Entmax, Power, Softmax, Step, TopK

PAGE = Path(__file__).parent.parent / "docs" / "reliability.md"
QUERIES = 256
# Rounding of float32 over 4,000 terms.
ROUNDING = 1e-4


def real(count: int = 4000, **parts) -> Memory:
    source = torch.Generator().manual_seed(0)
    memory = Patterns(64, similarity=similarity.dot, **parts)
    memory.write(torch.randn(count, 64, generator=source))
    return memory


def binary(make: Callable[[], Memory]) -> Memory:
    memory = make()
    memory.write(bits.random(4000, 64, seed=1))
    return memory


# What is read, the route of a batch, and the memory.
READS: dict[str, tuple[str, Callable[[], Memory]]] = {
    "softmax over 8 patterns": ("whole", lambda: real(8, separation=Softmax(0.1))),
    "softmax": ("attend", lambda: real(separation=Softmax(0.1))),
    "softmax, keys in bfloat16": (
        "stream",
        lambda: real(separation=Softmax(0.1), storage=torch.bfloat16),
    ),
    "power": ("stream", lambda: real(separation=Power(2))),
    "threshold": ("stream", lambda: real(separation=Step(8))),
    "the five nearest": ("select", lambda: real(separation=TopK(5, 1.0))),
    "the nearest": ("select", lambda: real(separation=Argmax())),
    "sparse softmax": ("select", lambda: real(separation=Entmax(2.0, 0.1))),
    "Hopfield, bits": ("votes", lambda: binary(lambda: kanerva.hopfield(64))),
    "dense of order 3, bits": ("votes", lambda: binary(lambda: kanerva.dense(64, 3))),
    "pattern view of SDM, bits": ("votes", lambda: binary(lambda: kanerva.sdm_patterns(64, 11))),
    "SDM, bits": ("scan", lambda: binary(lambda: kanerva.sdm(64, 20_000, 22))),
}
PLACES = {
    "attend": (routes, "_attend"),
    "stream": (stream, "summed"),
    "select": (select, "read"),
    "scan": (packed, "gather"),
    "whole": (routes, "_whole"),
}


@contextmanager
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def measured(name: str) -> tuple[float, float]:
    """Return the share of bit-equal queries in percent, and the largest relative difference."""
    memory = READS[name][1]()
    stored = bits.random(QUERIES, 64, seed=1)
    if memory.key_bits:
        query = bits.flip(stored, 6, seed=2)
    else:
        noise = torch.randn(QUERIES, 64, generator=torch.Generator().manual_seed(2))
        query = noise
    with one_thread():
        batch = memory.read(query)
        alone = torch.stack([memory.read(each) for each in query])
    scale = batch.abs().amax(-1).clamp_min(1e-30)
    far = ((alone - batch).abs().amax(-1) / scale).max().item()
    return 100 * (alone == batch).all(-1).double().mean().item(), far


def table() -> dict[str, tuple[str, float, float]]:
    """Read the table of the page."""
    lines = re.findall(r"^\| (.+?) \| (\w+) \| (\S+) \| (\S+) \|$", PAGE.read_text("utf-8"), re.M)
    return {read: (route, float(share), float(far)) for read, route, share, far in lines}


def test_the_page_lists_every_read():
    assert {read: row[0] for read, row in table().items()} == {
        read: route for read, (route, _) in READS.items()
    }


@pytest.mark.untyped
@pytest.mark.parametrize("name", READS)
def test_a_query_alone_and_in_a_batch(name):
    route, share, far = table()[name]
    equal, difference = measured(name)
    assert difference <= ROUNDING
    assert far <= ROUNDING
    if route in ("votes", "scan"):
        assert (share, far) == (100, 0)
        assert (equal, difference) == (100, 0)


@pytest.mark.parametrize("name", [name for name in READS if READS[name][0] != "votes"])
def test_the_batch_takes_the_route_of_the_page(name, monkeypatch):
    route, make = READS[name]
    module, function = PLACES[route]
    kept, called = getattr(module, function), []
    monkeypatch.setattr(module, function, lambda *a, **k: called.append(1) or kept(*a, **k))
    memory = make()
    memory.read(bits.random(QUERIES, 64, seed=3))
    assert called


def test_the_counts_of_the_page_are_those_of_the_tests():
    text = " ".join(PAGE.read_text("utf-8").split())
    for promise in (
        f"{test_fuzz.QUICK:,} calls with nonsense",
        f"{test_fuzz.SLOW:,} in `make slow`",
        f"{test_fuzz.FILES:,} spoilt files",
        f"{test_files.KILLS:,} times each",
        f"{test_machine.MOST:,} rows",
        f"share of {QUERIES} queries",
    ):
        assert promise in text, promise
    for file in re.findall(r"`(tests/\w+\.py)`", text):
        assert (PAGE.parent.parent / file).is_file(), file


if __name__ == "__main__":
    for each, (way, _) in READS.items():
        part, gap = measured(each)
        print(f"| {each} | {way} | {part:.1f} | {gap:.1e} |")  # noqa: T201
