"""Measuring and replacing the heads of torch's own transformer modules."""

import itertools

import pytest
import torch

import kanerva
import small
from kanerva import probe
from kanerva.separation import Argmax, Softmax

# Said by torch of the nested tensors that its encoder makes of padded texts, and of masks of which
# one is bool and the other one is not.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*nested tensors is in prototype stage"),
    pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask"),
]
WIDE, HEADS = 16, 4
PADDING = torch.arange(7) >= torch.tensor([[7], [5], [3]])
CAUSAL = torch.nn.Transformer.generate_square_subsequent_mask(7)
MODULES = {
    "plain": {},
    "without bias": {"bias": False},
    "bias of keys and values": {"add_bias_kv": True},
    "key of zeros": {"add_zero_attn": True},
    "keys of another width": {"kdim": 8, "vdim": 12},
    "batch first": {"batch_first": True},
    "dropout": {"dropout": 0.5},
}


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def encoder(**more):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = torch.nn.TransformerEncoderLayer(WIDE, HEADS, 32, batch_first=True, **more)
        return torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=not more).eval()


def attention(name):
    """Return a module, its query and its keys and values, the batch in the middle or first."""
    options = MODULES[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = torch.nn.MultiheadAttention(WIDE, HEADS, **options)
        for parameter in module.parameters():
            if parameter.ndim == 1:
                parameter.data.normal_()  # biases are zero in the beginning
    widths = (WIDE, options.get("kdim", WIDE), options.get("vdim", WIDE))
    rows = [drawn(n, 3, width, seed=n) for n, width in zip((7, 5, 5), widths, strict=True)]
    return module, [part.transpose(0, 1) for part in rows] if "batch_first" in options else rows


CALLS = {
    "nothing": {},
    "padding": {"src_key_padding_mask": PADDING},
    "causal": {"mask": CAUSAL},
    "causal by its hint": {"mask": CAUSAL, "is_causal": True},
    "both": {"mask": CAUSAL.isinf(), "src_key_padding_mask": PADDING},
}


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("name", CALLS)
def test_an_encoder_is_the_same_while_measured(name, gradients):
    """Without gradients torch would take a kernel for a whole layer; padding stays zeros."""
    model, x = encoder(), drawn(3, 7, WIDE)
    with torch.set_grad_enabled(gradients):
        own = model(x, **CALLS[name])
        with probe.watch(model) as heads:
            during = model(x, **CALLS[name])
        again = model(x, **CALLS[name])
    torch.testing.assert_close(during, own, rtol=1e-5, atol=2e-6)
    assert torch.equal(again, own)
    assert not gradients or torch.equal(during, own)
    assert not small.has_hooks(model)
    assert len(heads) == 2 * HEADS
    padded = "src_key_padding_mask" in CALLS[name]
    assert heads[1, 2].queries == (15 if padded else 21)
    attended = {"nothing": 7, "padding": (49 + 25 + 9) / 15, "causal": 4}
    assert heads[0, 0].attended == pytest.approx(attended.get(name, heads[0, 0].attended))
    assert heads[0, 0].mismatch < 1e-5


def test_measurements_are_those_of_the_returned_weights():
    for name, padded in itertools.product(MODULES, (False, True)):
        module, (query, key, value) = attention(name)
        module.eval()
        padding = torch.arange(5) >= torch.tensor([[5], [3], [4]]) if padded else None
        given = {"key_padding_mask": padding, "average_attn_weights": False}
        with probe.watch(module, size=None) as heads:
            _, weights = module(query, key, value, **given)
        rows = weights.double()
        entropy = torch.special.entr(rows).sum(-1).mean((0, 2))
        torch.testing.assert_close(
            torch.tensor([head.entropy for head in heads]).double(), entropy, atol=1e-5, rtol=1e-5
        )
        top = rows.amax(-1).mean((0, 2))
        torch.testing.assert_close(
            torch.tensor([head.top for head in heads]).double(), top, atol=1e-5, rtol=1e-5
        )
        assert all(head.mismatch < 1e-4 for head in heads), name


@pytest.mark.untyped
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", MODULES)
def test_an_attention_is_the_same_with_its_weights_and_without(name, training):
    """Outputs, weights and the random numbers of dropout stay; softmax in its place is the same."""
    module, (query, key, value) = attention(name)
    module.train(training)
    masks = (None, drawn(7, 5), drawn(7, 5) > 1, drawn(3 * HEADS, 7, 5) > 1.2)
    paddings = (None, torch.arange(5) >= torch.tensor([[5], [3], [4]]))

    def called(seed, **given):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return (*module(query, key, value, **given), torch.rand(3))

    for mask, padding, needed in itertools.product(masks, paddings, (True, False)):
        given = {"attn_mask": mask, "key_padding_mask": padding, "need_weights": needed}
        own = called(1, **given)
        with probe.watch(module):
            during = called(1, **given)
        for one, other in zip(own, during, strict=True):
            assert (one is None and other is None) or torch.equal(one, other)
        if not training:
            with probe.replace(module, Softmax(1.0)):
                replaced = called(1, **given)
            torch.testing.assert_close(replaced[0], own[0], atol=1e-5, rtol=1e-5)
    with probe.replace(module, Argmax()):
        assert not torch.allclose(called(1, **given)[0], own[0], atol=1e-3)


def test_one_text_without_a_batch():
    module, (query, key, value) = attention("plain")
    own = module.eval()(query[:, 0], key[:, 0], value[:, 0])
    with probe.watch(module) as heads:
        during = module(query[:, 0], key[:, 0], value[:, 0])
    assert all(map(torch.equal, own, during))
    assert (len(heads), heads[0].queries, heads[0].attended) == (HEADS, 7, 5)
    with probe.replace(module, Softmax(1.0)):
        torch.testing.assert_close(module(query[:, 0], key[:, 0], value[:, 0])[0], own[0])


def test_heads_of_an_encoder_are_replaced():
    model, x = encoder(), drawn(3, 7, WIDE)
    for given in (CALLS["nothing"], CALLS["padding"], CALLS["both"]):
        with torch.no_grad():
            own = model(x, **given)
            with probe.replace(model, Softmax(1.0)) as reads:
                torch.testing.assert_close(model(x, **given), own, rtol=1e-5, atol=2e-6)
            assert reads.rows == 2 * HEADS * 21
            with probe.replace(model, Softmax(0.0), layers=[1], heads=[2]):
                assert not torch.allclose(model(x, **given), own, atol=1e-4)
            assert torch.equal(model(x, **given), own)
    with probe.watch(model) as heads, torch.no_grad():
        model(x)
    with probe.replace(model, probe.circles(heads, radius=1)), torch.no_grad():
        assert model(x).isfinite().all()


def test_a_whole_transformer_has_attentions_to_itself_and_across():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = torch.nn.Transformer(WIDE, HEADS, 1, 1, 32, batch_first=True).eval()
    x, y = drawn(3, 7, WIDE), drawn(3, 4, WIDE, seed=1)
    own = model(x, y)
    with probe.watch(model) as heads:
        assert torch.equal(model(x, y), own)
    kinds = [(heads[layer, 0].kind, heads[layer, 0].attended) for layer in heads.layers]
    assert kinds == [("self", 7), ("self", 4), ("cross", 7)]


def test_nested_tensors_and_a_choice_of_layers():
    model, x = encoder(), drawn(3, 7, WIDE)
    nested = torch.nested.nested_tensor([x[0], x[1, :4]])
    with torch.no_grad():
        own, padded = model(nested), model(x, src_key_padding_mask=PADDING)
        with probe.watch(model) as heads:
            during = model(nested)
        for one, other in zip(during.unbind(), own.unbind(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=2e-6)
        assert heads[0].queries == 11
        with probe.watch(model, layers=[1]) as heads:
            during = model(x, src_key_padding_mask=PADDING)
        torch.testing.assert_close(during, padded, rtol=1e-5, atol=2e-6)
    assert heads.layers == [1]
    assert heads[1, 0].queries == 15


def test_an_error_inside_leaves_an_encoder_as_it_was():
    model, x = encoder(), drawn(3, 7, WIDE)
    with torch.no_grad():
        own = model(x)
        with pytest.raises((RuntimeError, AssertionError)), probe.watch(model):
            model(x[..., :3])
        assert torch.equal(model(x), own)
    assert not small.has_hooks(model)

    class Static(torch.nn.Module):
        def forward(self, x):
            rows = x.transpose(0, 1)
            weight, zeros = torch.zeros(3 * WIDE, WIDE), torch.zeros(3 * WIDE)
            out, given = torch.eye(WIDE), torch.zeros(3 * HEADS, 7, 4)
            return torch.nn.functional.multi_head_attention_forward(
                *(rows, rows, rows, WIDE, HEADS, weight, zeros, None, None, False, 0.0),
                *(out, torch.zeros(WIDE)),
                static_k=given,
                static_v=given,
            )[0]

    refused = pytest.raises(kanerva.InputError, match="projects its own keys")
    with refused, probe.watch(Static()) as heads:
        heads.model(x)
