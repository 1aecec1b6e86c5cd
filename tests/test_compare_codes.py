"""Comparisons with codes, fitted parameters and capacities, against what is known beforehand."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest
import torch

import kanerva
from kanerva import InputError
from kanerva.lab import data, memories, recall
from kanerva.lab.codec import PCA, Hyperplanes
from kanerva.lab.memories import Facts, Parameter
from kanerva.lab.recall._capacity import sizes
from kanerva.lab.recall._coded import Coded
from kanerva.lab.recall._hardware import hardware
from kanerva.lab.recall._summary import best, interval
from kanerva.lab.recall._trials import Cues, trials
from kanerva.lab.recall._tune import _grids, _value, _vet

NAMES = ("dense", "modern_hopfield", "sdm_patterns", "hopfield")


@pytest.fixture(scope="module")
def random():
    """Compare on 300 random patterns, as they are and in a code, with fitted parameters."""
    plan = recall.Plan(
        memories=NAMES,
        codecs=("none", "bits:1024"),
        levels=(0.0, 0.1, 0.2),
        seeds=2,
        cues=60,
        tune=True,
    )
    return recall.compare(data.load("random", patterns=300), plan)


def shares(result, name, level, codec="none"):
    """Return the mean share of exact recalls."""
    here = (name, level, codec)
    found = [
        row["exact"] for row in result.rows if (row["memory"], row["level"], row["codec"]) == here
    ]
    return sum(found) / len(found)


@pytest.mark.untyped
def test_every_row_has_its_code(random):
    assert {row["codec"] for row in random.rows} == {"none", "bits:1024"}
    assert len(random.rows) == 2 * (len(NAMES) + 2) * 3 * 2
    for name in ("cue", *NAMES):
        assert 0 <= shares(random, name, 0.1, "bits:1024") <= 1


@pytest.mark.untyped
def test_a_code_does_not_help_on_random_bits(random):
    for name in (*NAMES, "nearest"):
        for level in (0.1, 0.2):
            assert shares(random, name, level, "bits:1024") <= shares(random, name, level) + 0.02


@pytest.mark.untyped
def test_nothing_beats_the_nearest_neighbour_of_its_own_code(random):
    for codec in ("none", "bits:1024"):
        for name in NAMES:
            for level in (0.0, 0.1, 0.2):
                limit = shares(random, "nearest", level, codec)
                assert shares(random, name, level, codec) <= limit + 0.02


@pytest.mark.untyped
def test_a_fitted_parameter_recalls_no_less_on_its_own_cues(random):
    fitted = [one for one in random.parameters if one["tuned"] is not None]
    assert {one["memory"] for one in fitted} == {"dense", "modern_hopfield", "sdm_patterns"}
    for one in fitted:
        assert one["gain"] >= 0
        assert one["value"] == one["tuned"]
    rest = [one for one in random.parameters if one["memory"] == "hopfield"]
    assert all(one["tuned"] is None and one["theory"] == one["value"] for one in rest)


def test_reported_cues_are_never_tuned_on(monkeypatch):
    """Every cue that tunes has another seed than all that are reported."""
    seen = []
    plain = Cues.of
    monkeypatch.setattr(
        Cues, "of", lambda self, stored: (seen.append((self.seed, stored)), plain(self, stored))[1]
    )
    loaded = data.load("random", patterns=60)
    plan = recall.Plan(
        memories=("dense",),
        codecs=("none",),
        levels=(0.1,),
        seeds=2,
        cues=9,
        tune=True,
        capacity=False,
        seed=5,
    )
    recall.compare(loaded, plan)
    assert {seed for seed, _ in seen} == {7}
    reported = list(trials(loaded.bits, plan, ()))
    assert {trial.seed for trial in reported} == {5, 6}
    tuned = Cues(loaded.bits, plan, (), 7).of(60).cue
    cues = {tuple(row.tolist()) for trial in reported for row in trial.cue}
    assert not cues & {tuple(row.tolist()) for row in tuned}


def test_the_numbers_of_patterns_are_powers_of_two_and_all():
    assert sizes(4) == [4]
    assert sizes(8) == [4, 8]
    assert sizes(9) == [4, 8, 9]
    assert sizes(1797) == [4, 8, 16, 32, 64, 128, 256, 512, 1024, 1797]


@pytest.mark.untyped
def test_capacity_is_where_the_share_is_lost(random):
    for one in random.capacity:
        mine = {"memory": one["memory"], "codec": one["codec"]}
        rows = [row for row in random.sizes if mine.items() <= row.items()]
        assert sorted({row["stored"] for row in rows}) == sizes(300)
        mean = {
            size: np.mean([row["exact"] for row in rows if row["stored"] == size])
            for size in sizes(300)
        }
        held = [size for size in sizes(300) if mean[size] >= 0.95]
        assert one["low"] <= one["holds"] <= one["high"]
        if held:
            above = min((size for size in sizes(300) if size > max(held)), default=300)
            assert max(held) <= one["holds"] <= above
        else:
            assert one["holds"] == 0
    nearest = [one["holds"] for one in random.capacity if one["memory"] == "nearest"]
    assert nearest[0] == 300


def test_hopfield_holds_about_what_theory_says_of_random_bits():
    plan = recall.Plan(memories=("hopfield",), codecs=("none",), levels=(0.05,), seeds=3, share=0.5)
    result = recall.compare(data.load("random", patterns=100), plan)
    (held,) = [one for one in result.capacity if one["memory"] == "hopfield"]
    # 256 bits: n / (2 ln n) is 23 without errors, .138 n is 35 with few.
    assert held["theory"] == kanerva.theory.capacity.hopfield(256)
    assert 10 <= held["holds"] <= 40


@pytest.mark.untyped
def test_capacity_at_all_patterns_is_the_recall_of_the_table(random):
    """The last point of the curve stores what the table stores, at the same damage."""
    for name in ("nearest", *NAMES):
        for codec in ("none", "bits:1024"):
            last = [
                row["exact"]
                for row in random.sizes
                if (row["memory"], row["codec"], row["stored"]) == (name, codec, 300)
            ]
            expected = shares(random, name, 0.1, codec)
            assert sum(last) / len(last) == pytest.approx(expected, abs=1e-6)


@pytest.mark.untyped  # the checks take longer than the work
def test_the_number_held_is_that_of_memories_filled_anew():
    """Every share of the bisection is that of a new memory that stores these patterns alone."""
    loaded = data.load("digits", patterns=500)
    names, levels = ("dense",), (0.1,)
    given = {"dense.order": 10}
    plan = recall.Plan(
        memories=names, codecs=("none",), levels=levels, seeds=3, cues=40, given=given
    )
    result = recall.compare(loaded, plan)
    (held,) = [one for one in result.capacity if one["memory"] == "dense"]

    def share(stored):
        found = []
        for seed in range(3):
            cues = Cues(loaded.bits, plan, loaded.shape, seed)
            memory = kanerva.dense(64, 10)
            memory.write(loaded.bits[cues.order[:stored]])
            trial = cues.of(stored)
            recalled = memory.recall(trial.cue, steps=plan.steps)
            found.append((recalled == loaded.bits[trial.chosen]).all(-1).double().mean().item())
        return sum(found) / 3

    low = max(size for size in sizes(500) if share(size) >= 0.95)
    high = min(size for size in sizes(500) if size > low)
    while high - low > max(1, low / 16):
        middle = (low + high) // 2
        low, high = (middle, high) if share(middle) >= 0.95 else (low, middle)
    assert held["holds"] == low
    assert low not in sizes(500)  # found by the bisection


def test_ties_of_the_baseline_do_not_favour_the_patterns_that_are_damaged():
    """Of equally near digits the capacity takes the same one as the table."""
    plan = recall.Plan(memories=("hopfield",), codecs=("none",), levels=(0.1,), seeds=2, cues=60)
    result = recall.compare(data.load("digits", patterns=700), plan)
    last = [
        row["exact"] for row in result.sizes if (row["memory"], row["stored"]) == ("nearest", 700)
    ]
    assert sum(last) / len(last) == pytest.approx(shares(result, "nearest", 0.1), abs=1e-6)
    scorer = recall.Scorer(data.load("digits", patterns=700).bits, None, "bits")
    assert (scorer.best(scorer.closeness(scorer.x[:50] * 0)).sum(-1) == 700).all()


@pytest.mark.untyped
def test_fewer_patterns_are_recalled_no_worse_than_all(random):
    for name in ("nearest", "modern_hopfield"):
        for codec in ("none", "bits:1024"):
            few = [
                row["exact"]
                for row in random.sizes
                if (row["memory"], row["codec"], row["stored"]) == (name, codec, 4)
            ]
            assert min(few) == 1.0


def test_more_cues_than_patterns_are_damaged_repeatedly_for_the_capacity():
    names, codecs = ("modern_hopfield",), ("none", "bits:512")
    plan = recall.Plan(memories=names, codecs=codecs, levels=(0.05,), seeds=1, cues=70)
    result = recall.compare(data.load("letters"), plan)
    assert {row["cues"] for row in result.rows} == {26}
    assert {row["stored"] for row in result.sizes} == {4, 8, 16, 26}
    for codec in codecs:
        assert shares(result, "nearest", 0.05, codec) >= 0.95
        assert all(one["holds"] == 26 for one in result.capacity if one["memory"] == "nearest")


def test_grids_hold_theory_and_stay_in_range():
    radius = Parameter("radius", 11, "theory", 1, 28, tuned=True)
    first, second, third = [values for shares in [{}] for values in _tried(radius, shares)]
    assert first[0] == 11
    assert {1, 28} <= set(first)
    assert all(isinstance(value, int) and 1 <= value <= 28 for value in first + second + third)
    beta = Parameter("beta", 2.0, "theory", 0.125, 32.0, "log", tuned=True)
    assert _value(beta, math.log(0.125)) == 0.125
    named = Parameter("rule", "a", "theory", choices=("a", "b"), tuned=True)
    assert next(_grids(named, {})) == ["a", "b"]


def _tried(parameter, shares):
    """Try every value of a search whose best is 3."""
    for values in _grids(parameter, shares):
        yield values
        shares |= {value: -abs(value - 3) for value in values}


def test_a_memory_of_ones_own_is_tuned(monkeypatch):
    def pick(facts: Facts, chosen):
        return [Parameter("beta", 1e-4, "mine", 1e-4, 1.0, "log", tuned=True)]

    entry = memories.Entry(
        "Mine", ("bits",), (), pick, lambda dim, beta: kanerva.modern_hopfield(dim, beta=beta)
    )
    facts = memories.measure(data.load("letters").bits)
    assert memories.choose(["mine"], facts, {}, {"mine": entry})["mine"][0].tuned
    monkeypatch.setitem(memories.ENTRIES, "mine", entry)
    plan = recall.Plan(memories=("mine",), codecs=("none",), seeds=1, tune=True, levels=(0.1,))
    result = recall.compare(data.load("letters"), plan)
    (one,) = result.parameters
    assert one["theory"] == 1e-4
    assert one["tuned"] > 0.01
    assert one["gain"] > 0.5


def test_intervals_are_wilsons():
    mean, low, high = interval([{"exact": 0.5, "cues": 100}, {"exact": 0.7, "cues": 100}])
    assert mean == pytest.approx(0.6)
    # By hand: (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), z = 1.96, n = 200.
    assert (low, high) == (pytest.approx(0.5308, abs=1e-4), pytest.approx(0.6654, abs=1e-4))
    assert interval([{"exact": 1.0, "cues": 30}])[2] == 1.0


def test_the_best_are_those_that_the_interval_does_not_tell_apart():
    base = {"damage": "flip", "level": 0.1, "seed": 0, "codec": "none", "cues": 100}
    base |= {"seconds": 0.001, "bytes": 2048, "growth": 1.0}
    rows = [
        base | {"memory": name, "title": name.upper(), "exact": exact, **more}
        for name, exact, more in (
            ("cue", 0.0, {}),
            ("nearest", 0.95, {}),
            ("a", 0.9, {}),
            ("b", 0.87, {"bytes": 1024, "growth": 0.0}),
            ("c", 0.5, {"seconds": 1e-6}),
        )
    ]
    words = best(rows)
    assert words[0].startswith("Most is recalled at 10% damage by A: 90% of the cues; looking up")
    assert words[1] == "1 other is within the error of so many cues: B."
    both = best([row | {"codec": codec} for row in rows for codec in ("none", "bits:64")])
    assert both[1] == (
        "2 others are within the error of so many cues. Without a code: B. In bits:64: B."
    )
    assert words[2].startswith("Of these B is the smallest, of 1.0 KiB; B keeps its size")
    slow = [row | {"seconds": row["seconds"] * (1 + (row["memory"] == "b"))} for row in rows]
    assert "smallest is B, of 1.0 KiB, and the fastest A, with" in best(slow)[2]
    small = best([row | {"seconds": row["bytes"] / 1e6} for row in rows])[2]
    assert small.startswith(
        "Of these B is the smallest, of 1.0 KiB, and the fastest, with 1 ms for"
    )
    assert not any("C" in sentence for sentence in words[1:])


def test_hardware_is_the_share_of_the_space():
    one = {"memory": "sdm", "name": "radius", "value": 3, "codec": "none", "dim": 64}
    share = sum(math.comb(64, distance) for distance in range(4)) / 2**64
    (words,) = hardware("SDM", [one])
    assert f"{share:.2g} of the space" in words
    (few,) = hardware("SDM", [one, one | {"name": "locations", "value": 1000}])
    assert few.endswith("and 1,000 are there.")
    # A share beyond the range of floats, as 3,072 bits have it.
    one |= {"value": 500, "dim": 3072}
    share = Fraction(sum(math.comb(3072, distance) for distance in range(501)), 2**3072)
    (tiny,) = hardware("SDM", [one])
    assert f"{float(share * 10**334):.2g}e-334 of the space" in tiny
    assert f"so {float(1 / share / 10**333):.1g}e333 locations" in tiny


def test_real_data_in_a_code_of_bits_meet_memories_of_both_kinds():
    plan = recall.Plan(
        memories=("modern_hopfield", "sdm_patterns"),
        domain="real",
        codecs=("none", "bits:256"),
        levels=(0.1,),
        seeds=1,
        cues=20,
        capacity=False,
    )
    result = recall.compare(data.load("digits", patterns=60, domain="real"), plan)
    met = {(row["memory"], row["codec"]) for row in result.rows}
    assert ("modern_hopfield", "none") in met
    assert ("sdm_patterns", "bits:256") in met
    assert ("sdm_patterns", "none") not in met
    assert shares(result, "sdm_patterns", 0.1, "bits:256") >= 0.5


@pytest.mark.untyped
def test_files_hold_capacities_and_parameters(random, tmp_path):
    written = {path.name for path in recall.save(random, tmp_path, ["exact"])}
    assert {"capacity.csv", "capacity.svg", "report.html"} <= written
    record = json.loads((tmp_path / "manifest.json").read_text())
    assert record["capacity"] == json.loads(json.dumps(random.capacity))
    names = {"memory", "codec", "name", "value", "why", "theory", "tuned"}
    assert all(names <= set(one) for one in record["parameters"])
    assert list(record["codecs"]) == ["none", "bits:1024"]


@pytest.mark.untyped
def test_the_same_seed_gives_the_same_numbers(random):
    levels, names = (0.0, 0.1, 0.2), ("dense",)
    plan = recall.Plan(memories=names, codecs=("none",), levels=levels, seeds=2, cues=60, tune=True)
    again = recall.compare(data.load("random", patterns=300), plan)
    assert again.sizes == [
        row
        for row in random.sizes
        if row["codec"] == "none" and row["memory"] in ("nearest", "dense")
    ]


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"codecs": ("bits:0",)}, "codec must be none, or bits:LENGTH"),
        ({"codecs": ("bits:x",)}, "codec must be none, or bits:LENGTH"),
        ({"codecs": "none"}, "codecs must be a sequence"),
        ({"share": 0.0}, "share must be"),
        ({"share": 1.1}, "share must be"),
        ({"level": -0.1}, "level must be"),
        ({"tune": "yes"}, "tune must be"),
        ({"capacity": 1}, "capacity must be"),
    ],
)
def test_plans_that_cannot_be_are_refused(given, words):
    with pytest.raises(kanerva.InputError, match=words):
        recall.Plan(**given)


def test_two_patterns_have_no_capacity():
    two = data.DataSet.of(torch.eye(2, 4), name="two")
    with pytest.raises(kanerva.InputError, match="patterns must be 4 or more"):
        recall.compare(two, recall.Plan(memories=("dense",)))


def test_patterns_of_one_code_are_not_recalled_exactly():
    x = torch.tensor([[1.0, 1, 1, 1], [-1, -1, -1, -1], [1, -1, 1, -1], [1, -1, 1, -1]])
    data_scorer = recall.Scorer(x, None, "bits")
    codes = torch.tensor([[1.0, 1], [1, 1], [-1, 1], [-1, 1]])
    merged = data_scorer.merged(codes)
    assert merged.tolist() == [True, True, False, False]  # copies of one pattern are the same
    scorer = recall.Scorer(codes, None, "bits", ~merged)
    chosen = torch.arange(4)
    assert scorer.exact(codes, chosen) == 0.5
    assert scorer.score(codes, codes, chosen)["exact"] == 0.5


def test_patterns_of_one_code_are_counted_in_a_note():
    plan = recall.Plan(
        memories=("dense",), codecs=("bits:8",), levels=(0.1,), seeds=1, cues=20, capacity=False
    )
    result = recall.compare(data.load("digits", patterns=200), plan)
    assert any("have the code of a different pattern, too" in note for note in result.notes)
    ceiling = next(row["exact"] for row in result.rows if row["memory"] == "nearest")
    assert ceiling < 0.7


def test_one_codec_has_one_name():
    plan = recall.Plan(codecs=("bits:064", "bits:64", "none"))
    assert plan.codecs == ("bits:64", "none")


def test_a_code_in_which_all_are_equal_is_refused():
    plan = recall.Plan(memories=("dense",), codecs=("bits:64:1e300",), levels=(0.1,))
    with pytest.raises(InputError, match="codec must be one in which the patterns differ"):
        recall.compare(data.load("letters"), plan)
    with pytest.raises(InputError, match="whiten must be such that W is finite"):
        Hyperplanes(64, 1e-300).fit(data.load("letters").bits)


@pytest.mark.parametrize(
    "change",
    [
        {"low": 40},
        {"value": "5"},
        {"scale": "cubic"},
        {"scale": "log", "low": 0.0},
        {"low": None},
        {"high": math.inf},
    ],
)
def test_a_range_that_cannot_be_searched_is_refused(change):
    wrong = Parameter("beta", 5.0, "theory", 1.0, 30.0, tuned=True)._replace(**change)
    with pytest.raises(InputError, match="parameter 'beta' must be finite, with low < high"):
        _vet("mine", wrong)


def test_a_feature_is_right_within_a_share_of_its_range():
    codes = torch.tensor([[0.0, 0.0, 3.0], [10.0, 0.1, 3.0]])
    scorer = recall.Scorer(codes, None, "real", span=codes.amax(0) - codes.amin(0))
    off = torch.tensor([[0.49, 0.004, 3 + 1e-6], [0.51, 0, 3], [0, 0.006, 3], [0, 0, 3.1]])
    right = scorer.right(off, codes[[0, 0, 0, 0]]).all(-1)
    # Five per cent of 10 and of 0.1; a feature that is the same everywhere has room for rounding.
    assert right.tolist() == [True, False, False, False]
    chosen = torch.tensor([0])
    assert [scorer.exact(row[None], chosen) for row in off] == [1.0, 0.0, 0.0, 0.0]
    plain = recall.Scorer(codes / 10, None, "real")  # data, whose range is 2 everywhere
    near = torch.tensor([[0.09, 0.0, 0.3], [0.11, 0.0, 0.3]])
    assert plain.right(near, codes[[0, 0]] / 10).all(-1).tolist() == [True, False]


def test_an_empty_read_of_real_numbers_is_no_pattern():
    codes = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    empty, chosen = torch.zeros(1, 2), torch.tensor([0])
    assert recall.Scorer(codes, None, "real").found(empty, chosen) == [None]
    assert recall.Scorer(codes - codes[0], None, "real").found(empty, chosen) == [0]


@pytest.fixture(scope="module")
def real():
    """Compare on real digits in codes of real numbers."""
    plan = recall.Plan(
        memories=("modern_hopfield", "kernel"),
        codecs=("none", "pca:32", "ae:24"),
        domain="real",
        kind="gaussian",
        levels=(0.0, 0.3),
        seeds=2,
        cues=40,
        capacity=False,
    )
    seen = []
    loaded = data.load("digits", patterns=120, domain="real")
    result = recall.compare(loaded, plan, lambda *one: seen.append(one))
    return loaded, plan, result, seen


def test_real_codes_meet_the_memories_of_real_numbers(real):
    _, _, result, seen = real
    met = {(row["memory"], row["codec"]) for row in result.rows}
    for name in ("modern_hopfield", "kernel", "nearest", "cue"):
        assert {codec for memory, codec in met if memory == name} == {"none", "pca:32", "ae:24"}
    for codec in ("none", "pca:32", "ae:24"):
        assert shares(result, "nearest", 0.0, codec) == 1.0
        assert shares(result, "modern_hopfield", 0.0, codec) >= 0.95
        assert shares(result, "cue", 0.3, codec) < 0.1
        assert shares(result, "nearest", 0.3, codec) > 0.5
    assert [one for one in seen if one[0] == "Training ae:24"][-1] == ("Training ae:24", 30, 30)


def test_cues_are_damaged_as_data_and_recalls_are_decoded(real):
    """The nearest codes, computed here, are those of the comparison."""
    loaded, plan, result, _ = real
    coder = PCA(32).fit(loaded.real)
    stored = coder.encode(loaded.real)

    def share(part, whole):
        return ((part & whole).sum() / whole.sum()).item()

    for trial in trials(loaded.real, plan, loaded.shape):
        nearest = torch.cdist(coder.encode(trial.cue), stored).argmin(1)
        place = ("nearest", "pca:32", trial.level, trial.seed)
        here = [
            row
            for row in result.found
            if (row["memory"], row["codec"], row["level"], row["seed"]) == place
        ]
        assert [row["found"] for row in here] == nearest.tolist()
        row = next(
            row
            for row in result.rows
            if (row["memory"], row["codec"], row["level"], row["seed"]) == place
        )
        truth, decoded = loaded.real[trial.chosen], coder.decode(stored[nearest])
        wrong = (trial.cue - truth).abs() > 0.1
        right = (decoded - truth).abs() <= 0.1
        if wrong.any():
            assert row["repaired"] == pytest.approx(share(right, wrong), abs=1e-5)
        assert row["broken"] == pytest.approx(share(~right, ~wrong), abs=1e-5)


def test_pictures_are_decoded_and_the_cue_is_drawn_once(real):
    _, _, result, _ = real
    titles = [title for title, _ in result.pictures]
    assert titles[:2] == ["Original", "Cue"]
    assert titles.count("Cue") == 1
    assert {"Nearest neighbour", "Nearest neighbour, pca:32", "Modern Hopfield, ae:24"} <= set(
        titles
    )
    for _, pictures in result.pictures:
        assert pictures.shape == (8, 8, 8)
    drawn = dict(result.pictures)
    apart = np.abs(drawn["Nearest neighbour, pca:32"] - drawn["Original"]).mean((1, 2))
    assert np.median(apart) < 0.15  # what 32 components leave out


def test_notes_say_what_is_exact_in_a_real_code(real):
    loaded, _, result, _ = real
    words = " ".join(result.notes)
    assert "each feature of its code is within 5% of the range of that feature" in words
    coder = PCA(32).fit(loaded.real)
    again = coder.decode(coder.encode(loaded.real))
    right = ((again - loaded.real).abs() <= 0.1).double().mean().item()
    error = (again - loaded.real).double().square().mean().sqrt().item()
    assert f"decoded without a memory, {right:.1%} of the coordinates" in words
    assert f"(root mean square error {error:.2g}, of a range of 2)" in words
    assert "24 learned features of an autoencoder" in result.manifest["codecs"]["ae:24"]


def test_a_file_takes_part_as_it_was_fitted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    digits = data.load("digits", patterns=300, domain="real")
    (tmp_path / "two").mkdir()
    for name, features in (("one.codec", 20), ("two/one.codec", 9), ("bits.codec", 10)):
        x = digits.real if name != "bits.codec" else data.load("digits").bits
        PCA(features).fit(x).save(tmp_path / name)
    more = {"memories": ("modern_hopfield",), "levels": (0.1,), "seeds": 1, "cues": 20}
    more |= {"capacity": False, "domain": "real"}
    plan = recall.Plan(codecs=("./one.codec", "bits.codec", "./one.codec"), **more)
    assert plan.codecs == ("./one.codec", "bits.codec")
    loaded = data.load("digits", patterns=60, seed=1, domain="real")  # others than it was fitted to
    result = recall.compare(loaded, plan)
    assert {row["codec"] for row in result.rows} == {"one.codec", "bits.codec"}
    assert shares(result, "nearest", 0.1, "one.codec") > 0.5
    assert "bits.codec was fitted to bits, and these data are real numbers." in result.notes
    assert not any("one.codec was fitted to" in note for note in result.notes)
    expected = PCA(20).fit(digits.real).encode(loaded.real)
    found = Coded("one.codec", loaded, plan, recall.Scorer(loaded.real, None, "real"))
    assert torch.equal(found.x, expected)
    with pytest.raises(InputError, match="codecs must be files of different names"):
        recall.Plan(codecs=("one.codec", "two/one.codec"))
    with pytest.raises(InputError, match="codec must be one of patterns of 4 numbers, as these"):
        recall.compare(data.load("iris", domain="real"), plan)


def test_the_heading_names_the_only_code(real, tmp_path):
    _, _, result, _ = real
    recall.save(result, tmp_path, ["exact"])
    assert "120 patterns in 2 memories, read with" in (tmp_path / "report.html").read_text()
    only = result._replace(manifest=result.manifest | {"codecs": {"pca:32": "components"}})
    recall.save(only, tmp_path, ["exact"])
    words = "120 patterns in 2 memories, stored in the code pca:32, read with damaged cues."
    assert words in (tmp_path / "report.html").read_text()
