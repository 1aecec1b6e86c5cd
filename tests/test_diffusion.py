"""The exact denoiser, schedules of noise, samplers, and the memory that anneals."""

import copy
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import kanerva
from kanerva import InputError, InputTypeError, Patterns, density, diffusion
from kanerva.separation import Compact, Softmax
from kanerva.similarity import closeness

D = 5


def drawn(*shape, seed=0):
    source = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=source, dtype=torch.float64)


def brute(x, rows, sigma, h=0.0, prior=None, known=None):
    """Compute weights, denoised x, energy and log density of one query by NumPy."""
    x, rows = x.numpy(), rows.numpy()
    prior = np.ones(len(rows)) if prior is None else prior.numpy()
    seen = np.ones(len(x), dtype=bool) if known is None else known.numpy()
    v = sigma**2 + h**2
    logs = np.log(prior) - ((x - rows)[:, seen] ** 2).sum(-1) / (2 * v)
    top = logs.max()
    shares = np.exp(logs - top)
    total = top + np.log(shares.sum())
    shares = shares / shares.sum()
    mean = shares @ rows
    value = np.where(seen, (h**2 * x + sigma**2 * mean) / v, mean)
    log_prob = total - np.log(prior.sum()) - seen.sum() / 2 * np.log(2 * np.pi * v)
    return shares, value, -v * total, log_prob


@pytest.mark.parametrize("h", [0.0, 0.4])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("several", [False, True])
def test_every_number_is_that_of_the_formula(h, masked, several):
    rows, x, prior = drawn(30, D), drawn(7, D, seed=1), drawn(30, seed=2).exp()
    memory = density.kernel(D, 1.0, dtype=torch.float64)
    memory.write(rows, prior=prior)
    denoise = diffusion.exact(memory, h)
    known = (drawn(7, D, seed=3) > 0) | (torch.arange(D) == 0) if masked else None
    sigma = drawn(7, seed=4).exp() if several else torch.full((7,), 0.6, dtype=torch.float64)
    noise = sigma if several else 0.6
    for i in range(7):
        seen = None if known is None else known[i]
        shares, value, energy, log_prob = brute(x[i], rows, sigma[i].item(), h, prior, seen)
        found = denoise.weights(x, noise, known)[i]
        np.testing.assert_allclose(found.numpy(), shares, atol=1e-12)
        np.testing.assert_allclose(denoise(x, noise, known)[i].numpy(), value, atol=1e-12)
        assert denoise.energy(x, noise, known)[i].item() == pytest.approx(energy, abs=1e-10)
        assert denoise.log_prob(x, noise, known)[i].item() == pytest.approx(log_prob, abs=1e-10)
        effective = denoise.effective(x, noise, known)[i].item()
        assert effective == pytest.approx(1 / (shares**2).sum(), rel=1e-10)


@pytest.mark.parametrize("h", [0.0, 0.3])
@pytest.mark.parametrize("masked", [False, True])
def test_the_score_is_the_slope_of_the_log_density(h, masked):
    denoise = diffusion.exact(drawn(20, D), h)
    x = drawn(6, D, seed=1).requires_grad_()
    known = drawn(6, D, seed=2) > 0 if masked else None
    sigma = torch.tensor([0.2, 0.5, 0.5, 1.0, 3.0, 10.0], dtype=torch.float64)
    (slope,) = torch.autograd.grad(denoise.log_prob(x, sigma, known).sum(), x)
    torch.testing.assert_close(denoise.score(x.detach(), sigma, known), slope)
    (slope,) = torch.autograd.grad(denoise.energy(x, sigma, known).sum(), x)
    mean = diffusion.exact(denoise.memory)(x.detach(), (sigma**2 + h**2).sqrt(), known)
    step = x.detach() - mean
    torch.testing.assert_close(slope, step if known is None else torch.where(known, step, 0.0))


@pytest.mark.parametrize("h", [0.0, 0.3])
def test_the_trace_is_that_of_the_jacobian(h):
    rows, x = drawn(20, D) + 100, drawn(4, D, seed=1) + 100  # far from the origin
    memory = density.kernel(D, 1.0, dtype=torch.float64)
    memory.write(rows, prior=drawn(20, seed=2).exp())
    wiener = diffusion.gaussian(rows.mean(0), torch.cov(rows.mT))
    sigma = torch.tensor([0.3, 0.5, 1.0, 4.0], dtype=torch.float64)
    for denoise in (diffusion.exact(memory, h), wiener):
        slopes = [
            torch.func.jacrev(lambda one, s=s, denoise=denoise: denoise(one, s))(row).trace()
            for row, s in zip(x, sigma.tolist(), strict=True)
        ]
        torch.testing.assert_close(denoise.trace(x, sigma), torch.stack(slopes))
        torch.testing.assert_close(denoise.trace(x[1], 0.5), slopes[1])


def test_the_log_density_is_that_of_the_kernel_density():
    rows, x = drawn(20, D), drawn(6, D, seed=1)
    memory = density.kernel(D, 0.7, dtype=torch.float64)
    memory.write(rows)
    expected = density.Density(memory).log_prob(x)
    torch.testing.assert_close(diffusion.exact(rows).log_prob(x, 0.7), expected)
    torch.testing.assert_close(diffusion.exact(rows, 0.7).log_prob(x, 0.0), expected)


def test_a_density_of_known_coordinates_is_the_marginal_one():
    rows, x = drawn(20, D), drawn(6, D, seed=1)
    known = torch.tensor([True, False, True, False, False])
    few = diffusion.exact(rows[:, known], 0.2)
    whole = diffusion.exact(rows, 0.2)
    torch.testing.assert_close(whole.log_prob(x, 0.5, known), few.log_prob(x[:, known], 0.5))
    torch.testing.assert_close(whole(x, 0.5, known)[:, known], few(x[:, known], 0.5))
    nothing = torch.zeros(D, dtype=torch.bool)
    assert whole.log_prob(x, 0.5, nothing).tolist() == pytest.approx([0.0] * 6, abs=1e-12)
    torch.testing.assert_close(whole(x, 0.5, nothing), rows.mean(0).expand(6, D))


def test_limits_of_much_noise_and_of_none():
    rows, x = drawn(20, D), drawn(6, D, seed=1)
    denoise = diffusion.exact(rows)
    torch.testing.assert_close(denoise(x, 1e6), rows.mean(0).expand(6, D), atol=1e-6, rtol=0)
    nearest = rows[torch.cdist(x, rows).argmin(-1)]
    torch.testing.assert_close(denoise(x, 1e-3), nearest)
    assert torch.equal(denoise(x, 0.0), nearest)
    half = 0.5 * torch.cdist(x, rows).amin(-1).square()
    torch.testing.assert_close(denoise.energy(x, 0.0), half)
    mixed = torch.tensor([0.0, 1.0, 0.0, 2.0, 0.0, 1e-3], dtype=torch.float64)
    for verb in ("__call__", "energy", "weights", "effective"):
        alone = [getattr(denoise, verb)(one, s.item()) for one, s in zip(x, mixed, strict=True)]
        torch.testing.assert_close(getattr(denoise, verb)(x, mixed), torch.stack(alone))
    tie = diffusion.exact(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [9.0, 9.0]]))
    assert tie(torch.zeros(2), 0.0).tolist() == [0.0, 0.0]
    smooth = diffusion.exact(rows, 0.3)
    assert torch.equal(smooth(x, 0.0), x)  # without noise the mean is x itself


@pytest.mark.untyped
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.05, 20), st.just(0.0) | st.floats(0.01, 2))
def test_laws_of_the_denoiser(seed, sigma, h):
    rows, x, shift = drawn(8, 3, seed=seed), drawn(4, 3, seed=seed + 1), drawn(3, seed=seed + 2)
    found = diffusion.exact(rows, h)(x, sigma)
    close = {"atol": 1e-9, "rtol": 1e-9}
    order = torch.randperm(8, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(diffusion.exact(rows[order], h)(x, sigma), found, **close)
    moved = diffusion.exact(rows + shift, h)(x + shift, sigma) - shift
    torch.testing.assert_close(moved, found, **close)
    turn, _ = torch.linalg.qr(drawn(3, 3, seed=seed + 3))
    torch.testing.assert_close(diffusion.exact(rows @ turn, h)(x @ turn, sigma), found @ turn)
    twice = diffusion.exact(torch.cat((rows, rows[:1])), h)(x, sigma)
    memory = density.kernel(3, 1.0, dtype=torch.float64)
    memory.write(rows, prior=torch.cat((torch.tensor([2.0]), torch.ones(7))))
    torch.testing.assert_close(diffusion.exact(memory, h)(x, sigma), twice, **close)
    one = diffusion.exact(rows[:1])(x, sigma)
    torch.testing.assert_close(one, rows[:1].expand(4, 3))
    if not h:  # inside the smallest box around the rows
        assert (found >= rows.amin(0) - 1e-9).all()
        assert (found <= rows.amax(0) + 1e-9).all()


def test_denoising_is_attention_with_a_bias_of_the_keys():
    """The identity with attention: keys k / sigma^2, and a bias of -|k|^2 / 2 sigma^2."""
    rows, x, sigma = drawn(20, D), drawn(6, D, seed=1), 0.8
    logits = (x @ rows.mT - rows.square().sum(-1) / 2) / sigma**2
    torch.testing.assert_close(diffusion.exact(rows)(x, sigma), logits.softmax(-1) @ rows)


def test_memories_of_other_kinds_are_denoisers(tmp_path):
    rows, x = drawn(40, D).float(), drawn(6, D, seed=1).float()
    expected = diffusion.exact(rows)(x, 0.5)
    for rule in (Softmax(3.0), Compact(0.1)):
        memory = Patterns(D, similarity=closeness, separation=rule)
        memory.write(rows)
        assert torch.equal(diffusion.exact(memory)(x, 0.5), expected)
        assert memory.separation == rule
    denoise = diffusion.exact(memory)
    memory.write(drawn(3, D, seed=5).float())  # is seen
    assert denoise.weights(x, 0.5).shape == (6, 43)
    np.save(tmp_path / "rows.npy", rows.numpy())
    over = Patterns.over(tmp_path / "rows.npy", similarity=closeness, separation=Softmax(1.0))
    torch.testing.assert_close(diffusion.exact(over)(x, 0.5), expected)
    half = Patterns(D, similarity=closeness, separation=Softmax(1.0), storage=torch.bfloat16)
    half.write(rows)
    torch.testing.assert_close(
        diffusion.exact(half)(x, 0.5), diffusion.exact(half.keys.float())(x, 0.5)
    )


def test_a_mixture_is_denoised_by_its_means_and_counts():
    mixture = density.crp(D, sigma=0.5, prior_sigma=3.0, concentration=1.0, dtype=torch.float64)
    mixture.write(drawn(60, D))
    x, means, counts = drawn(6, D, seed=1), mixture.keys, mixture.counts
    denoise = diffusion.exact(mixture)
    for i in range(6):
        shares, value, _, log_prob = brute(x[i], means, 0.8, prior=counts)
        np.testing.assert_allclose(denoise.weights(x, 0.8)[i].numpy(), shares, atol=1e-12)
        np.testing.assert_allclose(denoise(x, 0.8)[i].numpy(), value, atol=1e-12)
        assert denoise.log_prob(x, 0.8)[i].item() == pytest.approx(log_prob)
    assert len(mixture) == len(means)


def test_wieners_filter():
    mean, root = drawn(D), drawn(D, D, seed=1)
    covariance = root @ root.mT / D
    denoise, x = diffusion.gaussian(mean, covariance), drawn(6, D, seed=2)
    for sigma in (0.3, 2.0):
        total = covariance + sigma**2 * torch.eye(D, dtype=torch.float64)
        expected = mean + (x - mean) @ torch.linalg.solve(total, covariance)
        torch.testing.assert_close(denoise(x, sigma), expected)
        law = torch.distributions.MultivariateNormal(mean, total)
        torch.testing.assert_close(denoise.log_prob(x, sigma), law.log_prob(x))
        query = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(denoise.log_prob(query, sigma).sum(), query)
        torch.testing.assert_close(denoise.score(x, sigma), slope)
        (slope,) = torch.autograd.grad(denoise.energy(query, sigma).sum(), query)
        torch.testing.assert_close(slope, x - denoise(x, sigma))
    several = torch.tensor([0.1, 1.0, 2.0, 3.0, 0.0, 0.5], dtype=torch.float64)
    alone = [denoise(one, s.item()) for one, s in zip(x, several, strict=True)]
    torch.testing.assert_close(denoise(x, several), torch.stack(alone))
    rows = mean + drawn(200_000, D, seed=3) @ root.mT / math.sqrt(D)
    far = diffusion.exact(rows[:2000])(x, 30.0)  # of many rows, the exact denoiser is near to it
    torch.testing.assert_close(far, denoise(x, 30.0), atol=0.15, rtol=0)


# Schedules


def test_schedules_fall_from_high_to_low():
    geometric = diffusion.schedule("geometric", 5, 16.0, 1.0)
    assert geometric.tolist() == pytest.approx([16, 8, 4, 2, 1])
    assert diffusion.schedule("linear", 4, 4.0, 1.0).tolist() == pytest.approx([4, 3, 2, 1])
    karras = diffusion.schedule("karras", 3, 80.0, 0.002)
    middle = ((80 ** (1 / 7) + 0.002 ** (1 / 7)) / 2) ** 7
    assert karras.tolist() == pytest.approx([80, middle, 0.002])
    for kind in ("geometric", "linear", "karras"):
        found = diffusion.schedule(kind, 50, 10.0, 0.01)
        assert (found.diff() < 0).all()
        assert (found[0].item(), found[-1].item()) == (10.0, 0.01)
        assert diffusion.schedule(kind, 1, 10.0, 0.01).tolist() == [10.0]


def test_the_schedule_of_ddpm():
    """The ends that the specification of the schedule gives: published in diffusers 0.42."""
    for spacing, first, last in (
        ("leading", 106.953, 0.0100005),
        ("trailing", 157.407, 0.140483),
        ("linspace", 157.407, 0.0100005),
    ):
        found = diffusion.vp(25, spacing)
        assert found.shape == (25,)
        assert found[0].item() == pytest.approx(first, rel=1e-5)
        assert found[-1].item() == pytest.approx(last, rel=1e-5)
        assert (found.diff() < 0).all()
        assert diffusion.vp(1000, spacing).diff().max() < 0
    assert diffusion.vp(1).shape == (1,)
    assert diffusion.vp(1, "linspace").item() == pytest.approx(0.0100005, rel=1e-5)


def test_the_schedule_of_ddpm_is_that_of_diffusers():
    diffusers = pytest.importorskip("diffusers")
    for spacing in ("leading", "trailing", "linspace"):
        for steps in (7, 25, 1000):
            made = diffusers.DDIMScheduler(clip_sample=False, timestep_spacing=spacing)
            made.set_timesteps(steps)
            kept = made.alphas_cumprod[made.timesteps].double()
            expected = ((1 - kept) / kept).sqrt()
            torch.testing.assert_close(diffusion.vp(steps, spacing), expected, rtol=1e-4, atol=0)


def test_conventions_are_inverse_to_each_other():
    x, kept = drawn(6, D), torch.tensor([0.01, 0.2, 0.5, 0.9, 0.999, 1.0], dtype=torch.float64)
    free, sigma = diffusion.to_ve(x, kept)
    torch.testing.assert_close(free, x / kept.sqrt()[:, None])
    back, again = diffusion.to_vp(free, sigma)
    torch.testing.assert_close(back, x)
    torch.testing.assert_close(again, kept)
    number, level = diffusion.to_ve(x, 0.5)
    torch.testing.assert_close(number, x * math.sqrt(2))
    assert level.tolist() == pytest.approx([1.0] * 6)


# Samplers


def loop(denoise, x, sigmas, sampler):
    """Follow a schedule by the formulas of the publications, without noise."""
    for now, then in pairwise(sigmas):
        slope = (x - denoise(x, now)) / now
        if sampler == "heun":
            ahead = x + (then - now) * slope
            slope = (slope + (ahead - denoise(ahead, then)) / then) / 2
        x = x + (then - now) * slope
    return denoise(x, sigmas[-1])


@pytest.mark.parametrize("sampler", ["ode", "heun"])
def test_samplers_without_noise(sampler):
    denoise, start = diffusion.exact(drawn(20, D)), 5 * drawn(7, D, seed=1)
    sigmas = diffusion.schedule("karras", 12, 5.0, 0.05)
    path = diffusion.sample(denoise, start, sigmas, sampler)
    torch.testing.assert_close(path.states[-1], loop(denoise, start, sigmas.tolist(), sampler))
    assert path.states.shape == (13, 7, D)
    assert torch.equal(path.states[0], start)
    assert path.steps.tolist() == [12] * 7
    short = diffusion.sample(denoise, start, sigmas, sampler, last=False)
    assert torch.equal(short.states, path.states[:-1])
    for i in (0, 5, 11):
        torch.testing.assert_close(path.energies[i], denoise.energy(path.states[i], sigmas[i]))
    torch.testing.assert_close(path.energies[-1], denoise.energy(path.states[-1], 0.05))
    assert diffusion.sample(denoise, start, sigmas, energies=False).energies is None
    plain = diffusion.sample(lambda x, sigma: denoise(x, sigma), start, sigmas)
    assert plain.energies is None


def test_euler_is_ddim_in_the_other_convention():
    """DDIM in alpha-bar form, with the exact epsilon: Song, Meng and Ermon 2021, eq. 12."""
    denoise, sigmas = diffusion.exact(drawn(20, D)), diffusion.vp(25)
    x = sigmas[0] * drawn(7, D, seed=1)
    found = diffusion.sample(denoise, x, sigmas).states[-1]
    state, kept = diffusion.to_vp(x, sigmas[0].item())
    for then in sigmas[1:].tolist():
        free, sigma = diffusion.to_ve(state, kept)
        clean = denoise(free, sigma)
        noise = (state - kept.sqrt()[:, None] * clean) / (1 - kept).sqrt()[:, None]
        kept = torch.full_like(kept, 1 / (1 + then**2))
        state = kept.sqrt()[:, None] * clean + (1 - kept).sqrt()[:, None] * noise
    free, sigma = diffusion.to_ve(state, kept)
    torch.testing.assert_close(found, denoise(free, sigma), atol=1e-8, rtol=0)


@pytest.mark.untyped
@pytest.mark.parametrize("sampler", ["ancestral", "sde"])
def test_noise_keeps_the_variance_of_normal_data(sampler):
    """For normal data every sampler keeps p(x at sigma), up to the size of its steps."""
    spread = torch.tensor([2.0, 0.5], dtype=torch.float64)
    denoise = diffusion.gaussian(torch.zeros(2).double(), torch.diag(spread.square()))
    sigmas = diffusion.schedule("geometric", 200, 20.0, 0.1)
    total = (spread.square() + 400).sqrt()
    start = total * drawn(20_000, 2, seed=1)
    path = diffusion.sample(denoise, start, sigmas, sampler, last=False, seed=3)
    for step in (50, 100, 199):
        expected = (spread.square() + sigmas[step].square()).sqrt()
        torch.testing.assert_close(path.states[step].std(0), expected, rtol=0.03, atol=0)


def test_eta_one_is_ancestral_and_zero_draws_nothing():
    denoise, start = diffusion.exact(drawn(20, D)), 5 * drawn(7, D, seed=1)
    sigmas = diffusion.schedule("geometric", 12, 5.0, 0.05)
    whole = diffusion.sample(denoise, start, sigmas, "ode", eta=1.0, seed=4).states
    assert torch.equal(whole, diffusion.sample(denoise, start, sigmas, "ancestral", seed=4).states)
    plain = diffusion.sample(denoise, start, sigmas, seed=4).states
    assert torch.equal(plain, diffusion.sample(denoise, start, sigmas, seed=5).states)
    some = diffusion.sample(denoise, start, sigmas, eta=0.3, seed=4).states
    assert not torch.equal(some, plain)


@pytest.mark.untyped
@pytest.mark.parametrize("sampler", ["ode", "heun", "sde", "ancestral"])
def test_batch_mates_never_change_a_sample(sampler):
    denoise, start = diffusion.exact(drawn(20, D)), 5 * drawn(2, 4, D, seed=1)
    sigmas = diffusion.schedule("geometric", 12, 5.0, 0.05)
    whole = diffusion.sample(denoise, start, sigmas, sampler, seed=4).states
    few = diffusion.sample(denoise, start[:1], sigmas, sampler, seed=4).states
    torch.testing.assert_close(few, whole[:, :1])
    other = start.clone()
    other[1] = 0
    torch.testing.assert_close(
        diffusion.sample(denoise, other, sigmas, sampler, seed=4).states[:, :1], whole[:, :1]
    )
    again = diffusion.sample(denoise, start, sigmas, sampler, seed=torch.Generator().manual_seed(4))
    assert torch.equal(again.states, whole)


def test_the_noise_of_rows_and_steps_is_independent():
    def nothing(x, sigma):
        return torch.zeros_like(x)

    sigmas, start = [2.0, 1.0, 0.5], torch.zeros(400, 100, dtype=torch.float64)
    path = diffusion.sample(nothing, start, sigmas, "sde", last=False).states
    first, second = path[1] / math.sqrt(3), (path[2] - path[1] / 4) / math.sqrt(0.75)
    for noise in (first, second):
        assert noise.mean().item() == pytest.approx(0, abs=0.02)
        assert noise.std().item() == pytest.approx(1, abs=0.02)
    assert (first * second).mean().item() == pytest.approx(0, abs=0.02)
    assert (first[1:] * first[:-1]).mean().item() == pytest.approx(0, abs=0.02)
    assert (first[:, 1:] * first[:, :-1]).mean().item() == pytest.approx(0, abs=0.02)


def test_gradients_reach_the_start_and_the_weights():
    layer = torch.nn.utils.skip_init(torch.nn.Linear, D, D).double()
    layer.load_state_dict({"weight": drawn(D, D, seed=3), "bias": drawn(D, seed=4)})
    start = drawn(3, D).requires_grad_()
    for sampler in ("ode", "heun", "sde", "ancestral"):
        path = diffusion.sample(lambda x, s: layer(x) / (1 + s), start, [2.0, 1.0, 0.5], sampler)
        layer.zero_grad()
        (slope,) = torch.autograd.grad(path.states[-1].sum(), start, retain_graph=True)
        path.states[-1].sum().backward()
        assert slope.abs().min() > 0
        assert layer.weight.grad.abs().max() > 0
        start.grad = None
    rows = drawn(4, D, seed=2)

    def end(start):
        return diffusion.sample(diffusion.exact(rows), start, [1.0, 0.5]).states[-1]

    assert torch.autograd.gradcheck(end, start)


def test_samples_are_stored_rows(digits):
    """Hoover and others 2023: the exact reverse process returns what is stored."""
    denoise, sigmas = diffusion.exact(digits), diffusion.schedule("geometric", 20, 10.0, 0.05)
    end = diffusion.sample(denoise, 10 * drawn(100, 64), sigmas, energies=False).states[-1]
    assert (torch.cdist(end, digits).amin(-1) < 1e-3).double().mean() >= 0.97


@pytest.fixture(scope="module")
def digits():
    sklearn = pytest.importorskip("sklearn.datasets")
    return torch.tensor(sklearn.load_digits().data / 16)


@pytest.mark.untyped
@pytest.mark.parametrize(("sigma", "share"), [(0.1, 1.0), (0.3, 0.82), (0.5, 0.40), (1.0, 0.06)])
def test_noised_digits_are_recalled(digits, sigma, share):
    places = torch.randperm(1797, generator=torch.Generator().manual_seed(0))[:500]
    x = digits[places] + sigma * drawn(500, 64, seed=1)
    found = diffusion.recall(diffusion.exact(digits), x, sigma)
    near = torch.cdist(found, digits)
    right = (near.argmin(-1) == places).double().mean().item()
    assert right == pytest.approx(share, abs=0.05)  # two deviations of 500 draws
    assert near.amin(-1).max() < 1e-3
    nearest = (torch.cdist(x, digits).argmin(-1) == places).double().mean().item()
    assert right <= nearest + 0.02


def test_a_hidden_half_is_completed(digits):
    known = torch.arange(64) < 32
    cue = torch.where(known, digits[:200], 0.5)
    found = diffusion.exact(digits)(cue, 0.1, known=known)
    assert (torch.cdist(found, digits).argmin(-1) == torch.arange(200)).all()
    again = diffusion.recall(diffusion.exact(digits), cue, 0.1, known=known)
    assert (torch.cdist(again, digits).argmin(-1) == torch.arange(200)).all()


def test_too_little_noise_is_warned_of():
    pictures = 255 * torch.rand(20, D, generator=torch.Generator().manual_seed(0)).double()
    denoise, sigmas = diffusion.exact(pictures), diffusion.schedule("geometric", 4, 10.0, 0.5)
    assert denoise.spread == pytest.approx(pictures.square().mean().sqrt().item())
    with pytest.warns(UserWarning, match="root mean square of 1"):
        diffusion.sample(denoise, 10 * drawn(7, D), sigmas)
    diffusion.sample(denoise, pictures + 10 * drawn(20, D), sigmas)  # a recall
    diffusion.sample(denoise, 500 * drawn(7, D), diffusion.schedule("linear", 4, 500.0, 0.5))
    wiener = diffusion.gaussian(pictures.mean(0), torch.cov(pictures.mT, correction=0))
    assert wiener.spread == pytest.approx(denoise.spread)
    memory = density.kernel(D, 1.0, dtype=torch.float64)
    memory.write(pictures[:2], prior=[3.0, 1.0])
    three = torch.cat((pictures[:1],) * 3 + (pictures[1:2],))
    assert diffusion.exact(memory, 2.0).spread == pytest.approx(
        math.sqrt(three.square().mean().item() + 4)
    )


# The memory that anneals


@pytest.mark.untyped
def test_the_memory_recalls_as_the_sampler_does(digits):
    memory = diffusion.memory(64, high=0.5, low=0.01, steps=20, dtype=torch.float64)
    ids = memory.write(digits)
    x = digits[:50] + 0.5 * drawn(50, 64)
    sigmas = diffusion.schedule("geometric", 20, 0.5, 0.01)
    expected = diffusion.sample(diffusion.exact(digits), x, sigmas, energies=False).states
    torch.testing.assert_close(memory.recall(x), expected[-1])
    path = memory.trace(x)
    torch.testing.assert_close(path.states, expected)
    torch.testing.assert_close(path.energies[0], memory.energy(x))
    settled = memory.settle(x)
    assert settled.steps.tolist() == [20] * 50
    torch.testing.assert_close(memory.settle(x, steps=7).state, expected[7])
    torch.testing.assert_close(memory.read(x), diffusion.exact(digits)(x, 0.01))
    alone = [memory.recall(one) for one in x[:3]]
    torch.testing.assert_close(memory.recall(x)[:3], torch.stack(alone))
    mask = torch.arange(1797) != 4
    assert (torch.cdist(memory.recall(x, mask=mask), digits).argmin(-1) != 4).all()
    fixed = memory.at(4.0).recall(x[:3])  # a view does not anneal
    plain = density.kernel(64, 0.5, dtype=torch.float64)
    plain.write(digits)
    torch.testing.assert_close(fixed, plain.recall(x[:3]))
    memory.forget(ids[1:])
    torch.testing.assert_close(memory.recall(x), digits[:1].expand(50, 64))


def test_the_memory_is_saved_and_copied(tmp_path):
    memory = diffusion.memory(D, high=2.0, low=0.1, steps=7, schedule="karras")
    memory.write(drawn(20, D).float(), prior=drawn(20, seed=2).exp())
    x = drawn(4, D, seed=1).float()
    memory.save(tmp_path / "memory.safetensors")
    for other in (kanerva.load(tmp_path / "memory.safetensors"), copy.deepcopy(memory)):
        assert torch.equal(other.recall(x), memory.recall(x))
        assert other.sigmas == memory.sigmas
    one = diffusion.memory(D, high=2.0, low=0.1, steps=1)
    one.write(drawn(20, D).float())
    assert torch.equal(one.recall(x), one.read(x))
    assert diffusion.memory(D, 2.0, 0.1).recall(x).tolist() == [[0.0] * D] * 4  # nothing is stored


@pytest.mark.untyped  # bad input meets the run-time checks first
def test_the_memory_keeps_the_contract():
    laws = kanerva.check_memory(diffusion.memory(12, high=4.0, low=0.5, steps=5))
    assert len(laws.held) >= 16
    assert list(laws.exempt) == [
        "The energy never rises along a recall, where the potential is convex"
    ]


# Bad input


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda d: d.score(torch.zeros(D).double(), 0.0), "sigma must be > 0, unless"),
        (lambda d: d.log_prob(torch.zeros(D).double(), 0), "sigma must be > 0, unless"),
        (lambda d: d(torch.zeros(D).double(), -1.0), "sigma must be"),
        (lambda d: d(torch.zeros(D).double(), math.nan), "sigma must be"),
        (lambda d: d(torch.zeros(D).double(), 1e-20), "sigma must be 0, or from 1e-15"),
        (lambda d: d(torch.zeros(D).double(), "big"), "sigma must be"),
        (lambda d: d(torch.zeros(D).double(), torch.tensor([1.0, 2.0])), "sigma must be a number"),
        (lambda d: d(torch.zeros(2, D).double(), torch.tensor([1.0, -2.0])), "sigma must be 0, or"),
        (lambda d: d(torch.zeros(2, D).double(), torch.tensor([1, 2])), "sigma must be floating"),
        (lambda d: d(torch.zeros(2, D).double(), torch.ones(2, requires_grad=True)), "sigma must"),
        (lambda d: d(torch.zeros(D), 1.0), "x must be"),
        (lambda d: d(torch.zeros(D + 1).double(), 1.0), "x must be"),
        (lambda d: d(torch.full((D,), math.nan).double(), 1.0), "x must be finite"),
        (lambda d: d(torch.zeros(D).double(), 1.0, known=torch.ones(D)), "known must be a bool"),
        (lambda d: d(torch.zeros(D).double(), 1.0, known=torch.ones(2) > 0), "known must be a b"),
        (lambda d: diffusion.exact(torch.zeros(0, 3)), "data must be"),
        (lambda d: diffusion.exact(torch.full((2, 3), math.inf)), "data must be finite"),
        (lambda d: diffusion.exact(torch.ones(2, 3).long()), "data must be"),
        (lambda d: diffusion.exact(torch.ones(2, 3), -1.0), "bandwidth must be"),
        (lambda d: diffusion.exact(torch.ones(2, 3), 1e-30), "bandwidth must be 0, or from"),
        (lambda d: diffusion.exact(kanerva.modern_hopfield(3, 1.0)), "data must be one that comp"),
        (lambda d: diffusion.exact(d.memory.at(torch.ones(2))), "data must be one that compares"),
        (lambda d: diffusion.exact(density.vmf(3, 1.0)), "data must be one that compares by"),
        (lambda d: diffusion.exact(density.elbo(3, 2, 1.0, "vmf")), "data must be one that comp"),
        (lambda d: diffusion.exact(density.kernel(3, 1.0))(torch.ones(3), 1.0), "memory must be"),
        (
            lambda d: diffusion.gaussian(torch.ones(2), -torch.eye(2)),
            "covariance must be without neg",
        ),
        (lambda d: diffusion.gaussian(torch.ones(2), torch.eye(3)), "covariance must be"),
        (
            lambda d: diffusion.gaussian(torch.ones(2), torch.ones(2, 2).triu()),
            "covariance must be symmetric",
        ),
        (lambda d: diffusion.schedule("cosine", 3, 1.0, 0.1), "kind must be"),
        (lambda d: diffusion.schedule("linear", 3, 0.1, 1.0), "low must be below high"),
        (lambda d: diffusion.schedule("linear", 0, 1.0, 0.1), "steps must be"),
        (lambda d: diffusion.schedule("linear", 3, 1.0, 0.0), "low must be"),
        (lambda d: diffusion.vp(0), "steps must be"),
        (lambda d: diffusion.vp(1001), "steps must be"),
        (lambda d: diffusion.vp(10, "even"), "spacing must be"),
        (lambda d: diffusion.to_ve(torch.ones(2), 0.0), "alpha_bar must be from 1e-30"),
        (lambda d: diffusion.to_ve(torch.ones(2), 1.5), "alpha_bar must be from 1e-30"),
        (lambda d: diffusion.to_vp(torch.ones(2), -1.0), "sigma must be"),
        (lambda d: diffusion.sample(d, torch.ones(D).double(), [1.0, 2.0]), "sigmas must be a fal"),
        (lambda d: diffusion.sample(d, torch.ones(D).double(), [1.0, 1.0]), "sigmas must be a fal"),
        (lambda d: diffusion.sample(d, torch.ones(D).double(), []), "sigmas must be a falling"),
        (lambda d: diffusion.sample(d, torch.ones(D).double(), [1.0, 0.0]), "sigmas must be"),
        (lambda d: diffusion.sample(d, torch.ones(D).double(), 3.0), "sigmas must be a falling"),
        (lambda d: diffusion.sample(d, torch.ones(D).double(), [1.0], "euler"), "sampler must be"),
        (lambda d: diffusion.sample(d, torch.ones(D).double(), [1.0], "sde", 0.5), "eta must be 0"),
        (lambda d: diffusion.sample(d, torch.ones(D).double(), [1.0], eta=2.0), "eta must be"),
        (lambda d: diffusion.sample(d, torch.ones(D).double() / 0, [1.0]), "start must be finite"),
        (
            lambda d: diffusion.sample(lambda x, s: x[..., :2], torch.ones(D), [1.0]),
            "denoiser must be a function that returns",
        ),
        (lambda d: diffusion.recall(d, torch.ones(D).double(), 0.0), "sigma must be"),
        (lambda d: diffusion.recall(d, torch.ones(D).double(), 1.0, steps=0), "steps must be"),
        (lambda d: diffusion.memory(3, 0.1, 1.0), "low must be below high"),
        (lambda d: diffusion.memory(3, 1.0, 0.1, schedule="no"), "schedule must be"),
        (lambda d: diffusion.memory(3, 1.0, 0.1, tie="no"), "tie"),
    ],
)
def test_bad_input_gets_the_sentence(call, match):
    with pytest.raises(InputError, match=match):
        call(diffusion.exact(drawn(4, D)))


@pytest.mark.untyped
def test_what_is_no_denoiser_is_refused():
    for denoiser in (None, 3, "exact", torch.nn.Linear):
        with pytest.raises(InputTypeError, match="denoiser must be a function of states and sigma"):
            diffusion.sample(denoiser, torch.ones(3), [1.0])


def test_likelihoods_keep_their_digits_at_little_noise():
    """At stored rows far apart the density is that of one kernel, over the number of rows."""
    rows = torch.rand(100, 64, generator=torch.Generator().manual_seed(0))
    for sigma in (1e-4, 1e-3, 1e-2):
        found = diffusion.exact(rows).log_prob(rows, sigma)
        top = -math.log(100) - 32 * math.log(2 * math.pi * sigma**2)
        torch.testing.assert_close(found, torch.full_like(found, top), atol=1e-5, rtol=0)
    assert diffusion.exact(rows).energy(rows, 0.0).abs().max() < 1e-12


def test_conventions_of_halves_keep_what_float16_loses():
    h = torch.ones(2).half()
    state, kept = diffusion.to_vp(h, 300.0)
    assert kept.item() == pytest.approx(1 / (1 + 300.0**2))
    assert state.double().tolist() == pytest.approx([1 / 300] * 2, rel=1e-3)
    assert diffusion.to_ve(h, 0.9999)[1].item() == pytest.approx(0.0100005, rel=1e-4)
    assert diffusion.to_ve(torch.ones(2), 1 - 1e-9)[1].item() == pytest.approx(3.16e-5, rel=1e-3)


def test_a_recall_takes_anything_in_hidden_coordinates(digits):
    known = torch.arange(64) < 32
    cue = torch.where(known, digits[:3], torch.nan)
    found = diffusion.recall(diffusion.exact(digits), cue, 0.1, known=known)
    assert torch.equal(torch.cdist(found, digits).argmin(-1), torch.arange(3))


@pytest.mark.untyped
def test_denoisers_that_go_wrong_are_named():
    x, known = torch.ones(2, 4), torch.ones(4, dtype=torch.bool)
    wiener = diffusion.gaussian(torch.zeros(4), torch.eye(4))
    for denoiser in (diffusion.Net(4, 8), wiener, lambda x, sigma: x):
        with pytest.raises(InputError, match="known must be left out for a denoiser without"):
            diffusion.recall(denoiser, x, 0.3, known=known)
    with pytest.raises(InputError, match="sample: denoiser must be a function with finite"):
        diffusion.sample(lambda x, sigma: x / 0, x, [1.0, 0.5])

    class Bad:
        def __init__(self, energy):
            self.energy = energy

        def __call__(self, x, sigma):
            return x

    for energy in (lambda x, s: 3.0, lambda x, s: x, lambda x, s: x[..., 0] / 0):
        with pytest.raises(InputError, match="denoiser must be one whose energy returns"):
            diffusion.sample(Bad(energy), x, [1.0, 0.5])
    with pytest.raises(InputError, match="mean must be float32 or float64"):
        diffusion.gaussian(torch.zeros(4).half(), torch.eye(4).half())
    with pytest.raises(InputError, match=r"scale pictures down with data / 255"):
        diffusion.exact(torch.ones(2, 3, dtype=torch.uint8))
    with pytest.raises(InputError, match=r"^Exact[^:]*: x must be such that weights"):
        diffusion.exact(x)(1e19 * x, 1.0)
    with pytest.raises(InputError, match="starts must be float32 or float64"):
        diffusion.attractors(diffusion.exact(x.half()), x.half(), 0.3)


def test_half_precision_sums_in_float32():
    rows = (drawn(50, 64) / 8).half()
    x = (rows[:5].double() + 0.01 * drawn(5, 64, seed=1)).half()
    found = diffusion.exact(rows)(x, 0.01)
    assert found.dtype == torch.float16
    expected = diffusion.exact(rows.double())(x.double(), 0.01)
    torch.testing.assert_close(found.double(), expected, atol=1e-3, rtol=0)


def test_weights_of_many_queries_are_refused_and_their_effective_number_is_not():
    denoise, x = diffusion.exact(drawn(3000, D)), drawn(100, D, seed=1)
    expected = denoise.effective(x, 0.5)
    with kanerva.settings.use(budget=2**20):
        with pytest.raises(InputError, match="x must be few enough"):
            denoise.weights(x, 0.5)
        torch.testing.assert_close(denoise.effective(x, 0.5), expected)
        torch.testing.assert_close(denoise(x, 0.5), diffusion.exact(denoise.memory.keys)(x, 0.5))
