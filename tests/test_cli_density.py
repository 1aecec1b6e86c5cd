"""``kanerva density``: what it prints and writes, and its numbers beside those of others."""

import csv
import json
import math
from functools import partial

import numpy as np
import pytest
import torch

from kanerva import InputError, density
from kanerva.lab import data
from kanerva.lab import density as lab
from kanerva.lab.density._mixtures import leave_one_out

KERNELS = ("gaussian", "epanechnikov", "laplace")


@pytest.fixture
def command(ran, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    return partial(ran, "density")


def split(name, seed=0, hold=0.2):
    """Return the rows that are kept and held out, as the command does."""
    x = (data.load(name, domain="real").real.double() + 1) / 2
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    cut = math.ceil(hold * len(x))
    return x[order[cut:]], x[order[:cut].sort().values]


@pytest.mark.untyped
def test_a_table_words_and_a_report(command, tmp_path):
    code, out, error = command("iris", "--samples", "3")
    assert (code, error) == (0, "")
    said = " ".join(out.split())
    for text in (
        "Gaussian",
        "CRP mixture creates",
        "with the 3 classes they agree by an adjusted Rand index of",
        "Held-out rows are most likely under",
        "The strangest held-out rows under",
        "3 rows drawn from each memory are in samples.csv",
        "moved from [-1, 1] to [0, 1]",
        "Report: runs/density-iris/report.html",
    ):
        assert text in said
    assert max(map(len, out.splitlines())) <= 80
    folder = tmp_path / "runs" / "density-iris"
    names = {path.name for path in folder.iterdir()}
    tables = {"table.csv", "samples.csv", "strangest.csv", "curves.csv", "manifest.json"}
    assert names == tables | {"figure.svg", "figure.png", "report.html"}
    samples = list(csv.DictReader((folder / "samples.csv").read_text().splitlines()))
    assert len(samples) == 5 * 3
    assert list(samples[0]) == ["memory", "title", "x1", "x2", "x3", "x4"]
    page = (folder / "report.html").read_text()
    assert all(text in page for text in ("Strangest rows", "Rows drawn from each memory"))


@pytest.mark.untyped
def test_one_json_object_that_is_the_same_again(plain, command):
    line = ("wine", "--json", "--out", "here", "--seed", "3")
    (code, out, _), (_, again, _) = command(*line), command(*line)
    assert code == 0
    found, other = json.loads(out), json.loads(again)
    for each in (found, other):
        del each["manifest"]["seconds"]
    assert found == other
    assert [row["memory"] for row in found["rows"]] == list(lab.MEMORIES)
    assert found["manifest"]["held_out"] == 36
    assert found["files"][-1] == "here/manifest.json"
    crp = next(row for row in found["rows"] if row["memory"] == "crp")
    assert 1 < crp["memories"] < 142
    assert 0 < crp["ari"] <= 1
    gaussian = found["rows"][0]
    assert gaussian["memories"] == 142
    assert gaussian["ari"] is None
    assert "leave-one-out" in gaussian["why"]
    strange = [row["nats"] for row in found["strangest"] if row["memory"] == "gaussian"]
    assert strange == sorted(strange)
    assert len(found["samples"]) == 5 * 16


@pytest.mark.parametrize("shape", KERNELS[:2])
def test_kernels_beside_scikit_learn(shape):
    from sklearn.neighbors import KernelDensity

    result = lab.evaluate(data.load("wine"), lab.Plan((shape,), seed=1))
    [row], (kept, held) = result.rows, split("wine", 1)
    reference = KernelDensity(kernel=shape, bandwidth=row["bandwidth"]).fit(kept.numpy())
    expected = reference.score_samples(held.numpy())
    assert row["held"] == pytest.approx(expected.mean())
    assert row["held_se"] == pytest.approx(expected.std(ddof=1) / math.sqrt(len(held)))
    strange = [one["nats"] for one in result.strangest]
    np.testing.assert_allclose(strange, np.sort(expected)[:8])
    assert row["bandwidth"] == pytest.approx(density.bandwidth(kept, shape))


def test_digits_in_the_unit_of_their_range():
    plan = lab.Plan(("gaussian",), bandwidth=0.15, samples=0)
    result = lab.evaluate(data.load("digits", domain="real"), plan)
    [row] = result.rows
    assert (result.manifest["kept"], result.manifest["held_out"]) == (1437, 360)
    assert row["held"] == pytest.approx(31, abs=2)
    assert row["left"] == pytest.approx(29.4, abs=0.5)
    assert row["why"] == "given"
    nearest = max(result.curves, key=lambda one: one["nats"])
    assert nearest["bandwidth"] == pytest.approx(0.15)


@pytest.mark.parametrize(("bandwidth", "expected"), [(0.1, 25), (0.15, 31), (0.2, 23), (0.25, 14)])
def test_digits_over_splits(bandwidth, expected, apart):
    """The numbers are those of one split: at bandwidth 0.1, splits differ by 1.3 nats."""
    found = []
    for seed in range(30):
        order = torch.randperm(1797, generator=torch.Generator().manual_seed(seed))
        scores = -apart[order[:360]][:, order[360:]] / (2 * bandwidth**2)
        whole = math.log(1437) + 32 * math.log(2 * math.pi * bandwidth**2)
        found.append((scores.logsumexp(-1) - whole).mean().item())
    assert np.mean(found) == pytest.approx(expected, abs=2)
    kept, held = split("digits")
    memory = density.kernel(64, bandwidth, dtype=torch.float64)
    memory.write(kept)
    likely = density.Density(memory).log_prob(held).mean().item()
    assert likely == pytest.approx(found[0])


@pytest.fixture(scope="module")
def apart():
    """Squared distances of all digits."""
    x = (data.load("digits", domain="real").real.double() + 1) / 2
    return torch.cdist(x, x).square()


def log_normal(x, mean, sigma):
    return -((x - mean) ** 2).sum(-1) / (2 * sigma**2) - len(x) / 2 * math.log(
        2 * math.pi * sigma**2
    )


def test_rows_left_out_of_a_restaurant_by_writing_the_others():
    rows = torch.randn(30, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2
    sigma, prior = 0.5, 2.0
    memory = density.crp(2, sigma, prior, 1.0, dtype=torch.float64)
    ids = memory.fit(rows, 5)
    held = torch.nn.functional.one_hot(ids, len(memory)).double()
    found = leave_one_out(memory, rows, held, sigma, prior)
    shrink = (sigma / prior) ** 2
    for index, row in enumerate(rows.numpy()):
        terms = [log_normal(row, 0.0, math.hypot(sigma, prior))]
        for k in range(len(memory)):
            others = rows[(ids == k) & (torch.arange(30) != index)].numpy()
            if len(others):
                mean = others.sum(0) / (len(others) + shrink)
                terms.append(math.log(len(others)) + log_normal(row, mean, sigma))
        expected = np.logaddexp.reduce(terms) - math.log(30)
        assert found[index].item() == pytest.approx(expected)


def test_rows_left_out_of_shared_memories():
    rows = torch.randn(20, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    memory = density.elbo(2, 3, 0.7, dtype=torch.float64)
    memory.fit(rows, 500)
    shares = memory.posterior(rows)
    found = leave_one_out(memory, rows, shares, 0.7)
    for index, row in enumerate(rows.numpy()):
        others = np.delete(shares.numpy(), index, 0)
        means = others.T @ np.delete(rows.numpy(), index, 0) / others.sum(0)[:, None]
        terms = [
            math.log(weight) + log_normal(row, mean, 0.7)
            for weight, mean in zip(others.sum(0), means, strict=True)
        ]
        expected = np.logaddexp.reduce(terms) - math.log(19)
        assert found[index].item() == pytest.approx(expected, abs=1e-6)


def test_the_gain_of_the_best_is_measured_row_by_row():
    result = lab.evaluate(data.load("wine"), lab.Plan(KERNELS[:1] + KERNELS[2:], samples=0))
    kept, held = split("wine")
    likely = {}
    for row in result.rows:
        memory = density.kernel(13, row["bandwidth"], row["memory"], dtype=torch.float64)
        memory.write(kept)
        likely[row["memory"]] = density.Density(memory).log_prob(held)
    gain = likely[result.best["memory"]] - likely[result.best["second"]]
    assert result.best["gain"] == pytest.approx(gain.mean().item())
    assert result.best["gain"] >= 0
    assert result.best["gain_se"] == pytest.approx(gain.std().item() / math.sqrt(len(held)))
    within = result.best["gain"] < 2 * result.best["gain_se"]
    assert ("do not tell them apart" in result.verdicts[0]) == within


def test_rows_that_no_kernel_reaches(plain, command):
    code, out, _ = command("iris", "--memory", "epanechnikov", "--bandwidth", "0.05", "--json")
    assert code == 0
    found = json.loads(out, parse_constant=pytest.fail)
    [row] = found["rows"]
    assert row["held"] is row["held_se"] is None
    assert 0 < row["unreached"] < 30
    assert found["best"] == {}
    assert found["strangest"][0]["nats"] is None
    said = " ".join(found["verdicts"])
    assert f"does not reach {row['unreached']} of 30 held-out rows" in said
    assert "No memory reaches all held-out rows" in said


def test_pictures_are_drawn_as_pictures(command, tmp_path):
    line = ("letters", "--memory", "gaussian", "--bandwidth", "0.2", "--samples", "2")
    code, out, error = command(*line)
    assert (code, error) == (0, "")
    assert "The data have two values only" in " ".join(out.split())
    names = {path.name for path in (tmp_path / "runs" / "density-letters").iterdir()}
    assert {"samples.svg", "strangest.svg", "report.html"} <= names


def test_data_of_your_own(plain, command, tmp_path):
    draw = np.random.default_rng(0)
    lines = ["a,b,kind", *(f"{x},{y},{'uv'[int(x > 0)]}" for x, y in draw.normal(size=(40, 2)))]
    (tmp_path / "mine.csv").write_text("\n".join(lines))
    line = ("mine.csv", "--label", "kind", "--memory", "crp", "--memory", "elbo", "--hold", "0.25")
    code, out, error = command(*line)
    assert (code, error) == (0, "")
    assert "30 rows are kept and 10 held out" in " ".join(out.split())
    assert "class u" in out or "class v" in out
    np.save(tmp_path / "mine.npy", draw.normal(size=(20, 3)))
    code, out, _ = command("mine.npy", "--memory", "gaussian")
    assert code == 0
    assert "ARI" not in out


def test_repeated_numbers_are_named(plain, command, tmp_path):
    rows = np.repeat(np.random.default_rng(0).normal(size=(20, 3)), 2, axis=0)[:-3]
    rows[:, 2] = 1.0
    np.save(tmp_path / "mine.npy", rows)
    code, out, _ = command("mine.npy", "--memory", "gaussian", "--bandwidth", "0.1")
    said = " ".join(out.split())
    assert code == 0
    assert "1 of 3 columns is constant (each is worth 1.4 nats a row under Gaussian)" in said
    assert "copies of other rows" in said
    assert "held-out row" in said


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.npy"], "nothing.npy"),
        (["iris", "--memory", "gausian"], "memory must be one of 'gaussian'"),
        (["iris", "--hold", "0"], "hold must be a finite number > 0"),
        (["iris", "--hold", "1"], "hold must be a share that keeps 4 rows or more"),
        (["iris", "--hold", "nan"], "hold must be a finite number"),
        (["iris", "--bandwidth", "0"], "bandwidth must be a finite number > 0"),
        (["iris", "--bandwidth", "inf"], "bandwidth must be a finite number > 0"),
        (["iris", "--bandwidth", "1e200"], "bandwidth must be a finite number"),
        (["iris", "--samples", "-1"], "samples must be an integer from 0 to 100000"),
        (["iris", "--seed", "-1"], "seed must be an integer >= 0"),
        (["iris", "--patterns", "4"], "hold must be a share that keeps 4 rows or more"),
        (["iris", "--label", "x"], "label must be left out"),
    ],
)
def test_bad_calls_get_a_sentence_and_write_nothing(command, tmp_path, arguments, words):
    code, out, error = command(*arguments)
    assert (code, out) == (2, "")
    assert words in " ".join(error.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.untyped
def test_rows_that_are_all_equal_or_all_copies(tmp_path):
    same = data.DataSet.of([[0.0, 1.0]] * 19 + [[1.0, 0.0]], name="same")
    with pytest.raises(InputError, match="data must be rows that differ"):
        lab.evaluate(same, lab.Plan(seed=_seed_without(19, 20)))
    twice = np.repeat(np.random.default_rng(0).normal(size=(4, 2)), 12, axis=0)
    np.save(tmp_path / "twice.npy", twice)
    copies = data.load(tmp_path / "twice.npy", domain="real")
    with pytest.raises(InputError, match=r"gaussian: .*remove copies of rows"):
        lab.evaluate(copies, lab.Plan(("gaussian",)))


def _seed_without(row, count):
    """Return a seed of the split that holds a row out."""
    for seed in range(100):
        order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
        if row in order[: math.ceil(0.2 * count)].tolist():
            return seed
    return None


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("evaluate", "Nothing is kept: an evaluation is written when it is complete"),
        ("save", "The files that were complete are kept in o"),
    ],
)
def test_an_interrupted_command_says_what_is_kept(command, monkeypatch, name, kept):
    def interrupted(*given, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(lab, name, interrupted)
    code, out, error = command("iris", "--memory", "gaussian", "--bandwidth", "0.1", "--out", "o")
    assert (code, out) == (130, "")
    assert " ".join(error.split()).endswith(f"kanerva: interrupted. {kept}.")
