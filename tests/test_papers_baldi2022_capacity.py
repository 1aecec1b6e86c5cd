"""The recipes on capacity: what their columns mean, what they refuse and draw."""

import math

import pytest

from kanerva import InputError
from kanerva.lab import plot, runner
from kanerva.lab.papers import RECIPES
from kanerva.lab.papers.baldi2022 import _units, gates
from kanerva.quarks import capacity


def row(name, **given):
    (found,) = runner.run(RECIPES[name], given=given).rows
    return found


def test_columns_of_one_unit():
    found = row("quarks.threshold", inputs=4, degree=2)
    assert found["functions"] == 57574
    assert found["share"] == 57574 / 65536
    assert found["bits"] == math.log2(57574)
    assert found["ratio"] == math.log2(57574) / (4**3 / 2)
    assert (found["lower"], found["upper"]) == capacity.bounds("threshold", 4, 2)[:2]
    assert found["inside"] == 1


@pytest.mark.parametrize(
    ("unit", "functions", "share"),
    [
        ("masked", 2373, 2373 / 3**8),
        ("shared01", 35846, 35846 / 4**8),
        ("step", 144, 144 / 256),
        ("any", 254, 254 / 256),
    ],
)
def test_columns_of_gated_units(unit, functions, share):
    found = row("quarks.gates", unit=unit, inputs=3, degree=1)
    assert found["functions"] == functions
    assert found["share"] == pytest.approx(share)
    assert (found["parity"] is None) == (unit in _units.FEW)
    assert found["inside"] == 1


def test_parity_is_the_product_of_the_inputs():
    for n in (1, 2, 3, 4):
        unit = capacity.functions("threshold", n)
        every = [gates._parity(n)]
        for place in range(n):
            # The table of one input.
            mask = sum(1 << i for i in range(2**n) if i >> (n - 1 - place) & 1)
            assert mask in unit
            every.append(mask)
        full = 2 ** (2**n) - 1
        product = full
        for mask in every[1:]:
            product = full ^ product ^ mask
        assert every[0] == product


def test_an_unknown_number_is_left_out_of_the_bounds():
    found = _units.bounded("product", 6, 1, None)
    assert found["bits"] is found["inside"] is None
    assert found["lower"] < found["upper"] < found["leading"]


def test_an_estimate_is_compared_with_the_number():
    found = row("quarks.capacity", unit="threshold", inputs=4, degree=1, width=20, runs=5)
    estimate = capacity.estimate(4, width=20, runs=5)
    assert found["estimated"] == estimate.bits
    assert found["error"] == estimate.error / estimate.count
    assert found["away"] == (estimate.count - 1882) / estimate.error
    assert found["refined"] == 8.0
    plain = row("quarks.capacity", unit="threshold", inputs=4, degree=1, width=0)
    assert plain["estimated"] is plain["away"] is None
    assert plain["bits"] == math.log2(1882)


def test_what_is_not_counted_has_bounds_alone():
    found = row("quarks.capacity", unit="product", inputs=9, degree=2, width=0)
    assert found["bits"] is found["refined"] is None
    assert found["lower"] < found["upper"]


def test_weights_and_depth():
    product = row("quarks.depth", inputs=4, way="product", units=2)
    layer = row("quarks.depth", inputs=4, way="layer", units=2)
    assert (product["weights"], product["depth"], product["missing"]) == (10, 1, 65536 - 54310)
    assert (layer["weights"], layer["depth"], layer["missing"]) == (13, 2, 65536 - 41614)
    assert product["lacking"] == 0
    assert layer["lacking"] is None


CELLS = [
    ("threshold", {"inputs": 2, "degree": 1}),
    ("gates", {"unit": "and,threshold,masked", "inputs": 2, "degree": 1}),
    ("gates", {"unit": "and", "inputs": 3, "degree": 2}),
    ("capacity", {"unit": "threshold", "inputs": "3,4", "degree": 1, "width": 5, "runs": 2}),
    ("depth", {"inputs": 2, "way": "and", "units": "1,2"}),
]


@pytest.mark.parametrize(("name", "given"), CELLS)
def test_figures_are_drawn_from_the_rows_of_few_cells(name, given):
    recipe = RECIPES[f"quarks.{name}"]
    for figure in recipe.figures(runner.run(recipe, given=given).rows).values():
        assert plot.svg(figure).startswith("<?xml")
        assert figure.get_label().endswith(".")


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("name", "given", "argument"),
    [
        ("threshold", {"inputs": 0}, "inputs"),
        ("threshold", {"inputs": 9}, "inputs"),
        ("threshold", {"degree": 0}, "degree"),
        ("gates", {"unit": "nand"}, "unit"),
        ("gates", {"unit": "step", "inputs": 3, "degree": 2}, "degree"),
        ("capacity", {"unit": "threshold", "width": -1}, "width"),
        ("capacity", {"unit": "nand"}, "unit"),
        ("depth", {"way": "or"}, "way"),
        ("depth", {"units": 0}, "units"),
    ],
)
def test_nonsense_is_refused(name, given, argument):
    with pytest.raises(InputError, match=argument):
        runner.run(RECIPES[f"quarks.{name}"], given=given)
