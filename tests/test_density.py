"""Densities of memories against scikit-learn, scipy, sums over grids and over all bits."""

import copy
import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, vonmises_fisher
from sklearn.neighbors import KernelDensity
from torch import nn

import kanerva
from kanerva import InputError, Patterns, bits, correlated, density, similarity
from kanerva.density import Density
from kanerva.separation import (
    Argmax,
    Circle,
    Compact,
    Difference,
    Entmax,
    Exponential,
    Linear,
    Normalised,
    Power,
    Sink,
    Softmax,
    TopK,
)

SHAPES = ("gaussian", "epanechnikov", "laplace")
PRIOR = [0.5, 2.0, 1.0, 3.0, 0.25]


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def kernels(rows, width=0.7, shape="gaussian", prior=None, **store):
    store = {"dtype": torch.float64} | store
    memory = density.kernel(rows.shape[1], width, shape, **store)
    memory.write(rows.to(store["dtype"]), prior=prior)
    return memory


def stored(similarity_, separation, rows, **store):
    store = {"dtype": torch.float64} | store
    memory = Patterns(rows.shape[1], similarity=similarity_, separation=separation, **store)
    memory.write(rows.to(store["dtype"]))
    return memory


def corners(count):
    """Return all vectors of so many bits."""
    return torch.tensor(list(itertools.product((-1.0, 1.0), repeat=count)), dtype=torch.float64)


# Closed normalisers


@pytest.mark.parametrize("shape", ["gaussian", "epanechnikov"])
@pytest.mark.parametrize("dim", [1, 2, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_likelihoods_are_those_of_scikit_learn(shape, dim, weighted):
    rows, x = normal(40, dim), normal(30, dim, seed=1)
    width = 0.6 if shape == "gaussian" else 1.5
    weight = np.random.default_rng(2).uniform(0.1, 3, 40) if weighted else None
    theirs = KernelDensity(kernel=shape, bandwidth=width).fit(rows, sample_weight=weight)
    prior = None if weight is None else torch.from_numpy(weight)
    found = Density(kernels(rows, width, shape, prior)).log_prob(x)
    expected = torch.from_numpy(theirs.score_samples(x))
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)
    assert found.dtype == torch.float64


@pytest.mark.untyped
@pytest.mark.parametrize("shape", SHAPES)
def test_kernels_integrate_to_one_on_a_line(shape):
    found = Density(kernels(normal(5, 1), 0.5, shape, PRIOR))

    step = 1e-4
    line = torch.arange(-15 + step / 2, 15, step, dtype=torch.float64).unsqueeze(-1)
    total = found.log_prob(line).exp().sum().item() * step
    assert total == pytest.approx(1, abs=1e-7)


def plane(found, reach=8.0, count=801):
    """Return the integral of a density over a square, by the rule of the midpoints."""
    step = 2 * reach / count
    line = torch.linspace(-reach + step / 2, reach - step / 2, count, dtype=torch.float64)
    return found.log_prob(torch.cartesian_prod(line, line)).exp().sum().item() * step**2


@pytest.mark.untyped
@pytest.mark.parametrize("shape", SHAPES)
def test_kernels_integrate_to_one_in_the_plane(shape):
    rows = normal(5, 2)
    assert plane(Density(kernels(rows, 0.8, shape, PRIOR))) == pytest.approx(1, abs=2e-4)


@pytest.mark.untyped
def test_a_modern_hopfield_network_is_a_mixture_in_which_long_patterns_are_more_probable():
    beta, rows = 1.3, normal(5, 2)
    memory = kanerva.modern_hopfield(2, beta, dtype=torch.float64)
    memory.write(rows, prior=PRIOR)
    found, x = Density(memory), normal(50, 2, seed=1)
    logs = np.log(PRIOR) + beta * (rows**2).sum(-1).numpy() / 2
    logs -= logsumexp(logs)
    parts = [multivariate_normal(row, np.eye(2) / beta).logpdf(x) for row in rows.numpy()]
    expected = torch.from_numpy(logsumexp(np.stack(parts, -1) + logs, axis=-1))
    torch.testing.assert_close(found.log_prob(x), expected, rtol=1e-12, atol=1e-12)
    assert found.temperature == 1 / beta
    assert plane(found) == pytest.approx(1, abs=1e-9)
    # Its normaliser, of exp(beta (log-sum-exp / beta - |x|^2 / 2)).
    whole = math.log(2 * math.pi / beta) + logsumexp(
        np.log(PRIOR) + beta * (rows**2).sum(-1).numpy() / 2
    )
    assert found.log_normaliser == pytest.approx(whole, rel=1e-13)


@pytest.mark.parametrize("dim", [2, 3, 10, 100])
@pytest.mark.parametrize("kappa", [0.0, 0.5, 30.0, 1e4])
def test_one_kernel_on_the_sphere_is_that_of_scipy(dim, kappa):
    centre = np.random.default_rng(dim).standard_normal(dim)
    memory = density.vmf(dim, kappa, dtype=torch.float64)
    memory.write(torch.from_numpy(centre)[None])
    x = normal(20, dim, seed=1)
    x[:10] = torch.from_numpy(centre) + 0.1 * x[:10]
    unit = x / x.norm(dim=-1, keepdim=True)
    if kappa:
        theirs = vonmises_fisher(centre / np.linalg.norm(centre), kappa).logpdf(unit.numpy())
    else:
        area = math.log(2) + dim / 2 * math.log(math.pi) - math.lgamma(dim / 2)
        theirs = np.full(20, -area)
    found = Density(memory).log_prob(x)
    torch.testing.assert_close(found, torch.from_numpy(theirs), rtol=1e-10, atol=1e-10)


@pytest.mark.untyped
def test_kernels_on_the_sphere_integrate_to_one():
    memory = density.vmf(3, 4.0, dtype=torch.float64)
    memory.write(3 * normal(5, 3), prior=PRIOR)
    # Points of equal area: a spiral from pole to pole.
    count = 200_000
    height = 1 - (2 * torch.arange(count, dtype=torch.float64) + 1) / count
    angle = math.pi * (1 + 5**0.5) * torch.arange(count, dtype=torch.float64)
    wide = (1 - height**2).sqrt()
    points = torch.stack((wide * angle.cos(), wide * angle.sin(), height), -1)
    mean = Density(memory).log_prob(points).exp().mean().item()
    assert 4 * math.pi * mean == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("length", [1e-250, 1e-30, 1e-13, 1.0, 1e30, 1e250])
def test_a_query_on_the_sphere_stands_for_its_direction(length):
    memory = density.vmf(3, 2.0, dtype=torch.float64)
    memory.write(normal(4, 3))
    found, x = Density(memory), normal(2, 3, seed=1)
    torch.testing.assert_close(found.log_prob(length * x), found.log_prob(x))
    torch.testing.assert_close(found.score(length * x), found.score(x))
    torch.testing.assert_close(found.posterior(length * x), found.posterior(x))


# On the cube

LINES = {
    "dot": similarity.dot,
    "closeness": similarity.closeness,
    "cosine": similarity.cosine,
    "manhattan": similarity.manhattan,
    "agreement": similarity.agreement,
}


def on_bits(scored, rule, rows, **store):
    """Return a memory of -1/+1 vectors."""
    store = {"activation": kanerva.activation.Sign(), "dtype": torch.float64} | store
    memory = Patterns(rows.shape[1], similarity=scored, separation=rule, **store)
    memory.write(rows.to(store["dtype"]))
    return memory


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("beta", [0.0, 0.3, 2.0])
def test_softmax_on_bits_is_a_mixture_of_bernoulli_products(name, beta):
    rows, every = bits.random(4, 8, seed=0), corners(8)
    found = Density(on_bits(LINES[name], Softmax(beta), rows))
    assert found.space == "cube"
    flat = {
        "dot": lambda x, k: x @ k,
        "closeness": lambda x, k: -((x - k) ** 2).sum(-1) / 2,
        "cosine": lambda x, k: x @ k / (x.norm(dim=-1) * k.norm()),
        "manhattan": lambda x, k: -(x - k).abs().sum(-1),
        "agreement": lambda x, k: (x == k).double().sum(-1),
    }[name]
    parts = torch.stack([beta * flat(every, row) for row in rows.double()], -1).logsumexp(-1)
    expected = parts - parts.logsumexp(0)
    torch.testing.assert_close(found.log_prob(every), expected, rtol=1e-12, atol=1e-12)
    assert found.log_prob(every).exp().sum().item() == pytest.approx(1, abs=1e-12)


def test_the_normaliser_of_a_hopfield_network_of_bits_has_the_form_of_the_publication():
    beta, rows = 0.4, bits.random(5, 8, seed=1)
    found = Density(on_bits(similarity.dot, Softmax(beta), rows))
    # Of sum exp(beta x k); the energy also holds half the squared length, 4.
    whole = math.log(5) + 8 * math.log(2 * math.cosh(beta)) - beta * 8 / 2
    assert found.log_normaliser == pytest.approx(whole, rel=1e-14)


@pytest.mark.parametrize("radius", [0, 1, 3, 5])
@pytest.mark.parametrize("storage", [None, "bits"])
def test_sparse_distributed_memory_is_the_count_of_shared_locations(radius, storage):
    count = 7
    rows, every = bits.random(4, count, seed=0).double(), corners(count)
    distance = (count - every @ every.mT) / 2
    ball = (distance <= radius).double()
    places = [int((every == row).all(-1).nonzero()) for row in rows]
    shared = (ball @ ball)[:, places].sum(-1)  # for every vector, of locations in both balls
    memory = Patterns(
        count,
        similarity=similarity.agreement,
        separation=Circle(count, radius),
        activation=kanerva.activation.Sign(),
        dtype=torch.float64,
        storage=storage,
    )
    memory.write(rows)
    found = Density(memory)
    expected = (shared / shared.sum()).log()
    torch.testing.assert_close(found.log_prob(every), expected, rtol=1e-11, atol=1e-11)
    # The sum over the cube of the shared locations is the squared size of a ball.
    assert shared.sum().item() == 4 * ball[0].sum().item() ** 2


BOLTZMANN = {
    "hopfield": (Difference(Linear()), lambda s: 0.5 * (s**2).sum(-1)),
    "linear": (Linear(), lambda s: 0.5 * (s**2).sum(-1)),
    "dense": (Power(3), lambda s: (s.clamp_min(0) ** 3).sum(-1) / 3),
    "exponential": (Exponential(0.5), lambda s: (0.5 * s).exp().sum(-1) / 0.5),
    "modern": (Softmax(0.5), lambda s: (0.5 * s).logsumexp(-1) / 0.5),
    "largest": (Argmax(), lambda s: s.amax(-1)),
}


@pytest.mark.parametrize("name", BOLTZMANN)
@pytest.mark.parametrize("temperature", [0.7, 5.0])
@pytest.mark.parametrize("storage", [None, "bits"])
def test_other_memories_have_boltzmanns_distribution(name, temperature, storage):
    rule, potential = BOLTZMANN[name]
    rows, every = bits.random(3, 9, seed=2).double(), corners(9)
    found = Density(on_bits(similarity.dot, rule, rows, storage=storage), temperature)
    logs = (potential(every @ rows.mT) - 9 / 2) / temperature
    torch.testing.assert_close(found.log_prob(every), logs - logs.logsumexp(0))
    assert found.log_normaliser == pytest.approx(logs.logsumexp(0).item(), rel=1e-12)
    assert found.temperature == temperature


@pytest.mark.untyped
def test_beyond_twenty_bits_the_normaliser_is_estimated_or_refused():
    memory = kanerva.hopfield(30)
    memory.write(bits.random(2, 30, seed=0))
    found = Density(memory, temperature=40.0)
    with pytest.raises(InputError, match="at most 20 bits"):
        found.log_prob(bits.random(1, 30, seed=1))
    assert found.annealed(walks=64, steps=20).error < 1


@pytest.mark.untyped
@pytest.mark.parametrize("name", BOLTZMANN)
def test_annealed_estimates_are_within_four_errors_of_enumeration(name):
    rule, _ = BOLTZMANN[name]
    found = Density(on_bits(similarity.dot, rule, bits.random(3, 10, seed=3)), temperature=6.0)
    for seed in range(2):
        estimate = found.annealed(steps=40, seed=seed)
        assert abs(estimate.value - found.log_normaliser) < 4 * estimate.error
    assert estimate.error < 0.4


@pytest.mark.untyped
def test_annealed_estimates_of_a_density_that_is_zero_at_most_vectors():
    memory = kanerva.sdm_patterns(8, 2)
    memory.write(bits.random(2, 8, seed=0))
    found = Density(memory)
    estimate = found.annealed(walks=500, steps=30)
    assert abs(estimate.value - found.log_normaliser) < 4 * estimate.error
    assert estimate == found.annealed(walks=500, steps=30)


@pytest.mark.untyped
def test_annealed_walks_that_all_end_at_zero_are_refused():
    memory = kanerva.sdm_patterns(60, 1)
    memory.write(bits.random(1, 60, seed=0))
    with pytest.raises(InputError, match="give more walks"):
        Density(memory).annealed(walks=4, steps=3)


# Temperatures


def test_the_temperature_of_the_kernels_may_be_given():
    memory, x = kernels(normal(5, 2)), normal(4, 2, seed=1)
    beta = memory.separation.beta
    same, given = Density(memory), Density(memory, temperature=1 / beta)
    torch.testing.assert_close(given.log_prob(x), same.log_prob(x), rtol=0, atol=0)
    torch.testing.assert_close(given.posterior(x), same.posterior(x), rtol=0, atol=0)
    assert same.temperature == pytest.approx(0.49)


@pytest.mark.untyped
def test_another_temperature_has_a_score_and_no_likelihood():
    memory, x = kernels(normal(5, 2)), normal(4, 2, seed=1)
    hot = Density(memory, temperature=2.0)
    expected = (memory.read(x) - x) / 2.0
    torch.testing.assert_close(hot.score(x), expected)
    with pytest.raises(InputError, match="whose normaliser is known"):
        hot.log_prob(x)
    with pytest.raises(InputError, match="sum of kernels"):
        hot.posterior(x)
    assert hot.sample(3, steps=5).isfinite().all()


def test_views_are_densities_at_their_temperature():
    rows, x = normal(6, 2), normal(4, 2, seed=1)
    memory = kernels(rows, 0.7)
    view = Density(memory.at(1 / 0.3**2))
    torch.testing.assert_close(view.log_prob(x), Density(kernels(rows, 0.3)).log_prob(x))
    before = view.log_prob(x)
    memory.write(normal(2, 2, seed=3))
    assert not torch.equal(view.log_prob(x), before)
    torch.testing.assert_close(view.log_prob(x), Density(kernels(memory.keys, 0.3)).log_prob(x))


def test_a_learned_temperature_is_seen():
    beta = nn.Parameter(torch.tensor(4.0, dtype=torch.float64))
    memory = stored(similarity.closeness, Softmax(beta), normal(5, 2))
    found, x = Density(memory), normal(4, 2, seed=1)
    torch.testing.assert_close(found.log_prob(x), Density(kernels(normal(5, 2), 0.5)).log_prob(x))
    assert not found.log_prob(x).requires_grad
    with torch.no_grad():
        memory.beta.fill_(25.0)
    torch.testing.assert_close(found.log_prob(x), Density(kernels(normal(5, 2), 0.2)).log_prob(x))
    assert found.temperature == pytest.approx(0.04)


def test_a_learned_temperature_is_seen_on_the_sphere_and_on_the_cube():
    beta = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))
    memory = stored(similarity.cosine, Softmax(beta), normal(5, 3))
    found, x = Density(memory), normal(4, 3, seed=1)
    found.log_prob(x)
    with torch.no_grad():
        memory.beta.fill_(0.0)
    assert found.log_prob(x).exp().tolist() == pytest.approx([1 / (4 * math.pi)] * 4)
    beta = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))
    memory = on_bits(similarity.dot, Exponential(beta), bits.random(2, 5, seed=0))
    found = Density(memory, temperature=3.0)
    found.log_prob(corners(5))
    with torch.no_grad():
        memory.beta.fill_(0.1)
    assert found.log_prob(corners(5)).exp().sum().item() == pytest.approx(1)


# Scores


@pytest.mark.parametrize("shape", SHAPES)
def test_scores_are_the_slopes_of_likelihoods(shape):
    found, x = Density(kernels(normal(6, 3), 2.5, shape, prior=2.0)), normal(5, 3, seed=1)
    slope, step = found.score(x), 1e-6
    for axis in range(3):
        move = step * torch.eye(3, dtype=torch.float64)[axis]
        rise = (found.log_prob(x + move) - found.log_prob(x - move)) / (2 * step)
        torch.testing.assert_close(slope[:, axis], rise, rtol=1e-6, atol=1e-7)


def test_the_score_of_gaussian_kernels_is_the_read_less_the_query_over_the_variance():
    x = normal(7, 4, seed=1)
    memory = kernels(normal(20, 4), 0.6)
    torch.testing.assert_close(Density(memory).score(x), (memory.read(x) - x) / 0.36)
    network = kanerva.modern_hopfield(4, 2.0, dtype=torch.float64)
    network.write(normal(20, 4))
    torch.testing.assert_close(Density(network).score(x), 2 * (network.read(x) - x))


def test_scores_on_the_sphere_are_tangents():
    memory = density.vmf(4, 3.0, dtype=torch.float64)
    memory.write(normal(6, 4), prior=3.0)
    found, x = Density(memory), normal(5, 4, seed=1)
    slope, unit = found.score(x), torch.nn.functional.normalize(x, dim=-1)
    assert (slope * unit).sum(-1).abs().max() < 1e-13
    side = torch.nn.functional.normalize(slope, dim=-1)
    step = 1e-6  # along a great circle
    ahead, back = (math.cos(step) * unit + turn * math.sin(step) * side for turn in (1, -1))
    rise = (found.log_prob(ahead) - found.log_prob(back)) / (2 * step)
    torch.testing.assert_close(slope.norm(dim=-1), rise, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("rule", [Entmax(1.5), TopK(3, 1.0), Sink(Softmax(1.0), 0.0)])
def test_scores_of_other_rules_are_slopes_of_the_energy(rule):
    memory, x = stored(similarity.dot, rule, normal(6, 3)), normal(5, 3, seed=1)
    torch.testing.assert_close(Density(memory, 0.5).score(x), (memory.read(x) - x) / 0.5)


def test_scores_in_inference_mode_are_scores():
    memory = kernels(normal(5, 2), prior=PRIOR)
    found, x = Density(memory), normal(3, 2, seed=1)
    expected = found.score(x)
    with torch.inference_mode():
        torch.testing.assert_close(found.score(x), expected, rtol=0, atol=0)
        torch.testing.assert_close(found.score(x.clone()), expected, rtol=0, atol=0)
        assert found.sample(2, sampler="mala", steps=3).isfinite().all()
    with torch.no_grad():
        torch.testing.assert_close(found.score(x), expected, rtol=0, atol=0)


def test_likelihoods_have_gradients_in_the_vectors_alone():
    memory = stored(similarity.closeness, Softmax(nn.Parameter(torch.tensor(2.0))), normal(5, 2))
    found, x = Density(memory), normal(3, 2, seed=1).requires_grad_()
    (slope,) = torch.autograd.grad(found.log_prob(x).sum(), x)
    torch.testing.assert_close(slope, found.score(x))
    assert not found.log_prob(x.detach()).requires_grad


# Posteriors, and leaving one out


@pytest.mark.parametrize("shape", SHAPES)
def test_the_posterior_is_the_share_of_each_kernel(shape):
    rows, x = normal(5, 2), normal(6, 2, seed=1)
    memory = kernels(rows, 2.0, shape, PRIOR)
    found = Density(memory).posterior(x)
    parts = [
        Density(kernels(row[None], 2.0, shape)).log_prob(x) + math.log(prior)
        for row, prior in zip(rows, PRIOR, strict=True)
    ]
    torch.testing.assert_close(found, torch.stack(parts, -1).softmax(-1))
    if shape != "epanechnikov":  # whose reads weigh all rows within reach equally
        torch.testing.assert_close(found, memory.weights(x))


def test_where_no_kernel_reaches_the_posterior_is_zero():
    found = Density(kernels(normal(5, 2), 0.5, "epanechnikov"))
    far = torch.full((1, 2), 9.0, dtype=torch.float64)
    assert found.posterior(far).tolist() == [[0.0] * 5]
    assert found.log_prob(far).tolist() == [-math.inf]


ALL = {
    **{shape: lambda shape=shape: kernels(normal(5, 3), 2.5, shape) for shape in SHAPES},
    "weighted": lambda: kernels(normal(5, 3), 0.7, prior=PRIOR),
    "narrow": lambda: kernels(normal(5, 3), 1e-7, prior=PRIOR),
    "dot": lambda: stored(similarity.dot, Softmax(1.5), normal(5, 3)),
    "vmf": lambda: stored(similarity.cosine, Softmax(6.0), normal(5, 3)),
    "bits": lambda: on_bits(similarity.dot, Softmax(0.5), bits.random(5, 6, seed=0)),
    "packed": lambda: on_bits(
        similarity.agreement, Softmax(0.5), bits.random(5, 6, seed=0), storage="bits"
    ),
    "circle": lambda: on_bits(similarity.agreement, Circle(6, 3), bits.random(5, 6, seed=0)),
    "rounded": lambda: kernels(normal(5, 3), 0.7, storage=torch.bfloat16),
    "single": lambda: kernels(normal(5, 3), 0.7, dtype=torch.float32),
    "half": lambda: kernels(normal(5, 3), 0.7, dtype=torch.float16),
}


@pytest.mark.parametrize("name", ALL)
def test_leaving_a_row_out_is_a_memory_without_it(name):
    memory = ALL[name]()
    found = Density(memory).leave_one_out()
    assert found.dtype == torch.float64
    assert found.shape == (5,)
    for place in range(5):
        other = copy.deepcopy(memory)
        other.forget([place])
        row = memory.keys[place : place + 1]
        expected = Density(other).log_prob(row.to(memory.dtype)).squeeze(0)
        torch.testing.assert_close(found[place], expected, rtol=1e-10, atol=1e-10)


class Biased(Patterns):
    """Keys with a bias."""

    def bias(self):
        return torch.linspace(-1, 1, len(self), dtype=self.dtype)


def biased(scored=similarity.closeness, rule=None, offset=0.0):
    class Other(Biased):
        def bias(self):
            return super().bias() + offset

    rule = Softmax(2.0) if rule is None else rule
    memory = Other(2, similarity=scored, separation=rule, dtype=torch.float64)
    memory.write(normal(5, 2), prior=PRIOR)
    return memory


@pytest.mark.parametrize("offset", [0.0, 1000.0, -1000.0])
def test_the_bias_of_keys_is_a_factor_of_their_kernels(offset):
    found, x = Density(biased(offset=offset)), normal(6, 2, seed=1)
    weight = (
        torch.tensor(PRIOR, dtype=torch.float64) * (2 * torch.linspace(-1, 1, 5).double()).exp()
    )
    plain = Density(kernels(normal(5, 2), 0.5**0.5, prior=weight))
    torch.testing.assert_close(found.log_prob(x), plain.log_prob(x), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(found.posterior(x), plain.posterior(x), rtol=1e-10, atol=1e-10)
    mine, theirs = found.leave_one_out(), plain.leave_one_out()
    torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(found.score(x), plain.score(x), rtol=1e-10, atol=1e-10)


@pytest.mark.untyped
def test_a_bias_that_is_no_factor_is_refused():
    with pytest.raises(InputError, match="without bias"):
        Density(biased(rule=Compact(2.0))).log_prob(normal(3, 2))


# What is stored, and how


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_likelihoods_of_any_memory_are_float64(dtype):
    rows, x = normal(20, 3).to(dtype), normal(5, 3, seed=1).to(dtype)
    found = Density(kernels(rows, 0.7, dtype=dtype))
    exact = Density(kernels(rows.double(), 0.7))
    assert found.log_prob(x).dtype == found.posterior(x).dtype == torch.float64
    torch.testing.assert_close(found.log_prob(x), exact.log_prob(x.double()))
    assert found.score(x).dtype == found.sample(2).dtype == dtype
    torch.testing.assert_close(found.score(x), exact.score(x.double()).to(dtype))


def test_rounded_and_mapped_rows_have_the_density_of_what_is_kept(tmp_path):
    rows, x = normal(20, 3), normal(5, 3, seed=1)
    small = kernels(rows, 0.7, storage=torch.bfloat16)
    kept = kernels(rows.bfloat16().double(), 0.7)
    torch.testing.assert_close(Density(small).log_prob(x), Density(kept).log_prob(x))
    np.save(tmp_path / "rows.npy", rows.numpy())
    rule = Softmax(1 / 0.7**2)
    over = Patterns.over(tmp_path / "rows.npy", similarity=similarity.closeness, separation=rule)
    whole = Density(kernels(rows, 0.7))
    torch.testing.assert_close(Density(over).log_prob(x), whole.log_prob(x))
    torch.testing.assert_close(Density(over).leave_one_out(), whole.leave_one_out())
    torch.testing.assert_close(Density(over).sample(3), whole.sample(3))


@pytest.mark.untyped
def test_linked_memories_have_boltzmanns_distribution_where_no_link_spreads():
    rows = bits.random(3, 6, seed=0)
    parts = {
        "similarity": similarity.dot,
        "separation": Softmax(0.5),
        "activation": kanerva.activation.Sign(),
    }
    memory = correlated.Linked(6, hetero=0.5, **parts)
    memory.write(rows)
    found = Density(memory)
    plain = Density(on_bits(similarity.dot, Softmax(0.5), rows))
    every = corners(6)
    torch.testing.assert_close(found.log_prob(every.float()), plain.log_prob(every))
    memory.link([0], [1])
    with pytest.raises(InputError, match="one with a potential"):
        found.log_prob(every.float())


CHANGES = {
    "write": lambda memory: memory.write(normal(2, 2, seed=5)),
    "forget": lambda memory: memory.forget([0]),
    "prior in place": lambda memory: memory.prior.mul_(torch.arange(1.0, 6.0)),
    "rows in place": lambda memory: memory.keys.mul_(2),
    "prior replaced": lambda memory: memory._buffers.__setitem__(
        "prior", torch.arange(1.0, 6.0, dtype=torch.float64)
    ),
    "other": lambda memory: memory.load_state_dict(
        kernels(normal(7, 2, seed=8), prior=2.0).state_dict()
    ),
    "same size": lambda memory: memory.load_state_dict(
        kernels(3 * normal(5, 2, seed=8), prior=[1.0, 2.0, 3.0, 4.0, 5.0]).state_dict()
    ),
    "inference": lambda memory: in_inference(lambda: memory.write(normal(2, 2, seed=5))),
}


def in_inference(work):
    with torch.inference_mode():
        return work()


@pytest.mark.untyped
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("first", [False, True])
def test_the_normaliser_is_that_of_the_rows_as_they_are(change, first):
    """The normaliser of a product depends on rows and priors."""
    memory = Patterns(2, similarity=similarity.dot, separation=Softmax(2.0), dtype=torch.float64)
    memory.write(normal(5, 2), prior=PRIOR)
    found, x = Density(memory), normal(3, 2, seed=1)
    before = in_inference(lambda: found.log_prob(x)) if first else found.log_prob(x)
    torch.testing.assert_close(found.log_prob(x), before)
    CHANGES[change](memory)
    after = found.log_prob(x)
    fresh = Density(copy.deepcopy(memory)).log_prob(x)
    torch.testing.assert_close(after, fresh, rtol=1e-13, atol=1e-13)
    assert not torch.allclose(after, before)
    torch.testing.assert_close(in_inference(lambda: found.log_prob(x)), fresh)


def test_a_memory_in_another_dtype_is_seen():
    memory = kernels(normal(5, 2))
    found, x = Density(memory), normal(3, 2, seed=1)
    before = found.log_prob(x)
    memory.to(torch.float32)
    torch.testing.assert_close(found.log_prob(x.float()), before, rtol=1e-5, atol=1e-5)
    assert found.score(x.float()).dtype == torch.float32


@pytest.mark.untyped
@pytest.mark.parametrize("name", ALL)
def test_no_query_depends_on_the_others(name):
    memory = ALL[name]()
    found = Density(memory)
    if memory.key_bits:
        x = bits.random(6, memory.dim, seed=4).to(memory.dtype)
    else:
        x = torch.cat((normal(4, 3, seed=4), 1e3 * normal(2, 3, seed=5))).to(memory.dtype)
    whole, shares = found.log_prob(x), found.posterior(x)
    for place, row in enumerate(x):
        torch.testing.assert_close(found.log_prob(row), whole[place], rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(found.posterior(row), shares[place], rtol=1e-9, atol=1e-13)
    torch.testing.assert_close(found.log_prob(x.reshape(2, 3, -1)), whole.reshape(2, 3))
    assert found.log_prob(x[:0]).shape == (0,)
    if not memory.key_bits and name != "epanechnikov":
        torch.testing.assert_close(found.score(x.reshape(2, 3, -1)).reshape(6, 3), found.score(x))


@pytest.mark.untyped
@pytest.mark.parametrize("budget", [2**12, 2**16])
def test_small_budgets_change_nothing(budget):
    memory, x = kernels(normal(300, 3), prior=2.0), normal(50, 3, seed=1)
    found = Density(memory)
    whole = found.log_prob(x), found.score(x), found.posterior(x), found.leave_one_out()
    with kanerva.settings.use(budget=budget):
        parts = found.log_prob(x), found.score(x), found.posterior(x), found.leave_one_out()
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


# Odd numbers


@pytest.mark.parametrize("offset", [0.0, 1e3])
@pytest.mark.parametrize("width", [1e-12, 1e-7, 1e-3, 1.0])
@pytest.mark.parametrize("dim", [1, 3, 64])
def test_narrow_kernels_keep_their_digits(dim, width, offset):
    rows = normal(20, dim) + offset
    x = rows + width * normal(20, dim, seed=1)
    square = ((x[:, None] - rows) / width).square().sum(-1)
    expected = (-square / 2).logsumexp(-1) - math.log(20)
    expected = expected - dim / 2 * math.log(2 * math.pi * width**2)
    found = Density(kernels(rows, width))
    assert (found.log_prob(x) - expected).abs().max() < 1e-8
    slope = (((-square / 2).softmax(-1) @ rows) - x) / width**2
    torch.testing.assert_close(found.score(x), slope, rtol=1e-3, atol=0.1 / width * 1e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_far_from_the_data_logarithms_are_finite(shape):
    found = Density(kernels(normal(5, 2), 0.5, shape))
    far = torch.tensor([[1e10, 0.0], [1e100, 1e100], [0.0, 1e150]], dtype=torch.float64)
    expected = {"gaussian": -(far**2).sum(-1) * 2, "laplace": -far.sum(-1) * 2}
    if shape == "epanechnikov":
        assert found.log_prob(far).tolist() == [-math.inf] * 3
    else:
        torch.testing.assert_close(found.log_prob(far), expected[shape], rtol=1e-8, atol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_one_row_copies_and_one_dimension(shape):
    x = normal(4, 1, seed=1)
    one = Density(kernels(normal(1, 1), 2.0, shape))
    many = Density(kernels(normal(1, 1).expand(5, 1), 2.0, shape))
    torch.testing.assert_close(one.log_prob(x), many.log_prob(x))
    torch.testing.assert_close(many.leave_one_out(), one.log_prob(normal(1, 1)).expand(5))
    r = (x - normal(1, 1)).squeeze(-1) / 2
    expected = {
        "gaussian": -r.square() / 2 - math.log(2 * math.sqrt(2 * math.pi)),
        "epanechnikov": (0.75 / 2 * (1 - r.square())).clamp_min(0).log(),
        "laplace": -r.abs() - math.log(4),
    }
    torch.testing.assert_close(one.log_prob(x), expected[shape])


def test_on_the_sphere_of_one_dimension_are_two_points():
    memory = density.vmf(1, 0.7, dtype=torch.float64)
    memory.write(torch.tensor([[3.0]], dtype=torch.float64))
    p = Density(memory).log_prob(torch.tensor([[0.1], [-5.0]], dtype=torch.float64)).exp()
    assert p.sum().item() == pytest.approx(1)
    assert (p[0] / p[1]).log().item() == pytest.approx(1.4)


REFUSED = {
    "memory": lambda: Density(None),
    "hetero": lambda: Density(kanerva.attention(4, value_dim=2)),
    "sdm": lambda: Density(kanerva.sdm(6, 50, 1)),
    "no regulariser": lambda: Density(
        stored(similarity.Overlap(6, 1, 100.0), Softmax(1.0), bits.random(3, 6, seed=0))
    ),
    "no temperature": lambda: Density(kanerva.hopfield(6)),
    "several": lambda: Density(kernels(normal(3, 2)).at(torch.tensor([1.0, 2.0]))),
    "flat": lambda: Density(stored(similarity.closeness, Softmax(0.0), normal(3, 2))),
    "sink": lambda: Density(stored(similarity.closeness, Sink(Softmax(1.0), 0.0), normal(3, 2))),
    "exponential": lambda: Density(
        stored(similarity.closeness, Normalised(Exponential(1.0)), normal(3, 2))
    ),
    "circle": lambda: Density(kanerva.sdm_patterns(6, 1), temperature=2.0),
    **{
        f"temperature {bad}": lambda bad=bad: Density(kernels(normal(3, 2)), temperature=bad)
        for bad in (0, -1.0, math.nan, math.inf, "1", True)
    },
}


@pytest.mark.untyped
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_density_is_refused(name):
    with pytest.raises(InputError) as caught:
        REFUSED[name]()
    assert caught.value.function == "Density"
    assert all((caught.value.argument, caught.value.must, caught.value.got, caught.value.do))


@pytest.mark.untyped
@pytest.mark.parametrize(
    "verb", ["log_prob", "score", "posterior", "leave_one_out", "sample", "log_normaliser"]
)
def test_an_empty_memory_is_refused_until_something_is_written(verb):
    memory = density.kernel(2, 0.5, dtype=torch.float64)
    found = Density(memory)
    ask = {
        "leave_one_out": found.leave_one_out,
        "sample": lambda: found.sample(1),
        "log_normaliser": lambda: found.log_normaliser,
    }.get(verb, lambda: getattr(found, verb)(normal(2, 2)))
    with pytest.raises(InputError, match="stores rows") as caught:
        ask()
    assert caught.value.function == f"Density.{verb}"
    memory.write(normal(3, 2))
    ask()
    memory.clear()
    with pytest.raises(InputError, match="stores rows"):
        ask()


@pytest.mark.untyped
def test_rows_without_a_direction_are_refused():
    memory = density.vmf(3, 2.0)
    memory.write(torch.eye(3))
    found = Density(memory)
    for verb in (found.log_prob, found.score, found.posterior):
        with pytest.raises(InputError, match="with a direction"):
            verb(torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    for short in (0.0, 1e-13):  # the cosine of shorter rows is 0
        memory.write(torch.full((1, 3), short))
        with pytest.raises(InputError, match="with a direction"):
            found.log_prob(torch.ones(3))
        memory.forget([memory.ids[-1].item()])
    assert found.log_prob(torch.ones(3)).isfinite()


@pytest.mark.untyped
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_vectors_that_are_not_finite_are_refused_by_name(bad):
    found = Density(kernels(normal(3, 2)))
    for verb in (found.log_prob, found.score, found.posterior):
        with pytest.raises(InputError) as caught:
            verb(torch.tensor([[0.0, bad]], dtype=torch.float64))
        assert caught.value.argument == "x"
        with pytest.raises(InputError) as caught:
            verb(torch.tensor([[0.0, 1e200]], dtype=torch.float64))
        assert caught.value.argument == "x"
    with pytest.raises(InputError, match="of two rows or more"):
        Density(kernels(normal(1, 2))).leave_one_out()


# Bandwidths


@pytest.mark.untyped
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dim", [1, 3])
def test_a_bandwidth_is_the_most_likely_of_a_fine_search(shape, dim):
    x = normal(80, dim)
    found = density.bandwidth(x, shape)

    def likelihood(width):
        return Density(kernels(x, width, shape)).leave_one_out().mean().item()

    grid = found * np.linspace(0.7, 1.4, 141)
    values = [likelihood(width) for width in grid]
    assert likelihood(found) >= max(values) - 1e-4
    coarse = [likelihood(width) for width in np.geomspace(0.01, 20, 60)]
    assert likelihood(found) >= max(coarse) - 1e-4


def test_a_bandwidth_is_that_of_cross_validation():
    x = normal(60, 2)
    found = density.bandwidth(x)
    total = 0.0
    widths = found * np.array([0.9, 1.0, 1.1])
    totals = []
    for width in widths:
        total = 0.0
        for place in range(60):
            others = np.delete(x.numpy(), place, 0)
            total += KernelDensity(bandwidth=width).fit(others).score(x[place : place + 1])
        totals.append(total)
    assert int(np.argmax(totals)) == 1


@pytest.mark.untyped
@pytest.mark.parametrize("scale", [1e-250, 1e-3, 1.0, 1e3, 1e250])
def test_a_bandwidth_has_the_unit_of_the_data(scale):
    x = normal(50, 2)
    expected = density.bandwidth(x)
    assert density.bandwidth(scale * x) == pytest.approx(scale * expected, rel=2e-3)
    shifted = density.bandwidth(x + 1e6)
    assert shifted == pytest.approx(expected, rel=2e-3)


@pytest.mark.untyped
def test_bandwidths_of_odd_rows():
    x = normal(50, 2)
    constant = torch.cat((x, torch.ones(50, 1, dtype=torch.float64)), -1)
    assert density.bandwidth(constant) < density.bandwidth(x)
    pair = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=torch.float64)
    # The likelihood of a distance r of two rows is largest at sigma^2 = r^2 / d.
    assert density.bandwidth(pair) == pytest.approx(5 / math.sqrt(2), rel=2e-3)
    assert density.bandwidth(x.half()) == pytest.approx(density.bandwidth(x), rel=0.02)


@pytest.mark.untyped
@pytest.mark.parametrize(
    "x",
    [
        torch.zeros(0, 2),
        torch.zeros(1, 2),
        torch.ones(5, 2),
        torch.eye(2).repeat(3, 1),
        torch.tensor([[0.0, math.nan], [1.0, 2.0]]),
        torch.zeros(5),
        torch.zeros(5, 2, dtype=torch.int64),
    ],
)
def test_rows_without_a_bandwidth_are_refused(x):
    for shape in SHAPES:
        with pytest.raises(InputError) as caught:
            density.bandwidth(x, shape)
        assert caught.value.argument == "x"


# Memory

PEAK = """
import resource, torch
from kanerva import density
torch.set_num_threads(1)
memory = density.kernel(16, 0.5, dtype=torch.float64)
memory.write(torch.zeros(100_000, 16, dtype=torch.float64).normal_(generator=torch.Generator()))
found, x = density.Density(memory), torch.zeros(400, 16, dtype=torch.float64)
found.log_prob(x[:1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
{work}
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("work", ["found.log_prob(x)", "found.score(x)"])
def test_queries_times_rows_are_never_in_memory(work):
    script = PEAK.format(work=work)
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    assert int(told.stdout) * 1024 < 0.5 * 8 * 400 * 100_000 + 2**28


def test_a_list_has_a_bandwidth_too():
    rows = [[0.0], [1.0], [2.5]]
    expected = density.bandwidth(torch.tensor(rows, dtype=torch.float64))
    assert density.bandwidth(rows) == expected


@pytest.mark.parametrize("far", [1e5, 1e7])
def test_posteriors_and_scores_of_far_rows_keep_their_digits(far):
    memory = density.kernel(1, 0.01, dtype=torch.float64)
    memory.write(torch.zeros(3, 1, dtype=torch.float64))
    found, x = density.Density(memory), torch.tensor([far], dtype=torch.float64)
    torch.testing.assert_close(found.posterior(x), torch.full((3,), 1 / 3, dtype=torch.float64))
    torch.testing.assert_close(found.score(x), -x / 0.01**2)
