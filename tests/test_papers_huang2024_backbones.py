"""A shared gate in a transformer, a UNet and a detector: networks, measures and recipes."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from kanerva import InputError, diffusion
from kanerva.lab import plot, runner
from kanerva.lab.papers.huang2024 import (
    _detector,
    _digits,
    _figures_backbones,
    _samples,
    _unet,
    _vit,
)
from kanerva.lab.papers.huang2024.backbones import backbones
from kanerva.lab.papers.huang2024.detection import detection
from kanerva.lab.papers.huang2024.generation import generation

BOX = [8.0, 8.0, 16.0, 16.0]


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def count(net: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in net.parameters())


@pytest.fixture(scope="module")
def digits():
    return _digits.split(1)


@pytest.fixture(scope="module")
def rows():
    return _unet.digits(1)


@pytest.fixture(scope="module")
def canvases(digits):
    return _detector.scenes(60, digits.test, digits.answers, source(3))


# The transformer


@pytest.mark.parametrize("gate", _vit.GATES)
def test_gates_of_a_transformer_add_their_cell_and_change_no_other_weight(gate):
    design = _vit.Design(layers=3, width=16, seed=4)
    bare, net = _vit.build(design, "none"), _vit.build(design, gate)
    assert count(net) - count(bare) == (0 if gate in ("none", "constant") else 776)
    weights = net.state_dict()
    assert all(torch.equal(weights[name], one) for name, one in bare.state_dict().items())
    assert all(name.startswith("shared.") for name in set(weights) - set(bare.state_dict()))


def test_blocks_of_a_transformer_are_gated_where_they_should_be():
    design = _vit.Design(layers=2)
    places = {gate: _vit.build(design, gate) for gate in ("attention", "mlp", "both")}
    stages = {gate: net.shared.stages["stage1"] for gate, net in places.items()}
    assert stages == {
        "attention": ("layers.0.attention", "layers.1.attention"),
        "mlp": ("layers.0.mlp", "layers.1.mlp"),
        "both": ("layers.0.attention", "layers.0.mlp", "layers.1.attention", "layers.1.mlp"),
    }


@pytest.mark.untyped
def test_a_transformer_is_what_its_parts_are(digits):
    """The whole network by loops over heads, with the cell of the gates called by hand."""
    net = _vit.build(_vit.Design(layers=2, width=8, heads=2, seed=3), "both").double()
    x = digits.test[:3].double()
    tokens = x.reshape(3, 4, 2, 4, 2).transpose(2, 3).reshape(3, 16, 4)
    state, carried = net.patch(tokens) + net.place, None
    cell = net.shared.gates["stage1"].cell

    def gated(branch, carried):
        gate, carried = cell(branch.mean(1), carried)
        return gate[:, None] * branch, carried

    for layer in net.layers:
        parts = layer.attention.input(layer.attention.norm(state))
        read = []
        for head in range(2):
            query, key, value = (parts[..., at + 4 * head :][..., :4] for at in (0, 8, 16))
            read.append((query @ key.mT / 2).softmax(-1) @ value)
        added, carried = gated(layer.attention.output(torch.cat(read, -1)), carried)
        state = state + added
        inner = layer.mlp[1](layer.mlp[0](state))
        added, carried = gated(layer.mlp[3](torch.nn.functional.gelu(inner)), carried)
        state = state + added
    expected = net.head(net.norm(state.mean(1)))
    assert torch.allclose(net(x), expected, atol=1e-10)


@pytest.mark.untyped
def test_a_transformer_learns_and_repeats_itself(digits):
    few = _digits.Split(*(part[:300] for part in digits))
    design = _vit.Design(layers=1, epochs=6, batch=10, seed=1)
    found = list(_vit.train(_vit.build(design, "both"), few, design))
    assert [one.epoch for one in found] == list(range(7))
    assert found[0].loss is None
    assert found[0].gate == pytest.approx(0.25, abs=0.02)
    assert found[-1].loss < 0.75 * found[1].loss
    # The first classes alone, of which chance names a third.
    assert found[-1].accuracy > 0.5
    short = design._replace(epochs=1)
    one, other = (list(_vit.train(_vit.build(short, "both"), few, short)) for _ in range(2))
    assert one == other


# The UNet


def test_a_unet_hands_its_state_from_the_encoder_to_the_decoder(rows):
    design = _unet.Design(seed=2)
    bare, net = _unet.build(design, "none", rows.train), _unet.build(design, "dia", rows.train)
    assert list(net.shared.stages.values()) == [
        ("high.0.branch", "high.1.branch", "high_back.0.branch", "high_back.1.branch"),
        (
            "low.0.branch",
            "low.1.branch",
            "middle.branch",
            "low_back.0.branch",
            "low_back.1.branch",
        ),
    ]
    assert count(net) - count(bare) == net.shared.parameters_added == 776 + 2832
    weights = net.state_dict()
    assert all(torch.equal(weights[name], one) for name, one in bare.state_dict().items())


@pytest.mark.untyped
@pytest.mark.parametrize("gate", _unet.GATES)
def test_a_unet_takes_any_noise_and_returns_states_without_it(gate, rows):
    net = _unet.build(_unet.Design(), gate, rows.train).eval()
    x = rows.held[:5]
    with torch.no_grad():
        assert torch.allclose(net(x, 1e-6), x, atol=1e-4)
        each = net(x, torch.full((5,), 0.4))
        assert torch.allclose(net(x, 0.4), each, atol=1e-6)
        # A row does not depend on the others.
        assert torch.allclose(net(x[2:3], 0.4), each[2:3], atol=1e-5)
        assert not torch.allclose(net(x, 0.8), each, atol=1e-2)


@pytest.mark.untyped
def test_held_out_loss_of_known_denoisers(rows):
    class Known(torch.nn.Module):
        def forward(self, x, sigma):
            return rows.held

    class Wiener(torch.nn.Module):
        def forward(self, x, sigma):
            return wiener(x, sigma)

    wide = rows.train.double()
    covariance = torch.cov(wide.mT, correction=0) + _unet.RIDGE * torch.eye(64).double()
    wiener = diffusion.gaussian(wide.mean(0).float(), covariance.float())
    assert _unet.held_out(Known(), rows, 0).loss == 0
    found = _unet.held_out(Wiener(), rows, 0)
    assert found.loss == pytest.approx(found.wiener, rel=1e-6)
    assert found.gate is None
    # The noisy states themselves have a loss of (sigma^2 + s^2) / s^2, which is large.
    assert 0.3 < found.wiener < 0.6


@pytest.mark.untyped
def test_a_unet_learns_and_stays_as_it_is(rows):
    net = _unet.build(_unet.Design(), "dia", rows.train)
    before = {name: one.clone() for name, one in net.state_dict().items()}
    found = _unet.train(net, rows.train, _unet.Design(updates=24), every=12)
    assert all(torch.equal(before[name], one) for name, one in net.state_dict().items())
    assert list(found.losses) == [12, 24]
    assert found.losses[24] < found.losses[12]
    first, last = (_unet.held_out(one, rows, 0) for one in (net, found.net))
    assert last.loss < 0.9 * first.loss
    assert first.gate == pytest.approx(0.25, abs=0.02)


# The detector


def test_canvases_have_digits_that_do_not_overlap(canvases):
    numbers = canvases.taken.sum(1)
    assert set(numbers.tolist()) == {1, 2, 3}
    for picture, boxes, taken in zip(*canvases[:2], canvases.taken, strict=True):
        inside = torch.zeros(48, 48, dtype=torch.int64)
        for left, top, right, bottom in boxes[taken].long().tolist():
            assert right - left == bottom - top
            assert 8 <= right - left <= 16
            inside[top:bottom, left:right] += 1
            assert picture[0, top:bottom, left:right].max() > 0.5
        assert inside.max() == 1
        assert not picture[0, inside == 0].any()
    assert 0 <= canvases.pictures.min() <= canvases.pictures.max() <= 1


def test_overlap_of_boxes_by_hand():
    one = torch.tensor([0.0, 0.0, 4.0, 4.0])
    others = [[0, 0, 4, 4], [2, 0, 6, 4], [2, 2, 6, 6], [4, 0, 8, 4], [1, 1, 3, 3], [9, 9, 9, 9]]
    found = _detector.overlap(one, torch.tensor(others).float())
    expected = [1.0, 8 / 24, 4 / 28, 0.0, 4 / 16, 0.0]
    assert found.tolist() == pytest.approx(expected)


class Perfect(torch.nn.Module):
    """Returns the numbers of the right answer for each canvas."""

    def __init__(self, given: _detector.Scenes, shift: int = 0) -> None:
        super().__init__()
        there, boxes, labels = _detector._targets(given)
        classes = torch.nn.functional.one_hot((labels + shift) % 10, 10) * 40.0
        self.numbers = torch.cat(
            ((there[..., None] - 0.5) * 80, boxes[..., :2].logit(1e-6), boxes[..., 2:], classes), -1
        )

    def forward(self, x):
        return self.numbers[: len(x)]


@pytest.mark.untyped
def test_the_right_answer_has_an_average_precision_of_one(canvases):
    found = _detector.detect(Perfect(canvases), canvases.pictures)
    right = _detector.match(found, canvases)
    assert right.sum() == canvases.taken.sum()
    for row in range(len(right)):
        mine = found.boxes[row, right[row]]
        wanted = canvases.boxes[row, canvases.taken[row]]
        apart = (mine[:, None] - wanted).abs().amax(-1)
        assert apart.min(0).values.max() < 1e-3
    assert _detector._judged(Perfect(canvases), canvases) == pytest.approx((1.0, 1.0))
    # With wrong classes the places are still right.
    assert _detector._judged(Perfect(canvases, 1), canvases) == pytest.approx((0.0, 1.0))


def made(boxes, labels, scores):
    """What was found on one canvas."""
    parts = torch.tensor([boxes]), torch.tensor([labels]), torch.tensor([scores])
    return _detector.Found(parts[0].float(), parts[1], parts[2])


def wanted(boxes, labels):
    """The digits of one canvas."""
    missing = 3 - len(boxes)
    return _detector.Scenes(
        torch.zeros(1, 1, 48, 48),
        torch.tensor([boxes + [[0.0] * 4] * missing]),
        torch.tensor([labels + [0] * missing]),
        torch.tensor([[True] * len(boxes) + [False] * missing]),
    )


def test_each_digit_is_found_once_and_by_its_class():
    far = [30.0, 30.0, 40.0, 40.0]
    near = [9.0, 8.0, 17.0, 16.0]  # overlaps BOX by 7/9
    half = [13.0, 8.0, 21.0, 16.0]  # by 3/13
    given = wanted([BOX, far], [4, 7])
    found = made([near, BOX, half, far], [4, 4, 4, 5], [0.9, 0.8, 0.7, 0.6])
    assert _detector.match(found, given).tolist() == [[True, False, False, False]]
    assert _detector.match(found, given, classes=False).tolist() == [[True, False, False, True]]
    # An empty place for a digit is not one.
    empty = made([[0.0] * 4], [0], [0.9])
    assert not _detector.match(empty, given).any()


def test_a_better_box_suppresses_those_that_overlap_it():
    near, chain = [10.0, 8.0, 18.0, 16.0], [12.0, 8.0, 20.0, 16.0]
    # The second is near the first; the third is near the second alone, which is gone.
    found = _detector.suppress(made([BOX, near, chain], [1, 2, 3], [0.9, 0.8, 0.7]))
    assert found.scores[0].tolist() == pytest.approx([0.9, 0.7, 0.0])
    assert found.labels[0].tolist() == [1, 3, 2]


def test_average_precision_by_hand():
    right = torch.tensor([True, False, True, False])
    scores = torch.tensor([0.9, 0.8, 0.7, 0.6])
    assert _detector.precision(right, scores, 2) == pytest.approx((1 + 2 / 3) / 2)
    assert _detector.precision(right, scores, 4) == pytest.approx((1 + 2 / 3) / 4)
    assert _detector.precision(right, torch.tensor([0.9, 0.8, 0.0, 0.0]), 2) == 0.5
    assert _detector.precision(right, torch.zeros(4), 2) == 0
    # Boxes of one score have no order.
    assert _detector.precision(right[:2], torch.ones(2), 1) == pytest.approx(0.5)
    assert _detector.precision(right[:2].flip(0), torch.ones(2), 1) == pytest.approx(0.5)


@pytest.mark.untyped
@pytest.mark.parametrize("seed", range(5))
def test_average_precision_is_that_of_scikit_learn(seed):
    random = np.random.default_rng(seed)
    right = random.random(60) < 0.4
    scores = random.integers(1, 20, 60) / 20
    expected = average_precision_score(right, scores)
    ours = (torch.from_numpy(right), torch.from_numpy(scores).float())
    assert _detector.precision(*ours, int(right.sum())) == pytest.approx(expected, abs=1e-9)
    # Digits that were never found lower the recall.
    more = int(right.sum()) * 2
    assert _detector.precision(*ours, more) == pytest.approx(expected / 2, abs=1e-9)


@pytest.mark.parametrize(("gate", "added"), [("none", 0), ("se", 2100), ("dia", 3608)])
def test_gates_of_a_detector(gate, added):
    net = _detector.build(_detector.Design(), gate)
    assert count(net) == 84_319 + added
    if added:
        blocks = {name: len(names) for name, names in net.shared.stages.items()}
        assert blocks == {"stage1": 3, "stage2": 3}


@pytest.mark.untyped
def test_the_loss_is_least_at_the_right_answer(canvases):
    targets = _detector._targets(canvases)
    best = Perfect(canvases).numbers
    least = _detector._loss(best, *targets)
    for place in range(15):
        moved = best.clone()
        moved[..., place] -= 3.0 * best[..., place].sign()
        assert _detector._loss(moved, *targets) >= least
    assert _detector._loss(torch.zeros_like(best), *targets) > least + 3


@pytest.mark.untyped
def test_a_detector_learns(digits, canvases):
    design = _detector.Design(blocks=1, width=8, epochs=8, seed=1)
    given = _detector.scenes(128, digits.train, digits.labels, source(5))
    net = _detector.build(design, "dia")
    found = list(_detector.train(net, given, canvases, design, every=8))
    assert [one.precision is None for one in found] == [False] + [True] * 7 + [False]
    assert found[-1].loss < 0.85 * found[1].loss
    assert found[0].places < 0.02


# Samples


@pytest.mark.untyped
def test_samples_are_judged_by_digits_that_no_network_was_trained_on():
    given = _samples.parts(1)
    for part in (given.held, given.fresh):
        assert not (torch.cdist(part, given.train) < 1e-3).any()
    assert not (torch.cdist(given.held, given.fresh) < 1e-3).any()
    assert len(given.held) + len(given.fresh) == len(_unet.digits(1).held)
    x, added = _samples.samples("digits", given, 0, (200, 2), 1)
    near = diffusion.classify(x, given.train, 0.25, 0.1)
    good = _samples.quality(x, given, near.nearest)
    assert added == 0
    assert good.agreement > 0.85
    assert 9 < good.classes <= 10
    noise = torch.rand(200, 64, generator=source())
    bad = _samples.quality(noise, given, near.nearest[:1].expand(200))
    assert bad.agreement < 0.7
    assert bad.classes == pytest.approx(1)


@pytest.mark.untyped
def test_training_digits_are_copies_and_samples_depend_on_the_seed_alone():
    given = _samples.parts(0)
    x, _ = _samples.samples("training", given, 0, (50, 2), 0)
    assert diffusion.classify(x, given.train, 0.25, 0.1).memorised == 1
    one, other, more = (_samples.samples("dia", given, 2, (5, 4), seed) for seed in (0, 0, 1))
    assert torch.equal(one[0], other[0])
    assert not torch.equal(one[0], more[0])
    assert one[1] == 3608


def test_pictures_as_words():
    x = torch.linspace(-0.5, 1.5, 64).reshape(1, 64)
    word = _samples.text(x)
    assert (word[0], word[-1], len(word), word[31:33]) == ("a", "q", 64, "ii")
    assert _samples.finite(math.inf) is None
    assert _samples.finite(1.5) == 1.5


# Recipes and figures


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("recipe", "given", "argument"),
    [
        (backbones, {"backbone": "vit", "gate": "dia"}, "gate"),
        (backbones, {"backbone": "unet", "gate": "both"}, "gate"),
        (backbones, {"backbone": "resnet"}, "backbone"),
        (backbones, {"length": -1}, "length"),
        (detection, {"gate": "constant"}, "gate"),
        (detection, {"canvases": 3}, "canvases"),
        (detection, {"tests": 0}, "tests"),
        (generation, {"score": "wiener"}, "score"),
        (generation, {"count": 1}, "count"),
        (generation, {"near": -0.1}, "near"),
    ],
)
def test_a_parameter_out_of_range_gets_the_sentence(recipe, given, argument):
    with pytest.raises(InputError, match=f"{recipe.name}: {argument} must be") as error:
        runner.run(recipe, given=given)
    assert error.value.argument == argument


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("recipe", "given", "held"),
    [
        (backbones, {"length": 0}, 6),
        (detection, {"epochs": 0, "tests": 20, "canvases": 16}, 4),
        (generation, {"updates": 0, "levels": 2}, 4),
    ],
)
def test_a_recipe_yields_rows_that_its_checks_and_figures_take(recipe, given, held):
    result = runner.run(recipe, given=given)
    assert [verdict.ok for verdict in result.verdicts if verdict.ok is not None] == [True] * held
    for figure in recipe.figures(result.rows).values():
        assert plot.svg(figure).startswith("<?xml")
    assert len(recipe.about.split()) > 30
    assert max(map(len, recipe.title.split())) < 13


@pytest.mark.untyped
def test_differences_stand_beside_what_they_are_taken_from():
    values = {"one": [90, 91, 92], "two": [91, 92.5, 93], "three": [90, 91, 92], "four": [1, 2, 3]}
    panels = [
        _figures_backbones.Panel("share, %", values, ["two", "three"]),
        _figures_backbones.Panel("nothing", {}, []),
        _figures_backbones.Panel("loss", {"one": [0.5], "two": [0.4]}, ["two"]),
    ]
    figure = _figures_backbones.measured("A title", panels)
    shown = [text.get_text() for axes in figure.axes for text in axes.texts]
    # Differences of 1, 1.5 and 1: a mean of 7/6, 4.303 standard errors of 1/6 to either side.
    assert shown == ["+1.2 (+0.4 to +1.9)", "0, the same"]
    assert len(figure.axes) == 2
    assert "one 91, two 92.2, three 91, four 2" in figure.get_label()
