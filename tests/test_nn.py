"""Attention as modules and in transformers, against torch, formulas and the models themselves."""

import copy
import importlib
import inspect
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

import kanerva
from kanerva import nn, theory
from kanerva.probe import CosineCircle, watch
from kanerva.separation import (
    Argmax,
    Cap,
    Circle,
    Compact,
    Difference,
    Entmax,
    Exponential,
    Linear,
    Normalised,
    Softmax,
    TopK,
)

RULES = {
    "softmax": Softmax(2.0),
    "circle": CosineCircle(8, 2),
    "cap": Cap(8, 2),
    "topk": TopK(2, 3.0),
    "entmax": Entmax(1.5, 4.0),
    "argmax": Argmax(),
    "compact": Normalised(Compact(1.0)),
}


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(
        *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    ).to(dtype)


def close(one: Tensor, other: Tensor, atol: float = 1e-5) -> None:
    torch.testing.assert_close(one, other, atol=atol, rtol=0)


def plain(attention: nn.Attention, query: Tensor, context: Tensor, keep: Tensor) -> Tensor:
    """Write a normalised attention with softmax out, head by head and query by query."""
    h, output = attention.heads, []
    maps = (attention.query(query), attention.key(context), attention.value(context))
    for batch in range(len(query)):
        q, k, v = (rows[batch].reshape(rows.shape[1], h, -1) for rows in maps)
        reads = []
        for head in range(h):
            keys = torch.cat([k[:, head], attention.persistent_key[head]])
            values = torch.cat([v[:, head], attention.persistent_value[head]])
            cosine = torch.nn.functional.cosine_similarity(q[:, None, head], keys[None], dim=-1)
            powers = (attention.log_beta[head].exp() * cosine).exp() * torch.cat(
                [keep[batch], torch.ones(len(q), len(keys) - len(k))], 1
            )
            reads.append(powers / powers.sum(1, keepdim=True) @ values)
        output.append(attention.out(torch.cat(reads, 1)))
    return torch.stack(output)


# One read


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_read_heads_is_the_read_of_the_core_head_by_head(similarity):
    query, key, value = draw(2, 3, 4, 8), draw(2, 3, 5, 8, seed=1), draw(2, 3, 5, 6, seed=2)
    bias = draw(1, 3, 4, 5, seed=3)
    keep = draw(2, 1, 4, 5, seed=4) > -0.5
    output, weights = nn.read_heads(query, key, value, similarity, Softmax(1.5), keep, bias)
    part = kanerva.similarity.dot if similarity == "dot" else kanerva.similarity.cosine
    for b in range(2):
        for h in range(3):
            added = bias[0, h].masked_fill(~keep[b, 0], -math.inf)
            same = kanerva.functional.read(
                query[b, h], key[b, h], value[b, h], part, Softmax(1.5), added
            )
            close(output[b, h], same)
    close(weights @ value, output)


@pytest.mark.parametrize("name", RULES)
def test_rows_with_nothing_left_are_zeros_and_so_are_their_gradients(name):
    query = draw(1, 2, 3, 8).requires_grad_()
    keep = torch.ones(1, 1, 3, 4, dtype=torch.bool)
    keep[:, :, 1] = False
    output, weights = nn.read_heads(
        query, draw(1, 2, 4, 8, seed=1), draw(1, 2, 4, 5, seed=2), "cosine", RULES[name], keep
    )
    assert not output[:, :, 1].any()
    assert not weights[:, :, 1].any()
    if output.requires_grad:
        output.square().sum().backward()
        assert query.grad.isfinite().all()
        assert not query.grad[:, :, 1].any()


def test_a_bias_of_minus_infinity_leaves_out():
    query, key, value = draw(1, 1, 2, 4), draw(1, 1, 3, 4, seed=1), draw(1, 1, 3, 4, seed=2)
    keep = torch.tensor([True, False, True])
    bias = torch.zeros(3).masked_fill(~keep, -math.inf)
    for rule in (Softmax(1.0), TopK(1, 1.0)):
        assert torch.equal(
            nn.read_heads(query, key, value, "dot", rule, bias=bias)[0],
            nn.read_heads(query, key, value, "dot", rule, keep)[0],
        )


def test_without_keys_a_read_is_zeros():
    for rule in RULES.values():
        output, weights = nn.read_heads(
            draw(1, 1, 2, 8), draw(1, 1, 0, 8), draw(1, 1, 0, 3), "cosine", rule
        )
        assert output.shape == (1, 1, 2, 3)
        assert not output.any()
        assert weights.shape == (1, 1, 2, 0)


def test_scores_are_wide_in_bfloat16_and_under_autocast():
    query, key, value = (draw(1, 2, 4, 8, seed=seed).bfloat16() for seed in range(3))
    wide = nn.read_heads(query.float(), key.float(), value.float(), "dot", Softmax(1.0))
    for autocast in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            narrow = nn.read_heads(query, key, value, "dot", Softmax(1.0))
            same = nn.read_heads(query.float(), key.float(), value.float(), "dot", Softmax(1.0))
        assert narrow[0].dtype == narrow[1].dtype == torch.bfloat16
        assert torch.equal(narrow[0], wide[0].bfloat16())
        assert torch.equal(same[0], wide[0])


# Attention


@pytest.mark.parametrize("bias", [True, False])
def test_plain_attention_is_that_of_torch(bias):
    ours = nn.Attention(16, 4, normalise=False, bias=bias)
    theirs = torch.nn.utils.skip_init(
        torch.nn.MultiheadAttention, 16, 4, bias=bias, batch_first=True
    )
    parts = (ours.query, ours.key, ours.value)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.out_proj.weight.copy_(ours.out.weight)
        for place, part in enumerate((*parts, ours.out)) if bias else ():
            part.bias.copy_(draw(16, seed=place))
        if bias:
            theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
            theirs.out_proj.bias.copy_(ours.out.bias)
    query, context = draw(3, 5, 16), draw(3, 7, 16, seed=1)
    mask = torch.arange(7) < torch.tensor([[7], [3], [1]])
    output, weights = theirs(
        query, context, context, key_padding_mask=~mask, average_attn_weights=False
    )
    close(ours(query, context, mask), output)
    close(ours.weights(query, context, mask), weights)
    past = torch.ones(5, 5, dtype=torch.bool).triu(1)
    close(ours(query, causal=True), theirs(query, query, query, attn_mask=past)[0])


def test_normalised_attention_is_the_formula():
    attention = nn.Attention(12, 3, persistent=2, value_dim=6, beta=3.0)
    with torch.no_grad():
        attention.log_beta.copy_(torch.tensor([0.0, 1.0, 2.0]))
    query, context = draw(2, 4, 12), draw(2, 5, 12, seed=1)
    keep = (draw(2, 4, 5, seed=2) > -0.3).float()
    keep[0, 1] = 0  # persistent rows are left
    close(attention(query, context, keep.bool()), plain(attention, query, context, keep))
    close(attention(query, causal=True), plain(attention, query, query, torch.ones(2, 4, 4).tril()))


@pytest.mark.parametrize("persistent", [0, 3])
@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("causal", [True, False])
def test_the_fast_path_is_the_slow_one_where_nothing_is_left_too(causal, normalise, persistent):
    attention = nn.Attention(
        16, 2, normalise=normalise, persistent=persistent, separation=Softmax(1.7)
    )
    query = draw(3, 5, 16).requires_grad_()
    masks = (None, torch.arange(5) < torch.tensor([[0], [2], [5]]), draw(3, 5, 5, seed=1) > 0.8)
    for mask in masks:
        weights = attention.weights(query, mask=mask, causal=causal)
        values = attention.value(query).reshape(3, 5, 2, 8).transpose(1, 2)
        if persistent:
            values = torch.cat([values, attention.persistent_value.expand(3, -1, -1, -1)], 2)
        slow = attention.out((weights @ values).transpose(1, 2).flatten(2))
        fast = attention(query, mask=mask, causal=causal)
        close(fast, slow)
        both = [
            torch.autograd.grad(value.square().sum(), query, retain_graph=True)[0]
            for value in (fast, slow)
        ]
        close(*both, atol=1e-4)
        if mask is not None and not persistent:
            assert (
                torch.equal(fast[0], attention.out.bias.expand(5, 16))
                if mask.ndim == 2
                else fast.isfinite().all()
            )


@pytest.mark.parametrize("name", RULES)
def test_any_rule_reads_in_place_of_softmax(name):
    attention = nn.Attention(16, 2, persistent=2, separation=RULES[name])
    with torch.no_grad():
        attention.out.bias.copy_(draw(16, seed=9))
    query = draw(2, 5, 16).requires_grad_()
    mask = torch.arange(5) < torch.tensor([[3], [5]])
    weights = attention.weights(query, mask=mask, causal=True)
    queries, keys = (
        normalize(part(query).reshape(2, 5, 2, 8).transpose(1, 2), dim=-1)
        for part in (attention.query, attention.key)
    )
    keys = torch.cat([keys, normalize(attention.persistent_key, dim=-1).expand(2, -1, -1, -1)], 2)
    keep = torch.cat(
        [
            (mask[:, None] & torch.ones(5, 5, dtype=torch.bool).tril())[:, None],
            torch.ones(2, 1, 5, 2, dtype=torch.bool),
        ],
        -1,
    )
    close(weights, RULES[name](queries @ keys.mT, keep))
    attention(query, mask=mask, causal=True).square().sum().backward()
    assert query.grad.isfinite().all()
    assert (attention.log_beta is None) == (RULES[name].temperature() is None)


class Halved(Softmax):
    """Half of the weights of softmax."""

    def forward(self, scores: Tensor, mask: Tensor | None = None) -> Tensor:
        return super().forward(scores, mask) / 2


def test_a_subclass_of_softmax_reads_by_its_own_weights():
    attention = nn.Attention(16, 2, separation=Halved(3.0), bias=False)
    softmax = nn.Attention(16, 2, separation=Softmax(3.0), bias=False)
    query = draw(2, 5, 16)
    close(attention(query), softmax(query) / 2)


def test_beta_starts_at_that_of_the_memory_with_the_best_signal_or_where_it_is_put():
    best = theory.radius.optimal(64, 1024, criterion="snr").radius
    close(
        nn.Attention(128, 2).log_beta.exp(), torch.full((2,), theory.beta.fit(64, best).beta), 1e-4
    )
    close(nn.Attention(128, 2, beta=3).log_beta.exp(), torch.full((2,), 3.0))
    close(nn.Attention(128, 2, separation=Entmax(1.5, 7.0)).log_beta.exp(), torch.full((2,), 7.0))
    assert nn.Attention(128, 2, normalise=False).log_beta is None
    for dim in (1, 2, 3, 5):
        assert nn.Attention(dim, 1).log_beta.isfinite().all()


def test_gradients_reach_every_parameter():
    for rule in (None, Entmax(1.5, 4.0)):
        attention = nn.Attention(16, 2, persistent=2, separation=rule)
        attention(draw(2, 5, 16)).square().sum().backward()
        for name, parameter in attention.named_parameters():
            # Without normalisation, softmax would cancel the bias of the keys, equal in all scores.
            assert parameter.grad.abs().sum() > 0, name


@pytest.mark.untyped
@pytest.mark.parametrize("rule", [None, Entmax(1.5, 4.0), Cap(4, 1.0)])
def test_gradients_are_right(rule):
    attention = nn.Attention(4, 1, persistent=1, separation=rule).double()
    text, mask = draw(1, 3, 4, dtype=torch.float64), torch.tensor([[True, True, False]])
    own = {
        name: parameter.detach().clone().requires_grad_()
        for name, parameter in attention.named_parameters()
    }

    def read(text: Tensor, *parameters: Tensor) -> Tensor:
        return torch.func.functional_call(
            attention, dict(zip(own, parameters, strict=True)), (text,), {"mask": mask}
        )

    assert torch.autograd.gradcheck(read, (text.requires_grad_(), *own.values()))


def test_circles_have_a_slope():
    query = draw(1, 1, 3, 8).requires_grad_()
    nn.read_heads(
        query, draw(1, 1, 4, 8, seed=1), draw(1, 1, 4, 5, seed=2), "cosine", RULES["circle"]
    )[0].square().sum().backward()
    assert query.grad.isfinite().all()


def test_a_query_depends_on_neither_batch_mates_nor_padding():
    text = draw(3, 6, 16)
    for rule in RULES.values():
        attention = nn.Attention(16, 2, persistent=1, separation=rule)
        mask = torch.arange(6) < torch.tensor([[6], [4], [2]])
        together = attention(text, mask=mask)
        other = attention(
            torch.where(mask[..., None], text, 100 * draw(3, 6, 16, seed=5)), mask=mask
        )
        for row, length in enumerate((6, 4, 2)):
            close(together[row, :length], attention(text[row : row + 1, :length])[0])
            close(together[row, :length], other[row, :length])
        past = attention(text, causal=True)
        close(past[:, :3], attention(text[:, :3], causal=True))


def test_states_and_copies_read_alike():
    one, other = (
        nn.Attention(16, 2, persistent=2).reset(1),
        nn.Attention(16, 2, persistent=2).reset(2),
    )
    text = draw(2, 5, 16)
    assert not torch.allclose(one(text), other(text))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(text), other(text))
    assert torch.equal(one(text), copy.deepcopy(one)(text))
    assert torch.equal(nn.Attention(16, 2).query.weight, nn.Attention(16, 2).query.weight)
    generator = torch.Generator().manual_seed(1)
    assert not torch.equal(
        nn.Attention(16, 2).reset(generator).query.weight,
        nn.Attention(16, 2).reset(generator).query.weight,
    )


def test_bfloat16_reads_nearly_alike():
    for rule in (None, CosineCircle(8, 2), TopK(3, 4.0)):
        attention = nn.Attention(16, 2, persistent=1, separation=rule)
        text = draw(2, 5, 16).bfloat16()
        narrow = copy.deepcopy(attention).bfloat16()
        wide = copy.deepcopy(narrow).float()
        assert narrow(text).dtype == narrow.weights(text).dtype == torch.bfloat16
        close(narrow(text).float(), wide(text.float()), 0.05)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            close(attention(text.float()).float(), attention(text.float()).float())
            narrowed = attention(text).float()
        close(narrowed, wide(text.float()), 0.05)


@pytest.mark.untyped
@pytest.mark.parametrize("name", ["softmax", "circle"])
def test_forward_compiles_to_one_graph(name):
    attention = nn.Attention(16, 2, persistent=1, separation=RULES[name])
    text, mask = draw(2, 5, 16), torch.arange(5) < torch.tensor([[0], [5]])
    torch.compiler.reset()
    compiled = torch.compile(attention, fullgraph=True, backend="aot_eager")
    close(compiled(text, mask=mask, causal=True), attention(text, mask=mask, causal=True))


def test_latents_read_an_input_of_any_length():
    pool = nn.LatentAttention(16, 2, 3, persistent=1, beta=5.0)
    short, long = draw(2, 4, 16), draw(2, 9, 16)
    mask = torch.arange(9) < 4
    long[:, :4] = short
    close(pool(short), pool(long, mask.expand(2, 9)))
    close(pool(short), pool.attention(pool.latents.expand(2, -1, -1), short))
    close(pool(short), pool(short.flip(1)))  # no order
    assert pool.weights(short).shape == (2, 2, 3, 5)
    pool(short).square().sum().backward()
    assert pool.latents.grad.abs().sum() > 0
    same = nn.LatentAttention(16, 2, 3, persistent=1).reset(7)
    same.load_state_dict(pool.state_dict())
    assert torch.equal(same(short), pool(short))


# Inside transformers


def config(family: str) -> tuple[str, str, dict[str, Any]]:
    heads = {
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
    }
    grouped = {**heads, "num_key_value_heads": 2, "vocab_size": 50, "head_dim": 8}
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    sides = {
        f"{side}_{what}": size
        for side in ("encoder", "decoder")
        for what, size in (("layers", 2), ("attention_heads", 4), ("ffn_dim", 48))
    }
    return {
        "bert": ("bert", "Bert", {**heads, "vocab_size": 50}),
        "gpt2": (
            "gpt2",
            "GPT2",
            {
                "n_embd": 32,
                "n_layer": 2,
                "n_head": 4,
                "vocab_size": 50,
                "n_positions": 32,
                "bos_token_id": 1,
                "eos_token_id": 2,
            },
        ),
        "llama": ("llama", "Llama", grouped),
        "qwen3": ("qwen3", "Qwen3", grouped),
        "bart": (
            "bart",
            "Bart",
            {
                "d_model": 32,
                "vocab_size": 50,
                **sides,
                **ids,
                "decoder_start_token_id": 2,
                "forced_eos_token_id": None,
            },
        ),
        "t5": (
            "t5",
            "T5",
            {
                "d_model": 32,
                "d_kv": 8,
                "d_ff": 48,
                "num_layers": 2,
                "num_heads": 4,
                "vocab_size": 50,
                "decoder_start_token_id": 0,
            },
        ),
        "vit": ("vit", "ViT", {**heads, "image_size": 16, "patch_size": 4}),
    }[family]


FAMILIES = ("bert", "gpt2", "llama", "qwen3", "bart", "t5", "vit")


def build(family: str, implementation: str = "eager") -> torch.nn.Module:
    pytest.importorskip("transformers")
    module, name, options = config(family)
    home = importlib.import_module(f"transformers.models.{module}.modeling_{module}")
    if "ALL_ATTENTION_FUNCTIONS" not in inspect.getsource(home):
        pytest.skip(f"{family} of this transformers does not look its attention up in the registry")
    own = getattr(
        importlib.import_module(f"transformers.models.{module}.configuration_{module}"),
        f"{name}Config",
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = (
            getattr(home, f"{name}Model")
            ._from_config(own(**options), attn_implementation=implementation)
            .eval()
        )
        for parameter in model.parameters():  # larger than they start: attention that is not flat
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3)
    return model


def inputs(family: str, padded: bool) -> dict[str, Tensor]:
    if family == "vit":
        return {"pixel_values": draw(2, 3, 16, 16)}
    ids = torch.arange(2 * 7).reshape(2, 7) * 3 % 47 + 3
    mask = torch.ones_like(ids)
    if padded:
        mask[1, 4:] = 0
    given = {"input_ids": ids, "attention_mask": mask}
    return given | {"decoder_input_ids": ids.flip(1)[:, :5]} if family in ("bart", "t5") else given


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_registered_softmax_is_the_model_itself(family, padded):
    model, given = build(family), inputs(family, padded)
    real = given["attention_mask"].bool() if family in ("bert", "gpt2", "llama", "qwen3") else ...
    with torch.no_grad():
        eager = model(**given).last_hidden_state
        model.set_attn_implementation(nn.register("softmax", Softmax(1.0)))
        ours = model(**given).last_hidden_state
        model.set_attn_implementation(nn.register("mean", Softmax(0.0)))
        other = model(**given).last_hidden_state
    close(ours[real], eager[real])
    assert not torch.allclose(other[real], eager[real], atol=1e-2)


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
def test_padding_on_the_left_and_a_cache_change_nothing(family):
    name = nn.register("circle", CosineCircle(8, 3), "cosine")
    model = build(family, name)
    text = inputs(family, False)["input_ids"][:1]
    places = torch.arange(7)[None]
    with torch.no_grad():
        whole = model(text, position_ids=places).last_hidden_state
        left = torch.cat([text.new_zeros(1, 2), text], 1)
        mask = (torch.arange(9) > 1).long()[None]
        padded = model(
            left, attention_mask=mask, position_ids=(torch.arange(9) - 2).clamp_min(0)[None]
        ).last_hidden_state
        close(padded[:, 2:], whole)
        first = model(text[:, :4], position_ids=places[:, :4], use_cache=True)
        rest = model(
            text[:, 4:], position_ids=places[:, 4:], past_key_values=first.past_key_values
        ).last_hidden_state
    close(torch.cat([first.last_hidden_state, rest], 1), whole)


def test_a_circle_reads_inside_a_model_what_it_reads_alone():
    rule = CosineCircle(8, 3)
    model = build("gpt2", nn.register("circle", rule, "cosine"))
    seen: list[Tensor] = []
    layer = model.h[0].attn
    layer.c_proj.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    layer.c_attn.register_forward_hook(lambda module, args, output: seen.append(output))
    with torch.no_grad():
        model(inputs("gpt2", False)["input_ids"])
    query, key, value = (part.reshape(2, 7, 4, 8).transpose(1, 2) for part in seen[0].split(32, -1))
    keep = torch.ones(7, 7, dtype=torch.bool).tril()
    close(
        seen[1],
        nn.read_heads(query, key, value, "cosine", rule, keep)[0].transpose(1, 2).flatten(2),
    )


def test_weights_come_back_where_the_model_hands_them_on():
    model, given = build("llama"), inputs("llama", True)
    with torch.no_grad():
        eager = model(**given, output_attentions=True).attentions
        model.set_attn_implementation(nn.register("softmax", Softmax(1.0)))
        ours = model(**given, output_attentions=True).attentions
    assert len(ours) == 2
    for one, other in zip(ours, eager, strict=True):
        close(one, other)


def test_a_registered_model_can_be_watched():
    model = build("gpt2", nn.register("softmax", Softmax(1.0)))
    with watch(model) as heads, torch.no_grad():
        model(inputs("gpt2", False)["input_ids"])
    assert len(heads) == 8
    assert heads[0].attended == 4


def call(
    rule: kanerva.separation.Separation,
    similarity: str = "dot",
    training: bool = False,
    **more: Any,
) -> tuple[Tensor, Tensor]:
    """Call a registered function as a model does."""
    transformers = pytest.importorskip("transformers")
    attend = transformers.AttentionInterface()[nn.register("test", rule, similarity)]
    module = torch.nn.Identity().train(training)
    module.is_causal = True
    query, key, value = draw(2, 4, 3, 8), draw(2, 2, 3, 8, seed=1), draw(2, 2, 3, 5, seed=2)
    return attend(module, query, key, value, **{"attention_mask": None, "scaling": 0.5} | more)


def test_the_function_keeps_to_its_contract():
    query, key, value = draw(2, 4, 3, 8), draw(2, 2, 3, 8, seed=1), draw(2, 2, 3, 5, seed=2)
    key, value = key.repeat_interleave(2, 1), value.repeat_interleave(2, 1)
    logits, past = query @ key.mT, torch.ones(3, 3, dtype=torch.bool).tril()
    bias, mask = draw(1, 4, 3, 3, seed=3), draw(2, 1, 3, 3, seed=4) > 0.3
    low = torch.finfo(torch.float32).min

    def expect(scores: Tensor, keep: Tensor) -> Tensor:
        return (Softmax(1.0)(scores, keep) @ value).transpose(1, 2)

    everything = torch.ones(3, 3, dtype=torch.bool)
    output, weights = call(Softmax(1.0))
    assert output.is_contiguous()
    assert output.shape == (2, 3, 4, 5)
    assert weights.shape == (2, 4, 3, 3)
    close(output, expect(logits / 2, past))
    close(call(Softmax(1.0), is_causal=False)[0], expect(logits / 2, everything))
    close(call(Softmax(1.0), scaling=None)[0], expect(logits / 8**0.5, past))
    close(call(Softmax(1.0), attention_mask=mask)[0], expect(logits / 2, mask))
    close(
        call(Softmax(1.0), attention_mask=torch.zeros(mask.shape).masked_fill(~mask, low))[0],
        expect(logits / 2, mask),
    )
    close(call(Softmax(1.0), attention_mask=bias)[0], expect(logits / 2 + bias, everything))
    close(call(Softmax(1.0), position_bias=bias)[0], expect(logits / 2 + bias, past))
    close(
        call(Softmax(1.0), position_bias=bias, attention_mask=mask)[0],
        expect(logits / 2 + bias, mask),
    )
    close(call(Softmax(1.0), softcap=0.7)[0], expect(0.7 * torch.tanh(logits / 1.4), past))
    close(
        call(Softmax(1.0), head_mask=torch.tensor([1.0, 0, 1, 1]))[0][:, :, 1], torch.zeros(2, 3, 5)
    )
    close(
        call(Softmax(4.0), "cosine")[0],
        (
            Softmax(4.0)(normalize(query, dim=-1) @ normalize(key, dim=-1).mT, past) @ value
        ).transpose(1, 2),
    )
    assert not call(Softmax(1.0), attention_mask=torch.zeros(2, 1, 3, 3, dtype=torch.bool))[0].any()


def test_dropout_falls_on_the_weights_in_training_alone():
    whole = call(Softmax(1.0))[1]
    assert torch.equal(call(Softmax(1.0), dropout=0.5)[1], whole)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = call(Softmax(1.0), training=True, dropout=0.5)[1]
    kept = weights != 0
    assert 0 < kept.sum() < (whole != 0).sum()
    close(weights[kept], 2 * whole[kept])


# Bad input


ATTENTION: dict[str, tuple[dict[str, Any], str]] = {
    "heads": ({"heads": 3}, "Attention: dim must be a multiple of the 3 heads, but it was 16"),
    "value_dim": ({"value_dim": 7}, "Attention: value_dim must be a multiple of the 2 heads"),
    "persistent": ({"persistent": -1}, "Attention: persistent must be an integer from 0"),
    "beta": ({"beta": 0.0}, "Attention: beta must be a finite number > 0"),
    "cold": ({"separation": Softmax(0.0)}, "Attention: beta must be a finite number > 0"),
    "unused": (
        {"beta": 1.0, "normalise": False},
        "beta must be left out where queries and keys are not normalised",
    ),
    "none": (
        {"beta": 1.0, "separation": Argmax()},
        r"beta must be left out where Argmax\(\) has no temperature",
    ),
    "separation": ({"separation": "softmax"}, "Attention: separation must be a separation"),
    "coupling": ({"separation": Difference(Exponential(1.0))}, "a rule without self-coupling"),
    "agreement": ({"separation": Circle(8, 2)}, "choose kanerva.probe.CosineCircle"),
    "cosine": ({"separation": CosineCircle(8, 2), "normalise": False}, "choose normalise=True"),
}


@pytest.mark.untyped
@pytest.mark.parametrize("name", ATTENTION)
def test_attention_refuses_in_a_sentence(name):
    options, sentence = ATTENTION[name]
    with pytest.raises(kanerva.InputError, match=sentence):
        nn.Attention(**{"dim": 16, "heads": 2} | options)


@pytest.mark.untyped
def test_forward_refuses_in_a_sentence():
    attention, text = nn.Attention(16, 2), draw(2, 5, 16)
    bad: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
        ((text[0],), {}, "query must be of shape"),
        ((text[..., :8],), {}, "query must be a floating tensor of shape"),
        ((text.double(),), {}, "query must be torch.float32, as the weights are"),
        ((text, text[:1]), {}, "context must be of batch 2"),
        ((text, text), {"causal": True}, "causal must be False with a context"),
        (
            (text,),
            {"mask": torch.ones(2, 4, dtype=torch.bool)},
            r"mask must be a bool tensor of shape \(2, 5\) or \(2, 5, 5\)",
        ),
        ((text,), {"mask": torch.ones(2, 5)}, "mask must be a bool tensor"),
    ]
    for args, options, sentence in bad:
        with pytest.raises(kanerva.InputError, match=sentence):
            attention(*args, **options)
        with pytest.raises(kanerva.InputError, match=sentence):
            attention.weights(*args, **options)
    for make, sentence in (
        (lambda: nn.LatentAttention(16, 2, 0), "latents must be an integer from 1"),
        (lambda: nn.LatentAttention(16, 2, 3, depth=1), "keyword must be one of"),
        (lambda: nn.LatentAttention(16, 2, 3)(text[0]), "context must be of shape"),
        (lambda: attention.reset(-1), "seed"),
    ):
        with pytest.raises(kanerva.InputError, match=sentence):
            make()


@pytest.mark.untyped
def test_read_heads_refuses_in_a_sentence():
    query, key, value = draw(1, 2, 3, 8), draw(1, 2, 4, 8), draw(1, 2, 4, 5)
    bad: list[tuple[tuple[Any, ...], str]] = [
        ((query[0], key, value, "dot", Softmax(1.0)), "query must be of shape"),
        ((query, key[:, :1], value, "dot", Softmax(1.0)), "repeat heads that are shared"),
        ((query, key, value[:, :, :3], "dot", Softmax(1.0)), "value must be of shape"),
        ((query, key, value, "euclid", Softmax(1.0)), "similarity must be one of 'dot', 'cosine'"),
        ((query, key, value, "dot", Linear), "separation must be a separation"),
        ((query, key, value, "dot", Cap(8, 2)), 'choose similarity="cosine"'),
        ((query, key, value, "dot", Softmax(1.0), torch.ones(4)), "keep must be a bool tensor"),
        (
            (query, key, value, "dot", Softmax(1.0), torch.ones(5, dtype=torch.bool)),
            "keep must be a bool tensor that broadcasts",
        ),
        (
            (query, key, value, "dot", Softmax(1.0), None, torch.ones(4, dtype=torch.bool)),
            "bias must be a floating tensor",
        ),
        (
            (query, key, value, "cosine", Cap(8, 2), None, torch.ones(4)),
            "bias must be None for Cap",
        ),
        ((query / 0, key, value, "dot", Softmax(1.0)), "finite"),
    ]
    for args, sentence in bad:
        with pytest.raises(kanerva.InputError, match=sentence):
            nn.read_heads(*args)


@pytest.mark.untyped
def test_register_refuses_in_a_sentence(monkeypatch):
    rule = Softmax(1.0)
    bad: list[tuple[tuple[Any, ...], str]] = [
        ((3, rule), "name must be of lower-case letters"),
        (("a/b", rule), "name must be of lower-case letters"),
        (("flash_2", rule), "name must be without 'flash'"),
        (("over_eager", rule), "name must be without 'flash'"),
        (("test", rule, "euclid"), "register: similarity must be one of"),
        (("test", CosineCircle(8, 2)), 'choose similarity="cosine"'),
    ]
    for args, sentence in bad:
        with pytest.raises(kanerva.InputError, match=sentence):
            nn.register(*args)
    for options, sentence in (
        (
            {"similarity": "cosine", "position_bias": draw(1, 4, 3, 3)},
            "kanerva_test: model must be one that scores by its queries and keys alone",
        ),
        (
            {"similarity": "cosine", "s_aux": torch.zeros(4)},
            "kanerva_test: model must be one without learned sinks",
        ),
        ({"cache": object()}, "kanerva_test: cache must be None"),
    ):
        with pytest.raises(kanerva.InputError, match=sentence):
            call(rule, **options)
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(
        kanerva.InputError, match=r"register: transformers must be installed.*kanerva\[hf\]"
    ):
        nn.register("test", rule)
