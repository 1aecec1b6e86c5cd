"""Continuous memory and Jaeckel's designs, against the theory of caps, counts and closed forms."""

import copy
import math

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize, scaled_dot_product_attention

import kanerva
from kanerva import Locations, Patterns, bits, functional, similarity, theory
from kanerva.activation import Identity, Sign
from kanerva.separation import Cap, Circle, Step


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def directions(count, dim, seed=0, dtype=torch.float32):
    return normalize(normal(count, dim, seed=seed, dtype=dtype), dim=-1)


def turned(rows, cosine, seed=0):
    """Return rows at a given cosine to unit rows, in random directions."""
    away = normal(*rows.shape, seed=seed, dtype=rows.dtype)
    away = normalize(away - (away * rows).sum(-1, keepdim=True) * rows, dim=-1)
    return cosine * rows + math.sqrt(1 - cosine**2) * away


def edge(dim, radius):
    """Return the cosine at which two caps touch."""
    return 2 * (1 - 2 * radius / dim) ** 2 - 1


def relative(dim, radius, cosines):
    """Return the logarithm of the share of a cap that two caps have in common, by the theory."""
    return theory.cap.log_fraction(dim, radius, cosines) - theory.cap.log_activation(dim, radius)


# The weights of Cap

SIZES = [
    (3, 0.5),
    (8, 3),
    (64, 5),
    (64, 11),
    (64, 27),
    (64, 31.9),
    (200, 40.25),
    (1000, 451),
    (1000, 5),
    (5000, 2400),
]


@pytest.mark.parametrize(("dim", "radius"), SIZES)
def test_cap_is_the_theory(dim, radius):
    low = edge(dim, radius)
    gaps = np.concatenate([np.linspace(0, 1 - 1e-3, 500), np.geomspace(1e-12, 1e-3, 20)])
    cosines = 1 - (1 - low) * gaps
    expected = relative(dim, radius, cosines)
    part = Cap(dim, radius)
    got = part.log_weights(torch.from_numpy(cosines)).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-9)
    shares = np.exp(expected)
    np.testing.assert_allclose(part(torch.from_numpy(cosines)), shares / shares.sum(), rtol=1e-9)
    # Float32 rounds the cosines; the weights of the rounded cosines are right.
    rounded = torch.from_numpy(cosines).float()
    exact = np.exp(relative(dim, radius, rounded.double().numpy()))
    np.testing.assert_allclose(part.log_weights(rounded).exp(), exact, atol=1e-6)


# Logarithms to base 10 of the shares of Lee and Kim at the cosines of 0, 1, 2, 4 and 8 of 64 bits,
# computed by adaptive quadrature.
SHARES = {
    5: (-18.25442, -19.21781, -19.93477, -21.42541, -25.15239),
    9: (-11.10749, -11.64414, -11.99250, -12.65771, -14.09586),
    11: (-8.83188, -9.26137, -9.52693, -10.02003, -11.04583),
    15: (-5.57780, -5.86726, -6.03249, -6.32536, -6.89944),
    19: (-3.40581, -3.60431, -3.71023, -3.89052, -4.22627),
    27: (-0.97084, -1.05315, -1.09221, -1.15373, -1.25703),
}


@pytest.mark.parametrize("radius", SHARES)
def test_cap_is_the_computed_shares(radius):
    cosines = 1 - 2 * torch.tensor([0, 1, 2, 4, 8], dtype=torch.float64) / 64
    got = Cap(64, radius).log_weights(cosines) / math.log(10)
    expected = [share - SHARES[radius][0] for share in SHARES[radius]]
    assert got.tolist() == pytest.approx(expected, abs=1.1e-5)


def test_weights_beyond_reach_are_zero():
    """The numbers are the first whole distances, of 64 bits, with weight zero."""
    for radius, first in {5: 19, 9: 31, 11: 37, 15: 46, 19: 54, 27: 63}.items():
        weights = Cap(64, radius)(1 - 2 * torch.arange(65, dtype=torch.float64) / 64)
        assert (weights[:first] > 0).all()
        assert (weights[first:] == 0).all()
        assert Cap(64, radius).log_weights(torch.tensor([-1.0])).item() == -math.inf
    nothing = Cap(64, 5)(torch.zeros(2, 3))
    assert (nothing == 0).all()


@pytest.mark.parametrize(("dim", "radius"), SIZES)
def test_slope_of_cap(dim, radius):
    low = edge(dim, radius)
    places = torch.linspace(0.02, 0.999, 50, dtype=torch.float64)
    cosines = (low + (1 - low) * places).requires_grad_()
    part = Cap(dim, radius)
    (slope,) = torch.autograd.grad(part.log_weights(cosines).sum(), cosines)
    at, step = cosines.detach().numpy(), 1e-6 * (1 - low)
    high, low = (theory.cap.log_fraction(dim, radius, at + by) for by in (step, -step))
    np.testing.assert_allclose(slope, (high - low) / (2 * step), rtol=1e-5)


def test_derivatives_of_cap():
    part = Cap(8, 3)
    scores = [[0.9, 0.3, -0.5, -0.95, 0.1], [-0.9, 0.99, 0.0, 0.2, -0.8]]
    scores = torch.tensor(scores, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(part, (scores,))
    with torch.random.fork_rng():  # gradgradcheck draws its directions from the global generator
        assert torch.autograd.gradgradcheck(part, (scores,))
    mask = torch.tensor([[True, False, True, True, True], [False] * 5])
    assert torch.autograd.gradcheck(lambda s: part(s, mask), (scores,))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_slope_is_finite_at_the_ends(dtype):
    half, resolution = dtype in (torch.float16, torch.bfloat16), torch.finfo(dtype).eps
    for dim, radius in SIZES:
        part = Cap(dim, radius)
        low = edge(dim, radius)
        places = [1.0, 1.0, low, -1.0, 0.5, (low + 1) / 2]
        scores = torch.tensor(places, dtype=dtype, requires_grad=True)
        weights = part(scores)
        assert weights.dtype == dtype
        assert weights.sum().item() == pytest.approx(1, abs=1e-2 if half else 1e-6)
        (slope,) = torch.autograd.grad(weights[0], scores)
        assert slope.isfinite().all()
        if not half:
            # At cosine 1 the slope is about that of one rounding below.
            ends = torch.tensor([1.0, 1 - resolution], dtype=dtype, requires_grad=True)
            slopes = torch.autograd.grad(part.log_weights(ends).sum(), ends)[0]
            assert slopes[0] == pytest.approx(slopes[1].item(), rel=0.1)


def test_a_weight_depends_on_its_row_alone():
    part, scores = Cap(64, 20), 0.4 * normal(50, 30, dtype=torch.float32).tanh()
    whole = part(scores)
    torch.testing.assert_close(torch.stack([part(row) for row in scores]), whole, rtol=1e-6, atol=0)
    torch.testing.assert_close(torch.vmap(part)(scores), whole, rtol=1e-6, atol=0)
    mask = torch.arange(30) < 20
    torch.testing.assert_close(part(scores, mask)[:, :20], part(scores[:, :20]), rtol=1e-6, atol=0)


BAD = {
    "too few dimensions": (lambda: Cap(2, 1), "Cap: dim must be an integer from 3 "),
    "no radius": (
        lambda: Cap(64, 0),
        "Cap: radius must be a finite number >= 6.4e-05 and <= 31.9999, but it was 0",
    ),
    "half the sphere": (
        lambda: Cap(64, 32),
        "Cap: radius must be .* but it was 32; leave more than half the sphere out",
    ),
    "no cosines": (
        lambda: Cap(64, 11)(torch.tensor([3.0])),
        "Cap: scores must be cosines, but it was .* value 3",
    ),
    "NaN": (
        lambda: Cap(64, 11)(torch.tensor([0.5, math.nan])),
        "Cap: scores must be finite, but it was 1 of 2 values NaN",
    ),
    "an energy": (
        lambda: Cap(64, 11).potential(torch.ones(2)),
        "Cap.potential: separation must be one with a potential",
    ),
    "another similarity": (
        lambda: Patterns(64, separation=Cap(64, 11)),
        "Patterns: similarity must be cosine for Cap",
    ),
    "another length": (
        lambda: Patterns(9, similarity=similarity.cosine, separation=Cap(64, 11)),
        "Patterns: length must be 9, .* it was 64 in Cap",
    ),
    "dim": (
        lambda: kanerva.sdm_continuous(2, 100, 0.5),
        "sdm_continuous: dim must be an integer from 3",
    ),
    "radius": (
        lambda: kanerva.sdm_continuous_patterns(64, 40),
        "sdm_continuous_patterns: radius must be",
    ),
    "beta": (
        lambda: kanerva.sdm_continuous_attention(64, 0),
        "sdm_continuous_attention: radius must be an integer from 1 to 64",
    ),
    "dim of beta": (
        lambda: kanerva.sdm_continuous_attention(0, 3),
        "sdm_continuous_attention: dim must be an integer",
    ),
    "whole counters": (
        lambda: kanerva.sdm_continuous(8, 100, 3, counters=torch.int32),
        "sdm_continuous: counters must be a floating dtype, unless bits are stored",
    ),
    "coordinates": (
        lambda: kanerva.sdm_selected(20, 100, 21),
        "sdm_selected: coordinates must be an integer from 1 to 20",
    ),
    "ones": (
        lambda: kanerva.sdm_hyperplane(20, 100, 2, 21),
        "sdm_hyperplane: ones must be an integer from 1 to 20",
    ),
    "too few ones": (
        lambda: kanerva.sdm_hyperplane(20, 100, 4, 3),
        "sdm_hyperplane: coordinates must be an integer from 1 to 3",
    ),
    "value_bits": (
        lambda: kanerva.sdm_selected(20, 100, 2, 0),
        "sdm_selected: value_bits must be an integer",
    ),
    "keyword": (
        lambda: kanerva.sdm_selected(20, 100, 2, dtype=torch.float64),
        "sdm_selected: keyword must be one of 'empty'",
    ),
    "addresses": (
        lambda: Locations(
            torch.full((3, 4), -128, dtype=torch.int8),
            similarity=similarity.dot,
            separation=Step(2),
        ),
        "Locations: addresses must be -1, 0 and .1 where they are int8",
    ),
    "0 and 1 for bits": (
        lambda: kanerva.sdm_selected(20, 100, 2).read(torch.eye(20)),
        "Locations.read: query must be -1/.1 bits",
    ),
    "keys of 0 and 1": (
        lambda: kanerva.sdm_hyperplane(20, 100, 2, 10).write(torch.eye(20)),
        "Locations.write: keys must be -1/.1 bits",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    call, sentence = BAD[name]
    with pytest.raises(kanerva.InputError, match=sentence):
        call()


@pytest.mark.untyped
@pytest.mark.parametrize("radius", ["a", None, 1 + 1j, torch.ones(2)])
def test_bad_types(radius):
    for call in (
        lambda: Cap(64, radius),
        lambda: kanerva.sdm_continuous(64, 100, radius),
        lambda: kanerva.sdm_selected(64, 100, radius),
    ):
        with pytest.raises(kanerva.InputTypeError):
            call()


# The neuron view of the continuous memory


def test_locations_are_uniform_on_the_sphere():
    addresses = kanerva.sdm_continuous(5, 100_000, 2).addresses.double()
    assert (addresses.norm(dim=-1) - 1).abs().max() <= 1e-6
    assert addresses.mean(0).abs().max() <= 5 / math.sqrt(5 * 100_000)
    moments = addresses.T @ addresses / 100_000
    assert (moments - torch.eye(5) / 5).abs().max() <= 5e-3


@pytest.mark.parametrize(("dim", "radius"), [(8, 3), (16, 5.5), (64, 26), (16, 9)])
def test_shared_locations_are_what_caps_share(dim, radius):
    """Counts of locations that two queries activate are binomial, within four deviations."""
    count = 100_000
    memory = kanerva.sdm_continuous(dim, count, radius, 1, seed=3)
    query = directions(20, dim, seed=1)
    active = memory.weights(query).double()
    for cosine in (1.0, 0.95, 0.7, 0.3, 0.0, -0.4):
        shared = (active * memory.weights(turned(query, cosine, seed=2)).double()).sum(-1)
        share = math.exp(theory.cap.log_fraction(dim, radius, cosine))
        spread = math.sqrt(count * share * (1 - share))
        assert abs(shared.mean().item() - count * share) <= 4 * spread / math.sqrt(20) + 0.5, cosine
        assert (abs(shared - count * share) <= 5 * spread + 1).all()


def test_neuron_view_becomes_the_pattern_view():
    keys, values = directions(50, 32, seed=1), normal(50, 7, seed=2, dtype=torch.float32)
    cues = turned(keys, 0.9, seed=3)
    patterns = kanerva.sdm_continuous_patterns(32, 12, 7, Identity())
    patterns.write(keys, values)
    view, spread = patterns.read(cues), []
    for count in (2000, 20_000, 200_000):
        neurons = kanerva.sdm_continuous(32, count, 12, 7, activation=Identity())
        neurons.write(keys, values)
        found = neurons.explain(cues)
        mean = found.value / found.mass.unsqueeze(-1)
        spread.append((mean - view).square().mean().sqrt().item())
    assert spread[0] > 2 * spread[1] > 4 * spread[2]
    assert torch.corrcoef(torch.stack([mean.flatten(), view.flatten()]))[0, 1] > 0.995
    directed = kanerva.sdm_continuous(32, count, 12, 7)
    directed.write(keys, values)
    torch.testing.assert_close(directed.read(cues), normalize(mean, dim=-1))


def test_continuous_memory_does_not_depend_on_the_length_of_a_query():
    keys = directions(30, 16)
    for memory in (
        kanerva.sdm_continuous(16, 5000, 5),
        kanerva.sdm_continuous_patterns(16, 5),
        kanerva.sdm_continuous_attention(16, 5),
    ):
        memory.write(keys)
        cues = turned(keys, 0.9)
        read = memory.read(cues)
        torch.testing.assert_close(memory.read(7 * cues), read, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(read.norm(dim=-1), torch.ones(30))


@pytest.mark.parametrize("radius", [11, 15, 19, 27])
def test_retrieval_of_random_directions(radius):
    """1024 directions, cues at the cosine of 12 flipped bits of 64 (Bricken and Pehlevan 2021).

    They are recalled up to radius 19, and lost at 27.
    """
    cubes = 2 * torch.rand(1024, 64, generator=torch.Generator().manual_seed(0)) - 1
    keys = normalize(cubes, dim=-1)
    cues = turned(keys[:300], 1 - 2 * 12 / 64, seed=1)
    for memory in (
        kanerva.sdm_continuous_patterns(64, radius),
        kanerva.sdm_continuous_attention(64, radius),
    ):
        memory.write(keys)
        reached = torch.cosine_similarity(memory.recall(cues), keys[:300]).mean().item()
        assert reached == pytest.approx(1 if radius < 27 else 0.03, abs=0.02)


# Attention beside them


@pytest.mark.parametrize("radius", [5, 11, 15, 19, 27])
def test_attention_is_as_near_as_the_fit_says(radius):
    cosines = 1 - 2 * torch.arange(65, dtype=torch.float64) / 64
    attention = kanerva.sdm_continuous_attention(64, radius).double()
    gap = Cap(64, radius)(cosines) - attention.separation(cosines)
    fit = theory.beta.fit(64, radius, space="continuous")
    assert (gap.abs().sum() / 2).item() == pytest.approx(fit.residual, abs=1e-9)
    keys = directions(200, 64, dtype=torch.float64)
    cues = turned(keys, 0.9)
    memories = (kanerva.sdm_continuous_patterns(64, radius, dtype=torch.float64), attention)
    for memory in memories:
        memory.write(keys)
    assert torch.cosine_similarity(*(memory.read(cues) for memory in memories)).min() > 0.8


def test_one_attention_kernel_reads_them_all():
    """Weights are the softmax of log-weights, which torch's attention takes as a float mask."""
    patterns = bits.random(60, 64, seed=0, dtype=torch.float64)
    cues, values = bits.flip(patterns, 5, seed=1), normal(60, 9)
    for similar, rule in ((similarity.agreement, Circle(64, 15)), (similarity.cosine, Cap(64, 15))):
        memory = Patterns(64, 9, similarity=similar, separation=rule, dtype=torch.float64)
        memory.write(patterns, values)
        logs = rule.log_weights(memory.scores(cues))
        assert (logs == -math.inf).any()
        none = torch.zeros_like(cues)
        kernel = scaled_dot_product_attention(none, patterns, values, attn_mask=logs)
        torch.testing.assert_close(memory.read(cues), kernel, rtol=1e-12, atol=1e-12)


# Jaeckel's designs


def test_addresses_have_bits_at_random_places():
    selected = kanerva.sdm_selected(50, 40_000, 5, seed=1).addresses
    hyperplane = kanerva.sdm_hyperplane(50, 40_000, 5, ones=25, seed=1).addresses
    assert selected.dtype == hyperplane.dtype == torch.int8
    assert ((selected != 0).sum(-1) == 5).all()
    assert (hyperplane.sum(-1) == 5).all()
    assert (hyperplane >= 0).all()
    for addresses in (selected, hyperplane):
        # Every place, and every pair of places, is equally frequent: within five deviations.
        places = (addresses != 0).double()
        pairs = places.T @ places
        single, double = 40_000 * 5 / 50, 40_000 * 5 * 4 / (50 * 49)
        assert ((pairs.diagonal() - single).abs() < 5 * math.sqrt(single)).all()
        assert ((pairs - double).abs().fill_diagonal_(0) < 5 * math.sqrt(double)).all()
    assert abs(selected.double().sum()) < 5 * math.sqrt(200_000)
    assert torch.equal(kanerva.sdm_selected(50, 40_000, 5, seed=1).addresses, selected)
    assert ((kanerva.sdm_selected(4, 100, 4).addresses != 0).all(-1)).all()


@pytest.mark.parametrize("counters", [torch.int8, torch.int32, torch.float64])
def test_selected_by_hand(counters):
    memory = kanerva.sdm_selected(30, 200, 3, 11, seed=2, counters=counters)
    keys, values = bits.random(20, 30, seed=0), bits.random(20, 11, seed=1)
    memory.write(keys, values)
    by_hand = torch.zeros(200, 12, dtype=torch.float64)
    for address, counter in zip(memory.addresses.tolist(), by_hand, strict=True):
        for key, value in zip(keys.tolist(), values, strict=True):
            if all(wanted in (0, bit) for wanted, bit in zip(address, key, strict=True)):
                counter += torch.cat([value.double(), torch.ones(1)])
    assert torch.equal(memory.counters.double(), by_hand)
    assert memory.counters.dtype == counters
    memory.forget(keys, values)
    assert (memory.counters == 0).all()


def test_selected_coordinates_share_a_power():
    """The share is C(n - d, q) / C(n, q), about (1 - d / n)^q, here for n = 1000 and q = 10."""
    memory = kanerva.sdm_selected(1000, 20_000, 10, 1)
    query = bits.random(400, 1000, seed=1)
    active = memory.weights(query)
    expected = 400 * 20_000 / 1024
    curve = theory.jaeckel.selected_log_fraction(1000, 10)
    shares = {0: 1.0, 10: 0.903968, 50: 0.597311, 100: 0.346928, 200: 0.106164, 500: 0.000933}
    for distance, share in shares.items():
        mean = expected * share
        other = bits.flip(query, distance, seed=2)
        found = (active * memory.weights(other)).sum(dtype=torch.float64).item()
        assert abs(found - mean) < 4 * math.sqrt(mean) + 1, distance
        assert math.exp(curve[distance] - curve[0]) == pytest.approx(share, abs=6e-7)


def sparse(count, bits, ones, seed):
    """Draw -1/+1 vectors with a given number of +1."""
    order = torch.rand(count, bits, generator=torch.Generator().manual_seed(seed)).argsort(-1)
    return torch.where(order < ones, 1.0, -1.0), order


def test_hyperplanes_share_combinations():
    """The share is C(L, q) / C(n, q) for L common ones, here for n = 1000, N = 100 and q = 3."""
    memory = kanerva.sdm_hyperplane(1000, 20_000, 3, ones=100, value_bits=1)
    query, order = sparse(400, 1000, 100, seed=1)
    active = memory.weights(query)
    for common, share in {100: 9.73e-4, 90: 7.07e-4, 50: 1.18e-4}.items():
        other = torch.where((order >= 100 - common) & (order < 200 - common), 1.0, -1.0)
        assert ((query + other == 2).sum(-1) == common).all()
        mean = 400 * 20_000 * share
        found = (active * memory.weights(other)).sum(dtype=torch.float64).item()
        assert abs(found - mean) < 4 * math.sqrt(mean) + 0.005 * mean, common


def test_selected_coordinates_become_their_pattern_view():
    patterns = bits.random(50, 64, seed=0)
    cues = bits.flip(patterns, 6, seed=1)
    memory = kanerva.sdm_selected(64, 100_000, 6)
    memory.write(patterns)
    found = memory.explain(cues)
    parts = (memory.keys, memory.values, memory.similarity, memory.separation)
    raw = functional.read(cues, *parts) / found.mass.unsqueeze(-1)
    curve = torch.from_numpy(theory.jaeckel.selected_log_fraction(64, 6))
    share = curve[bits.hamming(cues[:, None], patterns[None])].exp()
    view = (share / share.sum(-1, keepdim=True)).float() @ patterns
    assert torch.corrcoef(torch.stack([raw.flatten(), view.flatten()]))[0, 1] > 0.995
    assert (found.value == view.sign()).float().mean() > 0.97


def test_a_design_is_loaded_as_it_was_saved(tmp_path):
    patterns = bits.random(20, 100, seed=0, dtype=torch.float64)
    memory = kanerva.sdm_selected(100, 3000, 6, counters=torch.int16).double()
    memory.write(patterns)
    assert memory.addresses.dtype == torch.int8
    memory.save(tmp_path / "memory.safetensors")
    for other in (kanerva.load(tmp_path / "memory.safetensors"), copy.deepcopy(memory)):
        dtypes = (other.addresses.dtype, other.counters.dtype, other.dtype)
        assert dtypes == (torch.int8, torch.int16, torch.float64)
        assert torch.equal(other.read(patterns), memory.read(patterns))
        with pytest.raises(kanerva.InputError, match="-1/\\+1 bits"):
            other.read(patterns / 2)
    memory.kill(0.5, seed=0)
    assert torch.equal(memory.read(patterns), patterns)


WARNED = {
    "sdm_continuous": (
        lambda: kanerva.sdm_continuous(64, 1000, 15),
        r"0.00264 of 1000 locations .* takes 3.783e\+05 locations",
    ),
    "sdm_continuous at a point": (
        lambda: kanerva.sdm_continuous(64, 1000, 0),
        "0 of 1000 locations .* takes inf locations",
    ),
    "sdm_selected": (
        lambda: kanerva.sdm_selected(64, 1000, 10),
        "0.977 of 1000 locations .* takes 1024 locations",
    ),
    "sdm_hyperplane": (
        lambda: kanerva.sdm_hyperplane(1000, 1000, 3, 100),
        "0.973 of 1000 locations .* takes 1028 locations",
    ),
}


@pytest.mark.parametrize("name", WARNED)
def test_a_warning_says_that_locations_are_too_few(name):
    call, text = WARNED[name]
    with pytest.warns(UserWarning, match=f"{name.split()[0]}: {text}") as seen:
        call()
    if "jaxtyping" not in str(type(kanerva.sdm_selected)):
        assert len(seen) == 1


@pytest.mark.untyped  # run-time shape checks add a frame
def test_warnings_point_at_the_caller():
    for call, _ in WARNED.values():
        with pytest.warns(UserWarning, match="would be active") as seen:
            call()
        assert seen[0].filename == __file__


def test_bits_may_be_read_from_directions():
    """With a sign as its activation, the memory may have integer counters."""
    memory = kanerva.sdm_continuous(32, 20_000, 9, 40, activation=Sign(), counters=torch.int32)
    keys, values = directions(30, 32), bits.random(30, 40, seed=1)
    memory.write(keys, values)
    assert (memory.read(turned(keys, 0.95)) == values).float().mean() > 0.99
