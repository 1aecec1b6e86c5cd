"""The recipes of capacity, of clusters on the sphere and of the tokens of a trained model."""

import math

import numpy as np
import pytest
import torch

import kanerva
from kanerva.lab import runner
from kanerva.lab.papers import RECIPES
from kanerva.lab.papers.schaeffer2024 import _held, _sphere


@pytest.mark.parametrize("length", [1.0, 4.0])
def test_rows_are_held_at_any_radius_alike(length):
    unit = _held.held(_held.drawn(64, 16, 1.0, 0), 10.0)
    scaled = _held.held(_held.drawn(64, 16, length, 0), 10.0 / length**2)
    assert scaled.share == unit.share
    assert scaled.mode == pytest.approx(unit.mode, rel=1e-9)


def test_the_mode_of_a_row_is_that_of_plain_mean_shift():
    rows = _held.drawn(32, 8, 1.0, 3)
    query = rows
    for _ in range(200):
        square = (query[:, None] - rows).square().sum(-1)
        query = (-10 * square).softmax(-1) @ rows
    apart = (query - rows).norm(dim=-1)
    found = _held.held(rows, 20.0)
    assert found.share == float((apart < 0.1).double().mean())
    assert found.mode == pytest.approx(float((query * rows).sum(-1).mean()), rel=1e-6)


def test_the_theorem_guarantees_rows_that_are_far_from_others():
    far = _held.held(torch.eye(12, dtype=torch.float64), 40.0)
    assert (far.guaranteed, far.broken, far.share) == (1.0, 0, 1.0)
    near = _held.held(_held.drawn(256, 4, 1.0, 0), 10.0)
    assert near.guaranteed == 0
    assert near.share < 0.1


def test_shares_cross_a_half_between_two_numbers_of_rows():
    assert _held.crossing([1.0, 0.8, 0.3, 0.6, 0.0]) == pytest.approx(1.6)
    assert _held.crossing([1.0, 0.5]) is None
    assert _held.crossing([0.4, 0.1]) is None


def test_clusters_are_around_directions_at_right_angles():
    drawn = _sphere.clusters(3, 2000, 16, 60.0, 0)
    assert drawn.rows.norm(dim=-1) == pytest.approx(torch.ones(6000).double())
    means = torch.stack([drawn.rows[drawn.cluster == one].mean(0) for one in range(3)])
    # The mean of a von Mises-Fisher distribution has the length I_8(60) / I_7(60).
    from scipy.special import ive

    assert means.norm(dim=-1).numpy() == pytest.approx(ive(8, 60) / ive(7, 60), abs=0.01)
    unit = torch.nn.functional.normalize(means, dim=-1)
    assert (unit @ unit.T - torch.eye(3)).abs().max() < 0.02


@pytest.mark.untyped
def test_regimes_of_other_draws():
    for seed in (1, 2):
        drawn = _sphere.clusters(3, 60, 16, 60.0, seed)
        assert [_sphere.fixed(drawn, kappa, 300).groups for kappa in (5.0, 20.0)] == [3, 3]
        assert _sphere.together(drawn, 5.0, 100).groups == 1
        assert _sphere.em(drawn, 60.0, 30).agreement == 1


def test_a_run_of_the_pair_is_the_closed_form_beyond_the_checks():
    ratios = np.array([0.3, 1.05, 1.3, 4.0])
    given = {"radius": "pair", "beta": ",".join(str(one**2) for one in ratios), "dim": 1}
    rows = runner.run(RECIPES["bridge.capacity"], given=given | {"largest": 1}).rows
    assert max(row["mode_apart"] for row in rows) < 1e-6
    assert len(rows) == 4


@pytest.mark.parametrize(
    ("name", "given", "argument"),
    [
        ("bridge.capacity", {"radius": "half"}, "radius"),
        ("bridge.capacity", {"beta": -1}, "beta"),
        ("bridge.capacity", {"dim": 0}, "dim"),
        ("bridge.capacity", {"largest": 40}, "largest"),
        ("bridge.sphere", {"way": "apart"}, "way"),
        ("bridge.sphere", {"kappa": 0}, "kappa"),
        ("bridge.sphere", {"dim": 2}, "dim"),
        ("bridge.tokens", {"sentences": 0}, "sentences"),
    ],
)
@pytest.mark.untyped
def test_a_parameter_out_of_range_gets_the_sentence(name, given, argument):
    with pytest.raises(kanerva.InputError) as caught:
        runner.run(RECIPES[name], given=given)
    assert caught.value.argument == argument


def test_one_dimension_and_large_kappa():
    rows = list(RECIPES["bridge.capacity"].measure("unit", 4.0, 1, 3))
    assert all(0 <= row["share"] <= 1 for row in rows)
    assert rows[0]["annealed"] == pytest.approx((4 - math.log(math.cosh(4))) / math.log(2))
