"""All engines return the same integers: activation, reads and writes, against direct counts."""

import subprocess
import sys
import threading
import tracemalloc
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

import kanerva
from kanerva import bits, functional, settings
from kanerva._core import arrays
from kanerva._engine import packed
from kanerva.bits import Packed
from kanerva.separation import Step
from kanerva.similarity import agreement

needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="needs numba")
ENGINES = ("torch", "numpy", pytest.param("numba", marks=needs_numba))
INSTALLED = ("torch", "numpy", *(["numba"] if find_spec("numba") else []))
WIDTHS = (1, 7, 63, 64, 65, 256, 1000)
COUNTERS = (torch.int8, torch.int16, torch.int32, torch.int64, torch.float32, torch.float64)


def radii(n):
    return sorted({0, n // 2 - n // 20, n // 2, n - 1})


def case(n, count=150, queries=6, width=5, dtype=torch.int32, seed=0):
    """Draw locations, queries (one of them a location, one its complement), values and counters."""
    source = torch.Generator().manual_seed(seed)
    places = bits.random(count, n, seed=source)
    query = bits.random(queries, n, seed=source)
    query[0], query[-1] = places[-1], -places[count // 2]
    values = bits.random(queries, width, seed=source)
    counters = torch.randint(-50, 51, (count, width), generator=source).to(dtype)
    return places, Packed(bits.pack(places), n), query, values, counters


def by_hand(query, places, radius):
    """Return which places are within the radius of each query, bit by bit."""
    return (query.numpy()[:, None] != places.numpy()).sum(-1) <= radius


def rule(n, radius):
    return agreement, Step(n - radius)


def assert_all_equal(results):
    """Compare every tensor of every result with that of the first."""
    for other in results[1:]:
        for mine, theirs in zip(results[0], other, strict=True):
            assert torch.equal(mine, theirs)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("n", WIDTHS)
def test_activation_is_the_count_by_hand(n, engine):
    places, keys, query, _, _ = case(n)
    for radius in radii(n):
        expected = by_hand(query, places, radius)
        with settings.use(engine=engine):
            near = list(functional.active(query, keys, *rule(n, radius)))
        assert [one.tolist() for one in near] == [np.flatnonzero(row).tolist() for row in expected]


@pytest.mark.untyped  # the checks take longer than the work
@pytest.mark.parametrize("budget", [1, 2**14, 2**28])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("n", WIDTHS)
def test_reads_and_writes_are_the_sums_by_hand(n, engine, budget):
    for dtype in COUNTERS if budget > 1 else (torch.int16,):
        places, keys, query, values, counters = case(n, 20 if budget == 1 else 50, dtype=dtype)
        for radius in radii(n):
            active = torch.from_numpy(by_hand(query, places, radius)).long()
            with settings.use(engine=engine, budget=budget):
                field = functional.field(query, keys, counters, *rule(n, radius))
                written, erased = counters.clone(), counters.clone()
                functional.deposit(query, values, keys, written, *rule(n, radius))
                functional.deposit(query, values, keys, erased, *rule(n, radius), times=-1)
            assert field.value.dtype == query.dtype
            assert torch.equal(field.value.long(), active @ counters.long())
            assert torch.equal(field.empty, active.sum(-1) == 0)
            assert written.dtype == dtype
            assert torch.equal(written.long(), counters.long() + active.T @ values.long())
            assert torch.equal(erased.long(), counters.long() - active.T @ values.long())


@pytest.mark.parametrize("n", [64, 1000])
def test_more_than_a_block_of_locations(n):
    """The last block of NumPy, the last rows and the last thread of numba are not full."""
    count = 2 * packed.BLOCK + 77
    radius = {64: 26, 1000: 475}[n]
    keys = Packed.random(count, n, seed=1)
    query, values = bits.random(5, n, seed=2), bits.random(5, 3, seed=3)
    source = torch.Generator().manual_seed(4)
    counters = torch.randint(-90, 91, (count, 3), generator=source, dtype=torch.int32)
    results = []
    for engine in INSTALLED:
        for budget in (2**22 if engine == "torch" else 2**12, 2**28):
            with settings.use(engine=engine, budget=budget):
                written = counters.clone()
                functional.deposit(query, values, keys, written, *rule(n, radius))
                near = torch.cat(list(functional.active(query, keys, *rule(n, radius))))
                value = functional.field(query, keys, counters, *rule(n, radius)).value
                results.append((near, value, written))
    assert len(results[0][0]) > 3000
    assert_all_equal(results)


@pytest.mark.untyped  # the checks take longer than the work
@trials(max_examples=30)
@given(
    n=st.integers(1, 200),
    count=st.integers(1, 300),
    queries=st.integers(0, 7),
    threshold=st.floats(-3, 203),
    seed=st.integers(0, 2**31),
)
def test_engines_agree(n, count, queries, threshold, seed):
    source = torch.Generator().manual_seed(seed)
    keys, step = Packed.random(count, n, seed=source), Step(threshold)
    query, values = bits.random(queries, n, seed=source), bits.random(queries, 4, seed=source)
    counters = torch.randint(-100, 101, (count, 4), generator=source, dtype=torch.int8)
    results = []
    for engine in INSTALLED:
        with settings.use(engine=engine, budget=2**12):
            field = functional.field(query, keys, counters, agreement, step)
            written = counters.to(torch.int32)
            functional.deposit(query, values, keys, written, agreement, step)
            results.append((field.value, field.empty, written))
    expected = (query[:, None] == keys[:]).sum(-1) >= threshold
    assert torch.equal(results[0][0].long(), expected.long() @ counters.long())
    assert_all_equal(results)


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_active(engine):
    _, keys, query, values, counters = case(256)
    with settings.use(engine=engine):
        for radius in (-5, 0):
            field = functional.field(-query, keys, counters, *rule(256, radius))
            assert bool(field.empty.all()) == (radius < 0)
            assert (field.value[field.empty] == 0).all()
        before = counters.clone()
        functional.deposit(query, values, keys, counters, *rule(256, -1))
        assert torch.equal(before, counters)
        none = functional.field(query[:0], keys, counters, *rule(256, 100))
        assert none.value.shape == (0, 5)


@pytest.mark.parametrize("engine", ENGINES)
def test_sums_beyond_the_range_of_counters_are_exact(engine):
    keys = Packed(torch.zeros(3, 1, dtype=torch.int64), 10)
    most = 2**31 - 1
    counters = torch.tensor([[most, most], [-most, most], [7, 1]], dtype=torch.int32)
    query = -torch.ones(1, 10)
    with settings.use(engine=engine):
        single = functional.field(query, keys, counters, *rule(10, 0)).value
        double = functional.field(query.double(), keys, counters, *rule(10, 0)).value
    assert single.tolist() == [[7, 2**32]]
    assert double.tolist() == [[7, 2**32 - 1]]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(engine, dtype):
    """NumPy has no bfloat16, and the sums would overflow in float16."""
    keys = Packed(torch.zeros(100, 1, dtype=torch.int64), 10)
    query = -torch.ones(1, 10, dtype=dtype)
    counters = torch.full((100, 1), 1000, dtype=torch.int32)
    with settings.use(engine=engine):
        whole = functional.field(query, keys, counters, *rule(10, 0)).value
        half = functional.field(query, keys, counters.to(dtype), *rule(10, 0)).value
    assert whole.dtype == half.dtype == torch.float32
    assert whole.item() == half.item() == 100_000


@pytest.mark.parametrize("engine", ENGINES)
def test_values_keep_their_gradient(engine):
    places, keys, query, _, counters = case(64)
    values = counters.float().requires_grad_()
    with settings.use(engine=engine):
        functional.read(query, keys, values, *rule(64, 30)).sum().backward()
    expected = torch.from_numpy(by_hand(query, places, 30)).sum(0).float()
    assert torch.equal(values.grad[:, 0], expected)


@pytest.mark.parametrize("engine", ENGINES)
def test_counters_need_not_be_contiguous(engine):
    places, keys, query, values, counters = case(65, width=6)
    before = counters.long()
    active = torch.from_numpy(by_hand(query, places, 31)).long()
    with settings.use(engine=engine):
        read = functional.read(query, keys, counters[:, 1::2], *rule(65, 31))
        functional.deposit(query, values[:, ::2], keys, counters.T[::2].T, *rule(65, 31))
    assert torch.equal(read.long(), active @ before[:, 1::2])
    assert torch.equal(counters[:, 0].long(), before[:, 0] + active.T @ values[:, 0].long())


@pytest.fixture
def unobserved(monkeypatch):
    """Take the routes of a plain read, though a mode records the operations of torch."""
    monkeypatch.setattr(arrays, "observed", lambda: False)


class Largest(TorchDispatchMode):
    """Record the largest tensor that an operation of torch makes, except for views of ``known``."""

    def __init__(self, *known):
        super().__init__()
        self.known, self.bytes = {tensor.untyped_storage().data_ptr() for tensor in known}, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        several = made if isinstance(made, tuple | list) else (made,)
        for tensor in filter(torch.is_tensor, several):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self.known:
                self.bytes = max(self.bytes, storage.nbytes())
        return made


@pytest.mark.usefixtures("unobserved")
@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_larger_than_the_budget_is_built(engine):
    """Torch takes 64 bytes for a score, and one query at least.

    The marks of all 400 queries of the other engines would take five times the budget.
    """
    count, places, budget = (5, 2000, 64 * 2000) if engine == "torch" else (400, 20_000, 200_000)
    memory = kanerva.sdm(bits=64, locations=places, radius=24)
    patterns = bits.random(count, 64, seed=0)
    memory.write(patterns)
    known = memory.counters, memory.addresses
    with settings.use(engine=engine, budget=budget), Largest(*known) as largest:
        if engine != "torch":  # the other engines allocate where a mode of torch sees nothing
            tracemalloc.start()
        try:
            memory.read(patterns)
            memory.write(patterns)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    sums = 8 * count * 65
    assert largest.bytes <= max(budget, sums)
    if engine != "torch":
        assert peak < 2 * budget + 2 * sums


@pytest.mark.usefixtures("unobserved")
@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_larger_than_the_budget_is_built_where_counters_saturate(engine):
    memory = kanerva.sdm(64, 2000, radius=30, counters=torch.int8, overflow="saturate")
    pattern = bits.random(1, 64, seed=0)
    memory.write(pattern.expand(127, -1))
    budget = 64 * 2000
    # The counters of the active locations, as float64, take three times the budget.
    assert memory.explain(pattern).active > 600
    known = memory.counters, memory.addresses
    with settings.use(engine=engine, budget=budget), Largest(*known) as largest:
        memory.write(pattern.expand(3, -1))
    assert largest.bytes <= budget
    assert memory.counters.max() == 127


@pytest.mark.parametrize("engine", ["numpy", pytest.param("numba", marks=needs_numba)])
def test_marks_take_one_bit_a_pair_and_fit_the_budget(engine, monkeypatch):
    sizes = []
    original = packed._marked

    def watched(*args):
        for rows, marks in original(*args):
            sizes.append(marks.nbytes)
            yield rows, marks

    monkeypatch.setattr(packed, "_marked", watched)
    _, keys, query, _, counters = case(64, count=640, queries=50)
    for budget, expected in ((1, [80] * 50), (800, [800] * 5), (2**20, [4000])):
        sizes.clear()
        with settings.use(engine=engine, budget=budget):
            functional.field(query, keys, counters, *rule(64, 20))
        assert sizes == expected


@needs_numba
def test_auto_is_numba_where_it_is_installed():
    from kanerva._engine import kernels

    assert packed._kernels() is kernels
    with settings.use(engine="numpy"):
        assert packed._kernels() is packed._NumPy


def test_without_numba(monkeypatch):
    """``"auto"`` falls back on NumPy; ``"numba"`` is refused."""
    places, keys, query, values, counters = case(64)
    expected = torch.from_numpy(by_hand(query, places, 30)).long() @ counters.long()
    monkeypatch.setitem(sys.modules, "kanerva._engine.kernels", None)
    monkeypatch.delattr(kanerva._engine, "kernels", raising=False)
    packed._numba.cache_clear()
    try:
        found = functional.field(query, keys, counters, *rule(64, 30)).value
        assert torch.equal(found.long(), expected)
        with settings.use(engine="numba"), pytest.raises(kanerva.InputError) as caught:
            functional.deposit(query, values, keys, counters, *rule(64, 30))
    finally:
        packed._numba.cache_clear()
    assert str(caught.value) == (
        "settings: engine must be one that is installed, but it was 'numba', which is not; "
        'install it with: pip install "kanerva[fast]".'
    )


FORK = """
import os, torch, kanerva
memory = kanerva.sdm(64, 70_000, 20)
patterns = kanerva.bits.random(5, 64, seed=0)
memory.write(patterns)
child = os.fork()
if child == 0:
    memory.write(patterns)
    os._exit(0 if torch.equal(memory.read(patterns), patterns) else 3)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(sys, "getdlopenflags"), reason="needs fork")
def test_a_forked_process_reads_too():
    """A forked process, such as a worker that loads data, dies if it uses the threads of OpenMP."""
    command = [sys.executable, "-W", "ignore", "-c", FORK]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "0", done.stderr


@pytest.mark.parametrize("engine", ENGINES)
def test_callers_in_several_threads(engine):
    memory = kanerva.sdm(bits=64, locations=70_000, radius=20)
    patterns = bits.random(40, 64, seed=0)
    memory.write(patterns)
    reads = [None] * 4

    def work(place):
        for _ in range(5):
            reads[place] = memory.read(patterns)

    with settings.use(engine=engine):
        threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert all(torch.equal(read, patterns) for read in reads)


@pytest.mark.parametrize("engine", ["numpy", pytest.param("numba", marks=needs_numba)])
def test_the_number_of_threads_changes_nothing(engine):
    keys, query = Packed.random(100_001, 64, seed=0), bits.random(11, 64, seed=1)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            counters = torch.zeros(len(keys), 64, dtype=torch.int16)
            with settings.use(engine=engine):
                functional.deposit(query, query, keys, counters, *rule(64, 22))
                value = functional.field(query, keys, counters, *rule(64, 22)).value
                results.append((counters, value))
    finally:
        torch.set_num_threads(before)
    assert_all_equal(results)


@needs_numba
def test_kernels_are_compiled_where_no_folder_can_cache_them(monkeypatch):
    import numba

    from kanerva._engine.kernels import compile as compiling

    original = numba.njit

    def njit(*function, **options):
        if "cache" in options:
            raise RuntimeError("cannot cache function: no locator available")
        return original(*function, **options)

    monkeypatch.setattr(numba, "njit", njit)
    assert compiling.compiled(lambda x: x + 1)(1) == 2


def test_one_query_is_read_as_in_a_batch():
    _, keys, query, _, counters = case(1000, dtype=torch.float32)
    given = (keys, counters / 7, *rule(1000, 505))
    for engine in INSTALLED:
        with settings.use(engine=engine):
            whole = functional.field(query, *given).value
            alone = torch.stack([functional.field(one, *given).value for one in query])
        atol = 1e-4 if engine == "torch" else 0
        torch.testing.assert_close(alone, whole, rtol=0, atol=atol)
