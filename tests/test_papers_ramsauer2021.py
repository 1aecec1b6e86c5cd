"""The recipe of bags with hidden patterns: what is drawn, measured and refused."""

import pytest
import torch

import kanerva
from kanerva.lab import plot, runner
from kanerva.lab.papers import RECIPES
from kanerva.lab.papers.ramsauer2021 import _bags
from kanerva.lab.papers.ramsauer2021._bags import Bags, Design, Drawn, Model


def test_half_of_the_bags_contain_a_pattern_at_their_place():
    bags = Bags(3)
    drawn = bags.draw(4000)
    rows = drawn.rows[torch.arange(4000), drawn.place]
    known = (rows[:, None] == bags.patterns).all(-1).any(-1)
    assert known[drawn.positive].all()
    assert drawn.positive.double().mean().item() == pytest.approx(0.5, abs=0.03)
    # A row of 12 bits is one of 4 patterns by chance once in 1,024.
    assert known[~drawn.positive].double().mean().item() < 0.01
    assert len({tuple(row) for row in bags.patterns.tolist()}) == 4
    same = Bags(3).draw(4000)
    assert torch.equal(same.rows, drawn.rows)


def test_the_best_answer_by_plain_search():
    bags = Bags(0)
    drawn = bags.draw(500)
    patterns = {tuple(row) for row in bags.patterns.tolist()}
    right = sum(
        any(tuple(row) in patterns for row in bag) == positive
        for bag, positive in zip(drawn.rows.tolist(), drawn.positive.tolist(), strict=True)
    )
    assert bags.best(drawn) == pytest.approx(right / 500)


@pytest.mark.parametrize("pool", ["mean", "latents", "lookup"])
def test_the_order_of_rows_does_not_matter(pool):
    model, drawn = Model(Design(pool, 2, 4, 16), 1), Bags(0).draw(6)
    torch.testing.assert_close(model(drawn.rows.flip(1)), model(drawn.rows))
    assert (model.beta() is None) == (pool == "mean")


def test_found_is_the_share_of_patterns_with_the_largest_weight():
    model, bags = Model(Design("latents", 1, 2, 8), 0), Bags(0)
    drawn = bags.draw(40)
    weights = model.pool.weights(model.map(drawn.rows).relu()).mean(1)[:, 0]
    largest = [int(row.argmax()) for row in weights]
    pairs = list(zip(largest, drawn.place.tolist(), drawn.positive.tolist(), strict=True))
    wanted = [a == b for a, b, positive in pairs if positive]
    assert model.found(drawn) == pytest.approx(sum(wanted) / len(wanted))
    there = Drawn(drawn.rows, drawn.positive, weights.argmax(-1))
    assert model.found(there) == 1


def test_weights_leave_the_global_generator_alone():
    before = torch.get_rng_state()
    one, two = (Model(Design("latents", 1, 2, 8), 5) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_short_run_has_a_row_for_each_look():
    rows = list(_bags.train(Design("lookup", 2, 2, 8), 5, 2, 0))
    assert [row["update"] for row in rows] == [2, 4, 5]
    assert all(0 <= row["right"] <= row["best"] + 0.6 for row in rows)
    assert {row["found"] for row in rows} == {None}


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("given", "argument"),
    [
        ({"pool": "max"}, "pool"),
        ({"steps": 0}, "steps"),
        ({"updates": 0}, "updates"),
        ({"every": 0}, "every"),
        ({"heads": 0}, "heads"),
        ({"heads": 3}, "dim"),
        ({"width": 2**20}, "width"),
        ({"seed": -1}, "seed"),
    ],
)
def test_it_refuses_in_a_sentence(given, argument):
    cell = {"pool": "latents", "updates": 1, "every": 1} | given
    with pytest.raises(kanerva.InputError, match=f"{argument} must be"):
        list(RECIPES["layers.instances"].measure(**cell))


@pytest.mark.untyped
def test_a_figure_of_any_rows():
    recipe = RECIPES["layers.instances"]
    given = {"pool": "mean", "updates": 4, "every": 2}
    rows = runner.run(recipe, given=given).rows
    for figure in recipe.figures(rows).values():
        assert plot.svg(figure).startswith("<?xml")
