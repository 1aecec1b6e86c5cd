"""The recipes of memorisation and generalisation: shares, wells, quality, and controls."""

import math

import numpy as np
import pytest
import torch

import kanerva
from kanerva import diffusion, theory
from kanerva.lab import runner
from kanerva.lab.papers import RECIPES
from kanerva.lab.papers.pham2025 import _circle, _digits


def drawn(count, dim=3, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((count, dim)))


@pytest.mark.untyped
@pytest.mark.parametrize("sigma", [0.2, 0.35, 0.6])
def test_wells_of_two_rows_are_those_of_the_closed_form(sigma):
    half = math.radians(25)
    # No place from which states start is as near to one row as to the other.
    train = _circle.ring(np.degrees(np.array([0.3 - half, 0.3 + half])))
    found = _circle.wells(diffusion.exact(train), train, sigma, counted=True)
    up = theory.kernel.modes(math.sin(half), sigma)
    assert found.wells == (2 if up else 1)
    assert found.rests == pytest.approx(math.hypot(math.cos(half), up), abs=1e-4)
    near = math.sin(half) - up <= _circle.ON
    assert (found.stored, found.off) == ((1, 0) if near else (0, found.wells))


def test_the_energy_along_the_circle_is_in_nats():
    train = _circle.rows(5, 3)
    found = _circle.around(diffusion.exact(train), 0.4, 0.9, 12)
    angles = np.radians([angle for angle, _ in found])
    x = 0.9 * np.stack((np.cos(angles), np.sin(angles)), -1)
    square = ((x[:, None] - train.numpy()) ** 2).sum(-1)
    expected = -np.log(np.exp(-square / (2 * 0.4**2)).sum(-1))
    assert [energy for _, energy in found] == pytest.approx(expected - expected.min(), abs=1e-9)


@pytest.mark.untyped
def test_many_rows_are_a_ring_and_the_threshold_says_nothing():
    train, fresh = _circle.rows(1000, 0), _circle.rows(1000, 1)
    # Fresh points are no copies, and the thresholds say that they are; two numbers do not.
    found = _circle.judged(_circle.rows(600, 2), train, fresh, (0.1, 0.02))
    assert found["memorised"] == 1
    assert found["ratio"] == pytest.approx(1, abs=0.15)
    assert found["copies"] < 0.5
    copies = _circle.judged(train[:600], train, fresh, (0.1, 0.02))
    assert copies["memorised"] == copies["copies"] == 1
    assert copies["ratio"] is None
    assert found["spacing"] == pytest.approx(2 * math.pi / 1000 * math.log(2) / 2, rel=0.1)


def test_the_asymmetry_of_linear_denoisers():
    held = drawn(4, dim=2).float()
    turn = torch.tensor([[1.0, 0.5], [-0.5, 1.0]])
    assert _digits.asymmetry(lambda x, sigma: turn @ x, held, 0) == pytest.approx(
        math.sqrt(0.5 / 2.5)
    )
    wiener = diffusion.gaussian(torch.zeros(2), torch.tensor([[2.0, 1.0], [1.0, 2.0]]))
    assert _digits.asymmetry(wiener, held, 0) < 1e-6


@pytest.mark.untyped
def test_quality_tells_digits_from_noise():
    train, held, labels = _digits.digits(100, 0)
    assert len(train) == 100
    assert len(held) == len(labels) == 500
    fresh = _digits.fresh(100, 300, 0)
    assert not (torch.cdist(fresh, held) == 0).any()
    assert not (torch.cdist(fresh, train) == 0).any()
    good = _digits.quality(fresh, held, labels)
    noise = torch.randn(fresh.shape, generator=torch.Generator().manual_seed(0))
    bad = _digits.quality(fresh + 0.5 * noise, held, labels)
    assert good.agreement > 0.9 > 0.8 > bad.agreement
    assert good.likelihood > 15 > -100 > bad.likelihood
    # The density is normalised: that of a held-out row is at least its own kernel's share.
    least = -math.log(500) - 32 * math.log(2 * math.pi * _digits.JUDGED**2)
    assert _digits.quality(held, held, labels).likelihood > least


@pytest.mark.untyped
@pytest.mark.parametrize("rows", [2, 30])
def test_the_exact_score_copies(rows):
    given = {"score": "exact", "rows": rows, "count": 60, "updates": 0}
    (row,) = runner.run(RECIPES["diffusion.transition"], given=given).rows
    assert (row["memorised"], row["spurious"], row["generalised"]) == (1, 0, 0)
    assert row["p"] < 1e-6
    assert row["asymmetry"] is None
    pictures = row["pictures"].split("/")
    assert {len(one) for one in pictures} == {64}
    train = _digits.text(_digits.digits(rows, 0).train, rows).split("/")
    assert set(pictures) <= set(train)


@pytest.mark.untyped
@pytest.mark.parametrize("energy", [False, True])
def test_an_untrained_network_stays_near(energy):
    score = "energy" if energy else "free"
    given = {"score": score, "rows": 5, "updates": 20, "count": 40}
    (row,) = runner.run(RECIPES["diffusion.transition"], given=given).rows
    assert row["distance"] < 5
    assert (row["asymmetry"] < 1e-5) is energy


@pytest.mark.parametrize(
    ("name", "given", "argument"),
    [
        ("diffusion.transition", {"score": "best"}, "score"),
        ("diffusion.transition", {"rows": 1}, "rows"),
        ("diffusion.transition", {"rows": 1500}, "rows"),
        ("diffusion.transition", {"updates": -1}, "updates"),
        ("diffusion.transition", {"near": -1.0}, "near"),
        ("diffusion.transition", {"count": 1}, "count"),
        ("diffusion.circle", {"score": "best"}, "score"),
        ("diffusion.circle", {"rows": 0}, "rows"),
        ("diffusion.circle", {"seed": 2**50}, "seed"),
    ],
)
def test_a_parameter_out_of_range_gets_the_sentence(name, given, argument):
    with pytest.raises(kanerva.InputError, match=f"{argument} must be") as error:
        runner.run(RECIPES[name], given=given)
    assert error.value.argument == argument


def test_the_checks_can_fail():
    recipe = RECIPES["diffusion.transition"]
    row = {"score": "exact", "rows": 10, "updates": 0, "seed": 0, "memorised": 0.9}
    failed = [verdict.what for verdict in recipe.judge([row]) if verdict.ok is False]
    assert failed == ["memorised, exact score, 10 digits"]
    row = {"score": "free", "rows": 1000, "updates": 5000, "seed": 0}
    row |= {"memorised": 0.1, "ratio": 1.3, "p": 0.001, "asymmetry": 0.3}
    assert len([verdict for verdict in recipe.judge([row]) if verdict.ok is False]) == 3
