"""Modes of torch that record operations: a read is recorded whole, and its result stays."""

import pytest
import torch
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

import kanerva
from catalogue import CATALOGUE
from kanerva import InputError, bits, functional
from kanerva.separation import (
    Argmax,
    Cap,
    Circle,
    Compact,
    Entmax,
    Exponential,
    Linear,
    Normalised,
    Power,
    Softmax,
    Step,
    TopK,
)
from kanerva.similarity import agreement, closeness, cosine, dot

# So many scores that a plain read would take other routes, threads and kernels.
COUNT, MANY, D = 5000, 64, 32
RULES = {
    "softmax": (dot, Softmax(4.0)),
    "softmax of distances": (closeness, Softmax(4.0)),
    "softmax of cosines": (cosine, Softmax(4.0)),
    "linear": (dot, Linear()),
    "power": (dot, Normalised(Power(6))),
    "exponential": (cosine, Exponential(1.0)),
    "compact": (closeness, Compact(0.05)),
    "cap": (cosine, Cap(D, 0.3 * D)),
    "argmax": (dot, Argmax()),
    "top-k": (dot, TopK(20, 4.0)),
    "entmax": (dot, Entmax(1.5, 4.0)),
    "circle": (agreement, Circle(D, 9)),
    "step": (agreement, Step(20)),
}
# The rules that the library reads packed bits by.
PACKED = ("circle", "step")


class Operations(TorchDispatchMode):
    """Count the operations that pass, and the scores that they compute."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func._overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def rows():
    source = torch.Generator().manual_seed(0)
    return [torch.randn(n, D, generator=source, dtype=torch.float64) for n in (COUNT, MANY)]


def given(name, rows):
    """Return keys and queries that a rule takes."""
    if name in PACKED:
        return [torch.where(part > 0, 1.0, -1.0).double() for part in rows]
    return rows


@pytest.mark.parametrize("name", RULES)
def test_what_is_recorded_of_a_large_read_is_the_whole_read(name, rows):
    keys, query = given(name, rows)
    similarity, rule = RULES[name]

    def read(query):
        return functional.read(query, keys, keys, similarity=similarity, separation=rule)

    expected = read(query)
    with Operations() as recorded:
        torch.testing.assert_close(read(query), expected)
    assert any(name in ("mm", "addmm", "bmm", "matmul") for name in recorded.names)
    graph = make_fx(read)(query[:8].repeat(8, 1))
    torch.testing.assert_close(graph(query), expected)


@pytest.mark.parametrize("name", PACKED)
def test_packed_bits_are_read_by_torch_while_operations_are_recorded(name, rows):
    keys, query = given(name, rows)
    similarity, rule = RULES[name]
    packed = bits.Packed(bits.pack(keys), D)

    def read(query):
        return functional.read(query, packed, keys, similarity=similarity, separation=rule)

    expected = read(query)
    torch.testing.assert_close(make_fx(read)(query.flip(0))(query), expected)
    with FlopCounterMode(display=False) as flops:
        torch.testing.assert_close(read(query), expected)
    assert flops.get_total_flops() == 2 * 2 * MANY * COUNT * D


# How often queries are compared with all keys, or values summed. An explanation also holds the
# weights, and the energy.
PASSES = {"read": 2, "recall": 2, "weights": 1, "energy": 1, "nearest": 1, "explain": 4}


@pytest.mark.parametrize("verb", PASSES)
def test_every_multiplication_is_counted(verb):
    source = torch.Generator().manual_seed(1)
    memory = kanerva.attention(D, beta=1.0)
    memory.write(torch.randn(COUNT, D, generator=source))
    query = torch.randn(MANY, D, generator=source)
    more = {"steps": 1} if verb == "recall" else {}
    with FlopCounterMode(display=False) as flops:
        getattr(memory, verb)(query, **more)
    assert flops.get_total_flops() == PASSES[verb] * 2 * MANY * COUNT * D


def test_a_recall_on_overlaps_is_counted_as_reads():
    memory = kanerva.attention(512, beta=0.01)
    memory.write(torch.randn(40, 512, generator=torch.Generator().manual_seed(2)))
    query = torch.randn(MANY, 512, generator=torch.Generator().manual_seed(3))
    expected = memory.recall(query, steps=3)
    with FlopCounterMode(display=False) as flops:
        torch.testing.assert_close(memory.recall(query, steps=3), expected)
    assert flops.get_total_flops() == 3 * 2 * 2 * MANY * 40 * 512


def test_numbers_are_checked_while_operations_are_counted(rows):
    keys, query = rows
    with pytest.raises(InputError, match="query must be finite"), Operations():
        functional.read(query * torch.nan, keys, keys, similarity=dot, separation=Softmax(1.0))


def test_what_stands_for_numbers_is_stored_and_read():
    with FakeTensorMode():
        for memory in (kanerva.attention(D, beta=1.0), kanerva.hopfield(D)):
            memory.write(torch.ones(COUNT, D))
            read = memory.read(torch.ones(MANY, D))
            assert read.shape == (MANY, D)
            assert memory.recall(torch.ones(MANY, D), steps=2).shape == (MANY, D)
        memory = kanerva.sdm(256, locations=1000, radius=112, seed=0)
        memory.write(torch.ones(40, 256))
        assert memory.read(torch.ones(3, 256)).shape == (3, 256)


# Memories that cannot be built from what stands for numbers, and why.
UNBUILT = {"annealed": "the levels of noise of its recall are numbers of Python"}


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_memory_is_written_and_read_without_numbers(name):
    if name in UNBUILT:
        pytest.skip(UNBUILT[name])
    with FakeTensorMode():
        memory = CATALOGUE[name]()
        keys = torch.ones(5, memory.dim, dtype=memory.dtype)
        same = memory.value_dim == memory.dim
        memory.write(keys, *([] if same else [keys.new_ones(5, memory.value_dim)]))
        assert memory.read(keys).shape == (5, memory.value_dim)


# One memory of each kind.
RECORDED = (
    "attention",
    "cdam",
    "covariance",
    "entropic",
    "entropic pairs",
    "hopfield bits",
    "outer product",
    "willshaw",
)


@pytest.mark.parametrize("name", RECORDED)
def test_a_write_and_a_read_are_recorded_whole(name):
    memory = CATALOGUE[name]()
    keys = [bits.random(5, memory.dim, seed=seed).to(memory.dtype) for seed in (1, 2)]
    values = bits.random(5, memory.value_dim, seed=3).to(memory.dtype)
    more = [] if memory.value_dim == memory.dim else [values]

    def pass_through(*given):
        memory = CATALOGUE[name]()  # a graph writes to what is built in it, at each call
        memory.write(*given)
        return memory.read(given[0])

    graph = make_fx(pass_through)(keys[0], *more)
    given = keys[1], *more
    torch.testing.assert_close(graph(*given), pass_through(*given), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", ["sdm", "sdm_continuous bits", "sdm_selected"])
def test_locations_that_were_drawn_are_written_while_operations_are_recorded(name):
    one, other = CATALOGUE[name](), CATALOGUE[name]()
    keys = bits.random(5, one.dim, seed=1).to(one.dtype)
    more = [] if one.value_dim == one.dim else [keys.new_ones(5, one.value_dim)]
    make_fx(lambda *given: one.write(*given))(keys, *more)
    other.write(keys, *more)
    torch.testing.assert_close(one.read(keys), other.read(keys), rtol=1e-2, atol=1e-2)
