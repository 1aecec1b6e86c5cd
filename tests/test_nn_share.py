"""Gates that the blocks of a model share: the loop written out, and what a model must survive."""

import copy
import pickle

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from kanerva import InputError, nn


class Block(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.branch = torch.nn.Sequential(torch.nn.Linear(width, width), torch.nn.Tanh())

    def forward(self, x):
        return x + self.branch(x)


class Net(torch.nn.Module):
    """Five blocks; with ``entered``, they are checkpointed, with reentry or without."""

    def __init__(self, entered=None, width=8):
        super().__init__()
        self.blocks = torch.nn.ModuleList(Block(width) for _ in range(5))
        self.entered = entered

    def forward(self, x):
        for block in self.blocks:
            if self.entered is None:
                x = block(x)
            else:
                x = checkpoint(block, x, use_reentrant=self.entered)
        return x


def plain_net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Net().double()


def shared_net(gate="dia", **options):
    net = plain_net()
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


# Torch itself hides this warning from users.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_a_model_compiles_as_one_graph():
    torch.compiler.reset()
    net, x = shared_net(), inputs()
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), net(x), rtol=0, atol=1e-12)


def test_removed_gates_leave_the_model_bit_for_bit():
    plain = plain_net()
    net, x = shared_net(), inputs()
    plain.load_state_dict(net.shared.remove().state_dict())
    assert torch.equal(plain(x), net(x))
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in net.modules())
