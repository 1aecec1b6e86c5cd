"""The recipes on entropic memories: the protocol, what they measure, refuse and draw."""

import numpy as np
import pytest
import torch

from kanerva import InputError
from kanerva.lab.papers.hernandez2024 import _protocol


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
    memory = _protocol.register(fold.fill.x, count, share=0.5, xi=1)
    fill, test = plain[1][0], plain[2][0]
    low, high = fill.min(0), fill.max(0)
    some = levels_of(fill[: len(fill) // 2], low, high, count)
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
