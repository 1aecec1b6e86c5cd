"""The resting states of denoising, and the noise that rows come back from."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from kanerva import InputError, InputTypeError, density, diffusion
from kanerva.diffusion._samples import Noise


def digits(count, dtype=torch.float64):
    x = load_digits().data / 16
    place = np.random.default_rng(0).permutation(len(x))
    return torch.tensor(x[place[:count]], dtype=dtype)


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


# Stored, states and spurious, computed with separate code; 150 mean shifts.
KNOWN = [
    (10, 0.3, 1.0, 10, 0),
    (10, 0.4, 0.7, 10, 3),
    (10, 0.5, 0.5, 6, 1),
    (10, 0.7, 0.5, 6, 1),
    (10, 1.0, 0.1, 4, 3),
    (100, 0.3, 1.0, 100, 0),
    (100, 0.4, 0.96, 100, 4),
    (100, 0.5, 0.72, 91, 19),
    (100, 0.7, 0.06, 33, 27),
    (100, 1.0, 0.0, 1, 1),
]


@pytest.mark.untyped
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("count", "sigma", "stored", "states", "spurious"), KNOWN)
def test_digits_rest_as_published(count, sigma, stored, states, spurious, dtype):
    rows = digits(count, dtype)
    found = diffusion.attractors(diffusion.exact(rows), rows, sigma)
    assert found.stored == pytest.approx(stored, abs=1e-6)
    assert (len(found.states), found.spurious) == (states, spurious)
    assert found.basin.sum().item() == pytest.approx(1)
    assert found.states.dtype == dtype


@pytest.mark.untyped
def test_states_are_those_of_plain_mean_shift():
    rows, sigma = normal(12, 3), 0.6
    query = rows.numpy().copy()
    for _ in range(5000):
        square = ((query[:, None] - rows.numpy()) ** 2).sum(-1)
        weight = np.exp(-(square - square.min(-1, keepdims=True)) / (2 * sigma**2))
        query = weight @ rows.numpy() / weight.sum(-1, keepdims=True)
    ends = np.unique(query.round(5), axis=0)
    found = diffusion.attractors(diffusion.exact(rows), rows, sigma, merge=1e-4, steps=5000)
    assert 1 < len(ends) < 12
    assert np.unique(found.states.numpy().round(5), axis=0) == pytest.approx(ends, abs=2e-5)
    held = np.linalg.norm(query - rows.numpy(), axis=-1) <= 0.1
    assert found.stored == held.mean()
    apart = np.linalg.norm(ends[:, None] - rows.numpy(), axis=-1).min(-1)
    assert found.spurious == (apart > 0.1).sum()


def test_states_are_at_rest_and_ordered_by_their_basins():
    rows = digits(60)
    denoise = diffusion.exact(rows)
    found = diffusion.attractors(denoise, rows, 0.6)
    assert (denoise(found.states, 0.6) - found.states).norm(dim=-1).max() < 1e-9
    assert (found.basin.diff() <= 0).all()
    apart = torch.cdist(found.states, found.states)
    assert apart[~torch.eye(len(apart), dtype=torch.bool)].min() > 0.02


@pytest.mark.untyped
def test_the_order_of_the_starts_changes_nothing():
    rows = digits(80)
    denoise = diffusion.exact(rows)
    one = diffusion.attractors(denoise, rows, 0.5)
    for seed in range(3):
        place = torch.from_numpy(np.random.default_rng(seed).permutation(80))
        other = diffusion.attractors(denoise, rows[place], 0.5)
        assert (one.stored, one.spurious) == (other.stored, other.spurious)
        assert one.basin.equal(other.basin)
        assert (one.states - other.states).norm(dim=-1).max() < 1e-9


def test_steps_of_merge_lead_from_state_to_state():
    # Each start rests where it is; single linkage by hand: 0-.01-.02, .05-.06, 1.
    starts = torch.tensor([[0.05], [0.0], [1.0], [0.02], [0.06], [0.01], [0.01]]).double()
    found = diffusion.attractors(lambda x, sigma: x, starts, 1.0, merge=0.015)
    assert found.states.flatten().tolist() == pytest.approx([0.01, 0.05, 1.0])
    assert found.basin.tolist() == pytest.approx([4 / 7, 2 / 7, 1 / 7])
    assert found.stored == 1


def test_rows_tell_what_is_spurious():
    rows = torch.tensor([[0.0], [4.0]]).double()
    denoise, starts = diffusion.exact(rows), torch.tensor([[0.5], [1.0]]).double()
    assert diffusion.attractors(denoise, starts, 0.3).spurious == 0  # the memory has the row
    assert diffusion.attractors(lambda x, s: denoise(x, s), starts, 0.3).spurious == 1
    assert diffusion.attractors(lambda x, s: denoise(x, s), starts, 0.3, rows=rows).spurious == 0
    assert diffusion.attractors(denoise, starts, 0.3, rows=rows[1:]).spurious == 1
    assert diffusion.attractors(denoise, starts, 0.3).stored == 0


def test_a_state_between_two_equally_near_rows_is_no_row():
    rows = torch.tensor([[-0.5], [0.5]]).double()
    found = diffusion.attractors(diffusion.exact(rows), rows, 1.0)
    assert found.states.abs().max() < 1e-6
    assert (len(found.states), found.spurious, found.stored) == (1, 1, 0)


def test_memories_of_other_kinds_and_trained_denoisers():
    memory = density.kernel(dim=2, bandwidth=0.1)
    memory.write(torch.tensor([[0.0, 0.0], [3.0, 0.0]]), prior=[3.0, 1.0])
    found = diffusion.attractors(diffusion.exact(memory), memory.keys[:], 0.2)
    assert (len(found.states), found.spurious, found.stored) == (2, 0, 1)
    bias = torch.nn.Parameter(torch.tensor([1.0, 0.0]))
    found = diffusion.attractors(lambda x, sigma: x / 2 + bias, torch.zeros(1, 2), 0.2)
    assert found.states.tolist() == [[pytest.approx(2, abs=1e-4), 0]]
    assert not found.states.requires_grad


def test_starts_that_do_not_rest_are_named():
    with pytest.warns(UserWarning, match=r"attractors: 2 of 2 starts did not .* 3 steps"):
        diffusion.attractors(lambda x, sigma: x + 1, torch.zeros(2, 1), 1.0, steps=3)


@pytest.mark.untyped
def test_two_rows_come_back_from_the_quantile_of_their_own_noise():
    # A cue comes back if it stays on its side of the middle: exactly where sigma z < 1/2.
    rows = torch.tensor([[0.0, 0.0], [1.0, 0.0]]).double()
    trials = 40
    found = diffusion.critical_sigma(
        diffusion.exact(rows), rows, share=0.8, low=0.05, high=5.0, trials=trials, seed=3
    )
    noise, grid = Noise(3), 0.05 * 100 ** (np.arange(513) / 512)
    for place, side in ((0, 1), (1, -1)):
        along = side * noise(place, torch.zeros(trials, 2).double())[:, 0].numpy()
        back = (grid[:, None] * along < 0.5).mean(-1) >= 0.8
        assert found[place].item() == pytest.approx(grid[back].max(), rel=1e-6)


@pytest.mark.untyped
def test_rows_are_judged_by_themselves_and_by_plain_search():
    rows = digits(12)
    denoise = diffusion.exact(rows)
    given = {"low": 0.1, "high": 4.0, "trials": 4, "share": 0.75, "seed": 1}
    found = diffusion.critical_sigma(denoise, rows, **given)
    assert found[:5].equal(diffusion.critical_sigma(denoise, rows[:5], **given))
    noise, step = Noise(1), 40 ** (1 / 512)
    for place in (0, 7):
        cue = noise(place, rows[:4])
        for sigma, held in ((found[place], True), (found[place] * step, False)):
            ends = diffusion.recall(denoise, rows[place] + sigma * cue, float(sigma))
            back = ((ends - rows[place]).norm(dim=-1) <= 0.1).double().mean()
            assert bool(back >= 0.75) is held


@pytest.mark.untyped
def test_limits_of_the_critical_noise():
    one = torch.tensor([[1.0, 2.0]])
    assert diffusion.critical_sigma(diffusion.exact(one), one, high=7.0).tolist() == [7.0]
    never = diffusion.critical_sigma(lambda x, sigma: x * 0, one)
    assert never.tolist() == [0.0]
    far = torch.tensor([[0.0], [100.0]])
    near = torch.tensor([[0.0], [1.0]])
    given = {"trials": 5, "high": 1000.0}
    wide = diffusion.critical_sigma(diffusion.exact(far), far, reach=1.0, **given)
    tight = diffusion.critical_sigma(diffusion.exact(near), near, reach=0.01, **given)
    assert (wide / tight).tolist() == pytest.approx([100, 100], rel=0.05)  # the unit is free
    assert (wide > tight).all()


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("change", "argument"),
    [
        ({"denoiser": 3}, "denoiser"),
        ({"starts": torch.zeros(0, 2)}, "starts"),
        ({"starts": torch.zeros(2)}, "starts"),
        ({"starts": torch.tensor([[0.0, float("nan")]])}, "starts"),
        ({"starts": torch.zeros(2, 2, dtype=torch.int64)}, "starts"),
        ({"sigma": 0.0}, "sigma"),
        ({"sigma": -1.0}, "sigma"),
        ({"sigma": float("nan")}, "sigma"),
        ({"merge": -0.1}, "merge"),
        ({"reach": float("inf")}, "reach"),
        ({"rows": torch.zeros(2, 3)}, "rows"),
        ({"rows": torch.zeros(0, 2)}, "rows"),
        ({"steps": 0}, "steps"),
        ({"denoiser": lambda x, s: x[:, :1]}, "denoiser"),
    ],
)
def test_arguments_of_attractors(change, argument):
    given = {"denoiser": diffusion.exact(torch.eye(2)), "starts": torch.eye(2), "sigma": 0.1}
    with pytest.raises(InputError) as refused:
        diffusion.attractors(**given | change)
    assert (refused.value.argument, refused.value.function) == (argument, "attractors")


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("change", "argument"),
    [
        ({"rows": torch.zeros(0, 2)}, "rows"),
        ({"share": 0.0}, "share"),
        ({"share": 1.1}, "share"),
        ({"reach": 0.0}, "reach"),
        ({"low": 0.0}, "low"),
        ({"high": 0.005}, "high"),
        ({"trials": 0}, "trials"),
        ({"seed": -1}, "seed"),
    ],
)
def test_arguments_of_the_critical_noise(change, argument):
    given = {"denoiser": diffusion.exact(torch.eye(2)), "rows": torch.eye(2)}
    with pytest.raises(InputError) as refused:
        diffusion.critical_sigma(**given | change)
    assert (refused.value.argument, refused.value.function) == (argument, "critical_sigma")


@pytest.mark.untyped
def test_a_class_is_no_denoiser():
    with pytest.raises(InputTypeError, match="denoiser"):
        diffusion.attractors(torch.nn.Identity, torch.eye(2), 0.1)
