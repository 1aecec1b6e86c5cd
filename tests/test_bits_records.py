"""Binding, bundles and rotations: their laws, their counts, ties, and bad input."""

import itertools
import math

import pytest
import torch

from kanerva import InputError, InputTypeError, bits


def test_binding_is_the_exclusive_or_and_undoes_itself():
    a, b = bits.random(5, 64, seed=0), bits.random(5, 64, seed=1)
    assert torch.equal(bits.bind(a, b), bits.from_binary(bits.to_binary(a) == bits.to_binary(b)))
    xor = bits.pack(a) ^ bits.pack(b)
    assert torch.equal(bits.pack(bits.bind(a, b)), ~xor)
    assert torch.equal(bits.bind(a, bits.bind(a, b)), b)
    assert torch.equal(bits.bind(a, b), bits.bind(b, a))
    # Distances stay what they were.
    assert torch.equal(bits.hamming(bits.bind(a, b), bits.bind(a[:1], b)), bits.hamming(a, a[:1]))
    assert bits.bind(a[:, None], b).shape == (5, 5, 64)
    assert torch.equal(bits.bind(a[:, None], b)[2, 3], a[2] * b[3])
    assert bits.bind(a.half(), b.half()).dtype == torch.float16


def test_bundles_are_majorities():
    for count in (1, 2, 3, 4, 5):
        every = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=count))).T  # count, 2^count
        bundle = bits.bundle(every, seed=0)
        for column, bit in zip(every.T.tolist(), bundle.tolist(), strict=True):
            ones, zeros = column.count(1.0), column.count(-1.0)
            assert bit in (-1.0, 1.0)
            assert ones == zeros or bit == (1.0 if ones > zeros else -1.0)
    # An odd number is what majority gives, whatever the seeds.
    x = bits.random(7, 300, seed=2)
    assert torch.equal(bits.bundle(x, seed=0), bits.majority(x, seed=9))
    assert torch.equal(bits.bundle(x, seed=0), bits.bundle(x, seed=1))
    assert torch.equal(bits.bundle(x), bits.bundle(x, seed=1))
    assert torch.equal(bits.bundle(x.reshape(1, 7, 300)), bits.bundle(x, seed=1)[None])


def test_ties_depend_on_the_bundle_and_the_seed_alone():
    x = bits.random(40, 500, seed=0).reshape(10, 4, 500)
    whole = bits.bundle(x, seed=3)
    assert torch.equal(whole, bits.bundle(x.flip(1), seed=3))
    assert torch.equal(whole[4], bits.bundle(x[4], seed=3))
    tied = x.sum(1) == 0
    assert torch.equal(whole[~tied], bits.bundle(x, seed=4)[~tied])
    assert not torch.equal(whole[tied], bits.bundle(x, seed=4)[tied])
    # Coins are fair, and those of different bundles independent: within five standard deviations.
    pairs = bits.bundle(bits.random(400, 512, seed=5).reshape(200, 2, 512), seed=0)
    assert abs(pairs.mean().item()) < 5 / math.sqrt(pairs.numel())
    alike = (pairs @ pairs.T / 512)[~torch.eye(200, dtype=torch.bool)]
    assert abs(alike.mean().item()) < 5 / math.sqrt(512 * 200 * 199 / 2)


def test_sums_of_half_precision_are_exact():
    # 2049 and 257 votes are beyond the whole numbers of these dtypes.
    for dtype, count in ((torch.float16, 4099), (torch.bfloat16, 515)):
        x = torch.ones(count, 3, dtype=dtype)
        x[: count // 2 + 1, 1] = -1
        x[: count // 2, 2] = -1
        assert bits.bundle(x, seed=0).tolist() == [1.0, -1.0, 1.0]
        assert bits.bundle(x, seed=0).dtype == dtype


@pytest.mark.parametrize("pairs", [3, 9, 21])
def test_a_filler_agrees_as_the_closed_form_says(pairs):
    n, records = 4096, 30
    roles = bits.random(records * pairs, n, seed=0).reshape(records, pairs, n)
    fillers = bits.random(records * pairs, n, seed=1).reshape(records, pairs, n)
    record = bits.bundle(bits.bind(roles, fillers), seed=0)
    read = bits.bind(record[:, None], roles)
    agree = 1 - bits.hamming(read, fillers).double().mean() / n
    half = (pairs - 1) // 2
    expected = 0.5 + math.comb(pairs - 1, half) / 2**pairs
    assert agree.item() == pytest.approx(expected, abs=4 / math.sqrt(records * n))


def test_rotations_turn_back_and_keep_distances():
    x, y = bits.random(4, 100, seed=0), bits.random(4, 100, seed=1)
    for times in (-250, -1, 0, 1, 7, 100):
        turned = bits.permute(x, times)
        assert torch.equal(turned, x[:, [(j - times) % 100 for j in range(100)]])
        assert torch.equal(bits.permute(turned, -times), x)
        assert torch.equal(bits.hamming(turned, bits.permute(y, times)), bits.hamming(x, y))
        bound = bits.bind(turned, bits.permute(y, times))
        assert torch.equal(bound, bits.permute(bits.bind(x, y), times))
        odd = bits.bundle(x[:3], seed=0)
        assert torch.equal(bits.permute(odd, times), bits.bundle(turned[:3], seed=0))
    assert torch.equal(bits.permute(x), x.roll(1, -1))


@pytest.mark.untyped
def test_bad_input_is_refused():
    x = bits.random(3, 8, seed=0)
    calls = {
        "bind": (lambda bad: bits.bind(bad, x), lambda bad: bits.bind(x, bad)),
        "bundle": (lambda bad: bits.bundle(bad, seed=0),),
        "permute": (bits.permute,),
    }
    for name, functions in calls.items():
        for call in functions:
            for bad in (x * 0.5, x * 0, x * torch.nan, x.long(), x > 0, None, [1.0, -1.0]):
                with pytest.raises(InputError) as raised:
                    call(bad)
                assert raised.value.function == f"bits.{name}"
                assert raised.value.argument in ("a", "b", "x")
    with pytest.raises(InputError, match="b must be of a shape that broadcasts"):
        bits.bind(x, x[:2])
    with pytest.raises(InputError, match="b must be a floating tensor of shape"):
        bits.bind(x, x[:, :4])
    with pytest.raises(InputTypeError, match=r"b must be torch\.float32"):
        bits.bind(x, x.double())
    for bad in (x[0], x[:0]):
        with pytest.raises(InputError, match="x must be of shape"):
            bits.bundle(bad, seed=0)
    for seed in (-1, 0.5, True):
        with pytest.raises(InputError, match="seed must be"):
            bits.bundle(x, seed=seed)
    for even in (x[:2], x[:2].expand(3, 2, 8)):
        with pytest.raises(InputTypeError) as raised:
            bits.bundle(even)
        assert str(raised.value) == (
            "bits.bundle: seed must be an integer >= 0 for 2 vectors, an even number that can tie, "
            "but it was None (NoneType); give one, such as seed=0."
        )
    for times in (0.5, None, True, 2**40):
        with pytest.raises(InputError, match="times must be"):
            bits.permute(x, times)
