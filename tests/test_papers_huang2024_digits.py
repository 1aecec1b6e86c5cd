"""Gates of the digits network: parameters, intervals, recipes and figures."""

import copy
import itertools

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import ttest_rel

from kanerva import InputError
from kanerva.lab import data, plot, runner
from kanerva.lab.papers.huang2024 import (
    _digits,
    _figures_digits,
    _intervals,
    _published,
    _trials,
    ablation,
    digits,
    parameters,
)
from kanerva.lab.recipe import Recipe

RECIPES: list[Recipe] = [parameters.parameters, digits.digits, ablation.ablation]
SMALL = _digits.Design(blocks=2, width=4, epochs=1)


# Intervals


def test_an_interval_is_that_of_the_paired_test_of_scipy():
    source = np.random.default_rng(0)
    one, other = source.normal(size=(2, 7))
    found = _intervals.paired(one.tolist(), other.tolist())
    wanted = ttest_rel(one, other).confidence_interval(0.95)
    assert found.mean == pytest.approx((one - other).mean(), abs=1e-14)
    assert found[1:] == pytest.approx((wanted.low, wanted.high), abs=1e-12)
    narrow = _intervals.paired(one.tolist(), other.tolist(), level=0.5)
    assert found.low < narrow.low < narrow.mean < narrow.high < found.high


def test_an_interval_covers_the_mean_as_often_as_it_says():
    source = np.random.default_rng(1)
    given = source.normal(0.3, 1.0, size=(1000, 5))
    found = [_intervals.paired(row.tolist(), [0.0] * 5) for row in given]
    covered = sum(one.low <= 0.3 <= one.high for one in found)
    assert 925 <= covered <= 975


def test_an_interval_shows_a_sign_or_none():
    assert _intervals.paired([2.0, 2.1], [1.0, 1.1]).shows == 1
    assert _intervals.paired([1.0, 1.1], [2.0, 2.1]).shows == -1
    assert _intervals.paired([1.0, 2.0], [2.0, 1.0]).shows == 0


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ([1.0], [1.0], 0.95),
        ([1.0, 2.0], [1.0], 0.95),
        ([1.0, float("nan")], [1.0, 2.0], 0.95),
        ([1.0, 2.0], [1.0, None], 0.95),
        ([1.0, 2.0], [1.0, 3.0], 1.0),
        ([1.0, 2.0], [1.0, 3.0], 0.0),
    ],
)
def test_an_interval_refuses_what_has_none(one, other, level):
    with pytest.raises(InputError):
        _intervals.paired(one, other, level)


# Published networks


def test_networks_are_those_of_transformers():
    """The networks of ImageNet and of CIFAR, whose first convolution is another one."""
    found = pytest.importorskip("transformers")
    config = found.ResNetConfig(num_labels=1000)
    with torch.device("meta"):
        other = found.ResNetForImageClassification(config)
    assert _published.counted("ImageNet ResNet", 50, "none").plain == total(other)
    sizes = {"embedding_size": 16, "hidden_sizes": [64, 128, 256], "depths": [3, 3, 3]}
    config = found.ResNetConfig(**sizes, num_labels=100, downsample_in_first_stage=False)
    with torch.device("meta"):
        other = found.ResNetForImageClassification(config)
    first = 16 * 3 * (7 * 7 - 3 * 3)
    assert _published.counted("ResNet bottleneck", 29, "none").plain == total(other) - first


def total(net):
    return sum(weight.numel() for weight in net.parameters())


@pytest.mark.parametrize(
    ("gate", "added"), [("se", 49 + 162 + 580), ("shared se", 791), ("dia", 776 + 2832 + 10784)]
)
def test_what_gates_add_is_the_sum_over_stages(gate, added):
    for depth, blocks in ((8, 1), (14, 2)):
        found = _published.counted("PreResNet", depth, gate)
        assert found.added == found.parameters - found.plain == added * blocks ** (gate == "se")
        assert (found.blocks, found.stages) == (3 * blocks, 3)


def test_the_normalisation_of_the_authors_is_counted():
    found = _published.counted("WRN 4", 10, "dia and norm")
    assert found.added - _published.counted("WRN 4", 10, "dia").added == 2 * (64 + 128 + 256)


def test_a_network_is_built_without_random_numbers():
    before = torch.get_rng_state()
    net = _published.built(_published.FAMILIES["ResNeXt 8x32"], 11)
    assert torch.equal(torch.get_rng_state(), before)
    assert net(torch.ones(2, 3, 8, 8)).abs().max() == 0


@pytest.mark.parametrize(
    ("network", "depth", "gate", "argument"),
    [
        ("ResNet", 21, "dia", "depth"),
        ("ResNet", 2, "dia", "depth"),
        ("ImageNet ResNet", 101, "dia", "depth"),
        ("VGG", 20, "dia", "network"),
        ("ResNet", 20, "lstm", "gate"),
        ("ResNet", 20, "dia and norm", "gate"),
    ],
)
def test_a_network_that_does_not_exist_is_refused(network, depth, gate, argument):
    with pytest.raises(InputError) as error:
        list(parameters.parameters.measure(network, depth, gate))
    assert error.value.argument == argument


# Trainings


def test_wider_blocks_have_about_the_weights_of_the_cell():
    for blocks, width, norm in ((1, 16, True), (6, 24, True), (4, 16, False)):
        design = _digits.Design(blocks=blocks, width=width, norm=norm)
        net = _trials.widened(design)
        wanted = total(_digits.build(design, "dia"))
        assert 2 * abs(total(net) - wanted) <= 18 * width + 2
        assert net(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    inner = [block.branch[0].out_channels for block in _trials.widened(_digits.Design()).blocks]
    assert inner == [17, 17, 17, 16, 16, 16]


@pytest.mark.parametrize("first", ["he", "torch"])
def test_variants_of_a_seed_share_their_weights(first):
    design = SMALL._replace(first=first, seed=3)
    plain = _digits.build(design, "none").state_dict()
    built = [_digits.build(design, variant) for variant in ("se", "dia", "recall", "scale")]
    built.append(_trials.gated(design, _trials.cell("relu", 2), "block", 2))
    for net in built:
        held = net.state_dict()
        assert all(torch.equal(held[name], one) for name, one in plain.items())
    other = _digits.build(design._replace(seed=4), "none").state_dict()
    assert not torch.equal(other["stem.0.weight"], plain["stem.0.weight"])


def test_gates_of_ones_own_are_those_of_the_variant():
    design = SMALL._replace(seed=2)
    one = _digits.build(design, "dia")
    other = _trials.gated(design, _trials.cell("sigmoid", 1), "stage", 4)
    x = torch.linspace(-1, 1, 2 * 64).reshape(2, 1, 8, 8)
    assert torch.equal(one.eval()(x), other.eval()(x))
    tanh = _trials.gated(design, _trials.cell("tanh", 1), "stage", 4)
    assert not torch.equal(one(x), tanh.eval()(x))


def test_the_mean_gate_is_that_of_all_blocks():
    given = _digits.split(0)
    assert _trials.mean_gate(_digits.build(SMALL, "none"), given) is None
    net = _digits.build(SMALL, "scale")
    with torch.no_grad():
        next(net.shared.parameters()).copy_(torch.tensor([0.5, 0.75]))
    assert _trials.mean_gate(net, given) == pytest.approx(0.625, abs=1e-7)
    net = _digits.build(SMALL, "se")
    gates = []
    for block in net.blocks:
        block.register_forward_hook(lambda block, given, output: gates.append(None))
    found = _trials.mean_gate(net, given)
    assert len(gates) == 2
    assert 0.3 < found < 0.7


def test_pictures_of_ones_own_have_their_classes_and_colours(tmp_path, monkeypatch):
    source = np.random.default_rng(0)
    for kind in range(12):
        home = tmp_path / "many" / f"kind{kind:02}"
        home.mkdir(parents=True)
        for n in range(12):
            pixels = source.integers(0, 255, (12, 10, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(home / f"{n}.png")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "from kanerva.lab import data\n"
        "def grey():\n"
        "    return data.load('many', domain='real')\n"
        "def few():\n"
        "    return data.load('many', domain='real', patterns=127)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name, colours in (("many", 3), ("mine:grey", 1)):
        assert _digits.colours_and_classes(name) == (colours, 12)
        given = _digits.split(0, name)
        assert given.train.shape == (72, colours, 12, 10)
        assert given.labels.bincount().tolist() == given.answers.bincount().tolist() == [6] * 12
        cell = {"data": name, "epochs": 1, "blocks": 2, "variant": "none,dia"}
        rows = runner.run(digits.digits, given={**cell, "first": "torch"}).rows
        # 144 weights a colour, two blocks of two convolutions, a linear map to 12 classes.
        convolutions = 144 * colours + 4 * 9 * 16 * 16
        assert rows[0]["parameters"] == convolutions + 5 * 2 * 16 + 17 * 12
        assert rows[1]["parameters"] == rows[0]["parameters"] + 776
        assert 0 <= rows[1]["accuracy"] <= 1
    # The colours of a pixel stay together: the first picture of the first class.
    rows = data.load("many", domain="real", colour=True)
    picture = rows.real[0].reshape(rows.shape).permute(2, 0, 1)
    assert torch.equal(_digits._loaded("many")[0][0], picture)
    with pytest.raises(InputError, match="data must be 128 pictures of two classes or more"):
        _digits.split(0, "mine:few")
    for n in range(1, 12):
        (tmp_path / "many" / f"kind{n:02}").rename(tmp_path / f"kind{n:02}")
    (tmp_path / "many").rename(tmp_path / "one")
    for n in range(130):
        Image.fromarray(pixels).save(tmp_path / "one" / "kind00" / f"{n}.png")
    with pytest.raises(InputError, match="two classes or more, but it was 'one' with 130 in 1;"):
        _digits.split(0, "one")
    with pytest.raises(InputError, match="data must be a set of pictures with classes"):
        _digits.split(0, "wine")


def test_without_epochs_the_weights_are_drawn():
    given = {"epochs": 0, "first": "he", "variant": "none,dia", "blocks": 2}
    found = runner.run(digits.digits, given=given)
    (figure,) = digits.digits.figures(found.rows).values()
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["no gate", "DIA"]


def test_a_trial_is_of_the_last_epoch():
    design = SMALL._replace(epochs=3, rate=0.1)
    net = _digits.build(design, "dia")
    copied = copy.deepcopy(net)
    found = _trials.trial(net, design, timed=True)
    given = _digits.split(design.seed)
    start = _trials.mean_gate(copied, given)
    losses = list(_digits.train(copied, given, design))
    assert found.loss == losses[-1] < losses[0]
    assert found.accuracy == _digits.accuracy(copied, given)
    assert (found.start, found.end) == (start, _trials.mean_gate(copied, given))
    assert found.start != found.end
    assert found.epoch > 0
    assert found.parameters == total(net)
    again = _trials.trial(_digits.build(design, "dia"), design)
    assert again == found._replace(epoch=None)


@pytest.mark.parametrize(
    ("recipe", "given"),
    [
        (digits.digits, {"variant": "lstm"}),
        (digits.digits, {"first": "zeros"}),
        (digits.digits, {"blocks": 0}),
        (digits.digits, {"epochs": -1}),
        (digits.digits, {"data": "random"}),
        (digits.digits, {"timed": 2}),
        (ablation.ablation, {"network": "VGG"}),
        (ablation.ablation, {"gate": "se"}),
        (ablation.ablation, {"squash": "sine"}),
        (ablation.ablation, {"reduction": 0}),
        (ablation.ablation, {"cells": 0}),
        (ablation.ablation, {"scope": "net"}),
        (ablation.ablation, {"network": "ResNet164", "squash": "tanh"}),
        (ablation.ablation, {"network": "ResNet164", "epochs": 3}),
    ],
)
@pytest.mark.untyped
def test_a_cell_out_of_range_is_refused(recipe, given):
    cell = recipe.cells("paper")[-1] | {"epochs": 0} | given
    with pytest.raises(InputError):
        list(recipe.measure(**cell))


# Recipes and figures


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_every_check_has_cells_in_the_paper_size(recipe):
    columns = set(recipe.cells("paper")[0])
    for check in recipe.checks:
        for at in filter(None, (check.at, check.less)):
            assert set(at) <= columns
            assert any(
                all(cell[name] == value for name, value in at.items())
                for cell in recipe.cells("paper")
            ), check.what
    named = [check.what for check in recipe.checks]
    assert len(named) == len(set(named))
    assert max(map(len, recipe.title.split())) < 13
    assert len(recipe.about.split()) > 30


@pytest.mark.parametrize("variant", _digits.VARIANTS)
def test_the_parameters_of_a_check_are_counted(variant):
    """The networks of six blocks, without training."""
    found = next(digits.digits.measure(variant, "he", "digits", 6, 0, 0))
    assert found["parameters"] == digits.SIZES[variant]
    assert found["accuracy"] is found["loss"] is found["end"] is found["epoch"] is None


def rows_of_digits(shift):
    cells = itertools.product(("none", "dia", "se"), ("he", "torch"), range(3))
    return [
        {"variant": variant, "first": first, "seed": seed, "epochs": 20, "epoch": None}
        | {"accuracy": 0.9 + 0.01 * seed + (shift[seed] if variant == "dia" else 0.0)}
        for variant, first, seed in cells
    ]


def test_the_figure_draws_paired_differences_with_their_intervals():
    shift = (-0.01, -0.02, -0.03)
    timed = [
        {"variant": variant, "first": "he", "seed": seed, "epochs": 2, "accuracy": 0.1}
        | {"epoch": epoch + seed}
        for variant, epoch in (("none", 2.0), ("dia", 3.0))
        for seed in range(2)
    ]
    drawn = _figures_digits.differences(rows_of_digits(shift) + timed)
    assert list(drawn) == ["", "accuracy", "time"]
    assert drawn["time"].axes[0].lines[-1].get_xdata() == [1.5]
    lines = [line.get_xydata() for line in drawn[""].axes[0].lines]
    mean, low, high = _intervals.paired([100 * one for one in shift], [0.0] * 3)
    found = [line[:, 0].tolist() for line in lines]
    assert sum(np.allclose(line, (low, high)) for line in found if len(line) == 2) >= 2
    assert any(mean == pytest.approx(line[0]) for line in found)
    assert all(plot.svg(figure).startswith("<?xml") for figure in drawn.values())


def test_figures_of_one_seed_have_no_interval():
    rows = [row for row in rows_of_digits((-0.01, 0.0, 0.0)) if row["seed"] == 0]
    figure = _figures_digits.differences(rows)[""]
    assert "of one seed" in figure.get_label()


def test_the_figure_of_the_parts_names_what_differs():
    rows = [
        {"network": "digits", "epochs": 20, "seed": seed, "start": 0.25}
        | setting
        | {"accuracy": 0.9 + 0.01 * seed}
        for setting in ablation.SETTINGS
        for seed in range(2)
    ]
    drawn = _figures_digits.parts(rows, ablation.USUAL)
    names = [label.get_text() for label in drawn[""].axes[0].get_yticklabels()]
    assert names[:4] == ["no gate", "reduction 1", "reduction 8", "reduction 16"]
    assert names[4:] == [
        "squashed by tanh",
        "squashed by relu",
        "2 cells",
        "3 cells",
        "a cell a block",
    ]


def test_the_figure_of_sizes_is_drawn_from_rows():
    cells = itertools.product((29, 164), ("none", "se", "dia"))
    rows = [
        {"network": parameters.DEEP, "depth": depth, "gate": gate, "added": depth, "percent": 1.0}
        for depth, gate in cells
    ]
    drawn = _figures_digits.sizes(rows, parameters.DEEP)
    assert list(drawn) == ["", "networks"]
    assert len(drawn[""].axes[0].lines) == 2
