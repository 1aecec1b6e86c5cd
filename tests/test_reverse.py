"""Locations read backwards, from values to keys: against loops over the definition, and theory."""

import math

import numpy as np
import pytest
import torch

import kanerva
from kanerva import Locations, bits, separation, settings
from kanerva._engine import reverse
from kanerva.activation import Identity, Sign


def near(n, radius):
    return separation.Step(n - radius)


def backwards(memory, values):
    """Sum the addresses by loops over the definition, in NumPy."""
    addresses, counters = memory.keys[:].numpy(), memory.values.numpy().astype(np.float64)
    sums = np.zeros((len(values), memory.dim))
    for row, value in enumerate(values.numpy()):
        for address, counter in zip(addresses, counters, strict=True):
            sums[row] += (counter * value).sum() * address
    return sums


def paired(pairs, n=64, value_bits=40, locations=500, **more):
    """Build a memory of random locations, and write random pairs to it."""
    rule = near(n, round(0.4 * n))
    memory = Locations(bits.random(locations, n, seed=0), value_bits, separation=rule, **more)
    keys, values = bits.random(pairs, n, seed=1), bits.random(pairs, value_bits, seed=2)
    memory.write(keys, values)
    return memory, keys, values


@pytest.mark.parametrize(
    ("n", "value_bits"),
    [(64, 40), (33, 64), (100, 7), (5, 1)],
)
@pytest.mark.parametrize("counters", [torch.int16, torch.float32])
def test_addresses_of_values_by_hand(n, value_bits, counters):
    memory, _, values = paired(6, n, value_bits, counters=counters)
    values = torch.cat([values, bits.random(3, value_bits, seed=3)])
    sums, found = backwards(memory, values), memory.addresses_of(values).numpy()
    assert (found[sums != 0] == np.sign(sums)[sums != 0]).all()
    assert (abs(found) == 1).all()


@pytest.mark.parametrize("engine", ["torch", "numpy", "numba"])
def test_addresses_depend_neither_on_the_engine_nor_on_the_budget(engine):
    memory, _, values = paired(30, locations=100)
    found = memory.addresses_of(values)
    assert memory.addresses_of(values.reshape(5, 3, 2, 40)).shape == (5, 3, 2, 64)
    assert memory.addresses_of(values[:0]).shape == (0, 64)
    for budget in (1, 2**16, 2**28):
        with settings.use(budget=budget, engine=engine):
            assert torch.equal(memory.addresses_of(values[:9]), found[:9])
            assert torch.equal(memory.addresses_of(values[7]), found[7])


@pytest.mark.untyped
@pytest.mark.parametrize("counters", [torch.int32, torch.float64])
def test_addresses_do_not_depend_on_other_values(counters):
    """Counters of tenths cancel up to rounding, which depends on the order of a sum."""
    memory, _, values = paired(40, value_bits=64, locations=3000, counters=counters)
    if counters.is_floating_point:
        draw = torch.Generator().manual_seed(0)
        memory.counters.copy_(torch.randn(3000, 65, generator=draw).double().round() / 10)
    values = torch.cat([values, bits.random(400, 64, seed=3)])
    with settings.use(budget=2**18):
        alone = torch.stack([memory.addresses_of(value) for value in values])
        assert torch.equal(memory.addresses_of(values), alone)


def test_addresses_are_unpacked_within_the_budget(monkeypatch):
    memory, _, values = paired(10, locations=20_000)
    blocks, real = [], reverse.numbers
    monkeypatch.setattr(reverse, "numbers", lambda *a: blocks.append(len(a[0])) or real(*a))
    with settings.use(budget=2**20):
        memory.addresses_of(values)
    assert sum(blocks) == 20_000
    assert 8 * (64 + 41) * max(blocks) <= 2**20


@pytest.mark.parametrize(
    ("tie", "expected"), [("plus", 1.0), ("minus", -1.0), ("keep", None), ("random", None)]
)
def test_a_tied_sum_of_addresses_is_decided_as_a_tied_read(tie, expected):
    """Two locations that are opposite, with the same counters, cancel in every bit."""
    places = bits.random(1, 64, seed=0)
    rule = {"separation": near(64, 64), "activation": Sign(tie)}
    memory = Locations(torch.cat([places, -places]), **rule)
    value = bits.random(1, 64, seed=1)
    memory.write(value)
    found = memory.addresses_of(value)
    wanted = Sign(tie)(torch.zeros(1, 64), value) if expected is None else expected
    assert (found == wanted).all()


def test_where_no_counter_agrees_there_is_no_address():
    value = bits.random(3, 64, seed=1)
    for empty, expected in (("zero", torch.zeros(3, 64)), ("keep", value)):
        memory = Locations(bits.random(9, 64, seed=0), separation=near(64, 64), empty=empty)
        assert torch.equal(memory.addresses_of(value), expected)


def test_real_values_have_addresses_too():
    rule = {"separation": near(64, 26), "activation": Identity(), "counters": torch.float64}
    memory = Locations(bits.random(2000, 64, seed=0), 3, **rule)
    keys = bits.random(2, 64, seed=1)
    values = torch.tensor([[0.5, -2.0, 7.0], [2.0, 0.5, 0.0]])
    memory.write(keys, values)
    sums = torch.from_numpy(backwards(memory, values)).float()
    found = memory.addresses_of(values)
    assert torch.equal(found, sums.sign())
    assert (bits.hamming(found, keys) < 8).all()


@pytest.mark.parametrize("pairs", [10, 50, 100, 200])
def test_keys_of_values_are_as_near_as_theory_says(pairs):
    """Signal and noise of one bit of the sum, with random keys and values .

    A location is active with probability p, and a bit of an active one has the mean c. Noise: other
    values agree by chance, sd sqrt(e) each; the bits of finitely many locations, sd
    sqrt(e^2 (1 - c^2) + (M - 1) e).
    """
    n, locations, radius = 256, 10_000, 110
    ball = [math.comb(n, d) for d in range(radius + 1)]
    p, c = sum(ball) / 2**n, sum(b * (1 - 2 * d / n) for d, b in enumerate(ball)) / sum(ball)
    drawn = locations * p * (n**2 * (1 - c**2) + (pairs - 1) * n)
    noise = math.sqrt(drawn + (pairs - 1) * n * (locations * p * c) ** 2)
    wrong = n / 2 * math.erfc(locations * p * c * n / noise / math.sqrt(2))
    means = []
    for seed in range(3):
        memory = kanerva.sdm(n, locations, radius, seed=seed)
        keys, values = bits.random(2 * pairs, n, seed=seed + 1).split(pairs)
        memory.write(keys, values)
        found = memory.addresses_of(values)
        distances = bits.hamming(found[:, None], keys)
        assert torch.equal(distances.argmin(-1), torch.arange(pairs))
        means.append(distances.diagonal().float().mean().item())
        never = memory.addresses_of(bits.random(50, n, seed=seed + 100))
        assert bits.hamming(never[:, None], keys).float().mean() == pytest.approx(n / 2, abs=2)
    assert sum(means) / 3 == pytest.approx(wrong, abs=2)


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("values", "argument"),
    [
        (torch.ones(2, 39), "values"),
        (torch.zeros(2, 40), "values"),
        (torch.ones(2, 40, dtype=torch.float64), "values"),
        (torch.tensor(1.0), "values"),
        (None, "values"),
    ],
)
def test_addresses_of_something_else_are_refused(values, argument):
    memory, _, _ = paired(3)
    with pytest.raises(kanerva.InputError, match="values must be") as error:
        memory.addresses_of(values)
    assert (error.value.function, error.value.argument) == ("Locations.addresses_of", argument)


def test_other_memories_have_no_addresses_of_values():
    value = bits.random(1, 8, seed=0)
    for memory in (kanerva.sdm_continuous(8, 50, 3), kanerva.willshaw(8)):
        with pytest.raises(kanerva.InputError, match="memory must be one whose addresses are"):
            memory.addresses_of(value)
    memory = Locations(bits.random(9, 8, seed=0), separation=near(8, 8), empty="raise")
    with pytest.raises(kanerva.InputError, match="values must be such that some counters agree"):
        memory.addresses_of(value)
    rule = {"separation": near(8, 8), "activation": Identity(), "counters": torch.float64}
    memory = Locations(bits.random(9, 8, seed=0), 1, **rule).double()
    memory.write(
        bits.random(1, 8, seed=1, dtype=torch.float64),
        torch.full((1, 1), 1e200, dtype=torch.float64),
    )
    with pytest.raises(kanerva.InputError, match="values must be of sums within float64"):
        memory.addresses_of(torch.full((1,), 1e200, dtype=torch.float64))
