"""The recipes on learning with gates: their networks, their data, their rows and their figures."""

import itertools

import numpy as np
import pytest
import torch

from kanerva import InputError
from kanerva.lab import plot, runner
from kanerva.lab.papers import RECIPES
from kanerva.lab.papers.baldi2022 import _digits, _parity

pytestmark = pytest.mark.untyped


def design(way="gated units", bits=2, **given):
    usual = {"start": "uniform", "seeds": 5, "steps": 30, "rate": 0.05, "seed": 0}
    return _parity.Design(way=way, bits=bits, **usual | given)


def trained(layers, product, steps=30, rate=0.05):
    """Train one network of torch's linear layers with given weights; return its last outputs."""
    x = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=2)))
    wanted = x[:, 0] * x[:, 1]
    adam = torch.optim.Adam([part for layer in layers for part in layer.parameters()], lr=rate)

    def outputs():
        hidden = torch.tanh(layers[0](x))
        return hidden.prod(-1) if product else torch.tanh(layers[1](hidden)).flatten()

    for _ in range(steps):
        adam.zero_grad()
        ((outputs() - wanted) ** 2).mean().backward()
        adam.step()
    return outputs().detach()


@pytest.mark.parametrize("way", ["gated units", "layer"])
def test_a_network_of_the_batch_learns_as_one_of_torch_alone(way):
    given = design(way)
    weights, outputs = _parity._network(given, torch.Generator().manual_seed(3))
    x, wanted = _parity.points(2)
    begun = [part.detach().clone() for part in weights]
    adam = torch.optim.Adam(weights, lr=given.rate)
    for _ in range(30):
        adam.zero_grad()
        (outputs(x) - wanted).square().mean(-1).sum().backward()
        adam.step()
    layers = []
    for weight, bias in zip(begun[::2], begun[1::2], strict=True):
        layer = torch.nn.utils.skip_init(torch.nn.Linear, weight.shape[-1], weight.shape[-2])
        layer.load_state_dict({"weight": weight[4, 0], "bias": bias[4, 0]})
        layers.append(layer)
    found = trained(layers, way == "gated units")
    assert (found - outputs(x)[4]).abs().max() < 1e-4


def test_no_start_depends_on_how_many_there_are():
    def outputs(seeds):
        given = design(seeds=seeds)
        x, wanted = _parity.points(2)
        weights, found = _parity._network(given, torch.Generator().manual_seed(0))
        with torch.no_grad():
            for part in weights:
                # The same first two networks, whatever comes after them.
                part[:2] = torch.linspace(-1, 1, part[:2].numel()).reshape(part[:2].shape)
        (found(x) - wanted).square().mean(-1).sum().backward()
        return [part.grad[:2] for part in weights]

    for two, nine in zip(outputs(2), outputs(9), strict=True):
        assert (two == nine).all()


def test_weights_of_a_network_are_counted():
    counted = {way: next(_parity.learned(design(way, bits=4)))["weights"] for way in _parity.WAYS}
    assert counted == {"one unit": 5, "gated units": 20, "layer": 25, "wide layer": 49}


def test_points_of_parity():
    x, wanted = _parity.points(3)
    assert len({tuple(row) for row in x.tolist()}) == 8
    assert wanted.tolist() == [(-1.0) ** int((row < 0).sum()) for row in x]


@pytest.mark.parametrize("bits", [2, 3])
def test_gated_units_learn_and_a_single_one_cannot(bits):
    given = {"bits": bits, "seeds": 20, "steps": 300, "way": "one unit,gated units"}
    result = runner.run(RECIPES["quarks.parity"], given=given)
    ends = {row["way"]: row["learned"] for row in result.rows if row["step"] == 300}
    assert ends == {"one unit": 0.0, "gated units": 1.0}


def test_a_start_without_bias_has_none_and_the_normal_one_is_unbounded():
    source = torch.Generator().manual_seed(0)
    uniform = _parity._layer(500, 4, 4, "uniform", source)
    plain = _parity._layer(500, 4, 4, "no bias", source)
    normal = _parity._layer(500, 4, 4, "normal", source)
    assert not plain[1].any()
    assert uniform[0].abs().max() <= 0.5
    assert float(uniform[1].detach().std()) == pytest.approx(0.5 / 3**0.5, rel=0.05)
    assert float(normal[0].detach().std()) == pytest.approx(0.5, rel=0.05)


def test_parity_is_the_same_whatever_the_threads():
    recipe, given = RECIPES["quarks.parity"], {"steps": 50, "bits": 3}
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        two = runner.run(recipe, given=given).rows
    finally:
        torch.set_num_threads(before)
    assert two == runner.run(recipe, given=given).rows


def test_digits_are_black_and_white_and_even_or_odd():
    from sklearn.datasets import load_digits

    raw = load_digits()
    x, wanted = _digits.digits()
    assert (x.numpy() == np.where(raw.data >= 8, 1, -1)).all()
    assert (wanted.numpy() == np.where(raw.target % 2, -1, 1)).all()


def test_every_digit_is_left_out_once_with_a_fifth_of_its_class():
    from sklearn.datasets import load_digits

    left, labels = _digits.outside(), load_digits().target
    assert (left.sum(-1) == 1).all()
    for label in range(10):
        counts = left[labels == label].sum(0)
        assert counts.max() - counts.min() <= 1


def test_products_are_those_of_all_pairs():
    x = torch.tensor([[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0]])
    found = _digits.products(x)
    assert found.tolist() == [[1, -1, 1, -1, 1, -1], [-1, -1, 1, 1, -1, -1]]


@pytest.mark.parametrize("model", ["linear unit", "gated pairs", "layer", "all products"])
def test_a_fold_is_trained_without_the_others(model):
    """One fold in plain torch, from the same weights, gives the same shares."""
    pairs = 1 if model in ("gated pairs", "layer") else 0
    given = _digits.Design(model, pairs, 5, 0.02, 1e-3, 0)
    rows = list(_digits.learned(given))
    x, wanted = _digits.digits()
    x = _digits.products(x) if model == "all products" else x
    train, fold = ~_digits.outside()[:, 3], 3
    parts, _ = _digits._networks(given, x.shape[1])
    count = len(parts[0]) // 5
    mine = [
        part.detach()[fold * count : (fold + 1) * count].clone().requires_grad_()
        if len(part) == 5 * count
        else part.detach()[fold : fold + 1].clone().requires_grad_()
        for part in parts
    ]

    def outputs():
        if model == "gated pairs":
            return ((x @ mine[0].T + mine[1]) * (x @ mine[2].T + mine[3])).sum(-1)
        if model == "layer":
            return ((x @ mine[0].T + mine[1]).tanh() @ mine[2].T + mine[3]).flatten()
        return (x @ mine[0].T + mine[1]).flatten()

    adam = torch.optim.Adam(mine, lr=0.02)
    for _ in range(5):
        adam.zero_grad()
        loss = torch.log1p(torch.exp(-wanted * outputs()))[train].mean()
        (loss + 1e-3 * sum((part**2).sum() for part in mine)).backward()
        adam.step()
    right = outputs() * wanted > 0
    assert rows[3]["test"] == pytest.approx(float(right[~train].double().mean()), abs=0.006)
    assert rows[3]["train"] == pytest.approx(float(right[train].double().mean()), abs=0.002)
    kinds = {"linear unit": 65, "gated pairs": 130, "layer": 133, "all products": 2081}
    assert rows[3]["weights"] == kinds[model] == sum(part.numel() for part in mine)


def test_figures_are_drawn_from_the_rows_of_a_short_run():
    for name, given in (
        ("quarks.parity", {"steps": 20, "seeds": 4}),
        ("quarks.parity", {"steps": 20, "seeds": 4, "start": "uniform,normal"}),
        ("quarks.digits", {"steps": 2, "model": "gated pairs", "pairs": "1,2", "seed": "0,1"}),
    ):
        recipe = RECIPES[name]
        rows = runner.run(recipe, given=given).rows
        for figure in recipe.figures(rows).values():
            assert plot.svg(figure).startswith("<?xml")


@pytest.mark.parametrize(
    ("name", "given", "argument"),
    [
        ("parity", {"bits": 1}, "bits"),
        ("parity", {"bits": 9}, "bits"),
        ("parity", {"way": "two units"}, "way"),
        ("parity", {"start": "zero"}, "start"),
        ("parity", {"seeds": 0}, "seeds"),
        ("parity", {"steps": 0}, "steps"),
        ("parity", {"rate": 0}, "rate"),
        ("parity", {"seed": 2**62 + 1}, "seed"),
        ("digits", {"model": "forest"}, "model"),
        ("digits", {"model": "layer", "pairs": 0}, "pairs"),
        ("digits", {"model": "linear unit", "pairs": 1}, "pairs"),
        ("digits", {"model": "linear unit", "pairs": 0, "steps": -1}, "steps"),
        ("digits", {"model": "linear unit", "pairs": 0, "rate": 0}, "rate"),
        ("digits", {"model": "linear unit", "pairs": 0, "penalty": -1}, "penalty"),
    ],
)
def test_nonsense_is_refused(name, given, argument):
    with pytest.raises(InputError, match=argument):
        runner.run(RECIPES[f"quarks.{name}"], given=given)
