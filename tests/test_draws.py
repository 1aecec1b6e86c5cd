"""Draws in place of means, and the hash that makes them depend on the query and the seed alone."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kanerva import InputError, bits, functional
from kanerva._core.settings import settings
from kanerva.separation import Linear, Softmax, Step
from kanerva.similarity import agreement, closeness, dot

LEVELS = torch.arange(6.0).unsqueeze(-1)
SEEN = torch.tensor([0.0, 3.0, 0.0, 5.0, 1.0, 0.0])


def drawn(query, seed=0, draws=None, **more):
    given = (query, LEVELS, LEVELS, closeness, Softmax(0.3))
    return functional.draw(*given, prior=SEEN, seed=seed, draws=draws, **more)


def test_hash_of_bits_is_the_one_of_the_first_release():
    x = bits.random(3, 70, seed=1)
    assert bits.fingerprint(x, 5).tolist() == [
        bits.mix(
            torch.where(row > 0, bits.mix(torch.arange(1, 71) * bits.GOLDEN + 5), 0).sum()
        ).item()
        for row in x
    ]


def test_hash_tells_all_numbers_apart():
    levels = torch.cartesian_prod(*(torch.arange(-3.0, 9.0) for _ in range(4)))
    assert len(bits.fingerprint(levels, 0).unique()) == len(levels)
    near = torch.tensor([[0.0], [5e-324], [0.1], [0.1 + 2**-56]], dtype=torch.float64)
    assert len(bits.fingerprint(near, 0).unique()) == 4


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.int64, torch.int8])
def test_hash_does_not_depend_on_the_dtype(dtype):
    x = torch.tensor([[0.0, 3.0, -1.0, 1.0, -7.0]])
    assert bits.fingerprint(x.to(dtype), 3) == bits.fingerprint(x, 3)


def test_hash_of_minus_zero_is_that_of_zero():
    x = torch.tensor([[0.0, 2.0], [-0.0, 2.0]])
    assert bits.fingerprint(x, 0).unique().numel() == 1


def test_hash_is_fair():
    """Each of the 64 bits of the hash of neighbouring levels is on half of the time."""
    hashed = bits.fingerprint(torch.arange(20000.0).unsqueeze(-1), 0).numpy()
    shares = np.unpackbits(hashed.view(np.uint8).reshape(-1, 8), axis=1).mean(0)
    assert np.abs(shares - 0.5).max() < 4 * 0.5 / np.sqrt(len(hashed))


def test_shares_are_the_weights():
    query = torch.tensor([[0.4], [2.0], [5.0]])
    weights = functional.weights(query, LEVELS, closeness, Softmax(0.3), prior=SEEN)
    found = drawn(query, draws=20000).long().squeeze(-1)
    for row in range(3):
        shares = torch.bincount(found[:, row], minlength=6) / 20000
        error = (weights[row] * (1 - weights[row]) / 20000).sqrt()
        assert ((shares - weights[row]).abs() <= 4 * error).all()


def test_levels_of_no_weight_are_never_drawn():
    assert set(drawn(torch.linspace(0, 5, 500).unsqueeze(-1), draws=20).unique().tolist()) == {
        1.0,
        3.0,
        4.0,
    }


def test_draws_do_not_depend_on_batch_mates_or_chunks():
    query = torch.randn(50, 1, generator=torch.Generator().manual_seed(0)) * 3
    whole = drawn(query, draws=3)
    alone = torch.stack([drawn(one, draws=3) for one in query], 1)
    assert torch.equal(whole, alone)
    with settings.use(budget=1):
        assert torch.equal(drawn(query, draws=3), whole)


def test_one_draw_is_the_first_of_several_and_seeds_differ():
    query = torch.randn(200, 1, generator=torch.Generator().manual_seed(0))
    assert torch.equal(drawn(query), drawn(query, draws=4)[0])
    several = drawn(query, draws=2)
    assert not torch.equal(several[0], several[1])
    assert not torch.equal(drawn(query), drawn(query, seed=1))


def test_hidden_coordinates_have_no_part_in_a_draw():
    keys = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    query = torch.randn(30, 3, generator=torch.Generator().manual_seed(1))
    known = torch.tensor([True, False, True])
    given = (keys, keys, closeness, Softmax(0.5))
    first = functional.draw(query, *given, known=known, seed=0)
    other = torch.where(known, query, 100.0)
    assert torch.equal(functional.draw(other, *given, known=known, seed=0), first)


def test_no_weight_reads_zeros():
    query = torch.ones(2, 2)
    nothing = functional.draw(query, torch.eye(2), torch.eye(2), dot, Step(5.0), seed=0, draws=3)
    assert nothing.shape == (3, 2, 2)
    assert not nothing.any()
    empty = torch.empty(0, 2)
    assert functional.draw(query, empty, empty, dot, Softmax(1.0), seed=0).tolist() == [[0, 0]] * 2
    hidden = torch.zeros(2, dtype=torch.bool)
    given = (query, torch.eye(2), torch.eye(2), dot, Softmax(1.0), hidden)
    assert not functional.draw(*given, seed=0).any()


def test_packed_keys_and_values():
    keys = bits.random(20, 64, seed=0)
    packed = bits.Packed(bits.pack(keys), 64)
    for stored in (keys, packed):
        found = functional.draw(keys, stored, packed, agreement, Softmax(2.0), seed=0)
        assert torch.equal(found, keys)


def test_negative_weights_are_refused():
    with pytest.raises(InputError, match="separation must be a rule whose weights"):
        functional.draw(-torch.ones(2), torch.eye(2), torch.eye(2), dot, Linear(), seed=0)


def test_values_that_the_dtype_cannot_hold_are_refused():
    values = torch.tensor([[1e300], [1e300]], dtype=torch.float64)
    with pytest.raises(InputError, match="values must be finite"):
        functional.draw(torch.ones(2), torch.eye(2), values, dot, Softmax(1.0), seed=0)


@given(st.lists(st.floats(0, 1e30), min_size=1, max_size=9), st.floats(0, 1, exclude_max=True))
def test_inverse_of_cumulated_weights_is_a_walk(weights, chance):
    """The first place at which the walk along the weights is past the share, and never beyond."""
    from kanerva._engine.draws import pick

    summed = torch.tensor(weights, dtype=torch.float64).cumsum(0)
    start = torch.zeros((), dtype=torch.int64)
    place = pick(summed[None], start, torch.tensor(chance, dtype=torch.float64)).item()
    if summed[-1] == 0:
        assert place == -1
    else:
        assert weights[place] > 0
        assert summed[place] > chance * summed[-1] or place == int(
            torch.tensor(weights).nonzero()[-1]
        )
