"""The recipes on entropic memories: the protocol, what they measure, refuse and draw."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kanerva import InputError
from kanerva.lab import plot, runner
from kanerva.lab.papers import RECIPES
from kanerva.lab.papers.hernandez2024 import _chains, _pictures, _protocol, _registers


def levels_of(x, low, high, count):
    """Quantise by plain NumPy: half to even, and any other number than a constant at the top."""
    x = np.clip(x, low, high)
    span = np.where(high > low, high - low, 1)
    return np.where(high > low, np.rint((count - 1) * (x - low) / span), (count - 1) * (x != low))


@pytest.fixture(scope="module")
def fold():
    return _protocol.fold(3)


@pytest.fixture(scope="module")
def plain():
    """The parts of fold 3, without the library."""
    from sklearn.datasets import load_digits

    found = load_digits()
    size = len(found.data)
    order = np.random.default_rng(0).permutation(size)
    order = np.concatenate([order[int(3 * size / 10) :], order[: int(3 * size / 10)]])
    ends = np.cumsum([int(0.7 * size), int(0.2 * size), int(0.1 * size)])
    return [
        (found.data[part], found.target[part]) for part in np.split(order[: ends[-1]], ends[:2])
    ]


def test_folds_are_those_of_plain_code(fold, plain):
    for part, (x, labels) in zip(fold[:3], plain, strict=True):
        assert (part.x.numpy() == x).all()
        assert (part.labels.numpy() == labels).all()


@pytest.mark.parametrize("split", [(70, 20, 10), (57, 33, 10), (10, 80, 10)])
def test_parts_of_a_fold_are_disjoint_and_folds_test_all(split):
    tested = []
    for number in range(_protocol.FOLDS):
        parts = _protocol.places(number, split)
        assert [len(part) for part in parts] == [int(1797 * share / 100) for share in split]
        assert len(torch.cat(parts).unique()) == sum(map(len, parts))
        tested.append(parts[-1])
    assert len(torch.cat(tested).unique()) == 1790


def test_what_is_not_a_fold_is_refused():
    with pytest.raises(InputError, match="fold"):
        _protocol.places(10)
    with pytest.raises(InputError, match="features"):
        _protocol.fold(0, "pixels")


def test_components_are_those_of_the_training_part(plain):
    found = _protocol.fold(3, "pca")
    x = plain[0][0]
    _, _, axes = np.linalg.svd(x - x.mean(0), full_matrices=False)
    wanted = (plain[2][0] - x.mean(0)) @ axes[:32].T
    assert np.abs(np.abs(found.test.x.numpy()) - np.abs(wanted)).max() < 1e-8
    back = found.decode(found.encode(torch.from_numpy(x)))
    assert (
        np.abs(back.numpy() - (x.mean(0) + (x - x.mean(0)) @ axes[:32].T @ axes[:32])).max() < 1e-8
    )


@pytest.mark.parametrize("count", [2, 4, 16])
def test_a_register_counts_and_accepts_as_plain_code_does(fold, plain, count):
    memory = _protocol.register(fold.fill.x, count, share=0.25, xi=1)
    fill, test = plain[1][0], plain[2][0]
    low, high = fill.min(0), fill.max(0)
    some = levels_of(fill[:90], low, high, count)
    counts = np.stack([(some == level).sum(0) for level in range(count)])
    assert (memory.counts.numpy() == counts).all()
    cues = levels_of(test, low, high, count)
    missing = np.array([[counts[int(k), j] == 0 for j, k in enumerate(cue)] for cue in cues])
    assert (memory.recognise(fold.test.x).accepted.numpy() == (missing.sum(1) <= 1)).all()
    shares = counts / counts.sum(0)
    logs = np.log2(np.where(shares > 0, shares, 1))
    assert memory.entropy() == pytest.approx(-(shares * logs).sum(0).mean())


def test_one_range_for_all_columns_is_that_of_all_numbers(fold, plain):
    found = _protocol.quantised(fold.fill.x, 8, "all").encode(fold.test.x).numpy()
    assert (found == levels_of(plain[2][0], plain[1][0].min(), plain[1][0].max(), 8)).all()


def test_scores_are_counts():
    accepted, right = torch.tensor([1, 1, 0, 0, 1]).bool(), torch.tensor([1, 0, 1, 0, 1]).bool()
    found = _protocol.score(accepted, right, torch.ones(5).bool())
    assert found == (pytest.approx(200 / 3), 40.0, 60.0, 100.0, 3, 2, 5)
    none = _protocol.score(~accepted & accepted, right, right)
    assert none == (None, 0.0, 0.0, 60.0, 0, 0, 5)


def test_a_register_that_keeps_the_cue_scores_as_the_classifier_on_levels(fold):
    memory = _protocol.register(fold.fill.x, 16, sigma=0.0, xi=64, empty="keep")
    found = _protocol.scored(fold, memory, fold.test.x, fold.test.labels)
    bare = (fold.classify(fold.test.x) == fold.test.labels).double().mean()
    assert found.bare == pytest.approx(100 * float(bare))
    assert found.precision == found.recall >= 97
    assert (found.accepted, found.answers, found.cues) == (100.0, 179, 179)


def test_the_spread_over_folds_is_that_of_a_population():
    assert _protocol.deviation([1.0, 3.0]) == 1.0
    assert _protocol.deviation([]) == 0.0


def test_a_share_of_the_digits_is_rounded_and_the_first_ones_are_stored(fold):
    rows = [next(_registers.measured("raw", 4, 1, 0, filled=share)) for share in (1, 8, 100)]
    assert [row["stored"] for row in rows] == [4, 29, 359]
    memory = _protocol.register(fold.fill.x, 4, share=0.08)
    other = _protocol.register(fold.fill.x, 4, share=0.0)
    other.write(fold.fill.x[:29])
    assert torch.equal(memory.counts, other.counts)


def test_tolerance_accepts_more_and_thinning_less():
    def accepted(**limits):
        return [row["accepted"] for row in _registers.measured("raw", 16, 2, 0, **limits)]

    plain = accepted()
    assert all(a <= b for a, b in zip(plain, accepted(xi=1), strict=True))
    assert sum(accepted(xi=1)) > sum(plain) > sum(accepted(iota=0.1)) > sum(accepted(iota=0.3))
    assert accepted(xi=64) == [100.0, 100.0]
    assert accepted(kappa=1.0) == plain


def test_recall_is_precision_times_the_share_of_answers():
    for row in _registers.measured("pca", 16, 2, 0):
        assert row["recall"] == pytest.approx(row["precision"] * row["accepted"] / 100)
        assert row["answers"] == pytest.approx(179 * row["accepted"] / 100)


@given(st.lists(st.floats(0, 16), min_size=64, max_size=64))
def test_pictures_are_read_as_they_were_written(pixels):
    found = _pictures.shades(_pictures.word(pixels))
    assert np.abs(np.array(found) - np.array(pixels)).max() <= 16 / 61 / 2 + 1e-9


def test_noise_replaces_a_share_of_the_pixels():
    pixels = torch.full((300, 64), -1.0, dtype=torch.float64)
    found = _chains.damaged(pixels, 0.5, seed=3)
    hit = found != -1
    assert float(hit.double().mean()) == pytest.approx(0.5, abs=0.02)
    assert 0 <= float(found[hit].min()) < 0.1 < 15.9 < float(found[hit].max()) <= 16
    assert float(found[hit].mean()) == pytest.approx(8, abs=0.2)
    assert torch.equal(_chains.damaged(pixels, 0.0, seed=3), pixels)


def test_a_chain_starts_at_the_classifier_and_never_comes_back():
    for features in ("raw", "pca"):
        design = _chains.Design(features, "clean", 16, 0.1, 0, 3, 0)
        rows = list(_chains.chained(design, 1, 0.5))
        assert [row["depth"] for row in rows] == [0, 1, 2, 3]
        assert rows[0]["kept"] == rows[0]["bare"] > 97
        shares = [row["accepted"] for row in rows]
        assert shares == sorted(shares, reverse=True)
        assert rows[0]["error"] < rows[1]["error"] < rows[3]["error"]
        if features == "raw":
            assert rows[0]["error"] == 0.0
            assert shares[1] == shares[3] < 100


def test_a_chain_without_spread_stays(fold):
    design = _chains.Design("raw", "clean", 16, 0.0, 0, 3, 0)
    rows = list(_chains.chained(design, 1, 0.5))
    assert len({row["error"] for row in rows[1:]}) == 1
    assert len({row["kept"] for row in rows[1:]}) == 1


def test_the_class_of_chains_is_that_of_plain_code():
    """One recall of each test digit of fold 0, many seeds, beside NumPy's own draws."""
    fold, levels, s = _protocol.fold(0), 16, 4.8
    fill, test = fold.fill.x.numpy(), fold.test.x.numpy()
    low, high = fill.min(0), fill.max(0)
    counts = np.stack([(levels_of(fill, low, high, levels) == k).sum(0) for k in range(levels)])
    cues = levels_of(test, low, high, levels).astype(int)
    ok = (counts[cues, np.arange(64)] > 0).all(1)
    source, place, states = np.random.default_rng(5), np.arange(levels), []
    for _ in range(4):
        state = np.empty((ok.sum(), 64))
        for j in range(64):
            near = np.exp(-((place - cues[ok, j][:, None]) ** 2) / (2 * s**2))
            mass = (counts[:, j] * near).cumsum(1)
            chance = source.random((len(state), 1)) * mass[:, -1:]
            state[:, j] = low[j] + (high[j] - low[j]) * (mass <= chance).sum(1) / (levels - 1)
        states.append(state)
    labels = fold.test.labels.numpy()[ok]
    wanted = np.mean([fold.classifier.predict(state) == labels for state in states])
    errors = [np.sqrt(((state - test[ok]) ** 2).mean()) for state in states]
    found = []
    for seed in range(4):
        design = _chains.Design("raw", "clean", levels, s / levels, 0, 1, seed)
        found.append(list(_chains.chained(design, 1, 0.5))[1])
    # Three standard errors of the difference of two shares of 4 x 165 draws.
    assert np.mean([row["kept"] for row in found]) == pytest.approx(100 * wanted, abs=6.3)
    assert np.mean([row["error"] for row in found]) == pytest.approx(np.mean(errors), abs=0.05)
    assert found[0]["accepted"] == pytest.approx(100 * ok.mean())


def test_kinds_are_those_of_brute_force():
    source = np.random.default_rng(2)
    stored = 16 * source.random((30, 4))
    states = stored[:20] + source.standard_normal((20, 4)) * np.linspace(0, 9, 20)[:, None]
    far = np.sqrt(((states[:, None] - stored) ** 2).sum(-1))
    apart = np.sqrt(((stored[:, None] - stored) ** 2).sum(-1)) + np.diag([np.inf] * 30)
    near = np.sort(apart.min(1))[14]  # the lower of the two middle ones, as torch takes it
    assert _chains.median(torch.from_numpy(stored)) == pytest.approx(near)
    wanted = [
        2 if row.min() > near else 0 if row.argmin() == own else 1 for own, row in enumerate(far)
    ]
    assert set(wanted) == {0, 1, 2}
    parts = (torch.from_numpy(states), torch.from_numpy(stored), torch.arange(20), near)
    assert _chains.sorted_kinds(*parts).tolist() == wanted


def test_stored_digits_are_their_own_items_and_unseen_ones_are_not():
    for cue in ("stored", "unseen"):
        rows = list(_chains.kinds(cue, 16, 0.05, 1, 0))
        for row in rows:
            assert row["own"] + row["recollected"] + row["imagined"] == pytest.approx(1)
            assert row["own"] == (1.0 if cue == "stored" else 0.0)
        assert rows[0]["kept"] == rows[0]["bare"]
        assert (rows[0]["accepted"] == 100) == (cue == "stored")


CELLS = [
    ("sizes", {"features": "raw,pca", "levels": "1,4", "folds": 2}),
    ("fills", {"levels": 4, "filled": "1,8", "folds": 1}),
    ("tolerance", {"levels": 4, "kappa": 2.0, "folds": 1}),
    ("chains", {"features": "raw,pca", "cue": "noisy", "xi": 32, "recalls": 2, "folds": 1}),
    ("chains", {"cue": "noisy", "features": "raw", "xi": 0, "recalls": 1, "folds": 1}),
    ("kinds", {"recalls": 1, "sigma": 0.1}),
]


@pytest.mark.untyped
@pytest.mark.parametrize(("name", "given"), CELLS)
def test_figures_are_drawn_from_the_rows_of_one_cell(name, given):
    recipe = RECIPES[f"eam.{name}"]
    figures = recipe.figures(runner.run(recipe, given=given).rows)
    for figure in figures.values():
        assert plot.svg(figure).startswith("<?xml")
        assert figure.get_label().endswith(".")


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("name", "given", "argument"),
    [
        ("eam.sizes", {"features": "pixels"}, "features"),
        ("eam.sizes", {"levels": 0}, "levels"),
        ("eam.sizes", {"folds": 11}, "folds"),
        ("eam.sizes", {"sigma": -0.1}, "sigma"),
        ("eam.sizes", {"xi": 65}, "xi"),
        ("eam.fills", {"filled": 101.0}, "filled"),
        ("eam.tolerance", {"iota": -1.0}, "iota"),
        ("eam.tolerance", {"kappa": -1.0}, "kappa"),
        ("eam.chains", {"cue": "dirty"}, "cue"),
        ("eam.chains", {"features": "pixels"}, "features"),
        ("eam.chains", {"recalls": 0}, "recalls"),
        ("eam.chains", {"replaced": 1.5}, "replaced"),
        ("eam.kinds", {"cue": "noisy"}, "cue"),
        ("eam.kinds", {"recalls": 0}, "recalls"),
    ],
)
def test_nonsense_is_refused(name, given, argument):
    with pytest.raises(InputError, match=argument):
        runner.run(RECIPES[name], given=given)
