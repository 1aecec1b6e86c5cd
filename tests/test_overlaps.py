"""Recall in the space of overlaps returns the states of plain recall, after as many steps."""

from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st
from torch.nn.functional import normalize

import kanerva
from kanerva import Patterns
from kanerva._engine import overlaps
from kanerva.separation import Entmax, Normalised, Power, Softmax, TopK

RULES = (Softmax(20.0), Softmax(4.0), Entmax(1.5, 6.0), TopK(3, 8.0), Normalised(Power(5)))


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.untyped
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
    keys = torch.randn(count, 50, generator=source, dtype=torch.float64)
    keys = normalize(keys, dim=-1)
    query = keys[torch.randint(0, count, (queries,), generator=source)]
    query = query + 0.2 * torch.randn(queries, 50, generator=source, dtype=torch.float64)
    memory = Patterns(50, separation=rule, dtype=torch.float64)
    memory.write(keys)

    def settled(in_overlaps):
        with mock.patch.object(overlaps, "pays", return_value=in_overlaps) as choice:
            found = memory.settle(query, steps=steps, rate=rate, tolerance=1e-9)
        assert choice.called
        return found

    found, plain = settled(True), settled(False)
    torch.testing.assert_close(found.state, plain.state, rtol=0, atol=1e-8)
    # A change may be within a rounding of the tolerance.
    assert (found.steps - plain.steps).abs().max() <= 1
    assert torch.equal(found.converged, plain.converged) or (found.steps != plain.steps).any()


def test_memories_take_it_where_it_pays():
    memory = kanerva.modern_hopfield(dim=300, beta=20.0)
    keys = normalize(normal(40, 300), dim=-1)
    memory.write(keys)
    query = (keys + 0.02 * normal(40, 300, seed=1)).view(4, 10, 300)
    with mock.patch.object(overlaps, "settle", wraps=overlaps.settle) as settle:
        recalled = memory.recall(query)
        assert settle.called
        expected = memory.trace(query).states[-1]
        torch.testing.assert_close(recalled, expected, rtol=0, atol=1e-5)
        settle.reset_mock()
        # For one query the products of all pairs of patterns cost more than they save.
        memory.recall(query[0, 0])
        memory.recall(query, mask=torch.ones(40, dtype=torch.bool))
        memory.recall(query.clone().requires_grad_())
        assert not settle.called


def test_overflow_is_reported():
    memory = Patterns(100, separation=Power(9))
    memory.write(1e3 * torch.ones(3, 100))
    with pytest.raises(kanerva.InputError, match="overflow"):
        memory.recall(torch.ones(30, 100))


def test_half_precision_does_not_depend_on_batch_mates():
    memory = kanerva.modern_hopfield(512, beta=1.0)
    memory.half()
    keys = (20 * normal(200, 512)).half()
    memory.write(keys)
    assert torch.equal(memory.recall(keys[:100])[:2], memory.recall(keys[:2]))
