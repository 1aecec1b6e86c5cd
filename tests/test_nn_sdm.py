"""The layer of sparse distributed memory, against the read of the library and written-out loops."""

import copy
import inspect
import io
import pickle
import warnings

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer
from torch.utils.checkpoint import checkpoint

import kanerva
from kanerva import functional, nn
from kanerva._core import checks
from kanerva.nn import SDMLayer
from kanerva.nn.projection import Projection
from kanerva.separation import Difference, Entmax, Exponential, Inhibition, Softmax
from kanerva.similarity import cosine


def draw(*shape: int, seed: int = 0) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=source, dtype=torch.float64)


def close(one: Tensor, other: Tensor, atol: float = 1e-12) -> None:
    torch.testing.assert_close(one, other, atol=atol, rtol=0)


def switched(seed: int = 3) -> SDMLayer:
    """Return a layer whose neurons are of any age: excited, free and inhibited."""
    layer = SDMLayer(6, 20, 4, k=3, switch=50, seed=seed).double()
    layer.count += torch.arange(20) * 5
    return layer


def by_hand(layer: SDMLayer, x: Tensor, shown: list[set[int]] | None = None) -> Tensor:
    """Read sample by sample and neuron by neuron, with lists of numbers."""
    reads = []
    for row in x.tolist():
        row = [max(0.0, number) for number in row]
        length = sum(number**2 for number in row) ** 0.5 or 1.0
        scores = []
        for address in layer.address.tolist():
            size = sum(number**2 for number in address) ** 0.5
            product = sum(a * b for a, b in zip(row, address, strict=True))
            scores.append(max(0.0, product / length / size))
        ranked = sorted(scores, reverse=True)
        taken = ranked[layer.k] if layer.k < len(ranked) else 0.0
        read, fired = [0.0] * layer.classes, set()
        for i, score in enumerate(scores):
            gain = 1.0
            if layer.switch is not None:
                gain = min(1.0, max(-1.0, 2 * layer.count[i].item() / layer.switch - 1))
            weight = max(0.0, score - gain * taken)
            if weight > 0:
                fired.add(i)
            read = [y + weight * v for y, v in zip(read, layer.value[i].tolist(), strict=True)]
        reads.append(read)
        if shown is not None:
            shown.append(fired)
    return torch.tensor(reads, dtype=torch.float64)


# The read


@pytest.mark.parametrize("k", [1, 3, 19, 20, 50])
@pytest.mark.parametrize("switch", [None, 50.0])
def test_the_layer_is_the_read_of_the_library_and_the_formula(k, switch):
    layer = SDMLayer(6, 20, 4, k, switch).double().eval()
    layer.count += torch.arange(20) * 5
    x = draw(7, 6)
    rule = Inhibition(k, layer.gain())
    read = functional.read(x.relu(), layer.address, layer.value, cosine, rule)
    close(layer(x), read)
    close(layer(x), by_hand(layer, x), 1e-7 if switch else 1e-12)  # gains are float32


def test_any_leading_dimensions_are_read():
    layer, x = switched().eval(), draw(2, 3, 5, 6)
    close(layer(x), layer(x.reshape(30, 6)).reshape(2, 3, 5, 4))
    close(layer(x[0, 0, 0]), layer(x)[0, 0, 0])
    assert layer(x[:0]).shape == (0, 3, 5, 4)


def test_weights_are_those_of_the_read_and_count_nothing():
    layer, x = switched(), draw(2, 5, 6)
    rule = Inhibition(3, layer.gain())
    weights = functional.weights(x.relu(), layer.address, cosine, rule)
    close(layer.weights(x), weights)
    assert torch.equal(layer.count, switched().count)
    close(layer(x), weights @ layer.value)


def test_zeros_and_negative_inputs_read_zeros():
    for layer in (SDMLayer(6, 20, 4, k=3), switched().float()):
        for x in (torch.zeros(2, 6), -torch.rand(2, 6, generator=torch.Generator().manual_seed(0))):
            x.requires_grad_()
            read = layer(x)
            assert (read == 0).all()
            read.sum().backward()
            assert (x.grad == 0).all()
            assert layer.address.grad.isfinite().all()


def test_the_length_of_an_input_does_not_matter():
    layer, x = switched().eval(), draw(5, 6)
    close(layer(1e-6 * x), layer(x))
    close(layer(1e6 * x), layer(x))


def test_a_sample_does_not_depend_on_its_batch_in_training_too():
    x = draw(9, 6)
    together = switched()(x)
    for row in range(9):
        close(switched()(x[row : row + 1])[0], together[row])
    close(switched()(x.flip(0)).flip(0), together)


def test_other_rules_read_in_place_of_inhibition():
    for rule in (Softmax(20.0), Entmax(1.5, 10.0)):
        layer = SDMLayer(6, 20, 4, k=None, separation=rule).double()
        x = draw(5, 6)
        read = functional.read(x.relu(), layer.address, layer.value, cosine, rule)
        close(layer(x), read)


# The count and the switch


def test_count_adds_the_samples_that_each_neuron_fired_for_in_training_alone():
    layer, x, shown = switched(), draw(8, 6), []
    before = layer.count.clone()
    by_hand(layer, x, shown)
    layer.eval()(x)
    assert (layer.count == before).all()
    layer.train()(x)
    fired = [sum(i in one for one in shown) for i in range(20)]
    assert (layer.count - before).tolist() == fired
    assert 0 < min(fired) + sum(fired) < 8 * 20
    with torch.no_grad():
        layer(x)
    assert (layer.count > before).any()


def test_the_gain_goes_from_excited_to_inhibited():
    layer = SDMLayer(4, 5, 2, k=1, switch=100)
    layer.count.copy_(torch.tensor([0, 25, 50, 100, 1000]))
    close(layer.gain(), torch.tensor([-1.0, -0.5, 0.0, 1.0, 1.0]), 1e-6)
    assert SDMLayer(4, 5, 2, k=1).gain() == 1.0


@pytest.mark.parametrize("switch", [5e-324, 1e-40, 0.3, 1.0, 1e300])
def test_a_switch_of_any_size_gives_gains(switch):
    layer = SDMLayer(4, 3, 2, k=1, switch=switch)
    layer.count.copy_(torch.tensor([0, 1, 2**40]))
    wanted = [-1.0, 1.0, 1.0] if switch <= 1 else [-1.0] * 3
    assert layer.gain().tolist() == wanted
    assert layer(torch.ones(2, 4)).isfinite().all()


@pytest.mark.untyped
def test_a_batch_that_is_refused_is_not_counted():
    layer, x = SDMLayer(6, 20, 4, k=3), torch.ones(5, 6)
    with torch.no_grad():
        layer.value[:, 1] = torch.inf
    with pytest.raises(kanerva.InputError, match="check the weights"):
        layer(x)
    assert not layer.count.any()
    layer.reset(0)(x)
    assert layer.count.sum() == 15
    torch.compiler.reset()
    spoilt = torch.cat((x, x * torch.nan))
    torch.compile(layer.reset(0), fullgraph=True, backend="eager")(spoilt)
    assert layer.count.sum() == 15


def test_with_a_fresh_switch_all_neurons_fire_and_without_it_at_most_k():
    x = draw(50, 16).abs().float()
    for switch, least, most in ((1e6, 50, 50), (None, 0, 50)):
        layer = SDMLayer(16, 300, 4, k=5, switch=switch)
        layer(x)
        assert least <= layer.count.min() <= layer.count.max() <= most
        assert (layer.count.sum() == 50 * 300) if switch else (layer.count.sum() <= 50 * 5)


# The weights


def test_weights_start_as_said():
    layer = SDMLayer(3, 40, 5, k=2, seed=7)
    source = torch.Generator().manual_seed(7)
    address = (2 * torch.rand(40, 3, generator=source) - 1).clamp_min(0)
    value = (2 * torch.rand(40, 5, generator=source) - 1).clamp_min(0) / 40**0.5
    close(layer.value.data, value, 1e-7)
    for found, drawn in zip(layer.address.data, address, strict=True):
        even = torch.full((3,), 3**-0.5)
        close(found, drawn / drawn.norm() if drawn.any() else even, 1e-6)
    assert not address.any(1).all()  # one without any number above 0 was drawn
    same = SDMLayer(3, 40, 5, k=2, seed=torch.Generator().manual_seed(7))
    assert torch.equal(same.address, layer.address)
    layer(torch.ones(2, 3))
    layer.reset(7)
    assert not layer.count.any()
    assert torch.equal(same.value, layer.value)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_projected_weights_are_positive_and_addresses_of_length_one(dtype):
    layer = SDMLayer(30, 50, 4, k=3).to(dtype)
    with torch.no_grad():
        layer.address.copy_(draw(50, 30) * 100)
        layer.value.copy_(draw(50, 4, seed=1))
        layer.address[0] = -1
        layer.address[1] = 1e-7
        wanted = layer.value.clamp_min(0)
    layer.project()
    assert (layer.address >= 0).all()
    assert torch.equal(layer.value, wanted)
    close(layer.address.double().norm(dim=1), torch.ones(50).double(), 8 * torch.finfo(dtype).eps)
    once = layer.address.clone()
    close(layer.project().address.data, once.data, 2 * torch.finfo(dtype).eps)


def test_an_optimizer_is_followed_until_the_handle_is_removed():
    layer = SDMLayer(6, 20, 4, k=3)
    optimizer = torch.optim.SGD(layer.parameters(), lr=5.0)
    handle = layer.follow(optimizer)
    x, y = draw(16, 6).float(), torch.arange(16) % 4
    for _ in range(3):
        optimizer.zero_grad()
        cross_entropy(layer(x), y).backward()
        optimizer.step()
        assert layer.address.min() >= 0
        assert layer.value.min() >= 0
        close(layer.address.norm(dim=1), torch.ones(20), 1e-6)
    handle.remove()
    with torch.no_grad():
        layer.value.sub_(1)
    optimizer.step()
    assert layer.value.min() < 0


def test_neurons_that_do_not_fire_are_not_changed_by_a_step():
    layer = SDMLayer(6, 40, 4, k=2)
    with torch.no_grad():
        layer.address[0].fill_(1)  # not of length one, so that a projection would show
    optimizer = torch.optim.SGD(layer.parameters(), lr=5.0)
    layer.follow(optimizer)
    layer.project()
    before = copy.deepcopy(layer)
    cross_entropy(layer(draw(5, 6).float()), torch.arange(5) % 4).backward()
    optimizer.step()
    idle = layer.count == 0
    assert 0 < idle.sum() < 40
    assert torch.equal(layer.value[idle], before.value[idle])
    close(layer.address[idle].data, before.address[idle].data, 1e-7)
    assert (layer.value[~idle] != before.value[~idle]).any(1).all()


def settings(kind: type[Optimizer]) -> list[dict[str, object]]:
    """Return choices of what can move weights without a gradient: each as it is, on, and off."""
    choices = {
        "momentum": (0.0, 0.9),
        "betas": ((0.0, 0.9), (0.5, 0.9)),
        "weight_decay": (0.0, 0.1),
        "lambd": (0.0, 0.1),
    }
    known = [name for name in choices if name in inspect.signature(kind).parameters]
    off = {name: choices[name][0] for name in known}
    return [{}, off] + [off | {name: choices[name][1]} for name in known]


OPTIMIZERS = [
    (kind, options)
    for _, kind in sorted(inspect.getmembers(torch.optim, inspect.isclass))
    if issubclass(kind, Optimizer) and kind not in (Optimizer, torch.optim.SparseAdam)
    for options in settings(kind)
]


@pytest.mark.filterwarnings("ignore:.*lr_scheduler.step:UserWarning")
@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS)
def test_every_optimizer_leaves_idle_neurons_or_is_warned_of(kind, options):
    layer = SDMLayer(6, 40, 4, k=2)
    optimizer = kind(layer.parameters(), lr=0.5, **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        layer.follow(optimizer)
    moved = False
    for step in range(6):
        x, label = draw(5, 6, seed=step % 3).float(), torch.arange(5) % 4
        # Two projections can differ in the last digit, so what is compared is projected too.
        before, count = copy.deepcopy(layer).project(), layer.count.clone()

        def closure(x: Tensor = x, label: Tensor = label) -> Tensor:
            optimizer.zero_grad()
            loss = cross_entropy(layer(x), label)
            loss.backward()
            return loss

        optimizer.step(closure)
        idle = layer.count == count
        assert idle.any()
        assert step or not idle.all()
        for name in ("address", "value"):
            same = torch.equal(getattr(layer, name)[idle], getattr(before, name)[idle])
            moved = moved or not same
    assert moved == bool(caught), [str(one.message) for one in caught]


@pytest.mark.untyped  # the checks of shapes add frames between the caller and the warning
def test_a_warning_says_what_moves_the_neurons():
    layer = SDMLayer(6, 20, 4, k=3)
    weights = list(layer.parameters())
    reasons = (
        (torch.optim.SGD(weights, lr=1.0, weight_decay=0.1), "SGD has weight decay; it moves"),
        (torch.optim.AdamW(weights), "AdamW has momentum and weight decay; it moves"),
        (torch.optim.ASGD(weights), "ASGD has weight decay; it moves"),
        (torch.optim.LBFGS(weights), "LBFGS has steps along earlier gradients; it moves"),
    )
    for optimizer, sentence in reasons:
        with pytest.warns(UserWarning, match=sentence):
            layer.follow(optimizer)


@pytest.mark.untyped
def test_momentum_is_warned_of():
    layer = SDMLayer(6, 20, 4, k=3)
    other = torch.nn.Parameter(torch.ones(2))
    momentum = (
        torch.optim.SGD(layer.parameters(), lr=1.0, momentum=0.9),
        torch.optim.Adam(layer.parameters()),
        torch.optim.RMSprop(layer.parameters(), momentum=0.1),
        torch.optim.SGD([{"params": [layer.address]}, {"params": [layer.value], "momentum": 0.5}]),
    )
    for optimizer in momentum:
        with pytest.warns(UserWarning, match="has momentum") as caught:
            layer.follow(optimizer)
        assert caught[0].filename == __file__
    none = (
        torch.optim.SGD(layer.parameters(), lr=1.0),
        torch.optim.RMSprop(layer.parameters()),
        torch.optim.Adagrad(layer.parameters()),
        torch.optim.Adam(layer.parameters(), betas=(0.0, 0.99)),
        torch.optim.SGD([{"params": layer.parameters()}, {"params": [other], "momentum": 0.9}]),
    )
    for optimizer in none:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            layer.follow(optimizer)


# Narrowing


def test_k_goes_down_from_all_neurons_subtracted_or_masked():
    x = draw(7, 6)
    for masked in (False, True):
        layer = SDMLayer(6, 20, 4, k=5, masked=masked).double()
        found = [layer.narrow(epoch, 10) for epoch in range(12)]
        assert found == [20, 18, 17, 15, 14, 12, 11, 9, 8, 6, 5, 5]
        for epoch in (0, 4, 11):
            k = layer.narrow(epoch, 10)
            scores = cosine(x.relu(), layer.address)
            ranked = scores.sort(descending=True).values
            taken = ranked[:, k : k + 1] if k < 20 else torch.zeros(7, 1)
            kept = torch.where(scores > taken, scores if masked else scores - taken, 0.0)
            close(layer(x), kept @ layer.value)
    assert SDMLayer(6, 20, 4, k=30).narrow(0, 10) == 30


@pytest.mark.untyped
@pytest.mark.parametrize("masked", [True, False])
def test_a_compiled_layer_follows_every_number(masked):
    layer = SDMLayer(6, 40, 4, k=3, masked=masked)
    plain, x = copy.deepcopy(layer), draw(9, 6).float()
    torch.compiler.reset()
    graphs = []

    def counted(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> object:
        graphs.append(graph)
        return graph

    compiled = torch.compile(layer, fullgraph=True, backend=counted)
    found = set()
    for epoch in range(25):
        assert layer.narrow(epoch, 24) == plain.narrow(epoch, 24)
        found.add(layer.active)
        close(compiled(x), plain(x), 1e-6)
        assert torch.equal(layer.count, plain.count)
        close(torch.func.functional_call(compiled, {}, (x,)), plain(x), 1e-6)
    assert len(found) >= 20
    assert len(graphs) == 2  # one for k, and one for all other numbers
    wide = SDMLayer(6, 5, 4, k=9)
    compiled = torch.compile(wide, fullgraph=True, backend=counted)
    wide.narrow(0, 5)
    close(compiled(x), wide(x), 1e-6)


def test_reset_goes_back_to_k_and_the_number_is_shown():
    layer = SDMLayer(6, 20, 4, k=3)
    assert "active" not in repr(layer)
    layer.narrow(1, 2)
    assert repr(layer) == "SDMLayer(dim=6, neurons=20, classes=4, k=3, active=11)"
    assert repr(copy.deepcopy(layer)) == repr(pickle.loads(pickle.dumps(layer))) == repr(layer)
    layer.reset(0)
    assert layer.active == 3
    assert "active" not in repr(layer)
    x = draw(5, 6).float()
    assert torch.equal(layer(x), SDMLayer(6, 20, 4, k=3)(x))
    assert (layer.weights(x) > 0).sum(-1).max() <= 3


# What every layer does


def test_a_state_holds_the_switch_and_copies_read_alike():
    layer, x = switched(), draw(5, 6)
    layer(x)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other = SDMLayer(6, 20, 4, k=3, switch=50, seed=9).double()
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other.count, layer.count)
    assert torch.equal(other(x), copy.deepcopy(layer)(x))
    assert torch.equal(other.count, layer.count) is False
    assert layer.bfloat16().count.dtype == torch.int64


def test_sums_are_wide_in_bfloat16_and_under_autocast():
    layer = switched().float().eval()
    x = draw(5, 6).float()
    plain = layer(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(x), plain)
        narrow = layer(x.bfloat16())
    assert narrow.dtype == torch.bfloat16
    close(narrow, layer(x.bfloat16().float()).bfloat16(), 0)
    small = copy.deepcopy(layer).bfloat16()
    wide = copy.deepcopy(small).float()
    close(small(x.bfloat16()), wide(x.bfloat16().float()).bfloat16(), 0)


@pytest.mark.untyped
@pytest.mark.parametrize("masked", [True, False])
def test_forward_compiles_to_one_graph(masked):
    layer = SDMLayer(6, 20, 4, k=3, masked=True) if masked else switched().float()
    plain = copy.deepcopy(layer)
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    for seed in range(3):
        x = draw(5, 6, seed=seed).float()
        close(compiled(x), plain(x), 1e-6)
        assert torch.equal(layer.count, plain.count)
    x[2, 3] = -torch.inf
    assert compiled(x).isnan().any(1).tolist() == [False, False, True, False, False]


def test_gradients_are_right_away_from_thresholds():
    layer = switched().eval()
    x = draw(3, 6).abs().requires_grad_()
    own = [weight.detach().clone().requires_grad_() for weight in (layer.address, layer.value)]
    scores = cosine(x, own[0])
    taken = scores.sort(descending=True).values[:, 3:4].detach()

    loss = draw(3, 4, seed=5)
    fixed = (cosine(x, own[0]) - layer.gain().double() * taken).relu() @ own[1]
    wanted = torch.autograd.grad((fixed * loss).sum(), (x, *own))
    found = torch.autograd.grad((layer(x) * loss).sum(), (x, layer.address, layer.value))
    for one, other in zip(found, wanted, strict=True):
        close(one, other, 1e-10)


def unprojected() -> tuple[SDMLayer, dict[str, Tensor]]:
    """Return a layer without a threshold, and weights for it that are not of length one."""
    layer = SDMLayer(6, 5, 4, k=9).double()
    names = [name for name, _ in layer.named_parameters()]
    drawn = (draw(5, 6, seed=1), draw(5, 4, seed=2))
    return layer, dict(zip(names, drawn, strict=True))


def test_first_and_second_derivatives_are_right():
    layer, given = unprojected()
    weights = [weight.requires_grad_() for weight in given.values()]
    x = draw(3, 6, seed=3).abs().requires_grad_()

    def read(x: Tensor, *weights: Tensor) -> Tensor:
        named = dict(zip(given, weights, strict=True))
        return torch.func.functional_call(layer, named, (x,))

    assert torch.autograd.gradcheck(read, (x, *weights))
    slopes = (draw(3, 4, seed=4).requires_grad_(),)
    assert torch.autograd.gradgradcheck(read, (x, *weights), slopes)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.untyped  # torch.func counts batch dimensions out of the shapes
def test_transforms_of_functions_give_the_same_derivatives():
    layer, given = unprojected()
    layer.eval()
    x = draw(3, 6, seed=3).abs()

    def read(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        return torch.func.functional_call(layer, weights, (x,))

    jacobian = torch.func.jacrev(read)(given, x)
    forward = torch.func.jacfwd(read)(given, x)
    each = torch.func.vmap(torch.func.jacrev(read), in_dims=(None, 0))(given, x)
    for name, weight in given.items():
        leaf = weight.clone().requires_grad_()
        value = read(given | {name: leaf}, x)
        rows = [torch.autograd.grad(one, leaf, retain_graph=True)[0] for one in value.flatten()]
        wanted = torch.stack(rows).reshape(jacobian[name].shape)
        for found in (jacobian, forward, each):
            close(found[name], wanted, 1e-10)


@pytest.mark.untyped
def test_training_in_a_transform_counts_right_or_is_refused():
    layer, x = switched(), draw(5, 6)
    before, given = layer.count.clone(), {"value": layer.value.detach()}

    def loss(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        return torch.func.functional_call(layer, weights, (x,)).sum()

    calls = (
        lambda: torch.func.grad(loss)(given, x),
        lambda: torch.func.grad(loss, argnums=1)(given, x),
        lambda: torch.func.jvp(lambda x: loss(given, x), (x,), (x,)),
        lambda: torch.func.vmap(loss, in_dims=(None, 0))(given, x),
        lambda: torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(given, x),
        lambda: torch.func.functionalize(lambda x: loss(given, x))(x),
    )
    for call in calls:
        with pytest.raises(kanerva.InputError) as raised:
            call()
        assert str(raised.value) == (
            "SDMLayer: the layer must be in evaluation within this transform of torch.func, "
            "but it was in training; call .eval() first, which counts nothing."
        )
        assert torch.equal(layer.count, before)
    layer.eval()
    calls[0]()
    calls[4]()
    # Without a transform, and with a count for each of several models, counts are right.
    layers = [switched(seed).train() for seed in range(3)]
    weights, counts = torch.func.stack_module_state(layers)
    layer.train()
    given = {name: weight.detach() for name, weight in weights.items()}

    def each(weights: dict[str, Tensor], counts: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(layer, (weights, counts), (x,))

    reads = torch.func.vmap(each)(given, counts)
    for index, one in enumerate(layers):
        close(reads[index], one(x))
        assert torch.equal(counts["count"][index], one.count)
    assert torch.equal(layer.count, before)
    loss({"value": layer.value.detach()}, x)
    assert (layer.count > before).any()


def test_one_layer_in_a_few_steps_learns_bits():
    """Train as the publication does: every class has a corner of its own."""
    layer = SDMLayer(8, 200, 4, k=3, switch=200)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    layer.follow(optimizer)
    source = torch.Generator().manual_seed(0)
    label = torch.randint(4, (400,), generator=source)
    x = torch.rand(400, 8, generator=source) + 2 * torch.eye(4).repeat(1, 2)[label]
    for step in range(100):
        part = slice(step % 10 * 40, step % 10 * 40 + 40)
        optimizer.zero_grad()
        cross_entropy(layer(x[part]), label[part]).backward()
        optimizer.step()
    assert (layer.eval()(x).argmax(1) == label).double().mean() > 0.95


# Layers without data


BUILD = {
    "Attention": lambda: nn.Attention(8, 2, persistent=3),
    "DIACell": lambda: nn.DIACell(8, cells=2),
    "EnergyBlock": lambda: nn.EnergyBlock(8, 2, width=4),
    "LatentAttention": lambda: nn.LatentAttention(8, 2, 3),
    "Lookup": lambda: nn.Lookup(8, 2, 5),
    "MemoryAttention": lambda: nn.MemoryAttention(8, 2, capacity=9, k=3),
    "Projection": lambda: Projection(8, 4),
    "SDMLayer": lambda: nn.SDMLayer(8, 20, 4, k=3),
    "SDMLayer with a switch": lambda: nn.SDMLayer(8, 20, 4, k=3, switch=9.0),
    "hopfield_layer": lambda: nn.hopfield_layer(8, 2),
    "hopfield_lookup": lambda: nn.hopfield_lookup(8, 2, 5),
    "hopfield_pooling": lambda: nn.hopfield_pooling(8, 2, 3),
    "sparse_hopfield_layer": lambda: nn.sparse_hopfield_layer(8, 2),
}


def test_every_layer_is_built_here():
    parts = {"CellState", "Correlation", "Descent", "Gate", "Shared", "Stage"}
    verbs = {"correlation", "read_heads", "register", "share"}
    assert set(nn.__all__) - parts - verbs <= set(BUILD)


@pytest.mark.parametrize("name", BUILD)
def test_a_layer_is_built_on_the_default_device_and_drawn_elsewhere(name):
    plain = BUILD[name]()
    with torch.device("cpu"):
        same = BUILD[name]()
    with torch.device("meta"):
        blank = BUILD[name]()
    tensors = (*blank.parameters(), *blank.buffers())
    assert all(tensor.is_meta for tensor in tensors)
    state = plain.state_dict()
    for layer in (same, blank.to_empty(device="cpu").reset(0)):
        found = layer.state_dict()
        assert list(found) == list(state)
        assert all(torch.equal(found[name], state[name]) for name in state)


def test_a_layer_on_meta_takes_no_memory_and_draws_nothing():
    source = torch.Generator().manual_seed(0)
    before = source.get_state()
    with torch.device("meta"):
        layer = SDMLayer(2**20, 2**20, 4, k=3, seed=source)
    assert layer.address.shape == (2**20, 2**20)
    assert torch.equal(source.get_state(), before)
    assert layer.narrow(0, 1) == 2**20
    with pytest.raises(kanerva.InputError, match="small enough for the memory at hand"):
        SDMLayer(2**20, 2**30, 4, k=3)


def test_an_error_that_is_no_lack_of_memory_stays_what_it_is():
    def built(error: Exception) -> None:
        with checks.room("dim", "5"):
            raise error

    for text in ("Expected a 'meta' device type for generator", "memory format is not supported"):
        with pytest.raises(RuntimeError, match=text):
            built(RuntimeError(text))
    lacks = (
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    )
    for error in lacks:
        with pytest.raises(kanerva.InputError, match="dim must be small enough for the memory"):
            built(error)
    for shape in ((2**40, 2**40), (2**50,)):  # what torch says here and now
        with pytest.raises(kanerva.InputError, match="memory at hand"), checks.room("dim", "5"):
            torch.empty(shape)


def test_a_layer_is_projected_where_numbers_cannot_be_read():
    with FakeTensorMode():
        layer = SDMLayer(6, 20, 4, k=3)
        layer.follow(torch.optim.SGD(layer.parameters(), lr=1.0))
        assert layer.project().address.shape == (20, 6)


# Bad input

BAD = {
    "dim": ({"dim": 0}, "SDMLayer: dim must be an integer from 1"),
    "neurons": ({"neurons": 0}, "SDMLayer: neurons must be an integer from 1"),
    "classes": ({"classes": 2.5}, "SDMLayer: classes must be an integer from 1"),
    "k": ({"k": 0}, "SDMLayer: k must be an integer from 1 .* but it was 0"),
    "no k": ({"k": None}, "SDMLayer: k must be an integer from 1"),
    "switch": ({"switch": 0}, "SDMLayer: switch must be a finite number > 0, but it was 0"),
    "negative": ({"switch": -1.0}, "SDMLayer: switch must be a finite number > 0"),
    "nan": ({"switch": float("nan")}, "SDMLayer: switch must be a finite number"),
    "seed": ({"seed": -1}, "SDMLayer: seed must be an integer"),
    "masked": ({"masked": 1}, "SDMLayer: masked must be True or False"),
    "both": ({"masked": True, "switch": 9}, "switch must be None where masked is True"),
    "two rules": ({"separation": Softmax(1.0)}, "k must be None with a separation"),
    "rule": ({"k": None, "separation": "softmax"}, "separation must be a separation"),
    "coupled": (
        {"k": None, "separation": Difference(Exponential(1.0))},
        "separation must be a rule without self-coupling",
    ),
    "switched rule": (
        {"k": None, "separation": Softmax(1.0), "switch": 5.0},
        "switch must be None with a separation",
    ),
}


@pytest.mark.untyped
@pytest.mark.parametrize("name", BAD)
def test_a_layer_is_refused_in_a_sentence(name):
    options, sentence = BAD[name]
    with pytest.raises(kanerva.InputError, match=sentence):
        SDMLayer(**{"dim": 6, "neurons": 20, "classes": 4, "k": 3} | options)


@pytest.mark.untyped
def test_input_is_refused_in_a_sentence():
    layer, x = SDMLayer(6, 20, 4, k=3), torch.ones(5, 6)
    spoilt = copy.deepcopy(layer)
    with torch.no_grad():
        spoilt.address[3, 2] = torch.nan
    some = torch.optim.SGD([layer.address], lr=1.0)
    none = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
    rule = SDMLayer(6, 20, 4, None, separation=Softmax(1.0))
    calls = (
        (lambda: layer(x[:, :5]), "SDMLayer: x must be a floating tensor of shape"),
        (lambda: layer(x.long()), "SDMLayer: x must be a floating tensor"),
        (lambda: layer(x.double()), "x must be torch.float32, as the weights are"),
        (lambda: layer(x * torch.nan), "SDMLayer: x must be finite"),
        (lambda: layer(x * -torch.inf), "SDMLayer: x must be finite"),
        (lambda: layer(x.numpy()), "SDMLayer: x must be a floating tensor"),
        (lambda: layer(x * 1e38), "scale it down"),
        (lambda: spoilt(x), "check the weights of the layer for NaN"),
        (lambda: layer.follow(some), "optimizer must be one that trains the layer, .* value"),
        (lambda: layer.follow(none), "one without its address and value; build it with"),
        (lambda: layer.follow(layer), "SDMLayer.follow: optimizer must be an optimizer of torch"),
        (lambda: layer.narrow(-1, 5), "SDMLayer.narrow: epoch must be an integer"),
        (lambda: layer.narrow(1, 0), "SDMLayer.narrow: epochs must be an integer"),
        (lambda: switched().narrow(1, 5), "must be one of k without a switch"),
        (lambda: rule.narrow(1, 5), "one with a separation"),
        (lambda: layer.reset(-1), "seed"),
    )
    for call, sentence in calls:
        with pytest.raises(kanerva.InputError, match=sentence):
            call()


# Activation checkpointing


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_repeated_call_counts_nothing_and_a_moved_switch_is_refused(reentrant):
    x = torch.rand(32, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
    plain, repeated = (SDMLayer(16, 100, 4, k=3) for _ in range(2))
    plain(x).square().sum().backward()
    checkpoint(repeated, x, use_reentrant=reentrant).square().sum().backward()
    assert torch.equal(plain.value.grad, repeated.value.grad)
    assert torch.equal(plain.count, repeated.count)
    switched = SDMLayer(16, 100, 4, k=3, switch=40.0)
    output = checkpoint(switched, x, use_reentrant=reentrant)
    with pytest.raises(kanerva.InputError, match="repeated by activation checkpointing"):
        output.square().sum().backward()


def test_gains_have_the_dtype_of_the_layer_or_float32():
    layer = SDMLayer(8, 20, 4, k=3, switch=3e5)
    layer.count.fill_(70000)
    assert layer.half().gain()[0].item() == pytest.approx(-8 / 15, abs=1e-6)
    assert layer.double().gain()[0].item() == pytest.approx(-8 / 15, abs=1e-15)
