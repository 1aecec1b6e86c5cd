"""Correlation, stability and dependence of gates, against plain code and by their laws."""

import math
import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from kanerva import InputError, nn
from kanerva._core.errors import refuse
from kanerva.lab.papers.huang2024 import (
    _digits,
    _figures_study,
    _study,
    correlation,
    dependence,
    stability,
)

RECIPES = (correlation.correlation, stability.stability, dependence.dependence)
SMALL = _digits.Design(blocks=3, epochs=1)


@pytest.fixture(scope="module")
def given():
    return _digits.split(0)


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows_of(recipe, **cell):
    """Return the rows of one cell, with all of its parameters in front."""
    whole = {one.name: one.default for one in recipe.parameters} | cell
    return [whole | row for row in recipe.measure(**whole)]


# Correlation


def test_correlations_are_those_of_numpy_in_each_definition():
    gates = torch.rand(4, 30, 7, generator=source(), dtype=torch.float64)
    gates = gates + gates[0]
    rows = list(_study.correlations(gates, seed=5))
    assert [(row["over"], row["null"]) for row in rows[:4]] == [
        ("channels", "none"),
        ("channels", "samples"),
        ("channels", "channels"),
        ("samples", "none"),
    ]
    maps = gates.numpy()
    wanted = {
        "channels": np.mean([np.corrcoef(maps[:, one]) for one in range(30)], 0),
        "samples": np.mean([np.corrcoef(maps[:, :, one]) for one in range(7)], 0),
        "both": np.corrcoef(maps.reshape(4, -1)),
    }
    for row in rows:
        if row["null"] == "none":
            matrix = wanted[row["over"]]
            pairs = [float(one) for one in row["pairs"].split()]
            np.testing.assert_allclose(pairs, matrix[np.triu_indices(4, 1)], atol=6e-4)
            assert row["correlation"] == pytest.approx(matrix[np.triu_indices(4, 1)].mean())
            assert row["adjacent"] == pytest.approx(np.diag(matrix, 1).mean())
            assert row["undefined"] == 0
        else:
            found = nn.correlation(gates, row["over"], null=row["null"], seed=5)
            assert row["correlation"] == found.mean


def test_gates_are_recorded_in_evaluation_mode(given):
    net = _digits.build(SMALL, "dia").train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    gates = _study.recorded(net, given.test[:20])
    assert gates.shape == (3, 20, 16)
    assert not gates.requires_grad
    alone = _study.recorded(net, given.test[:1])
    torch.testing.assert_close(gates[:, :1], alone)  # a batch has no part in it
    after = net.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_a_cell_yields_each_definition_and_null_before_and_after_training():
    rows = rows_of(correlation.correlation, variant="shared se", blocks=3, epochs=1)
    kinds = {(row["when"], row["over"], row["null"]) for row in rows}
    assert len(rows) == len(kinds) == 18
    ends = [row for row in rows if row["when"] == "end"]
    assert {row["right"] for row in rows if row["when"] == "start"} == {None}
    assert 0 < ends[0]["right"] < 1
    assert rows[0]["gate"] != ends[0]["gate"]
    assert rows[0]["correlation"] > 0.8  # sharing alone makes it
    drawn = correlation.correlation.figures(rows)
    assert list(drawn) == ["figure", "figure-means"]
    assert len(drawn["figure"].axes) == 5  # four matrices of the one gate, and the colours


# Stability


@pytest.mark.untyped
@pytest.mark.parametrize("variant", ["none", "dia", "se"])
def test_a_look_is_that_of_a_loop_written_out(given, variant):
    net = _digits.build(SMALL._replace(skip=False), variant)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    seen = _study.look(net, given, seed=7)
    after = net.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(weight.grad is None for weight in net.parameters())

    drawn = source(7)
    chosen = torch.randperm(len(given.train), generator=drawn)[: _study.LOOKED]
    pictures, labels = given.train[chosen].double(), given.labels[chosen]
    assert len(labels.unique()) == 10  # the rows of the split are sorted by class
    noise = torch.randn(pictures.shape, generator=drawn, dtype=torch.float64)
    net = net.double().train()

    def walk(x):
        features, gates, state = [], [], None
        x = net.stem(x)
        for place, block in enumerate(net.blocks):
            branch = torch.nn.Sequential(*block.branch)(x)  # without the hook
            gate = torch.ones((), dtype=torch.float64)
            if variant == "dia":
                gate, state = net.shared.gates["stage1"](branch, state)
            elif variant == "se":
                gate, _ = net.shared.gates[f"stage1_block{place + 1}"](branch, None)
            x = (gate * branch).relu()
            features.append(x)
            gates.append(gate.mean())
        return features, gates

    features, gates = walk(pictures)
    loss = torch.nn.functional.cross_entropy(net.head(features[-1].mean((2, 3))), labels)
    loss.backward()
    other, _ = walk(pictures + _study.SMALL * noise)
    torch.testing.assert_close(seen.gates, torch.stack(gates).detach())
    for place, block in enumerate(net.blocks):
        both = torch.cat([block.branch[each].weight.grad.flatten() for each in (0, 3)])
        torch.testing.assert_close(seen.gradients[place], both.norm())
        change = (features[place] - other[place]).norm().detach()
        torch.testing.assert_close(seen.changes[place], change, rtol=1e-6, atol=0)
        torch.testing.assert_close(seen.features[place], features[place].norm().detach())


def test_a_constant_gate_is_the_size_of_a_step():
    """Without skips and norm each block multiplies a change by the gate, exactly."""
    ends = []
    for variant in ("constant", "none"):
        cell = {"variant": variant, "blocks": 5, "skip": 0, "norm": 0}
        rows = rows_of(stability.stability, **cell)
        assert [row["block"] for row in rows] == [1, 2, 4, 5]
        assert {row["gate"] for row in rows} == {0.25 if variant == "constant" else 1.0}
        assert rows[0]["growth"] == 0
        ends.append(rows[-1])
    assert ends[0]["growth"] - ends[1]["growth"] == pytest.approx(-8, abs=1e-6)
    assert ends[0]["relative"] == pytest.approx(ends[1]["relative"], abs=1e-6)
    assert ends[0]["gradient"] < ends[1]["gradient"]


@pytest.mark.untyped
@pytest.mark.parametrize("variant", ["none", "dia"])
def test_a_loss_or_a_gate_that_is_not_finite_is_divergence(variant):
    cell = {"variant": variant, "blocks": 2, "norm": 0, "epochs": 2, "rate": 1e8}
    rows = rows_of(stability.stability, **cell)
    start, end = rows[0], rows[-1]
    assert (start["when"], start["diverged"], end["when"], end["diverged"]) == (
        "start",
        0,
        "end",
        1,
    )
    assert end["loss"] is end["right"] is end["gate"] is end["growth"] is None
    assert end["trained"] < 2
    assert math.isfinite(start["gradient"])
    assert [list(row) for row in rows] == [list(start)] * len(rows)


def test_training_that_ends_is_no_divergence_and_other_errors_stay(given, monkeypatch):
    rows = rows_of(stability.stability, variant="dia", blocks=2, epochs=1)
    end = rows[-1]
    assert (end["diverged"], end["trained"]) == (0, 1)
    assert 0 < end["right"] < 1
    assert 1 < end["loss"] < 3

    def other(*_):
        refuse("gate", "none", must="a gate", do="choose one")

    monkeypatch.setattr(_digits, "train", other)
    with pytest.raises(InputError, match="gate must be"):
        _study.fitted(_digits.build(SMALL, "none"), given, SMALL)


def test_rows_are_those_of_powers_of_two_and_the_last_block():
    assert _study.shown(1) == [1]
    assert _study.shown(6) == [1, 2, 4, 6]
    assert _study.shown(32) == [1, 2, 4, 8, 16, 32]


# Dependence


@pytest.mark.untyped
def test_a_forest_finds_the_block_that_a_gate_follows():
    gates = torch.rand(4, 400, 5, generator=source())
    gates[3] = gates[1] ** 2  # the fourth block follows the second
    rows = list(_study.dependence(gates, trees=20, seed=0))
    assert [(row["block"], row["earlier"]) for row in rows] == [
        (2, 1),
        (3, 1),
        (3, 2),
        (4, 1),
        (4, 2),
        (4, 3),
    ]
    last = {row["earlier"]: row["importance"] for row in rows if row["block"] == 4}
    assert last[2] > 0.6
    assert sum(last.values()) == pytest.approx(1)
    assert rows[-1]["right"] > 0.5
    assert all(row["right"] < 0.05 for row in rows if row["block"] < 4)
    assert all(row["shuffled"] < 0.05 for row in rows)
    again = list(_study.dependence(gates, trees=20, seed=0))
    assert again == rows
    assert list(_study.dependence(gates, trees=20, seed=1)) != rows


@pytest.mark.untyped
def test_dependence_does_not_hang_on_the_scale_of_the_gates():
    gates = torch.rand(3, 200, 4, generator=source(), dtype=torch.float64)
    gates[2] = gates[0].flip(-1)
    rows = list(_study.dependence(gates, 10, 0))
    small = list(_study.dependence(0.25 + 1e-9 * gates, 10, 0))
    for one, other in zip(rows, small, strict=True):
        assert one["right"] == pytest.approx(other["right"], abs=1e-3)


def test_gates_that_do_not_vary_are_refused():
    gates = torch.rand(3, 40, 4, generator=source())
    gates[1] = 0.5
    with pytest.raises(InputError, match="block 2 must be"):
        list(_study.dependence(gates, 5, 0))


# Recipes


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda one: one.name)
def test_checks_have_names_of_their_own_and_cells_to_apply_to(recipe):
    names = [check.what for check in recipe.checks]
    assert len(set(names)) == len(names)
    for check in recipe.checks:
        for at in (check.at, check.less):
            told = {key: value for key, value in at.items() if key in recipe.cells("paper")[0]}
            assert any(
                all(cell[key] == value for key, value in told.items())
                for cell in recipe.cells("paper")
            ), check.what
    assert max(len(word) for word in re.findall(r"\w+", recipe.title)) < 13
    assert len(recipe.about.split()) > 30
    assert all(cell["seed"] in range(3) for cell in recipe.cells("paper"))


def test_quick_rows_of_all_recipes_are_judged_and_drawn():
    """The smallest cells; the quick ones themselves take longer than a test may."""
    rows = [
        row
        for cell in stability.stability.cells("quick")
        if not cell["epochs"] and cell["variant"] in ("none", "constant") and not cell["skip"]
        for row in rows_of(stability.stability, **cell)
    ]
    verdicts = [one for one in stability.stability.judge(rows) if one.ok is not None]
    assert len(verdicts) >= 4
    assert all(one.ok for one in verdicts)
    assert list(stability.stability.figures(rows)) == ["figure"]
    rows = rows_of(dependence.dependence, variant="dia", blocks=3, epochs=0, trees=5)
    verdicts = [one for one in dependence.dependence.judge(rows) if one.ok is not None]
    assert len(verdicts) == 2
    assert all(one.ok for one in verdicts)
    (figure,) = dependence.dependence.figures(rows).values()
    assert len(figure.axes) == 1


def test_all_figures_of_stability_are_drawn_where_rows_show_them():
    base = {"skip": 1, "norm": 0, "variant": "dia", "seed": 0, "rate": 0.05, "first": "he"}
    shown = {"gate": 0.2, "gradient": 1.0, "growth": 0.5, "relative": 0.5}
    rows = [
        base | shown | {"when": "end", "block": 6, "last": 1, "diverged": 0, "trained": epochs}
        | {"blocks": blocks, "epochs": epochs, "right": 0.9, "loss": 0.1}
        for blocks, epochs in ((6, 2), (16, 2), (6, 20), (6, 60))
    ]  # fmt: skip
    starts = [
        row | {"when": "start", "epochs": 0, "block": block} for row in rows for block in (1, 6)
    ]
    drawn = stability.stability.figures(starts + rows)
    words = ("gradients", "diverged", "gates")
    assert list(drawn) == ["figure", *(f"figure-{word}" for word in words)]
    assert set(_figures_study.GATES) >= set(correlation.NAMES)


@pytest.mark.parametrize(
    ("recipe", "cell", "words"),
    [
        (correlation.correlation, {"variant": "none"}, "variant must be one of"),
        (correlation.correlation, {"variant": "dia", "blocks": 1}, "blocks must be"),
        (dependence.dependence, {"variant": "dia", "trees": 0}, "trees must be"),
        (dependence.dependence, {"variant": "constant"}, "variant must be one of"),
        (stability.stability, {"variant": "dia", "skip": 2}, "skip must be"),
        (stability.stability, {"variant": "dia", "rate": 0.0}, "rate must be"),
        (stability.stability, {"variant": "all"}, "variant must be one of"),
        (stability.stability, {"variant": "dia", "first": "xavier"}, "first must be one of"),
    ],
)
@pytest.mark.untyped
def test_wrong_parameters_are_refused_under_the_name_of_the_recipe(recipe, cell, words):
    with pytest.raises(InputError, match=f"{recipe.name}: {words}"):
        rows_of(recipe, **cell)


def test_recipes_are_read_without_torch():
    names = ", ".join(f"kanerva.lab.papers.huang2024.{one}" for one in (
        "correlation", "stability", "dependence"))  # fmt: skip
    code = f"import {names}, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
