"""The recipe on completed digits: its data, its models, its rows, and what it refuses."""

import numpy as np
import pytest
import torch

from kanerva import InputError
from kanerva.lab import runner
from kanerva.lab.papers import RECIPES
from kanerva.lab.papers.hoover2023energy import _completion, _models

RECIPE = RECIPES["layers.completion"]
TINY = {"width": 8, "steps": 2, "rate": 0.2, "updates": 3, "batch": 4, "seed": 0}


def design(model="softmax", **changed):
    return _models.Design(**({"model": model} | TINY | changed))


@pytest.mark.untyped
def test_patches_are_those_of_the_digits():
    from sklearn.datasets import load_digits

    digits = _models.digits(3)
    wanted = {tuple(row) for row in (load_digits().data / 16).tolist()}
    assert len(digits.train) + len(digits.test) == 1797
    assert len(digits.test) == 450
    none = digits._replace(hidden=torch.zeros_like(digits.hidden))
    rows = _models.filled(digits.test, none)
    assert {tuple(row) for row in rows.tolist()} <= wanted
    picture = rows[0].reshape(8, 8)
    assert torch.equal(digits.test[0, 6], picture[2:4, 4:6].flatten())
    assert (digits.hidden.sum(1) == 8).all()


@pytest.mark.untyped
def test_errors_and_pictures_are_of_hidden_places_alone():
    digits = _models.digits(0)
    mean = digits.train.numpy().mean(0)
    hidden = digits.hidden.numpy()
    far = (mean - digits.test.numpy()) ** 2
    expected = far[hidden].mean()
    assert _models.errors(digits.mean.expand_as(digits.test), digits) == pytest.approx(expected)
    changed = digits.test + digits.hidden[..., None] * 0.5
    assert _models.errors(changed, digits) == pytest.approx(0.25)
    seen = digits.test + ~digits.hidden[..., None] * 9.0
    assert _models.errors(seen, digits) == 0
    assert torch.equal(_models.filled(seen, digits), _models.filled(digits.test, digits))


@pytest.mark.untyped
def test_both_models_have_as_many_weights():
    def count(module):
        matrices = (weight for weight in module.parameters() if weight.ndim > 1)
        return sum(weight.numel() for weight in matrices)

    digits = _models.digits(0)
    with torch.random.fork_rng(devices=[]):
        blocks = [_models.Model(design(name), digits.mean).block for name in ("softmax", "layer")]
    assert count(blocks[0]) == count(blocks[1]) == 6 * 8 * 8


@pytest.mark.untyped
def test_rows_follow_the_block_step_by_step():
    plan = design("entmax")
    digits = _models.digits(0)
    state = torch.random.get_rng_state()
    model = _models.trained(plan, digits)
    assert torch.equal(state, torch.random.get_rng_state())
    rows = list(_completion.completed(plan))
    assert [row["step"] for row in rows] == list(range(7))
    tokens = model.tokens(digits.test, digits.hidden).detach()
    for row in rows:
        moved = model.block(tokens, steps=row["step"])
        found = model.decoded(moved).detach()
        assert row["error"] == pytest.approx(_models.errors(found, digits), rel=1e-5)
        assert row["energy"] == pytest.approx(
            model.block.energy(moved).detach().mean().item(), rel=1e-5
        )
        assert row["rises"] == 0
    energies = [row["energy"] for row in rows]
    assert energies == sorted(energies, reverse=True)
    picture = _models.filled(model(digits.test, digits.hidden), digits)[1].detach()
    word = rows[2]["pictures"].split("/")[1]
    assert np.abs(np.array(_completion.SHADES.read(word)) - picture.numpy()).max() < 0.013


@pytest.mark.untyped
def test_training_lowers_the_error_and_depends_on_the_seed_alone():
    digits = _models.digits(0)

    def after(updates, seed=0):
        model = _models.trained(design(width=16, updates=updates, batch=32, seed=seed), digits)
        with torch.no_grad():
            return model(digits.test, digits.hidden)

    first = after(1)
    assert torch.equal(first, after(1))
    assert not torch.equal(first, after(1, seed=1))
    assert _models.errors(after(40), digits) < _models.errors(first, digits)


@pytest.mark.untyped
def test_the_recipe_draws_and_refuses():
    given = {"width": 8, "updates": 2, "batch": 4, "steps": 2}
    rows = runner.run(RECIPE, given=given).rows
    assert {row["model"] for row in rows} == {"softmax", "entmax", "layer", "mean"}
    figures = RECIPE.figures(rows)
    assert list(figures) == ["figure", "figure-energy", "figure-pictures"]
    assert "softmax after 2 steps" in figures["figure-pictures"].get_label()
    without = [row for row in rows if row["model"] != "mean"]
    assert list(RECIPE.figures(without)) == ["figure", "figure-energy"]
    for bad in (
        {"model": "mlp"},
        {"width": 6},
        {"width": 0},
        {"steps": 0},
        {"rate": 0.0},
        {"updates": 0},
        {"batch": 0},
        {"seed": -1},
    ):
        with pytest.raises(InputError):
            list(RECIPE.measure(**({"model": "softmax"} | TINY | bad)))
