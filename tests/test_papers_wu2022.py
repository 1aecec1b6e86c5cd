"""The recipe of pairs that lie before the window: what is shown, asked, measured and refused."""

import math

import pytest
import torch

import kanerva
from kanerva.lab import plot
from kanerva.lab.papers import RECIPES
from kanerva.lab.papers.wu2022 import _pairs
from kanerva.lab.papers.wu2022._pairs import Design, Model, Texts

SMALL = Design(capacity=64, k=4, heads=2, width=16)


def texts(n: int, seed: int = 0) -> Texts:
    return Texts.draw(n, torch.Generator().manual_seed(seed))


def test_tokens_hold_the_name_and_the_value_or_a_question():
    drawn = texts(3)
    shown, asked = drawn.tokens(asked=False), drawn.tokens(asked=True)
    assert shown.shape == asked.shape == (3, 32, 41)
    torch.testing.assert_close(shown[..., :32] * 32**0.5, drawn.names)
    assert torch.equal(shown[..., 32:].argmax(-1), drawn.values)
    assert torch.equal(asked[..., :32], shown[..., :32])
    assert (asked[..., 32:].argmax(-1) == 8).all()
    parts = [drawn.part(segment) for segment in range(4)]
    assert torch.equal(torch.cat([part.names for part in parts], 1), drawn.names)
    assert torch.equal(torch.cat([part.values for part in parts], 1), drawn.values)


def test_only_a_memory_of_the_same_text_changes_an_answer_by_what_was_shown():
    model, shown, other = Model(SMALL, 0), texts(4), texts(4, seed=1)
    asked = Texts(shown.names, shown.values)
    blank = _pairs.answers(model, shown, asked, memory=False)
    assert torch.equal(_pairs.answers(model, other, asked, memory=False), blank)
    assert len(model.layer) == 0
    _pairs.answers(model, shown, asked, memory=True)
    assert len(model.layer) == 32  # the questions are not stored
    assert model.layer.count.tolist() == [32] * 4


def test_rows_name_what_is_remembered():
    rows = list(_pairs.train(SMALL, near=True, updates=3, every=2, seed=0))
    assert [(row["update"], row["memory"]) for row in rows] == [
        (update, memory) for update in (2, 3) for memory in ("own", "none", "other")
    ]
    for row in rows:
        assert 0 <= min(row["first"], row["last"]) <= row["right"] <= 1
        assert 0.4 < row["gate"] < 0.6


def test_the_loss_asks_in_every_segment_and_at_the_end():
    model, drawn = Model(SMALL, 0), texts(40)
    for near, size, questions in ((True, 16, 5), (False, 8, 1)):
        loss = _pairs._loss(model, drawn, near)
        assert model.layer.count.tolist() == [4 * size] * 40
        # Without training every value is as likely as the others.
        assert loss.item() == pytest.approx(questions * math.log(8), rel=0.05)


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("given", "argument"),
    [
        ({"near": 2}, "near"),
        ({"capacity": 0}, "capacity"),
        ({"k": 0}, "k"),
        ({"updates": 0}, "updates"),
        ({"every": 0}, "every"),
        ({"heads": 3}, "dim"),
        ({"width": 0}, "width"),
        ({"seed": -1}, "seed"),
    ],
)
def test_it_refuses_in_a_sentence(given, argument):
    cell = {"capacity": 8, "k": 2, "near": 1, "updates": 1, "every": 1} | given
    with pytest.raises(kanerva.InputError, match=f"{argument} must be"):
        list(RECIPES["layers.recall"].measure(**cell))


def test_figures_are_drawn_of_what_there_is():
    recipe = RECIPES["layers.recall"]
    shares = {"right": 0.5, "first": 0.4, "last": 1.0, "k": 4, "update": 60}
    rows = [
        shares | {"memory": memory, "capacity": capacity, "near": near}
        for memory in ("own", "none", "other")
        for capacity, near in ((64, 1), (8, 1), (64, 0))
    ]
    figures = recipe.figures(rows)
    assert list(figures) == ["figure", "figure-keys", "figure-capacity"]
    for figure in figures.values():
        assert plot.svg(figure).startswith("<?xml")
    assert list(recipe.figures([rows[0]])) == ["figure"]
