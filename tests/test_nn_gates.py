"""The gates, against their published formulas written out in plain torch."""

import copy
import inspect
import math
import warnings

import pytest
import torch
from torch.nn.functional import conv1d, conv2d, linear, relu

from kanerva import InputError, nn
from kanerva.nn._gates import GATES

WIDTH, BLOCKS, PLACES = 64, 3, (5, 4)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def built(name, width=WIDTH, blocks=BLOCKS, places=PLACES, reduction=None, seed=1):
    """Return a gate in double precision, whose weights are all drawn."""
    gate = GATES[name](nn.Stage(width, blocks, places, reduction)).double().reset(seed)
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in gate.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=source, dtype=torch.float64))
    return gate


def close(one, other, atol=1e-12):
    torch.testing.assert_close(one, other, atol=atol, rtol=0)


def norm(rows, gain, shift):
    """Normalise each channel over all else, as in training."""
    axes = [0, *range(2, rows.ndim)]
    mean, variance = rows.mean(axes, True), rows.var(axes, unbiased=False, keepdim=True)
    shape = (1, -1, *(1,) * (rows.ndim - 2))
    return (rows - mean) / (variance + 1e-5).sqrt() * gain.view(shape) + shift.view(shape)


def squeezed(gate, pooled):
    """Two linear maps with a rectifier between them, with the weights of a gate."""
    first, _, last = gate.maps
    return linear(relu(linear(pooled, first.weight, first.bias)), last.weight, last.bias)


def test_squeeze_and_excitation():
    gate, a = built("se"), draw(2, WIDTH, *PLACES)
    assert gate.maps[0].weight.shape == (WIDTH // 16, WIDTH)
    close(gate(a, None)[0], squeezed(gate, a.mean((2, 3))).sigmoid()[:, :, None, None])


@pytest.mark.parametrize(
    ("width", "size"), [(8, 3), (16, 3), (64, 3), (128, 5), (256, 5), (2048, 7)]
)
def test_efficient_channel_attention(width, size):
    # |log2(c) / 2 + 1 / 2|, the next odd number where it is even.
    gate, a = built("eca", width), draw(2, width, *PLACES)
    assert gate.kernel.weight.shape == (1, 1, size)
    assert [name for name, _ in gate.named_parameters()] == ["kernel.weight"]
    padded = torch.nn.functional.pad(a.mean((2, 3)), (size // 2, size // 2))
    slid = padded.unfold(1, size, 1) @ gate.kernel.weight.flatten()
    close(gate(a, None)[0], slid.sigmoid()[:, :, None, None])


@pytest.mark.parametrize(("width", "groups"), [(64, 64), (128, 64), (48, 16), (7, 1)])
def test_spatial_groups(width, groups):
    gate, a = built("sge", width), draw(2, width, *PLACES)
    found = gate(a, None)[0]
    size = width // groups
    for row, group in ((0, 0), (1, groups - 1)):
        part = a[row, group * size : (group + 1) * size]
        near = torch.stack(
            [part[:, y, x] @ part.mean((1, 2)) for y in range(5) for x in range(4)]
        ).view(5, 4)
        near = (near - near.mean()) / (near.std() + 1e-5)
        by_hand = (near * gate.scale[group] + gate.shift[group]).sigmoid()
        close(found[row, group * size : (group + 1) * size], by_hand.expand(size, 5, 4))
    fresh = GATES["sge"](nn.Stage(width, 1, PLACES)).reset(0)
    assert torch.equal(fresh(a.float(), None)[0], torch.full_like(a.float(), 1.0).sigmoid())


def test_convolutional_block_attention():
    gate, a = built("cbam"), draw(2, WIDTH, *PLACES)
    channel = (squeezed(gate, a.mean((2, 3))) + squeezed(gate, a.amax((2, 3)))).sigmoid()
    inner = a * channel[:, :, None, None]
    maps = torch.stack((inner.amax(1), inner.mean(1)), 1)
    slid = conv2d(maps, gate.kernel.weight, padding=3)
    place = norm(slid, gate.norm.weight, gate.norm.bias).sigmoid()
    close(gate(a, None, 1)[0], channel[:, :, None, None] * place)
    rows = draw(3, WIDTH)
    flat = built("cbam", places=())
    close(flat(rows, None)[0], (2 * squeezed(flat, rows)).sigmoid())
    tokens, line = draw(2, WIDTH, 9), built("cbam", places=(9,))
    channel = (squeezed(line, tokens.mean(2)) + squeezed(line, tokens.amax(2))).sigmoid()[
        :, :, None
    ]
    inner = tokens * channel
    slid = conv1d(torch.stack((inner.amax(1), inner.mean(1)), 1), line.kernel.weight, padding=3)
    close(line(tokens, None)[0], channel * norm(slid, line.norm.weight, line.norm.bias).sigmoid())


def test_style_based_recalibration():
    gate, a = built("srm"), draw(3, WIDTH, *PLACES)
    spread = (a.var((2, 3), unbiased=False) + 1e-5).sqrt()
    style = gate.style[0] * a.mean((2, 3)) + gate.style[1] * spread
    by_hand = norm(style, gate.norm.weight, gate.norm.bias).sigmoid()
    close(gate(a, None, 2)[0], by_hand[:, :, None, None])


def test_the_controls_look_at_no_features():
    for name, by_hand in (("constant", [0.25] * 3), ("scale", [0.25] * 3)):
        gate = GATES[name](nn.Stage(8, 3, ())).reset(0)
        for block, number in enumerate(by_hand):
            given = (draw(2, 8), None, *([block] if gate.indexed else []))
            found = gate(*given)[0].broadcast_to(2, 8)
            assert torch.equal(found, torch.full((2, 8), number, dtype=torch.float64))
    assert [one.numel() for one in gate.parameters()] == [3]
    assert not list(GATES["constant"](nn.Stage(8, 3, ())).parameters())


def cell_by_hand(cell, y, hidden, state, squash=torch.sigmoid):
    """One step of the cell, gate by gate."""
    parts = 0
    for maps, rows in ((cell.input, y), (cell.hidden, hidden)):
        inner = relu(rows @ maps[0].weight.T + maps[0].bias)
        parts = parts + inner @ maps[2].weight.T + maps[2].bias
    width = cell.channels
    i, f, g, o = (parts[:, n * width : (n + 1) * width] for n in range(4))
    state = f.sigmoid() * state + i.sigmoid() * g.tanh()
    return o.sigmoid() * squash(state), state


@pytest.mark.parametrize("squash", ["sigmoid", "tanh", "relu"])
@pytest.mark.parametrize("cells", [1, 3])
def test_the_cell_is_the_recurrence_written_out(squash, cells):
    stack = nn.DIACell(8, 2, squash, cells, seed=3).double()
    parts, state = [stack], None
    while parts[-1].above is not None:
        parts.append(parts[-1].above)
    assert len(parts) == cells
    held = [(torch.zeros(4, 8).double(),) * 2 for _ in parts]
    for step in range(5):
        y = draw(4, 8, seed=step)
        gate, state = stack(y, state)
        for n, part in enumerate(parts):
            y, inner = cell_by_hand(part, y, *held[n], getattr(torch, squash))
            held[n] = (y, inner)
        close(gate, y)
        close(state.hidden, torch.cat([one[0] for one in held], 1))
        close(state.cell, torch.cat([one[1] for one in held], 1))


@pytest.mark.parametrize(
    ("channels", "number"),
    [(16, 776), (32, 2832), (64, 10784), (128, 42048), (256, 166016), (512, 659712)],
)
def test_the_published_numbers_of_parameters(channels, number):
    assert sum(one.numel() for one in nn.DIACell(channels).parameters()) == number
    assert number == 10 * channels * (channels // 4) + 2 * (channels // 4) + 8 * channels
    stack = nn.DIACell(16, cells=3)
    assert sum(one.numel() for one in stack.parameters()) == 3 * 776


def test_a_stage_of_fifty_at_twenty_of_reduction():
    cells = [nn.DIACell(width, 20) for width in (256, 512, 1024, 2048)]
    assert sum(one.numel() for cell in cells for one in cell.parameters()) == 2_801_020


def test_a_cell_of_zeros_gives_a_quarter():
    cell = nn.DIACell(8)
    for weight in cell.parameters():
        weight.data.zero_()
    gate, state = cell(draw(2, 8).float())
    assert torch.equal(gate, torch.full((2, 8), 0.25))
    assert torch.equal(state.cell, torch.zeros(2, 8))
    gate, _ = cell(draw(2, 8).float(), state)
    assert torch.equal(gate, torch.full((2, 8), 0.25))


def test_gates_and_states_stay_within_their_bounds():
    cell, state = nn.DIACell(8, seed=2).double(), None
    with torch.no_grad():
        for weight in cell.parameters():
            weight.mul_(20)
    for step in range(1, 30):
        gate, state = cell(10 * draw(4, 8, seed=step), state)
        assert ((gate >= 0) & (gate <= 1)).all()
        assert (state.cell.abs() <= step).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_features_have_a_wide_state(dtype):
    wide, narrow = nn.DIACell(16, seed=1), nn.DIACell(16, seed=1).to(dtype)
    y = draw(3, 16).to(dtype)
    state = state_wide = None
    for _ in range(4):
        gate, state = narrow(y, state)
        assert gate.dtype == dtype
        assert state.hidden.dtype == state.cell.dtype == torch.float32
        wide.load_state_dict({key: one.float() for key, one in narrow.state_dict().items()})
        exact, state_wide = wide(y.float(), state_wide)
        assert torch.equal(state.cell, state_wide.cell)
        assert torch.equal(gate, exact.to(dtype))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            cast, _ = wide(y.float(), state_wide)
        assert torch.equal(cast, wide(y.float(), state_wide)[0])
    gate, state = wide(draw(3, 16), None)
    assert gate.dtype == state.cell.dtype == torch.float64


@pytest.mark.parametrize("squash", ["sigmoid", "tanh"])
def test_derivatives_of_the_cell(squash):
    cell = nn.DIACell(4, 2, squash, 2, seed=5).double()
    given = (draw(2, 4), draw(2, 8, seed=1), draw(2, 8, seed=2))

    def call(y, hidden, state):
        gate, after = cell(y, nn.CellState(hidden, state))
        return gate, *after

    assert torch.autograd.gradcheck(call, tuple(one.requires_grad_() for one in given))
    weights = dict(cell.named_parameters())

    def weighed(*values):
        held = dict(zip(weights, values, strict=True))
        return torch.func.functional_call(cell, held, (given[0], nn.CellState(*given[1:])))[0]

    values = [one.detach().clone().requires_grad_() for one in weights.values()]
    assert torch.autograd.gradcheck(weighed, values, fast_mode=True)


@pytest.mark.parametrize("name", list(GATES))
def test_derivatives_of_every_gate(name):
    gate, a = built(name, 16, places=(3,)), draw(2, 16, 3)
    more = (1,) if gate.indexed else ()

    def call(features):
        first, state = gate(features, None, *more)
        return (gate(features * first, state, *more)[0] * features).sum((1, 2))

    assert torch.autograd.gradcheck(call, (a.requires_grad_(),), fast_mode=True)


def test_recall_reads_the_gates_of_earlier_blocks():
    gate, state = built("recall", 16), None
    keys, gates = [], []
    for step in range(5):
        a = draw(3, 16, *PLACES, seed=step)
        found, state = gate(a, state)
        y = a.mean((2, 3))
        query = linear(y, gate.query.weight, gate.query.bias)
        key = linear(y, gate.key.weight, gate.key.bias)
        read = torch.zeros(3, 16).double()
        for row in range(3):
            if keys:
                scores = [((query[row] @ one[row]).detach() / 2).exp() for one in keys]
                for score, one in zip(scores, gates, strict=True):
                    read[row] += score / sum(scores) * one[row].detach()
        inner = relu(linear(read, gate.recalled[0].weight, gate.recalled[0].bias))
        inner = linear(inner, gate.recalled[2].weight, gate.recalled[2].bias)
        by_hand = (squeezed(gate, y) + inner).sigmoid()
        close(found, by_hand[:, :, None, None])
        keys.append(key.detach())
        gates.append(by_hand)


WIDE = ((32, 8), (64, 16), (256, 16))


@pytest.mark.parametrize(
    ("width", "reduction"), [*((n, None) for n in (16, 32, 64, 128, 256, 512)), *WIDE]
)
def test_recall_has_as_many_parameters_as_the_cell(width, reduction):
    both = [GATES[name](nn.Stage(width, 4, (), reduction)) for name in ("dia", "recall")]
    cell, recall = (sum(one.numel() for one in gate.parameters()) for gate in both)
    assert abs(recall / cell - 1) < 0.02


@pytest.mark.parametrize("name", ["cbam", "srm"])
def test_each_block_keeps_statistics_of_its_own(name):
    """With one set of statistics, blocks with other features are gated wrongly in evaluation."""
    own, common = built(name, 16, blocks=2), built(name, 16, blocks=1)
    common.load_state_dict({k: v for k, v in own.state_dict().items() if "running" not in k}, False)
    blocks = (draw(64, 16, *PLACES), 5 + 3 * draw(64, 16, *PLACES, seed=1))
    for _ in range(150):
        for block, a in enumerate(blocks):
            trained = own(a, None, block)[0]
            common(a, None, 0)
            if block == 0:
                first = trained
    own.eval()
    common.eval()
    close(own(blocks[0], None, 0)[0], first, 0.01)
    close(own(blocks[1], None, 1)[0], trained, 0.01)
    mixed = [common(a, None, 0)[0] for a in blocks]
    far = [(one - two).abs().max() for one, two in zip(mixed, (first, trained), strict=True)]
    assert max(far) > 0.1
    rows = own.norm.running_mean
    assert rows.shape[0] == 2
    assert not torch.allclose(rows[0], rows[1], atol=0.1)


def test_the_statistics_are_those_of_torch():
    gate, plain = built("srm", 16, blocks=2), torch.nn.BatchNorm1d(16).double()
    for step in range(3):
        rows = draw(5, 16, seed=step)
        plain(rows)
        gate.norm(rows, 1)
    close(gate.norm.running_mean[1], plain.running_mean)
    close(gate.norm.running_var[1], plain.running_var)
    assert torch.equal(gate.norm.running_mean[0], torch.zeros(16).double())
    gate.eval()
    with torch.no_grad():
        plain.eval().weight.copy_(gate.norm.weight)
        plain.bias.copy_(gate.norm.bias)
    close(gate.norm(rows, 1), plain(rows))


@pytest.mark.parametrize("name", list(GATES))
def test_weights_come_from_the_seed_alone(name):
    before = torch.random.get_rng_state()
    first, again, other = (
        GATES[name](nn.Stage(32, 2, PLACES)).reset(seed) for seed in (3, 3, torch.Generator())
    )
    with torch.no_grad():
        for number in again.state_dict().values():
            number.add_(1)
    again.reset(3)
    for key, one in first.state_dict().items():
        assert torch.equal(one, again.state_dict()[key])
        assert one.isfinite().all()
    if name in ("dia", "se", "eca", "cbam", "srm", "recall"):
        apart = [
            not torch.equal(a, b)
            for a, b in zip(first.parameters(), other.parameters(), strict=True)
        ]
        assert any(apart)
    assert torch.equal(before, torch.random.get_rng_state())


def test_reset_is_a_new_construction():
    cell = nn.DIACell(16, cells=2, seed=7)
    fresh = {key: one.clone() for key, one in cell.state_dict().items()}
    with torch.no_grad():
        for weight in cell.parameters():
            weight.add_(1)
    assert cell.reset(7) is cell
    assert all(torch.equal(fresh[key], one) for key, one in cell.state_dict().items())
    source = torch.Generator().manual_seed(7)
    assert torch.equal(nn.DIACell(16, cells=2, seed=source).input[0].weight, cell.input[0].weight)
    second = nn.DIACell(16, cells=2, seed=source)
    assert not torch.equal(second.input[0].weight, cell.input[0].weight)


def test_the_first_weights_are_uniform_as_those_of_torch():
    cell = nn.DIACell(400, seed=0)
    for weight, inputs in ((cell.input[0].weight, 400), (cell.hidden[2].weight, 100)):
        bound = inputs**-0.5
        assert bound * 0.99 < weight.abs().max() <= bound
        assert abs(weight.std() / (bound / math.sqrt(3)) - 1) < 0.02


def test_a_cell_is_built_on_the_default_device():
    with torch.device("meta"):
        cell = nn.DIACell(8)
    assert all(weight.is_meta for weight in cell.parameters())
    cell = cell.to_empty(device="cpu").reset(0)
    assert torch.equal(cell.input[0].weight, nn.DIACell(8).input[0].weight)


def test_copies_are_equal_and_apart():
    cell = nn.DIACell(8)
    gate, _ = cell(draw(2, 8))
    gate.sum().backward()
    other = copy.deepcopy(cell)
    assert torch.equal(other(draw(2, 8))[0], gate)
    with torch.no_grad():
        other.input[0].weight.add_(1)
    assert torch.equal(cell(draw(2, 8))[0], gate)
    assert repr(cell).startswith("DIACell(\n  channels=8, reduction=4, squash='sigmoid', cells=1")


def test_fewer_channels_than_the_reduction_are_warned_of():
    with pytest.warns(
        UserWarning, match="3 channels are fewer than the reduction 4: the inner"
    ) as w:
        cell = nn.DIACell(3, cells=2)
    assert [one.filename for one in w] == [__file__]
    assert cell.input[0].weight.shape == cell.above.hidden[0].weight.shape == (1, 3)
    for name in ("se", "cbam"):
        with pytest.warns(UserWarning, match="fewer than the reduction 16"):
            assert len(GATES[name](nn.Stage(8, 1, ())).maps[0].weight) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert nn.DIACell(10).input[0].weight.shape == (2, 10)


@pytest.mark.untyped
def test_what_no_cell_can_take_is_refused():
    for given, sentence in (
        ({"channels": 0}, "channels must be an integer"),
        ({"channels": 8.0}, "channels must be an integer"),
        ({"channels": 2**31}, "channels must be"),
        ({"channels": 8, "reduction": 0}, "reduction must be"),
        ({"channels": 8, "reduction": "4"}, "reduction must be"),
        ({"channels": 8, "squash": "softmax"}, "squash must be"),
        ({"channels": 8, "squash": torch.relu}, "squash must be"),
        ({"channels": 8, "cells": 0}, "cells must be"),
        ({"channels": 8, "seed": -1}, "seed must be"),
    ):
        with pytest.raises(InputError, match=f"^DIACell: {sentence}"):
            nn.DIACell(**given)
    cell = nn.DIACell(8)
    good, state = torch.ones(2, 8), nn.CellState(torch.ones(2, 8), torch.ones(2, 8))
    for pooled, given, sentence in (
        (torch.ones(2, 7), None, "pooled must be"),
        (torch.ones(8), None, r"pooled must be of shape \(batch, 8\)"),
        (torch.ones(2, 8, 4, 8), None, "pooled must be of shape"),
        (torch.ones(2, 8, dtype=torch.int64), None, "pooled must be a floating"),
        (torch.full((2, 8), math.nan), None, "pooled must be finite"),
        (torch.ones(2, 8, device="meta"), None, "pooled must be"),
        ([[1.0] * 8], None, "pooled must be"),
        (good, state[0], "state must be two floating tensors"),
        (good, (state[0],), "state must be two"),
        (good, (state[0], None), "state must be"),
        (good, (state[0][:1], state[1]), "state must be two"),
        (good, (state[0].long(), state[1]), "state must be a floating"),
    ):
        with pytest.raises(InputError, match=f"^DIACell: {sentence}"):
            cell(pooled, given)
    with torch.no_grad():
        cell.input[0].weight[0, 0] = math.nan
    with pytest.raises(InputError, match="check the weights of the layer for NaN"):
        cell(good)


@pytest.mark.untyped
def test_every_argument_of_the_cell_is_looked_at():
    parameters = inspect.signature(nn.DIACell).parameters
    for name in parameters:
        with pytest.raises(InputError, match=f"^DIACell: {name} must"):
            nn.DIACell(**({"channels": 8} | {name: object()}))
    with pytest.raises(InputError, match=r"^DIACell\.reset: seed must"):
        nn.DIACell(8).reset(None)


def test_a_gate_without_a_forward_says_so():
    with pytest.raises(NotImplementedError, match="Gate has no forward"):
        nn.Gate()(torch.ones(1, 2), None)


def test_a_style_of_one_row_in_training_is_refused():
    gate = built("srm")
    with pytest.raises(InputError, match="of two rows or more in training"):
        gate(draw(1, WIDTH, *PLACES), None)
    gate.eval()
    assert gate(draw(1, WIDTH, *PLACES), None)[0].isfinite().all()


def test_groups_of_places_need_places():
    with pytest.raises(InputError, match="with places, such as height and width"):
        GATES["sge"](nn.Stage(8, 2, ()))
