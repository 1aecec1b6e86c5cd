"""The recipes on registers of learned features: what is trained, measured, refused and drawn."""

import math

import numpy as np
import pytest
import torch

from kanerva import InputError
from kanerva.lab import data, plot, runner
from kanerva.lab.papers import RECIPES
from kanerva.lab.papers.hernandez2024 import _bars, _codes, _imagery, _images, _protocol

SHORT = _codes.Design("digits", "small", 1, 0, _protocol.LARGER_FILLING)
PATCHES = _codes.Design("photos", "paper", 1, 0, _protocol.LARGER_TRAINING, 10)


@pytest.fixture(scope="module")
def digits():
    return _codes.codes(SHORT)


@pytest.fixture(scope="module")
def patches():
    return _codes.codes(PATCHES)


def cell(**given):
    usual = {"cue": "clean", "levels": 4, "stored": 100, "sigma": 0.025, "depth": 1}
    return _images.Design(**usual | {"pictures": False, "seed": 0} | given)


def test_a_fold_of_digits_is_that_of_the_protocol(digits):
    plain = _protocol.fold(0, "raw", _protocol.LARGER_FILLING)
    for learned, raw in ((digits.fold.train, plain.train), (digits.fold.test, plain.test)):
        assert (learned.labels == raw.labels).all()
    assert ((8 * (digits.test + 1)).double() == plain.test.x).all()
    assert ((8 * (digits.fill + 1)).double() == plain.fill.x).all()


def test_the_codec_is_trained_on_the_training_part_alone(digits):
    plain = _protocol.fold(0, "raw", _protocol.LARGER_FILLING)
    mean = (plain.train.x / 8 - 1).mean(0)
    assert (digits.codec.fitted["mean"] - mean).abs().max() < 1e-6


def test_the_classifier_of_small_codes_is_the_head_of_the_codec(digits):
    found = digits.fold.classify(digits.fold.test.x)
    assert (found == digits.codec.classify(digits.fold.test.x)).all()
    assert (found == digits.fold.test.labels).double().mean() > 0.7


def test_a_second_training_gives_the_same_codes(digits):
    again = _codes.codes.__wrapped__(SHORT)
    assert (again.fold.fill.x == digits.fold.fill.x).all()


def test_as_many_patches_are_kept_of_each_photograph(patches):
    parts = patches.fold[:3]
    assert [len(part.x) for part in parts] == [70, 20, 10]
    labels = torch.cat([part.labels for part in parts])
    assert labels.bincount().tolist() == [10] * 10
    every = data.load("photos", domain="real")
    order = np.random.default_rng(0).permutation(len(every.real))
    counts, kept = dict.fromkeys(range(10), 0), []
    for place in order:
        counts[int(every.labels[place])] += 1
        if counts[int(every.labels[place])] <= 10:
            kept.append(place)
    assert (every.real[kept[70:90]] == patches.fill).all()
    assert (every.real[kept[90:]] == patches.test).all()


def test_codes_of_the_published_layout_have_a_feature_a_pixel(patches):
    assert patches.fold.fill.x.shape == (20, 1024)
    assert patches.codec.parameters == 15_991
    assert patches.decode(patches.fold.test.x).shape == patches.test.shape


def test_distance_is_in_ranges_of_a_pixel():
    found = _codes.distance(-torch.ones(2, 6), torch.tensor([[1.0] * 6, [0.0] * 6]))
    assert found.tolist() == [1.0, 0.25]


def test_a_patch_is_black_and_noise_stays_in_range(patches):
    shape = patches.shape
    square = _images._damaged(patches.test, shape, "patch", 0).reshape(-1, *shape)
    changed = (square != patches.test.reshape(-1, *shape)).any(-1)
    inner = np.s_[:, 5:27, 5:27]
    assert (square[inner] == -1).all()
    outside = changed.clone()
    outside[inner] = False
    assert not outside.any()
    noisy = _images._damaged(torch.zeros(50, 3072), shape, "noise", 3)
    assert noisy.abs().max() <= 1
    # Standard normal numbers, clipped at 1 / .6.
    cut, chance = 1 / 0.6, math.erfc(1 / 0.6 / math.sqrt(2))
    density = math.exp(-(cut**2) / 2) / math.sqrt(2 * math.pi)
    variance = 0.36 * (1 - chance - 2 * cut * density) + chance
    assert float(noisy.double().square().mean()) == pytest.approx(variance, abs=0.003)
    assert _images._damaged(patches.test, shape, "clean", 0) is patches.test


def test_rows_are_those_of_plain_code(patches):
    (found,) = _images.answered(PATCHES, cell())
    fill, test = patches.fold.fill.x.numpy(), patches.fold.test.x.numpy()
    low, span = fill.min(0), fill.max(0) - fill.min(0)
    some, cues = (
        np.where(span > 0, np.rint(3 * np.clip((x - low) / np.where(span > 0, span, 1), 0, 1)), 0)
        for x in (fill, test)
    )
    cues = np.where(span > 0, cues, 3 * (test != low))
    counts = np.stack([(some == level).sum(0) for level in range(4)])
    accepted = [all(counts[int(k), j] for j, k in enumerate(cue)) for cue in cues]
    assert found["accepted"] == 100 * np.mean(accepted)
    shares = counts / counts.sum(0)
    bits = -(shares * np.log2(np.where(shares > 0, shares, 1))).sum(0)
    assert found["entropy"] == pytest.approx(bits.mean())
    back = patches.codec.decode(patches.fold.test.x).clamp(-1, 1)
    wanted = math.sqrt((((back - patches.test) / 2) ** 2).double().mean())
    assert found["decoder"] == pytest.approx(wanted, rel=1e-6)


def test_stored_pictures_are_accepted_and_kept_by_many_levels(patches):
    (found,) = _images.answered(PATCHES, cell(cue="stored", levels=256, sigma=0.0))
    assert (found["accepted"], found["cues"]) == (100.0, 20)
    assert abs(found["added"]) < 1e-3


def test_more_levels_accept_less_and_a_rejected_cue_has_no_error(patches):
    rows = [_images.answered(PATCHES, cell(levels=levels))[0] for levels in (1, 2, 4, 8, 512)]
    accepted = [row["accepted"] for row in rows]
    assert accepted == sorted(accepted, reverse=True)
    assert (accepted[0], accepted[-1]) == (100.0, 0.0)
    assert rows[-1]["precision"] is rows[-1]["error"] is rows[-1]["added"] is None
    assert rows[0]["entropy"] == 0.0


def test_a_chain_starts_with_the_cue_and_ends_with_its_rejection(patches):
    rows = _images.answered(PATCHES, cell(depth=3, sigma=0.2, pictures=True))
    assert [row["step"] for row in rows] == [0, 1, 2, 3]
    first, second, *_ = rows
    assert first["recall"] == first["bare"]
    assert first["error"] == 0.0
    assert (first["accepted"], first["added"]) == (100.0, None)
    (alone,) = _images.answered(PATCHES, cell(sigma=0.2))
    assert second["accepted"] == alone["accepted"]
    assert second["error"] == alone["error"]
    accepted = [row["accepted"] for row in rows]
    assert accepted == sorted(accepted, reverse=True)
    words = first["pictures"].split("/")
    assert all(len(word) == 3072 for word in words)
    assert len(words) == len(second["pictures"].split("/"))
    assert rows[3]["pictures"] == ""


def test_pictures_are_read_as_they_were_written():
    x = torch.linspace(-1.0, 1.0, 500)
    found = np.array(_images.SHADES.read(_images.SHADES.word(x.flatten().tolist())))
    assert np.abs(found - x.numpy()).max() <= 1 / 61 + 1e-6


def test_bars_are_the_shares_of_the_cues():
    row = {"levels": 4, "recall": 30.0, "accepted": 50.0, "bare": 60.0, "entropy": 1.0}
    figure = _bars.drawn("title", [row, row | {"levels": 2, "accepted": 100.0}])
    tall = [bar.get_height() for bar in figure.axes[0].patches]
    assert tall == [30, 30, 70, 20, 0, 50]


@pytest.mark.untyped
@pytest.mark.parametrize("rule", ["one", "entropy", "likelihood", "likelihood alone"])
def test_answers_of_digits(rule):
    recipe, given = RECIPES["eam.learned"], {"rule": rule, "epochs": 1, "levels": "2,64"}
    low, high = runner.run(recipe, given=given).rows
    assert low["cues"] == high["cues"] == 179
    assert low["bare"] == high["bare"] > 70
    assert low["recall"] <= low["accepted"]
    if rule == "likelihood alone":
        assert low["accepted"] == high["accepted"] == 100.0
    else:
        assert low["accepted"] > high["accepted"]
        assert low["entropy"] < high["entropy"] <= 6.0
    figures = recipe.figures([low, high])
    assert plot.svg(figures["figure"]).startswith("<?xml")


@pytest.mark.untyped
@pytest.mark.parametrize(
    "given",
    [
        {"levels": 4, "depth": 1},
        {"cue": "stored", "levels": 4, "depth": 1},
        {"levels": 4, "depth": 2, "sigma": 0.2},
        {"cue": "noise", "levels": 4, "depth": 1, "sigma": "0.1,0.2"},
    ],
)
def test_figures_are_drawn_from_the_rows_of_one_cell(given, patches):
    recipe = RECIPES["eam.images"]
    rows = runner.run(recipe, given=given | {"epochs": 1, "each": 10}).rows
    for figure in recipe.figures(rows).values():
        assert plot.svg(figure).startswith("<?xml")
    assert "" in _imagery.figures(rows, 0.025)


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("name", "given", "argument"),
    [
        ("learned", {"data": "letters"}, "data"),
        ("learned", {"rule": "penalty"}, "rule"),
        ("learned", {"levels": 0}, "levels"),
        ("learned", {"epochs": 0}, "epochs"),
        ("learned", {"fold": 10}, "fold"),
        ("images", {"data": "digits"}, "data"),
        ("images", {"cue": "erased"}, "cue"),
        ("images", {"levels": 0}, "levels"),
        ("images", {"stored": 0}, "stored"),
        ("images", {"sigma": -0.1}, "sigma"),
        ("images", {"depth": 0}, "depth"),
        ("images", {"epochs": 0}, "epochs"),
        ("images", {"each": 4}, "each"),
        ("images", {"seed": 2**41}, "seed"),
    ],
)
def test_nonsense_is_refused(name, given, argument):
    with pytest.raises(InputError, match=argument):
        runner.run(RECIPES[f"eam.{name}"], given=given)
