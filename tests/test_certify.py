"""Pruned reads: their error never exceeds the bound that comes with them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st

import kanerva
from kanerva import functional
from kanerva._engine import prune
from kanerva.activation import Sign
from kanerva.separation import Entmax, Softmax


def exact(query, keys, values, beta):
    return torch.softmax(beta * (query.double() @ keys.double().T), -1) @ values.double()


def case(count, dim, queries, noise, scale, seed, dtype=torch.float32):
    source = torch.Generator().manual_seed(seed)
    drawn = torch.randn(count, dim, generator=source, dtype=dtype)
    keys = scale * torch.nn.functional.normalize(drawn, dim=-1)
    keys = keys * (0.5 + torch.rand(count, 1, generator=source, dtype=dtype))
    query = keys[torch.randint(0, count, (queries,), generator=source)]
    damage = torch.randn(queries, dim, generator=source, dtype=dtype)
    return query + noise * scale / math.sqrt(dim) * damage, keys


@pytest.mark.parametrize("fast", [False, True])
@trials(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 3000),
    dim=st.integers(1, 200),
    noise=st.floats(0, 2),
    scale=st.sampled_from([1e-3, 1.0, 30.0]),
    beta=st.floats(-3, 4),
    tolerance=st.sampled_from([2e-7, 1e-6, 1e-3, 0.5]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 2**31),
)
def test_the_bound_is_never_exceeded(fast, count, dim, noise, scale, beta, tolerance, dtype, seed):
    query, keys = case(count, dim, 7, noise, scale, seed, dtype)
    values = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    beta = 10**beta / scale**2
    rounded = keys.to(torch.bfloat16) if fast else keys
    length = float(rounded.double().norm(dim=-1).max())
    away = float((keys.double() - rounded.double()).norm(dim=-1).max())
    near = functional.Coarse(rounded, length, away, float(values.abs().max()))
    found = functional.certify(query, keys, values, Softmax(beta), tolerance, near)
    error = (found.value.double() - exact(query, keys, values, beta)).abs().amax(-1)
    # The sums that are compared with have errors of float64 themselves.
    slack = 1e-11 * near.size * (1 + beta * float(query.norm(dim=-1).max()) * near.length)
    assert (error <= found.bound + slack).all()
    pruned = (found.active <= prune.ROOM) & (found.active < count)
    allowed = (tolerance + torch.finfo(dtype).eps) * near.size
    assert (found.bound[pruned] <= allowed).all()
    assert ((found.active >= 1) & (found.active <= count)).all()


@pytest.mark.parametrize("fast", [False, True])
def test_coarse_measures_rounded_keys(fast, monkeypatch):
    monkeypatch.setattr(prune, "_fast", lambda device: fast)
    _, keys = case(5000, 40, 1, 0, 2.0, 0)
    values = torch.randn(5000, 3, generator=torch.Generator().manual_seed(1))
    near = functional.coarse(keys, values)
    assert near.keys.dtype == (torch.bfloat16 if fast else torch.float32)
    rounded = near.keys.double()
    away = float((keys.double() - rounded).norm(dim=-1).max())
    assert near.length == pytest.approx(float(rounded.norm(dim=-1).max()), rel=1e-6)
    assert near.away == pytest.approx(away, rel=1e-6, abs=1e-12)
    assert near.size == values.abs().max()


def test_few_patterns_are_active_in_the_retrieval_phase_and_all_in_the_diffuse_one():
    query, keys = case(4000, 64, 9, 0.1, 1.0, 0)
    sharp = functional.certify(query, keys, keys, Softmax(200.0))
    broad = functional.certify(query, keys, keys, Softmax(0.5))
    assert (sharp.active < 50).all()
    assert (broad.active == 4000).all()
    read = functional.read(query, keys, keys, kanerva.similarity.dot, Softmax(0.5))
    torch.testing.assert_close(broad.value, read)
    assert (sharp.bound < 1e-6).all()
    assert broad.bound.isfinite().all()


def test_memories_read_within_a_tolerance():
    query, keys = case(3000, 64, 12, 0.1, 1.0, 0)
    memory = kanerva.modern_hopfield(64, beta=150.0)
    memory.write(keys[:2000])
    found = memory.certify(query[:3])
    assert found.value.shape == (3, 64)

    def compare(query):
        within = memory.read(query, tolerance=1e-6)
        torch.testing.assert_close(within, memory.read(query), rtol=0, atol=3e-6)

    compare(query)
    # The keys change, so they must be rounded again.
    memory.write(keys[2000:])
    compare(query.view(3, 4, 64))
    with torch.no_grad():
        memory.keys.mul_(-1)
    compare(query)
    memory.forget(range(3000))
    assert not memory.read(query, tolerance=1e-6).any()


def test_large_numbers_that_cancel_keep_within_the_bound():
    """Two keys with the same numbers in another order have equal exact scores, so the read is 0."""
    for dtype, size in ((torch.float32, 1e4), (torch.float32, 1e2), (torch.float64, 1e3)):
        key = size * torch.randn(1000, generator=torch.Generator().manual_seed(0), dtype=dtype)
        keys = torch.stack([key, key.flip(0)])
        values = torch.tensor([[1.0], [-1.0]], dtype=dtype)
        query = torch.full((1, 1000), size, dtype=dtype)
        found = functional.certify(query, keys, values, Softmax(1.0), 1e-6)
        assert found.value.abs().max() <= found.bound.max()


def test_prepared_keys_hold_the_largest_of_any_values():
    keys = torch.eye(2)
    for values, size in (
        (torch.eye(2).bool(), 1),
        (torch.full((2, 1), -128, dtype=torch.int8), 128),
    ):
        assert functional.coarse(keys, values).size == size


def test_rounded_keys_are_not_used_for_other_keys_at_the_same_address():
    _, keys = case(4000, 256, 1, 0, 1.0, 0)
    memory = kanerva.modern_hopfield(256, beta=400.0)
    memory.write(keys[:3000])
    for turn in range(4):
        memory.certify(keys[:1])
        memory.forget(memory.ids[:1])
        memory.write(keys[3000 + turn][None])
        query = memory.keys[[5, 2000, -1]]
        found = memory.certify(query)
        expected = exact(query, memory.keys, memory.keys, 400.0)
        error = (found.value.double() - expected).abs().amax(-1)
        assert (error <= found.bound + 1e-11).all()


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (lambda q, k: functional.certify(q, k, k, Entmax(1.5, 1.0)), "separation must be Softmax"),
        (
            lambda q, k: functional.certify(q, k, k, Softmax(0.0)),
            "separation must be Softmax with beta > 0",
        ),
        (lambda q, k: functional.certify(q, k, k, Softmax(1.0), 1e-9), "tolerance must be"),
        (
            lambda q, k: functional.certify(q.requires_grad_(), k, k, Softmax(1.0)),
            "query must be without a gradient",
        ),
        (lambda q, k: functional.certify(q, k, k, Softmax(1.0), 2.0), "tolerance must be"),
        (
            lambda q, k: functional.certify(q.half(), k.half(), k.half(), Softmax(1.0)),
            "query must be float32 or float64",
        ),
        (lambda q, k: functional.certify(q * math.nan, k, k, Softmax(1.0)), "query must be finite"),
        (lambda q, k: functional.certify(q[:, :3], k, k, Softmax(1.0)), "keys must be"),
        (lambda q, k: functional.coarse(k[:0], k[:0]), "keys must be one row or more"),
        (lambda q, k: functional.coarse(k * math.inf, k), "keys must be finite"),
        (
            lambda q, k: remember(k).read(q, torch.ones(8, dtype=torch.bool), 1e-6),
            "mask must be None",
        ),
        (lambda q, k: signed().certify(q.sign()), "activation must be Identity"),
        (lambda q, k: kanerva.hopfield(4).certify(q.sign()), "certify"),
    ],
)
def test_bad_input_gets_a_sentence(break_it, sentence):
    query, keys = case(8, 4, 2, 0.1, 1.0, 0)
    with pytest.raises(kanerva.InputError, match=sentence):
        break_it(query, keys)


def signed():
    return kanerva.Patterns(4, separation=Softmax(1.0), activation=Sign())


def remember(keys):
    memory = kanerva.modern_hopfield(keys.shape[1], beta=5.0)
    memory.write(keys)
    return memory
