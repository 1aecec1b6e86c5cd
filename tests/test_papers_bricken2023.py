"""The continual learners: tasks, networks, penalties and written memories against plain code."""

import itertools

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from kanerva import InputError
from kanerva.lab import data, runner
from kanerva.lab.papers import RECIPES
from kanerva.lab.papers.bricken2023 import (
    _figures,
    _importance,
    _networks,
    _tasks,
    _training,
    _written,
    continual,
)

SIZES = (64, 30, 10)
DESIGN = _training.Design("sdm", "plain", 30, 3, 50.0, 1.0, 0.0, 0.0, 4, 16, 0)


@pytest.fixture(scope="module")
def digits():
    return _tasks.tasks("digits", 5, seed=1)


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Tasks


def test_tasks_share_the_classes_and_keep_test_pictures_apart(digits):
    assert [part.labels.unique().tolist() for part in digits.train] == [
        [0, 1],
        [2, 3],
        [4, 5],
        [6, 7],
        [8, 9],
    ]
    assert digits.test.labels.unique().tolist() == list(range(10))
    assert len(digits.all.x) == int(0.75 * 1797)
    rows = torch.cat((digits.all.x, digits.test.x)).numpy()
    assert 0 <= rows.min() <= rows.max() <= 1
    every = (data.load("digits", domain="real").real.numpy() + 1) / 2
    assert np.array_equal(rows[np.lexsort(rows.T)], every[np.lexsort(every.T)])


def test_a_seed_draws_the_order_of_the_classes(digits):
    """Each class is one class of the set, and not always the same."""
    found = data.load("digits", domain="real")
    pairs = zip((found.real + 1) / 2, found.labels, strict=True)
    real = {tuple(x.tolist()): int(label) for x, label in pairs}
    orders = []
    for seed in (1, 2):
        given = _tasks.tasks("digits", 5, seed)
        pairs = zip(given.test.x, given.test.labels, strict=True)
        order = {(int(label), real[tuple(x.tolist())]) for x, label in pairs}
        assert len(order) == len(dict(order)) == 10
        orders.append(order)
    assert orders[0] != orders[1]
    again = _tasks.tasks("digits", 5, 1)
    assert torch.equal(again.test.x, digits.test.x)


def test_batches_take_each_picture_once_before_any_comes_again(digits):
    part = digits.train[0]
    found = list(_training._batches(part, 30, 32, source()))
    assert all(x.shape == (32, 64) for x, _ in found)
    seen = torch.cat([x for x, _ in found])[: len(part.x) * 3].split(len(part.x))
    for one in seen:
        assert torch.equal(one.unique(dim=0), part.x.unique(dim=0))
    pairs = {(tuple(x.tolist()), int(y)) for x, y in zip(*part, strict=True)}
    assert all((tuple(x.tolist()), int(y)) in pairs for x, y in zip(*found[3], strict=True))


# Networks


def trained(network, digits, steps=5):
    """Train a network for some steps, and return what it says of the test pictures."""
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    for x, labels in _training._batches(digits.train[0], steps, 32, source()):
        optimizer.zero_grad()
        cross_entropy(network(x), labels).backward()
        optimizer.step()
        network.project()
    return network(digits.test.x).detach()


@pytest.mark.parametrize("switch", [0.0, 60.0])
def test_a_network_of_all_parts_is_the_layer(digits, switch):
    flags = _networks.Flags(True, True, True, True)
    one = _networks.built("sdm", SIZES, 3, switch, source(3))
    other = _networks.Parts(SIZES, flags, 3, switch, source(3))
    torch.testing.assert_close(trained(one, digits), trained(other, digits), rtol=0, atol=1e-5)
    assert torch.equal(one.count, other.count)


@pytest.mark.parametrize("name", _networks.NETWORKS)
def test_a_network_lacks_the_part_that_its_name_says(digits, name):
    network = _networks.built(name, SIZES, 3, 60.0, source())
    before = network.weights(digits.test.x)
    for _ in range(2):  # before and after training
        lengths = network.address.detach().norm(dim=1)
        assert torch.allclose(lengths, torch.ones(30), atol=1e-6) == (
            name in ("sdm", "no-sign", "with-bias")
        )
        signs = all((one >= 0).all() for one in (network.address, network.value))
        assert signs == (name in ("sdm", "no-norm", "with-bias"))
        trained(network, digits)
    biases = {"first", "last"} & {each for each, _ in network.named_parameters()}
    assert len(biases) == (2 if name in ("with-bias", "top-k", "mlp") else 0)
    again = _networks.built(name, SIZES, 3, 60.0, source())
    longer = again.weights(2 * digits.test.x)
    same = torch.allclose(longer, before.detach(), atol=1e-5)
    assert same == (name in ("sdm", "no-sign", "with-bias"))  # the length does not count


def test_inhibition_leaves_k_neurons_once_the_switch_is_over(digits):
    for name in ("sdm", "top-k", "mlp"):
        network = _networks.built(name, SIZES, 3, 60.0, source())
        network.count += 1000
        fired = (network.weights(digits.test.x) > 0).sum(1)
        assert (fired.max() <= 3) == (name != "mlp")


# Penalties


@pytest.fixture
def learner(digits):
    """Return a small network that learned a task, and some pictures of it."""
    network = _networks.built("mlp", (64, 7, 10), 3, 0.0, source())
    trained(network, digits)
    return network, _tasks.Part(*(one[:70] for one in digits.train[0]))


@pytest.mark.untyped  # torch.func counts batch dimensions out of the shapes
@pytest.mark.parametrize("method", ["ewc", "mas"])
def test_importance_is_the_mean_over_pictures_of_the_slopes(learner, method):
    network, part = learner
    penalty = _importance.Penalty(method, 2.0, network)
    penalty.end(part)
    total = {name: 0.0 for name, _ in network.named_parameters()}
    for x, label in zip(*part, strict=True):
        read = network(x[None])
        loss = cross_entropy(read, label[None]) if method == "ewc" else read.square().sum()
        slopes = torch.autograd.grad(loss, list(network.parameters()))
        for name, slope in zip(total, slopes, strict=True):
            total[name] = total[name] + (slope.square() if method == "ewc" else slope.abs()) / 70
    for name, wanted in total.items():
        torch.testing.assert_close(penalty.importance[name], wanted, rtol=1e-3, atol=1e-6)
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.1
    wanted = sum(0.01 * one.sum() for one in total.values())
    torch.testing.assert_close(penalty(), wanted, rtol=1e-3, atol=1e-6)
    first = {name: one.clone() for name, one in penalty.importance.items()}
    penalty.end(part)
    assert all((penalty.importance[name] >= one).all() for name, one in first.items())
    assert penalty() == 0


@pytest.mark.untyped
def test_synaptic_intelligence_shares_out_the_fall_of_the_loss(learner):
    network, part = learner
    penalty = _importance.Penalty("si", 1.0, network)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02)
    start = {name: one.detach().clone() for name, one in network.named_parameters()}
    losses = []
    for _ in range(40):
        loss = cross_entropy(network(part.x), part.labels)
        losses.append(loss.item())
        penalty.before_step(loss)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        penalty.after_step()
    fall = losses[0] - cross_entropy(network(part.x), part.labels).item()
    way = {name: one.clone() for name, one in penalty.way.items()}
    assert float(sum(one.sum() for one in way.values())) == pytest.approx(fall, rel=0.05)
    penalty.end(part)
    for name, weight in network.named_parameters():
        moved = (weight.detach() - start[name]).square()
        wanted = way[name].clamp_min(0) / (moved + 0.1)
        torch.testing.assert_close(penalty.importance[name], wanted)


def test_l2_holds_all_weights_alike_and_plain_none(learner):
    network, part = learner
    for method in ("l2", "plain"):
        penalty = _importance.Penalty(method, 3.0, network)
        for _ in range(3):
            penalty.end(part)
        with torch.no_grad():
            for weight in network.parameters():
                weight += 1
        count = sum(weight.numel() for weight in network.parameters())
        assert penalty().item() == pytest.approx(1.5 * count if method == "l2" else 0.0)


# Written memories


def test_attention_over_written_pictures_is_the_formula(digits):
    found = list(_written.written("attention", digits, 1, 1, 0))
    assert [moved for _, moved in found] == [0.0] * 5
    keys, labels = digits.all.x.double().numpy(), digits.all.labels.numpy()
    test = digits.test.x.double().numpy()
    keys /= np.linalg.norm(keys, axis=1, keepdims=True)
    test /= np.linalg.norm(test, axis=1, keepdims=True)
    powers = np.exp(100 * (test @ keys.T - 1))
    for task, (one, _) in enumerate(found, 1):
        read = powers[:, labels < 2 * task] @ np.eye(10)[labels[labels < 2 * task]]
        right = read.argmax(1) == digits.test.labels.numpy()
        assert one.right == pytest.approx(right.mean())
        assert one.dead is None
    assert abs(found[-1][0].right - 0.985) < 0.01


def test_the_fly_counts_classes_at_the_neurons_of_each_picture(digits):
    fixed = _written.addresses(64, 40, seed=2)
    assert (fixed.sum(1) == 6).all()
    assert fixed.unique().tolist() == [0.0, 1.0]
    assert len(fixed.unique(dim=0)) == 40
    fly = _written.Fly(fixed, 10, k=4)
    part = _tasks.Part(*(one[:20] for one in digits.train[1]))
    fly.write(part.x, torch.eye(10)[part.labels])
    counters = np.zeros((40, 10))
    weights = []
    for x, label in zip(part.x.numpy(), part.labels.tolist(), strict=True):
        scores = fixed.numpy() @ x
        weights.append(np.maximum(scores - np.sort(scores)[-5], 0))
        counters[weights[-1] > 0, label] += 1
    assert np.array_equal(fly.counters.numpy(), counters)
    wanted = np.stack(weights) @ counters
    np.testing.assert_allclose(fly.read(part.x).numpy(), wanted, rtol=1e-4, atol=1e-3)


def test_the_order_of_tasks_moves_no_answer_of_a_written_memory(digits):
    for name in _written.MEMORIES:
        found = list(_written.written(name, digits, 100, 10, 0))
        assert [moved for _, moved in found] == [0.0] * 5
        assert found[-1][0].right > 0.6


# Training


def test_a_run_measures_what_it_says(digits):
    found = list(_training.trained(DESIGN, digits))
    assert len(found) == 5
    again = list(_training.trained(DESIGN, digits))
    assert found == again
    assert found != list(_training.trained(DESIGN._replace(seed=1), digits))
    (joint,) = _training.trained(DESIGN._replace(method="joint"), digits)
    assert joint.latest == joint.right  # all classes are those of the last task
    for one in found:
        assert 0 <= one.dead <= one.idle <= 30


def test_measures_are_those_of_plain_code(digits):
    scores = torch.eye(10)[[0, 1, 2, 3, 4]]
    labels = torch.tensor([0, 1, 2, 9, 8])
    part = _tasks.Part(torch.zeros(2, 1), torch.tensor([8, 9]))
    assert _training.measured(scores, labels, part, (3, 4)) == (0.6, 0.0, 3, 4)


@pytest.mark.untyped
@pytest.mark.parametrize("method", _importance.METHODS)
def test_every_method_changes_what_comes_after_the_first_task(digits, method):
    plain = list(_training.trained(DESIGN._replace(network="mlp"), digits))
    design = DESIGN._replace(network="mlp", method=method, importance=1.0)
    found = list(_training.trained(design, digits))
    assert found[0] == plain[0]
    zero = list(_training.trained(design._replace(importance=0.0), digits))
    assert zero == plain


# The recipe


def ran(**given):
    small = {"neurons": 40, "batches": 3, "switch": 40.0}
    return runner.run(RECIPES["layers.continual"], given=small | given).rows


@pytest.mark.untyped
def test_the_recipe_runs_and_draws():
    rows = ran()
    names = {_figures.named(row) for row in rows}
    assert {"SDM layer", "MLP", "attention", "counters of the fly"} < names
    # The layer with a switch and the one without are the same here.
    assert len(rows) == 5 * 5
    figures = continual.continual.figures(rows)
    assert list(figures) == ["figure", "figure-learners", "figure-neurons"]
    words = [text.get_text() for text in figures["figure"].axes[0].texts]
    assert any(word.startswith("SDM layer ") for word in words)


@pytest.mark.untyped
def test_figures_are_drawn_of_any_part_of_the_rows():
    rows = ran(network="sdm", k="1,3", rate="1.0,0.1")
    assert "figure-parameters" in continual.continual.figures(rows)
    for network in ("fly", "no-norm"):
        some = ran(network=network)
        assert {"figure", "figure-learners"} <= set(continual.continual.figures(some))


def test_names_tell_all_learners_apart():
    cells = continual.continual.cells("paper")
    names = {}
    for cell in cells:
        key = (cell["network"], cell["method"], cell["switch"] > 0, cell["momentum"] > 0)
        names.setdefault(_figures.named(cell), set()).add(key)
    assert all(len(same) == 1 for same in names.values()), names


def test_the_cells_are_those_of_the_checks():
    """Every check has its cells in the larger size, each five times."""
    cells = continual.continual.cells("paper")
    for check in continual.continual.checks:
        at = {name: value for name, value in check.at.items() if name != "task"}
        mine = [cell for cell in cells if at.items() <= cell.items()]
        assert [cell["seed"] for cell in mine] == list(range(5)), check.what


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("given", "argument"),
    [
        ({"network": "cnn"}, "network"),
        ({"method": "replay"}, "method"),
        ({"tasks": 3}, "tasks"),
        ({"tasks": 0}, "tasks"),
        ({"k": 0}, "k"),
        ({"neurons": 0}, "neurons"),
        ({"switch": -1.0}, "switch"),
        ({"momentum": 1.5}, "momentum"),
        ({"importance": -1.0}, "importance"),
        ({"data": "random"}, "data"),
    ],
)
def test_the_recipe_refuses_in_a_sentence(given, argument):
    usual = {"network": "sdm", "method": "plain", "data": "digits", "tasks": 5, "neurons": 20}
    usual |= {"k": 3, "switch": 0.0, "rate": 1.0, "momentum": 0.0, "importance": 0.0}
    usual |= {"batches": 1, "batch": 8}
    with pytest.raises(InputError) as caught:
        list(continual.continual.measure(**usual | given))
    assert caught.value.argument == argument
    assert len(list(itertools.islice(continual.continual.measure(**usual), 2))) == 2
