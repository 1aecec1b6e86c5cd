"""Correlations of gates, against Pearson's of SciPy, pair by pair and vector by vector."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats

from kanerva import InputError, nn


def gates(blocks=4, samples=6, channels=9, seed=0):
    source = torch.Generator().manual_seed(seed)
    common = torch.randn(samples, channels, generator=source, dtype=torch.float64)
    own = torch.randn(blocks, samples, channels, generator=source, dtype=torch.float64)
    return (common + own).sigmoid()


def vectors(maps, over):
    """Return the vectors of one block that are compared, in a list."""
    if over == "both":
        return [maps.numpy().ravel()]
    return list(maps.numpy() if over == "channels" else maps.numpy().T)


def by_hand(first, second, over):
    """Return the mean of SciPy's correlation over the pairs of vectors of two blocks."""
    pairs = zip(vectors(first, over), vectors(second, over), strict=True)
    return np.mean([stats.pearsonr(*pair).statistic for pair in pairs])


@pytest.mark.parametrize("over", ["channels", "samples", "both"])
def test_every_entry_is_the_correlation_of_scipy(over):
    maps = gates()
    found = nn.correlation(maps, over)
    for one, other in itertools.product(range(4), repeat=2):
        assert abs(found.matrix[one, other] - by_hand(maps[one], maps[other], over)) < 1e-12
    pairs = list(itertools.combinations(range(4), 2))
    assert abs(found.mean - np.mean([by_hand(maps[a], maps[b], over) for a, b in pairs])) < 1e-12
    near = nn.correlation(maps, over, pairs="adjacent")
    three = [by_hand(maps[a], maps[a + 1], over) for a in range(3)]
    assert abs(near.mean - np.mean(three)) < 1e-12
    assert torch.equal(near.matrix, found.matrix)
    assert found.skipped == near.skipped == 0
    assert found.matrix.dtype == torch.float64


@pytest.mark.parametrize("over", ["channels", "samples", "both"])
@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e6, 1e150, 1e300])
def test_it_depends_on_neither_scale_nor_shift(over, factor):
    maps = gates()
    other = maps * factor * torch.tensor([1, 2, 3, 4]).double()[:, None, None] + factor
    torch.testing.assert_close(
        nn.correlation(other, over).matrix, nn.correlation(maps, over).matrix, rtol=0, atol=1e-11
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_narrow_gates_are_compared_in_float64(dtype):
    maps = gates().to(dtype).requires_grad_()
    found = nn.correlation(maps).matrix
    assert torch.equal(found, nn.correlation(maps.detach().double()).matrix)
    assert not found.requires_grad


def undefined(maps, over):
    """Return the matrix of means and the number of undefined pairs of vectors, by hand."""
    count, matrix = 0, np.full((len(maps), len(maps)), np.nan)
    for a, b in itertools.combinations_with_replacement(range(len(maps)), 2):
        found = []
        for one, other in zip(vectors(maps[a], over), vectors(maps[b], over), strict=True):
            if np.ptp(one) == 0 or np.ptp(other) == 0:
                count += a != b
            else:
                found.append(stats.pearsonr(one, other).statistic)
        if found:
            matrix[a, b] = matrix[b, a] = np.mean(found)
    return matrix, count


@pytest.mark.parametrize("over", ["channels", "samples"])
@pytest.mark.parametrize("number", [0.25, 0.1, 1e-9, 12345.678, 1e8 / 3, 1e30])
def test_undefined_correlations_are_counted_and_left_out(over, number):
    maps = gates()
    maps[1, 2] = number  # one sample whose map is constant
    maps[2, :, 3] = number  # one channel that never varies
    maps[3] = number  # a block with a constant gate
    found = nn.correlation(maps, over)
    matrix, count = undefined(maps, over)
    np.testing.assert_allclose(found.matrix.numpy(), matrix, rtol=0, atol=1e-12)
    assert found.skipped == count > 6
    upper = matrix[np.triu_indices(4, 1)]
    assert abs(found.mean - np.nanmean(upper)) < 1e-12
    assert not math.isnan(found.mean)


def test_a_map_that_varies_by_rounding_alone_is_constant():
    maps = gates(blocks=3)
    maps[0] = 1e8 + 1e-7 * torch.rand(maps[0].shape, generator=torch.Generator().manual_seed(1))
    found = nn.correlation(maps)
    assert found.matrix[0].isnan().all()
    assert found.skipped == 12
    assert math.isclose(found.mean, by_hand(maps[1], maps[2], "channels"), abs_tol=1e-12)


def test_the_null_of_channels_is_zero_but_for_chance():
    source = torch.Generator().manual_seed(0)
    profile = torch.rand(200, generator=source, dtype=torch.float64)
    noise = torch.rand(6, 5, 200, generator=source, dtype=torch.float64)
    maps = profile + 0.1 * noise
    assert nn.correlation(maps).mean > 0.9
    assert abs(nn.correlation(maps, null="channels").mean) < 3 / math.sqrt(200)
    first, again = (nn.correlation(maps, null="channels", seed=3).mean for _ in range(2))
    assert first == again != nn.correlation(maps, null="channels", seed=4).mean


def test_the_null_of_samples_leaves_what_no_input_changes():
    source = torch.Generator().manual_seed(0)
    profile = torch.rand(50, generator=source, dtype=torch.float64)
    inputs = torch.rand(30, 50, generator=source, dtype=torch.float64)
    fixed, driven = profile.expand(3, 30, 50), inputs.expand(3, 30, 50)
    assert nn.correlation(fixed, null="samples").mean > 1 - 1e-12
    assert nn.correlation(driven).mean > 1 - 1e-12
    assert abs(nn.correlation(driven, null="samples").mean) < 0.1
    # Every sample meets one of the others, and each of them once.
    marks = torch.eye(6, dtype=torch.float64)[None].expand(2, 6, 6)
    assert math.isclose(nn.correlation(marks, null="samples").mean, -1 / 5, abs_tol=1e-12)


def test_the_generators_of_torch_are_left_alone():
    before = torch.random.get_rng_state()
    nn.correlation(gates(), null="channels")
    nn.correlation(gates(), null="samples")
    assert torch.equal(before, torch.random.get_rng_state())
    source = torch.Generator().manual_seed(5)
    own = nn.correlation(gates(), null="samples", seed=source).mean
    assert own == nn.correlation(gates(), null="samples", seed=5).mean


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("given", "options", "sentence"),
    [
        (gates(blocks=1), {}, "two blocks or more, but it was of 1"),
        (gates(samples=1), {"over": "samples"}, "two samples or more, but it was of 1"),
        (gates(samples=1), {"null": "samples"}, "two samples or more"),
        (gates(channels=1), {}, "two channels or more"),
        (gates(channels=1), {"over": "samples", "null": "channels"}, "two channels or more"),
        (gates(samples=1, channels=1), {"over": "both"}, "two samples or more"),
        (gates()[:0], {}, "two blocks or more, but it was of 0"),
        (gates()[:, :0], {}, "samples or more"),
        (gates()[0], {}, "of shape .blocks, samples, channels."),
        (torch.full((3, 4, 5), 0.25), {}, "maps that vary"),
        (torch.full((3, 4, 5), math.nan), {}, "finite"),
        (torch.ones(3, 4, 5, dtype=torch.int64), {}, "floating"),
        (torch.ones(3, 4, 5, device="meta"), {}, "floating tensor"),
        (
            {"stage2": gates()},
            {},
            r"those of one stage, .* a dict of stages; write gates\['stage2'\]",
        ),
        (gates(), {"over": "both stages"}, "over must be"),
        (gates(), {"pairs": 2}, "pairs must be"),
        (gates(), {"null": "blocks"}, "null must be"),
        (gates(), {"seed": -1}, "seed must be"),
    ],
)
def test_what_cannot_be_compared_is_refused(given, options, sentence):
    with pytest.raises(InputError, match=f"correlation: .*{sentence}"):
        nn.correlation(given, **options)


def test_one_sample_is_enough_over_channels():
    maps = gates(samples=1)
    assert math.isclose(
        nn.correlation(maps).matrix[0, 1], by_hand(maps[0], maps[1], "channels"), abs_tol=1e-12
    )
