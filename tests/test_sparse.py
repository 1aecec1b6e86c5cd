"""Memories for sparse codes, against closed forms and against matrices built by hand."""

import math

import pytest
import torch

import kanerva
from kanerva import InputError, activation, bits, check
from kanerva.theory import capacity


def codes(count, n, ones, seed=0):
    """Draw codes of -1/+1 with so many +1."""
    draw = torch.rand(count, n, generator=torch.Generator().manual_seed(seed))
    return torch.where(draw.argsort(-1) < ones, 1.0, -1.0)


def exact(found, expected):
    return (found == expected).all(-1).float().mean().item()


MEMORIES = {
    "willshaw": lambda n, k: kanerva.willshaw(n),
    "willshaw winners": lambda n, k: kanerva.willshaw(n, winners=k),
    "covariance": lambda n, k: kanerva.covariance(n, k / n),
    "covariance winners": lambda n, k: kanerva.covariance(n, k / n, winners=k),
}


@pytest.mark.parametrize("name", MEMORIES)
def test_codes_come_back(name):
    """100 codes of 400 bits with 20 on; memories for balanced bits recall none of them."""
    x = codes(100, 400, 20)
    memory = MEMORIES[name](400, 20)
    memory.write(x)
    # The field of the covariance rule is noise of 2.07 around values 8 to 10 from the threshold.
    wrong = 0 if name != "covariance" else 4
    assert int((memory.read(x) != x).sum()) <= wrong
    if "winners" in name:
        assert exact(memory.recall(bits.flip(x, 20, seed=1)), x) == 1.0


def test_memories_for_balanced_bits_lose_sparse_codes():
    x = codes(100, 400, 20)
    for memory in (kanerva.hopfield(400), kanerva.dense(400, 3), kanerva.sdm(400, 2000, 175)):
        memory.write(x)
        assert exact(memory.recall(x), x) == 0


@pytest.mark.parametrize("name", MEMORIES)
@pytest.mark.parametrize("law", check.CHECKS, ids=lambda law: law.__name__)
@pytest.mark.untyped
def test_laws_on_sparse_codes(law, name):
    memory, x = MEMORIES[name](100, 8), codes(check._sample.STORED, 100, 8)
    law(check.Sample(memory, x, None, bits.flip(x, 4, seed=3)))


# Clipped sums


def test_clipped_sums_by_hand():
    keys, values = codes(60, 50, 6), codes(60, 30, 4, seed=1)
    memory = kanerva.willshaw(50, value_bits=30)
    memory.write(keys[:25], values[:25])
    memory.write(keys[25:], values[25:])
    on = (bits.to_binary(keys).T @ bits.to_binary(values)).clamp(max=1)
    assert torch.equal(memory.counters[:, :-1] + 1, on.to(torch.int8))
    assert memory.fill == pytest.approx(on.double().mean().item(), abs=1e-12)
    cue = bits.flip(keys, 3, seed=2)
    active = bits.to_binary(cue)
    expected = bits.from_binary(active @ on >= active.sum(-1, keepdim=True))
    assert torch.equal(memory.read(cue), expected)
    # A read is the activation of the weighted sum of values, as of every memory.
    field = memory.weights(cue) @ memory.values.float()
    assert torch.equal(activation.Sign("plus")(field, field), expected)
    assert torch.equal(memory.pattern_weights(cue, keys), (active @ bits.to_binary(keys).T).float())


def test_fill_and_spurious_ones_are_those_of_theory():
    """A share of n^2 connections, whose rows of k are on at once; means over 16 draws."""
    n, k, count, draws = 150, 8, 220, 16
    fills, wrong = [], []
    for seed in range(draws):
        memory = kanerva.willshaw(n, value_bits=n)
        keys, values = codes(count, n, k, 2 * seed), codes(count, n, k, 2 * seed + 1)
        memory.write(keys, values)
        fills.append(memory.fill)
        read = memory.read(keys)
        assert (read[values > 0] == 1).all()  # no one is ever missing
        wrong.append((read != values).sum(-1).double().mean().item())
    for found, expected in (
        (fills, capacity.fill(n, k, count)),
        (wrong, capacity.spurious(n, k, count)),
    ):
        found = torch.tensor(found, dtype=torch.float64)
        error = float(found.std()) / math.sqrt(draws)
        assert abs(float(found.mean()) - expected) < 4 * error


def test_values_of_their_own_have_the_spurious_ones_of_theory():
    n, k, count, draws = 150, 8, 220, 16
    wrong = []
    for seed in range(draws):
        memory, x = kanerva.willshaw(n), codes(count, n, k, seed)
        memory.write(x)
        wrong.append((memory.read(x) != x).sum(-1).double().mean().item())
    found = torch.tensor(wrong, dtype=torch.float64)
    expected = capacity.spurious(n, k, count, autoassociative=True)
    assert abs(float(found.mean()) - expected) < 4 * float(found.std()) / math.sqrt(draws)


def test_a_part_of_a_code_is_enough():
    x = codes(100, 400, 20)
    memory = kanerva.willshaw(400)
    memory.write(x)
    half = torch.where((x > 0).cumsum(-1) > 10, -1.0, x)
    assert (half > 0).sum(-1).unique().tolist() == [10]
    assert exact(memory.read(half), x) > 0.9


def test_clipped_sums_are_not_taken_back():
    memory, x = kanerva.willshaw(40), codes(5, 40, 4)
    memory.write(x)
    with pytest.raises(InputError, match="clear the memory"):
        memory.forget(x)
    memory.clear()
    assert memory.fill == 0
    assert not memory.read(x).any()


# The covariance rule


@pytest.mark.parametrize("value_bits", [None, 30])
@pytest.mark.parametrize("masked", [False, True])
def test_covariance_by_hand(value_bits, masked):
    n, f, g = 50, 0.12, 0.3
    keys, width = codes(60, n, 6), value_bits or n
    values = keys if value_bits is None else codes(60, width, 9, seed=1)
    g = f if value_bits is None else g
    memory = kanerva.covariance(n, f, value_bits, value_activity=g, threshold=0.25)
    memory.write(keys, values)
    a, v = bits.to_binary(keys).double() - f, bits.to_binary(values).double() - g
    matrix = a.T @ v
    torch.testing.assert_close(memory.values, matrix, rtol=0, atol=1e-10)
    if value_bits is None:
        matrix.fill_diagonal_(0)
    cue = bits.flip(keys, 3, seed=2)
    source = bits.to_binary(cue).double() - f
    mask = torch.rand(60, n, generator=torch.Generator().manual_seed(0)) < 0.7 if masked else None
    source = source if mask is None else source * mask
    expected = torch.where(source @ matrix >= 0.25, 1.0, -1.0)
    assert torch.equal(memory.read(cue, mask), expected)


def test_counts_are_taken_back_exactly():
    memory, x = kanerva.covariance(60, 0.1), codes(30, 60, 6)
    memory.write(x[:20])
    before = {name: part.clone() for name, part in memory.state_dict().items()}
    memory.write(x[20:])
    memory.forget(x[20:])
    assert all(torch.equal(part, before[name]) for name, part in memory.state_dict().items())


def test_the_threshold_makes_fewer_errors_than_others():
    """Theta of the formula, half a noise below and half above it."""
    n, count, k = 600, 900, 30
    f, x = 0.05, codes(count, n, k)
    best = kanerva.covariance(n, f)
    best.write(x)
    spread = (f * (1 - f)) ** 1.5 * math.sqrt(n * count)
    theta = n * f * (1 - f) * (0.5 - f) + count * (f * (1 - f)) ** 2 * math.log((1 - f) / f)
    wrong = [int((best.read(x) != x).sum())]
    for shift in (-0.5, 0.5):
        other = kanerva.covariance(n, f, threshold=theta + shift * spread)
        other.write(x)
        wrong.append(int((other.read(x) != x).sum()))
    assert wrong[0] < min(wrong[1:])


def test_errors_of_one_read_are_those_of_gaussian_noise():
    """Independent values: signal n f (1 - f), noise n M (f (1 - f))^2 g (1 - g).

    Keys have exactly f n ones, which leaves out a share 1 / n of the noise.
    """
    n, k, f = 1000, 50, 0.05
    wrong, expected, count = [], 0.0, 3000
    for seed in range(2):
        memory = kanerva.covariance(n, f, value_bits=500)
        keys, values = codes(count, n, k, seed), codes(count, 500, 25, seed + 100)
        memory.write(keys, values)
        read = memory.read(keys)
        wrong.append((read != values).double().mean().item())
    variance = f * (1 - f)
    signal, noise = n * variance, math.sqrt(n * count) * variance**1.5
    theta = signal * (0.5 - f) + count * variance**2 * math.log((1 - f) / f)
    missed = math.erfc(((1 - f) * signal - theta) / noise / math.sqrt(2)) / 2
    added = math.erfc((f * signal + theta) / noise / math.sqrt(2)) / 2
    expected = f * missed + (1 - f) * added
    assert sum(wrong) / 2 == pytest.approx(expected, rel=0.05)


def test_capacity_of_the_covariance_rule():
    """Below the capacity of the replica method a read comes to rest near the code, above it not."""
    n, f, overlap = 500, 0.05, {}
    most = capacity.covariance(n, f)
    for load in (0.8, 2.0):
        x = codes(round(load * most), n, 25)
        memory = kanerva.covariance(n, f)
        memory.write(x)
        on, truth = memory.recall(x[:20], steps=20) > 0, x[:20] > 0
        overlap[load] = ((on & truth).sum(-1) / 25 - (on & ~truth).sum(-1) / 475).mean().item()
    assert overlap[0.8] > 0.94
    assert overlap[2.0] < 0.55


# Bad input


@pytest.mark.parametrize(
    ("build", "argument"),
    [
        (lambda: kanerva.willshaw(0), "bits"),
        (lambda: kanerva.willshaw(10, winners=11), "winners"),
        (lambda: kanerva.willshaw(10, value_bits=4, winners=5), "winners"),
        (lambda: kanerva.willshaw(10, value_bits=0), "value_bits"),
        (lambda: kanerva.willshaw(10, tie="plus"), "keyword"),
        (lambda: kanerva.covariance(10, 0.0), "activity"),
        (lambda: kanerva.covariance(10, 1.0), "activity"),
        (lambda: kanerva.covariance(10, "few"), "activity"),
        (lambda: kanerva.covariance(10, 0.1, value_activity=2.0), "value_activity"),
        (lambda: kanerva.covariance(10, 0.1, threshold=math.nan), "threshold"),
        (lambda: activation.Winners(0), "count"),
    ],
)
@pytest.mark.untyped
def test_bad_arguments(build, argument):
    with pytest.raises(InputError) as caught:
        build()
    assert caught.value.argument == argument


def test_codes_of_zero_and_one_get_the_hint():
    for memory in (kanerva.willshaw(4), kanerva.covariance(4, 0.25)):
        with pytest.raises(InputError, match="from_binary"):
            memory.write(torch.tensor([0.0, 1.0, 0.0, 0.0]))


def test_winners_of_equal_fields_are_the_first():
    field = torch.tensor([[1.0, 2.0, 1.0], [0.0, 0.0, 0.0]])
    found = activation.Winners(2)(field, torch.zeros(2, 3))
    assert found.tolist() == [[1.0, 1.0, -1.0], [1.0, 1.0, -1.0]]
