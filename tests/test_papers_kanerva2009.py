"""The recipe on records in one vector: its closed forms, its clean-ups, and what it refuses."""

import itertools
import math

import numpy as np
import pytest
import torch

from kanerva import InputError, bits
from kanerva.lab import runner
from kanerva.lab.papers import RECIPES
from kanerva.lab.papers.kanerva2009 import _records

RECIPE = RECIPES["vsa.records"]


def design(**changed):
    whole = _records.Design("record", 200, 5, 30, 4, "nearest", 1e-3, 0)
    return whole._replace(**changed)


@pytest.mark.parametrize("pairs", [1, 2, 3, 4, 5, 8])
def test_the_agreement_is_that_of_all_cases(pairs):
    right = 0.0
    for others in itertools.product((-1, 1), repeat=pairs - 1):
        total = 1 + sum(others)  # the filler's bit is +1
        right += 1.0 if total > 0 else 0.5 if total == 0 else 0.0
    assert _records.agreement(pairs) == pytest.approx(right / 2 ** (pairs - 1))


@pytest.mark.parametrize(("width", "pairs", "fillers"), [(4, 3, 2), (6, 5, 5), (9, 2, 3)])
def test_the_share_found_is_that_of_all_cases(width, pairs, fillers):
    p = _records.agreement(pairs)
    mine = [math.comb(width, k) * p**k * (1 - p) ** (width - k) for k in range(width + 1)]
    other = [math.comb(width, k) / 2**width for k in range(width + 1)]
    expected = 0.0
    for own in range(width + 1):
        for rest in itertools.product(range(width + 1), repeat=fillers - 1):
            if max(rest) <= own:
                chance = mine[own] * math.prod(other[one] for one in rest)
                expected += chance / (1 + rest.count(own))
    assert _records.expected(width, pairs, fillers) == pytest.approx(expected)


def test_shares_of_long_vectors_are_probabilities():
    shares = [_records.expected(1000, pairs, 1000) for pairs in (1, 5, 15, 41, 201)]
    assert all(0 <= share <= 1 for share in shares)
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.untyped
@pytest.mark.parametrize("form", ["record", "sequence"])
def test_fillers_are_found_as_by_hand(form):
    plan = design(form=form, pairs=7, width=60)
    source = np.random.default_rng(0)
    items = source.choice((-1.0, 1.0), (30, 60))
    roles = source.choice((-1.0, 1.0), (2, 7, 60))
    chosen = np.array([source.permutation(30)[:7] for _ in range(2)])
    fillers, roles = torch.tensor(items[chosen]), torch.tensor(roles)
    read = _records._asked(plan, fillers, roles)
    found = _records._cleaned(plan, read, torch.tensor(items))
    for record in range(2):
        if form == "record":
            total = sum(roles[record, t].numpy() * items[chosen[record, t]] for t in range(7))
            asked = [np.sign(total) * roles[record, t].numpy() for t in range(7)]
        else:
            total = sum(np.roll(items[chosen[record, t]], t) for t in range(7))
            asked = [np.roll(np.sign(total), -t) for t in range(7)]
        assert (read[record].numpy() == np.array(asked)).all()
        best = (np.array(asked) @ items.T).argmax(1)
        assert (found[record].numpy() == best).all()


@pytest.mark.untyped
def test_the_memory_recalls_the_filler_or_none():
    items = bits.random(20, 128, seed=0)
    plan = design(width=128, fillers=20, cleanup="sdm")
    cues = torch.cat([bits.flip(items, 6, seed=1), bits.random(5, 128, seed=2)])
    found = _records._cleaned(plan, cues, items)
    assert found[:20].tolist() == list(range(20))
    # Beyond all circles a read is a vector of no item.
    narrow = plan._replace(share=1e-30)
    assert _records._cleaned(narrow, cues[20:], items).tolist() == [-1] * 5


@pytest.mark.untyped
def test_torch_hd_gives_the_same_vectors():
    pytest.importorskip("torchhd")
    for form in ("record", "sequence"):
        plan = design(form=form)
        fillers, roles = bits.random(20, 200, seed=0), bits.random(20, 200, seed=1)
        given = (plan, fillers.reshape(4, 5, 200), roles.reshape(4, 5, 200))
        assert torch.equal(_records._torchhd(*given), _records._asked(*given))


@pytest.mark.untyped
def test_the_recipe_runs_and_refuses():
    rows = runner.run(RECIPE, given={"bits": 200, "fillers": 50, "pairs": "3,4", "records": 2}).rows
    assert {row["pairs"] for row in rows} == {3, 4}
    assert all(0 <= row["found"] <= 1 for row in rows)
    assert list(RECIPE.figures(rows)) == ["figure"]
    for given in (
        {"pairs": 2000},
        {"form": "list"},
        {"cleanup": "first"},
        {"bits": 1},
        {"fillers": 1},
        {"records": 0},
        {"share": 0.9},
    ):
        good = {"form": "record", "bits": 64, "pairs": 3, "records": 2}
        with pytest.raises(InputError):
            list(RECIPE.measure(**(good | given)))
