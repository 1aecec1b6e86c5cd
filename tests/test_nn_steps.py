"""Attention with several steps: the query moves among the keys before the values are read."""

import pytest
import torch

from kanerva import InputError, InputTypeError, nn
from kanerva.nn import Attention, LatentAttention, Lookup
from kanerva.separation import TopK


def moved_by_hand(layer, query, context, keep):
    """Read ``steps`` times, written out with einsum: the query moves among the keys, then reads."""
    d = layer.dim // layer.heads
    heads = [
        map_(rows).unflatten(-1, (layer.heads, d)).transpose(1, 2)
        for map_, rows in ((layer.query, query), (layer.key, context), (layer.value, context))
    ]
    q, k, v = heads
    if layer.normalise:
        q, k = q / q.norm(dim=-1, keepdim=True), k / k.norm(dim=-1, keepdim=True)
    scale = layer.log_beta.exp()[:, None, None] if layer.normalise else d**-0.5
    for step in range(layer.steps):
        scores = torch.einsum("bhqd,bhkd->bhqk", scale * q, k)
        weights = scores.masked_fill(~keep, -torch.inf).softmax(-1)
        if step < layer.steps - 1:
            q = torch.einsum("bhqk,bhkd->bhqd", weights, k)
            q = q / q.norm(dim=-1, keepdim=True) if layer.normalise else q
    read = torch.einsum("bhqk,bhkd->bhqd", weights, v).transpose(1, 2).flatten(2)
    return layer.out(read), weights


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("normalise", [True, False])
def test_steps_move_the_query_among_the_keys(steps, heads, normalise):
    source = torch.Generator().manual_seed(steps)
    layer = Attention(16, heads, normalise=normalise, steps=steps).double()
    query, context = (torch.randn(3, n, 16, generator=source).double() for n in (4, 6))
    mask = torch.rand(3, 6, generator=source) > 0.3
    mask[:, 0] = True
    output, weights = moved_by_hand(layer, query, context, mask[:, None, None])
    torch.testing.assert_close(layer(query, context, mask), output, rtol=0, atol=1e-10)
    torch.testing.assert_close(layer.weights(query, context, mask), weights, rtol=0, atol=1e-10)
    rows = [slice(at, at + 1) for at in range(3)]
    alone = torch.cat([layer(query[row], context[row], mask[row]) for row in rows])
    torch.testing.assert_close(alone, output, rtol=0, atol=1e-10)


@pytest.mark.parametrize("rule", [None, TopK(3, 4.0)])
def test_steps_learn_beta_and_read_zeros_where_all_is_masked(rule):
    layer = Attention(16, 2, steps=3, separation=rule).double()
    x = torch.randn(2, 5, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    layer(x, causal=True).square().sum().backward()
    assert (layer.log_beta.grad != 0).all()
    mask = torch.zeros(2, 5, dtype=torch.bool)
    nothing = layer.out(torch.zeros(2, 5, 16, dtype=torch.float64))
    torch.testing.assert_close(layer(x, mask=mask), nothing)


def test_latents_take_steps():
    pool = LatentAttention(16, 2, 3, steps=2)
    x = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))
    expected = pool.attention(pool.latents.expand(2, -1, -1), x)
    assert torch.equal(pool(x), expected)
    once = LatentAttention(16, 2, 3)
    assert not torch.allclose(once(x), pool(x))


def test_lengths_that_overflow_are_refused_and_not_read_evenly():
    layer, query = Attention(8, 2), torch.linspace(-1, 1, 24).reshape(1, 3, 8)
    torch.testing.assert_close(layer.weights(query * 1e15), layer.weights(query))
    with pytest.raises(InputError, match="query must be small enough for"):
        layer(query * 1e20)
    with pytest.raises(InputError, match=r"too large|small enough"):
        Lookup(8, 1, 5)(query * 1e20)


def test_float64_is_not_cast_down_under_autocast():
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(InputTypeError, match="float32"):
        Attention(8, 2)(torch.ones(2, 3, 8).double())


@pytest.mark.untyped
def test_a_compiled_layer_takes_masks_of_any_shape():
    torch.compiler.reset()
    layer = nn.hopfield_pooling(8, 2)
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    for batch, count in ((2, 4), (2, 6), (3, 9)):
        x = torch.linspace(-1, 1, batch * count * 8).reshape(batch, count, 8)
        mask = torch.arange(count).expand(batch, -1) < count - 1
        torch.testing.assert_close(compiled(x, mask=mask), layer(x, mask=mask))


# Torch itself compiles scripts when it first computes forward derivatives.
@pytest.mark.filterwarnings("ignore:.torch.jit.script")
def test_softmax_has_derivatives_forward_and_of_second_order():
    layer = Attention(4, 2).double()
    source = torch.Generator().manual_seed(0)
    x, slope = (torch.randn(2, 3, 4, generator=source).double() for _ in range(2))
    _, found = torch.func.jvp(layer, (x,), (slope,))
    step = 1e-6 * slope
    torch.testing.assert_close(found, (layer(x + step) - layer(x - step)) / 2e-6)
    output = torch.randn(2, 3, 4, generator=source).double().requires_grad_()
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        assert torch.autograd.gradgradcheck(layer, (x.requires_grad_(),), (output,))
