"""Recall in the space of overlaps ends where recall of the states themselves ends, after as many steps."""

import pytest
import torch
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st

import kanerva
from kanerva import dynamics, functional
from kanerva._engine import overlaps
from kanerva.separation import Entmax, Normalised, Power, Softmax, TopK
from kanerva.similarity import dot

RULES = (Softmax(20.0), Softmax(4.0), Entmax(1.5, 6.0), TopK(3, 8.0), Normalised(Power(5)))


@trials(max_examples=60, deadline=None)
@given(
    rule=st.sampled_from(RULES),
    count=st.integers(1, 30),
    queries=st.integers(1, 9),
    rate=st.sampled_from([1.0, 0.5, 0.1]),
    steps=st.integers(0, 60),
    seed=st.integers(0, 2**31),
)
def test_it_ends_where_states_end(rule, count, queries, rate, steps, seed):
    source = torch.Generator().manual_seed(seed)
    keys = torch.nn.functional.normalize(
        torch.randn(count, 50, generator=source, dtype=torch.float64), dim=-1
    )
    query = keys[torch.randint(0, count, (queries,), generator=source)] + 0.2 * torch.randn(
        queries, 50, generator=source, dtype=torch.float64
    )
    rules = {"steps": steps, "rate": rate, "tolerance": 1e-9}
    plain = dynamics.settle(
        lambda state: functional.read(state, keys, keys, dot, rule), query, **rules
    )
    found = overlaps.settle(query, keys, rule, **rules)
    torch.testing.assert_close(found.state, plain.state, rtol=0, atol=1e-8)
    assert (
        found.steps - plain.steps
    ).abs().max() <= 1  # a change may lie at the tolerance but for a rounding
    assert torch.equal(found.converged, plain.converged) or (found.steps != plain.steps).any()


def test_memories_take_it_where_it_pays(monkeypatch):
    called = []
    settle = overlaps.settle
    monkeypatch.setattr(
        overlaps, "settle", lambda *args, **more: called.append(1) or settle(*args, **more)
    )
    memory = kanerva.modern_hopfield(dim=300, beta=20.0)
    keys = torch.nn.functional.normalize(
        torch.randn(40, 300, generator=torch.Generator().manual_seed(0)), dim=-1
    )
    memory.write(keys)
    query = (keys + 0.02 * torch.randn(40, 300, generator=torch.Generator().manual_seed(1))).view(
        4, 10, 300
    )
    recalled = memory.recall(query)
    assert called
    torch.testing.assert_close(recalled, memory.trace(query).states[-1], rtol=0, atol=1e-5)
    called.clear()
    memory.recall(query[0, 0])  # one query: not worth the products of all patterns
    memory.recall(query, mask=torch.ones(40, dtype=torch.bool))
    memory.recall(query.clone().requires_grad_())
    assert not called


def test_overflow_is_said():
    memory = kanerva.Patterns(100, separation=Power(9))
    memory.write(1e3 * torch.ones(3, 100))
    with pytest.raises(kanerva.InputError, match="overflow"):
        memory.recall(torch.ones(30, 100))


def test_half_precision_does_not_depend_on_batch_mates():
    memory = kanerva.modern_hopfield(512, beta=1.0)
    memory.half()
    keys = (20 * torch.randn(200, 512, generator=torch.Generator().manual_seed(0))).half()
    memory.write(keys)
    assert torch.equal(memory.recall(keys[:100])[:2], memory.recall(keys[:2]))
