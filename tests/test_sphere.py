"""Attention as the posterior of a mixture on the sphere, and the EM algorithm as attention."""

import math

import pytest
import torch
from scipy.stats import vonmises_fisher

from kanerva import InputError, density, functional
from kanerva.separation import Softmax
from kanerva.similarity import dot
from kanerva.theory import kernel

D, M = 16, 12


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


KEYS, GAMMA, DELTA = normal(M, D), normal(D, seed=1), normal(D, seed=2)


def layer_norm(x: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.layer_norm(x, (D,), eps=0)


def posterior(sphere: density.Sphere, unit: torch.Tensor) -> torch.Tensor:
    """Return Bayes' posterior of unit vectors, from densities that integrate to one."""
    log_c = -torch.from_numpy(kernel.log_normaliser("vmf", D, sphere.kappa.numpy()))
    logs = log_c + sphere.kappa * (unit @ sphere.direction.T) + sphere.log_prior
    return logs.exp() / logs.exp().sum(-1, keepdim=True)


def read(query: torch.Tensor, keys: torch.Tensor = KEYS) -> torch.Tensor:
    return functional.weights(query, keys, dot, Softmax(1.0))


def clusters(
    seed: int = 0, kappa: float = 60.0, each: int = 60
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw three clusters by SciPy; return the rows, and the directions that they are around."""
    means = torch.nn.functional.normalize(normal(3, D, seed=seed), dim=-1)
    rows = [
        torch.from_numpy(vonmises_fisher(mean.numpy(), kappa).rvs(each, random_state=seed + place))
        for place, mean in enumerate(means)
    ]
    return torch.cat(rows), means


def test_a_layer_norm_with_weight_and_bias():
    normed = layer_norm(normal(50, D, seed=3))
    found = density.attention_as_vmf(KEYS, GAMMA, DELTA)
    assert torch.allclose(found.kappa, 4 * (KEYS * GAMMA).norm(dim=-1), rtol=1e-14)
    assert torch.allclose(found.log_weight, KEYS @ DELTA, rtol=1e-13)
    weights = posterior(found, normed / 4)
    assert (weights - read(GAMMA * normed + DELTA)).abs().max() < 1e-12


def test_without_the_normaliser_of_the_density_weights_differ():
    normed = layer_norm(normal(50, D, seed=3))
    found = density.attention_as_vmf(KEYS)
    wrong = posterior(found._replace(log_prior=found.log_weight), normed / 4)
    assert (wrong - read(normed)).abs().max() > 0.1


def test_longer_keys_have_larger_priors():
    keys = torch.nn.functional.normalize(KEYS, dim=-1) * torch.arange(1.0, M + 1)[:, None]
    found = density.attention_as_vmf(keys)
    assert (found.log_weight == 0).all()
    assert (found.log_prior.diff() > 0).all()


def test_a_norm_before_the_projection_has_a_kappa_for_each_query():
    query = normal(5, 7, D, seed=4)
    lengths = query.norm(dim=-1)
    found = density.attention_as_vmf(KEYS, scale=lengths)
    assert found.kappa.shape == found.log_prior.shape == (5, 7, M)
    assert torch.allclose(found.kappa, lengths[..., None] * KEYS.norm(dim=-1))
    weights = posterior(found, query / lengths[..., None])
    assert (weights - read(query)).abs().max() < 1e-12


def test_normalised_queries_and_keys_are_an_ordinary_mixture():
    unit = torch.nn.functional.normalize(normal(20, D, seed=5), dim=-1)
    keys = torch.nn.functional.normalize(KEYS, dim=-1)
    found = density.attention_as_vmf(keys, scale=7.5)
    assert torch.allclose(found.kappa, torch.tensor(7.5).double(), rtol=1e-14)
    assert found.log_prior.max() - found.log_prior.min() < 1e-13
    assert (posterior(found, unit) - read(7.5 * unit, keys)).abs().max() < 1e-14


def test_a_key_of_length_zero_has_no_direction():
    keys = torch.cat([KEYS[:2], torch.zeros(1, D).double(), KEYS[:1] * 1e-200])
    found = density.attention_as_vmf(keys, delta=DELTA)
    assert found.kappa[2] == 0
    assert (found.direction[2] == 0).all()
    assert found.direction[3] == pytest.approx(found.direction[0], rel=1e-14)
    area = math.log(2) + D / 2 * math.log(math.pi) - math.lgamma(D / 2)
    assert found.log_prior[2] == pytest.approx(area)


def test_lengths_of_queries_may_be_zero_and_there_may_be_no_key():
    found = density.attention_as_vmf(KEYS, scale=torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert (found.kappa[0] == 0).all()
    none = density.attention_as_vmf(KEYS[:0])
    assert [tuple(part.shape) for part in none] == [(0,), (0, D), (0,), (0,)]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_narrow_keys_give_float32(dtype):
    exact = density.attention_as_vmf(KEYS.to(dtype).double(), GAMMA.to(dtype).double())
    found = density.attention_as_vmf(KEYS.to(dtype), GAMMA.to(dtype))
    for one, other in zip(found, exact, strict=True):
        assert one.dtype == torch.float32
        assert torch.equal(one, other.float())


def test_a_step_of_em_is_attention_with_the_softmax_over_the_queries():
    x, _ = clusters()
    slots = x[[0, 60, 120]]
    for steps in range(1, 31):
        weights = (60.0 * slots @ x.T).softmax(0)  # over the queries
        slots = torch.nn.functional.normalize(weights @ x, dim=-1)
        if steps in (1, 2, 30):
            found = density.sphere_em(x, x[[0, 60, 120]], 60.0, steps)
            assert (found.means - slots).abs().max() < 1e-12
            assert (found.weights - (60.0 * x @ slots.T).softmax(-1)).abs().max() < 1e-10


def test_the_likelihood_is_that_of_scipy_and_never_falls():
    x, truth = clusters()
    found = density.sphere_em(x, x[[0, 1, 2]], 60.0, 40)
    assert found.log_likelihood.shape == (41,)
    assert (found.log_likelihood.diff() > -1e-12).all()
    for means, value in (
        (x[[0, 1, 2]], found.log_likelihood[0]),
        (found.means, found.log_likelihood[-1]),
    ):
        each = [
            torch.from_numpy(vonmises_fisher(mean.numpy(), 60.0).logpdf(x.numpy()))
            for mean in means
        ]
        expected = torch.stack(each).logsumexp(0).mean() - math.log(3)
        assert value.item() == pytest.approx(expected.item(), rel=1e-12)
    apart = density.sphere_em(x, x[[0, 60, 120]], 60.0, 30)
    assert (apart.means * truth).sum(-1).min() > 0.99
    assert torch.equal(apart.weights.argmax(-1), torch.arange(3).repeat_interleave(60))


def test_only_directions_count():
    x, _ = clusters()
    found = density.sphere_em(x, x[[0, 60, 120]], 20.0, 3)
    scaled = density.sphere_em(x * 1e-160, x[[0, 60, 120]] * 1e160, 20.0, 3)
    for one, other in zip(found, scaled, strict=True):
        assert one == pytest.approx(other, rel=1e-12)


def test_a_mean_without_a_direction_stays():
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    found = density.sphere_em(x, torch.tensor([[0.0, 2.0]]), 5.0, 3)
    assert found.means.tolist() == [[0.0, 1.0]]
    assert found.weights.tolist() == [[1.0], [1.0]]
    assert density.sphere_em(x, x, 0.0, 0).means.dtype == torch.float32


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: density.attention_as_vmf(KEYS[0]), "keys"),
        (lambda: density.attention_as_vmf(KEYS.long()), "keys"),
        (lambda: density.attention_as_vmf(KEYS * math.nan), "keys"),
        (lambda: density.attention_as_vmf(KEYS, GAMMA[:3]), "gamma"),
        (lambda: density.attention_as_vmf(KEYS, GAMMA.float()), "gamma"),
        (lambda: density.attention_as_vmf(KEYS, GAMMA, DELTA * math.inf), "delta"),
        (lambda: density.attention_as_vmf(KEYS, GAMMA, 1.0), "delta"),
        (lambda: density.attention_as_vmf(KEYS, scale=0.0), "scale"),
        (lambda: density.attention_as_vmf(KEYS, scale=torch.tensor([-1.0])), "scale"),
        (lambda: density.attention_as_vmf(KEYS, scale=torch.tensor([1])), "scale"),
        (lambda: density.attention_as_vmf(KEYS * 1e200, scale=1e200), "scale"),
        (lambda: density.attention_as_vmf(KEYS * 1e200, delta=DELTA * 1e200), "delta"),
        (lambda: density.sphere_em(KEYS[:0], KEYS, 1.0, 1), "x"),
        (lambda: density.sphere_em(KEYS * 0, KEYS, 1.0, 1), "x"),
        (lambda: density.sphere_em(KEYS, KEYS[:0], 1.0, 1), "means"),
        (lambda: density.sphere_em(KEYS, KEYS[:, :3], 1.0, 1), "means"),
        (lambda: density.sphere_em(KEYS, KEYS.float(), 1.0, 1), "means"),
        (lambda: density.sphere_em(KEYS, KEYS * 0, 1.0, 1), "means"),
        (lambda: density.sphere_em(KEYS, KEYS, -1.0, 1), "kappa"),
        (lambda: density.sphere_em(KEYS, KEYS, math.inf, 1), "kappa"),
        (lambda: density.sphere_em(KEYS, KEYS, 1.0, -1), "steps"),
    ],
)
@pytest.mark.untyped
def test_bad_input_is_refused_by_name(call, argument):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.argument == argument
