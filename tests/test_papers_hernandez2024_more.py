"""Recipes on heads, damage, foreign images and random objects: what they measure and refuse."""

import itertools

import numpy as np
import pytest
import torch

from kanerva import InputError
from kanerva.entropic import EntropicMemory, Quantiser
from kanerva.lab import plot, runner
from kanerva.lab.papers.hernandez2024 import (
    _columns,
    _distributed,
    _foreign,
    _objects,
    _protocol,
    columns,
    distributed,
    foreign,
    objects,
)
from kanerva.separation import Softmax

GROUPS = ("squares", "rows", "scattered")


def attention(cues, known, rows, spread):
    """Softmax attention over rows by the known columns, in plain NumPy."""
    shown = cues * known
    far = (shown**2).sum(1)[:, None] - 2 * shown @ rows.T + known @ (rows**2).T
    logits = -far / (2 * spread**2)
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True) @ rows


@pytest.mark.parametrize(
    ("width", "tall", "wide"), [(2, 1, 2), (4, 2, 2), (8, 2, 4), (16, 4, 4), (32, 4, 8)]
)
def test_groups_of_squares_are_blocks_of_neighbours(width, tall, wide):
    order = _columns.arranged("squares", 0)
    for group in order.split(width):
        down, across = group // 8, group % 8
        assert len(down.unique()) == tall == int(down.max() - down.min()) + 1
        assert len(across.unique()) == wide == int(across.max() - across.min()) + 1


@pytest.mark.parametrize("groups", GROUPS)
def test_every_pixel_is_in_one_group(groups):
    assert _columns.arranged(groups, 3).sort().values.tolist() == list(range(64))


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("width", [1, 4, 64])
def test_heads_are_attention_within_groups_of_all_rows(width, groups):
    source = np.random.default_rng(1)
    stored = source.integers(0, 3, (40, 64)).astype(float)  # contents of groups repeat
    cues = source.integers(0, 3, (7, 64)).astype(float)
    known = source.random((7, 64)) < 0.5
    order = _columns.arranged(groups, 5)
    heads = _columns.Heads.of(torch.from_numpy(stored), order, width)
    found = heads.read(torch.from_numpy(cues), torch.from_numpy(known), Softmax(1.6**-2))
    for group in order.numpy().reshape(-1, width):
        wanted = attention(cues[:, group], known[:, group], stored[:, group], 1.6)
        assert np.abs(found.numpy()[:, group] - wanted).max() < 1e-12
    distinct = [len(np.unique(stored[:, group], axis=0)) for group in order.reshape(-1, width)]
    assert heads.bytes == sum(rows * (4 * width + 8) for rows in distinct)


def test_heads_of_one_column_are_the_register():
    source = np.random.default_rng(2)
    stored, cues = (
        torch.from_numpy(source.integers(0, 17, (rows, 64))).double() for rows in (30, 9)
    )
    known = torch.from_numpy(source.random((9, 64)) < 0.5)
    heads = _columns.Heads.of(stored, _columns.arranged("rows", 0), 1)
    found = heads.read(cues, known, Softmax(1.6**-2))
    wanted = _columns.register(stored, 1.6).read(cues, known)
    assert (found - wanted).abs().max() < 1e-6


def test_errors_of_completed_digits_are_those_of_brute_force():
    found = _columns.completed(64, "squares", 1.6, 2, 7)
    given = _protocol.fold(2, "raw", (80, 20, 0))
    stored, unseen = given.train.x.numpy(), given.fill.x.numpy()
    assert (len(stored), len(unseen)) == (1437, 359)
    source = np.random.default_rng(7)
    for name, x in {"stored": stored[:359], "unseen": unseen}.items():
        known = source.random(x.shape) >= 0.5
        read = attention(x, known, stored, 1.6)
        assert found[name] == pytest.approx(np.sqrt(((read - x)[~known] ** 2).mean()), abs=1e-9)
    assert found["differs"] < 1e-6
    assert found["unseen_bare"] == pytest.approx(
        (given.classifier.predict(unseen * known) == given.fill.labels.numpy()).mean()
    )


def test_cells_are_erased_in_a_copy():
    memory = EntropicMemory(5, 4, xi=5)
    memory.write(torch.arange(20).reshape(4, 5).fmod(4).float())
    before = memory.counts.clone()
    source = np.random.default_rng(0)
    some = _distributed.erased(memory, 0.5, source)
    lost = torch.from_numpy(np.random.default_rng(0).random((4, 5)) < 0.5)
    assert (some.counts == before.masked_fill(lost, 0)).all()
    assert (memory.counts == before).all()
    assert (_distributed.erased(memory, 0.0, source).counts == before).all()
    assert not _distributed.erased(memory, 1.0, source).counts.any()


def test_the_mean_and_spread_of_damaged_registers_are_those_of_all_ways_to_damage_them():
    cues, share, xi = np.array([[0, 0, 0], [0, 1, 0], [1, 1, 0]]), 0.3, 1
    cells = sorted({(column, level) for cue in cues for column, level in enumerate(cue)})
    first = second = 0.0
    for lost in itertools.product([False, True], repeat=len(cells)):
        chance = np.prod([share if one else 1 - share for one in lost])
        gone = {cell for cell, one in zip(cells, lost, strict=True) if one}
        accepted = [sum(cell in gone for cell in enumerate(cue)) <= xi for cue in cues]
        first += chance * np.mean(accepted)
        second += chance * np.mean(accepted) ** 2
    overlap = (cues[:, None] == cues).sum(-1)
    shared = np.bincount(overlap.ravel(), minlength=4) / 9
    mean, spread = _distributed.expectations(shared, 3, share, xi)
    assert mean == pytest.approx(first, abs=1e-12)
    assert spread == pytest.approx(np.sqrt(second - first**2), abs=1e-9)


def test_damaged_registers_are_measured_as_by_plain_code():
    design = _distributed.Design("digits", 8, 0.1, 0.025, 12, 1, 4)
    rows = list(_distributed.damaged(design, (0, 6)))
    x = _protocol.fold(1).fill.x.numpy()
    low, high = x.min(0), x.max(0)
    level = np.rint(7 * (x - low) / np.where(high > low, high - low, 1)).astype(int)
    counts = np.stack([(level == one).sum(0) for one in range(8)])
    source = np.random.default_rng(4)
    shares = {0: [], 6: []}
    for _ in range(12):
        left = np.where(source.random(counts.shape) < 0.1, 0, counts)
        misses = (left[level, np.arange(64)] == 0).sum(1)
        for xi, found in shares.items():
            found.append((misses <= xi).mean())
    for row in rows:
        found = shares[row["xi"]]
        assert row["accepted"] == pytest.approx(np.mean(found), abs=1e-12)
        assert row["spread"] == pytest.approx(np.std(found, ddof=1), abs=1e-12)
        assert row["low"] == pytest.approx(np.quantile(found, 0.1), abs=1e-12)
        assert row["recalled"] <= row["answered"]


def test_erased_registers_with_a_tolerance_accept_by_their_mismatches():
    x = _protocol.fold(0).fill.x
    some = {"quantiser": Quantiser.fit(x, 16), "dtype": torch.float64}
    memory = EntropicMemory(64, 16, xi=6, **some)
    memory.write(x)
    damaged = _distributed.erased(memory, 0.1, np.random.default_rng(3))
    found = damaged.recognise(x)
    assert (found.accepted == (found.mismatches <= 6)).all()
    assert found.accepted.any()
    assert not found.accepted.all()


def test_the_area_is_that_of_all_pairs():
    source = np.random.default_rng(0)
    own, others = source.integers(0, 5, 40).astype(float), source.integers(1, 8, 70).astype(float)
    wanted = np.mean([(a < b) + (a == b) / 2 for a in own for b in others])
    assert _foreign.area(own, others) == pytest.approx(wanted, abs=1e-12)
    # By trapezia below the curve through all thresholds.
    limits = np.unique(np.concatenate([own, others, [-1.0]]))
    true, false = ([(part <= one).mean() for one in limits] for part in (own, others))
    assert np.trapezoid(true, false) == pytest.approx(wanted, abs=1e-12)


def test_curves_rise_and_those_of_apart_numbers_are_full():
    near, far = np.arange(50.0), 100 + np.arange(50.0)
    assert (_foreign.curve(near, far) == 1.0).all()
    same = _foreign.curve(near, near)
    assert np.abs(same - _foreign.RATES).max() < 0.021
    backwards = _foreign.curve(far, near)
    assert backwards[0] == 0
    assert (np.diff(backwards) >= 0).all()
    assert backwards[-1] == 1


def test_scores_are_those_of_plain_code():
    given = _protocol.fold(3, "pca")
    stored, x = given.fill.x, given.test.x[:20]
    found = _foreign.scores(_protocol.register(stored, 16), stored, x)
    rows, cues = stored.numpy(), x.numpy()
    low, high = rows.min(0), rows.max(0)
    level, other = (
        np.rint(15 * (np.clip(part, low, high) - low) / (high - low)).astype(int)
        for part in (rows, cues)
    )
    counts = np.stack([(level == one).sum(0) for one in range(16)])
    own = counts[other, np.arange(32)]
    assert (found["mismatches"] == (own == 0).sum(1)).all()
    assert np.abs(found["weight"] + own.mean(1)).max() < 1e-12
    likelihood = np.log((own + 1) / (len(rows) + 16)).sum(1)
    assert np.abs(found["likelihood"] + likelihood).max() < 1e-9
    nearest = np.sqrt(((cues[:, None] - rows) ** 2).sum(-1)).min(1)
    assert np.abs(found["nearest"] - nearest).max() < 1e-9


def test_the_limit_of_the_nearest_neighbour_has_the_own_rate():
    rows = list(_foreign.judged(_foreign.Design("pca", 16, "all", 0.025, 1, 2, 0)))
    own, shuffled, _ = (row for row in rows if row["part"] == "accepted")
    assert own["near"] == pytest.approx(own["xi0"], abs=1e-9)
    assert shuffled["near"] < 5 < shuffled["xi0"]
    assert own["recalled"] <= own["xi0"]
    curve = [row for row in rows if row["part"] == "curve"]
    assert len(curve) == len(_foreign.SCORES) * len(_foreign.RATES)


def test_a_random_image_misses_just_the_constant_columns():
    """With the same order of draws, leaving them out is all that makes it accepted more often."""
    kept, varied = (
        next(
            row
            for row in _foreign.judged(_foreign.Design("raw", 4, kind, 0.025, 1, 1, 0))
            if row["name"] == "random"
        )
        for kind in ("all", "varied")
    )
    assert kept["xi0"] == 0 < varied["xi0"]
    assert kept["constant"] == varied["constant"] > 0


def test_random_objects_are_measured_as_by_plain_code():
    design = _objects.Design(6, 4, 5, 8, 30, 11)
    rows = list(_objects.simulated(design, (0, 2)))
    source = np.random.default_rng(11)
    accepted, weighted, binary = {0: [], 2: []}, [], []
    for _ in range(8):
        level = source.integers(0, 4, (5, 6))
        cues = source.integers(0, 4, (30, 6))
        counts = np.stack([(level == one).sum(0) for one in range(4)])
        misses = (counts[cues, np.arange(6)] == 0).sum(1)
        for xi, found in accepted.items():
            found.append((misses <= xi).mean())
        shares = counts / 5
        logs = np.log2(np.where(shares > 0, shares, 1))
        weighted.append(-(shares * logs).sum(0).mean())
        binary.append(np.log2((counts > 0).sum(0)).mean())
    for row in rows:
        assert row["accepted"] == pytest.approx(np.mean(accepted[row["xi"]]), abs=1e-12)
        assert row["weighted"] == pytest.approx(np.mean(weighted), abs=1e-9)
        assert row["binary"] == pytest.approx(np.mean(binary), abs=1e-9)
        error = np.std(binary, ddof=1) / np.sqrt(8)
        wanted = (np.mean(binary) - row["binary_expected"]) / error
        assert row["binary_off"] == pytest.approx(wanted, rel=1e-6)


def test_shares_that_do_not_vary_have_the_error_of_the_expected_one():
    _, _, off = _objects._compared(np.zeros(10), 0.01, cues=100)
    assert off == pytest.approx(-0.01 / np.sqrt(0.01 * 0.99 / 1000))
    assert _objects._compared(np.ones(10), 1.0, cues=100) == (1.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("recipe", "given", "argument"),
    [
        (columns.columns, {"width": 3}, "width"),
        (columns.columns, {"width": 0}, "width"),
        (columns.columns, {"groups": "lines"}, "groups"),
        (columns.columns, {"spread": 0.0}, "spread"),
        (columns.columns, {"fold": 10}, "fold"),
        (distributed.distributed, {"share": 1.5}, "share"),
        (distributed.distributed, {"content": "words"}, "content"),
        (distributed.distributed, {"registers": 1}, "registers"),
        (foreign.foreign, {"features": "ica"}, "features"),
        (foreign.foreign, {"kept": "some"}, "kept"),
        (foreign.foreign, {"folds": 11}, "folds"),
        (objects.random, {"levels": 0}, "levels"),
        (objects.random, {"patterns": -1}, "patterns"),
        (objects.random, {"registers": 1}, "registers"),
        (objects.random, {"patterns": 0, "false": 0.0}, "false"),
    ],
)
def test_parameters_out_of_range_get_the_sentence(recipe, given, argument):
    with pytest.raises(InputError, match=f"{argument} must be") as error:
        runner.run(recipe, given=given)
    assert error.value.argument == argument


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("recipe", "given", "figures"),
    [
        (
            columns.columns,
            {"width": 64},
            ["figure", "figure-classes", "figure-bytes", "figure-pictures"],
        ),
        (columns.columns, {"width": 2, "fold": 1, "seed": 5}, None),
        (distributed.distributed, {"content": "random", "registers": 2}, ["figure"]),
        (distributed.distributed, {"levels": 4, "registers": 2, "share": 0.1}, None),
        (foreign.foreign, {"levels": 5, "folds": 1, "shuffles": 1}, None),
        (objects.random, {"patterns": 0, "columns": 8, "registers": 2}, None),
    ],
)
def test_figures_are_drawn_for_other_parameters(recipe, given, figures):
    drawn = recipe.figures(runner.run(recipe, given=given).rows)
    assert figures is None or list(drawn) == figures
    for figure in drawn.values():
        assert plot.svg(figure).startswith("<?xml")
