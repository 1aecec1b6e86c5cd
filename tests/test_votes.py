"""Reads of bits against whole-number arithmetic: the signs of sums, ties included."""

import functools
import itertools
from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch

import kanerva
from kanerva import Patterns, activation, bits, similarity
from kanerva.separation import Circle, Difference, Exponential, Linear, Power, Softmax

N = 64


def gains(order):
    """Return F(s + 1) - F(s - 1) for F = [s]_+^order, as an exact integer."""
    return lambda s: max(s + 1, 0) ** order - max(s - 1, 0) ** order


def exact(keys, query, gain):
    """Read one query by whole numbers: each bit by the scores from which it is left out."""
    rows, bit = np.array(keys.tolist(), dtype=int), np.array(query.tolist(), dtype=int)
    scores, read, ties = rows @ bit, [], 0
    # Of Python's integers, which have any number of digits.
    gained = np.array([gain(score) for score in range(-len(bit), len(bit) + 1)], dtype=object)
    for j in range(len(bit)):
        others = scores - bit[j] * rows[:, j]
        total = rows[:, j].astype(object) @ gained[others + len(bit)]
        ties += total == 0
        read.append(int(bit[j]) if total == 0 else 1 if total > 0 else -1)
    return read, ties


def cues(memory, count, flipped, seed):
    memory.write(bits.random(count, N, seed=seed).to(memory.dtype))
    return bits.flip(memory.keys[:20], flipped, seed=13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("order", [2, 3, 4, 7, 30])
@pytest.mark.parametrize("count", [2, 41, 300])
def test_powers_are_whole_numbers(order, count, dtype):
    memory = kanerva.dense(N, order, dtype=dtype)
    query = cues(memory, count, 22, seed=1006)
    together = memory.read(query)
    alone = torch.stack([memory.read(one) for one in query])
    rows = [exact(memory.keys, one, gains(order)) for one in query]
    expected = torch.tensor([row for row, _ in rows], dtype=dtype)
    assert torch.equal(together, alone)
    assert torch.equal(together, expected)
    assert order > 2 or count < 300 or sum(ties for _, ties in rows) > 2


def test_hebbian_sums_beyond_the_digits_of_float32():
    memory = kanerva.hopfield(N)
    memory.write(bits.random(3, N, seed=0).repeat(2**17, 1))
    query = bits.flip(memory.keys[:3], 10, seed=1)
    few = kanerva.hopfield(N)
    few.write(memory.keys[:3])
    # 2^17 copies of each pattern weigh like one, but for the self-coupling of none.
    assert torch.equal(memory.read(query), few.read(query))


@pytest.mark.parametrize(
    ("rule", "similar"),
    [
        (Softmax(0.3), similarity.dot),
        (Circle(N, 25), similarity.agreement),
        (Difference(Exponential(0.4)), similarity.dot),
        (Difference(Power(2.5)), similarity.dot),
        (Power(4), similarity.dot),
        (Linear(), similarity.agreement),
    ],
)
@pytest.mark.parametrize("storage", [None, "bits"])
def test_opposite_patterns_tie(rule, similar, storage):
    """Two keys equally near to the query that disagree on a bit leave that bit as it is."""
    generator = torch.Generator().manual_seed(0)
    far = bits.random(400, N, seed=5)
    base = bits.random(1, N, seed=7)
    # Every key has a mirror image, by exchanging the places of two halves that the query shares.
    half = torch.randperm(N, generator=generator)
    query = base.clone()
    query[:, half[32:]] = query[:, half[:32]]
    mirror = far.clone()
    mirror[:, half[:32]], mirror[:, half[32:]] = far[:, half[32:]], far[:, half[:32]]
    memory = Patterns(
        N, similarity=similar, separation=rule, activation=activation.Sign("keep"), storage=storage
    )
    memory.write(torch.cat([far, mirror]))
    # The read of a symmetric memory is symmetric.
    read = memory.read(query)[0]
    assert torch.equal(read[half[:32]], read[half[32:]])


def test_masks_take_part_in_ties():
    memory = kanerva.dense(N, 3)
    query = cues(memory, 50, 20, seed=3)
    kept = torch.arange(50) % 3 > 0
    part = kanerva.dense(N, 3)
    part.write(memory.keys[kept])
    expected = part.read(query)
    assert torch.equal(memory.read(query, mask=kept), expected)
    added = torch.where(kept, 0.0, -torch.inf)
    assert torch.equal(memory.read(query, mask=added), expected)


def test_a_read_of_an_exact_tie_returns_the_query():
    memory = kanerva.dense(4, 3)
    memory.write(torch.tensor([[1.0, 1, 1, 1], [-1, 1, 1, 1]]))
    for first in (1.0, -1.0):
        assert memory.read(torch.tensor([first, -1, 1, 1])).tolist() == [first, 1, 1, 1]


@functools.cache
def exponentials(beta, n):
    """Return F(s) = exp(beta s) of the scores of n - 1 bits, to 400 digits."""
    with localcontext() as digits:
        digits.prec = 400
        return {score: (Decimal(beta) * score).exp() for score in range(1 - n, n, 2)}


def exact_exponential(keys, query, beta):
    """Return the sums that decide the bits of one query, to 400 digits; zero is a tie."""
    keys, bit, sums = keys.long(), query.long(), []
    scores, gain = keys @ bit, exponentials(beta, len(query))
    with localcontext() as digits:
        digits.prec = 400
        for j in range(len(bit)):
            others = (scores - keys[:, j] * bit[j]).tolist()
            pairs = zip(keys[:, j].tolist(), others, strict=True)
            total = sum(key * gain[score] for key, score in pairs)
            # Equal patterns on both sides leave the rounding of the last digits.
            sums.append(0 if abs(total) < Decimal(10) ** -350 else total)
        return sums


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("beta", [0.1, 0.3, 0.05, 1 / 3])
def test_exponential_ties_keep_the_bit(beta, dtype):
    every = torch.tensor(list(itertools.product((1.0, -1.0), repeat=4)), dtype=dtype)
    sets = [every, *(bits.random(count, 6, seed=count).to(dtype) for count in (2, 3, 4, 5))]
    ties = 0
    for keys in sets:
        memory = kanerva.exponential(keys.shape[1], beta, dtype=dtype)
        memory.write(keys)
        query = bits.random(6, keys.shape[1], seed=9).to(dtype)
        found = memory.read(query)
        for one, read in zip(query, found, strict=True):
            sums = exact_exponential(keys, one, beta)
            signs = [
                old if total == 0 else 1 if total > 0 else -1
                for old, total in zip(one, sums, strict=True)
            ]
            assert read.tolist() == [float(sign) for sign in signs]
            ties += sum(total == 0 for total in sums)
    assert ties > 20


@pytest.mark.parametrize("empty", ["zero", "keep", "raise"])
def test_a_query_without_any_weight_follows_the_policy_of_the_memory_not_that_of_ties(empty):
    query = torch.tensor([1.0, -1, 1, 1])
    opposite, orthogonal = -query, query * torch.tensor([1.0, 1, -1, -1])
    cases = (
        (kanerva.sdm_patterns(4, 1, empty=empty), opposite),
        (kanerva.hopfield(4, diagonal="kept", empty=empty), orthogonal),
        (kanerva.dense(4, 3, empty=empty), None),
    )
    for memory, key in cases:
        if key is not None:
            memory.write(key)
        assert not memory.weights(query).any()
        if empty == "raise":
            with pytest.raises(kanerva.InputError, match="near something that is stored"):
                memory.read(query)
        else:
            assert torch.equal(memory.read(query), query if empty == "keep" else 0 * query)
    # A rule that compares both values of a bit has a tie in place of no weight.
    memory = kanerva.dense(4, 3, empty=empty)
    memory.write(opposite)
    assert not memory.weights(query).any()
    assert torch.equal(memory.read(query), query)


def test_votes_that_all_cancel_are_a_tie():
    pattern = bits.random(1, 256, seed=0)[0]
    memory = kanerva.sdm_patterns(256, radius=64)
    memory.write(torch.stack([pattern, -pattern]))
    between = pattern.clone()
    between[:128] *= -1
    assert memory.read(between).abs().eq(1).all()
