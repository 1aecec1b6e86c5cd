"""Measuring a transformer: outputs stay bit for bit the same; measurements match the weights."""

import copy
import gc
import math
import threading
import weakref

import pytest
import torch

import kanerva
import small
from kanerva import density, probe

transformers = pytest.importorskip("transformers")
FAMILIES = list(small.families())


def flat(output):
    """Return every tensor of an output."""
    found = []
    for value in output.values():
        found += (
            [value]
            if isinstance(value, torch.Tensor)
            else [one for one in value if isinstance(one, torch.Tensor)]
            if isinstance(value, tuple)
            else []
        )
    return found


def run(model, inputs, **more):
    with torch.no_grad():
        return model(**inputs, **more)


def interceptable(family, implementation):
    """Build a model; skip where an older transformers gives no way to intercept its attention."""
    model, inputs = small.build(family, implementation)
    small.skip_unless_interceptable(model)
    if implementation == "eager" and not small.has_registry(model):
        pytest.skip("this version calls no function that can be intercepted")
    return model, inputs


def is_released(model, inputs, heads):
    """Return whether a model has no hooks, and further calls leave the measurements as they are."""
    before = [head.queries for head in heads]
    with probe.watch(model):
        run(model, inputs)
    return not small.has_hooks(model) and [head.queries for head in heads] == before


def all_implementations(model):
    return [
        module.config._attn_implementation
        for module in model.modules()
        if hasattr(module, "config")
    ]


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("family", FAMILIES)
def test_outputs_are_the_same_bit_for_bit_and_all_is_restored(family, implementation):
    model, inputs = interceptable(family, implementation)
    before, named = flat(run(model, inputs)), all_implementations(model)
    with probe.watch(model) as heads:
        during = flat(run(model, inputs))
    assert all(map(torch.equal, before, during))
    assert all(map(torch.equal, before, flat(run(model, inputs))))
    assert all_implementations(model) == named
    assert is_released(model, inputs, heads)
    attentions = 3 if "decoder_input_ids" in inputs else 1
    assert len(heads) == attentions * small.LAYERS * small.HEADS


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_numbers_are_those_of_the_weights_that_the_model_returns(family, padded):
    model, inputs = interceptable(family, "eager" if family != "bert" else "sdpa")
    if not small.has_registry(model):
        pytest.skip("this version returns no weights where it can be intercepted")
    model.set_attn_implementation("eager")
    if not padded:
        inputs = {name: one for name, one in inputs.items() if name != "attention_mask"}
    output = run(model, inputs, output_attentions=True)
    names = (
        ("attentions",)
        if hasattr(output, "attentions")
        else ("encoder_attentions", "decoder_attentions", "cross_attentions")
    )
    if family == "vit" and not output.attentions:
        pytest.skip("this version keeps no weights of this model")
    with probe.watch(model, rows=50) as heads:
        run(model, inputs)
    kinds = {
        "attentions": "",
        "encoder_attentions": "encoder",
        "decoder_attentions": "decoder",
        "cross_attentions": "cross",
    }
    for name in names:
        own = [layer for layer in heads.layers if belongs(heads[layer, 0], kinds[name])]
        mask = (
            inputs.get("attention_mask") if name in ("attentions", "encoder_attentions") else None
        )
        for layer, weights in zip(own, output[name], strict=True):
            real = (
                torch.ones(weights.shape[0], weights.shape[2], dtype=torch.bool)
                if mask is None
                else mask.bool()
            )
            for index in range(small.HEADS):
                rows = weights[:, index][real].double()
                head = heads[layer, index]
                assert head.queries == len(rows)
                assert head.entropy == pytest.approx(
                    -torch.xlogy(rows, rows).sum(-1).mean().item(), abs=1e-5
                )
                assert head.effective == pytest.approx(
                    (1 / rows.square().sum(-1)).mean().item(), rel=1e-4
                )
                assert head.top == pytest.approx(rows.amax(-1).mean().item(), abs=1e-5)
                assert head.first == pytest.approx(rows[:, 0].mean().item(), abs=1e-5)


def belongs(head, kind):
    if not kind:
        return True
    return (
        head.kind == "cross"
        if kind == "cross"
        else head.kind == "self" and head.name.startswith(kind)
    )


def test_lengths_and_beta_are_those_of_the_projections():
    model, inputs = small.build("gpt2")
    caught = []
    block = model.transformer.h[1].attn
    hook = block.c_attn.register_forward_hook(lambda module, args, output: caught.append(output))
    with probe.watch(model, size=None) as heads:
        run(model, inputs)
    hook.remove()
    query, key, value = (
        part.view(2, 12, small.HEADS, small.DIM).double()
        for part in caught[0].split(small.WIDE, dim=2)
    )
    real = inputs["attention_mask"].bool()
    for index in range(small.HEADS):
        q, k, v = (part[:, :, index].norm(dim=-1) for part in (query, key, value))
        pairs = (q[:, :, None] * k[:, None, :] / math.sqrt(small.DIM))[
            real[:, :, None] & real[:, None, :] & torch.ones(12, 12).bool().tril()
        ]
        head = heads[1, index]
        assert head.query_norm == pytest.approx(q[real].mean().item(), rel=1e-5)
        assert head.key_norm == pytest.approx(k[real].mean().item(), rel=1e-5)
        assert head.key_spread == pytest.approx(
            (k[real].std(correction=0) / k[real].mean()).item(), rel=1e-4
        )
        assert head.value_norm == pytest.approx(v[real].mean().item(), rel=1e-5)
        assert head.beta == pytest.approx(pairs.mean().item(), rel=1e-5)
        assert head.beta_spread == pytest.approx(
            (pairs.std(correction=0) / pairs.mean()).item(), rel=1e-4
        )
        assert head.kappa == head.beta
        mean, spread = k[real].mean(), k[real].std(correction=0)
        keys = (
            torch.eye(small.DIM).double()[:2] * torch.stack([mean - spread, mean + spread])[:, None]
        )
        low, high = density.attention_as_vmf(keys, scale=head.kappa / float(mean)).log_prior
        assert head.prior_spread == pytest.approx((high - low).item() / 2, rel=1e-4)
        counts, edges = head.cosines
        assert counts.sum() == len(pairs)
        assert head.cosine == pytest.approx(
            ((edges[1:] + edges[:-1]) / 2 * counts).sum().item() / len(pairs), abs=0.02
        )
        assert head.inputs[0].sum() == len(pairs)


def test_normalised_queries_lie_on_a_sphere_and_their_scale_is_read():
    model, inputs = small.build("qwen3")
    for layer in model.model.layers:
        layer.self_attn.q_norm.weight.data.fill_(1.5)
    with probe.watch(model) as heads:
        run(model, inputs)
    head = heads[0, 0]
    assert head.norm == "qk"
    assert head.key_spread < 1e-3
    assert head.prior_spread < 1e-3 * head.beta
    assert head.learned_scale == pytest.approx(1.5 * math.sqrt(small.DIM), rel=1e-5)
    assert head.beta == pytest.approx(head.learned_scale, rel=1e-3)
    assert head.straight == pytest.approx(1, abs=1e-4)
    assert head.noise == pytest.approx(1 / (1 + math.exp(2 * head.beta / head.dim)), rel=1e-9)
    assert [heads[0, 0].norm for heads in [watched("llama")]] == ["rms"]
    assert watched("gpt2")[0, 0].norm == "layer"
    assert watched("gpt2")[0, 0].learned_scale is None


def watched(family, **more):
    model, inputs = small.build(family)
    with probe.watch(model, **more) as heads:
        run(model, inputs)
    return heads


def test_special_tokens_get_their_share():
    model, inputs = small.build("gpt2")
    special = inputs["input_ids"][0, :2].tolist()
    with probe.watch(model, special=special) as heads:
        run(model, inputs)
    known = torch.isin(inputs["input_ids"], torch.tensor(special))
    model.set_attn_implementation("eager")
    weights = run(model, inputs, output_attentions=True).attentions
    share = (
        (weights[0] * known[:, None, None]).sum(-1)[:, 2][inputs["attention_mask"].bool()].mean()
    )
    assert heads[0, 2].special == pytest.approx(share.item(), abs=1e-6)
    assert watched("gpt2")[0, 2].special is None


def test_queries_and_keys_of_padding_are_left_out():
    model, inputs = small.build("gpt2")
    with probe.watch(model, rows=50) as padded:
        run(model, inputs)
    with probe.watch(model, rows=50) as apart:
        for text, length in ((0, 12), (1, 8)):
            run(model, {name: one[text : text + 1, :length] for name, one in inputs.items()})
    for one, other in zip(padded, apart, strict=True):
        for name, value in one.numbers().items():
            if isinstance(value, float):
                assert value == pytest.approx(other.numbers()[name], rel=1e-4, abs=1e-5), name


def test_two_calls_count_as_one_and_nothing_grows():
    model, inputs = small.build("llama")

    def held(heads):
        summary = heads._summaries[0]
        return sum(one.numel() for row in summary.rows for one in row) + summary.cosines.numel()

    with probe.watch(model, rows=8) as heads:
        run(model, inputs)
        once, size = heads[0, 0].beta, held(heads)
        for _ in range(20):
            run(model, inputs)
    assert heads[0, 0].beta == pytest.approx(once)
    assert heads[0, 0].queries == 21 * 20
    assert held(heads) <= size * 1.5
    assert len(heads._summaries[0].rows) == 8


def test_a_sample_of_queries_is_drawn_evenly_and_repeats():
    model, inputs = small.build("gpt2")
    wide = {name: one.repeat(8, 1) for name, one in inputs.items()}

    def some(size, seed=0):
        with probe.watch(model, size=size, seed=seed) as heads:
            for _ in range(12):
                run(model, wide)
        return heads[1, 1]

    whole, part, again = some(None), some(32), some(32)
    assert part.queries < whole.queries / 3
    assert (part.entropy, part.beta) == (again.entropy, again.beta)
    assert part.entropy != some(32, seed=1).entropy
    assert part.entropy == pytest.approx(whole.entropy, rel=0.1)
    assert part.key_norm == pytest.approx(whole.key_norm, rel=1e-9)


def test_rows_are_kept_with_equal_probability():
    from kanerva.probe._summary import Summary

    counts = torch.zeros(60)
    for seed in range(300):
        summary = Summary(1, None, 10, seed)
        for start in range(0, 60, 20):
            marks = torch.arange(start, start + 20.0)[None, None, :, None].expand(1, 1, 20, 2)
            summary.sample(marks, marks, torch.ones(1, 1, 20, dtype=torch.bool))
        for row, _ in summary.rows:
            counts[int(row[0, 0])] += 1
    assert counts.sum() == 3000
    assert (counts - 50).abs().max() < 4.5 * math.sqrt(50 * 5 / 6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype):
    model, inputs = small.build("llama", dtype=dtype)
    before = run(model, inputs).logits
    with probe.watch(model) as heads:
        assert torch.equal(run(model, inputs).logits, before)
    whole = watched("llama")
    assert heads[1, 2].entropy == pytest.approx(whole[1, 2].entropy, abs=0.02)
    assert heads[1, 2].beta == pytest.approx(whole[1, 2].beta, rel=0.05)


def test_training_is_the_same_while_measured():
    def trained(watching):
        model, inputs = small.build("gpt2")
        model.train()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            if watching:
                with probe.watch(model):
                    loss = model(**inputs, labels=inputs["input_ids"]).loss
            else:
                loss = model(**inputs, labels=inputs["input_ids"]).loss
            loss.backward()
        return loss.detach(), model.transformer.h[0].attn.c_attn.weight.grad

    for one, other in zip(trained(False), trained(True), strict=True):
        assert torch.equal(one, other)


def test_generation_is_watched_too():
    model, inputs = small.build("llama")
    text = {name: one[:1, :6] for name, one in inputs.items()}
    plain = model.generate(**text, max_new_tokens=5, do_sample=False, pad_token_id=0)
    with probe.watch(model) as heads:
        assert torch.equal(
            model.generate(**text, max_new_tokens=5, do_sample=False, pad_token_id=0), plain
        )
    assert heads[0, 0].queries == 6 + 4
    assert heads[0, 0].attended == pytest.approx((sum(range(1, 7)) + sum(range(7, 11))) / 10)


def test_two_blocks_measure_the_same_and_end_in_any_order():
    model, inputs = small.build("bert")
    plain = run(model, inputs).last_hidden_state
    outer = probe.watch(model)
    one = outer.__enter__()
    with probe.watch(model, layers=[1]) as two:
        run(model, inputs)
        outer.__exit__(None, None, None)
        run(model, inputs)
    assert two.layers == [1]
    assert two[1, 0].queries == 2 * one[1, 0].queries
    assert two[1, 0].beta == pytest.approx(one[1, 0].beta)
    assert torch.equal(run(model, inputs).last_hidden_state, plain)
    assert is_released(model, inputs, one)
    assert is_released(model, inputs, two)


def test_parts_with_other_implementations_get_their_own_names_back():
    part = {"hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 48}
    config = transformers.CLIPConfig(
        text_config=part | {"num_attention_heads": 4, "vocab_size": 50},
        vision_config=part | {"num_attention_heads": 2, "image_size": 8, "patch_size": 4},
    )
    with torch.random.fork_rng(devices=[]):
        model = transformers.CLIPModel(config).eval()
    model.set_attn_implementation({"": "sdpa", "text_config": "eager", "vision_config": "sdpa"})
    named = all_implementations(model)
    assert {"eager", "sdpa"} <= set(named)
    inputs = {"input_ids": torch.arange(6)[None], "pixel_values": torch.ones(1, 3, 8, 8)}
    before = run(model, inputs).logits_per_image
    with probe.watch(model) as heads, probe.watch(model):
        assert torch.equal(run(model, inputs).logits_per_image, before)
    assert all_implementations(model) == named
    assert (heads[0, 0].attended, heads[1, 0].attended) == (3.5, 5)


def test_an_error_inside_leaves_the_model_as_it_was():
    model, inputs = small.build("bert")
    named = all_implementations(model)
    with pytest.raises(RuntimeError, match="inside"), probe.watch(model):
        raise RuntimeError("inside")
    with pytest.raises((RuntimeError, IndexError)), probe.watch(model):
        run(model, {"input_ids": torch.full((1, 3), 10_000)})
    assert all_implementations(model) == named
    assert not small.has_hooks(model)
    with probe.watch(model) as heads:
        run(model, inputs)
    assert len(heads) == small.LAYERS * small.HEADS
    assert heads[0].queries == int(inputs["attention_mask"].sum())


def test_nothing_keeps_a_model_alive():
    model, inputs = small.build("gpt2")
    with probe.watch(model) as heads:
        run(model, inputs)
    gone = weakref.ref(model)
    del model, heads
    gc.collect()
    assert gone() is None


def test_models_that_call_the_function_of_torch_are_measured():
    class Attention(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.maps = torch.nn.Linear(16, 48)

        def forward(self, x, causal=False):
            q, k, v = (
                part.unflatten(-1, (4, 4)).transpose(1, 2) for part in self.maps(x).chunk(3, -1)
            )
            return (
                torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
                .transpose(1, 2)
                .flatten(-2)
            )

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = torch.nn.Sequential(Attention(), Attention())
    x = torch.linspace(-1, 1, 2 * 6 * 16).sin().reshape(2, 6, 16)
    plain = model(x)
    with probe.watch(model) as heads:
        assert torch.equal(model(x), plain)
        model[0](x, causal=True)
    assert len(heads) == 8
    assert heads[1, 0].attended == 6
    assert heads[0, 0].attended == pytest.approx((6 + 3.5) / 2)
    assert heads[1, 3].name == "1.3"


def test_shuffled_keys_keep_their_lengths():
    plain, shuffled = watched("gpt2"), watched("gpt2", shuffled=True)
    assert shuffled[0, 1].beta == pytest.approx(plain[0, 1].beta, rel=1e-6)
    assert shuffled[0, 1].key_norm == plain[0, 1].key_norm
    assert shuffled[0, 1].entropy != plain[0, 1].entropy


def test_lengths_of_values_are_grouped_by_weight():
    heads = watched("gpt2")
    head = heads[0, 0]
    assert len(head.value_by_weight) == 6
    known = [one for one in head.value_by_weight if one is not None]
    assert min(known) <= head.value_attended <= max(known)


@pytest.mark.parametrize(
    ("break_it", "argument"),
    [
        (lambda model: probe.watch("gpt2"), "model must be a torch.nn.Module"),
        (
            lambda model: probe.watch(torch.nn.Linear(2, 2)),
            "model must be one that takes attention from the registry",
        ),
        (lambda model: probe.watch(model, layers=[2]), "layers must be"),
        (lambda model: probe.watch(model, layers=[-1]), "layers must be"),
        (lambda model: probe.watch(model, layers=[]), "layers must be a list of one place or more"),
        (lambda model: probe.watch(model, layers=0), "layers must be a list of one place or more"),
        (lambda model: probe.watch(model, size=0), "size must be"),
        (lambda model: probe.watch(model, rows=-1), "rows must be"),
        (lambda model: probe.watch(model, special=["CLS"]), "special must be"),
        (lambda model: probe.watch(model, seed=-1), "seed must be"),
    ],
)
@pytest.mark.untyped
def test_bad_input_gets_a_sentence(break_it, argument):
    model, _ = small.build("gpt2")
    with (
        torch.random.fork_rng(devices=[]),
        pytest.raises(kanerva.InputError, match=argument),
        break_it(model),
    ):
        pass
    assert not small.has_hooks(model)


def test_heads_that_were_not_called_or_do_not_exist():
    model, inputs = small.build("gpt2")
    with probe.watch(model, rows=0) as heads:
        with pytest.raises(kanerva.InputError, match="not called yet"):
            heads[0]
        assert len(heads) == 0
        run(model, inputs)
    with pytest.raises(kanerva.InputError, match="rows must be one or more that were kept"):
        heads[0].fit()
    with pytest.raises(kanerva.InputError, match="layer must be one of"):
        heads[2, 0]
    with pytest.raises(kanerva.InputError, match="index must be"):
        heads[0, 4]
    assert heads[0].phase is None


def test_numbers_that_are_not_finite_are_refused():
    model, inputs = small.build("gpt2")
    model.transformer.h[0].attn.c_attn.weight.data[0, 0] = torch.nan
    with (
        pytest.raises(kanerva.InputError, match="queries and keys must be finite"),
        probe.watch(model),
    ):
        run(model, inputs)
    assert not small.has_hooks(model)
    model.transformer.h[0].attn.c_attn.weight.data[0, 0] = 0
    with probe.watch(model) as heads:
        run(model, inputs)
    assert heads[0].queries == int(inputs["attention_mask"].sum())


# torch's compiler draws numbers and warns as it likes.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_flex_attention_is_measured():
    model, inputs = small.build("bert", "flex_attention")
    if not small.has_registry(model):
        pytest.skip("this version gives no way to intercept it")
    with torch.random.fork_rng(devices=[]):
        before = run(model, inputs).last_hidden_state
        with probe.watch(model) as heads:
            assert torch.equal(run(model, inputs).last_hidden_state, before)
    assert (heads[0, 0].queries, heads[0, 0].attended) == (
        20,
        pytest.approx((12 * 12 + 8 * 8) / 20),
    )


def test_masks_of_one_input_are_not_applied_to_another():
    pair = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
    }
    words = pair | {
        "vocab_size": 50,
        "max_position_embeddings": 32,
        "eos_token_id": 2,
        "bos_token_id": 1,
        "pad_token_id": 0,
    }
    seeing = transformers.CLIPConfig(
        text_config=words, vision_config=pair | {"image_size": 8, "patch_size": 4}
    )
    with torch.random.fork_rng(devices=[]):
        clip = transformers.CLIPModel(seeing).eval()
    for length, pictures in ((12, 2), (5, 2), (12, 3)):  # five places in a picture
        text = {name: one[:, -length:].contiguous() for name, one in small.tokens().items()}
        with torch.random.fork_rng(devices=[]), probe.watch(clip) as heads:
            run(
                clip,
                text
                | {
                    "pixel_values": torch.linspace(-1, 1, pictures * 192).reshape(pictures, 3, 8, 8)
                },
            )
        assert [heads[layer, 0].queries for layer in (0, 1)] == [
            int(text["attention_mask"].sum()),
            5 * pictures,
        ]

    sides = {
        f"{side}_{name}": size
        for side in ("encoder", "decoder")
        for name, size in (("layers", 1), ("attention_heads", 4), ("ffn_dim", 48))
    }
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    speech = transformers.WhisperConfig(
        vocab_size=50,
        d_model=32,
        num_mel_bins=8,
        max_source_positions=16,
        max_target_positions=32,
        **sides,
        **ids,
    )
    with torch.random.fork_rng(devices=[]):
        whisper = transformers.WhisperModel(speech).eval()
    short = torch.cat(
        [torch.ones(2, 16, dtype=torch.long), torch.zeros(2, 16, dtype=torch.long)], 1
    )
    with (
        torch.random.fork_rng(devices=[]),
        probe.watch(whisper) as heads,
    ):  # its layers draw whether they drop out
        run(
            whisper,
            {
                "input_features": torch.ones(2, 8, 32),
                "attention_mask": short,
                "decoder_input_ids": small.tokens(6)["input_ids"],
            },
        )
    assert [heads[layer, 0].queries for layer in range(3)] == [32, 12, 12]


def test_the_first_token_comes_after_padding_on_the_left():
    model, inputs = small.build("llama")
    left = {
        "input_ids": inputs["input_ids"].clone(),
        "attention_mask": inputs["attention_mask"].flip(1),
    }
    left["input_ids"][1] = left["input_ids"][1].roll(4)
    both = []
    for given in (inputs, left):
        with probe.watch(model) as heads:
            run(model, given)
        both.append(torch.tensor([head.first for head in heads]))
    torch.testing.assert_close(*both)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of the name, in transformers 5.23
@pytest.mark.parametrize("reentrant", [False, True])
def test_calls_repeated_by_gradient_checkpoints_count_once(reentrant):
    model, inputs = small.build("llama")
    model.train().gradient_checkpointing_enable(
        gradient_checkpointing_kwargs={"use_reentrant": reentrant}
    )
    model.enable_input_require_grads()
    with probe.watch(model) as heads, probe.feedforward(model) as stores:
        model(**inputs).logits.sum().backward()
    assert {head.queries for head in heads} == {int(inputs["attention_mask"].sum())}
    assert {store.tokens for store in stores} == {int(inputs["attention_mask"].sum())}


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_a_copy_made_inside_is_measured_once_and_gets_its_name_back(implementation):
    model, inputs = small.build("llama", implementation)
    with probe.watch(model):
        other = copy.deepcopy(model)
    with probe.watch(other) as heads:
        run(other, inputs)
    assert heads[0].queries == int(inputs["attention_mask"].sum())
    assert other.config._attn_implementation == implementation


def test_threads_are_measured_separately():
    model, inputs = small.build("llama")
    with probe.watch(model) as heads:
        several = [
            threading.Thread(target=lambda: [run(model, inputs) for _ in range(5)])
            for _ in range(4)
        ]
        for one in several:
            one.start()
        for one in several:
            one.join()
    assert {head.queries for head in heads} == {20 * int(inputs["attention_mask"].sum())}


def test_flash_attention_and_calls_without_heads_are_refused():
    model, _ = small.build("llama")
    model.config._attn_implementation = "flash_attention_2"
    with (
        pytest.raises(kanerva.InputError, match="goes through sdpa, eager or flex"),
        probe.watch(model),
    ):
        pass

    class Plain(torch.nn.Module):
        def forward(self, x):
            return torch.nn.functional.scaled_dot_product_attention(x, x, x)

    with pytest.raises(kanerva.InputError, match="query must be"), probe.watch(Plain()) as heads:
        heads.model(torch.ones(2, 3, 4))
