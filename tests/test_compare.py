"""A comparison of memories, against brute force and theory."""

import csv
import dataclasses
import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import kanerva
from choices import chosen_of
from kanerva import bits
from kanerva.lab import citations, data, memories, recall
from kanerva.lab.recall import Scorer
from kanerva.lab.recall._summary import verdicts

PHOTOGRAPHS = (
    "astronaut.png brick.png camera.png chelsea.png coffee.png coins.png grass.png gravel.png "
    "moon.png rocket.jpg"
)
KEYS = ["memory", "title", "codec", "damage", "level", "seed"]


def plan_of(**given):
    """Return a plan without a code and without the measurement of capacities."""
    return recall.Plan(**{"codecs": ("none",), "capacity": False, "steps": 50} | given)


@pytest.fixture(scope="module")
def letters():
    return recall.compare(data.load("letters"), plan_of(levels=(0.0, 0.1, 0.3), seeds=2, cues=26))


def rows(result, memory, level):
    return [row for row in result.rows if row["memory"] == memory and row["level"] == level]


def mean(result, memory, level, column="exact"):
    found = [row[column] for row in rows(result, memory, level)]
    return sum(found) / len(found)


# Those for sparse codes take part only where bits are unbalanced.
BITS = {name: entry for name, entry in memories.ENTRIES.items() if "bits" in entry.domains}
BALANCED = [name for name, entry in BITS.items() if entry.suits is None]


def test_every_memory_that_fits_takes_part(letters):
    names = list(dict.fromkeys(row["memory"] for row in letters.rows))
    assert names == ["cue", "nearest", *BALANCED]
    others = [name for name in BITS if name not in BALANCED]
    assert others == ["cdam", "willshaw", "covariance"]
    assert all(list(row)[:6] == KEYS for row in letters.rows)
    assert len(letters.rows) == len(names) * 3 * 2


def test_undamaged_cues_are_perfect_for_the_baselines(letters):
    assert mean(letters, "cue", 0.0) == mean(letters, "nearest", 0.0) == 1.0
    assert mean(letters, "cue", 0.1) == 0.0
    assert mean(letters, "cue", 0.1, "echoed") == 1.0
    assert mean(letters, "cue", 0.1, "repaired") == mean(letters, "cue", 0.1, "broken") == 0.0


@pytest.mark.untyped  # the checks take longer than the work
def test_nothing_beats_the_nearest_neighbour_on_flips():
    """Of uniform flips of equally likely patterns the nearest pattern is the likeliest."""
    for name in ("digits", "random"):
        loaded = data.load(name, patterns=300)
        result = recall.compare(loaded, plan_of(levels=(0.1, 0.2, 0.3), seeds=2, cues=150))
        for level in (0.1, 0.2, 0.3):
            best = mean(result, "nearest", level)
            noise = 3 * math.sqrt(max(best * (1 - best), 0.01) / 300)
            for memory in BALANCED:
                assert mean(result, memory, level) <= best + noise, (name, memory, level)


@pytest.mark.untyped  # the checks take longer than the work
def test_recall_of_random_patterns_is_what_theory_says():
    """Every memory recalls a few patterns; beyond its capacity a Hopfield network recalls none."""
    few = recall.compare(data.load("random", patterns=10), plan_of(levels=(0.1,), seeds=2, cues=10))
    for memory in BALANCED:
        assert mean(few, memory, 0.1) >= 0.95, memory
    # 300 patterns of 256 bits, where a Hopfield network holds 0.14 n = 36.
    plan = plan_of(memories=("hopfield", "dense", "exponential"), levels=(0.1,), seeds=1)
    many = recall.compare(data.load("random", patterns=300), plan)
    assert mean(many, "hopfield", 0.1) == 0.0
    assert mean(many, "dense", 0.1) >= 0.99
    assert mean(many, "exponential", 0.1) >= 0.99


def sparse(count, n, ones):
    """Draw a data set of 0/1 codes with so many ones."""
    draw = torch.rand(count, n, generator=torch.Generator().manual_seed(0)).argsort(-1)
    return data.DataSet.of((draw < ones).double().numpy(), name="sparse")


@pytest.mark.untyped  # the checks take longer than the work
def test_sparse_codes_get_memories_of_their_own_and_words():
    """Of 100 codes of 400 bits with 20 on, memories that sum what is common recall none."""
    result = recall.compare(sparse(100, 400, 20), plan_of(levels=(0.0, 0.05), seeds=1, cues=50))
    for name in ("willshaw", "covariance"):
        assert mean(result, name, 0.0) == mean(result, name, 0.05) == 1.0
    for name in ("hopfield", "dense", "sdm"):
        assert mean(result, name, 0.0) == 0.0
    words = next(note for note in result.notes if "unbalanced" in note)
    assert "5.0% are +1, 20 of 400 in every pattern" in words
    assert "cannot recall such patterns" in words
    chosen = {
        name: [(one.name, one.value) for one in part] for name, part in chosen_of(result).items()
    }
    assert chosen["willshaw"] == [("winners", 20)]
    assert chosen["covariance"] == [("activity", 0.05), ("winners", 20)]


def test_balanced_bits_get_no_words_and_a_memory_that_is_named_takes_part():
    loaded = data.load("random", patterns=10)
    plan = plan_of(memories=("covariance",), levels=(0.1,), seeds=1, cues=10)
    result = recall.compare(loaded, plan)
    assert mean(result, "covariance", 0.1) >= 0.95
    assert not any("unbalanced" in note for note in result.notes)


@pytest.mark.parametrize(("share", "names"), [(0.2, 2), (0.26, 0), (0.5, 0), (0.8, 1), (1.0, 0)])
def test_memories_for_sparse_codes_are_chosen_by_the_share_of_ones(share, names):
    x = torch.where(torch.arange(100) < round(100 * share), 1.0, -1.0).expand(3, 100)
    facts = memories.measure(x)
    assert facts.activity == pytest.approx(share)
    assert facts.ones == round(100 * share)
    suited = [one for one in BITS.values() if one.suits and one.suits(facts)]
    assert len(suited) == names


def test_scores_are_those_of_a_plain_loop():
    x = bits.random(6, 16, seed=0)
    x[5] = x[2]
    chosen = torch.tensor([0, 2, 4])
    cue = bits.flip(x[chosen], 3, seed=1)
    recalled = torch.stack([x[0], cue[1], -x[4]])
    score = Scorer(x, torch.tensor([0, 1, 0, 1, 0, 1]), "bits").score(recalled, cue, chosen)
    wrong = fixed = intact = broken = exact = echoed = 0
    for got, asked, true in zip(recalled.tolist(), cue.tolist(), x[chosen].tolist(), strict=True):
        exact += got == true
        echoed += got == asked
        for g, a, t in zip(got, asked, true, strict=True):
            wrong, intact = wrong + (a != t), intact + (a == t)
            fixed, broken = fixed + (a != t and g == t), broken + (a == t and g != t)
    assert score["exact"] == pytest.approx(exact / 3)
    assert score["echoed"] == pytest.approx(echoed / 3)
    assert score["repaired"] == pytest.approx(fixed / wrong)
    assert score["broken"] == pytest.approx(broken / intact)
    assert score["lost"] == 0
    assert score["stored"] == pytest.approx(
        sum(any(torch.equal(state, one) for one in x) for state in recalled) / 3
    )
    near = (recalled[:, None] != x).sum(-1)
    own = [near[row, one] == near[row].min() for row, one in enumerate(chosen)]
    ties = [(near[row] == near[row].min()).sum() for row in range(3)]
    twins = [1, 2, 1]
    expected = (
        sum(int(yes) * twin / int(tie) for yes, twin, tie in zip(own, twins, ties, strict=True)) / 3
    )
    assert score["nearest"] == pytest.approx(expected)


def test_what_finds_nothing_is_not_taken_for_bits():
    x = bits.random(3, 8, seed=0)
    score = Scorer(x, None, "bits").score(torch.zeros(1, 8), x[:1], torch.tensor([0]))
    assert (score["lost"], score["exact"], score["broken"], score["class_kept"]) == (
        1.0,
        0.0,
        1.0,
        None,
    )


def test_real_numbers_are_right_within_their_tolerance():
    x = torch.tensor([[0.0, 0.5], [1.0, -1.0]])
    score = Scorer(x, None, "real").score(
        torch.tensor([[0.09, 0.5], [1.0, -0.85]]), x + 0.5, torch.tensor([0, 1])
    )
    assert score["exact"] == 0.5
    assert score["repaired"] == 0.75


def test_parameters_come_from_theory_or_are_given():
    facts = memories.Facts(1024, 64, 10.0)
    chosen = memories.choose(["sdm_patterns", "attention", "dense"], facts, {})
    assert chosen["sdm_patterns"][0].value == 11
    assert chosen["attention"][0].value == 11
    given = memories.choose(
        ["sdm_patterns", "attention", "dense"], facts, {"sdm_patterns.radius": 5}
    )
    assert (given["sdm_patterns"][0].value, given["sdm_patterns"][0].why) == (5, "given")
    assert given["attention"][0].value == 5, "the twin follows"


def test_order_of_the_dense_memory_is_the_least_that_holds():
    """Krotov and Hopfield 2016: n^(k-1) / (2 (2k-3)!! ln n) patterns without error.

    With 64 bits these are 164 at order 3 and 2100 at order 4.
    """
    for patterns, order in ((100, 3), (164, 3), (165, 4), (2000, 4), (2200, 5)):
        assert (
            memories.ENTRIES["dense"].pick(memories.Facts(patterns, 64, 1.0), {})[0].value == order
        )


def test_gap_is_the_distance_to_the_nearest_other_pattern():
    x = bits.random(40, 32, seed=3)
    x[7] = x[3]  # a duplicate is no neighbour
    gaps = []
    for one in x:
        others = [int((one != other).sum()) for other in x if not torch.equal(one, other)]
        gaps.append(2 * min(others))
    assert memories.measure(x).gap == pytest.approx(sorted(gaps)[(len(gaps) - 1) // 2])


def test_effective_number_is_one_for_a_clean_choice(letters):
    assert mean(letters, "exponential", 0.0, "effective") == pytest.approx(1, abs=0.05)
    assert mean(letters, "hopfield", 0.0, "effective") > 5


@pytest.mark.untyped  # the checks take longer than the work
def test_weights_against_distance_are_the_circle_and_the_fitted_exponential():
    loaded = data.load("random", patterns=50)
    result = recall.compare(
        loaded,
        plan_of(memories=("sdm", "sdm_patterns", "attention"), levels=(0.1,), seeds=1, cues=5),
    )
    curves = {
        name: [row["weight"] for row in result.weights if row["memory"] == name]
        for name in ("sdm", "sdm_patterns", "attention")
    }
    radius = chosen_of(result)["sdm_patterns"][0].value
    counts = kanerva.theory.circle.intersection(256, radius)
    assert curves["sdm_patterns"][:40] == pytest.approx(
        [count / counts[0] for count in counts][:40], rel=1e-5
    )
    beta = kanerva.theory.beta.fit(256, radius).beta
    assert curves["attention"][:40] == pytest.approx(
        [math.exp(-2 * beta * d / 256) for d in range(40)], rel=1e-4
    )
    assert curves["sdm"][0] == 1.0
    locations, near = (choice.value for choice in chosen_of(result)["sdm"])
    expected = kanerva.theory.circle.overlap(256, near, locations)
    assert curves["sdm"][10] == pytest.approx(expected[10] / expected[0], abs=0.15)


@pytest.mark.untyped  # the checks take longer than the work
def test_saved_files_hold_what_was_found(letters, tmp_path):
    written = recall.save(letters, tmp_path / "deep" / "er", ["exact", "nearest"])
    names = sorted(path.name for path in written)
    drawn = [
        f"{name}.{kind}" for name in ("figure", "pictures", "weights") for kind in ("svg", "png")
    ]
    tables = ("table.csv", "weights.csv", "found.csv")
    assert names == sorted([*drawn, *tables, "manifest.json", "report.html"])
    assert sorted(path.name for path in written[0].parent.iterdir()) == names, (
        "nothing half-written beside them"
    )
    with written[0].open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(letters.rows)
    assert float(table[0]["exact"]) == letters.rows[0]["exact"]
    record = json.loads((written[0].parent / "manifest.json").read_text())
    assert {"memory": "sdm_patterns", "name": "radius"}.items() <= next(
        one for one in record["parameters"] if one["memory"] == "sdm_patterns"
    ).items()
    assert record["seeds"] == [0, 1]
    page = written[-1].read_text()
    assert all(sentence.split(":")[0] in page for sentence in letters.verdicts)


@pytest.mark.untyped
def test_the_pattern_that_was_found_is_named(letters, tmp_path):
    recall.save(letters, tmp_path, ["exact"])
    with (tmp_path / "found.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(letters.rows) * 26
    x, names = data.load("letters").bits, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    for level in (0.0, 0.1, 0.3):
        for seed in (0, 1):
            mine = [
                row
                for row in table
                if (row["memory"], float(row["level"]), int(row["seed"]))
                == ("nearest", level, seed)
            ]
            chosen = torch.tensor([int(row["stored"]) for row in mine])
            assert sorted(chosen.tolist()) == list(range(26))
            cue = data.damage(x[chosen], "flip", level, seed=seed)
            near = (cue[:, None] != x).sum(-1).argmin(-1)
            assert [int(row["found"]) for row in mine] == near.tolist()
            assert [row["found_class"] for row in mine] == [names[one] for one in near]
            assert [row["stored_class"] for row in mine] == [names[one] for one in chosen]
    example = letters.notes[-1]
    assert re.match(r"An example, at level 0\.1: from the damaged row \d+ \(class [A-Z]\)", example)
    assert example.split(" by ")[0].split(" is ")[1] in example
    assert "An example, at level 0.1" in (tmp_path / "report.html").read_text()


def test_an_empty_result_finds_no_pattern_and_a_copy_is_as_good():
    x = torch.tensor([[1.0, 1, 1, 1], [-1, -1, -1, -1], [1, 1, 1, 1]])
    scorer = Scorer(x, None, "bits")
    recalled = torch.stack([torch.zeros(4), x[0], x[0], x[1]])
    assert scorer.found(recalled, torch.tensor([0, 2, 1, 1])) == [None, 2, 0, 1]


def test_among_equally_near_patterns_the_commonest_is_looked_up():
    x = bits.random(4, 6, seed=0)[torch.tensor([3, 0, 1, 2, 2, 1, 2, 0])]
    scorer = Scorer(x, None, "bits")
    for cue in bits.from_binary(torch.cartesian_prod(*[torch.tensor([0, 1])] * 6)):
        distance = [int((cue != row).sum()) for row in x]
        ties = [row for row, far in zip(x, distance, strict=True) if far == min(distance)]
        copies = [sum(torch.equal(row, other) for other in ties) for row in ties]
        found = x[scorer.nearest(cue[None])[0]]
        assert torch.equal(found, ties[copies.index(max(copies))])


@pytest.mark.untyped
@pytest.mark.filterwarnings("ignore:.*distinct patterns became equal")
def test_nothing_beats_the_nearest_neighbour_on_data_with_copies():
    """With 178 wines on one scale, 30 distinct patterns, the first of equal ones had 63 %."""
    from sklearn.datasets import load_wine

    names = ("dense", "exponential", "modern_hopfield", "sparse_hopfield", "sdm_patterns")
    plan = plan_of(memories=names, levels=(0.1,), seeds=1, cues=178)
    for scale in ("whole", "columns"):
        wine = data.DataSet.of(load_wine().data, name="wine", scale=scale)
        result = recall.compare(wine, plan)
        assert any("a memory that counts copies can still recall more" in n for n in result.notes)
        for name in names:
            assert mean(result, name, 0.1) <= mean(result, "nearest", 0.1), (scale, name)


@pytest.mark.parametrize("seed", [0, 1, 17])
def test_a_dot_product_takes_the_longest_pattern_and_closeness_the_nearest(seed):
    draw = torch.Generator().manual_seed(seed)
    x = torch.rand(10, 1, generator=draw) * torch.rand(10, 200, generator=draw)
    dot = kanerva.modern_hopfield(dim=200, beta=512.0)
    dot.write(x)
    ends = torch.arange(10)
    for _ in range(10):
        ends = (x @ x.T).argmax(-1)[ends]
    assert torch.allclose(dot.recall(x), x[ends], atol=1e-4)
    assert len(ends.unique()) < 6
    if seed == 17:
        assert (ends == x.norm(dim=-1).argmax()).all()
    softmax = kanerva.separation.Softmax(512.0)
    near = kanerva.Patterns(200, similarity=kanerva.similarity.closeness, separation=softmax)
    near.write(x)
    assert torch.allclose(near.recall(x), x, atol=1e-4)


@pytest.fixture(scope="module")
def unequal():
    """Ten patterns of real numbers, of unlike length."""
    draw = torch.Generator().manual_seed(0)
    x = torch.rand(10, 1, generator=draw) * torch.rand(10, 200, generator=draw)
    with pytest.warns(UserWarning, match="1 of 10 distinct patterns became equal"):
        return data.DataSet.of(x, name="unequal")


def test_real_numbers_are_compared_by_closeness(unequal):
    plan = plan_of(levels=(0.0,), seeds=1, domain="real")
    result = recall.compare(unequal, plan)
    for name in ("modern_hopfield", "sparse_hopfield"):
        assert mean(result, name, 0.0) == 1.0
        chosen = {one.name: one for one in chosen_of(result)[name]}
        assert chosen["similarity"].value == "closeness"
        assert "Euclidean distance" in chosen["similarity"].why
    assert not any("longest" in note for note in result.notes)


def test_densities_recall_real_numbers():
    digits = data.load("digits", patterns=200)
    names = ("modern_hopfield", "kernel", "crp")
    plan = plan_of(memories=names, levels=(0.0,), seeds=1, domain="real")
    result = recall.compare(digits, plan)
    rows = {row["memory"]: row for row in result.rows}
    assert rows["kernel"]["exact"] == 1.0
    assert rows["kernel"]["bytes"] == rows["modern_hopfield"]["bytes"]
    # A mixture holds fewer memories than rows, and recalls means of them.
    assert rows["crp"]["bytes"] < rows["kernel"]["bytes"]
    assert rows["crp"]["exact"] < 0.5
    assert rows["crp"]["effective"] > 2
    chosen = {one.name: one.value for one in chosen_of(result)["kernel"]}
    facts = memories.measure(digits.real)
    assert chosen["bandwidth"] == pytest.approx((2 * facts.gap / 64) ** 0.5, rel=0.01)
    assert facts.spread == pytest.approx(digits.real.square().mean().sqrt().item())
    assert not any("longest" in note for note in result.notes)


def test_the_kernel_can_be_one_that_ends():
    given = {"kernel.shape": "epanechnikov"}
    plan = plan_of(memories=("kernel",), levels=(0.0,), seeds=1, domain="real", given=given)
    result = recall.compare(data.load("iris"), plan)
    chosen = {one.name: one.value for one in chosen_of(result)["kernel"]}
    gap = memories.measure(data.load("iris").real).gap
    assert chosen["bandwidth"] == pytest.approx((2 * gap * 6 / 4) ** 0.5, rel=0.01)
    assert chosen["shape"] == "epanechnikov"


@pytest.mark.parametrize("similarity", ["dot", "cosine", "closeness"])
def test_the_similarity_can_be_given_and_the_longest_is_named(unequal, similarity):
    plan = plan_of(
        memories=("modern_hopfield",),
        levels=(0.0,),
        seeds=1,
        domain="real",
        given={"modern_hopfield.similarity": similarity},
    )
    result = recall.compare(unequal, plan)
    assert chosen_of(result)["modern_hopfield"][1].value == similarity
    said = [note for note in result.notes if "the longest pattern wins" in note]
    assert len(said) == (similarity == "dot")
    assert (mean(result, "modern_hopfield", 0.0) == 1.0) == (similarity != "dot")


def test_ten_photographs_come_back(tmp_path):
    import skimage

    home, names = Path(skimage.__file__).parent / "data", PHOTOGRAPHS.split()
    for name in names:
        shutil.copy(home / name, tmp_path)
    photographs = data.load(tmp_path, domain="real", crop=True)
    assert len(photographs.real) == 10
    result = recall.compare(photographs, plan_of(levels=(0.0,), seeds=1, domain="real"))
    for name in ("modern_hopfield", "sparse_hopfield"):
        assert mean(result, name, 0.0) == 1.0


def test_real_facts_are_those_of_a_plain_loop(unequal):
    x, facts = unequal.real.double(), memories.measure(unequal.real)
    rows = list(x)
    apart = sorted(
        min(float((a - b).square().sum()) / 2 for j, b in enumerate(rows) if j != i)
        for i, a in enumerate(rows)
    )
    turned = sorted(
        min(1 - float(a @ b / a.norm() / b.norm()) for j, b in enumerate(rows) if j != i)
        for i, a in enumerate(rows)
    )
    assert facts.gap == pytest.approx(apart[4], rel=1e-3)
    assert facts.closest == pytest.approx(apart[0], rel=1e-3)
    assert facts.angle == pytest.approx(turned[0], rel=1e-3)
    assert not facts.binary
    assert memories.measure(bits.random(5, 8, seed=0)).binary


@pytest.mark.untyped  # the checks take longer than the work
def test_same_seed_gives_the_same_table(letters):
    again = recall.compare(data.load("letters"), plan_of(levels=(0.0, 0.1, 0.3), seeds=2, cues=26))
    timeless = [
        [{key: value for key, value in row.items() if key != "seconds"} for row in result.rows]
        for result in (letters, again)
    ]
    assert timeless[0] == timeless[1]


def test_verdicts_follow_from_the_numbers():
    base = {
        "damage": "flip",
        "seed": 0,
        "memory": "m",
        "title": "M",
        "stored": 0.0,
        "effective": 1.0,
        "converged": 1.0,
        "lost": 0.0,
    }

    def said(*levels, **last):
        table = [
            base | {"level": 0.1 * index, "exact": exact, "echoed": 0.0}
            for index, exact in enumerate(levels)
        ]
        table[-1] |= last
        return verdicts(table)[-1]

    assert (
        said(1.0, 0.95) == "M: recalls 95% of the cues even at 10% damage, the most that was tried."
    )
    assert said(1.0, 0.95, 0.2, stored=0.9).endswith(
        "95% of the cues at 10% damage and 20% at 20%, where it converges to other stored patterns."
    )
    blend = "it blends about 40 patterns into one that was never stored"
    assert said(0.3, effective=40.2) == f"M: recalls 30% of undamaged cues: {blend}."
    assert said(1.0, 0.1, lost=0.8).endswith("finds nothing within reach.")
    assert said(1.0, 0.1, converged=0.2).endswith("does not converge.")
    assert said(1.0, 0.1, echoed=1.0).endswith("returns most of them unchanged.")


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        ({"memories": ("hopfeld",)}, "memory must be one of"),
        ({"domain": "real", "memories": ("sdm",)}, "memory must be one that stores real numbers"),
        ({"seeds": 0}, "seeds must be"),
        ({"cues": 1.5}, "cues must be"),
        ({"steps": 0}, "steps must be"),
        ({"levels": (-0.1,)}, "levels must be"),
        ({"levels": (math.nan,)}, "levels must be"),
        ({"levels": (2.0,)}, "levels must be"),
        ({"memories": 0.5}, "memories must be a sequence of names"),
        ({"memories": "sdm"}, "memories must be a sequence of names"),
        ({"memories": (0.5,)}, "memories must be names of memories"),
        ({"levels": 0.5}, "levels must be a sequence of numbers"),
        ({"levels": None}, "levels must be a sequence of numbers"),
        ({"kind": "flips"}, "kind must be one of"),
        ({"kind": []}, "kind must be one of"),
        ({"given": ("sdm.radius",)}, "given must be a dict from"),
        ({"given": {1: 2}}, "given must be a dict from"),
        ({"given": {"sdm.radios": 3}}, "sdm.radius"),
        ({"given": {"sdn.radius": 3}}, "name a memory that takes part"),
        ({"given": {"sdm.radius": 64}}, "radius must be an integer from 0 to 63"),
        ({"given": {"sdm.radius": 0.5}}, "radius must be an integer"),
        ({"given": {"dense.order": 1}}, "order must be"),
        ({"given": {"modern_hopfield.beta": -1}}, "beta must be"),
        ({"given": {"hopfield.diagonal": "one"}}, "diagonal must be one of"),
        ({"given": {"sdm.locations": 0}}, "locations must be"),
        (
            {"given": {"modern_hopfield.similarity": "near"}},
            "similarity must be one of 'closeness'",
        ),
    ],
)
def test_a_plan_that_does_not_fit_gets_a_sentence(plan, sentence):
    with pytest.raises(kanerva.InputError, match=sentence):
        recall.compare(data.load("letters"), plan_of(**({"seeds": 1, "cues": 3} | plan)))


@pytest.mark.parametrize(
    ("given", "do"),
    [
        ("dens.order", "write 'dense', or name a memory that takes part"),
        ("order", "name a memory that takes part"),
        ("zzz.order", "name a memory that takes part"),
    ],
)
def test_the_nearest_memory_of_a_given_parameter_is_named(given, do):
    with pytest.raises(kanerva.InputError, match=r"set must be NAME\.PARAMETER=VALUE") as caught:
        recall.compare(data.load("letters"), recall.Plan(seeds=1, cues=3, given={given: 3}))
    assert caught.value.do == do


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            [[0, 1, 5, 1], [1, 0, 5, 0], [1, 0, 5, 0]],
            ["1 pattern equals an earlier one;", "1 coordinate is the same in"],
        ),
        (
            [[0, 1, 1, 1], [1, 0, 1, 1], [1, 0, 1, 1], [1, 0, 1, 1]],
            ["2 patterns equal an earlier one;", "2 coordinates are the same in"],
        ),
    ],
)
def test_counts_in_notes_are_grammatical(values, said):
    found = data.DataSet.of(np.array(values, dtype=float), name="few")
    result = recall.compare(found, plan_of(memories=("hopfield",), seeds=1, cues=2))
    for words in said:
        assert any(note.startswith(words) for note in result.notes), result.notes


def test_the_readme_holds_the_table_of_memories():
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert "\n".join(memories.table()) in readme
    named = {name for name in kanerva.models.__all__ if f"`{name}`" in "".join(memories.table())}
    assert named == set(kanerva.models.__all__)


def test_entries_cite_what_their_constructors_do():
    for name, entry in memories.ENTRIES.items():
        constructor = {"attention": "sdm_attention"}.get(name, name)
        assert entry.cite == citations.MEMORIES[constructor]
        assert (entry.fill is None) == (name not in ("cdam", "eam"))


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"domains": ()}, 'Entry: domains must be a tuple of "bits", "real" or both'),
        ({"domains": ("colours",)}, "Entry: domains must be"),
        ({"cite": ("nobody1900",)}, "Entry: cite must be keys of"),
    ],
)
def test_an_entry_that_cannot_be_used_gets_a_sentence(changes, sentence):
    with pytest.raises(kanerva.InputError, match=sentence):
        dataclasses.replace(memories.ENTRIES["dense"], **changes)
