"""Feed-forward layers as memories: keys, values and activations are those of every family."""

import functools
import math

import pytest
import torch
from torch import nn

transformers = pytest.importorskip("transformers")

from kanerva import InputError, InputTypeError  # noqa: E402
from kanerva.probe import Store, feedforward  # noqa: E402

SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "vocab_size": 50,
}
BART = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
}
T5 = {
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 24,
    "num_layers": 1,
    "num_decoder_layers": 1,
    "num_heads": 2,
    "vocab_size": 50,
}
OPT = {
    "hidden_size": 16,
    "ffn_dim": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 50,
    "word_embed_proj_dim": 16,
}
WIDE = {"pad_token_id": 0, "max_position_embeddings": 32}


def build(name, **options):
    config = getattr(transformers, f"{name}Config")(**options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = getattr(transformers, f"{name}Model")(config)
        for parameter in model.parameters():  # biases too, and large enough that activations differ
            nn.init.normal_(parameter, std=0.3)
    return model.eval()


# For each family: a function that builds a model, the modules with the keys and the values of its
# first layer, the number of layers, and whether there is a gate.
FAMILIES = {
    "bert": (
        lambda: build("Bert", **SMALL),
        ("encoder.layer.0.intermediate.dense",),
        ("encoder.layer.0.output.dense",),
        2,
        False,
    ),
    "gpt2": (
        lambda: build(
            "GPT2", n_embd=16, n_layer=2, n_head=2, n_inner=24, vocab_size=50, n_positions=32
        ),
        ("h.0.mlp.c_fc",),
        ("h.0.mlp.c_proj",),
        2,
        False,
    ),
    "llama": (
        lambda: build("Llama", **SMALL),
        ("layers.0.mlp.gate_proj",),
        ("layers.0.mlp.down_proj",),
        2,
        True,
    ),
    "bart": (
        lambda: build(
            "Bart",
            **BART,
            encoder_ffn_dim=24,
            decoder_ffn_dim=28,
            vocab_size=50,
            max_position_embeddings=32,
        ),
        ("encoder.layers.0.fc1",),
        ("encoder.layers.0.fc2",),
        2,
        False,
    ),
    "t5": (
        lambda: build("T5", **T5),
        ("encoder.block.0.layer.1.DenseReluDense.wi",),
        ("encoder.block.0.layer.1.DenseReluDense.wo",),
        2,
        False,
    ),
    "t5 gated": (
        lambda: build("T5", **T5, feed_forward_proj="gated-gelu"),
        ("encoder.block.0.layer.1.DenseReluDense.wi_0",),
        ("encoder.block.0.layer.1.DenseReluDense.wo",),
        2,
        True,
    ),
    "vit": (
        lambda: build("ViT", **{**SMALL, "vocab_size": 0}, image_size=8, patch_size=4),
        ("layers.0.mlp.fc1", "encoder.layer.0.intermediate.dense"),
        ("layers.0.mlp.fc2", "encoder.layer.0.output.dense"),
        2,
        False,
    ),
    "distilbert": (
        lambda: build(
            "DistilBert",
            dim=16,
            hidden_dim=24,
            n_layers=2,
            n_heads=2,
            vocab_size=50,
            max_position_embeddings=32,
        ),
        ("transformer.layer.0.ffn.lin1",),
        ("transformer.layer.0.ffn.lin2",),
        2,
        False,
    ),
    "phi3": (
        lambda: build("Phi3", **SMALL, pad_token_id=0),
        ("layers.0.mlp.gate_up_proj",),
        ("layers.0.mlp.down_proj",),
        2,
        True,
    ),
    "opt": (
        lambda: build("OPT", **OPT, max_position_embeddings=32),
        ("decoder.layers.0.fc1",),
        ("decoder.layers.0.fc2",),
        2,
        False,
    ),
}


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@functools.cache
def model_of(family):
    return FAMILIES[family][0]()


def inputs(family):
    if family == "vit":
        return {"pixel_values": torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))}
    ids = torch.arange(3, 17).reshape(2, 7)
    return (
        {"input_ids": ids, "decoder_input_ids": ids[:, :5]}
        if family in ("bart", "t5", "t5 gated")
        else {"input_ids": ids}
    )


def at(model, paths):
    parts = dict(model.named_modules())
    return next(parts[path] for path in paths if path in parts)


def observed(model, paths, inputs):
    """Return the input and the output of a module, without the library."""
    found = []
    hook = at(model, paths).register_forward_hook(
        lambda module, args, output: found.append((args[0], output))
    )
    with torch.no_grad():
        model(**inputs)
    hook.remove()
    return found[0]


def hooks(model):
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_a_layer_is_a_read_of_its_values(family):
    _, ups, downs, layers, gated = FAMILIES[family]
    model, given = model_of(family), inputs(family)
    (asked, scores), (activations, output) = (
        observed(model, ups, given),
        observed(model, downs, given),
    )
    with torch.no_grad():
        before = model(**given)[0]
        with feedforward(model, top=4) as stores:
            inside = model(**given)[0]
        after = model(**given)[0]
    assert torch.equal(before, inside)
    assert torch.equal(before, after)
    assert hooks(model) == 0
    assert [store.layer for store in stores] == list(range(layers))
    store = stores[0]
    assert (store.gated, store.keys.shape, store.values.shape) == (gated, (24, 16), (24, 16))
    read = activations @ store.values + (0 if store.offset is None else store.offset)
    torch.testing.assert_close(read, output)
    torch.testing.assert_close(
        asked @ store.keys.T + (0 if store.bias is None else store.bias), scores[..., :24]
    )
    parts = [
        part for part in (store.keys, store.values, store.bias, store.offset) if part is not None
    ]
    held = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    assert all(part.untyped_storage().data_ptr() in held for part in parts)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_counted_is_what_brute_force_counts(family):
    _, ups, downs, _, gated = FAMILIES[family]
    model, given = model_of(family), inputs(family)
    scores, activations = (
        observed(model, ups, given)[1][..., :24].reshape(-1, 24),
        observed(model, downs, given)[0].reshape(-1, 24),
    )
    with feedforward(model, top=4) as stores, torch.no_grad():
        model(**given)
        model(**given)
    store, weights = stores[0], activations.abs() if gated else activations.clamp_min(0)
    shares = [(row / row.sum()).tolist() for row in weights.double() if row.sum() > 0]
    assert store.tokens == 2 * len(weights)
    assert store.effective == pytest.approx(
        sum(1 / sum(p * p for p in row) for row in shares) / len(shares), rel=1e-5
    )
    assert store.entropy == pytest.approx(
        sum(-sum(p * math.log(p) for p in row if p) for row in shares) / len(shares), rel=1e-5
    )
    assert store.active == pytest.approx(
        sum(score > 0 for row in scores.tolist() for score in row) / scores.numel()
    )
    often = [0] * 24
    for row in weights.tolist():
        for place in sorted(range(24), key=lambda place: -row[place])[:4]:
            often[place] += row[place] > 0
    assert dict(store.top) == {
        place: pytest.approx(often[place] / len(weights)) for place, _ in store.top
    }
    assert sorted((share for _, share in store.top), reverse=True) == [
        share for _, share in store.top
    ]
    assert min(share for _, share in store.top) * len(weights) >= sorted(often)[-4]
    largest = weights.double().mean(0).sort(descending=True)
    assert [place for place, _ in store.strongest(5)] == largest.indices[:5].tolist()
    assert [mean for _, mean in store.strongest(5)] == pytest.approx(
        largest.values[:5].tolist(), rel=1e-5
    )
    assert store.last.indices.shape == (2, len(weights) // 2, 4)
    named = activations.gather(-1, store.last.indices.reshape(-1, 4))
    assert torch.equal(named.reshape(store.last.activations.shape), store.last.activations)
    assert torch.equal(weights.topk(4).values, (named.abs() if gated else named.clamp_min(0)))


@pytest.mark.parametrize("family", ["llama", "t5 gated", "phi3"])
def test_the_keys_of_a_gated_layer_are_those_that_pass_through_the_function(family):
    _, ups, downs, _, _ = FAMILIES[family]
    model, given = model_of(family), inputs(family)
    (_, scores), (activations, _) = observed(model, ups, given), observed(model, downs, given)
    linear = {
        "llama": ("layers.0.mlp.up_proj",),
        "t5 gated": ("encoder.block.0.layer.1.DenseReluDense.wi_1",),
        "phi3": ups,
    }[family]
    factor = observed(model, linear, given)[1][..., -24:]
    function = (
        functools.partial(nn.functional.gelu, approximate="tanh")
        if family == "t5 gated"
        else nn.functional.silu
    )
    torch.testing.assert_close(function(scores[..., :24]) * factor, activations)


def test_layers_of_attention_are_not_taken():
    bert, gpt2 = model_of("bert"), model_of("gpt2")
    with feedforward(bert) as stores:
        assert [store.name for store in stores] == ["encoder.layer.0", "encoder.layer.1"]
    with feedforward(gpt2) as stores:
        assert [store.name for store in stores] == ["h.0.mlp", "h.1.mlp"]


@pytest.mark.filterwarnings(
    "ignore:.*torch.jit.*:DeprecationWarning"
)  # said while transformers 4.56 loads ModernBert
@pytest.mark.parametrize(
    "name",
    [
        "Albert",
        "GPTJ",
        "GPTNeoX",
        "ModernBert",
        "Qwen2",
        "Olmo2",
        "Mpt",
        "Roberta",
        "Whisper",
        "CLIPVision",
    ],
)
def test_more_families_are_known(name):
    small = {**SMALL, **WIDE} if name not in ("GPTJ", "Mpt", "Whisper", "CLIPVision") else {}
    more = {
        "Albert": {"embedding_size": 16},
        "GPTJ": {
            "n_embd": 16,
            "n_layer": 2,
            "n_head": 2,
            "rotary_dim": 4,
            "n_inner": 24,
            "vocab_size": 50,
            "n_positions": 32,
        },
        "ModernBert": {"cls_token_id": 1, "sep_token_id": 2, "eos_token_id": 2, "bos_token_id": 1},
        "Mpt": {"d_model": 16, "n_layers": 2, "n_heads": 2, "vocab_size": 50, "max_seq_len": 32},
        "Whisper": {
            **BART,
            "encoder_ffn_dim": 24,
            "decoder_ffn_dim": 24,
            "vocab_size": 50,
            **WIDE,
            "num_mel_bins": 4,
        },
        "CLIPVision": {
            **{key: value for key, value in SMALL.items() if key != "vocab_size"},
            "image_size": 8,
            "patch_size": 4,
        },
    }
    with feedforward(build(name, **small, **more.get(name, {}))) as stores:
        assert len(stores) == {"Albert": 1}.get(name, 2)
        assert all(store.keys.shape[1] == store.values.shape[1] == 16 for store in stores)


@pytest.mark.parametrize(
    ("family", "left"), [("bert", False), ("gpt2", True), ("opt", False), ("llama", True)]
)
def test_padding_is_left_out(family, left):
    _, _, downs, _, gated = FAMILIES[family]
    model, mask = model_of(family), torch.ones(2, 7, dtype=torch.long)
    mask[0, slice(0, 3) if left else slice(4, 7)] = 0
    given = {**inputs(family), "attention_mask": mask}
    activations = observed(model, downs, given)[0].reshape(2, 7, 24)[mask.bool()]
    with feedforward(model, top=3) as stores, torch.no_grad():
        model(**given)
    store, weights = stores[0], activations.abs() if gated else activations.clamp_min(0)
    assert store.tokens == int(mask.sum())
    shares = (weights / weights.sum(-1, keepdim=True)).nan_to_num()
    kept = weights.sum(-1) > 0
    assert store.effective == pytest.approx(
        float((1 / shares[kept].square().sum(-1)).mean()), rel=1e-5
    )
    assert ((store.last.indices == -1) == (mask == 0)[..., None]).all()
    assert (store.last.activations[mask == 0] == 0).all()


def test_the_decoder_has_a_mask_of_its_own():
    model, mask = model_of("bart"), torch.ones(2, 7, dtype=torch.long)
    mask[1, 4:] = 0
    own = mask[:, 2:]
    with feedforward(model) as stores, torch.no_grad():
        model(**inputs("bart"), attention_mask=mask, decoder_attention_mask=own)
    assert [store.tokens for store in stores] == [int(mask.sum()), int(own.sum())]


def test_generation_token_by_token_counts_each_once():
    model = model_of("gpt2")
    ids, mask = torch.arange(12).reshape(2, 6), torch.ones(2, 6, dtype=torch.long)
    mask[0, 0] = 0
    with feedforward(model) as stores, torch.no_grad():
        first = model(ids[:, :5], attention_mask=mask[:, :5], use_cache=True)
        model(ids[:, 5:], attention_mask=mask, past_key_values=first.past_key_values)
    assert stores[0].tokens == 11
    assert stores[0].last.indices.shape == (2, 1, 10)


class Block(nn.Module):
    """A feed-forward layer whose activation function is given."""

    def __init__(self, function, dim=6, hidden=40):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            self.fc1, self.fc2, self.function = (
                nn.Linear(dim, hidden),
                nn.Linear(hidden, dim),
                function,
            )
        source = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=source))

    def forward(self, hidden):
        return self.fc2(self.function(self.fc1(hidden)))


def texts(batch=3, tokens=11, dim=6):
    return torch.randn(batch, tokens, dim, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("beta", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("size", [1.0, 7.0])
def test_a_softmax_layer_gives_its_beta_back(beta, size):
    model = Block(lambda scores: size * (beta * scores).softmax(-1))
    with feedforward(model) as stores, torch.no_grad():
        model(texts())
    found = stores[0].fit()
    assert found.beta == pytest.approx(beta, rel=2e-3)
    assert found.overlap == pytest.approx(1, abs=1e-3)
    assert found.r2 == pytest.approx(1, abs=1e-3)
    with feedforward(model, rows=1000) as stores, torch.no_grad():
        model(texts())
        weights = (beta * model.fc1(texts())).softmax(-1)
    assert stores[0].fit().uniform == pytest.approx(
        1 - float((weights - 1 / 40).abs().sum(-1).mean()) / 2, abs=1e-5
    )


def test_equal_weights_are_beta_zero():
    model = Block(torch.ones_like)
    with feedforward(model) as stores, torch.no_grad():
        model(texts())
    assert stores[0].fit()[:2] == pytest.approx((0.0, 1.0))
    assert stores[0].effective == pytest.approx(40)
    assert stores[0].entropy == pytest.approx(math.log(40))


def test_a_rectified_layer_is_fitted_no_worse_than_by_a_fine_grid():
    model = Block(torch.relu)
    with feedforward(model, rows=1000) as stores, torch.no_grad():
        model(texts())
        scores = model.fc1(texts()).reshape(-1, 40).double()
    shares = scores.relu() / scores.relu().sum(-1, keepdim=True)
    fine = max(
        1 - float((shares - (beta * scores).softmax(-1)).abs().sum(-1).mean()) / 2
        for beta in torch.linspace(0, 3, 301).tolist()
    )
    found = stores[0].fit()
    assert fine - 1e-6 <= found.overlap <= fine + 1e-3
    assert found.uniform < found.overlap


def test_the_scores_are_those_before_an_activation_function_in_place():
    model = Block(nn.ReLU(inplace=True))
    with feedforward(model, rows=1000) as stores, torch.no_grad():
        model(texts())
        scores = model.fc1(texts()).reshape(-1, 40)
    kept = torch.stack([row for _, row in stores[0]._rows])
    torch.testing.assert_close(kept, scores)


def test_tokens_without_a_positive_weight_do_not_count_in_means_of_reads():
    model = Block(torch.relu)
    with torch.no_grad():
        model.fc1.bias.zero_()
    batch = texts(1, 4)
    batch[0, :3] = 0
    with feedforward(model, top=40) as stores, torch.no_grad():
        model(batch)
        weights = model.fc1(batch)[0, 3].relu().double()
    store = stores[0]
    assert store.tokens == 4
    assert store.effective == pytest.approx(
        float(weights.sum() ** 2 / weights.square().sum()), rel=1e-5
    )
    assert len(store.top) == len(store.strongest(100)) == int((weights > 0).sum())
    assert {share for _, share in store.top} == {0.25}


def test_every_token_is_kept_with_equal_probability():
    model = Block(torch.ones_like, dim=1, hidden=2)
    with torch.no_grad():
        model.fc1.weight.fill_(1)
        model.fc1.bias.zero_()
    counts = torch.zeros(60)
    for seed in range(150):
        with feedforward(model, top=1, rows=10, seed=seed) as stores, torch.no_grad():
            for part in torch.arange(60.0).split([25, 5, 30]):
                model(part[None, :, None])
        kept = torch.stack([scores[0] for _, scores in stores[0]._rows]).long()
        assert len(kept.unique()) == 10
        counts[kept] += 1
    assert (
        float(((counts - 25) ** 2 / 25).sum()) < 100
    )  # chi squared of 59 degrees, less one in six for no return
    thirds = counts.reshape(3, 20).sum(-1)
    assert ((thirds - 500).abs() < 60).all()


def held(part):
    """Count the bytes of all tensors that a record holds."""
    if isinstance(part, torch.Tensor):
        return part.untyped_storage().nbytes()
    if isinstance(part, dict):
        return sum(held(value) for value in part.values())
    return sum(held(value) for value in part) if isinstance(part, list | tuple) else 0


def test_memory_does_not_grow_with_the_number_of_calls():
    model, sizes = model_of("llama"), []
    with feedforward(model, rows=8) as stores, torch.no_grad():
        for _ in range(12):
            model(**inputs("llama"))
            assert all(store._scores is None for store in stores)
            sizes.append(
                sum(
                    held({name: part for name, part in vars(store).items() if name != "_found"})
                    for store in stores
                )
            )
    assert sizes[0] == sizes[-1] > 0


def test_large_calls_are_taken_in_blocks(monkeypatch):
    model = Block(nn.functional.gelu)

    def summed():
        with feedforward(model, top=3, rows=5) as stores, torch.no_grad():
            model(texts())
        store = stores[0]
        return (
            store.tokens,
            store.last.indices.tolist(),
            store.effective,
            store.entropy,
            store.active,
            store.strongest(40),
            store.fit(),
        )

    whole = summed()
    monkeypatch.setattr("kanerva.probe._feedforward.BLOCK", 40 * 4)
    parts = summed()
    assert parts[:2] == whole[:2]
    assert parts[2:5] == pytest.approx(whole[2:5])
    assert [place for place, _ in parts[5]] == [place for place, _ in whole[5]]
    assert parts[6] == pytest.approx(whole[6], abs=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_precisions_are_summed_in_float32_or_wider(dtype):
    make, _, downs, _, _ = FAMILIES["llama"]
    model = make().to(dtype)
    activations = observed(model, downs, inputs("llama"))[0].reshape(-1, 24).double().abs()
    with feedforward(model) as stores, torch.no_grad():
        model(**inputs("llama"))
    shares = activations / activations.sum(-1, keepdim=True)
    assert stores[0].effective == pytest.approx(
        float((1 / shares.square().sum(-1)).mean()), rel=1e-5
    )
    assert stores[0].keys.dtype == dtype
    assert 0 < stores[0].fit().overlap <= 1


def test_gradients_are_what_they_were():
    model = model_of("gpt2")

    def slopes():
        model.zero_grad()
        model(**inputs("gpt2"))[0].square().sum().backward()
        return [parameter.grad.clone() for parameter in model.parameters()]

    before = slopes()
    with feedforward(model) as stores:
        inside = slopes()
    assert all(torch.equal(one, other) for one, other in zip(before, inside, strict=True))
    assert not stores[0].last.activations.requires_grad
    assert not stores[0].keys.requires_grad


def test_after_an_exception_all_is_as_before():
    model = model_of("bert")

    def fail(module, args, output):
        raise KeyError("on purpose")

    hook = at(model, ("encoder.layer.0.intermediate",)).register_forward_hook(fail)
    with pytest.raises(KeyError, match="on purpose"), feedforward(model) as stores:
        model(**inputs("bert"))
    hook.remove()
    assert hooks(model) == 0
    assert stores[0]._scores is None
    assert stores[0].tokens == 0


def test_two_blocks_at_once():
    model = model_of("gpt2")
    with feedforward(model) as one, torch.no_grad():
        with feedforward(model) as other:
            model(**inputs("gpt2"))
        model(**inputs("gpt2"))
    assert (one[0].tokens, other[0].tokens) == (28, 14)
    assert one[0].effective == pytest.approx(other[0].effective)


def test_before_a_call_there_are_keys_and_no_numbers():
    with feedforward(Block(torch.relu)) as stores:
        assert (stores[0].tokens, stores[0].active, stores[0].effective, stores[0].entropy) == (
            0,
            None,
            None,
            None,
        )
        assert repr(stores[0]) == "Store(0: nothing seen)"
        assert stores[0].keys.shape == (40, 6)


@pytest.mark.parametrize(
    "ask", [lambda store: store.top, lambda store: store.last, Store.strongest, Store.fit]
)
def test_results_before_a_call_are_refused(ask):
    with (
        feedforward(Block(torch.relu)) as stores,
        pytest.raises(InputError, match="call the model inside"),
    ):
        ask(stores[0])


def test_a_fit_without_rows_is_refused():
    model = Block(torch.relu)
    with feedforward(model, rows=0) as stores, torch.no_grad():
        model(texts())
    with pytest.raises(InputError, match="with rows >= 1"):
        stores[0].fit()


@pytest.mark.untyped
@pytest.mark.parametrize(
    "options",
    [
        {"top": 0},
        {"top": 41},
        {"top": 2.0},
        {"rows": -1},
        {"rows": "a"},
        {"rows": 10_001},
        {"seed": -1},
    ],
)
def test_bad_options_are_refused(options):
    with (
        pytest.raises(InputError, match=f"feedforward: {next(iter(options))} must be"),
        feedforward(Block(torch.relu), **options),
    ):
        pass


@pytest.mark.untyped
def test_models_without_such_layers_are_refused():
    for model in (
        nn.Sequential(Block(torch.relu).fc1, Block(torch.relu).fc2),
        Block(torch.relu).fc1,
    ):
        with pytest.raises(InputError, match="feed-forward layers"), feedforward(model):
            pass
    with pytest.raises(InputTypeError, match="Module"), feedforward("bert"):
        pass


def test_names_alone_do_not_make_a_layer():
    model = Block(torch.relu)
    model.fc2 = Block(torch.relu, hidden=39).fc2
    with pytest.raises(InputError, match="feed-forward layers"), feedforward(model):
        pass
