"""The recipe on selection: its columns, what it refuses, and what it draws."""

import itertools

import pytest
import torch

from kanerva import InputError
from kanerva.lab import runner
from kanerva.lab.papers import RECIPES
from kanerva.lab.papers.baldi2022 import _selection, select

pytestmark = pytest.mark.untyped

RECIPE = RECIPES["quarks.select"]


def row(**given):
    (found,) = runner.run(RECIPE, given={"kind": "normal"} | given).rows
    return found


@pytest.mark.parametrize("way", select.WAYS)
@pytest.mark.parametrize("kind", ["normal", "whole"])
def test_every_way_selects_and_a_quarter_of_the_weights_does_not(way, kind):
    found = row(inputs=5, units=2, way=way, kind=kind, trials=10)
    assert found["equal"] == found["least"] == 1.0
    assert 0.5 < found["quarter"] < 1.0
    full = found["activation"]
    low, high = (0.5, 1.1) if way in select.SEVERAL else (0.7, 2.1)
    assert low * full < found["largest"] < high * full


@pytest.mark.parametrize("way", select.SEVERAL)
@pytest.mark.parametrize("units", [3, 8])
def test_one_of_several(way, units):
    found = row(inputs=4, units=units, way=way, trials=3)
    bits = (units - 1).bit_length()
    assert found["least"] == 1.0
    assert found["gates"] == (0 if way == "layer" else units - 1)
    assert found["depth"] == (2 if way == "layer" else bits)
    weights = units * (4 + bits + 2)
    assert found["weights"] == weights + (units + 1 if way == "layer" else 0)


def test_many_inputs_are_sampled():
    source = torch.Generator().manual_seed(0)
    assert torch.equal(
        _selection.corners(3, source),
        torch.tensor(list(itertools.product((-1.0, 1.0), repeat=3))).double(),
    )
    some = _selection.corners(40, source)
    assert some.shape == (4096, 40)
    assert some.abs().eq(1).all()
    assert row(inputs=40, units=2, way="synapse", trials=2)["least"] == 1.0


def test_whole_numbers_have_ties():
    source = torch.Generator().manual_seed(0)
    weight, bias = _selection.drawn(20, 6, "whole", source)
    sums = _selection.corners(6, source) @ weight.T + bias
    assert (sums == 0).any()
    assert (weight == weight.round()).all()
    assert weight.abs().max() == 3


@pytest.mark.parametrize(
    ("given", "argument"),
    [
        ({"way": "or"}, "way"),
        ({"kind": "integer"}, "kind"),
        ({"way": "synapse", "units": 3}, "units"),
        ({"units": 1}, "units"),
        ({"inputs": 0}, "inputs"),
        ({"trials": 0}, "trials"),
    ],
)
def test_what_is_refused(given, argument):
    usual = {"inputs": 3, "units": 2, "way": "product", "trials": 1}
    with pytest.raises(InputError) as caught:
        row(**usual | given)
    assert caught.value.argument == argument


def test_figures_are_drawn_from_the_rows_alone():
    ways = [("product", 2), ("product", 3), ("layer", 3), ("synapse", 2)]
    rows = [row(inputs=6, units=units, way=way, trials=2) for way, units in ways]
    assert list(RECIPE.figures(rows)) == ["figure", "figure-share", "figure-size"]
