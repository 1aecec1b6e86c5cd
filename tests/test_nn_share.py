"""Gates that the blocks of a model share: the loop written out, and what a model must survive."""

import copy
import gc
import math
import pickle
import threading
import weakref
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from kanerva import InputError, InputTypeError, nn
from kanerva.nn._gates._channels import SE


class Block(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.branch = torch.nn.Sequential(torch.nn.Linear(width, width), torch.nn.Tanh())

    def forward(self, x):
        return x + self.branch(x)


class Net(torch.nn.Module):
    """Five blocks; with ``entered``, they are checkpointed, with reentry or without."""

    def __init__(self, entered=None, width=8, depth=5):
        super().__init__()
        self.blocks = torch.nn.ModuleList(Block(width) for _ in range(depth))
        self.entered = entered

    def forward(self, x):
        for block in self.blocks:
            if self.entered is None:
                x = block(x)
            else:
                x = checkpoint(block, x, use_reentrant=self.entered)
        return x


def plain_net(depth=5):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Net(depth=depth).double()


def shared_net(gate="dia", depth=5, **options):
    net = plain_net(depth)
    nn.share(net, "blocks.*.branch", torch.zeros(1, 8).double(), gate=gate, reduction=2, **options)
    return net


def inputs(seed=0, batch=3):
    source = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 8, generator=source, dtype=torch.float64).requires_grad_()


def test_the_forward_pass_is_the_loop_written_out():
    net, x = shared_net(), inputs()
    cell, state, by_hand = net.shared.gates["stage1"].cell, None, x
    for block in net.blocks:
        branch = torch.nn.functional.linear(by_hand, block.branch[0].weight, block.branch[0].bias)
        branch = branch.tanh()
        gate, state = cell(branch, state)
        by_hand = by_hand + gate * branch
    assert (net(x) - by_hand).abs().max() < 1e-12


@pytest.mark.parametrize("gate", ["dia", "recall", "se", "eca", "constant", "scale"])
def test_gradients_under_checkpointing_are_those_without(gate):
    net = shared_net(gate)

    def gradients(*given):
        net.zero_grad()
        outputs = [net(one) for one in given]
        sum((n * one.square().sum()) for n, one in enumerate(outputs, 1)).backward()
        return [weight.grad.clone() for weight in net.parameters() if weight.grad is not None]

    for given in ((inputs(),), (inputs(), inputs(1)), (inputs(), inputs(1, batch=5))):
        net.entered = None
        plain = gradients(*given)
        net.entered = False
        for one, other in zip(plain, gradients(*given), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_a_reentrant_recomputation_is_refused():
    net = shared_net()
    net.entered = True
    with pytest.raises(InputError, match="use_reentrant=False"):
        net(inputs()).sum().backward()


def test_copies_are_made_after_a_step_and_are_independent():
    net, x = shared_net(), inputs()
    net(x).sum().backward()
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(other(x), net(x))
        with torch.no_grad():
            other.shared.gates["stage1"].cell.input[0].weight.add_(1)
        assert not torch.equal(other(x), net(x))


@pytest.mark.untyped
# Torch itself hides this warning from users.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_a_model_compiles_as_one_graph():
    torch.compiler.reset()
    net, x = shared_net(depth=2), inputs()
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), net(x), rtol=0, atol=1e-12)


def test_removed_gates_leave_the_model_bit_for_bit():
    plain = plain_net()
    net, x = shared_net(), inputs()
    plain.load_state_dict(net.shared.remove().state_dict())
    assert torch.equal(plain(x), net(x))
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in net.modules())


def gradients(net, *given):
    net.zero_grad()
    sum(n * net(one).square().sum() for n, one in enumerate(given, 1)).backward()
    return {name: one.grad.clone() for name, one in net.named_parameters() if one.grad is not None}


def close(one, other, atol=1e-12):
    torch.testing.assert_close(one, other, rtol=0, atol=atol)


class Dropped(torch.nn.Module):
    """A block whose branch ends in dropout."""

    def __init__(self, block):
        super().__init__()
        self.branch = torch.nn.Sequential(block.branch, torch.nn.Dropout(0.4))

    def forward(self, x):
        return x + self.branch(x)


def test_checkpointing_with_dropout_recomputes_the_same_gates():
    net = plain_net()
    net.blocks = torch.nn.ModuleList(map(Dropped, net.blocks))
    nn.share(net, "blocks.?.branch", torch.zeros(1, 8).double(), reduction=2)
    found = []
    for entered in (None, False):
        net.entered = entered
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            found.append(gradients(net, inputs(), inputs()))  # the same rows, dropped otherwise
    for name, one in found[0].items():
        close(found[1][name], one)


@pytest.mark.parametrize("gate", ["cbam", "srm"])
def test_statistics_follow_a_batch_once_under_checkpointing(gate):
    nets = [shared_net(gate), shared_net(gate)]
    nets[1].entered = False
    one, other = (gradients(net, inputs()) for net in nets)
    for name in one:
        close(one[name], other[name])
    for name, number in nets[0].shared.named_buffers():
        close(number, nets[1].shared.get_buffer(name))


def test_a_recomputation_of_other_features_is_refused():
    net = shared_net()
    net.entered = False
    loss = net(inputs()).sum()
    with torch.no_grad():
        net.blocks[2].branch[0].weight.add_(3)
    with pytest.raises(InputError, match=r"'blocks\.\d\.branch' must be recomputed by"):
        loss.backward()


def test_a_whole_model_can_be_checkpointed():
    net, x = shared_net(), inputs()
    plain = gradients(net, x)
    net.zero_grad()
    checkpoint(net, x, use_reentrant=False).square().sum().backward()
    for name, one in plain.items():
        close(net.get_parameter(name).grad, one)


def test_evaluation_between_forward_and_backward_changes_nothing():
    net, x = shared_net(), inputs()
    for entered in (None, False):
        net.entered = entered
        plain = gradients(net, x)
        net.zero_grad()
        loss = net(x).square().sum()
        net.eval()
        with torch.no_grad():
            net(inputs(3, batch=7))
        net(inputs(4))
        net.train()
        loss.backward()
        for name, one in plain.items():
            close(net.get_parameter(name).grad, one)


def test_batches_of_any_size_follow_each_other():
    net = shared_net()
    x = inputs(batch=6)
    whole = net(x)
    for size in (1, 2, 6, 3):
        close(net(x[:size]), whole[:size])
    assert net(x[:0]).shape == (0, 8)


@pytest.mark.parametrize("gate", ["dia", "recall", "se", "eca", "scale"])
def test_no_row_changes_the_gate_of_another(gate):
    net, x = shared_net(gate), inputs(batch=4)
    with net.shared.record() as gates:
        net(x)
        before = gates["stage1"].clone()
        other = x.detach().clone()
        other[2] = 100.0
        net(other)
    for row in (0, 1, 3):
        close(gates["stage1"][:, row], before[:, row])
    if gate != "scale":
        assert not torch.allclose(gates["stage1"][:, 2], before[:, 2])
    slope = torch.autograd.grad(net(x)[0].sum(), x)[0]
    assert not slope[1:].any()
    assert slope[0].all()


def test_an_exception_in_the_middle_leaves_nothing_behind():
    net, x = shared_net(), inputs()
    before = net(x)
    handle = net.blocks[3].register_forward_pre_hook(lambda *_: 1 / 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            net(x)
        assert net.shared.frame.run is None
    handle.remove()
    assert torch.equal(net(x), before)


class Leaky(Net):
    """Leaves out the blocks whose numbers are listed."""

    left_out = ()

    def forward(self, x):
        for number, block in enumerate(self.blocks):
            x = x if number in self.left_out else block(x)
        return x


def test_a_skipped_block_hands_on_the_state_of_the_last_that_ran():
    net, x = shared_net(), inputs()
    net.__class__ = Leaky
    net(inputs(5))
    for left_out in ((2,), (0,), (0, 1, 4), (1, 2, 3), range(5)):
        net.left_out = left_out
        cell, state, by_hand = net.shared.gates["stage1"].cell, None, x
        for number, block in enumerate(net.blocks):
            if number not in left_out:
                branch = torch.tanh(block.branch[0](by_hand))
                gate, state = cell(branch, state)
                by_hand = by_hand + gate * branch
        close(net(x), by_hand)
    net.left_out = (2,)
    skipped = "'blocks.2.branch' must be called in every forward pass that is recorded"
    with net.shared.record(), pytest.raises(InputError, match=skipped):
        net(x)


def test_nothing_of_a_pass_outlives_its_graph():
    net = shared_net()
    frame = net.shared.frame
    loss = net(inputs()).sum()
    assert frame.run is None
    trace = weakref.ref(next(iter(frame.kept())))
    held = torch.tensor(0.0)
    graph = weakref.ref(held)
    loss.grad_fn.metadata["held"] = held
    assert len(frame.kept()) == 1
    for step in trace().steps.values():
        assert all(one.grad_fn is None for one in (step.sample, *(step.before or ())))
    loss.backward()
    del loss, step, held
    gc.collect()
    assert trace() is None
    assert graph() is None
    assert not frame.kept()
    with torch.no_grad():
        net(inputs())
    assert not frame.kept()


def test_two_threads_may_call_one_model():
    net = shared_net()
    net.entered = False
    given = [inputs(seed, batch=2 + seed) for seed in range(4)]
    expected = [(net(x), torch.autograd.grad(net(x).square().sum(), x)[0]) for x in given]
    barrier, failed = threading.Barrier(4), []

    def work(number):
        try:
            barrier.wait()
            for _ in range(10):
                x = given[number].detach().clone().requires_grad_()
                output = net(x)
                close(output, expected[number][0])
                close(torch.autograd.grad(output.square().sum(), x)[0], expected[number][1])
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed[0]


def replica(model):
    """Return a copy as those of ``DataParallel``, with weights that are no leaves."""
    modules = {module: module._replicate_for_data_parallel() for module in model.modules()}
    for module, copied in modules.items():
        for name, child in module._modules.items():
            copied._modules[name] = child if child is None else modules[child]
        for name, weight in module._parameters.items():
            setattr(copied, name, None if weight is None else weight * 1.0)
    return modules[model]


@pytest.mark.parametrize("gate", ["dia", "recall"])
def test_replicas_share_no_state(gate):
    net = shared_net(gate)
    given = [inputs(seed, batch=2 + seed) for seed in range(2)]
    expected = gradients(net, *given)
    outputs = [net(x) for x in given]
    for entered in (None, False):
        net.entered = entered
        replicas = [replica(net), replica(net)]
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(lambda pair: pair[0](pair[1]), zip(replicas, given, strict=True)))
        for one, other in zip(found, outputs, strict=True):
            close(one, other)
        net.zero_grad()
        sum(n * one.square().sum() for n, one in enumerate(found, 1)).backward()
        for name, one in expected.items():
            close(net.get_parameter(name).grad, one)


def test_a_training_step_is_saved_whole(tmp_path):
    net, x = shared_net(), inputs()
    net(x).sum().backward()
    torch.save(net, tmp_path / "net.pt")
    other = torch.load(tmp_path / "net.pt", weights_only=False)
    copied = copy.deepcopy(net)
    for one in (other, copied):
        assert torch.equal(one(x), net(x))
        assert one.shared.stages == net.shared.stages
        one.shared.remove()
        assert not any(part._forward_hooks for part in one.modules())
        assert not torch.equal(one(x), net(x))
    assert all(one._forward_hooks for one in (net, net.blocks[0].branch))


def test_weights_saved_before_load_after():
    plain, net = plain_net(), shared_net()
    keys = list(plain.state_dict())
    assert [key for key in net.state_dict() if not key.startswith("shared.gates.stage1.")] == keys
    gates = {name: one.clone() for name, one in net.shared.state_dict().items()}
    with torch.no_grad():
        for weight in plain.parameters():
            weight.add_(1)
    net.load_state_dict(plain.state_dict())
    for name, one in plain.state_dict().items():
        assert torch.equal(net.state_dict()[name], one)
    for name, one in gates.items():
        assert torch.equal(net.shared.state_dict()[name], one)
    # Part of the gates is no file from before.
    part = dict(net.state_dict())
    part.pop("shared.gates.stage1.cell.input.0.weight")
    with pytest.raises(RuntimeError, match=r"Missing key.*shared\.gates\.stage1\.cell\.input"):
        net.load_state_dict(part)
    with pytest.raises(RuntimeError, match="Missing key"):
        net.shared.load_state_dict({})
    outer = torch.nn.Sequential(net)
    outer.load_state_dict({f"0.{name}": one for name, one in plain.state_dict().items()})


def test_the_example_leaves_the_model_as_it_was():
    class Counting(Net):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))
            self.register_buffer("kept", torch.zeros(3))

        def forward(self, x):
            self.calls += 1
            self.kept = self.kept + torch.rand(3)
            return super().forward(torch.nn.functional.dropout(x, 0.5))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = Counting()
        net.train()
        net.blocks[1].eval()
        modes = [part.training for part in net.modules()]
        kept, state = net.kept, torch.random.get_rng_state()
        nn.share(net, "blocks.*.branch", torch.ones(1, 8), reduction=2)
        assert torch.equal(state, torch.random.get_rng_state())
    assert net.calls == 0
    assert net.kept is kept
    assert not kept.any()
    assert [p.training for name, p in net.named_modules() if "shared" not in name] == modes
    assert net.shared.training
    assert not any(weight.grad is not None for weight in net.parameters())


def by_scope(scope):
    net = plain_net()
    given = {"reduction": 2, "scope": scope}
    return nn.share(net, "blocks.*.branch", torch.zeros(1, 8).double(), **given)


def test_scopes_share_or_do_not():
    stage, block, model = map(by_scope, ("stage", "block", "model"))
    number = sum(one.numel() for one in nn.DIACell(8, 2).parameters())
    assert stage.parameters_added == model.parameters_added == number
    assert block.parameters_added == 5 * number
    assert stage.stages == block.stages == model.stages
    assert list(block.gates) == [f"stage1_block{n}" for n in range(1, 6)]
    # A block of its own has no state: each cell begins anew.
    net, x = block._model[0], inputs()
    by_hand = x
    for number, part in enumerate(net.blocks, 1):
        branch = torch.tanh(part.branch[0](by_hand))
        by_hand = by_hand + block.gates[f"stage1_block{number}"].cell(branch)[0] * branch
    with block.record() as gates:
        close(net(x), by_hand)
    assert gates["stage1"].shape == (5, 3, 8)


class Branch(torch.nn.Module):
    """Returns a function of its input."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize(
    ("shape", "last", "axis"),
    [
        ((2, 8, 5, 4), None, 1),
        ((2, 8, 5, 4), False, 1),
        ((2, 5, 4, 8), True, -1),
        ((2, 5, 8), None, -1),
        ((2, 5, 8), True, -1),
        ((2, 8, 5), False, 1),
        ((2, 8), None, 1),
        ((2, 8), True, 1),
        ((2, 8, 3, 2, 2), None, 1),
    ],
)
def test_layouts(shape, last, axis):
    model = torch.nn.Sequential(Branch(torch.sin), Branch(torch.cos))
    shared = nn.share(model, "?", torch.zeros(shape), channels_last=last, reduction=2)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    state, by_hand = None, x
    for function in (torch.sin, torch.cos):
        rows = function(by_hand).movedim(axis, 1)
        pooled = rows.flatten(2).mean(2) if rows.ndim > 2 else rows
        gate, state = shared.gates["stage1"].cell(pooled, state)
        gated = rows * gate.reshape(2, 8, *(1,) * (rows.ndim - 2))
        by_hand = gated.movedim(1, axis)
    with shared.record() as gates:
        close(model(x), by_hand, 1e-6)
    assert gates["stage1"].shape == (2, 2, 8)


Pair = namedtuple("Pair", ["first", "second"])


@pytest.mark.parametrize("kind", [lambda x: (x, 7, None), lambda x: Pair(x, 7)])
def test_the_first_of_a_tuple_is_gated(kind):
    model = torch.nn.Sequential(Branch(kind))
    shared = nn.share(model, "0", torch.ones(1, 8), gate="constant")
    found = model(torch.ones(2, 8))
    assert type(found) is type(kind(1))
    assert found[1:] == kind(1)[1:]
    assert torch.equal(found[0], torch.full((2, 8), 0.25))
    assert shared.parameters_added == 0


def test_branches_are_named_in_several_ways():
    for branches in (
        "blocks.*.branch",
        ["blocks.0.branch", "blocks.[1-4].branch"],
        tuple(f"blocks.{n}.branch" for n in range(5)),
        lambda name, module: name.endswith("branch"),
    ):
        net = plain_net()
        shared = nn.share(net, branches, {"x": torch.zeros(1, 8).double()}, reduction=2)
        assert shared.stages == {"stage1": tuple(f"blocks.{n}.branch" for n in range(5))}
        assert net.shared is shared


def test_records_are_made_inside_alone():
    net, x = shared_net(), inputs()
    shared = net.shared
    with shared.record() as gates:
        assert gates == {}
        net(x)
        first = gates["stage1"]
        assert first.shape == (5, 3, 8)
        assert not first.requires_grad
        net(-x)
        assert not torch.equal(gates["stage1"], first)
        last = gates["stage1"]
        with pytest.raises(InputError, match="made once at a time"), shared.record():
            pass
        assert copy.deepcopy(net).shared.frame.recording is None
    net(x)
    assert gates["stage1"] is last
    assert shared.frame.recording is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_and_narrow_models(dtype):
    states = []

    class Watched(nn.Gate):
        def __init__(self):
            super().__init__()
            self.cell = nn.DIACell(8, 2)

        def forward(self, features, state):
            gate, state = self.cell(features.float(), state)
            states.append((features.dtype, gate.dtype, state.cell.dtype))
            return gate, state

    x = inputs().detach().float()
    net = plain_net().float()
    nn.share(net, "blocks.*.branch", x, gate=lambda stage: Watched())
    states.clear()
    with torch.autocast("cpu", dtype=dtype):
        found = net(x)
    assert states == [(dtype, torch.float32, torch.float32)] * 5
    close(found.float(), net(x), 0.05)
    for convert in (lambda one: one.to(dtype), torch.nn.Module.double):
        net = convert(plain_net().float())
        x = x.to(next(net.parameters()).dtype)
        shared = nn.share(net, "blocks.*.branch", x, reduction=2)
        assert {one.dtype for one in shared.parameters()} == {x.dtype}
        assert net(x).dtype == x.dtype
        later = convert(shared_net().float())
        assert later(x).dtype == x.dtype
        close(later(x).double(), shared_net()(x.double()), 0.1)


def test_functions_of_weights_see_the_gates():
    net, x = shared_net(), inputs()
    weights = {name: one.detach() * 1.1 for name, one in net.named_parameters()}
    other = copy.deepcopy(net)
    other.load_state_dict(weights)
    close(torch.func.functional_call(net, weights, (x,)), other(x))

    def loss(weights, row):
        return torch.func.functional_call(net, weights, (row[None],)).square().sum()

    rows = x.detach()
    found = torch.func.vmap(torch.func.grad(loss), (None, 0))(weights, rows)
    total = gradients(other, rows)
    for name, one in total.items():
        close(found[name].sum(0), one)
    close(torch.func.vmap(net)(torch.stack((x, -x)))[1], net(-x))


def test_two_shared_models_in_a_larger_one():
    one, other, x = shared_net(), shared_net("se"), inputs()
    model = torch.nn.Sequential(one, other)
    close(model(x), other(one(x)))
    with pytest.raises(InputError, match=r"without gates at these branches.*'0.blocks.0.branch'"):
        nn.share(model, "?.blocks.*.branch", x, name="outer")
    shared = nn.share(model, "0.blocks.?", x, gate="constant", name="outer")
    assert shared.stages == {"stage1": tuple(f"0.blocks.{n}" for n in range(5))}
    model(x)
    shared.remove()
    close(model(x), other(one(x)))
    with pytest.raises(InputError, match="free: a model is shared once"):
        nn.share(one, "blocks.0", x)
    with pytest.raises(InputError, match="without gates at these branches"):
        nn.share(one, "blocks.0", x, name="second")
    gates = one.shared
    gates.remove()
    with pytest.raises(InputError, match="must be attached to the model, but it was removed"):
        gates.remove()
    nn.share(one, "blocks.0", x, gate="constant")


def test_a_part_that_is_called_alone_is_refused():
    net, x = shared_net(), inputs()
    for call in (lambda: net.blocks[0](x), lambda: net.forward(x)):
        with pytest.raises(InputError, match="called by the model as a whole"):
            call()


class Own(nn.Gate):
    """A gate whose result is given."""

    def __init__(self, result):
        super().__init__()
        self.result = result

    def forward(self, features, state):
        return self.result(features, state)


@pytest.mark.untyped
@pytest.mark.parametrize(
    "result",
    [
        lambda a, s: torch.ones_like(a),
        lambda a, s: (torch.ones(len(a), 3), s),
        lambda a, s: (torch.ones(5, *a.shape), s),
        lambda a, s: (1.0, s),
        lambda a, s: (torch.ones_like(a).bool(), s),
        lambda a, s: None,
    ],
)
def test_a_gate_of_ones_own_must_keep_the_contract(result):
    net = plain_net()
    shared = nn.share(net, "*.branch", inputs(), gate=lambda stage: Own(result))
    with pytest.raises(InputError, match=r"gate of block 'blocks\.0\.branch'"):
        net(inputs())
    assert shared.frame.run is None


def test_gates_of_ones_own_may_be_numbers_and_keep_any_state():
    net = plain_net()
    nn.share(
        net, "*.branch", inputs(),
        gate=lambda stage: Own(lambda a, s: (torch.tensor(0.5), [a.mean(1), {"n": s}])),
    )  # fmt: skip
    found = []
    for entered in (None, False):
        net.entered = entered
        found.append(gradients(net, inputs(), inputs(1)))
    for name, one in found[0].items():
        close(found[1][name], one)
    with net.shared.record() as gates:
        net(inputs())
    assert torch.equal(gates["stage1"], torch.full((5, 3, 8), 0.5))


def test_gates_that_are_not_finite_are_named_by_block():
    net, x = shared_net(), inputs()
    with torch.no_grad():
        net.blocks[2].branch[0].weight[0, 0] = math.nan
    for _ in range(2):
        with pytest.raises(InputError, match=r"gate of block 'blocks\.2\.branch' must be finite"):
            net(x)
    assert net.shared.frame.run is None


def attached(model):
    """Return all that share changes of a model."""
    return (
        [name for name, _ in model.named_modules()],
        [
            (len(part._forward_hooks), len(part._forward_pre_hooks), part.training)
            for part in model.modules()
        ],
    )


REFUSED = {
    "no module matches": ({"branches": "layers.*"}, "'layers.*', which matches none"),
    "one of two matches": ({"branches": ["blocks.0", "junk"]}, "'junk', which matches none"),
    "no branches": ({"branches": []}, "branches must be not empty"),
    "a function true for none": ({"branches": lambda *_: False}, "it was true for none"),
    "no known family": ({"branches": None}, "Net, which has no block of these"),
    "branches of numbers": ({"branches": [1]}, "branches must be a pattern, a list"),
    "a module as branches": ({"branches": 3.5}, "branches must be a pattern, a list"),
    "no model": ({"model": "net"}, "model must be a module of torch"),
    "no example": ({"example": None}, "example must be a tensor, a tuple"),
    "a list as example": ({"example": [torch.zeros(1, 8)]}, "example must be a tensor, a tuple"),
    "an example of a wrong shape": (
        {"example": torch.zeros(1, 3)},
        "the model raises RuntimeError",
    ),
    "an example of strange names": ({"example": {"y": 1}}, "the model raises TypeError"),
    "an example on meta": ({"example": torch.zeros(1, 8, device="meta")}, "example must be"),
    "an unknown gate": ({"gate": "lstm"}, "gate must be"),
    "a number as gate": ({"gate": 1}, "gate must be the name of a gate"),
    "a gate itself": ({"gate": nn.Gate()}, "gate must be the name of a gate"),
    "a function of no gate": ({"gate": lambda stage: torch.nn.ReLU()}, "result is a nn.Gate"),
    "a gate that needs places": ({"gate": "sge"}, "with places"),
    "an unknown scope": ({"scope": "network"}, "scope must be"),
    "no number as scope": ({"scope": 2}, "scope must be"),
    "reduction 0": ({"reduction": 0}, "reduction must be"),
    "a reduction of text": ({"reduction": "4"}, "reduction must be"),
    "a seed below 0": ({"seed": -1}, "seed must be"),
    "a seed of text": ({"seed": "0"}, "seed must be"),
    "a number as layout": ({"channels_last": 1}, "channels_last must be True or False"),
    "a name of the model": ({"name": "forward"}, "'forward', which Net has"),
    "a name with a point": ({"name": "a.b"}, "name must be a name that a module can have"),
    "a number as name": ({"name": 1}, "name must be a name that a module can have"),
}


@pytest.mark.untyped
@pytest.mark.parametrize("what", REFUSED)
def test_a_refusal_leaves_the_model_as_it_was(what):
    changed, sentence = REFUSED[what]
    net = plain_net().float()
    net.blocks[3].eval()
    before = attached(net)
    given = {"model": net, "branches": "*.branch", "example": torch.zeros(1, 8), "reduction": 2}
    with pytest.raises(InputError, match=sentence) as info:
        nn.share(**given | changed)
    assert str(info.value).startswith("share: ")
    assert attached(net) == before
    assert not hasattr(net, "shared")
    nn.share(**given)


MODELS = {
    "a module that is never called": (
        lambda: torch.nn.Sequential(torch.nn.Identity(), torch.nn.ModuleList([torch.nn.ReLU()])),
        ["0", "1.0"],
        "'1.0', which is never called",
    ),
    "integers": (lambda: torch.nn.Sequential(Branch(torch.Tensor.long)), "0", "torch.int64"),
    "no tensor": (lambda: torch.nn.Sequential(Branch(str)), "0", "'0', which returns str"),
    "a list": (lambda: torch.nn.Sequential(Branch(lambda x: [x])), "0", "which returns list"),
    "an empty tuple": (lambda: torch.nn.Sequential(Branch(lambda x: ())), "0", "returns tuple"),
    "one axis": (lambda: torch.nn.Sequential(Branch(torch.sum), Branch(len)), "0", "0 axes"),
    "meta": (
        lambda: torch.nn.Sequential(torch.nn.Linear(8, 8, device="meta")),
        "0",
        "model must be one whose weights have numbers, but it was one on the meta device",
    ),
}


@pytest.mark.parametrize("what", MODELS)
def test_models_that_cannot_be_shared(what):
    build, branches, sentence = MODELS[what]
    model = build()
    called = model.forward
    if what == "a module that is never called":
        model.forward = lambda x: model[0](x)
    before = attached(model)
    with pytest.raises(InputError, match=sentence):
        nn.share(model, branches, torch.zeros(1, 8), reduction=2)
    assert attached(model) == before
    assert called is not None


def test_a_block_that_is_called_again_later_is_refused():
    net = shared_net()

    class Twice(Net):
        def forward(self, x):
            return super().forward(self.blocks[0](x))

    net.__class__ = Twice
    with pytest.raises(InputError, match=r"block 'blocks\.0\.branch' must be called once"):
        net(inputs())


def test_widths_that_differ():
    model = torch.nn.Sequential(Branch(torch.sin), Branch(lambda x: x[:, :4]))
    with pytest.raises(InputError, match="'model', with 8 channels in '0' and 4 in '1'"):
        nn.share(model, "?", torch.zeros(1, 8), scope="model", reduction=2)
    shared = nn.share(model, "?", torch.zeros(1, 8), reduction=2)
    assert shared.stages == {"stage1": ("0",), "stage2": ("1",)}
    assert repr(shared).startswith("Shared(\n  stage1: 1 block, stage2: 1 block")
    assert model(torch.ones(2, 8)).shape == (2, 4)


def test_fewer_channels_than_the_reduction_are_warned_of():
    model = torch.nn.Sequential(Branch(torch.sin))
    with pytest.warns(UserWarning, match="3 channels are fewer than the reduction 4") as caught:
        shared = nn.share(model, "0", torch.zeros(1, 3))
    assert [one.filename for one in caught] == [__file__]
    assert shared.gates["stage1"].cell.input[0].weight.shape == (1, 3)


def test_gates_are_drawn_from_the_seed_alone():
    state = torch.random.get_rng_state()
    nets = [shared_net(seed=seed) for seed in (1, 1, 2)]
    first, again, other = (net.shared.gates["stage1"].cell.input[0].weight for net in nets)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(state, torch.random.get_rng_state())
    scopes = [one.cell.input[0].weight for one in by_scope("block").gates.values()]
    assert not torch.equal(scopes[0], scopes[1])


class Outer(torch.nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(2 * x) + 1


@pytest.mark.untyped
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_a_part_of_a_larger_model_compiles_too():
    torch.compiler.reset()
    net = shared_net("srm", depth=2)
    model, x = Outer(net), inputs()
    plain = copy.deepcopy(model)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    slopes = []
    for one in (compiled, plain):
        (slope,) = torch.autograd.grad(one(x).square().sum(), x)
        slopes.append(slope)
    close(*slopes)
    for name, number in net.shared.named_buffers():
        close(number, plain.inner.shared.get_buffer(name))


@pytest.mark.untyped
def test_an_exported_model_takes_any_batch():
    net, x = shared_net(depth=2), inputs().detach()
    sizes = ({0: torch.export.Dim("b")},)
    exported = torch.export.export(net, (x,), dynamic_shapes=sizes).module()
    for size in (2, 5):
        close(exported(inputs(1, batch=size)), net(inputs(1, batch=size)))


# What a fresh reader found


class Stack(torch.nn.Sequential):
    """Adds the output of every child, as no plain Sequential does."""

    def forward(self, x):
        for child in self:
            x = x + child(x)
        return x


def list_of(*parts):
    return list(parts)


def plain_layers(kind, count=3):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind(*(torch.nn.Linear(8, 8).double() for _ in range(count)))


def test_a_model_that_calls_all_of_its_children_is_refused():
    net, x = plain_layers(Stack), inputs()
    shared = nn.share(net, "?", x, gate="constant")
    with pytest.raises(InputError, match="calls the gates"):
        net(x)
    by_hand = x
    for layer in shared.remove():
        by_hand = by_hand + layer(by_hand) / 4
    held = torch.nn.Sequential(net)
    nn.share(held, "0.?", x, gate="constant")
    torch.testing.assert_close(held(x), by_hand)


def test_reentry_is_refused_also_beside_a_pass_that_is_alive():
    net, x = shared_net(), inputs()
    alive = net(x).sum()
    net.entered = True
    with pytest.raises(InputError, match="use_reentrant=False"):
        net(x).sum().backward()
    alive.backward()


def test_of_modules_inside_one_another_the_outermost_is_taken():
    layers = [torch.nn.Sequential(one, torch.nn.Tanh()) for one in plain_layers(list_of, 2)]
    net, x = torch.nn.Sequential(torch.nn.Sequential(*layers)), torch.zeros(1, 8).double()
    assert nn.share(net, "0.*", x).stages == {"stage1": ("0.0", "0.1")}
    net.shared.remove()
    assert nn.share(net, lambda name, part: True, x).stages == {"stage1": ("0",)}
    net.shared.remove()
    with pytest.raises(InputError, match="which lies inside another one"):
        nn.share(net, ["0.0", "0.0.1"], x)


def test_a_frozen_block_is_recomputed_too():
    net, x = shared_net("constant"), inputs().detach()
    net.blocks[0].requires_grad_(False)

    def gradient(entered):
        net.zero_grad()
        part = torch.nn.Sequential(*net.blocks)
        net.forward = lambda x: checkpoint(part, x, use_reentrant=False) if entered else part(x)
        net(x).square().sum().backward()
        return net.blocks[4].branch[0].weight.grad.clone()

    assert torch.equal(gradient(False), gradient(True))


def test_features_that_are_not_finite_give_gradients_as_without_gates():
    net, x = shared_net("constant"), inputs().detach()
    x[0, 0] = torch.inf
    net.entered = False
    net(x).square().sum().backward()
    assert net.blocks[0].branch[0].weight.grad.isnan().any()


def test_gates_that_were_deleted_can_still_be_removed():
    net, x = shared_net(), inputs()
    shared = net.shared
    del net.shared
    with pytest.raises(InputError, match=r"deleted; call remove\(\)"):
        net(x)
    assert torch.equal(shared.remove()(x), plain_net()(x))
    with pytest.raises(InputError, match="removed before"):
        shared.remove()
    assert not nn.share(net, "blocks.*.branch", x).gates["stage1"].training ^ net.training


def test_errors_in_a_recording_are_not_those_of_the_recording():
    net, x = shared_net(), inputs()
    with net.shared.record(), pytest.raises(InputError) as raised:
        net.blocks[0](x)
    assert raised.value.function != "Shared.record"


def test_gates_made_in_inference_mode_can_be_trained():
    with torch.inference_mode():
        net = shared_net()
    assert not net.shared.gates["stage1"].cell.input[0].weight.is_inference()


class Windows(torch.nn.Module):
    """A branch of all samples, and one of windows of them."""

    def __init__(self):
        super().__init__()
        self.whole, self.parts = torch.nn.Tanh(), torch.nn.Tanh()

    def forward(self, x):
        x = x + self.whole(x)
        y = torch.cat((x, x), 1).reshape(2 * len(x), 4, 8)
        return (y + self.parts(y)).reshape(len(x), 2, 4, 8).mean(1)


@pytest.mark.untyped
@pytest.mark.parametrize("gate", ["dia", "recall"])
def test_a_state_of_another_batch_is_refused(gate):
    model = Windows()
    nn.share(model, ["whole", "parts"], torch.zeros(1, 4, 8), gate, reduction=2)
    with pytest.raises(
        InputError,
        match="the batch of block 'parts' must be of 3 samples, as that of 'whole' before it, "
        "but it was one of 6; choose scope=",
    ):
        model(torch.zeros(3, 4, 8))
    model.shared.remove()
    for options in ({"gate": gate, "scope": "block"}, {"gate": "se"}):
        shared = nn.share(model, ["whole", "parts"], torch.zeros(1, 4, 8), reduction=2, **options)
        assert model(torch.zeros(3, 4, 8)).shape == (3, 4, 8)
        shared.remove()


@pytest.mark.untyped
def test_channels_other_than_those_of_the_example_are_refused():
    model = torch.nn.Sequential(torch.nn.Tanh())
    shared = nn.share(model, "0", torch.zeros(1, 16, 40))
    with pytest.raises(
        InputError,
        match="the output of block '0' must be of 40 channels, as with the example, but it was of "
        "60; share with channels_last=False",
    ):
        model(torch.zeros(1, 16, 60))
    shared.remove()
    nn.share(model, "0", torch.zeros(1, 16, 40), channels_last=False)
    assert model(torch.zeros(1, 16, 60)).shape == (1, 16, 60)


@pytest.mark.untyped
def test_functions_of_other_arguments_are_refused():
    class Own(nn.Gate):
        def __init__(self):
            super().__init__()

    model, example = torch.nn.Sequential(torch.nn.Tanh()), torch.zeros(1, 8)
    with pytest.raises(InputTypeError, match="gate must be a function of 1 argument, but it was O"):
        nn.share(model, "0", example, gate=Own)
    with pytest.raises(InputTypeError, match="branches must be a function of 2 arguments, but it"):
        nn.share(model, lambda name: True, example)
    with pytest.raises(InputError, match="but it was true for none; give names"):
        nn.share(model, lambda name, module: False, example)
    assert len(nn.share(model, "0", example, gate=SE, reduction=2).stages) == 1
