"""Packed bits on a GPU: the choice of the method, products on the CPU, and the Triton kernels.

The kernels run in Triton's interpreter, which must be chosen before Triton is first imported. So
they run in a process of their own, which is this file as a script: it runs every function named
``check_...`` and prints the failures.
"""

import json
import os
import subprocess
import sys
import traceback
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from kanerva import bits, settings
from kanerva._engine import gpu
from kanerva.bits import Packed

INSTALLED = find_spec("triton") is not None
# The interpreters of older versions fail with NumPy 2.4.
RECENT = INSTALLED and tuple(map(int, version("triton").split(".")[:2])) >= (3, 7)
needs_triton = pytest.mark.skipif(
    not RECENT, reason="needs triton 3.7, which comes with builds of torch for CUDA"
)
DTYPES = (torch.int8, torch.int16, torch.int32, torch.int64, torch.float32, torch.float64)


def case(n, count=70, queries=6, width=5, dtype=torch.int32, seed=0):
    """Draw locations, queries (one of them a location, one its complement), values and counters."""
    source = torch.Generator().manual_seed(seed)
    places = bits.random(count, n, seed=source)
    query = bits.random(queries, n, seed=source)
    query[0], query[-1] = places[-1], -places[count // 2]
    values = bits.random(queries, width, seed=source)
    counters = torch.randint(-50, 51, (count, width), generator=source).to(dtype)
    return places, Packed(bits.pack(places), n), query, values, counters


def apart(query, places):
    """Count the differing bits of every pair of vectors."""
    counts = [[(np.asarray(q) != np.asarray(place)).sum() for place in places] for q in query]
    return torch.tensor(counts)


def in_bfloat16(n, radius):
    """Return which distances are within the radius by products rounded to bfloat16."""
    products = (n - 2 * torch.arange(n + 1)).to(torch.bfloat16)
    return products >= n - 2 * radius


LENGTHS = [1, 2, 63, 64, 255, 256, 257, 300, 511, 512, 513, 600, 1000, 1001, 2047, 5000]


@pytest.mark.parametrize("n", LENGTHS)
def test_products_are_compared_exactly_where_bfloat16_is_chosen(n):
    for radius in range(-1, n + 1):
        chosen = gpu.product_dtype(gpu.FEW + 1, n, radius)
        assert chosen in (torch.bfloat16, torch.float32)
        if chosen == torch.bfloat16:
            assert torch.equal(in_bfloat16(n, radius), torch.arange(n + 1) <= radius), radius


@pytest.mark.parametrize(("n", "threshold"), [(1000, 514), (1000, -512), (1001, 261), (1001, -259)])
def test_beyond_these_thresholds_bfloat16_is_wrong(n, threshold):
    radius = (n - threshold) // 2
    assert not torch.equal(in_bfloat16(n, radius), torch.arange(n + 1) <= radius)
    assert gpu.product_dtype(10**6, n, radius) == torch.float32


def test_few_queries_are_counted_and_many_are_multiplied_in_bfloat16():
    assert gpu.product_dtype(gpu.FEW, 1000, 451) is None
    assert gpu.product_dtype(gpu.FEW + 1, 1000, 451) == torch.bfloat16
    assert gpu.product_dtype(gpu.FEW + 1, 2**24, 2**22) == torch.float32
    assert gpu.product_dtype(gpu.FEW + 1, 2**24 + 2, 2**22) == torch.float64


@pytest.mark.parametrize("budget", [1, 2**15, 2**28])
@pytest.mark.parametrize("n", [1, 7, 64, 65, 600])
def test_products_find_what_is_near(n, budget):
    places, keys, query, _, _ = case(n)
    distance = apart(query, places)
    with settings.use(budget=budget):
        for radius in (-1, 0, n // 2 - n // 20, n // 2, n):
            for dtype in {torch.float32, gpu.product_dtype(10**6, n, radius)}:
                assert torch.equal(gpu.multiply(query, keys, radius, dtype), distance <= radius)


def test_pairs_are_cut_to_the_budget_and_one_query_is_the_least():
    with settings.use(budget=2 * 10 * gpu.PAIR_BYTES):
        parts = [slice(0, 2), slice(2, 3), slice(3, 4), slice(4, 6)]
        assert list(gpu._cut([4, 6, 1, 30, 0, 9])) == parts
        assert list(gpu._cut([30])) == [slice(0, 1)]


def test_tensors_on_the_cpu_are_not_taken():
    assert gpu.INTERPRETED is False
    assert not gpu.scans(torch.zeros(3, 2))


def fresh(code, **environment):
    """Run Python in a new process, with warnings as errors."""
    command = [sys.executable, "-W", "error", *code]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=600, env=os.environ | environment
    )


def test_triton_is_not_imported_with_the_library():
    done = fresh(["-c", "import sys, kanerva; sys.exit('triton' in sys.modules)"])
    assert done.returncode == 0, done.stderr


# What follows runs in the interpreter.


def check_distances():
    for n in (1, 63, 64, 65, 1000, 1100):
        places, keys, query, _, _ = case(n)
        found = gpu.distances(bits.pack(query), keys.words)
        assert found.dtype == torch.int32
        assert torch.equal(found.long(), apart(query, places))
    assert gpu.distances(bits.pack(query[:0]), keys.words).shape == (0, 70)


def check_marks():
    """The last block of keys is not full; every bit of every word is counted."""
    for count, n in ((1100, 7), (70, 600), (130, 64)):
        places, keys, query, _, _ = case(n, count=count)
        distance = bits.hamming(query[:, None], places)
        for radius in (-1, 0, n // 2, n):
            assert torch.equal(gpu.count_bits(query, keys, radius), distance <= radius)
    one = Packed(torch.eye(64, dtype=torch.int64) << torch.arange(64), 64 * 64)
    none = -torch.ones(1, 64 * 64)
    assert (gpu.distances(bits.pack(none), one.words) == 1).all()


def check_reads_and_writes():
    for n, budget, dtypes in ((65, 2**28, DTYPES), (7, 1, DTYPES[:1]), (600, 6000, DTYPES[1:2])):
        for dtype in dtypes:
            places, keys, query, values, counters = case(n, dtype=dtype)
            for radius in (-1, n // 2 - n // 20, n) if len(dtypes) == 1 else (n // 2,):
                active = (apart(query, places) <= radius).long()
                written, erased = counters.clone(), counters.clone()
                with settings.use(budget=budget):
                    total, empty = gpu.gather(query, keys, counters, radius)
                    gpu.scatter(query, values, keys, written, radius, 1)
                    gpu.scatter(query, values, keys, erased, radius, -3)
                    near = list(gpu.near(query, keys, radius))
                assert total.dtype == query.dtype
                assert torch.equal(total.long(), active @ counters.long())
                assert torch.equal(empty, active.sum(-1) == 0)
                assert written.dtype == dtype
                assert torch.equal(written.long(), counters.long() + active.T @ values.long())
                assert torch.equal(erased.long(), counters.long() - 3 * active.T @ values.long())
                expected = [row.nonzero().flatten().tolist() for row in active]
                assert [one.tolist() for one in near] == expected


def check_products_and_counts_give_the_same():
    """The batch is large enough to be multiplied; its first rows alone are counted."""
    places, keys, query, _, counters = case(100, count=40, queries=gpu.FEW + 3)
    total, _ = gpu.gather(query, keys, counters, 47)
    few, _ = gpu.gather(query[:5], keys, counters, 47)
    active = (bits.hamming(query[:, None], places) <= 47).long()
    assert torch.equal(total.long(), active @ counters.long())
    assert torch.equal(total[:5], few)


def check_runs():
    """Lists longer than one program adds: integers beyond the range of their counters, floats."""
    count = 2 * gpu.RUN + 7
    keys = Packed(torch.zeros(count, 1, dtype=torch.int64), 10)
    largest = torch.full((count, 2), 2**31 - 1, dtype=torch.int32)
    near = torch.cat([-torch.ones(2, 10), torch.ones(1, 10)]).double()
    total, empty = gpu.gather(near, keys, largest, 0)
    assert total.tolist() == [[count * (2**31 - 1)] * 2] * 2 + [[0, 0]]
    assert empty.tolist() == [False, False, True]
    parts = torch.rand(count, 3, generator=torch.Generator().manual_seed(0))
    both, _ = gpu.gather(near.float(), keys, parts, 0)
    assert torch.equal(both[:2], parts.double().sum(0).float().expand(2, -1))


def check_floats_are_added_in_the_order_of_writing():
    """Sums of floats equal those of the other engines to the last bit."""
    _, keys, query, _, _ = case(64, count=9, queries=40)
    values = torch.rand(40, 3, generator=torch.Generator().manual_seed(0))
    counters = torch.zeros(9, 3)
    gpu.scatter(query, values, keys, counters, 64, 1)
    expected = torch.zeros(3)
    for value in values:
        expected += value
    assert torch.equal(counters, expected.expand(9, -1))


def check_counters_need_not_be_contiguous():
    places, keys, query, values, counters = case(65, width=6)
    active = (apart(query, places) <= 31).long()
    total, _ = gpu.gather(query, keys, counters[:, 1::2], 31)
    assert torch.equal(total.long(), active @ counters[:, 1::2].long())
    written = counters.clone()
    gpu.scatter(query, values[:, ::2], keys, written.T[::2].T, 31, 1)
    assert torch.equal(written[:, 1::2], counters[:, 1::2])
    expected = counters[:, ::2].long() + active.T @ values[:, ::2].long()
    assert torch.equal(written[:, ::2].long(), expected)


def check_no_queries():
    _, keys, query, values, counters = case(64)
    total, empty = gpu.gather(query[:0], keys, counters, 30)
    assert total.shape == (0, 5)
    assert empty.shape == (0,)
    before = counters.clone()
    gpu.scatter(query[:0], values[:0], keys, counters, 30, 1)
    assert torch.equal(counters, before)
    assert list(gpu.near(query[:0], keys, 30)) == []


def check_the_interpreter_takes_tensors_of_the_cpu():
    assert gpu.INTERPRETED
    assert gpu.scans(torch.zeros(3, 2, dtype=torch.int8))
    assert not gpu.scans(torch.zeros(3, 2, dtype=torch.bfloat16))
    assert not gpu.scans(torch.zeros(3, 2, requires_grad=True))


CHECKS = {name: check for name, check in list(globals().items()) if name.startswith("check_")}


@pytest.fixture(scope="module")
def failures():
    """Run all checks in the interpreter, in one process."""
    done = fresh([__file__], TRITON_INTERPRET="1")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_triton
@pytest.mark.parametrize("name", CHECKS)
def test_in_the_interpreter(name, failures):
    assert not failures[name], failures[name]


COMPILED = """
import re
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile
from kanerva._engine import gpu

def code(kernel, pointers, **fixed):
    kinds = {name: pointers.get(name, "i32") for name in kernel.arg_names}
    kinds |= dict.fromkeys(fixed, "constexpr")
    source = ASTSource(fn=kernel, signature=kinds, constexprs=fixed)
    return compile(source, target=GPUTarget("cuda", 90, 32), options=gpu.PLAIN).asm["ptx"]

words = {"query_words": "*i64", "key_words": "*i64"}
lists = {"places": "*i64", "queries": "*i64", "first": "*i64", "last": "*i64"}
for marks, out in ((True, "*u8"), (False, "*i32")):
    text = code(gpu._compare, words | {"out": out}, marks=marks, rows=4, block=64, piece=16)
    assert "popc.b64" in text, "bits are not counted by the instruction for it"
for kind in ("i8", "i16", "i32", "i64", "fp32", "fp64"):
    exact = "fp64" if kind.startswith("fp") else "i64"
    text = code(gpu._gather, lists | {"table": "*" + kind, "total": "*" + exact}, block=128, rows=8)
    text += code(gpu._scatter, lists | {"values": "*" + kind, "counters": "*" + kind}, block=1024)
    assert not re.search(r"\\b(atom|red)\\b", text), "sums depend on the order of the programs"
"""


@needs_triton
def test_kernels_are_compiled_for_a_gpu_without_one(tmp_path):
    """The compiler finds errors that the interpreter does not, such as names outside Triton."""
    done = fresh(["-c", COMPILED], TRITON_INTERPRET="0", TRITON_CACHE_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    outcomes = dict.fromkeys(CHECKS, "")
    for name, check in CHECKS.items():
        try:
            check()
        except Exception:
            outcomes[name] = traceback.format_exc()
    sys.stdout.write(json.dumps(outcomes))
