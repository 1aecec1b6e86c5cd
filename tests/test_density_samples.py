"""Samples of densities against exact means, covariances and distribution functions."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

import kanerva
from kanerva import InputError, Patterns, bits, density, similarity
from kanerva.density import Density
from kanerva.separation import Argmax, Circle, Difference, Entmax, Linear, Power, Softmax, TopK

pytestmark = pytest.mark.untyped  # thousands of small steps, which a type checker would slow

MANY = 20_000
SHAPES = ("gaussian", "epanechnikov", "laplace")
PRIOR = [0.5, 2.0, 1.0, 3.0]


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def kernels(rows, width=0.7, shape="gaussian", prior=None, **store):
    store = {"dtype": torch.float64} | store
    memory = density.kernel(rows.shape[1], width, shape, **store)
    memory.write(rows.to(store["dtype"]), prior=prior)
    return memory


def distribution(shape, width):
    """Return the distribution function of one kernel around zero."""
    if shape == "gaussian":
        return stats.norm(scale=width).cdf
    if shape == "laplace":
        return stats.laplace(scale=width).cdf
    # The density 3/4 (1 - u^2) is a beta distribution on (-1, 1).
    return stats.beta(2, 2, loc=-width, scale=2 * width).cdf


@pytest.mark.parametrize(
    ("shape", "sampler"),  # a walk on compact kernels stays within the reach of some rows
    [*((shape, "exact") for shape in SHAPES), ("gaussian", "mala"), ("laplace", "mala")],
)
def test_samples_on_a_line_have_the_distribution_function(shape, sampler):
    rows, weight = normal(4, 1), np.array(PRIOR) / sum(PRIOR)
    one = distribution(shape, 0.8)

    def whole(x):
        return sum(w * one(x - centre) for w, centre in zip(weight, rows.numpy(), strict=True))

    found = Density(kernels(rows, 0.8, shape, PRIOR))
    count, options = (MANY, {}) if sampler == "exact" else (3000, {"steps": 150, "rate": 1.0})
    drawn = found.sample(count, seed=3, sampler=sampler, **options)
    assert stats.kstest(drawn.squeeze(-1).numpy(), whole).pvalue > 1e-3


@pytest.mark.parametrize("shape", SHAPES)
def test_samples_have_the_mean_and_the_covariance_of_the_kernels(shape):
    rows, dim, width = normal(4, 3), 3, 0.9
    weight = torch.tensor(PRIOR, dtype=torch.float64) / sum(PRIOR)
    mean = weight @ rows
    spread = {
        "gaussian": width**2,
        "laplace": 2 * width**2,
        "epanechnikov": width**2 / (dim + 4),
    }[shape]
    away = rows - mean
    covariance = (weight.unsqueeze(-1) * away).mT @ away + spread * torch.eye(3)
    drawn = Density(kernels(rows, width, shape, PRIOR)).sample(MANY, seed=1)
    error = (covariance.diagonal() / MANY).sqrt()
    assert ((drawn.mean(0) - mean).abs() < 4.5 * error).all()
    torch.testing.assert_close(drawn.mT.cov(), covariance, rtol=0, atol=0.08)


def test_samples_of_a_modern_hopfield_network_come_from_long_patterns():
    memory = kanerva.modern_hopfield(2, 4.0, dtype=torch.float64)
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.2]], dtype=torch.float64)
    memory.write(rows)
    drawn = Density(memory).sample(MANY, seed=0)
    share = 1 / (1 + math.exp(4 * (1 - 1.2**2) / 2))  # of the longer one
    expected = share * rows[1] + (1 - share) * rows[0]
    assert ((drawn.mean(0) - expected).abs() < 0.03).all()


@pytest.mark.parametrize("dim", [2, 3, 20])
@pytest.mark.parametrize("kappa", [0.0, 2.0, 200.0, 1e8])
def test_samples_on_the_sphere_have_the_cosine_of_the_kernel(dim, kappa):
    memory = density.vmf(dim, kappa, dtype=torch.float64)
    centre = normal(1, dim)
    memory.write(5 * centre)
    drawn = Density(memory).sample(4000, seed=2)
    torch.testing.assert_close(drawn.norm(dim=-1), torch.ones(4000, dtype=torch.float64))
    cosine = (drawn @ centre.squeeze(0) / centre.norm()).numpy()
    if kappa > 1e6:  # 2 kappa (1 - cosine) is chi-squared
        away = (drawn - centre / centre.norm()).square().sum(-1).numpy()
        assert stats.kstest(kappa * away, stats.chi2(dim - 1).cdf).pvalue > 1e-3
        return
    # The density of the cosine is exp(kappa c) (1 - c^2)^((d - 3) / 2): summed over angles.
    angle = np.linspace(0, math.pi, 200_001)
    middle = (angle[1:] + angle[:-1]) / 2
    mass = np.exp(kappa * (np.cos(middle) - 1)) * np.sin(middle) ** (dim - 2)
    below = np.concatenate(([0.0], mass.cumsum())) / mass.sum()

    def whole(c):
        return 1 - np.interp(np.arccos(np.clip(c, -1, 1)), angle, below)

    assert stats.kstest(cosine, whole).pvalue > 1e-3
    # Around the centre no direction is preferred.
    side = drawn - torch.from_numpy(cosine).unsqueeze(-1) * centre / centre.norm()
    assert (side.mean(0).abs() < 4.5 * side.std(0) / 4000**0.5 + 1e-12).all()


def test_samples_on_the_sphere_take_rows_by_their_priors():
    memory = density.vmf(3, 500.0, dtype=torch.float64)
    memory.write(torch.eye(3, dtype=torch.float64), prior=[1.0, 2.0, 5.0])
    drawn = Density(memory).sample(MANY, seed=0)
    share = drawn.argmax(-1).bincount() / MANY
    assert share.tolist() == pytest.approx([1 / 8, 2 / 8, 5 / 8], abs=0.015)


def on_bits(rule, rows, scored=similarity.dot, **store):
    store = {"activation": kanerva.activation.Sign(), "dtype": torch.float64} | store
    memory = Patterns(rows.shape[1], similarity=scored, separation=rule, **store)
    memory.write(rows.to(store["dtype"]))
    return memory


def fits(found, drawn):
    """Return the probability that draws of all vectors of bits differ more than these do."""
    count = drawn.shape[1]
    every = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * count)
    expected = found.log_prob(every.to(found.memory.dtype)).exp().numpy() * len(drawn)
    place = ((drawn.double() > 0).long() * 2 ** torch.arange(count - 1, -1, -1)).sum(-1)
    seen = place.bincount(minlength=2**count).numpy()
    assert seen[expected < 1e-9].sum() == 0
    rare = expected < 5
    if rare.any():  # one cell for all rare vectors
        seen = np.append(seen[~rare], seen[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
    kept = expected > 1e-9
    return stats.chisquare(seen[kept], expected[kept], sum_check=False).pvalue


@pytest.mark.parametrize("beta", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("sampler", ["exact", "gibbs"])
def test_samples_of_bits_are_bernoullis(beta, sampler):
    found = Density(on_bits(Softmax(beta), bits.random(3, 6, seed=0)))
    assert fits(found, found.sample(6000, seed=1, sampler=sampler, steps=30)) > 1e-3


@pytest.mark.parametrize("radius", [0, 1, 2, 4])
@pytest.mark.parametrize("storage", [None, "bits"])
def test_samples_of_sparse_distributed_memory(radius, storage):
    rows = bits.random(3, 6, seed=0)
    rule = Circle(6, radius)
    found = Density(on_bits(rule, rows, similarity.agreement, storage=storage))
    assert fits(found, found.sample(6000, seed=1)) > 1e-3


def test_a_gibbs_walk_starts_where_the_density_is_not_zero():
    rows = bits.random(2, 40, seed=0)
    found = Density(on_bits(Circle(40, 2), rows, similarity.agreement))
    drawn = found.sample(20, seed=1, sampler="gibbs", steps=5)
    assert found.log_prob(drawn).isfinite().all()


@pytest.mark.parametrize("rule", [Difference(Linear()), Power(3), Argmax()])
def test_gibbs_samples_have_boltzmanns_distribution(rule):
    found = Density(on_bits(rule, bits.random(2, 6, seed=3)), temperature=6.0)
    assert fits(found, found.sample(6000, seed=2, steps=40)) > 1e-3


@pytest.mark.parametrize("rule", [Entmax(1.5), TopK(2, 1.0)])
def test_mala_samples_have_the_density_of_the_energy(rule):
    """On a line, where it can be summed."""
    memory = Patterns(1, similarity=similarity.dot, separation=rule, dtype=torch.float64)
    memory.write(normal(4, 1))
    line = torch.linspace(-8, 8, 4001, dtype=torch.float64).unsqueeze(-1)
    mass = (-memory.energy(line) / 0.8).exp().numpy()
    below = mass.cumsum() / mass.sum()
    drawn = Density(memory, 0.8).sample(3000, seed=1, steps=200, rate=1.0).squeeze(-1).numpy()

    def whole(x):
        return np.interp(x, line.squeeze(-1).numpy() + 0.002, below)

    assert stats.kstest(drawn, whole).pvalue > 1e-3


def test_small_langevin_steps_are_nearly_exact():
    found = Density(kernels(normal(4, 1), 0.8))
    drawn = found.sample(3000, seed=1, sampler="langevin", steps=400, rate=0.05)
    exact = found.sample(3000, seed=2)
    assert stats.ks_2samp(drawn.squeeze(-1).numpy(), exact.squeeze(-1).numpy()).pvalue > 1e-3


CASES = {
    **{shape: (lambda shape=shape: kernels(normal(4, 2), 0.7, shape), {}) for shape in SHAPES},
    "mala": (lambda: kernels(normal(4, 2)), {"sampler": "mala", "steps": 5}),
    "langevin": (lambda: kernels(normal(4, 2)), {"sampler": "langevin", "steps": 5}),
    "bits": (lambda: on_bits(Softmax(0.3), bits.random(3, 6, seed=0)), {}),
    "gibbs": (
        lambda: on_bits(Softmax(0.3), bits.random(3, 6, seed=0)),
        {"sampler": "gibbs", "steps": 3},
    ),
    "circle": (lambda: on_bits(Circle(6, 2), bits.random(3, 6, seed=0), similarity.agreement), {}),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_the_same_seed_gives_the_same_bytes_in_the_dtype_of_the_memory(name, dtype):
    make, options = CASES[name]
    found = Density(make().to(dtype))
    one, other = found.sample(5, seed=7, **options), found.sample(5, seed=7, **options)
    assert one.dtype == dtype
    assert one.shape == (5, found.memory.dim)
    assert torch.equal(one, other)
    assert not torch.equal(one, found.sample(5, seed=8, **options))
    generator = torch.Generator().manual_seed(7)
    assert torch.equal(one, found.sample(5, seed=generator, **options))
    assert not torch.equal(one, found.sample(5, seed=generator, **options))
    assert found.sample(0, **options).shape == (0, found.memory.dim)


def test_the_seed_of_the_rows_gives_no_rows():
    """Rows and samples of one seed are as independent as those of two."""
    rows = bits.random(4, 60, seed=0)
    found = Density(on_bits(Linear(), rows), temperature=1e6)
    drawn = found.sample(4, seed=0, steps=1)
    assert (bits.hamming(drawn, rows.double()) > 10).all()
    assert abs(found.annealed(walks=16, steps=2).value - 60 * math.log(2)) < 0.01


@pytest.mark.parametrize(
    ("make", "sampler", "argument"),
    [
        ("gaussian", "gibbs", "sampler"),
        ("bits", "mala", "sampler"),
        ("bits", "langevin", "sampler"),
        ("gaussian", "junk", "sampler"),
        ("gaussian", None, "sampler"),
    ],
)
def test_a_sampler_of_another_space_is_refused(make, sampler, argument):
    with pytest.raises(InputError) as caught:
        Density(CASES[make][0]()).sample(2, sampler=sampler)
    assert caught.value.argument == argument


def test_what_cannot_be_drawn_is_refused():
    memory = Patterns(3, similarity=similarity.cosine, separation=Entmax(1.5))
    memory.write(torch.eye(3))
    with pytest.raises(InputError, match="drawn exactly"):
        Density(memory).sample(2)
    with pytest.raises(InputError, match="langevin"):
        Density(kernels(normal(3, 2)), temperature=3.0).sample(2, sampler="exact")
    with pytest.raises(InputError, match='"exact" for this density'):
        Density(density_on_sphere()).sample(2, sampler="mala")
    for bad in (-1, 1.5, None, "3"):
        with pytest.raises(InputError, match="n must be"):
            Density(kernels(normal(3, 2))).sample(bad)
    for bad in (0, -1, math.nan, math.inf):
        with pytest.raises(InputError, match="rate must be"):
            Density(kernels(normal(3, 2))).sample(1, rate=bad)


def density_on_sphere():
    memory = density.vmf(3, 2.0)
    memory.write(torch.eye(3))
    return memory
