"""The likelihood along the probability flow against closed forms."""

import math
import warnings

import numpy as np
import pytest
import torch

from kanerva import InputError, density, diffusion


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def model(dim=4):
    """Return a mean, a covariance with correlations, and five rows of such data."""
    factor = normal(dim, dim, seed=1) / dim**0.5
    mean = normal(dim, seed=2)
    return mean, factor @ factor.mT, mean + normal(5, dim, seed=3) @ factor.mT


def log_normal(x, mean, covariance):
    found = torch.distributions.MultivariateNormal(mean, covariance)
    return found.log_prob(x)


@pytest.mark.untyped
@pytest.mark.parametrize("kind", ["geometric", "karras"])
def test_normal_data_have_their_closed_form_with_an_error_of_second_order(kind):
    mean, covariance, x = model()
    denoise = diffusion.gaussian(mean, covariance)
    wanted = log_normal(x, mean, covariance + 0.01**2 * torch.eye(4))
    wrong = []
    for steps in (100, 200, 400):
        sigmas = diffusion.schedule(kind, steps, 1e5, 0.01)
        found = diffusion.log_likelihood(denoise, x, sigmas)
        wrong.append((found - wanted).abs().max().item())
    assert wrong[2] < 0.02
    assert wrong[0] / wrong[1] == pytest.approx(4, rel=0.25)
    assert wrong[1] / wrong[2] == pytest.approx(4, rel=0.25)


@pytest.mark.untyped
@pytest.mark.parametrize("bandwidth", [0.0, 0.4])
def test_stored_rows_have_the_density_of_their_mixture(bandwidth):
    rows = normal(9, 3)
    denoise = diffusion.exact(rows, bandwidth)
    x = rows[:4] + 0.3 * normal(4, 3, seed=5)
    sigmas = diffusion.schedule("geometric", 400, 1e4, 0.3)
    found = diffusion.log_likelihood(denoise, x, sigmas)
    width = 0.3**2 + bandwidth**2
    square = (x[:, None] - rows).square().sum(-1)
    wanted = (-square / (2 * width)).logsumexp(-1)
    wanted = wanted - math.log(9) - 1.5 * math.log(2 * math.pi * width)
    assert (found - wanted).abs().max() < 3e-3
    assert (wanted - denoise.log_prob(x, 0.3)).abs().max() < 1e-9


@pytest.mark.untyped
@pytest.mark.parametrize("bandwidth", [0.0, 0.4])
def test_the_closed_trace_of_stored_rows_is_that_of_gradients(bandwidth):
    memory = density.kernel(dim=3, bandwidth=1.0, dtype=torch.float64)
    memory.write(normal(7, 3) + 20, prior=[1.0, 2.0, 0.5, 1.0, 1.0, 3.0, 0.1])
    denoise = diffusion.exact(memory, bandwidth)
    x, sigmas = 20 + normal(2, 4, 3, seed=8), diffusion.schedule("geometric", 12, 1e4, 0.2)
    found = diffusion.log_likelihood(denoise, x, sigmas)
    other = diffusion.log_likelihood(lambda x, sigma: denoise(x, sigma), x, sigmas)
    assert found.numpy() == pytest.approx(other.numpy(), abs=1e-6)


def test_an_only_row_is_the_noise_around_it():
    row = torch.tensor([[1.0, -2.0]]).double()
    x = row + 0.1 * normal(3, 2)
    sigmas = diffusion.schedule("geometric", 30, 1e5, 0.2)
    found = diffusion.log_likelihood(diffusion.exact(row), x, sigmas)
    assert (found - log_normal(x, row[0], 0.04 * torch.eye(2).double())).abs().max() < 1e-3


@pytest.mark.untyped
def test_densities_sum_to_one():
    rows = torch.tensor([[-1.0], [0.5], [0.7]]).double()
    grid = torch.linspace(-4, 4, 801, dtype=torch.float64)
    sigmas = diffusion.schedule("geometric", 200, 1e4, 0.3)
    found = diffusion.log_likelihood(diffusion.exact(rows), grid.unsqueeze(-1), sigmas)
    assert torch.trapezoid(found.exp(), grid).item() == pytest.approx(1, abs=1e-3)


def test_sign_vectors_are_exact_for_coordinates_without_correlation():
    covariance = torch.diag(torch.tensor([1.0, 4.0, 0.1])).double()
    denoise = diffusion.gaussian(torch.zeros(3).double(), covariance)
    x, sigmas = normal(2, 3), diffusion.schedule("geometric", 40, 100.0, 0.1)
    exact = diffusion.log_likelihood(denoise, x, sigmas)
    for draws in (1, 3):
        found = diffusion.log_likelihood(denoise, x, sigmas, draws=draws)
        assert found.numpy() == pytest.approx(exact.numpy(), abs=1e-9)


def test_estimates_are_unbiased_and_their_variance_falls_with_the_draws():
    mean, covariance, x = model()
    denoise = diffusion.gaussian(mean, covariance)
    sigmas = diffusion.schedule("geometric", 20, 1e3, 0.05)
    exact = diffusion.log_likelihood(denoise, x[:1], sigmas)
    many = x[:1].expand(2000, 4)
    one = diffusion.log_likelihood(denoise, many, sigmas, draws=1, seed=1) - exact
    four = diffusion.log_likelihood(denoise, many, sigmas, draws=4, seed=2) - exact
    assert abs(one.mean()) < 4 * one.std() / 2000**0.5
    assert abs(four.mean()) < 4 * four.std() / 2000**0.5
    assert (one.var() / four.var()).item() == pytest.approx(4, rel=0.2)


@pytest.mark.parametrize("draws", [0, 2])
def test_rows_do_not_depend_on_others_and_seeds_repeat(draws):
    mean, covariance, x = model()
    denoise = diffusion.gaussian(mean, covariance)
    sigmas = diffusion.schedule("geometric", 20, 100.0, 0.05)
    given = {"draws": draws, "seed": 7}
    whole = diffusion.log_likelihood(denoise, x, sigmas, **given)
    assert whole.equal(diffusion.log_likelihood(denoise, x, sigmas, **given))
    other = x.clone()
    other[2:] = 0
    part = diffusion.log_likelihood(denoise, other, sigmas, **given)
    assert part[:2].numpy() == pytest.approx(whole[:2].numpy(), abs=1e-12)
    changed = diffusion.log_likelihood(denoise, x, sigmas, draws=draws, seed=8)
    assert whole.equal(changed) is (draws == 0)


def test_shapes_and_dtypes_are_kept_without_gradients():
    denoise = diffusion.gaussian(torch.zeros(2), torch.eye(2))
    sigmas = diffusion.schedule("geometric", 60, 100.0, 0.05)
    x = normal(2, 3, 2).float().requires_grad_()
    found = diffusion.log_likelihood(denoise, x, sigmas)
    assert (found.shape, found.dtype, found.requires_grad) == ((2, 3), torch.float32, False)
    with torch.no_grad():
        assert diffusion.log_likelihood(denoise, x, sigmas).equal(found)
    wanted = denoise.log_prob(x.detach(), 0.05)
    assert (found - wanted).abs().max() < 0.05
    assert diffusion.log_likelihood(denoise, torch.zeros(0, 2), sigmas).shape == (0,)


@pytest.mark.untyped
def test_a_first_sigma_near_the_data_is_named():
    mean = torch.tensor([30.0, 0.0]).double()
    denoise, x = diffusion.gaussian(mean, torch.eye(2).double()), mean + normal(5, 2)
    with pytest.warns(UserWarning, match=r"wrong by about .* nats"):
        found = diffusion.log_likelihood(denoise, x, diffusion.schedule("karras", 50, 10.0, 0.1))
    assert (found - denoise.log_prob(x, 0.1)).abs().median() > 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        diffusion.log_likelihood(denoise, x, diffusion.schedule("karras", 50, 100.0, 0.1))


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("change", "argument"),
    [
        ({"denoiser": None}, "denoiser"),
        ({"denoiser": lambda x, sigma: x.detach()}, "denoiser"),
        ({"denoiser": lambda x, sigma: x.float()}, "denoiser"),
        ({"x": torch.full((2, 2), float("nan"))}, "x"),
        ({"x": torch.zeros(2, 2, dtype=torch.int64)}, "x"),
        ({"x": torch.zeros(2, 3)}, "x"),
        ({"sigmas": [1.0]}, "sigmas"),
        ({"sigmas": [1.0, 2.0]}, "sigmas"),
        ({"sigmas": [1.0, 0.0]}, "sigmas"),
        ({"draws": -1}, "draws"),
        ({"draws": 0.5}, "draws"),
        ({"seed": -1}, "seed"),
    ],
)
def test_arguments(change, argument):
    eye = torch.eye(2).double()
    denoise = diffusion.gaussian(torch.zeros(2).double(), eye)
    given = {"denoiser": denoise, "x": eye, "sigmas": [100.0, 1.0, 0.1]}
    with pytest.raises(InputError) as refused:
        diffusion.log_likelihood(**given | change)
    assert (refused.value.argument, refused.value.function) == (argument, "log_likelihood")
