"""``kanerva audit``: what it prints and writes, its numbers by brute force, and bad files."""

import csv
import json
import math
from functools import partial

import numpy as np
import pytest
import scipy.stats
import torch
from scipy.sparse.csgraph import connected_components

import kanerva
from kanerva import InputError, diffusion
from kanerva.lab import audit as lab
from kanerva.lab.audit._repeats import copied, groups

FAR = {"compute_mode": "donot_use_mm_for_euclid_dist"}
TABLES = {"table.csv", "samples.csv", "pairs.csv", "curves.csv", "manifest.json"}


@pytest.fixture
def command(ran, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    return partial(ran, "audit")


@pytest.fixture
def files(tmp_path):
    """Write training rows, a hold-out, and samples: 12 near copies, 2 states again, 79 new ones."""
    draw = np.random.default_rng(0)
    rows = draw.uniform(size=(500, 9))
    train, held, new = rows[:300], rows[300:400], rows[400:479]
    state = draw.uniform(size=(2, 9))
    near = train[:12] + 1e-3 * draw.normal(size=(12, 9))
    near[0] = train[0]
    again = np.concatenate([state[[0] * 5] + 1e-4 * draw.normal(size=(5, 9)), state[[1] * 4]])
    samples = np.concatenate([near, again, new])
    for name, array in (("train", train), ("held", held), ("samples", samples)):
        np.save(tmp_path / f"{name}.npy", array)
    return train, held, samples


def said(text):
    return " ".join(text.split())


def test_a_table_words_and_a_report(files, command, tmp_path):
    line = ("samples.npy", "--train", "train.npy", "--holdout", "held.npy", "--fail-above", "0.2")
    code, out, error = command(*line)
    assert (code, error) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    for text in (
        "12 of 100 samples (12.0%, 95% interval 6.0% to 19.0%) are copies of a training row",
        "1 of them equals it",
        "9 of 100 samples (9.0%, 95% interval",
        "9 samples, copies or not, repeat one another in 2 groups, the largest of 5",
        "The other 79 (79.0%) are near neither (generalised)",
        "Of 100 hold-out rows, 0 (0%) are within",
        "the samples hold more copies than chance gives (Fisher's test, p = ",
        "As a whole, samples are",
        "Passed: the share of copies, 12%, is not above 20%",
        "a quarter and a tenth of the median distance between neighbours of the training rows",
        "taken as they are",
        "Report: runs/audit-samples/report.html",
    ):
        assert text in said(out), text
    folder = tmp_path / "runs" / "audit-samples"
    names = {path.name for path in folder.iterdir()}
    more = {"repeats.csv", "copied.csv", "figure.svg", "figure.png", "report.html"}
    assert names == TABLES | more
    samples = list(csv.DictReader((folder / "samples.csv").read_text().splitlines()))
    assert [row["kind"] for row in samples] == ["memorised"] * 12 + ["spurious"] * 9 + [
        "generalised"
    ] * 79
    page = (folder / "report.html").read_text()
    assert all(text in page for text in ("Nearest pairs", "Repeats", "Copying", "hold-out"))


def test_numbers_by_brute_force(files, plain, command):
    line = ("samples.npy", "--train", "train.npy", "--holdout", "held.npy", "--json")
    code, out, error = command(*line)
    assert (code, error) == (0, "")
    found = json.loads(out, parse_constant=pytest.fail)
    train, held, samples = (torch.from_numpy(part) for part in files)
    apart = torch.cdist(train, train, **FAR).fill_diagonal_(math.inf).amin(1)
    median = apart.quantile(0.5).item()
    assert found["thresholds"]["median"] == pytest.approx(median)
    assert found["thresholds"]["memorised"] == pytest.approx(median / 4)
    assert found["thresholds"]["spurious"] == pytest.approx(median / 10)
    near, usual = (torch.cdist(rows, train, **FAR).amin(1) for rows in (samples, held))
    test = scipy.stats.mannwhitneyu(near, usual, alternative="less")
    assert found["copying"]["p"] == pytest.approx(test.pvalue)
    assert found["copying"]["auc"] == pytest.approx(1 - test.statistic / (100 * 100))
    expected = diffusion.copying(samples, train, held)
    assert found["copying"]["ratio"] == pytest.approx(expected.ratio)
    fisher = scipy.stats.fisher_exact([[12, 88], [0, 100]], alternative="greater").pvalue
    assert found["copying"]["excess_p"] == pytest.approx(fisher)
    assert [row["count"] for row in found["rows"]] == [12, 9, 79]
    exact = scipy.stats.binom(100, 0.12).ppf([0.025, 0.975]) / 100
    row = found["rows"][0]
    assert [row["low"], row["high"]] == pytest.approx(exact, abs=0.011)
    assert [pair["distance"] for pair in found["pairs"]] == pytest.approx(near.sort().values[:8])
    assert found["pairs"][0]["sample"] == found["pairs"][0]["nearest"] == 0
    assert [group["members"] for group in found["repeats"]] == [
        [12, 13, 14, 15, 16],
        [17, 18, 19, 20],
    ]
    assert [group["distinct"] for group in found["repeats"]] == [5, 1]
    assert [row["row"] for row in found["copied"]] == list(range(12))
    assert found["passed"] is None
    assert found["warnings"] == []
    assert "samples" not in found


def test_the_same_seed_gives_the_same_numbers(files, plain, command):
    line = ("samples.npy", "--train", "train.npy", "--json", "--out", "here")
    first, again, other = (json.loads(command(*line, *more)[1]) for more in ([], [], ["--seed", 1]))
    for found in (first, again, other):
        del found["manifest"]["seconds"]
    assert first == again
    assert first["rows"] != other["rows"]
    assert first["files"][-1] == "here/manifest.json"
    assert first["copying"] == {}
    assert any("Without a hold-out it cannot be said" in words for words in first["verdicts"])


def test_too_many_copies_fail(files, plain, command, tmp_path):
    line = ("samples.npy", "--train", "train.npy", "--fail-above")
    code, out, error = command(*line, "0.01")
    assert code == 1
    assert said(error) == "kanerva: 12% of the samples are copies, above 1% (--fail-above)."
    assert "Failed: the share of copies, 12%, is above 1%" in said(out)
    folder = tmp_path / "runs" / "audit-samples"
    assert json.loads((folder / "manifest.json").read_text())["passed"] is False
    assert command(*line, "0.12")[0] == 0
    assert command(*line, "0")[0] == 1
    assert command(*line, "1", "--json")[0] == 0
    code, out, _ = command(*line, "0.1", "--json")
    assert code == 1
    assert json.loads(out)["passed"] is False


def test_samples_that_are_the_training_rows(files, plain, command):
    code, out, _ = command("train.npy", "--train", "train.npy", "--holdout", "train.npy")
    assert code == 0
    words = said(out)
    assert "300 of 300 samples (100%, 95% interval 98.8% to 100%) are copies" in words
    assert "all of them equal it" in words
    assert "300 of 300 hold-out rows are also training rows" in words
    assert "The hold-out is none: all of its rows are training rows" in words
    assert "near neither" not in words


def test_a_hold_out_that_overlaps(files, plain, command, tmp_path):
    train, held, samples = files
    np.save(tmp_path / "held.npy", np.concatenate([held, train[:7], samples[-2:]]))
    _, out, _ = command("samples.npy", "--train", "train.npy", "--holdout", "held.npy")
    assert "7 of 109 hold-out rows are also training rows" in said(out)
    # The first sample is a training row, which this hold-out holds, too.
    assert "3 samples equal a hold-out row" in said(out)


def test_training_rows_that_are_too_dense(files, plain, command):
    line = ("samples.npy", "--train", "train.npy", "--holdout", "held.npy", "--memorised", "0.6")
    code, out, _ = command(*line)
    assert code == 0
    words = said(out)
    assert "Warning: The training rows are too dense for the threshold 0.6" in words
    assert "of them have another one within it" in words
    assert "of the hold-out rows are within 0.6 of a training row, without being copies" in words
    assert "memorised was given, spurious is a tenth of the median distance" in words
    quiet = command("samples.npy", "--train", "train.npy", "--holdout", "held.npy")[1]
    assert "Warning" not in quiet


def test_samples_without_copies(files, plain, command, tmp_path):
    np.save(tmp_path / "new.npy", files[2][21:])
    words = said(command("new.npy", "--train", "train.npy", "--holdout", "held.npy")[1])
    assert "None of 79 samples (0%, 95% interval 0% to 4.6%) is a copy of a training row" in words
    assert "None of 79 samples (0%, 95% interval 0% to 4.6%) is within" in words
    assert "do not hold more of such rows than that, beyond chance (Fisher's test, p = 1)" in words
    assert "samples are not shown to be nearer to the training rows than fresh rows are" in words
    np.save(tmp_path / "noise.npy", 9 * files[2][21:])
    words = said(command("noise.npy", "--train", "train.npy", "--holdout", "held.npy")[1])
    assert "samples are farther from the training rows than fresh rows are" in words
    np.save(tmp_path / "few.npy", files[1][:5])
    words = said(command("new.npy", "--train", "train.npy", "--holdout", "few.npy")[1])
    assert "Warning: 5 hold-out rows are few" in words


def test_a_second_threshold_above_the_first(files, plain, command):
    line = ("samples.npy", "--train", "train.npy", "--memorised", "0", "--spurious", "9", "--json")
    found = json.loads(command(*line)[1])
    assert [row["count"] for row in found["rows"]] == [1, 99, 0]
    assert [len(group["members"]) for group in found["repeats"]] == [100]
    assert any("both given" in words for words in found["notes"])


def test_pictures_are_drawn_as_pictures(command, tmp_path):
    draw = np.random.default_rng(0)
    train = draw.integers(0, 256, (40, 6, 5)).astype(np.uint8)
    np.savez(tmp_path / "data.npz", train=train, held=255 - train)
    np.save(tmp_path / "samples.npy", np.concatenate([train[:3], train[:3], 255 - train[5:9]]))
    line = ("samples.npy", "--train", "data.npz:train", "--holdout", "data.npz:held", "--out", "o")
    code, out, error = command(*line)
    assert (code, error) == (0, "")
    assert "3 training rows are copied; row 0, counted from 0, most often: 2 times" in said(out)
    assert "4 samples equal a hold-out row" in said(out)
    pairs = list(csv.DictReader((tmp_path / "o" / "pairs.csv").read_text().splitlines()))
    rows = [row["nearest"] for row in pairs]
    assert rows[:3] == ["0", "1", "2"]
    assert len(set(rows)) == len(rows) <= 7
    names = {path.name for path in (tmp_path / "o").iterdir()}
    assert {"pairs.svg", "repeats.png", "figure.svg", "report.html"} <= names


def test_tables_are_in_the_unit_of_the_training_rows(plain, command, tmp_path):
    draw = np.random.default_rng(0)
    train = draw.uniform([0, 0], [1, 1000], (60, 2))
    (tmp_path / "train.csv").write_text(table(train, "size,price,kind", "uv"))
    near = train[:5] + np.array([0.01, 10.0])
    (tmp_path / "samples.csv").write_text(table(near, "size,price"))
    found = lab.load(tmp_path / "samples.csv", tmp_path / "train.csv", label="kind")
    width = np.ptp(train, axis=0)
    np.testing.assert_allclose(found.unit, width)
    np.testing.assert_allclose(found.samples, near / width)
    line = ("samples.csv", "--train", "train.csv", "--label", "kind", "--json")
    result = json.loads(command(*line)[1])
    expected = np.hypot(*([0.01, 10.0] / width))
    assert result["pairs"][-1]["distance"] == pytest.approx(expected)
    for pair in result["pairs"]:
        for name, row in (
            ("numbers", near[pair["sample"]]),
            ("numbers_nearest", train[pair["nearest"]]),
        ):
            assert pair[name] == ", ".join(f"{number:.4g}" for number in row)
    assert any("divided by its range in train.csv" in words for words in result["notes"])
    whole = json.loads(command(*line, "--scale", "whole")[1])
    assert whole["pairs"][-1]["distance"] == pytest.approx(math.hypot(0.01, 10))
    (tmp_path / "samples.csv").write_text(table(near[:, ::-1], "price,size"))
    code, _, error = command(*line)
    assert code == 2
    assert "samples must be a table with the columns of 'train.csv' in their order" in said(error)


def table(rows, head, kinds=""):
    """Write rows as text; with kinds, each has one of them in turn."""
    lines = [",".join(map(str, row)) for row in rows]
    if kinds:
        lines = [f"{line},{kinds[place % len(kinds)]}" for place, line in enumerate(lines)]
    return "\n".join([head, *lines])


def test_other_units_are_asked_about(files, plain, command, tmp_path):
    samples = files[2]
    for values, odd in ((255 * samples, True), (2 * samples - 1, True), (1.1 * samples, False)):
        np.save(tmp_path / "odd.npy", values)
        _, out, _ = command("odd.npy", "--train", "train.npy")
        assert ("If these are two units" in said(out)) is odd


def test_rows_that_occur_twice(files, plain, command, tmp_path):
    train, _, _ = files
    np.save(tmp_path / "train.npy", np.concatenate([train, train, train[:5]]))
    found = json.loads(command("samples.npy", "--train", "train.npy", "--json")[1])
    assert [row["count"] for row in found["rows"]] == [12, 9, 79]
    assert "305 of 605 training rows are copies of earlier ones" in found["warnings"][0]


@pytest.mark.parametrize("shift", [0.0, 1e5])
def test_groups_are_the_components_of_all_links(shift):
    draw = np.random.default_rng(0)
    rows = torch.from_numpy(draw.normal(size=(150, 2)) + shift)
    rows[100:110] = rows[:10]
    whole = torch.cdist(rows, rows, **FAR)
    # A threshold that is the distance of two rows, which counts.
    limit = whole.clone().fill_diagonal_(9).amin(1).sort().values[45].item()
    found = diffusion.classify(rows, rows[:3] + 50, 0.0, limit)
    _, labels = connected_components((whole <= limit).numpy())
    expected = [np.flatnonzero(labels == label).tolist() for label in set(labels.tolist())]
    expected = sorted(group for group in expected if len(group) > 1)
    assert len(expected) > 5
    for budget in (64 * 150 * 7, 2**28):
        with kanerva.settings.use(budget=budget):
            assert sorted(row["members"] for row in groups(rows, found)) == expected


def test_groups_are_those_of_steps_within_the_threshold():
    line = torch.tensor([[0.0], [5.0], [1.0], [2.0], [5.0], [9.0], [3.0]], dtype=torch.float64)
    found = diffusion.classify(line, line + 100, 0.0, 1.0)
    assert [row["members"] for row in groups(line, found)] == [[0, 2, 3, 6], [1, 4]]
    assert [row["distinct"] for row in groups(line, found)] == [4, 1]
    none = diffusion.classify(line[:1], line + 100, 0.0, 1.0)
    assert groups(line[:1], none) == copied(none) == []
    near = diffusion.classify(line, line[:3] + 0.25, 0.5, 0.0)
    assert [(row["row"], row["times"]) for row in copied(near)] == [(1, 2), (0, 1), (2, 1)]


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["samples.npy", "--train", "no.npy"], "no.npy"),
        (["no.npy", "--train", "train.npy"], "samples: "),
        (["samples.npy", "--train", "train.npy", "--holdout", "no.npy"], "holdout: "),
        (["samples.npy"], "Missing option '--train'"),
        (["samples.npy", "--train", "wide.npy"], "samples must be rows of 10 numbers"),
        (
            ["samples.npy", "--train", "train.npy", "--holdout", "wide.npy"],
            "holdout must be rows of",
        ),
        (
            ["samples.npy", "--train", "large.npy"],
            "train must be rows whose largest number is from",
        ),
        (["small.npy", "--train", "train.npy"], "samples must be rows whose largest number is"),
        (["nan.npy", "--train", "train.npy"], "are NaN or infinite"),
        (["none.npy", "--train", "train.npy"], "is empty"),
        (["samples.npy", "--train", "one.npy"], "which has shape (1, 9)"),
        (["samples.npy", "--train", "same.npy"], "train must be rows that differ"),
        (["samples.npy", "--train", "train.npy", "--fail-above", "2"], "fail_above must be"),
        (["samples.npy", "--train", "train.npy", "--fail-above", "nan"], "fail_above must be"),
        (["samples.npy", "--train", "train.npy", "--memorised", "-1"], "memorised must be"),
        (["samples.npy", "--train", "train.npy", "--spurious", "inf"], "spurious must be"),
        (["samples.npy", "--train", "train.npy", "--seed", "-1"], "seed must be an integer >= 0"),
        (["samples.npy", "--train", "train.npy", "--drop", "x"], "drop must be left out unless"),
        (["samples.npy", "--train", "train.npy", "--crop"], "crop must be left out unless"),
        (["samples.npy", "--train", "train.npy", "--scale", "x"], "scale must be one of"),
    ],
)
def test_bad_calls_get_a_sentence_and_write_nothing(files, command, tmp_path, arguments, words):
    train = files[0]
    np.save(tmp_path / "wide.npy", np.ones((5, 10)) * np.arange(10))
    np.save(tmp_path / "nan.npy", np.where(train > 0.9, np.nan, train))
    np.save(tmp_path / "none.npy", train[:0])
    np.save(tmp_path / "large.npy", 1e200 * train)
    np.save(tmp_path / "small.npy", 1e-200 * train)
    np.save(tmp_path / "one.npy", train[:1])
    np.save(tmp_path / "same.npy", np.tile(train[:1], (4, 1)))
    code, out, error = command(*arguments)
    assert (code, out) == (2, "")
    # Without colours, frames and folds of the terminal.
    assert words in " ".join(error.replace("│", " ").split())
    assert not (tmp_path / "runs").exists()


@pytest.mark.untyped
def test_bad_objects():
    files = lab.load("iris", "iris")
    with pytest.raises(InputError, match="plan must be a Plan"):
        lab.evaluate(files, None)
    with pytest.raises(InputError, match="files must be a Files"):
        lab.evaluate(None, lab.Plan())
    with pytest.raises(InputError, match="result must be a Audit"):
        lab.save(None, "x")


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("evaluate", "Nothing is kept: an audit is written when it is complete"),
        ("save", "The files that were complete are kept in o"),
    ],
)
def test_an_interrupted_command_says_what_is_kept(files, command, monkeypatch, name, kept):
    def interrupted(*given, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(lab, name, interrupted)
    code, out, error = command("samples.npy", "--train", "train.npy", "--out", "o")
    assert (code, out) == (130, "")
    assert said(error).endswith(f"kanerva: interrupted. {kept}.")
