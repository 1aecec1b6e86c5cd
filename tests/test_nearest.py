"""The nearest stored rows against a search by hand."""

import pytest
import torch

import kanerva
from kanerva import Patterns, bits, similarity
from kanerva.separation import (
    Difference,
    Entmax,
    Exponential,
    Linear,
    Power,
    Softmax,
    TopK,
)

RULES = {
    "softmax": Softmax(0.3),
    "linear": Linear(),
    "power": Power(3),
    "difference": Difference(Power(3)),
    "exponential": Exponential(0.1),
    "entmax": Entmax(1.5, 0.3),
    "two nearest": TopK(2, 0.3),
}


def by_hand(memory, query, k, kept):
    scores = memory.scores(query).masked_fill(~kept, -torch.inf)
    order = scores.argsort(dim=-1, descending=True, stable=True)[:, :k]
    weights = memory.weights(query, mask=kept)
    return order, scores.gather(-1, order), weights.gather(-1, order)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(("count", "budget"), [(30, 2**28), (3000, 2**16)])
def test_the_nearest_are_those_of_a_full_sort(name, count, budget):
    memory = Patterns(32, separation=RULES[name])
    # Copies tie.
    memory.write(bits.random(count // 2, 32, seed=0).repeat(2, 1))
    query = bits.flip(memory.keys[:7], 6, seed=1)
    kept = torch.rand(7, count, generator=torch.Generator().manual_seed(0)) < 0.7
    with kanerva.settings.use(budget=budget):
        found = memory.nearest(query, k=5, mask=kept)
        alone = memory.nearest(query[2], k=5, mask=kept[2])
    places, scores, weights = by_hand(memory, query, 5, kept)
    assert torch.equal(found.ids, places)
    torch.testing.assert_close(found.scores, scores)
    torch.testing.assert_close(found.weights, weights, rtol=1e-4, atol=1e-7)
    assert torch.equal(found.ids[2], alone.ids)


def test_ids_are_those_of_write():
    memory = kanerva.modern_hopfield(8, beta=1.0)
    ids = memory.write(torch.eye(8))
    memory.forget(ids[:3])
    assert memory.nearest(torch.eye(8)[5]).ids.tolist() == [5]
    mask = torch.tensor([True, False, False, False, False])
    found = memory.nearest(torch.eye(8)[5], k=2, mask=mask)
    assert found.ids.tolist() == [3, -1]
    assert found.scores[1] == -torch.inf
    assert found.weights.tolist() == [1, 0]


def test_no_array_of_all_scores_is_built():
    memory = Patterns(16, separation=Softmax(1.0), similarity=similarity.closeness)
    memory.write(torch.randn(20_000, 16, generator=torch.Generator().manual_seed(0)))
    largest = 0
    plain = similarity.closeness

    def watched(query, keys):
        nonlocal largest
        largest = max(largest, len(query) * len(keys))
        return plain(query, keys)

    memory.similarity = watched
    query = memory.keys[:500]
    with kanerva.settings.use(budget=2**22):
        found = memory.nearest(query)
    assert found.ids.squeeze(-1).tolist() == list(range(500))
    assert 0 < largest <= 2**22 / 16


@pytest.mark.untyped
def test_what_is_refused():
    memory = kanerva.modern_hopfield(4, beta=1.0)
    with pytest.raises(kanerva.InputError, match=r"Patterns\.nearest: memory must be one"):
        memory.nearest(torch.ones(4))
    memory.write(torch.eye(4))
    for k in (0, 5, 1.5, None):
        with pytest.raises(kanerva.InputError, match=r"Patterns\.nearest: k must be"):
            memory.nearest(torch.ones(4), k=k)
    with pytest.raises(kanerva.InputError, match="must be one that keeps its rows"):
        kanerva.sdm(bits=64, locations=900, radius=24).nearest(torch.ones(64))
