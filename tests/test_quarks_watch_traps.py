"""What could be missed or counted twice in a watched model, and what cannot be watched."""

import threading

import pytest
import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules import module as modules
from torch.utils._python_dispatch import TorchDispatchMode

import kanerva
from kanerva import quarks
from watching import CONTEXTS, Of, counts, normal, seeded, watched

X, Y, Z = (normal(3, 4, seed=seed) for seed in range(3))
Q, K, V = (normal(5, 4, seed=3), normal(6, 4, seed=4), normal(6, 4, seed=5))


def written_gelu(x):
    return 0.5 * x * (1 + torch.tanh(0.79788 * (x + 0.044715 * x**3)))


def written_softmax(x):
    raised = (x - x.amax(-1, keepdim=True)).exp()
    return raised / raised.sum(-1, keepdim=True)


def units_of_softmax(x):
    raised = x.exp()
    return raised * torch.reciprocal(raised.sum(-1)).unsqueeze(-1)


def attended(weigh):
    return lambda q, k, v: weigh(q @ k.mT) @ v


def nearest_two(q, k, v):
    found = (q @ k.mT).softmax(-1).topk(2)
    weights = found.values / found.values.sum(-1, keepdim=True)
    return weights[:, None] @ v[found.indices]


def joined(x, y):
    both = torch.zeros(6, 4)
    both[:3], both[3:] = x, y
    return both * both.flip(0)


def seen_before(x):
    buffer = torch.zeros(3, 4)
    view = buffer[1]
    buffer.copy_(x)
    return view * buffer[0]


def cleared(x, y):
    return x.clone().zero_() * y + torch.zeros_like(x) * y + x.clone().fill_(2.0) * y


def halves(x):
    first, second = x.chunk(2, -1)
    return first * second.sigmoid()


def layer_norm(x):
    variance = x.var(-1, keepdim=True, unbiased=False)
    return (x - x.mean(-1, keepdim=True)) / torch.sqrt(variance + 1e-5)


def root_norm(x):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


def either(x, y):
    return torch.where(x > 0, x, y)


def number_of(x):
    return x * x.sum().item()


GATE, TIED = {"output": 12, "depth": 1}, {"tied": 12}
MIX = {"output": 24, "additive": 12, "depth": 1}
ATTENDED = {"output": 150, "synaptic": 120, "contracted": 240, "depth": 3}
SMALL = {
    "product": (lambda x, y: x * y, (X, Y), GATE),
    "product in place": (lambda x, y: x.clone().mul_(y), (X, Y), GATE),
    "product into a tensor": (lambda x, y: torch.mul(x, y, out=torch.empty(3, 4)), (X, Y), GATE),
    "quotient": (lambda x, y: x / y, (X, Y), GATE),
    "square": (lambda x: x * x, (X,), TIED),
    "square in place": (lambda x: x.clone().mul_(x), (X,), TIED),
    "square, turned twice": (lambda x: x * x.t().permute(1, 0), (X,), TIED),
    "square, cut and cast": (lambda x: x[:, :2] * x.double()[:, :2], (X,), {"tied": 6}),
    "square, reshaped": (lambda x: x.view(2, 6) * x.sin().reshape(2, 6), (X,), TIED),
    "power by a tree": (quarks.circuits.power(7), (X,), {"tied": 72}),
    "repeated and cut": (
        lambda x: x[:, None].expand(3, 5, 4)[:, 3] * x.expand(2, 3, 4)[1] * x.expand(2, 3, 4)[:1],
        (X,),
        {"tied": 24},
    ),
    "repeated and joined": (
        lambda x: torch.cat((x[:, :1], x[:, :1].expand(3, 3)), -1) * x[:, :1],
        (X,),
        TIED,
    ),
    "joined": (
        lambda x: torch.cat((x, x.tanh()), -1) * x.repeat(1, 2),
        (X,),
        {"output": 24, "depth": 1},
    ),
    "turned once": (lambda x: x @ x.new_ones(4, 4) * x.t()[:3, :1], (X,), GATE | {"linear": 48}),
    "every pair": (lambda x: x[0, :, None] * x[0, None], (X,), {"output": 16, "depth": 1}),
    "rectifier": (lambda x: x * (x > 0), (X,), TIED),
    "rectifier, chosen": (lambda x: torch.where(x > 0, x, 0.0), (X,), {}),
    "GELU written out": (written_gelu, (X,), {"tied": 36}),
    "GELU": (F.gelu, (X,), {}),
    "SiLU written out": (lambda x: x * x.sigmoid(), (X,), TIED),
    "halves of one layer": (halves, (X,), {"output": 6, "depth": 1}),
    "GLU": (F.glu, (X,), {"output": 6, "depth": 1}),
    "sum": (lambda x, y: x + y, (X, Y), {"additive": 12}),
    "sum of one": (lambda x: x + x.tanh(), (X,), {}),
    "product and sum": (lambda x, y: torch.addcmul(x, x, y), (X, Y), GATE | {"additive": 12}),
    "mix": (lambda x, y, z: z * x + (1 - z) * y, (X, Y, Z), MIX),
    "mix by a difference": (lambda x, y, z: y + z * (x - y), (X, Y, Z), MIX),
    "mix by a difference, the other way": (lambda x, y, z: x - z * (x - y), (X, Y, Z), MIX),
    "mix of other signals": (
        lambda x, y, z: x + z * (x - y),
        (X, Y, Z),
        {"output": 12, "additive": 24, "depth": 1},
    ),
    "mix in one": (torch.lerp, (X, Y, Z), MIX),
    "softmax": (lambda x: x.softmax(-1), (X,), GATE),
    "softmax written out": (written_softmax, (X,), GATE | {"selected": 3}),
    "softmax by units": (units_of_softmax, (X,), GATE),
    "log softmax": (lambda x: x.log_softmax(-1), (X,), {}),
    "LayerNorm": (lambda x: F.layer_norm(x, (4,)), (X,), GATE),
    "LayerNorm written out": (layer_norm, (X,), GATE),
    "RMSNorm": (lambda x: F.rms_norm(x, (4,)), (X,), GATE | TIED),
    "RMSNorm written out": (root_norm, (X,), GATE | TIED),
    "GroupNorm": (lambda x: F.group_norm(x, 2), (X,), GATE),
    "InstanceNorm": (lambda x: F.instance_norm(x[None]), (X,), GATE),
    "unit length": (F.normalize, (X,), GATE),
    "attention": (attended(lambda s: s.softmax(-1)), (Q, K, V), ATTENDED),
    "attention without weights that are no numbers": (
        attended(lambda s: s.softmax(-1).nan_to_num().clamp(0, 1)),
        (Q, K, V),
        ATTENDED,
    ),
    "attention over absolute sums": (
        attended(lambda s: F.normalize(s, p=1, dim=-1)),
        (Q, K, V),
        ATTENDED,
    ),
    "attention by units": (attended(units_of_softmax), (Q, K, V), ATTENDED),
    "linear attention": (
        attended(lambda s: s),
        (Q, K, V),
        {"output": 240, "contracted": 240, "depth": 2},
    ),
    "two nearest keys": (
        nearest_two,
        (Q, K, V),
        {"output": 160, "synaptic": 40, "contracted": 160, "selected": 50, "depth": 4},
    ),
    "rows of a product": (
        lambda x, y: torch.einsum("bd,bd->b", x, y),
        (X, Y),
        {"output": 12, "contracted": 12, "depth": 1},
    ),
    "kernel from an input": (
        lambda x, w: F.conv1d(x[None], w.view(2, 3, 2)),
        (X, Y),
        {"output": 36, "contracted": 36, "depth": 1},
    ),
    "buffer": (joined, (X, Y), {"output": 24, "depth": 1}),
    "view from before": (seen_before, (X,), {"output": 4, "depth": 1}),
    "overwritten": (cleared, (X, Y), {}),
    "choice": (either, (X, Y), {"selected": 12}),
    "constant choice": (
        lambda x, y: torch.where(torch.ones(3, 4).tril().bool(), x, y),
        (X, Y),
        {},
    ),
    "either of two": (lambda x, y: (x > 0) | (y > 0), (X, Y), GATE),
    "larger": (torch.maximum, (X, Y), {"selected": 12}),
    "sorted": (lambda x: x.sort(-1).values, (X,), {"selected": 12}),
    "pooled": (lambda x: F.max_pool1d(x, 2), (X,), {"selected": 6}),
    "product of a row": (lambda x: x.prod(-1), (X,), {"output": 9, "depth": 1}),
    "cross product": (
        lambda x, y: torch.linalg.cross(x[:, :3], y[:, :3]),
        (X, Y),
        {"output": 18, "depth": 1},
    ),
    "distances": (torch.cdist, (X, Y), {"additive": 36}),
    "vmap": (lambda x, y: torch.vmap(torch.dot)(x, y), (X, Y), {"output": 12, "depth": 1}),
    "a branch": (lambda x: x + 1 if x.sum() > 0 else x - 1, (X,), {}),
    "primitive operations": (
        lambda x, y: torch._prims.mul(torch._prims.add(x, y), y),
        (X, Y),
        GATE | {"additive": 12},
    ),
    "reference operations": (lambda x: torch._refs.nn.functional.layer_norm(x, (4,)), (X,), GATE),
    "turning rotation": (
        lambda x: x * x.new_ones(4).cos() + x.roll(1, -1) * x.new_ones(4).sin(),
        (X,),
        {"additive": 12},
    ),
}


@pytest.mark.parametrize("name", SMALL)
def test_small_functions_have_the_gates_that_they_write(name):
    function, given, expected = SMALL[name]
    tally = watched(Of(function), *given)
    assert counts(tally, *set(counts(tally)) - {"contracted"}) == {
        key: value for key, value in expected.items() if key != "contracted"
    }
    if "contracted" in expected:
        assert tally.contracted == expected["contracted"]
    assert tally.unread == {}


PLACES = torch.tensor([[0, 1, 0, 1], [0, 0, 1, 1], [0, 1, 1, 0]])
PUT = {
    # Twelve values at 7 places, the first at each of which meets a constant.
    "scattered": (lambda x: torch.ones(2, 4).scatter_reduce(0, PLACES, x, "prod"), (X,), 5),
    "by rows": (
        lambda x: torch.ones(2, 4).index_reduce(0, PLACES[0, :3], x, "prod"),
        (X,),
        4,
    ),
    "on a signal": (lambda x, y: y[:2].scatter(0, PLACES, x, reduce="multiply"), (X, Y), 12),
    "of a larger source": (
        lambda x, y: y[:2].scatter(0, PLACES[:1], x, reduce="multiply"),
        (X, Y),
        4,
    ),
    "without the signal there": (
        lambda x, y: y[:2].scatter_reduce(0, PLACES, x, "prod", include_self=False),
        (X, Y),
        5,
    ),
    "of constants": (lambda x: x[:2].scatter(0, PLACES, 2.0, reduce="multiply"), (X,), 0),
}


@pytest.mark.parametrize("name", PUT)
@pytest.mark.filterwarnings("ignore:index_reduce:UserWarning")
@pytest.mark.filterwarnings("ignore:The reduce argument:UserWarning")
def test_values_that_are_multiplied_into_places_are_gates(name):
    function, given, expected = PUT[name]
    tally = watched(Of(function), *given)
    assert (tally.output, tally.depth, tally.unread) == (expected, int(expected > 0), {})


def deep(x):
    """Put three gates on the path to a tensor."""
    return x.cumprod(-1).cumprod(0).cumprod(-1)


W = normal(4, 4, seed=8)
SUMMANDS = {
    "addmm": lambda s, x, y: torch.addmm(s, x, y),
    "addmv": lambda s, x, y: torch.addmv(s[:, 0], x, y[0]),
    "baddbmm": lambda s, x, y: torch.baddbmm(s[None], x[None], y[None]),
    "addbmm": lambda s, x, y: torch.addbmm(s, x[None], y[None]),
    "addr": lambda s, x, y: torch.addr(s, x[0], y[0]),
    "addcmul": lambda s, x, y: torch.addcmul(s, x, y),
    "addcdiv": lambda s, x, y: torch.addcdiv(s, x, y),
    "linear": lambda s, x, y: F.linear(x, y, s[0]),
    "convolution": lambda s, x, y: F.conv1d(x[None], y[..., None], s[0]),
    "layer norm": lambda s, x, y: F.layer_norm(x, (4,), None, s[0]),
}


@pytest.mark.parametrize("name", SUMMANDS)
@pytest.mark.parametrize("context", CONTEXTS)
def test_what_is_added_passes_no_gate(name, context):
    function = SUMMANDS[name]
    with context():
        assert watched(Of(lambda s, x, y: function(deep(s), x, y)), W, W + 1, W + 2).depth == 3
        assert watched(Of(lambda s, x, y: function(s, deep(x), y)), W, W + 1, W + 2).depth == 4
        assert watched(Of(function), W, W + 1, W + 2).depth == 1


def test_the_scale_of_a_normalisation_passes_one_gate():
    def scaled(x, w):
        return F.layer_norm(x, (4,), w[0])

    assert watched(Of(lambda x, w: scaled(x, deep(w))), W, W + 1).depth == 4
    assert watched(Of(lambda x, w: scaled(deep(x), w)), W, W + 1).depth == 5


BIASED = {
    "addmm": ((W, W + 1, W + 2), 64),
    "addmv": ((W[0], W + 1, W[1] + 2), 16),
    "baddbmm": ((W[None], W[None] + 1, W[None] + 2), 64),
    "addbmm": ((W, W[None] + 1, W[None] + 2), 64),
    "addr": ((W, W[0] + 1, W[1] + 2), 16),
}


@pytest.mark.parametrize("name", BIASED)
def test_a_bias_times_zero_is_no_signal(name):
    (bias, x, y), products = BIASED[name]
    model = Of(lambda s, x, y: getattr(torch, name)(s, x, y, beta=0))
    tally = watched(model, bias, x, y)
    assert (tally.additive, tally.depth, tally.output) == (0, 1, products)
    with quarks.rebuild(model) as rebuilt:
        found = model(torch.full_like(bias, torch.nan), x, y)  # which torch does not read
    torch.testing.assert_close(found, model(bias, x, y))
    assert rebuilt == tally
    alone = Of(lambda s, x, y: getattr(torch, name)(s, x, y, beta=0) * s, x=x, y=y)
    assert counts(watched(alone, bias)) == {}


POWERS = {
    "square": (lambda x: x.square(), 1),
    "second power": (lambda x: x**2, 1),
    "second power in place": (lambda x: x.clone().pow_(2.0), 1),
    "fifth power": (lambda x: x**5, 4),
    "power of wider numbers": (lambda x: torch.float_power(x, 3), 2),
    "product": (lambda x: x * x, 1),
    "root": (lambda x: x.abs().sqrt() + x.abs() ** 0.5, 0),
    "broken power": (lambda x: x.abs() ** 2.5, 0),
    "first power": (lambda x: x**1, 0),
    "inverse": (lambda x: x**-2, 0),
    "of a base": (lambda x: 2**x, 0),
    "infinite power": (lambda x: x.abs() ** float("inf"), 0),
}


@pytest.mark.parametrize("name", POWERS)
def test_a_power_by_a_whole_constant_counts_as_products(name):
    function, products = POWERS[name]
    tally = watched(Of(function), X)
    assert counts(tally) == ({"tied": products * 12} if products else {})
    assert tally.unread == {}


def loss(name, *, mine=False, **more):
    """Return a loss of two signals, or of a signal and its own target."""
    function = getattr(F, name)
    return lambda x, y: function(x, x if mine else y, **more)


PARTS = (normal(3, 4, seed=6).sigmoid(), normal(3, 4, seed=7).sigmoid())
LOSSES = {
    "mse_loss": {"additive": 12},
    "smooth_l1_loss": {"additive": 12},
    "huber_loss": {"additive": 12},
    "soft_margin_loss": {"output": 12, "depth": 1},
    "binary_cross_entropy": {"output": 24, "additive": 12, "depth": 1},
    "binary_cross_entropy_with_logits": {"output": 12, "additive": 12, "depth": 1},
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_losses_count_every_entry(name, reduction):
    expected = LOSSES[name]
    tally = watched(Of(loss(name, reduction=reduction)), *PARTS)
    assert (counts(tally), tally.unread) == (expected, {})
    own = watched(Of(loss(name, reduction=reduction, mine=True)), *PARTS)
    assert counts(own) == ({"tied": expected["output"]} if "output" in expected else {})
    x = PARTS[0]
    model = Of(lambda x, y: getattr(F, name)(x, y, reduction=reduction) * x, y=PARTS[1])
    expected = {"tied": 12} if reduction == "none" else GATE
    assert counts(watched(model, x)) == expected  # a target that is no signal


def test_a_fused_normalisation_by_squares_counts_as_one_in_many():
    fused = Of(lambda x: torch.ops.aten._fused_rms_norm(x, (4,), None, 1e-6)[0])
    for device in ("cpu", "meta"):
        with quarks.watch(fused) as tally:
            fused(X.to(device))
        assert counts(tally) == GATE | TIED


def test_weights_of_losses_gate():
    def weighed(x, y, w):
        return F.binary_cross_entropy(x, y, w)

    expected = {"output": 36, "additive": 12, "depth": 2}
    assert counts(watched(Of(weighed), *PARTS, Y)) == expected
    assert counts(watched(Of(torch.dist), X, Y)) == {"additive": 12}
    assert counts(watched(Of(F.mse_loss), X, X)) == {}
    positive = Of(loss("binary_cross_entropy_with_logits", pos_weight=torch.ones(4)))
    assert counts(watched(positive, *PARTS)) == {"output": 24, "additive": 12, "depth": 1}


@pytest.mark.parametrize("function", [F.hardswish, F.logsigmoid, F.gelu, F.mish, F.softsign])
def test_transfer_functions_stay_functions_of_one_number(function):
    tally = watched(Of(lambda x: function(x) * x), X)
    divided = 12 if function is F.softsign else 0  # x / (1 + |x|)
    assert (counts(tally), tally.unread) == ({"tied": 12 + divided}, {})


def test_a_place_chosen_among_values_is_selected():
    tally = watched(Of(lambda x: torch.zeros(2, 4).scatter_reduce(0, PLACES, x, "amax")), X)
    assert counts(tally) == {"selected": 12}


def test_a_slope_that_is_a_signal_gates():
    assert counts(watched(Of(F.prelu), X, Y[0])) == {"output": 12, "depth": 1}
    assert counts(watched(seeded(nn.PReLU), X)) == {}


LAYERS = {
    "linear": (lambda: nn.Linear(4, 5), {"linear": 60}),
    "convolution": (lambda: nn.Conv1d(3, 2, 3, padding=1), {"linear": 72}),
    "transposed": (lambda: nn.ConvTranspose1d(3, 2, 3), {"linear": 72}),
    "normalised by what is kept": (lambda: nn.BatchNorm1d(4), {}),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_of_weights_have_no_gate(name):
    build, expected = LAYERS[name]
    assert counts(watched(seeded(build), X)) == expected


def test_rows_of_an_embedding_are_chosen_by_tokens():
    tokens = torch.tensor([[1, 2, 3]])
    table = seeded(lambda: nn.Embedding(9, 5))
    assert counts(watched(table, tokens)) == {"selected": 15}
    assert counts(watched(seeded(lambda: nn.EmbeddingBag(9, 5)), tokens)) == {"selected": 15}
    assert counts(watched(Of(lambda w: w[1:3], w=torch.ones(4, 2)))) == {}


def test_a_bilinear_layer_maps_one_input_and_gates_it_by_the_other():
    layer = seeded(lambda: nn.Bilinear(3, 4, 2))
    expected = {"output": 5 * 4 * 2, "contracted": 40, "linear": 5 * 3 * 4 * 2, "depth": 1}
    assert counts(watched(layer, normal(5, 3), normal(5, 4))) == expected


# Fused attention and torch's fast paths.


def backend(which):
    def attend(q, k, v):
        with sdpa_kernel(which):
            return F.scaled_dot_product_attention(q, k, v, enable_gqa=True)

    return attend


@pytest.mark.parametrize("which", [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION])
@pytest.mark.parametrize("context", CONTEXTS)
def test_every_backend_of_fused_attention_with_grouped_keys(which, context):
    q, k, v = normal(2, 4, 5, 8), normal(2, 2, 6, 8), normal(2, 2, 6, 8, seed=1)
    heads, products = 2 * 4 * 5 * 6, 2 * 4 * 5 * 6 * 8
    with context():
        tally = watched(Of(backend(which)), q, k, v)
    assert (tally.synaptic, tally.output) == (products, products + heads)
    assert (tally.unread, tally.linear, tally.depth) == ({}, 0, 3)


@pytest.mark.parametrize("which", [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION])
def test_values_and_masks_pass_the_gates_behind_them(which):
    given = [normal(1, 2, 5, 8, seed=seed) for seed in range(3)]
    given.append(normal(5, 5, seed=3))

    def depth(late):
        def attend(*parts):
            q, k, v, mask = (deep(one) if at == late else one for at, one in enumerate(parts))
            with sdpa_kernel(which):
                return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)

        return watched(Of(attend), *given).depth

    assert [depth(late) for late in range(4)] == [6, 6, 4, 5]


def test_the_overrideable_attention_of_torch_is_read_from_its_shapes():
    operation = torch.ops.aten._scaled_dot_product_fused_attention_overrideable
    model = Of(lambda q, k, v: operation(q, k, v)[0])
    given = [torch.empty(2, 4, 5, 8, device="meta") for _ in range(3)]
    with quarks.watch(model) as tally:
        model(*given)
    assert (tally.synaptic, tally.output, tally.unread) == (1600, 1600 + 200, {})


def test_masks_are_chosen_or_added_where_they_depend_on_an_input():
    q = normal(1, 2, 5, 8)
    kept = torch.ones(5, 5).tril().bool()

    def attend(q, mask):
        return F.scaled_dot_product_attention(q, q, q, attn_mask=mask)

    constant = watched(Of(lambda q, mask: attend(q, mask), mask=kept), q)
    assert constant.additive == constant.selected == 0
    assert watched(Of(attend), q, kept).additive == 2 * 5 * 5
    assert watched(Of(attend), q, kept.log()).additive == 2 * 5 * 5


class Seen(TorchDispatchMode):
    """Lists the operations that reach it."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.overloadpacket._qualified_op_name.split("::")[-1])
        return func(*args, **(kwargs or {}))


def encoder(**more):
    def build():
        layer = nn.TransformerEncoderLayer(16, 4, 24, batch_first=True, **more)
        return nn.TransformerEncoder(layer, 2, enable_nested_tensor="norm_first" not in more)

    return seeded(build)


@pytest.mark.parametrize("more", [{}, {"norm_first": True}, {"activation": "gelu"}])
def test_encoder_layers_in_one_operation_count_as_those_in_many(more):
    model, x = encoder(**more), normal(2, 5, 16)
    rows, width, hidden, layers = 10, 16, 24, 2
    tallies = []
    for context in CONTEXTS:
        with context(), Seen() as seen:
            tallies.append(watched(model, x))
        assert ("_transformer_encoder_layer_fwd" in seen.names) == (
            context is not torch.enable_grad
        )
        assert tallies[-1].unread == {}
    assert counts(tallies[0]) == counts(tallies[1]) == counts(tallies[2])
    products = layers * rows * 5 * width
    assert tallies[0].synaptic == products
    assert tallies[0].output == products + layers * (2 * 4 * 25 + 2 * rows * width)
    assert tallies[0].linear == layers * rows * (4 * width**2 + 2 * width * hidden)
    assert tallies[0].depth == layers * 5


@pytest.mark.filterwarnings("ignore:.*nested tensors:UserWarning")
def test_padding_leaves_out_of_a_fast_encoder_what_it_leaves_out_of_the_work():
    model, x = encoder(), normal(2, 5, 16)
    padding = torch.tensor([[0, 0, 0, 0, 1], [0, 0, 1, 1, 1]]).bool()
    with torch.no_grad():
        tally = watched(model, x, src_key_padding_mask=padding)
    pairs, rows = 4 * 4 + 2 * 2, 4 + 2
    assert tally.synaptic == 2 * pairs * 16
    assert tally.output == 2 * (pairs * 16 + 4 * pairs + 2 * rows * 16)
    assert tally.unread == {}


def test_attention_in_one_operation_gives_its_weights_too():
    layer = seeded(lambda: nn.MultiheadAttention(16, 4, batch_first=True))
    x = normal(2, 5, 16)
    for weights in (True, False):
        with torch.no_grad(), Seen() as seen:
            tally = watched(layer, x, x, x, need_weights=weights)
        assert "_native_multi_head_attention" in seen.names
        assert (tally.synaptic, tally.output, tally.linear) == (800, 1000, 10 * 4 * 256)


@pytest.mark.untyped
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("ways", [1, 2])
def test_recurrent_layers_count_the_same_in_every_form(kind, ways):
    steps, batch, width, hidden, layers = 4, 3, 5, 6, 2
    model = seeded(lambda: kind(width, hidden, layers, bidirectional=ways == 2))
    x = normal(steps, batch, width)
    first = watched(model, x)
    gates, rows = {nn.LSTM: (3, 4), nn.GRU: (3, 3), nn.RNN: (0, 1)}[kind]
    states = steps * batch * hidden * ways
    assert first.output == gates * states * layers
    assert first.linear == states * rows * (width + hidden + ways * hidden + hidden)
    assert first.depth == (2 * steps * layers if gates else 0)
    assert first.unread == {}
    for context in CONTEXTS:
        with context():
            assert counts(watched(model, x)) == counts(first)
            assert counts(watched(model.double(), x.double())) == counts(first)
        model = model.float()
    packed = nn.utils.rnn.pack_sequence([x[:, 0], x[:2, 1]])
    tally = watched(model, packed)
    assert tally.output == gates * 6 * hidden * ways * layers
    assert tally.unread == {}


# Nested tensors, autocast, what is not read.


@pytest.mark.filterwarnings("ignore:.*nested tensors:UserWarning")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_nested_tensors_count_their_own_entries(layout):
    x = torch.nested.nested_tensor([normal(2, 4), normal(3, 4)], layout=layout)
    assert counts(watched(seeded(lambda: nn.Linear(4, 5)), x)) == {"linear": 5 * 4 * 5}
    assert counts(watched(Of(lambda x: x * x), x)) == {"tied": 20}


def test_autocast_changes_no_count():
    layer, x = seeded(lambda: nn.MultiheadAttention(16, 4, batch_first=True)), normal(2, 5, 16)

    def cast(x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return layer(x, x, x, need_weights=False)[0]

    for context in CONTEXTS:
        with context():
            tally = watched(Of(cast), x)
        assert (tally.synaptic, tally.output, tally.linear) == (800, 1000, 10 * 4 * 256)


def test_what_is_not_read_is_listed_and_its_results_are_signals():
    tally = watched(Of(lambda x: torch.linalg.inv(x @ x.mT) * x.sum()), X)
    assert tally.unread == {"aten.linalg_inv_ex": 1}
    assert tally.output == 36 + 9
    assert watched(Of(lambda x: torch._prims.svd(x, full_matrices=False)[1]), X).unread == {
        "prims.svd": 1
    }
    assert watched(Of(lambda x: x * x.sum().item()), X).unread == {"aten._local_scalar_dense": 1}
    assert watched(Of(lambda w: torch.linalg.inv(w), w=torch.eye(3))).unread == {}


def test_operations_of_others_are_listed():
    library = torch.library.Library("watched_here", "DEF")
    library.define("twice(Tensor x) -> Tensor")
    library.impl("twice", lambda x: x + x, "CPU")
    library.define("gated(Tensor x, Tensor y) -> Tensor")
    library.impl("gated", torch.mul, "CompositeImplicitAutograd")
    try:
        model = Of(lambda x, y: torch.ops.watched_here.twice(x) * y)
        tally = watched(model, X, Y)
        assert (tally.output, tally.unread) == (12, {"watched_here.twice": 1})
        for context in CONTEXTS:  # made of others: read as they are, once
            with context():
                tally = watched(Of(lambda x, y: torch.ops.watched_here.gated(x, y)), X, Y)
            assert (tally.output, tally.unread) == (12, {})
    finally:
        library._destroy()


# Which tensors are signals, and which modules are counted.


def test_parameters_can_be_signals():
    layer = seeded(lambda: nn.Linear(4, 5))
    assert counts(watched(layer, X)) == {"linear": 60}
    gated = {"output": 60, "contracted": 60, "additive": 15, "depth": 1}
    assert counts(watched(layer, X, signals=("weight", "bias"))) == gated


def test_inputs_are_found_in_containers_and_objects():
    class Held:
        def __init__(self, value):
            self.parts = [{"x": value}]

    model = Of(lambda x, held: x * held.parts[0]["x"])
    assert watched(model, X, held=Held(Y)).output == 12
    assert watched(Of(lambda x, rest: x * rest[0][1]), X, rest=([None, Y],)).output == 12


def test_inputs_are_found_inside_vmap_and_derivatives():
    model = Of(lambda x, w: (x @ w) * x, w=torch.ones(4, 4))
    expected = {"output": 12, "linear": 48, "depth": 1}
    with quarks.watch(model) as tally:
        torch.vmap(torch.vmap(model))(X[None])
    assert counts(tally) == expected
    with quarks.watch(model) as tally:
        torch.func.jacrev(lambda x: model(x).sum())(X)
    assert counts(tally) == expected


@pytest.mark.untyped
def test_functions_that_are_compiled_inside_a_model_run_as_they_are_written():
    compiled = torch.compile(lambda x: x * x.flip(0), backend="eager")
    assert counts(watched(Of(compiled), X)) == GATE


@pytest.mark.untyped
def test_a_memory_is_two_layers_and_a_gate_a_key_or_a_whole_head():
    memory = kanerva.attention(8)
    memory.write(normal(20, 8))
    query = normal(4, 8, seed=1)
    with quarks.watch(memory) as tally:
        memory(query)
    assert counts(tally) == {"output": 80, "linear": 2 * 4 * 20 * 8, "depth": 1}
    with quarks.watch(memory, signals=("keys",)) as tally:
        memory(query)
    assert (tally.synaptic, tally.output, tally.linear) == (640, 640 + 80, 0)


def test_every_module_is_counted_with_what_is_in_it():
    model, x = encoder(), normal(2, 5, 16)
    tally = watched(model, x)
    assert tally.modules[""] is tally
    assert set(tally.modules) == {name for name, _ in model.named_modules()}
    layers = [tally.modules[f"layers.{at}"] for at in range(2)]
    for name in ("output", "synaptic", "additive", "linear", "parameters"):
        assert sum(getattr(one, name) for one in layers) == getattr(tally, name)
    inner = tally.modules["layers.0.self_attn"]
    assert (inner.synaptic, inner.output) == (800, 1000)
    assert tally.modules["layers.1.norm1"].output == 160


def test_a_module_that_calls_itself_counts_once_and_calls_add_up():
    layer = seeded(lambda: nn.Linear(4, 4))
    model = nn.Sequential(layer, nn.Tanh(), layer)
    with quarks.watch(model) as tally:
        model(X)
        model(X)
    assert tally.linear == tally.modules["0"].linear == 2 * 2 * 48
    assert tally.modules["2"] is tally.modules["0"]


def test_a_state_that_is_kept_stays_a_signal():
    class Adding(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("kept", torch.zeros(3, 4))

        def forward(self, x):
            self.kept += x
            return self.kept * x

    model = Adding()
    for _ in range(2):  # what was kept before the block is a constant
        with quarks.watch(model) as tally:
            model(X)
        assert counts(tally) == TIED
    with quarks.watch(model) as tally:
        model(X)
        model(Y)
    assert counts(tally) == TIED | GATE | {"additive": 12}


def test_the_tensors_of_a_call_are_let_go():
    gone = []

    def forward(x):
        y = x * 2
        gone.append(StorageWeakRef(y.untyped_storage()))
        return y.sum()

    model = Of(forward)
    with quarks.watch(model):
        model(X)
        assert gone[0].expired()


def test_many_calls_leave_nothing_behind():
    model, sizes = Of(lambda x: x.t().t() * x), []
    with quarks.watch(model) as tally:
        for _ in range(3):
            model(X)
            observer = torch.utils._python_dispatch._get_current_dispatch_mode()
            sizes.append((len(observer.signals._derived), len(observer.signals._turned)))
    assert sizes[0] == sizes[2]
    assert counts(tally) == {"tied": 36}


@pytest.mark.untyped
def test_many_storages_are_swept():
    def forward(x):
        for _ in range(5000):
            x = x + 1
        return x * x.detach()

    assert counts(watched(Of(forward), X)) == TIED


# Around the block.


def clean(model):
    return not (
        modules._global_forward_hooks
        or modules._global_forward_pre_hooks
        or model._forward_pre_hooks_with_kwargs
        or model._forward_hooks
        or torch._C._len_torch_dispatch_stack()
    )


def test_two_watchers_are_both_right():
    one, two = encoder(), seeded(lambda: nn.MultiheadAttention(16, 4, batch_first=True))
    x = normal(2, 5, 16)
    with torch.no_grad():
        alone = counts(watched(one, x)), counts(watched(two, x, x, x))
        with quarks.watch(one) as first, quarks.watch(two) as second, quarks.watch(one) as third:
            two(x, one(x), x)
            two(x, x, x)
        with quarks.rebuild(one) as fourth, quarks.watch(one) as fifth:
            one(x)
    assert counts(first) == counts(third) == counts(fourth) == counts(fifth) == alone[0]
    assert second.output == 2 * alone[1]["output"]
    inner = one.layers[0].linear1
    with quarks.watch(inner) as small, quarks.watch(one) as whole:
        one(x)
    assert small.linear == whole.modules["layers.0.linear1"].linear == 10 * 16 * 24
    assert clean(one)
    assert clean(two)


def test_what_a_rebuilt_model_computes_is_not_counted_by_others():
    layer, x = seeded(lambda: nn.LayerNorm(4)), normal(2, 4)
    alone = counts(watched(layer, x))
    assert alone == {"output": 8, "depth": 1}
    orders = [(quarks.watch, quarks.rebuild), (quarks.rebuild, quarks.watch)]
    for first, second in [*orders, (quarks.rebuild, quarks.rebuild)]:
        with first(layer) as one, second(layer) as two:
            layer(x)
        assert counts(one) == counts(two) == alone
        assert one.unread == two.unread == {}
    model = Of(lambda x, y: x.clone().mul_(y) * layer(x) * x)
    model.layer = layer
    expected = counts(watched(model, x, x + 1))
    with quarks.watch(model) as one, quarks.rebuild(model) as two, quarks.rebuild(layer) as three:
        model(x, x + 1)
        model(x, x + 1)
    assert one.output == two.output == 2 * expected["output"] == 2 * 32
    assert three.output == 2 * 8


@pytest.mark.parametrize("way", [quarks.watch, quarks.rebuild])
def test_an_exception_leaves_everything_as_it_was(way):
    class Failing(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Of(self.fail)

        def fail(self, x):
            if x.shape[0] == 1:
                raise KeyError("here")
            return x * x.mT

        def forward(self, x):
            return self.inner(x)

    model = Failing()
    with pytest.raises(KeyError), way(model):
        model(X[:1])
    assert clean(model)
    with way(model) as tally:
        with pytest.raises(KeyError):
            model(X[:1])
        model(X[:, :3])
    assert tally.output == tally.modules["inner"].output == 9
    with pytest.raises(ZeroDivisionError), way(model):  # no second error at the end
        1 / 0
    assert clean(model)


def test_calls_in_other_threads_are_not_counted():
    model = seeded(lambda: nn.Linear(4, 5))
    with quarks.watch(model) as tally:
        thread = threading.Thread(target=model, args=(X,))
        thread.start()
        thread.join()
        model(X)
    assert tally.linear == 60


def test_backward_passes_are_not_counted():
    model = seeded(lambda: nn.Linear(4, 5))
    with quarks.watch(model) as tally:
        model(X).square().sum().backward()
    assert tally.linear == 60
    assert model.weight.grad is not None


@pytest.mark.parametrize("p", [0.0, 0.5])
def test_training_is_refused_where_it_changes_the_outputs(p):
    model = seeded(lambda: nn.Sequential(nn.Linear(4, 4), nn.Dropout(p))).train()
    if p == 0:
        assert watched(model, X).linear == 48
        return
    with pytest.raises(kanerva.InputError, match=r"model\.eval\(\)"), quarks.watch(model):
        pass
    hidden = Of(lambda x: F.dropout(x, p, training=True)).train()
    state = torch.random.get_rng_state()
    with (
        pytest.raises(kanerva.InputError, match="model must be in evaluation mode"),
        quarks.watch(hidden),
    ):
        hidden(X)
    assert torch.equal(state, torch.random.get_rng_state())
    assert clean(hidden)
    model = nn.Sequential(nn.BatchNorm1d(4))
    with pytest.raises(kanerva.InputError, match="BatchNorm1d in '0'"), quarks.watch(model):
        pass


class Scripted(nn.Module):
    def forward(self, x):
        return x


@pytest.mark.untyped
@pytest.mark.parametrize("way", [quarks.watch, quarks.rebuild])
def test_what_cannot_be_watched_is_refused(way):
    linear, in_place = (seeded(lambda: nn.Linear(4, 5)) for _ in range(2))
    in_place._compiled_call_impl = lambda x: x
    wrapped = nn.Module()
    wrapped._orig_mod = linear
    for model, word in (
        (torch.compile(linear, backend="eager"), "not compiled"),
        (torch.relu, "a torch.nn.Module"),
        (nn.Linear, "a torch.nn.Module"),
        (in_place, "not compiled"),
        (nn.Sequential(wrapped), "not compiled"),
    ):
        with pytest.raises(kanerva.InputError, match=f"^{way.__name__}: .*{word}"), way(model):
            pass
    for signals, word in (
        ("weight", r'; give \["weight"\]'),
        (("wieght",), "write 'weight'"),
        ((3,), "names of parameters"),
        (None, "names of parameters"),
    ):
        with pytest.raises(kanerva.InputError, match=word), way(linear, signals):
            pass
    with pytest.raises(kanerva.InputError, match="never called"), way(linear):
        linear.forward(X)
    assert clean(linear)


@pytest.mark.parametrize("way", [quarks.watch, quarks.rebuild])
def test_a_model_that_computes_after_its_call_is_refused(way):
    def later(x):
        yield x * x.sin()

    async def awaited(x):
        return x * x.sin()

    for function in (later, lambda x: map(torch.sin, x), awaited):
        model = Of(function)
        with (
            pytest.raises(kanerva.InputError, match="model must be computing in its call"),
            way(model),
        ):
            model(X)
        assert clean(model)
    inner = Of(later)
    whole = Of(lambda x: sum(inner(x)))  # what a part computes later is computed in the call
    whole.inner = inner
    assert counts(watched(whole, X)) == TIED


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scripted_models_are_refused():
    model = nn.Sequential(torch.jit.script(Scripted()))
    with pytest.raises(kanerva.InputError, match="a ScriptModule in '0'"), quarks.watch(model):
        pass


def test_tallies_with_equal_counts_are_equal():
    assert quarks.Tally() == quarks.Tally() != quarks.Tally(output=1)
    assert quarks.Tally(unread={"aten.x": 1}) != quarks.Tally()
    assert quarks.Tally() != 0
    model = seeded(lambda: nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)))
    tally = watched(model, X)
    assert tally == watched(model, Y)
    assert tally != watched(model, X[:2])
    assert tally != tally.modules["1"] == watched(model[1], X)


def test_a_tally_shows_what_is_not_zero():
    model = seeded(lambda: nn.Linear(4, 5))
    assert repr(watched(model, X)) == "Tally(linear=60, parameters=25)"
    tally = watched(Of(lambda x: torch.linalg.inv(x @ x.mT)), X)
    assert "unread={'aten.linalg_inv_ex': 1}" in repr(tally)
