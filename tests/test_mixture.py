"""Mixtures against scikit-learn, loops over single numbers, and numbers of separate code."""

import itertools
import json
import math

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from scipy.special import ive
from sklearn.mixture import GaussianMixture
from torch import nn

import kanerva
from kanerva import InputError, density

BETA = 1.7  # CLAM's
SIGMA = math.sqrt(1 / (2 * BETA))
MAKERS = {
    "clam": lambda **k: density.clam(6, 3, 1.0, **k),
    "elbo": lambda **k: density.elbo(6, 3, 1.0, **k),
    "elbo vmf": lambda **k: density.elbo(6, 3, 0.4, "vmf", **k),
    "elbo gradient": lambda **k: density.elbo(6, 3, 1.0, rate=0.1, **k),
    "crp": lambda **k: density.crp(6, 0.5, 2.0, 1.0, **k),
    "crp soft": lambda **k: density.crp(6, 1.5, 2.0, 1.0, 0.2, assign="soft", **k),
    "crp printed": lambda **k: density.crp(6, 0.5, 2.0, 1.0, normalised=False, **k),
}


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def published():
    """Return the data and the four means of separate code, in the order in which it draws them."""
    source = np.random.default_rng(0)
    x, means = source.standard_normal((7, 3)), source.standard_normal((4, 3))
    return torch.from_numpy(x), torch.from_numpy(means)


def four(make=density.elbo):
    x, means = published()
    memory = make(3, 4, SIGMA, dtype=torch.float64)
    assert memory.write(means).tolist() == [0, 1, 2, 3]
    torch.testing.assert_close(memory.keys, means, rtol=0, atol=0)
    return memory, x


@pytest.mark.untyped  # the laws give bad input
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", MAKERS)
def test_every_mixture_keeps_the_laws_that_it_promises(name, dtype):
    laws = kanerva.check_memory(MAKERS[name](dtype=dtype))
    assert set(laws.exempt) == {
        "As many items are stored as were written",
        "The order of writing leaves a read unchanged",
    }
    assert "Written in two halves is written at once" in laws.held
    assert "Copies, state dicts and files read as the memory does" in laws.held


@pytest.mark.untyped  # a graph cannot hold the run-time checks
@pytest.mark.parametrize("name", MAKERS)
def test_a_read_compiles_to_one_graph(name):
    memory = MAKERS[name]()
    memory.write(normal(20, 6).float())
    torch.compiler.reset()
    compiled = torch.compile(memory, fullgraph=True, backend="aot_eager")
    query = normal(4, 6, seed=1).float()
    torch.testing.assert_close(compiled(query), memory.read(query))


def test_the_euclidean_flow_has_the_gaps_of_separate_code():
    memory, x = four()
    path, posterior = memory.flow(x, 1000, 0.5, "euclidean"), memory.posterior(x)
    gaps = [float((path.states[t] - posterior).abs().max()) for t in (0, 10, 100, 1000)]
    assert gaps == pytest.approx([0.742, 0.0805, 0.00911, 0.00109], rel=1e-3)
    assert (path.energies[1:] <= path.energies[:-1] + 1e-13).all()  # rounding of some 10
    torch.testing.assert_close(path.states[0], torch.full((7, 4), 0.25, dtype=torch.float64))
    assert not path.converged.all()  # some rows are far from all means but one
    assert path.steps.tolist() == [1000] * 7


def test_mirror_steps_reach_the_posterior():
    memory, x = four()
    posterior = memory.posterior(x)
    path = memory.flow(x, 60, 0.5)
    assert (path.states[-1] - posterior).abs().max() < 1e-12
    assert path.converged.all()
    assert (memory.flow(x, 1, 1.0).states[-1] - posterior).abs().max() < 1e-14
    torch.testing.assert_close(path.energies[-1], -memory.elbo(x))
    # Every energy of a path is that of its state.
    for step in (0, 3, 60):
        expected = -memory.elbo(x, path.states[step])
        torch.testing.assert_close(path.energies[step], expected, rtol=0, atol=1e-13)


def test_the_bound_is_the_likelihood_less_a_divergence():
    memory, x = four()
    q = normal(7, 4, seed=3).softmax(-1)
    posterior = memory.posterior(x)
    divergence = (q * (q / posterior).log()).sum(-1)
    torch.testing.assert_close(memory.elbo(x, q), memory.elbo(x) - divergence)
    torch.testing.assert_close(memory.elbo(x, posterior), memory.elbo(x))
    # A share of zero takes no part.
    one = torch.eye(4, dtype=torch.float64)[0].expand(7, 4)
    joint = posterior.log()[:, 0] + memory.elbo(x)
    torch.testing.assert_close(memory.elbo(x, one), joint)


def test_clams_energy_is_that_of_its_density_up_to_the_constant():
    memory, x = four(density.clam)
    # CLAM's energy has 1 / (2 sigma^2) for 1 / sigma^2.
    apart = -memory.elbo(x) / BETA - 2 * memory.energy(x)
    constant = torch.full_like(apart, 1.3573216548827856)
    torch.testing.assert_close(apart, constant, rtol=0, atol=1e-14)


@pytest.mark.parametrize("make", [density.clam, density.elbo])
def test_one_read_is_one_step_down_the_energy(make):
    memory, x = four(make)
    memory.write(normal(9, 3, seed=5))
    x = x.requires_grad_()
    (slope,) = torch.autograd.grad(memory.energy(x).sum(), x)
    torch.testing.assert_close(slope, (x - memory.read(x)).detach())
    states = [x.detach()]
    for _ in range(20):
        states.append(memory.read(states[-1]))
    energies = torch.stack([memory.energy(one) for one in states])
    assert (energies[1:] <= energies[:-1] + 1e-12).all()
    torch.testing.assert_close(memory.recall(x, steps=20, tolerance=0.0), states[-1])


def weighted(seed=0):
    """Return a mixture of given means and counts, and the same as one of scikit-learn."""
    source = np.random.default_rng(seed)
    means, counts = 2 * source.standard_normal((4, 3)), source.uniform(1, 9, 4)
    memory = density.elbo(3, 4, 0.7, dtype=torch.float64)
    memory.write(torch.from_numpy(means))
    state = memory.state_dict() | {"counts": torch.from_numpy(counts)}
    memory.load_state_dict(state)
    other = GaussianMixture(4, covariance_type="spherical")
    other.means_, other.weights_ = means, counts / counts.sum()
    other.covariances_ = np.full(4, 0.49)
    other.precisions_cholesky_ = np.full(4, 1 / 0.7)
    return memory, other


def test_likelihoods_and_posteriors_are_those_of_scikit_learn():
    memory, other = weighted()
    x = 3 * normal(50, 3, seed=1)
    expected = torch.from_numpy(other.score_samples(x.numpy()))
    torch.testing.assert_close(memory.elbo(x), expected)
    torch.testing.assert_close(memory.posterior(x), torch.from_numpy(other.predict_proba(x)))


def gaussian_em(x, means, sigma, sweeps):
    """Return means and weights after EM, by loops over single numbers."""
    n, k, d = len(x), len(means), len(x[0])
    weights, means = [1 / k] * k, [list(map(float, row)) for row in means]
    for _ in range(sweeps):
        shares = []
        for row in x:
            logs = []
            for weight, mean in zip(weights, means, strict=True):
                far = sum((float(a) - b) ** 2 for a, b in zip(row, mean, strict=True))
                logs.append(math.log(weight) - far / (2 * sigma**2))
            top = max(logs)
            parts = [math.exp(one - top) for one in logs]
            shares.append([part / sum(parts) for part in parts])
        held = [sum(row[j] for row in shares) for j in range(k)]
        means = [
            [sum(shares[i][j] * float(x[i][c]) for i in range(n)) / held[j] for c in range(d)]
            for j in range(k)
        ]
        weights = [one / n for one in held]
    return torch.tensor(means, dtype=torch.float64), torch.tensor(weights, dtype=torch.float64)


@pytest.mark.parametrize("sweeps", [1, 2, 7])
def test_fit_is_em_from_rows_drawn_at_random(sweeps):
    x = normal(25, 2, seed=2)
    memory = density.elbo(2, 3, 0.8, dtype=torch.float64)
    memory.fit(x, sweeps=0, seed=4)
    start = memory.keys.clone()
    assert all((row == x).all(-1).any() for row in start)
    assert len(start.unique(dim=0)) == 3
    ids = memory.fit(x, sweeps=sweeps, seed=4)
    means, weights = gaussian_em(x.tolist(), start.tolist(), 0.8, sweeps)
    torch.testing.assert_close(memory.keys, means)
    torch.testing.assert_close(memory.counts, 25 * weights)
    assert torch.equal(ids, memory.posterior(x).argmax(-1))


@pytest.mark.parametrize("shape", ["gaussian", "vmf"])
def test_em_never_lowers_the_likelihood(shape):
    x = normal(60, 4, seed=3)
    memory = density.elbo(4, 5, 0.5, shape, dtype=torch.float64)
    levels = []
    for sweeps in range(12):
        memory.fit(x, sweeps=sweeps, seed=1)
        levels.append(float(memory.elbo(x).mean()))
    assert all(b >= a - 1e-12 for a, b in itertools.pairwise(levels))
    assert levels[-1] > levels[0]


@pytest.mark.parametrize("shape", ["gaussian", "vmf"])
def test_the_gradient_ends_where_em_does(shape):
    x = torch.cat([normal(30, 3, seed=1) * 0.2 + c for c in torch.eye(3).double() * 3])
    closed = density.elbo(3, 3, 0.5, shape, dtype=torch.float64)
    closed.fit(x, seed=2)
    climbed = density.elbo(3, 3, 0.5, shape, rate=0.05, dtype=torch.float64)
    climbed.fit(x, sweeps=1500, seed=2)
    levels = [float(one.elbo(x).mean()) for one in (closed, climbed)]
    assert levels[1] == pytest.approx(levels[0], abs=1e-5)


@pytest.mark.parametrize("shape", ["gaussian", "vmf"])
def test_writing_is_incremental_em(shape):
    x = normal(15, 2, seed=6)
    points = nn.functional.normalize(x, dim=-1) if shape == "vmf" else x
    memory = density.elbo(2, 3, 0.6, shape, dtype=torch.float64)
    ids = memory.write(x)
    means, counts, found = points[:3].clone(), torch.ones(3).double(), [0, 1, 2]
    for row in points[3:]:
        centres = nn.functional.normalize(means, dim=-1) if shape == "vmf" else means
        far = torch.stack([(row - centre) @ (row - centre) for centre in centres])
        shares = (counts.log() - far / (2 * 0.36)).softmax(-1)
        found.append(int(shares.argmax()))
        for place, share in enumerate(shares):
            sums = counts[place] * means[place] + share * row
            counts[place] += share
            means[place] = sums / counts[place]
    centres = nn.functional.normalize(means, dim=-1) if shape == "vmf" else means
    torch.testing.assert_close(memory.keys, centres)
    torch.testing.assert_close(memory.counts, counts)
    assert ids.tolist() == found
    assert float(memory.counts.sum()) == pytest.approx(15)


@pytest.mark.parametrize("dim", [1, 2, 3, 40])
def test_directions_have_the_density_of_von_mises_and_fisher(dim):
    memory = density.elbo(dim, 2, 0.3, "vmf", dtype=torch.float64)
    rows = normal(2, dim, seed=1)
    memory.write(rows)
    x, kappa, order = normal(9, dim, seed=2), 1 / 0.09, dim / 2 - 1
    bessel = np.log(ive(order, kappa)) + kappa
    log_c = order * math.log(kappa) - dim / 2 * math.log(2 * math.pi) - bessel
    units = [nn.functional.normalize(one, dim=-1) for one in (x, rows)]
    parts = (kappa * units[0] @ units[1].T + log_c).exp()
    torch.testing.assert_close(memory.elbo(x), parts.mean(-1).log())
    torch.testing.assert_close(memory.elbo(1e-200 * x), memory.elbo(x))
    if dim == 1:  # two points
        both = memory.elbo(torch.tensor([[1.0], [-1.0]], dtype=torch.float64))
        assert float(both.exp().sum()) == pytest.approx(1)


def test_clam_learns_by_adam_on_the_reconstruction():
    x = normal(30, 3, seed=1) + 100
    memory = density.clam(3, 4, 0.8, steps=5, rate=0.05, dtype=torch.float64)
    memory.fit(x, sweeps=0, seed=3)
    means = memory.keys.clone().requires_grad_()
    optimiser = torch.optim.Adam([means], lr=0.05)
    for _ in range(20):
        optimiser.zero_grad()
        state = x
        for _ in range(5):
            far = (state[:, None] - means).square().sum(-1)
            state = (-far / (2 * 0.64)).softmax(-1) @ means
        (x - state).square().sum(-1).mean().backward()
        optimiser.step()
    ids = memory.fit(x, sweeps=20, seed=3)
    torch.testing.assert_close(memory.keys, means.detach(), rtol=1e-9, atol=1e-7)
    assert memory.counts.tolist() == [1.0] * 4
    ends = memory.recall(x, steps=5, tolerance=0.0)
    assert torch.equal(ids, torch.cdist(ends, memory.keys).argmin(-1))


def test_clam_learns_to_complete_what_is_masked():
    # The second half of a row is the first one, of two kinds.
    half = torch.where(torch.arange(40)[:, None] % 2 == 0, 1.0, -1.0) * torch.ones(40, 4)
    x = torch.cat([half, half], -1).double() + 0.1 * normal(40, 8)
    known = torch.arange(8) < 4
    memory = density.clam(8, 2, 1.0, dtype=torch.float64)
    memory.fit(x, sweeps=200, seed=1, known=known)
    cue = torch.where(known, x, 0.0)
    missed = (memory.recall(cue, steps=10) - x)[:, 4:].square().mean()
    assert missed < 0.05
    with pytest.raises(InputError, match=r"Mixture\.fit: known must be None for this mixture"):
        density.elbo(8, 2, 1.0, dtype=torch.float64).fit(x, known=known)


def test_clam_writes_by_gradient_steps():
    x = normal(6, 2, seed=4)
    memory = density.clam(2, 3, 0.7, steps=4, rate=0.1, dtype=torch.float64)
    memory.write(x)
    means = x[:3].clone()
    for row in x[3:]:
        means = means.detach().requires_grad_()
        state = row
        for _ in range(4):
            far = (state - means).square().sum(-1)
            state = (-far / (2 * 0.49)).softmax(-1) @ means
        (slope,) = torch.autograd.grad((row - state).square().sum(), means)
        means = means - 0.1 * slope
    torch.testing.assert_close(memory.keys, means.detach())


@pytest.mark.parametrize("name", MAKERS)
def test_the_same_seed_gives_the_same_memories(name):
    x = normal(30, 6).float()
    one, other = MAKERS[name](), MAKERS[name]()
    assert torch.equal(one.fit(x, 5, 7), other.fit(x, 5, torch.Generator().manual_seed(7)))
    assert torch.equal(one._means, other._means)
    assert torch.equal(one.counts, other.counts)


@pytest.mark.parametrize("name", MAKERS)
def test_shapes_dtypes_and_copies(name, tmp_path):
    memory = MAKERS[name]()
    x = normal(4, 5, 6).float()
    assert memory.write(x).shape == (4, 5)
    assert memory.write(x[0, 0]).shape == ()
    assert memory.write(x[:0]).shape == (0, 5)
    columns = len(memory) + name.startswith("crp")
    found = memory.posterior(x)
    assert (found.shape, found.dtype) == ((4, 5, columns), torch.float64)
    torch.testing.assert_close(found.sum(-1), torch.ones(4, 5).double())
    assert (memory.elbo(x).shape, memory.energy(x).dtype) == ((4, 5), torch.float64)
    assert memory.flow(x[0], 3).states.shape == (4, 5, columns)
    assert memory.explain(x).weights.shape == (4, 5, len(memory))
    weights = memory.pattern_weights(x, x[0])
    torch.testing.assert_close(weights.sum(-1), torch.ones(4, 5))
    means = memory._means.clone()
    half = memory.half()
    assert half.counts.dtype == half._means.dtype == torch.float64
    assert torch.equal(half._means, means)
    assert half.read(x.half()).dtype == half.keys.dtype == torch.float16
    half.save(tmp_path / "memory")
    loaded = kanerva.load(tmp_path / "memory")
    assert type(loaded) is density.Mixture
    assert loaded.rule == memory.rule
    assert torch.equal(loaded._means, means)
    assert loaded.dtype == torch.float16


def test_likelihoods_have_gradients():
    memory, x = four()
    x = x.requires_grad_()
    assert torch.autograd.gradcheck(memory.elbo, (x,))
    assert torch.autograd.gradcheck(memory.energy, (x,))
    assert torch.autograd.gradcheck(memory.read, (x,))


def test_one_row_duplicates_and_too_few_rows():
    x = torch.ones(5, 2)
    for make in (density.clam, density.elbo):
        memory = make(2, 2, 1.0)
        memory.fit(x)
        assert torch.equal(memory.keys, x[:2])
        assert torch.equal(memory.read(x), x)
        with pytest.raises(InputError, match=r"Mixture\.fit: x must be at least 2 rows"):
            memory.fit(x[:1])
        with pytest.raises(InputError, match=r"Mixture\.fit: x must be at least 2 rows"):
            memory.fit(x[:0])
        assert torch.equal(memory.keys, x[:2])  # a refused fit changes nothing
        alone = make(2, 2, 1.0)
        assert alone.write(x[:1]).tolist() == [0]
        assert (len(alone), alone.read(3 * x[0]).tolist()) == (1, [1.0, 1.0])


def test_an_empty_mixture_has_no_density():
    memory = density.elbo(2, 2, 1.0)
    query = torch.ones(3, 2)
    assert memory.read(query).tolist() == [[0.0, 0.0]] * 3
    assert memory.energy(query).tolist() == [math.inf] * 3
    assert memory.posterior(query).shape == (3, 0)
    for verb in (memory.elbo, memory.flow):
        with pytest.raises(InputError, match="memory must be a mixture with a memory"):
            verb(query)


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: m.elbo(x, torch.ones(7, 4)), r"Mixture\.elbo: q must be a floating"),
        (lambda m, x: m.elbo(x, torch.eye(4)), r"Mixture\.elbo: q must be a floating"),
        (lambda m, x: m.elbo(x, torch.eye(4)[:1] - 1), r"Mixture\.elbo: q must be a floating"),
        (lambda m, x: m.flow(x, 3, 1.5), r"Mixture\.flow: rate must be"),
        (lambda m, x: m.flow(x, 3, 0.5, "natural"), r"Mixture\.flow: kind must be one of"),
        (lambda m, x: m.write(x, x), r"Mixture\.write: values must be None"),
        (lambda m, x: m.write(x * math.nan), r"Mixture\.write: x must be finite"),
        (lambda m, x: m.write(x.float()), r"Mixture\.write: x must be a float64 tensor"),
        (lambda m, x: m.write(x * 1e200), r"Mixture\.write: x must be such that squared"),
        (lambda m, x: m.read(x * 1e200), r"Mixture\.read: query must be such that squared"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(call, message):
    memory, x = four()
    before = memory._means.clone()
    with pytest.raises(InputError, match=message):
        call(memory, x)
    assert torch.equal(memory._means, before)


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: density.elbo(2, 0, 1.0), "elbo: memories must be an integer from 1"),
        (lambda: density.elbo(2, 3, math.inf), "elbo: sigma must be a finite number"),
        (lambda: density.clam(2, 3, 0.0), "clam: sigma must be a finite number"),
        (lambda: density.elbo(2, 3, 1.0, "cube"), "elbo: shape must be one of 'gaussian', 'vmf'"),
        (lambda: density.elbo(2, 3, 1.0, rate=0), "elbo: rate must be a finite number > 0"),
        (lambda: density.clam(2, 3, 1.0, steps=0), "clam: steps must be an integer from 1"),
        (lambda: density.elbo(2, 3, 1.0, dtype=torch.int64), "elbo: dtype must be|Mixture: dtype"),
        (lambda: density.Mixture(2, "elbo"), "Mixture: rule must be a rule of a mixture"),
    ],
)
def test_bad_arguments_are_refused(build, message):
    with pytest.raises(InputError, match=message):
        build()


def test_a_row_of_zeros_has_no_direction():
    memory = density.elbo(2, 2, 0.5, "vmf")
    memory.write(torch.eye(2))
    for verb in (memory.write, memory.read, memory.elbo):
        with pytest.raises(InputError, match="must be of rows with a direction"):
            verb(torch.zeros(3, 2))


def test_a_state_of_another_mixture_is_refused():
    memory = density.elbo(2, 2, 0.5)
    state = {"_means": torch.zeros(3, 2).double(), "counts": torch.ones(3).double()}
    with pytest.raises(InputError, match="counts must be counts >= 0 of at most 2 memories"):
        memory.load_state_dict(state)
    state = {"_means": torch.zeros(2, 2).double(), "counts": -torch.ones(2).double()}
    with pytest.raises(InputError, match="counts must be counts >= 0"):
        memory.load_state_dict(state)


def test_a_file_names_only_classes_of_the_family(tmp_path):
    memory = density.elbo(2, 2, 0.5)
    memory.write(torch.eye(2))
    for change in (
        {"class": "elbo"},
        {"class": "Gaussian"},
        {"class": "torch"},
        {"module": "kanerva.lab.bench"},
        {"module": "antigravity", "class": "Mixture"},
        {"arguments": [2, {"name": "Proportional", "module": "kanerva.density", "fields": {}}]},
    ):
        memory.save(tmp_path / "memory")
        with safe_open(tmp_path / "memory", framework="pt") as file:
            record = json.loads(file.metadata()["kanerva"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = {"kanerva": json.dumps(record | change)}
        save_file(tensors, tmp_path / "memory", header)
        with pytest.raises(InputError, match="load: "):
            kanerva.load(tmp_path / "memory")
