"""Helpers of the recipes of Kanerva 1988, Jaeckel 1989 and Keeler 1988."""

import itertools
import math
from decimal import Decimal, localcontext
from statistics import NormalDist

import numpy as np
import pytest
import torch

import kanerva
from kanerva.lab.papers.jaeckel1989 import _memories, designs
from kanerva.lab.papers.kanerva1988 import _simulation, critical, overlap
from kanerva.lab.papers.keeler1988 import hopfield


def test_where_a_curve_first_meets_the_diagonal():
    # 5 below at 20, 5 above at 30
    assert critical.crossing(range(0, 41, 10), [0, 5, 15, 35, 45]) == 25
    assert critical.crossing(range(0, 31, 10), [0, 5, 20, 25]) == 20
    assert critical.crossing(range(0, 31, 10), [1, 12, 25, 35]) == 0  # never nearer
    assert critical.crossing(range(0, 31, 10), [0, 5, 15, 25]) is None


@pytest.mark.untyped
def test_the_mean_distance_of_the_nearest_of_a_million_is_exact_and_not_the_quantile(monkeypatch):
    few = kanerva.bits.Packed.random(100, 1000, seed=0)  # only what is measured needs a million
    monkeypatch.setattr(kanerva.bits.Packed, "random", lambda count, bits, seed: few)
    row = next(overlap.nearest.measure(1000, 451, 10**6, points=2))
    within, mean, count = 0, 0, 1
    with localcontext() as context:
        context.prec = 50
        for distance in range(1000):
            within += count
            count = count * (1000 - distance) // (distance + 1)
            mean += (1 - Decimal(within) / 2**1000) ** 10**6  # none of a million is within
    assert row["expected"] == pytest.approx(float(mean), rel=1e-9)
    assert row["expected"] == pytest.approx(423.26, abs=0.005)
    assert row["quantile"] == pytest.approx(500 + math.sqrt(250) * NormalDist().inv_cdf(1e-6))
    assert row["quantile"] == pytest.approx(424.84, abs=0.005)


@pytest.mark.untyped
def test_locations_shared_are_counted_one_by_one():
    source = torch.Generator().manual_seed(0)
    addresses = kanerva.bits.Packed.random(4000, 12, seed=source)
    exact = kanerva.theory.circle.overlap(12, 4, 4000)
    for distance in (0, 1, 2, 5):
        # Over many centres of so small a space the count is that of these locations, which is a
        # few percent from the mean.
        count = _simulation.shared(addresses, 4, distance, 2000, source)
        assert count == pytest.approx(exact[distance], rel=0.05)


@pytest.mark.untyped
def test_a_clean_hopfield_read_errs_as_often_as_enumeration_says():
    bits, patterns = 3, 3
    vectors = list(itertools.product((-1.0, 1.0), repeat=bits))
    wrong = []
    for stored in itertools.product(vectors, repeat=patterns):
        network = kanerva.hopfield(bits)
        rows = torch.tensor(stored)
        network.write(rows)
        wrong.append((network.read(rows) != rows).double().mean().item())
    assert np.mean(wrong) == pytest.approx(hopfield.clean_error(bits, patterns))


@pytest.mark.parametrize("design", ["circle", "selected", "hyperplane"])
def test_keys_move_by_as_many_bits_as_asked(design):
    source = torch.Generator().manual_seed(0)
    keys = _memories.keys(design, 20, 100, 20, source)
    for distance in (0, 2, 20):
        moved = _memories.moved(design, keys, distance, source)
        assert ((moved != keys).sum(-1) == distance).all()
        assert design != "hyperplane" or ((moved > 0).sum(-1) == 20).all()
    chances = designs.chances(design, 100, 20)
    assert chances.sum() == pytest.approx(1)
    left, right = (_memories.keys(design, 4000, 100, 20, source) for _ in range(2))
    pairs = (left != right).sum(-1).double()
    mean = chances @ np.arange(101)
    assert pairs.mean().item() == pytest.approx(mean, abs=4 * pairs.std().item() / math.sqrt(4000))


def test_hyperplane_shares_stand_at_the_distance_of_their_keys():
    shares = np.exp(designs.log_shares("hyperplane", 3, 1000, 100))
    assert shares.shape == (1001,)
    for common in (100, 90, 50, 3):
        assert shares[2 * (100 - common)] == pytest.approx(
            math.comb(common, 3) / math.comb(1000, 3)
        )
    assert (shares[195:] == 0).all()
