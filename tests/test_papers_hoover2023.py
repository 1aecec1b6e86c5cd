"""The recipes on diffusion models as memories: what they measure, refuse and draw."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kanerva import InputError, diffusion
from kanerva.lab import plot, runner
from kanerva.lab.memories import ENTRIES, Facts, measure
from kanerva.lab.papers import RECIPES
from kanerva.lab.papers.hoover2023diffusion import (
    _digits,
    _energies,
    _masks,
    _pictures,
    _recalls,
    _sampling,
)


@pytest.fixture(scope="module")
def digits():
    return _digits.digits()


def distances(x, rows):
    return np.sqrt(((x.numpy()[:, None] - rows.numpy()) ** 2).sum(-1))


def test_digits_are_those_of_scikit_learn(digits):
    from sklearn.datasets import load_digits

    wanted = load_digits()
    assert (digits.rows.numpy() == wanted.data / 16).all()
    assert (digits.classes.numpy() == wanted.target).all()


def test_nearest_rows_are_those_of_brute_force(digits):
    x = digits.rows[:20] + 0.5 * _digits.normal(20, seed=3)
    far, places = _digits.nearest(x, digits.rows)
    wanted = distances(x, digits.rows)
    assert (places.numpy() == wanted.argmin(1)).all()
    assert np.abs(far.numpy() - wanted.min(1)).max() < 1e-12


@given(st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=64))
def test_pictures_are_read_as_they_were_written(cells):
    found = _pictures.shades(_pictures.word(cells))
    assert np.abs(np.array(found) - np.array(cells)).max() <= 2 / 61 / 2 + 1e-9


def test_calls_of_a_denoiser_are_counted(digits):
    counted = _sampling.Counted(diffusion.exact(digits.rows[:10]))
    sigmas = diffusion.schedule("geometric", 7, 3.0, 0.1)
    diffusion.sample(counted, _digits.normal(2, 0), sigmas, "heun")
    assert counted.calls == 2 * 6 + 1


def test_samples_are_measured_against_the_rows(digits):
    design = _sampling.Design("ode", 3, True, 40, 5)
    found = _sampling.generated(design, (10.0, 0.05), 1e-3, 3)
    x = 10 * np.random.default_rng(5).standard_normal((40, 64))
    rows = digits.rows.numpy()
    sigmas = [10.0, math.sqrt(0.5), 0.05]
    for place, sigma in enumerate(sigmas):
        logits = -((x[:, None] - rows) ** 2).sum(-1) / (2 * sigma**2)
        weights = np.exp(logits - logits.max(1, keepdims=True))
        mean = weights / weights.sum(1, keepdims=True) @ rows
        x = mean if place == 2 else mean + sigmas[place + 1] / sigma * (x - mean)
    far = distances(torch.from_numpy(x), digits.rows).min(1)
    assert found["share"] == (far < 1e-3).mean()
    assert found["missed"] == pytest.approx(far.mean(), abs=1e-9)
    assert found["largest"] == pytest.approx(far.max(), abs=1e-9)
    assert found["evaluations"] == 3
    *states, last = found["path"].split("/")
    assert len(states) == len(found["shown"].split("/")) == 3
    assert np.abs(np.array(_pictures.shades(last)) - x[0]).max() < 0.02


def test_shares_of_recall_are_those_of_brute_force(digits):
    found = _recalls.recalled(0.4, 20, 10, 7)
    source = np.random.default_rng(7)
    own = source.choice(1797, 20, replace=False)
    cues = digits.rows.numpy()[own] + 0.4 * source.standard_normal((20, 64))
    near = distances(torch.from_numpy(cues), digits.rows).argmin(1)
    classes = digits.classes.numpy()
    assert found["nearest"] == pytest.approx((near == own).mean())
    assert found["nearest_kept"] == pytest.approx((classes[near] == classes[own]).mean())
    rows = digits.rows.numpy()
    x = cues
    for _ in range(100):
        # Half the squared distances, less a term that is the same for all rows.
        logits = (x @ rows.T - (rows**2).sum(1) / 2) / 0.4**2
        weights = np.exp(logits - logits.max(1, keepdims=True))
        x = weights / weights.sum(1, keepdims=True) @ rows
    error = np.linalg.norm(x - rows[own], axis=1)
    assert found["fixed"] == pytest.approx((error < 0.1).mean())


def test_the_lead_is_counted_in_cues_that_one_way_alone_recalls():
    ours, others = torch.tensor([1, 1, 1, 1, 0, 1]).bool(), torch.tensor([1, 0, 0, 0, 1, 0]).bool()
    assert _recalls._ahead(ours, others) == pytest.approx((4 - 1) / math.sqrt(5))
    assert _recalls._ahead(others, ours) == pytest.approx((1 - 4) / math.sqrt(5))
    assert _recalls._ahead(ours, ours) == 0.0


@pytest.mark.parametrize("before", [False, True])
def test_replacement_with_everything_seen_ends_at_the_row(digits, before):
    rows = digits.rows[:20]
    exact, noise = (
        diffusion.exact(rows),
        torch.from_numpy(np.random.default_rng(0).standard_normal((12, 20, 64))),
    )
    seen = torch.ones(64).bool()
    found = _masks.replaced(exact, rows, seen, noise, before)
    # The last state has noise of 0.05 or a little more, which all rows come back from.
    assert (_digits.nearest(found, rows)[1] == torch.arange(20)).all()
    hidden = _masks.replaced(exact, rows, ~seen, noise, before)
    sigmas = diffusion.schedule("geometric", 11, 3.0, 0.05)
    free = diffusion.sample(exact, 3.0 * noise[0], sigmas).states[-1]
    torch.testing.assert_close(hidden, free)


def test_one_read_of_what_is_seen_needs_what_is_seen(digits):
    whole = _masks.completed(_masks.Design("read", 0, 0.0, 100, 5, 0))
    most = _masks.completed(_masks.Design("read", 63, 0.0, 100, 5, 0))
    assert whole["completed"] == 1.0
    assert most["completed"] < 0.1


@pytest.mark.parametrize("data", ["plane", "digits"])
def test_the_energy_rises_by_the_entropy_as_the_noise_falls(data):
    rows = _energies.stored(data)
    x = rows[:5] + 0.7 * _digits.normal(5, 1, rows.shape[1])
    exact, plain, step = diffusion.exact(rows), _energies._Plain(rows), 1e-4
    high, low = (exact.energy(x, math.sqrt(0.5 + one)) for one in (step, -step))
    slope = (high - low) / (2 * step)
    torch.testing.assert_close(slope, -plain.entropy(x, 0.5), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(slope, plain.slope(x, 0.5), atol=1e-6, rtol=1e-6)


@pytest.mark.untyped
def test_terms_of_the_energy_add_up():
    rows = _energies.stored("plane")
    steps = [row for row in _energies.annealed(rows, 0) if row["kind"] == "step"]
    assert len(steps) == _energies.LEVELS - 1
    for row in steps:
        assert row["total"] == pytest.approx(row["state"] + row["time"], abs=1e-9)
        assert row["state"] < 0 <= row["time"] + 1e-12 <= math.log(6) + 2e-12


def test_a_rise_is_seen():
    changes = torch.tensor([[-1.0, -1.0, 0.5], [-0.2, -0.1, -2.0]]).double()
    assert _energies._rising(changes) == pytest.approx(1 / 3)
    assert (_energies._most(changes[0]), _energies._most(changes[1])) == (0.5, 0.0)


def test_the_score_of_the_landscape_is_the_slope_of_its_energy():
    sigma = 0.35
    cells = [
        row
        for row in _energies.landscape(_energies.stored("plane"), sigma)
        if row["kind"] == "cell"
    ]
    side = _energies.CELLS
    energy, u, v = (
        np.array([row[name] for row in cells]).reshape(side, side) for name in ("energy", "u", "v")
    )
    along = np.array([row["x"] for row in cells]).reshape(side, side)[:, 0]
    by_x, by_y = np.gradient(energy, along, along)
    inner = np.s_[1:-1, 1:-1]
    assert np.abs(-by_x / sigma**2 - u)[inner].max() < 0.8  # of up to 15
    assert np.abs(-by_y / sigma**2 - v)[inner].max() < 0.8


def test_minima_of_the_landscape_are_fixed_points_that_are_stable():
    rows = _energies.stored("plane")
    exact = diffusion.exact(rows)
    found = [row for row in _energies.landscape(rows, 0.35) if row["kind"] == "minimum"]
    for row in found:
        place = torch.tensor([[row["x"], row["y"]]], dtype=torch.float64)
        assert (exact(place, 0.35) - place).abs().max() < 1e-3
        around = place + 0.05 * torch.tensor([[1, 0], [-1, 0], [0, 1], [0, -1]]).double()
        assert (exact.energy(around, 0.35) > exact.energy(place, 0.35)).all()


CELLS = [
    ("denoiser", {"sigma": 0.3}),
    ("generate", {"sampler": "ode", "levels": 3, "last": "no", "samples": 3}),
    ("generate", {"sampler": "sde", "levels": 20, "last": "yes", "samples": 3}),
    ("recall", {"noise": 0.3, "digits": 3, "steps": 2}),
    ("mask", {"method": "read", "hidden": 32, "noise": 0.0, "digits": 3}),
    *(
        ("energy", {"part": part, "data": "plane", "noise": 0.3})
        for part in ("fixed", "annealed", "conventions", "landscape")
    ),
]


@pytest.mark.untyped
@pytest.mark.parametrize(("name", "given"), CELLS)
def test_figures_are_drawn_from_the_rows_of_one_cell(name, given):
    recipe = RECIPES[f"diffusion.{name}"]
    figures = recipe.figures(runner.run(recipe, given=given).rows)
    for figure in figures.values():
        assert plot.svg(figure).startswith("<?xml")


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("name", "given", "argument"),
    [
        ("diffusion.denoiser", {"sigma": 0.0}, "sigma"),
        ("diffusion.denoiser", {"seed": 2**70}, "seed"),
        ("diffusion.generate", {"levels": 0}, "levels"),
        ("diffusion.generate", {"sampler": "euler"}, "sampler"),
        ("diffusion.generate", {"last": "perhaps"}, "last"),
        ("diffusion.generate", {"samples": 0}, "samples"),
        ("diffusion.recall", {"noise": -1.0}, "noise"),
        ("diffusion.recall", {"digits": 1798}, "digits"),
        ("diffusion.recall", {"steps": 0}, "steps"),
        ("diffusion.mask", {"method": "guess"}, "method"),
        ("diffusion.mask", {"hidden": 64}, "hidden"),
        ("diffusion.mask", {"digits": 0}, "digits"),
        ("diffusion.energy", {"part": "whole"}, "part"),
        ("diffusion.energy", {"data": "mnist"}, "data"),
        ("diffusion.energy", {"noise": 0.0}, "noise"),
    ],
)
def test_nonsense_is_refused(name, given, argument):
    with pytest.raises(InputError, match=argument):
        runner.run(RECIPES[name], given=given)


def parameters(facts):
    return {one.name: one.value for one in ENTRIES["diffusion"].pick(facts, {"given": []})}


def test_the_memory_starts_half_way_to_a_neighbour(digits):
    facts = measure(digits.rows.float(), seed=0)
    found = parameters(facts)
    near = torch.cdist(digits.rows, digits.rows).fill_diagonal_(math.inf).amin(1)
    assert found["high"] == pytest.approx(near.quantile(0.01).item() / 2, rel=0.1)
    # There the others together weigh 1 % of a row, at 99 % of the rows.
    assert 1796 * math.exp(-facts.closest / found["low"] ** 2) == pytest.approx(0.01, rel=0.1)
    assert (found["low"] / found["high"]) ** (1 / (found["steps"] - 1)) >= 0.9


@pytest.mark.untyped
def test_the_memory_recalls_as_often_as_the_nearest_row(digits):
    memory = ENTRIES["diffusion"].build(64, **parameters(measure(digits.rows.float())))
    memory.write(digits.rows.float())
    own = torch.arange(1797)
    for noise in (0.1, 0.2, 0.3, 0.5):
        cues = digits.rows + noise * _digits.normal(1797, seed=1)
        _, near = _digits.nearest(cues, digits.rows)
        _, ends = _digits.nearest(memory.recall(cues.float()).double(), digits.rows)
        lead = _recalls._ahead(ends == own, near == own)
        assert abs(lead) < 3, noise


@pytest.mark.parametrize(
    "facts",
    [
        Facts(1, 8, 1.0),
        Facts(2, 8, 1e-12, closest=1e-12, binary=False),
        Facts(10**6, 8, 1e12, closest=1e-12, binary=False),
        Facts(10**6, 8, 1e12, closest=1e12, binary=False),
    ],
)
def test_the_memory_can_be_built_from_any_facts(facts):
    found = parameters(facts)
    assert 0 < found["low"] < found["high"]
    assert len(ENTRIES["diffusion"].build(8, **found).sigmas) == found["steps"]
