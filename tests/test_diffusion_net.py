"""The trainable denoiser and its training: formulas, seeds, checkpoints, and what is refused."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from kanerva import InputError, diffusion
from kanerva.diffusion import Net, Training, train

DATA = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))


def weights(net):
    return [weight.detach().clone() for weight in net.parameters()]


def same(one, other):
    pairs = zip(weights(one), weights(other), strict=True)
    return all(a.numpy().tobytes() == b.numpy().tobytes() for a, b in pairs)


def states(count=7, dim=5):
    source = torch.Generator().manual_seed(1)
    x = torch.randn(count, dim, generator=source, dtype=torch.float64)
    return x, torch.rand(count, generator=source, dtype=torch.float64) * 3 + 0.02


def by_hand(net, x, sigma):
    """Compute a free net, or the scalar of an energy, one state at a time with NumPy."""
    held = {name: one.detach().numpy() for name, one in net.state_dict().items()}
    s, angles = net.data_sigma, math.log(sigma) / 4 * np.arange(1, 9) * math.pi / 2
    given = np.concatenate((np.sin(angles), np.cos(angles)))
    size = math.hypot(sigma, s)

    def silu(unit):
        return unit / (1 + np.exp(-unit))

    row = x.numpy() / size
    h = silu(held["first.weight"] @ np.concatenate((row, given)) + held["first.bias"])
    for place in range(len(net.layers)):
        inside = held[f"layers.{place}.weight"] @ np.concatenate((h, given))
        h = h + silu(inside + held[f"layers.{place}.bias"])
    out = held["last.weight"] @ h
    if net.slope:
        return (x.numpy() ** 2).sum() / (2 * size**2) - s / sigma * out[0]
    return s**2 / size**2 * x.numpy() + sigma * s / size * (out + held["last.bias"])


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_the_net_is_its_formula(depth):
    x, sigma = states()
    shape = {"width": 16, "depth": depth, "data_sigma": 0.7, "dtype": torch.float64}
    free, slope = Net(5, **shape), Net(5, energy=True, **shape)
    for row, one in zip(x, sigma, strict=True):
        assert free(row, float(one)).detach().numpy() == pytest.approx(
            by_hand(free, row, float(one)), abs=1e-12
        )
        assert slope.energy(row, float(one)).item() == pytest.approx(
            by_hand(slope, row, float(one)), abs=1e-12
        )


def test_the_denoiser_is_a_step_down_the_energy():
    x, sigma = states()
    net = Net(5, width=16, energy=True, data_sigma=0.7, dtype=torch.float64)
    x.requires_grad_()
    (slope,) = torch.autograd.grad(net.energy(x, sigma).sum(), x)
    expected = x - sigma.unsqueeze(-1).square() * slope
    assert (net(x, sigma) - expected).abs().max() < 1e-12


def test_the_jacobian_of_an_energy_is_symmetric():
    x, _ = states()
    for energy in (False, True):
        net = Net(5, width=16, energy=energy, dtype=torch.float64)
        jacobian = torch.func.jacrev(lambda one, net=net: net(one, 0.3))(x[0])
        odd = (jacobian - jacobian.mT).abs().max()
        assert odd < 1e-14 if energy else odd > 1e-4


def test_only_a_net_with_an_energy_has_the_method():
    assert not hasattr(Net(3, width=8), "energy")
    assert callable(Net(3, width=8, energy=True).energy)
    start = torch.ones(2, 3)
    with torch.no_grad():
        free = diffusion.sample(Net(3, width=8), start, [1.0, 0.5])
        slope = diffusion.sample(Net(3, width=8, energy=True), start, [1.0, 0.5])
    assert free.energies is None
    assert slope.energies.shape == (3, 2)


def test_shapes_and_levels_of_noise():
    net = Net(3, width=8)
    x = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    sigma = torch.tensor([0.1, 0.5, 1.0, 2.0])
    found = net(x, sigma)
    for place in range(4):
        alone = net(x[:, place], float(sigma[place]))
        assert torch.allclose(found[:, place], alone, atol=1e-6)
    assert torch.equal(net(x, sigma[:1]), net(x, float(sigma[0])))
    assert net(x[0, 0], 0.5).shape == (3,)
    assert net(x[:0], 0.5).shape == (0, 4, 3)
    assert torch.equal(net(x, 0.0), x)
    assert torch.equal(net(x, torch.zeros(4)), x)
    # Far away and at much noise nothing is lost to infinities.
    assert net(x * 1e6, 1e6).isfinite().all()
    assert net(x, 1e-12).isfinite().all()


@pytest.mark.parametrize("energy", [False, True])
def test_the_seed_alone_decides(energy):
    before = torch.get_rng_state()
    one, two = Net(3, width=8, energy=energy, seed=4), Net(3, width=8, energy=energy, seed=4)
    assert same(one, two)
    assert not same(one, Net(3, width=8, energy=energy, seed=5))
    found = train(DATA, 3, net=one, seed=2)
    assert same(found, train(DATA, 3, net=two, seed=2))
    assert not same(found, train(DATA, 3, net=two, seed=3))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("energy", [False, True])
def test_copies_and_files(energy, tmp_path):
    net, x = Net(3, width=8, energy=energy, dtype=torch.float64), DATA.double()
    other = Net(3, width=8, energy=energy, seed=9, dtype=torch.float64)
    torch.save(net.state_dict(), tmp_path / "net.pt")
    other.load_state_dict(torch.load(tmp_path / "net.pt"))
    for twin in (other, copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(twin(x, 0.3), net(x, 0.3))
        assert hasattr(twin, "energy") is energy
    assert net.float()(DATA, 0.3).dtype == torch.float32


@pytest.mark.untyped
def test_a_net_learns_two_rows():
    data = torch.tensor([[1.0, 0.0], [-1.0, 0.5]])
    exact, x = (
        diffusion.exact(data),
        torch.randn(200, 2, generator=torch.Generator().manual_seed(1)),
    )
    for energy in (False, True):
        net = train(data, 1000, net=Net(2, 32, 2, 0.75, energy))
        with torch.no_grad():
            for sigma in (0.2, 0.5, 1.0):
                cue = data.repeat(100, 1) + sigma * x
                apart = (net(cue, sigma) - exact(cue, sigma)).norm(dim=-1).mean()
                assert apart < 0.12
        if energy:
            # Energies differ from the exact ones by a number for each sigma.
            gap = net.energy(cue, 1.0) - exact.energy(cue, 1.0)
            assert (gap - gap.mean()).abs().mean() < 0.1
    # A single row is learned whatever the noise.
    alone = train(data[:1], 300, net=Net(2, 32, 2, 0.5))
    assert (alone(data[:1] + 0.3, 0.3) - data[:1]).norm() < 0.2


def test_the_loss_and_the_averages_are_those_written_down():
    plan, seen = Training(batch=16, rate=0.01, average=0.5), []
    net = Net(3, width=8, data_sigma=1.0)
    found = train(DATA, 12, net=net, training=plan, seed=7, progress=lambda *now: seen.append(now))
    # The same, step by step.
    model, source, spread = (
        copy.deepcopy(net),
        torch.Generator().manual_seed(7),
        DATA.std(correction=0),
    )
    means = weights(model)
    adam = torch.optim.Adam(model.parameters(), lr=1.0)
    for update in range(12):
        adam.param_groups[0]["lr"] = 0.01 * 0.5 * (1 + math.cos(math.pi * update / 12))
        clean = DATA[torch.randint(20, (16,), generator=source)]
        log_sigma = -1 + 0.9 * torch.randn(16, generator=source, dtype=torch.float64)
        sigma = log_sigma.exp().float()[:, None]
        noisy = clean + sigma * torch.randn(16, 3, generator=source)
        weight = (sigma**2 + spread**2) / (sigma * spread) ** 2
        loss = (weight * (model(noisy, sigma[:, 0]) - clean) ** 2).mean()
        assert seen[update][:2] == (update + 1, 12)
        assert seen[update][2] == pytest.approx(loss.item(), rel=1e-4)
        adam.zero_grad()
        loss.backward()
        adam.step()
        kept = min(0.5, (update + 1) / (update + 10))
        means = [
            kept * mean + (1 - kept) * now for mean, now in zip(means, weights(model), strict=True)
        ]
    for mean, weight in zip(means, weights(found), strict=True):
        assert torch.allclose(mean, weight, atol=1e-5)


def test_what_is_given_stays_as_it_is():
    net, data = Net(3, width=8), DATA.clone()
    before = weights(net)
    found = train(data, 2, net=net)
    assert all(map(torch.equal, before, weights(net)))
    assert not same(found, net)
    assert torch.equal(data, DATA)
    assert same(train(data, 0, net=net), net)
    assert not found.training
    assert all(weight.grad is None for weight in found.parameters())


@pytest.mark.untyped
def test_the_default_net_fits_the_data():
    net = train(DATA.double(), 1, seed=3)
    assert isinstance(net, Net)
    assert net.dim == 3
    assert net.data_sigma == pytest.approx(float(DATA.double().std(correction=0)))
    assert net.first.weight.dtype == torch.float64
    assert same(train(DATA.double().numpy().tolist(), 1), train(DATA.double().float(), 1))
    with torch.inference_mode():
        assert same(train(DATA, 2), train(DATA, 2))
    with torch.no_grad():
        assert not same(train(DATA, 2), train(DATA, 1))


class Odd(nn.Module):
    """A module of another kind: a buffer that training changes, and a weight that is not used."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 3)
        self.idle = nn.Parameter(torch.ones(2))
        self.fixed = nn.Parameter(torch.ones(2), requires_grad=False)
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        with torch.no_grad():
            for weight in self.inner.parameters():
                weight.fill_(0.1)

    def forward(self, x, sigma):
        if self.training:
            self.seen += 1
        return self.inner(torch.cat((x, sigma[:, None]), -1))


class StoppedError(Exception):
    pass


@pytest.mark.untyped
@pytest.mark.parametrize("net", [None, Net(3, width=8, energy=True, data_sigma=1.0), Odd()])
@pytest.mark.parametrize("at", [1, 13, 29])
def test_a_stopped_training_ends_with_the_same_bytes(net, at, tmp_path):
    path, whole = tmp_path / "state.safetensors", train(DATA, 30, net=net, seed=1)

    def stop(done, updates, loss):
        if done == at:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(DATA, 30, net=net, seed=1, checkpoint=path, every=4, progress=stop)
    assert path.exists() is (at >= 4)
    done = []
    again = train(
        DATA, 30, net=net, seed=1, checkpoint=path, progress=lambda now, *_: done.append(now)
    )
    assert done[0] == at // 4 * 4 + 1
    assert same(whole, again)
    for name, buffer in whole.named_buffers():
        assert torch.equal(buffer, again.get_buffer(name))
    # Of a training that has ended, the file is the result.
    assert same(whole, train(DATA, 30, net=net, seed=1, checkpoint=str(path)))
    assert [file.name for file in tmp_path.iterdir()] == ["state.safetensors"]


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    path = tmp_path / "state.safetensors"
    train(DATA, 6, checkpoint=path)
    held = path.read_bytes()
    for data, updates, more in (
        (DATA + 1e-6, 6, {}),
        (DATA, 7, {}),
        (DATA, 6, {"seed": 1}),
        (DATA, 6, {"training": Training(rate=0.1)}),
        (DATA, 6, {"net": Net(3)}),
    ):
        with pytest.raises(InputError, match="train: checkpoint must be that of a training of"):
            train(data, updates, checkpoint=path, **more)
    assert path.read_bytes() == held
    for broken in (held[: len(held) // 2], b"", b"none"):
        path.write_bytes(broken)
        with pytest.raises(InputError, match="train: checkpoint must be"):
            train(DATA, 6, checkpoint=path)
        assert path.read_bytes() == broken
    with pytest.raises(InputError, match="train: checkpoint must be"):
        train(DATA, 6, checkpoint=tmp_path / "none" / "state")


@pytest.mark.parametrize("energy", [False, True])
def test_any_number_of_threads_gives_the_same_bytes(energy):
    before, found = torch.get_num_threads(), []
    data = torch.randn(50, 64, generator=torch.Generator().manual_seed(0))
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(train(data, 5, net=Net(64, energy=energy)))
    finally:
        torch.set_num_threads(before)
    assert same(found[0], found[1])
    assert same(found[0], found[2])


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("call", "argument", "text"),
    [
        (lambda: train(DATA[:0]), "data", "give the data"),
        (lambda: train(DATA * math.nan), "data", "finite"),
        (lambda: train(DATA[0]), "data", r"shape \(m, d\)"),
        (lambda: train(80 * DATA), "data", "data / 255"),
        (lambda: train((80 * DATA.abs()).to(torch.uint8)), "data", "data / 255"),
        (lambda: train(DATA.half()), "data", "float32"),
        (lambda: train(1e-3 * DATA), "data", "standard deviation"),
        (lambda: train(torch.ones(4, 3)), "data", "standard deviation"),
        (lambda: train(DATA, -1), "updates", ">= 0|from 0"),
        (lambda: train(DATA, 2.5), "updates", "integer"),
        (lambda: train(DATA, 1, net=Net(4)), "net", "rows of 3"),
        (lambda: train(DATA, 1, net=Net(3).double()), "net", "float32"),
        (lambda: train(DATA, 1, net=Net), "net", "Module"),
        (lambda: train(DATA, 1, net=nn.Identity()), "net", "thaw"),
        (lambda: train(DATA, 1, net=Narrow()), "net", r"\(128, 3\)"),
        (lambda: train(DATA, 1, training=3), "training", "Training"),
        (lambda: train(DATA, 1, seed=-1), "seed", ">= 0"),
        (lambda: train(DATA, 1, every=0), "every", "1"),
        (lambda: train(DATA, 1, progress=3), "progress", "function"),
        (lambda: train(DATA, 1, checkpoint=3), "checkpoint", "name"),
        (lambda: train(DATA, 50, training=Training(rate=1e9)), "rate", "finite"),
        (lambda: Training(batch=0), "batch", ">= 1|from 1"),
        (lambda: Training(rate=0.0), "rate", "> 0"),
        (lambda: Training(average=1.5), "average", "<= 1"),
        (lambda: Training(middle=math.nan), "middle", "finite"),
        (lambda: Net(0), "dim", "from 1"),
        (lambda: Net(3, data_sigma=0.0), "data_sigma", ">="),
        (lambda: Net(3, energy=1), "energy", "True or False"),
        (lambda: Net(3, dtype=torch.int64), "dtype", "float32"),
        (lambda: Net(3, width=10**9), "width", "memory"),
        (lambda: Net(3)(DATA[:, :2], 0.5), "x", r"\(\.\.\., 3\)"),
        (lambda: Net(3)(DATA.double(), 0.5), "x", "float32"),
        (lambda: Net(3)(DATA * math.nan, 0.5), "x", "finite"),
        (lambda: Net(3)(DATA, -0.5), "sigma", ">= 0"),
        (lambda: Net(3)(DATA, math.nan), "sigma", "finite"),
        (lambda: Net(3)(DATA, torch.ones(4)), "sigma", "broadcasts"),
        (lambda: Net(3, energy=True).energy(DATA, 0.0), "sigma", "> 0"),
    ],
)
def test_what_is_refused(call, argument, text):
    with pytest.raises(InputError, match=text) as caught:
        call()
    assert caught.value.argument == argument
    assert caught.value.function


class Narrow(nn.Module):
    """Returns too little."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x, sigma):
        return self.weight * x[:, :2]


def test_a_wide_noise_admits_wide_data():
    wide = Training(middle=3.0, spread=1.2)
    assert isinstance(train(80 * DATA, 1, training=wide), Net)
