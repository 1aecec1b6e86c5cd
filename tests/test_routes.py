"""Every route returns the result of the plain one, which builds all scores, with torch alone."""

import math
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec

import pytest
import torch
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st
from torch.autograd import forward_ad
from torch.nn.functional import normalize

import kanerva
from kanerva import bits, functional, settings
from kanerva._engine import routes, select, stream
from kanerva.bits import Packed
from kanerva.separation import (
    Argmax,
    Cap,
    Circle,
    Compact,
    Difference,
    Entmax,
    Exponential,
    Inhibition,
    Linear,
    Normalised,
    Power,
    Softmax,
    Step,
    TopK,
)
from kanerva.similarity import agreement, closeness, cosine, dot, manhattan

D = 24
REAL = {
    "softmax": (dot, Softmax(8.0)),
    "softmax of distances": (closeness, Softmax(10.0)),
    "softmax of manhattan": (manhattan, Softmax(0.5)),
    "linear": (dot, Linear()),
    "power": (dot, Power(3)),
    "normalised power": (dot, Normalised(Power(6))),
    "exponential": (dot, Exponential(1.0)),
    "step": (dot, Step(0.4)),
    "compact": (closeness, Compact(1.5)),
    "cap": (cosine, Cap(D, 0.3 * D)),
    "argmax": (dot, Argmax()),
    "top-k": (dot, TopK(20, 4.0)),
    "inhibition": (dot, Inhibition(20)),
    "excitation": (dot, Inhibition(20, -0.5)),
    "entmax 1.5": (dot, Entmax(1.5, 8.0)),
    "sparsemax": (dot, Entmax(2.0, 8.0)),
    "entmax 1": (dot, Entmax(1.0, 8.0)),
    "broad entmax": (dot, Entmax(1.3, 0.1)),
}
BITS = {
    "circle": (agreement, Circle(D, 9)),
    "step on bits": (agreement, Step(15)),
    "difference of linear": (dot, Difference(Linear())),
    "difference of power": (dot, Difference(Power(4))),
    "difference of exponential": (dot, Difference(Exponential(0.3))),
}
ENGINES = ("torch", *(["numba"] if find_spec("numba") else []))


@pytest.fixture
def small(monkeypatch):
    """Return a function that chooses a route; tiles are so small that 700 keys need several."""

    def choose(route):
        monkeypatch.setattr(routes, "FEW", math.inf if route == "whole" else 0)
        monkeypatch.setattr(stream, "TILE", 2**10)
        monkeypatch.setattr(stream, "TALL", 8)
        monkeypatch.setattr(select, "TALL", 8)
        monkeypatch.setattr(stream, "MANY", 16)
        monkeypatch.setattr(select, "ROOM", 24)

    return choose


def case(name, dtype=torch.float64, count=700, queries=21, width=5, seed=0):
    """Draw queries near some keys, keys, and values; bits for a rule of bits."""
    source = torch.Generator().manual_seed(seed)

    def some(keys):
        return keys[torch.randint(0, count, (queries,), generator=source)]

    if name in BITS:
        keys = bits.random(count, D, seed=source, dtype=dtype)
        query = bits.flip(some(keys), 2, seed=source)
    else:
        keys = normalize(torch.randn(count, D, generator=source, dtype=dtype), dim=-1)
        query = some(keys) + 0.1 * torch.randn(queries, D, generator=source, dtype=dtype)
    width = D if "difference" in name else width
    return query, keys, torch.randn(count, width, generator=source, dtype=dtype)


def masks(queries, count):
    source = torch.Generator().manual_seed(1)
    each = torch.rand(queries, count, generator=source) > 0.5
    each[0] = False
    added = torch.randn(1, count, generator=source).mul(0.1).masked_fill(each[1:2], -torch.inf)
    return {"none": None, "bool": each, "float": added}


@pytest.mark.untyped
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ["none", "bool", "float"])
@pytest.mark.parametrize("name", [*REAL, *BITS])
def test_far_reads_are_the_whole_ones(name, kind, engine, small):
    if kind == "float" and name in ("cap", "circle"):
        pytest.skip("a score with a float mask added is no cosine or agreement")
    similarity, separation = (REAL | BITS)[name]
    for dtype, near in ((torch.float64, 1e-11), (torch.float32, 3e-5)):
        query, keys, values = case(name, dtype)
        mask = masks(len(query), len(keys))[kind]
        small("whole")
        with settings.use(engine="torch"):
            expected = functional.field(query, keys, values, similarity, separation, mask)
        small("far")
        with settings.use(engine=engine):
            found = functional.field(query, keys, values, similarity, separation, mask)
        assert found.value.dtype == dtype
        assert torch.equal(found.empty, expected.empty)
        scale = expected.value.abs().amax().item()
        torch.testing.assert_close(found.value, expected.value, rtol=near, atol=near * scale)


@pytest.mark.untyped
@pytest.mark.parametrize("name", [*REAL, *BITS])
def test_far_energies_are_the_whole_ones(name, small):
    similarity, separation = (REAL | BITS)[name]
    if similarity not in (dot, closeness):
        pytest.skip("no energy")
    query, keys, _ = case(name)
    for mask in masks(len(query), len(keys)).values():
        small("whole")
        expected = functional.energy(query, keys, similarity, separation, mask)
        small("far")
        found = functional.energy(query, keys, similarity, separation, mask)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("engine", ENGINES)
def test_packed_keys_and_values_are_read_as_their_bits(engine, small):
    query, keys, _ = case("circle", torch.float32, 900)
    packed, other = Packed(bits.pack(keys), D), Packed.random(900, 40, seed=3)
    for values in (packed, other):
        plain = keys if values is packed else values[:]
        for route in ("whole", "far"):
            small(route)
            with settings.use(engine=engine):
                found = functional.read(query, packed, values, agreement, Circle(D, 9))
            expected = functional.read(query, keys, plain, agreement, Circle(D, 9))
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_keys_are_summed_in_float32(dtype, small):
    query, keys, values = (part.to(dtype) for part in case("power", torch.float32, 3000))
    small("far")
    found = functional.field(query, keys, values, dot, Power(3)).value
    assert found.dtype == torch.float32
    exact = functional.field(query.double(), keys.double(), values.double(), dot, Power(3)).value
    torch.testing.assert_close(found, exact.float())


@pytest.mark.parametrize("name", [*REAL, *BITS])
def test_gradients_of_far_reads_are_those_of_whole_ones(name, small):
    similarity, separation = (REAL | BITS)[name]
    query, keys, values = (part.requires_grad_() for part in case(name, count=300, queries=6))
    small("far")

    def gradients(budget):
        with settings.use(budget=budget):
            read = functional.read(query, keys, values, similarity, separation)
            leaves = (query, keys, values)
            return torch.autograd.grad(read.square().sum(), leaves, allow_unused=True)

    for whole, cut in zip(gradients(2**28), gradients(2**16), strict=True):
        if whole is None:
            assert cut is None or not cut.any()
        else:
            torch.testing.assert_close(cut, whole, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("read", [
    lambda query, keys, values: functional.read(query, keys, values, dot, Power(3)),
    lambda query, keys, values: functional.read(query, keys, values, dot, TopK(5, 2.0)),
    lambda query, keys, values: functional.energy(query, keys, dot, Softmax(3.0)),
])  # fmt: skip
def test_gradients_of_many_patterns_do_not_keep_their_scores(read):
    drawn = case("softmax", torch.float32, 20_000, 50)
    query, keys, values = (part.requires_grad_() for part in drawn)
    kept = []

    def keep(tensor):
        kept.append(tensor.numel())
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with settings.use(budget=2**22), hooks:
        read(query, keys, values).sum().backward()
    assert max(kept) < 50 * 20_000


@trials(max_examples=40, deadline=None)
@given(
    name=st.sampled_from([*REAL, *BITS]),
    count=st.integers(1, 400),
    queries=st.integers(0, 30),
    width=st.integers(1, 9),
    threads=st.integers(1, 3),
    seed=st.integers(0, 2**31),
)
def test_any_shape_and_split(name, count, queries, width, threads, seed):
    similarity, separation = (REAL | BITS)[name]
    query, keys, values = case(name, torch.float64, count, queries, width, seed)
    before, few = torch.get_num_threads(), routes.FEW
    try:
        torch.set_num_threads(threads)
        routes.FEW = 0
        given = (keys, values, similarity, separation)
        found = functional.field(query, *given)
        parts = query.split(max(1, queries // 2))
        halves = torch.cat([functional.field(part, *given).value for part in parts])
        routes.FEW = math.inf
        expected = functional.field(query, *given)
    finally:
        torch.set_num_threads(before)
        routes.FEW = few
    assert torch.equal(found.empty, expected.empty)
    largest = float(expected.value.abs().max()) if queries else 0.0
    close = partial(torch.testing.assert_close, rtol=1e-8, atol=1e-8 * max(1.0, largest))
    close(found.value, expected.value)
    close(halves, found.value)


def test_ties_at_the_reach_are_all_found(small):
    keys = torch.zeros(600, D, dtype=torch.float64)
    keys[::3, 0] = 1.0
    query = torch.eye(D, dtype=torch.float64)[:2]
    values = torch.arange(600.0, dtype=torch.float64)[:, None]
    for rule in (Argmax(), TopK(7, 3.0), Entmax(1.5, 2.0)):
        small("far")
        found = functional.read(query, keys, values, dot, rule)
        small("whole")
        torch.testing.assert_close(found, functional.read(query, keys, values, dot, rule))


def test_overflow_is_reported_on_every_route(small):
    query, keys, values = case("exponential", torch.float32)
    small("far")
    with pytest.raises(kanerva.InputError, match="overflow"):
        functional.read(1e4 * query, keys, values, dot, Exponential(1.0))
    with pytest.raises(kanerva.InputError, match="cosines"):
        functional.read(5 * query, 5 * keys, values, dot, Cap(D, 7.0))
    with pytest.raises(kanerva.InputError, match="agreements"):
        functional.read(-query.sign(), keys.sign(), values, dot, Circle(D, 7))


def test_progress_is_reported(small):
    query, keys, values = case("power")
    small("far")
    calls = []
    with settings.use(progress=lambda done, count: calls.append((done, count))):
        functional.read(query, keys, values, dot, Power(3))
    assert calls[-1] == (700, 700)
    assert calls == sorted(calls)
    assert len(calls) > 4


@pytest.mark.untyped
def test_progress_is_a_function():
    with pytest.raises(kanerva.InputError, match="progress must be"):
        settings.progress = 3


def test_the_number_of_threads_of_torch_is_unchanged():
    before = torch.get_num_threads()
    query, keys, values = case("power", torch.float32, 4000, 64)
    functional.read(query, keys, values, dot, Power(3))
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_no_gradient_is_kept_where_gradients_are_disabled(mode):
    drawn = case("softmax", torch.float32, 20_000, 40)
    query, keys, values = (part.requires_grad_() for part in drawn)
    rules = [
        (dot, Softmax(torch.nn.Parameter(torch.tensor(4.0)))),
        (closeness, Compact(1.5)),
        (dot, TopK(5, 2.0)),
        (cosine, Cap(D, 7.0)),
    ]
    for similarity, rule in rules:
        with mode():
            for part in (query, query[:1]):
                read = functional.read(part, keys, values, similarity, rule)
                assert not read.requires_grad
                exact = (part.double(), keys.double(), values.double())
                plain = functional.read(*exact, similarity, rule)
                torch.testing.assert_close(read.double(), plain, rtol=1e-4, atol=1e-4)


def test_reads_in_threads_of_the_caller():
    query, keys, values = case("power", torch.float32, 9000, 64)
    expected = functional.read(query, keys, values, dot, Power(3))
    with ThreadPoolExecutor(3) as pool:
        reads = [
            pool.submit(functional.read, query, keys, values, dot, Power(3)) for _ in range(12)
        ]
    several = [read.result() for read in reads]
    assert all(torch.equal(one, several[0]) for one in several)
    torch.testing.assert_close(several[0], expected)


def test_a_float_mask_is_added_to_the_scores_of_packed_keys():
    query, keys, values = case("step on bits", torch.float32, 3000)
    rule = (agreement, Softmax(0.3), torch.randn(3000, generator=torch.Generator().manual_seed(2)))
    found = functional.read(query, Packed(bits.pack(keys), D), values, *rule)
    exact = functional.read(query.double(), keys.double(), values.double(), *rule)
    torch.testing.assert_close(found, exact.float())


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", [*REAL])
def test_nan_is_reported(name, engine):
    similarity, separation = REAL[name]
    for place in range(2):
        query, keys, values = case(name, torch.float32, 4000)
        (query, keys)[place][3, 2] = torch.nan
        with settings.use(engine=engine), pytest.raises(kanerva.InputError, match="finite"):
            functional.read(query, keys, values, similarity, separation)


def test_keys_whose_length_overflows_are_reported():
    query, keys, values = case("cap", torch.float32, 4000)
    keys[7] = 1e20
    with pytest.raises(kanerva.InputError, match="overflow"):
        functional.read(query, keys, values, cosine, Softmax(3.0))


def test_a_similarity_may_read_too():
    """A read inside a read does not block."""
    query, keys, values = case("power", torch.float32, 9000, 64)

    def nested(query, rows):
        functional.read(query[:50], keys, values, dot, Power(3))
        return query @ rows.mT

    found = functional.read(query, keys, values, nested, Power(3))
    torch.testing.assert_close(found, functional.read(query, keys, values, dot, Power(3)))


@pytest.mark.parametrize("name", ["power", "compact", "top-k", "argmax", "softmax"])
def test_autocast_does_not_change_a_read(name):
    similarity, separation = REAL[name]
    query, keys, values = case(name, torch.float32, 4000, 40)
    expected = functional.read(query, keys, values, similarity, separation)
    with torch.autocast("cpu", torch.bfloat16):
        found = functional.read(query, keys, values, similarity, separation)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("similarity", [dot, closeness])
def test_equal_keys_share(similarity):
    query, keys, values = case("argmax", torch.float32, 20_000, 40)
    keys[19_999] = keys[3]
    query[:] = keys[3]
    expected = (values[3] + values[19_999]) / 2
    found = functional.read(query, keys, values, similarity, Argmax())
    torch.testing.assert_close(found, expected.expand(40, -1))


@pytest.mark.parametrize("similarity", [dot, closeness, cosine])
def test_the_budget_may_change_before_gradients_are_taken(similarity):
    drawn = case("softmax", torch.float64, 4000, 40)
    query, keys, values = (part.requires_grad_() for part in drawn)
    for rule in (Softmax(3.0), TopK(5, 2.0)):
        with settings.use(budget=2**20):
            cut = functional.read(query, keys, values, similarity, rule)
        whole = functional.read(query, keys, values, similarity, rule)
        slopes = [torch.autograd.grad(read.sum(), query) for read in (cut, whole)]
        torch.testing.assert_close(*slopes)


# torch itself uses torch.jit.script for forward-mode derivatives.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize("name", ["softmax", "power", "top-k", "compact"])
def test_forward_mode_derivatives(name):
    similarity, separation = REAL[name]
    query, keys, values = case(name, torch.float64, 4000, 12)
    given, direction = (keys, values, similarity, separation), query.flip(0)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(query, direction)
        tangent = forward_ad.unpack_dual(functional.read(dual, *given)).tangent
    step = 1e-6
    ends = [functional.read(query + side * step * direction, *given) for side in (1, -1)]
    slope = (ends[0] - ends[1]) / (2 * step)
    if name != "compact":  # the weights of which jump at the edge of their reach
        torch.testing.assert_close(tangent, slope, rtol=1e-4, atol=1e-4)


def test_a_new_rule_is_read_on_every_route():
    class Cube(Power):
        def __call__(self, scores, mask=None):
            return scores.relu() ** 3

    query, keys, values = case("power", torch.float64, 4000)
    expected = (query @ keys.T).relu() ** 3 @ values
    torch.testing.assert_close(functional.read(query, keys, values, dot, Cube(4)), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_blocks_in_which_few_queries_have_weight(dtype):
    """Patterns far apart at a high beta: nearly every block has weight for a few queries alone."""
    source = torch.Generator().manual_seed(0)
    keys = 4 * torch.randn(6000, 30, generator=source, dtype=torch.float64)
    query = keys[torch.randperm(6000, generator=source)[:300]] + 0.1
    values = torch.randn(6000, 5, generator=source, dtype=torch.float64)
    expected = values[torch.cdist(query, keys).argmin(-1)]
    given = (part.to(dtype) for part in (query, keys, values))
    with settings.use(budget=2**20):
        found = functional.read(*given, closeness, Softmax(40.0))
    torch.testing.assert_close(found.double(), expected, atol=1e-4, rtol=0)
