"""The small models whose heads learn beta: their parts, their text, and that a run repeats."""

import math

import pytest
import torch

from kanerva import theory
from kanerva.lab import runner
from kanerva.lab.papers import RECIPES
from kanerva.lab.papers.henry2020 import _block, _figures, _text, _training, _vision, language

SMALL = {"width": 8, "updates": 2}


def heads(norm="l2", start=10.0, learned=True, width=8):
    return _block.Heads(norm, start, learned, width)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("learned.language", SMALL | {"context": 16, "every": 1, "replaced": 0.3, "start": 10}),
        ("learned.vision", SMALL | {"every": 1}),
        ("learned.gpt2", SMALL | {"context": 16}),
    ],
)
def test_a_run_repeats(name, given, tmp_path):
    """The second run starts with another number of threads, and draws no figures."""
    first = runner.run(RECIPES[name], tmp_path, given=given, jobs=1)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if before > 1 else 2)
        assert runner.run(RECIPES[name], given=given, jobs=1).rows == first.rows
    finally:
        torch.set_num_threads(before)


def test_a_model_that_has_learned_nothing_has_the_entropy_of_the_alphabet():
    even = lambda places: torch.zeros(*places.shape, len(_text.SYMBOLS))  # noqa: E731
    assert _text.judge(even, 16) == pytest.approx(math.log2(96), rel=1e-6)


def test_the_right_answer_costs_nothing():
    def right(places):
        following = torch.cat((places[:, 1:], places[:, :1]), 1)
        return 100.0 * torch.nn.functional.one_hot(following, len(_text.SYMBOLS))

    # The last place of a piece has no right answer here.
    assert _text.judge(right, 16) < 100 / math.log(2) / 16


def test_characters_are_replaced_in_the_share_that_was_asked():
    pieces = torch.zeros(200, 200, dtype=torch.long)
    damaged = _text.replace(pieces, 0.3, torch.Generator().manual_seed(0))
    assert (damaged != 0).float().mean().item() == pytest.approx(0.3 * 95 / 96, abs=0.01)
    assert _text.replace(pieces, 0.0, torch.Generator()) is pieces


def test_the_text_held_out_is_not_trained_on():
    train, held = _text.split()
    assert len(held) == int(0.05 * (len(train) + len(held)))
    pieces, following = _text.held_out(64, 10)
    assert torch.equal(pieces[:, 1:], following[:, :-1])
    assert torch.equal(pieces[0], held[:64])


def test_training_minimises_a_loss_and_counts_its_updates():
    model = torch.nn.ParameterDict({"weight": torch.tensor(2.7)})
    steps = list(_training.updated(model, 400, 1, lambda: (model["weight"] - 2.5).square()))
    assert steps == list(range(401))
    assert model["weight"].item() == pytest.approx(2.5, abs=0.02)


def test_optima_are_those_of_the_theory():
    found = _training.optima(32, 64)
    assert [round(found[name], 1) for name in _training.CRITERIA] == [5.6, 8.3, 16.2]
    assert found["snr"] == theory.beta.fit(32, theory.radius.optimal(32, 64).radius).beta


@pytest.mark.parametrize("norm", _block.NORMS)
def test_beta_of_a_block_is_the_length_of_its_scores(norm):
    with torch.random.fork_rng():
        block = _block.Block(heads(norm), 0, causal=False)
    state = torch.randn(3, 5, 32, generator=torch.Generator().manual_seed(0))
    found = block.beta(state)
    assert len(found) == _block.HEADS
    if norm == "l2":
        assert found == pytest.approx([10.0] * 4)
        return
    inner = block.norms[0](state)
    queries = block.attention.query(inner).unflatten(-1, (4, 8))
    keys = block.attention.key(inner).unflatten(-1, (4, 8))
    every = [
        queries[a, b].norm(dim=-1) * keys[c, d].norm(dim=-1) / 8**0.5
        for a in range(3) for b in range(5) for c in range(3) for d in range(5)
    ]  # fmt: skip
    assert found == pytest.approx(torch.stack(every).mean(0).tolist(), rel=1e-5)
    if norm == "layer":  # before its affine part has learned anything: length sqrt(n)
        assert queries.norm(dim=-1).mean().item() == pytest.approx(8**0.5, rel=1e-3)


@pytest.mark.parametrize("learned", [True, False])
def test_a_fixed_beta_is_not_trained(learned):
    rows = list(
        language.language.measure(
            norm="l2", temperature="learned" if learned else "fixed", width=8, context=8,
            replaced=0.0, start=6.0, updates=3, every=3,
        )
    )  # fmt: skip
    last = [row["beta"] for row in rows if row["update"] == 3]
    assert all(beta != pytest.approx(6.0, rel=1e-6) for beta in last) == learned


def test_masked_patches_are_not_seen():
    with torch.random.fork_rng():
        model = _vision.Vision(heads(), 0)
    patches = torch.rand(2, 16, 4, generator=torch.Generator().manual_seed(0))
    masked = torch.zeros(2, 16, dtype=torch.bool)
    masked[:, 5] = True
    other = patches.clone()
    other[:, 5] = 7.0
    assert torch.equal(model(patches, masked), model(other, masked))
    assert not torch.equal(model(patches, ~masked & False), model(other, ~masked & False))


def test_patches_are_those_of_the_picture():
    (x, labels), (held, others) = _vision._digits()
    assert len(x) + len(held) == 1797
    assert len(labels) == len(x)
    assert len(others) == len(held) == 359
    from sklearn.datasets import load_digits

    picture = load_digits().images[3]
    scale = (x[3, 6] - x[3, 6].mean()) / (x[3, 6].std() or 1)
    patch = torch.tensor(picture[2:4, 4:6]).flatten().float()
    torch.testing.assert_close(scale, (patch - patch.mean()) / patch.std())


def test_the_share_between_the_optima_has_an_interval():
    base = {"noise": 5.0, "snr": 8.0, "capacity": 16.0, "update": 1, "updates": 1, "x": 0}
    inside = {(10, 0): 4, (10, 1): 4, (20, 0): 3, (20, 1): 1}  # heads of four in each model
    rows = [
        base | {"start": start, "seed": seed, "beta": 10.0 if head < count else 20.0}
        for (start, seed), count in inside.items()
        for head in range(4)
    ]
    rows += [base | {"start": 5, "seed": 0, "beta": 99.0}, rows[0] | {"update": 0, "beta": 99.0}]
    words = _figures.histogram(rows, {"x": 0}).get_label()
    assert "16 heads of 4 models that started at 10 or 20" in words
    assert "75 % of them" in words
    assert "over the models: 44 to 100 %" in words
    other = [row | {"x": 1, "start": 5, "seed": 0} for row in rows[:8]]
    words = _figures.histogram(other, {"x": 0}).get_label()
    assert "8 heads of 1 model that started at 5." in words
