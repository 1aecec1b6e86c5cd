"""The recipes of resting states and of denoisers with too few slots."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

import kanerva
from kanerva.lab import plot, runner
from kanerva.lab.papers import RECIPES
from kanerva.lab.papers.pham2025 import _digits, _slots
from kanerva.lab.papers.pham2025._distances import nearest
from kanerva.lab.papers.pham2025.attractors import _pixels

pytestmark = pytest.mark.untyped


def digits(count, seed):
    return _digits.digits(count, seed).train.double()


def test_digits_are_the_first_of_a_permutation():
    x = load_digits().data
    place = np.random.default_rng(3).permutation(1797)[:5]
    assert (digits(5, 3).numpy() * 16 == x[place]).all()


def test_nearest_rows_by_plain_search():
    rows, others = digits(20, 0), digits(30, 1)
    far = np.linalg.norm(rows.numpy()[:, None] - others.numpy(), axis=-1)
    assert nearest(rows, others).numpy() == pytest.approx(far.min(-1), abs=1e-12)
    own = np.linalg.norm(rows.numpy()[:, None] - rows.numpy(), axis=-1) + 99 * np.eye(20)
    assert nearest(rows, rows, own=True).numpy() == pytest.approx(own.min(-1), abs=1e-12)


@pytest.mark.parametrize("method", ["exact", "kmeans", "elbo"])
def test_a_memory_below_its_capacity_copies(method):
    row = _slots.measured(method, 12, 20, 100, (0.25, 0.1), seed=2)
    assert (row["memorised"], row["spurious"], row["generalised"]) == (1, 0, 0)
    assert (row["single"], row["off"]) == (1, 0)
    assert row["distance"] < 0.1


def test_means_are_the_averages_of_their_digits():
    rows = digits(60, 0)
    means, places = _slots.fitted("kmeans", rows, 20, 0)
    for place, mean in enumerate(means):
        assert (rows[places == place].mean(0) - mean).norm() < 1e-9
    row = _slots.measured("kmeans", 60, 20, 300, (0.25, 0.1), seed=0)
    single = (places.bincount() == 1).double().mean()
    assert row["single"] == single < 1
    assert row["memorised"] == pytest.approx(float(single), abs=0.1)
    assert row["spurious"] == pytest.approx(1 - float(single), abs=0.1)


def test_other_draws_of_digits_have_the_same_shares():
    given = {"method": "kmeans", "count": "150,300", "seed": "0"}
    for seed in (1, 2):
        rows = runner.run(RECIPES["diffusion.slots"], given=given, seed=seed).rows
        shares = {row["count"]: row["memorised"] for row in rows}
        assert shares[150] == pytest.approx(0.66, abs=0.1)
        assert shares[300] == pytest.approx(0.28, abs=0.15)


def test_resting_states_and_their_pictures():
    rows = runner.run(
        RECIPES["diffusion.attractors"], given={"part": "rest", "count": 5, "sigma": "0.3,1.5"}
    ).rows
    sums = [row for row in rows if row["state"] is None]
    assert [row["stored"] for row in sums] == [1, 0]
    assert [row["attractors"] for row in sums] == [5, sums[1]["attractors"]]
    stored = digits(5, 0).numpy()
    drawn = [_pixels(row) for row in rows if row["sigma"] == 0.3 and row["state"] is not None]
    for picture in drawn:
        far = np.abs((picture.reshape(-1) + 1) / 2 - stored).max(-1)
        assert far.min() < 0.01
    assert {row["kind"] for row in rows if row["sigma"] == 1.5} == {None, "no digit"}
    figures = RECIPES["diffusion.attractors"].figures(rows)
    assert list(figures) == ["figure", "figure-states"]
    for figure in figures.values():
        assert plot.svg(figure).startswith("<?xml")


def test_critical_noise_falls_from_share_to_share():
    rows = runner.run(
        RECIPES["diffusion.attractors"],
        given={"part": "return", "count": 8, "sigma": 0, "trials": 5},
    ).rows
    noise, back = ([row[name] for row in rows] for name in ("sigma_c", "back"))
    assert noise == sorted(noise, reverse=True)
    assert back == sorted(back)
    assert (back[0], back[-1]) == (1 / 8, 1)


@pytest.mark.parametrize(
    ("name", "given", "argument"),
    [
        ("diffusion.attractors", {"part": "stay"}, "part"),
        ("diffusion.attractors", {"count": 1}, "count"),
        ("diffusion.attractors", {"part": "rest", "sigma": 0.0}, "sigma"),
        ("diffusion.attractors", {"trials": 0}, "trials"),
        ("diffusion.slots", {"method": "mean"}, "method"),
        ("diffusion.slots", {"count": 1798}, "count"),
        ("diffusion.slots", {"slots": 0}, "slots"),
        ("diffusion.slots", {"samples": 1}, "samples"),
        ("diffusion.slots", {"copied": -1.0}, "copied"),
        ("diffusion.slots", {"seed": 2**40}, "seed"),
    ],
)
def test_a_parameter_out_of_range_gets_the_sentence(name, given, argument):
    with pytest.raises(kanerva.InputError, match=f"{argument} must be") as error:
        runner.run(RECIPES[name], given=given)
    assert error.value.argument == argument
