"""Whatever route a read takes, its answer is that of the plain one: all scores built first, with torch alone."""

import math
from functools import partial
from importlib.util import find_spec

import pytest
import torch
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st

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
    """Make tiles so small that a few hundred keys are many."""

    def choose(route):
        monkeypatch.setattr(routes, "FEW", math.inf if route == "whole" else 0)
        monkeypatch.setattr(stream, "TILE", 2**10)
        monkeypatch.setattr(stream, "TALL", 8)
        monkeypatch.setattr(select, "TALL", 8)
        monkeypatch.setattr(stream, "MANY", 16)
        monkeypatch.setattr(select, "ROOM", 24)

    return choose


def case(name, dtype=torch.float64, count=700, queries=21, width=5, seed=0):
    """Draw queries near some keys, keys, and values; of bits where the rule is one of bits."""
    source = torch.Generator().manual_seed(seed)
    if name in BITS:
        keys = bits.random(count, D, seed=source, dtype=dtype)
        query = bits.flip(
            keys[torch.randint(0, count, (queries,), generator=source)], 2, seed=source
        )
    else:
        keys = torch.nn.functional.normalize(
            torch.randn(count, D, generator=source, dtype=dtype), dim=-1
        )
        query = keys[torch.randint(0, count, (queries,), generator=source)] + 0.1 * torch.randn(
            queries, D, generator=source, dtype=dtype
        )
    width = D if "difference" in name else width
    return query, keys, torch.randn(count, width, generator=source, dtype=dtype)


def masks(queries, count):
    source = torch.Generator().manual_seed(1)
    each = torch.rand(queries, count, generator=source) > 0.5
    each[0] = False
    added = torch.randn(1, count, generator=source).mul(0.1).masked_fill(each[1:2], -torch.inf)
    return {"none": None, "bool": each, "float": added}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ["none", "bool", "float"])
@pytest.mark.parametrize("name", [*REAL, *BITS])
def test_far_reads_are_the_whole_ones(name, kind, engine, small):
    if kind == "float" and name in ("cap", "circle"):
        pytest.skip("what a mask adds makes no cosines or agreements of theirs")
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


@pytest.mark.parametrize(
    "name",
    [name for name, (_, rule) in (REAL | BITS).items() if not isinstance(rule, Circle | Cap)],
)
def test_far_energies_are_the_whole_ones(name, small):
    similarity, separation = (REAL | BITS)[name]
    if similarity not in (dot, closeness):
        pytest.skip("no energy")
    query, keys, _ = case(name)
    for mask in masks(len(query), len(keys)).values():
        small("whole")
        expected = functional.energy(query, keys, similarity, separation, mask)
        small("far")
        torch.testing.assert_close(
            functional.energy(query, keys, similarity, separation, mask),
            expected,
            rtol=1e-9,
            atol=1e-9,
        )


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
            torch.testing.assert_close(
                found,
                functional.read(query, keys, plain, agreement, Circle(D, 9)),
                rtol=1e-5,
                atol=1e-5,
            )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_keys_are_summed_in_float32(dtype, small):
    query, keys, values = (part.to(dtype) for part in case("power", torch.float32, 3000))
    small("far")
    found = functional.field(query, keys, values, dot, Power(3)).value
    assert found.dtype == torch.float32
    torch.testing.assert_close(
        found,
        functional.field(
            query.double(), keys.double(), values.double(), dot, Power(3)
        ).value.float(),
    )


@pytest.mark.parametrize("name", [*REAL, *BITS])
def test_gradients_of_far_reads_are_those_of_whole_ones(name, small):
    similarity, separation = (REAL | BITS)[name]
    query, keys, values = (part.requires_grad_() for part in case(name, count=300, queries=6))
    small("far")

    def gradients(budget):
        with settings.use(budget=budget):
            read = functional.read(query, keys, values, similarity, separation)
            return torch.autograd.grad(
                read.square().sum(), (query, keys, values), allow_unused=True
            )

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
    query, keys, values = (
        part.requires_grad_() for part in case("softmax", torch.float32, 20_000, 50)
    )
    kept = []

    def keep(tensor):
        kept.append(tensor.numel())
        return tensor

    with (
        settings.use(budget=2**22),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
    ):
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
        found = functional.field(query, keys, values, similarity, separation)
        halves = [
            functional.field(part, keys, values, similarity, separation).value
            for part in query.split(max(1, queries // 2))
        ]
        routes.FEW = math.inf
        expected = functional.field(query, keys, values, similarity, separation)
    finally:
        torch.set_num_threads(before)
        routes.FEW = few
    assert torch.equal(found.empty, expected.empty)
    close = partial(
        torch.testing.assert_close,
        rtol=1e-8,
        atol=1e-8 * max(1.0, float(expected.value.abs().max() if queries else 0)),
    )
    close(found.value, expected.value)
    close(torch.cat(halves) if queries else found.value, found.value)


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


def test_overflow_is_said_on_every_route(small):
    query, keys, values = case("exponential", torch.float32)
    small("far")
    with pytest.raises(kanerva.InputError, match="overflow"):
        functional.read(1e4 * query, keys, values, dot, Exponential(1.0))
    with pytest.raises(kanerva.InputError, match="cosines"):
        functional.read(5 * query, 5 * keys, values, dot, Cap(D, 7.0))
    with pytest.raises(kanerva.InputError, match="agreements"):
        functional.read(-query.sign(), keys.sign(), values, dot, Circle(D, 7))


def test_progress_is_told(small):
    query, keys, values = case("power")
    small("far")
    told = []
    with settings.use(progress=lambda done, count: told.append((done, count))):
        functional.read(query, keys, values, dot, Power(3))
    assert told[-1] == (700, 700)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len(told) > 4


@pytest.mark.untyped
def test_progress_is_a_function():
    with pytest.raises(kanerva.InputError, match="progress must be"):
        settings.progress = 3


def test_threads_of_torch_are_left_as_they_were():
    before = torch.get_num_threads()
    query, keys, values = case("power", torch.float32, 4000, 64)
    functional.read(query, keys, values, dot, Power(3))
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_what_is_learned_is_read_without_a_gradient_where_none_is_asked(mode):
    query, keys, values = (
        part.requires_grad_() for part in case("softmax", torch.float32, 20_000, 40)
    )
    rules = [
        (dot, Softmax(torch.nn.Parameter(torch.tensor(4.0)))),
        (closeness, Compact(1.5)),
        (dot, TopK(5, 2.0)),
        (cosine, Cap(D, 7.0)),
    ]
    for similarity, rule in rules:
        with mode():
            for asked in (query, query[:1]):
                read = functional.read(asked, keys, values, similarity, rule)
                assert not read.requires_grad
                plain = functional.read(
                    asked.double(), keys.double(), values.double(), similarity, rule
                )
                torch.testing.assert_close(read.double(), plain, rtol=1e-4, atol=1e-4)


def test_reads_in_threads_of_ones_own():
    from concurrent.futures import ThreadPoolExecutor

    query, keys, values = case("power", torch.float32, 9000, 64)
    expected = functional.read(query, keys, values, dot, Power(3))
    with ThreadPoolExecutor(3) as pool:
        several = list(
            pool.map(lambda _: functional.read(query, keys, values, dot, Power(3)), range(12))
        )
    assert all(torch.equal(one, several[0]) for one in several)
    torch.testing.assert_close(several[0], expected)


def test_packed_keys_heed_what_a_mask_adds():
    query, keys, values = case("step on bits", torch.float32, 3000)
    added = torch.randn(3000, generator=torch.Generator().manual_seed(2))
    found = functional.read(
        query, Packed(bits.pack(keys), D), values, agreement, Softmax(0.3), added
    )
    torch.testing.assert_close(
        found,
        functional.read(
            query.double(), keys.double(), values.double(), agreement, Softmax(0.3), added
        ).float(),
    )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", [*REAL])
def test_what_is_not_a_number_is_never_lost(name, engine):
    similarity, separation = REAL[name]
    for place in range(2):
        query, keys, values = case(name, torch.float32, 4000)
        (query, keys)[place][3, 2] = torch.nan
        with settings.use(engine=engine), pytest.raises(kanerva.InputError, match="finite"):
            functional.read(query, keys, values, similarity, separation)


def test_keys_too_long_for_their_dtype_are_no_angle():
    query, keys, values = case("cap", torch.float32, 4000)
    keys[7] = 1e20
    with pytest.raises(kanerva.InputError, match="overflow"):
        functional.read(query, keys, values, cosine, Softmax(3.0))


def test_a_similarity_may_read_itself():
    """A read inside a read waits for nobody."""
    query, keys, values = case("power", torch.float32, 9000, 64)

    def nested(asked, rows):
        functional.read(asked[:50], keys, values, dot, Power(3))
        return asked @ rows.mT

    found = functional.read(query, keys, values, nested, Power(3))
    torch.testing.assert_close(found, functional.read(query, keys, values, dot, Power(3)))


@pytest.mark.parametrize("name", ["power", "compact", "top-k", "argmax", "softmax"])
def test_other_dtypes_are_not_chosen_by_torch(name):
    similarity, separation = REAL[name]
    query, keys, values = case(name, torch.float32, 4000, 40)
    expected = functional.read(query, keys, values, similarity, separation)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(
            functional.read(query, keys, values, similarity, separation), expected
        )


@pytest.mark.parametrize("similarity", [dot, closeness])
def test_equal_keys_share(similarity):
    query, keys, values = case("argmax", torch.float32, 20_000, 40)
    keys[19_999] = keys[3]
    query[:] = keys[3]
    expected = (values[3] + values[19_999]) / 2
    torch.testing.assert_close(
        functional.read(query, keys, values, similarity, Argmax()), expected.expand(40, -1)
    )


@pytest.mark.parametrize("similarity", [dot, closeness, cosine])
def test_the_budget_may_change_before_gradients_are_taken(similarity):
    query, keys, values = (
        part.requires_grad_() for part in case("softmax", torch.float64, 4000, 40)
    )
    for rule in (Softmax(3.0), TopK(5, 2.0)):
        with settings.use(budget=2**20):
            read = functional.read(query, keys, values, similarity, rule)
        cut = torch.autograd.grad(read.sum(), query)
        whole = torch.autograd.grad(
            functional.read(query, keys, values, similarity, rule).sum(), query
        )
        torch.testing.assert_close(cut, whole)


@pytest.mark.filterwarnings(
    "ignore:.*torch.jit.script:DeprecationWarning"
)  # torch's own, of what it derives forward with
@pytest.mark.parametrize("name", ["softmax", "power", "top-k", "compact"])
def test_derivatives_that_go_forward(name):
    similarity, separation = REAL[name]
    query, keys, values = case(name, torch.float64, 4000, 12)
    direction = query.flip(0)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(query, direction)
        there = torch.autograd.forward_ad.unpack_dual(
            functional.read(dual, keys, values, similarity, separation)
        ).tangent
    step = 1e-6
    ends = [
        functional.read(query + side * step * direction, keys, values, similarity, separation)
        for side in (1, -1)
    ]
    slope = (ends[0] - ends[1]) / (2 * step)
    if name != "compact":  # whose weights jump at the edge of their reach
        torch.testing.assert_close(there, slope, rtol=1e-4, atol=1e-4)


def test_a_rule_of_ones_own_is_read_on_every_route():
    class Cube(Power):
        def __call__(self, scores, mask=None):
            return scores.relu() ** 3

    query, keys, values = case("power", torch.float64, 4000)
    expected = (query @ keys.T).relu() ** 3 @ values
    torch.testing.assert_close(functional.read(query, keys, values, dot, Cube(4)), expected)
