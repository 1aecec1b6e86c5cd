"""The entropic memory at its edges: tables of answers, odd sizes, dtypes, threads, transforms."""

import pytest
import torch

from kanerva._core.settings import settings
from kanerva._engine.draws import chances, pick
from kanerva.entropic import EntropicMemory, Gaussian, Triangular, _recall

SPREADS = (Gaussian(0.3), Gaussian(0.0), Triangular())


def source(seed):
    return torch.Generator().manual_seed(seed)


def levels_of(count, columns, levels, seed=0):
    return torch.randint(0, levels, (count, columns), generator=source(seed)).float()


def filled(keys, levels, **more):
    memory = EntropicMemory(keys.shape[-1], levels, **more)
    memory.write(keys)
    return memory


# ---------------------------------------------------------------------------------------------
# Tables of answers


@pytest.mark.parametrize("levels", [1, 2, 3, 7, 16, 33])
@pytest.mark.parametrize("spread", SPREADS)
def test_draws_are_those_of_the_search_of_the_engine(levels, spread):
    memory = filled(levels_of(5, 6, levels), levels, spread=spread, xi=6)
    memory.counts[:, 2] = 0  # a column in which nothing was seen
    levels_given = levels_of(40, 6, levels, 1).long()
    known = torch.rand(40, 6, generator=source(2)) < 0.8
    hashed, which = _recall.hashes(levels_given, 3), torch.arange(1, 4)
    found = _recall.draw(spread, memory.counts, levels_given, known, hashed, which)
    table = spread.forward(levels_given.double(), known, memory.counts).cumsum(-1)
    chance = chances(hashed, which, torch.arange(6) + 1)
    place = torch.arange(240).reshape(40, 6).expand(3, -1, -1)
    assert torch.equal(found, pick(table.reshape(-1, levels), place, chance))
    assert (found[..., 2] == -1).all()


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_means_of_a_table_are_those_of_each_cue(spread, dtype):
    keys = levels_of(30, 5, 9).to(dtype)
    memory = filled(keys, 9, spread=spread, xi=5, dtype=dtype)
    query = levels_of(50, 5, 9, 1).to(dtype)
    known = torch.rand(50, 5, generator=source(2)) < 0.8
    whole = memory.read(query, known)
    each = torch.stack([memory.read(x, k) for x, k in zip(query, known, strict=True)])
    assert torch.equal(whole, each)
    between = query.clone()
    between[0, 0] = 3.25  # no cue is tabulated now, unless the spread rounds all
    assert torch.equal(memory.read(between, known)[1:], whole[1:])
    sloped = memory.read(query.requires_grad_(), known)
    assert torch.equal(sloped.detach(), whole)
    assert sloped.requires_grad is (spread == Gaussian(0.3))


def test_hashes_of_pieces_are_those_of_all(monkeypatch):
    memory = filled(levels_of(30, 5, 9), 9, xi=5)
    query = levels_of(50, 5, 9, 1)
    expected = memory.recall(query, seed=4, draws=3)
    monkeypatch.setattr(_recall, "CLOSE", 7)
    assert torch.equal(memory.recall(query, seed=4, draws=3), expected)
    monkeypatch.setattr(settings, "budget", 1)
    assert torch.equal(memory.recall(query, seed=4, draws=3), expected)
