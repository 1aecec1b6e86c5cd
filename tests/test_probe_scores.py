"""What is said of a head is of what the model does to its scores, or says that it is not."""

import pytest
import torch

import kanerva
import small
from kanerva import nn, probe
from kanerva.lab.probing import Plan, Reader, examine
from kanerva.separation import Argmax, Entmax, Softmax, TopK

transformers = pytest.importorskip("transformers")
CAP = 0.7


def sinks(scale=1.0):
    """Return a small gpt-oss, whose heads learn a sink, with eager attention."""
    config = transformers.GptOssConfig(
        vocab_size=50,
        hidden_size=small.WIDE,
        intermediate_size=32,
        num_hidden_layers=small.LAYERS,
        num_attention_heads=small.HEADS,
        num_key_value_heads=2,
        head_dim=small.DIM,
        num_local_experts=2,
        num_experts_per_tok=1,
        sliding_window=6,
        max_position_embeddings=64,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        rope_scaling=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = transformers.GptOssForCausalLM._from_config(config, attn_implementation="eager")
        for layer in model.model.layers:
            layer.self_attn.sinks.data.normal_(0, scale)
            layer.self_attn.q_proj.weight.data.mul_(20)  # attention that is not all equal
    return model.eval(), small.tokens()


def capped():
    """Return a small Gemma 2, which caps its scores and normalises nothing but lengths."""
    config = transformers.Gemma2Config(
        vocab_size=50,
        hidden_size=small.WIDE,
        intermediate_size=48,
        num_hidden_layers=small.LAYERS,
        num_attention_heads=small.HEADS,
        num_key_value_heads=2,
        head_dim=small.DIM,
        query_pre_attn_scalar=4,
        attn_logit_softcapping=CAP,
        max_position_embeddings=32,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = transformers.Gemma2ForCausalLM._from_config(config, attn_implementation="eager")
        for layer in model.model.layers:
            layer.self_attn.q_proj.weight.data.mul_(20)
    return model.eval(), small.tokens()


def run(model, inputs, **more):
    with torch.no_grad():
        return model(**inputs, **more)


def test_a_sink_is_one_more_key():
    """The weights that the model returns sum to less than one; the rest is that of the sink."""
    model, inputs = sinks()
    own = run(model, inputs, output_attentions=True)
    with probe.watch(model, rows=50, size=None) as heads:
        during = run(model, inputs)
    assert torch.equal(own.logits, during.logits)
    real = inputs["attention_mask"].bool()
    for layer in range(small.LAYERS):
        for index in range(small.HEADS):
            rows, head = own.attentions[layer][:, index][real].double(), heads[layer, index]
            rest = 1 - rows.sum(-1, keepdim=True)
            every = torch.cat((rows, rest), -1)
            assert head.null == pytest.approx(rest.mean().item(), abs=1e-5)
            assert head.null > 0.01
            entropy = torch.special.entr(every.clamp_min(0)).sum(-1).mean().item()
            assert head.entropy == pytest.approx(entropy, abs=1e-4)
            effective = (1 / every.square().sum(-1)).mean().item()
            assert head.effective == pytest.approx(effective, rel=1e-3)
            assert head.top == pytest.approx(rows.amax(-1).mean().item(), abs=1e-5)
            assert head.first == pytest.approx(rows[:, 0].mean().item(), abs=1e-5)
            assert head.mismatch < 1e-4
    assert not heads[0].hidden


def test_a_sink_takes_from_the_agreement_with_a_memory_and_makes_a_phase():
    model, inputs = sinks()
    with probe.watch(model, rows=50, size=None) as heads:
        run(model, inputs)
    widest = heads[0, 0].agreement()[3]
    own = run(model, inputs, output_attentions=True).attentions[0][:, 0]
    with probe.watch(model, rows=50, size=None, layers=[0]) as again:
        run(model, inputs)
    rows = again._summaries[0].rows
    apart = []
    for row, cosines in rows:
        weights = torch.cat((row[0, : cosines.shape[1]], row[0, -1:])).double().softmax(0)
        circle = probe.CosineCircle(small.DIM, 3)(cosines[0].double())
        gap = (
            1.0 if circle.sum() == 0 else (weights[:-1] - circle).abs().sum() / 2 + weights[-1] / 2
        )
        apart.append(float(gap))
    assert len(rows) == int(inputs["attention_mask"].sum())
    assert widest.variation == pytest.approx(sum(apart) / len(apart), abs=1e-5)
    assert own.sum(-1).max() < 1
    for layer in model.model.layers:
        layer.self_attn.sinks.data.fill_(50.0)
    with probe.watch(model) as heads:
        run(model, inputs)
    assert (heads[0, 0].phase, heads[0, 0].needed) == ("single", 1)
    assert heads[0, 0].null == pytest.approx(1)


def test_heads_with_sinks_are_replaced():
    model, inputs = sinks()
    own, real = run(model, inputs).logits, inputs["attention_mask"].bool()
    with probe.replace(model, Softmax(1.0)):
        torch.testing.assert_close(run(model, inputs).logits[real], own[real], atol=1e-5, rtol=1e-5)
    for rule in (Softmax(0.0), Argmax(), TopK(3, 1.0), Entmax(1.5)):
        with probe.replace(model, rule):
            changed = run(model, inputs).logits
        assert changed.isfinite().all()
        assert not torch.allclose(changed[real], own[real], atol=1e-4)
    with probe.watch(model) as heads:
        run(model, inputs)
    refused = pytest.raises(kanerva.InputError, match="but it was one with learned sinks")
    with refused, probe.replace(model, probe.circles(heads)):
        run(model, inputs)


@pytest.mark.parametrize("padded", [True, False])
def test_a_registered_softmax_is_the_model_with_sinks(padded):
    model, inputs = sinks()
    real = inputs["attention_mask"].bool() if padded else torch.ones(2, 12, dtype=torch.bool)
    given = inputs if padded else {"input_ids": inputs["input_ids"]}
    own = run(model, given, output_attentions=True)
    model.set_attn_implementation(nn.register("with_sinks", Softmax(1.0)))
    found = run(model, given, output_attentions=True)
    torch.testing.assert_close(found.logits[real], own.logits[real], atol=1e-5, rtol=1e-5)
    for one, other in zip(found.attentions, own.attentions, strict=True):
        one, other = (part.transpose(1, 2)[real] for part in (one, other))
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    with probe.watch(model) as heads:
        run(model, given)
    assert heads[0, 0].null == pytest.approx(sinks_of(own, real), abs=1e-5)
    text = {name: one[:1, :5] for name, one in inputs.items()}
    generate = {"max_new_tokens": 4, "do_sample": False, "pad_token_id": 0}
    ours = model.generate(**text, **generate)
    model.set_attn_implementation("eager")
    assert torch.equal(ours, model.generate(**text, **generate))
    circle = nn.register("no_sinks", probe.CosineCircle(small.DIM, 2), "cosine")
    model.set_attn_implementation(circle)
    with pytest.raises(kanerva.InputError, match="a sink has no cosine"):
        run(model, given)


def sinks_of(output, real):
    return (1 - output.attentions[0][:, 0][real].sum(-1)).mean().item()


def test_a_soft_cap_flattens_the_slope_of_a_head():
    """Beta is the mean slope of the softmax inputs over cosines, by finite differences."""
    model, inputs = capped()
    caught = []

    def observe(module, query, key, value, mask, **more):
        caught.append((query, key, more["scaling"], more["softcap"]))
        return eager(module, query, key, value, mask, **more)

    module = __import__(type(model).__module__, fromlist=["eager_attention_forward"])
    eager, module.eager_attention_forward = module.eager_attention_forward, observe
    try:
        own = run(model, {"input_ids": inputs["input_ids"]}).logits
        with probe.watch(model, size=None) as heads:
            during = run(model, {"input_ids": inputs["input_ids"]}).logits
    finally:
        module.eager_attention_forward = eager
    assert torch.equal(own, during)
    query, key, scale, cap = caught[0]
    query, key = query.double(), key.double().repeat_interleave(2, 1)
    length = query.norm(dim=-1)[..., :, None] * key.norm(dim=-1)[..., None, :]
    cosines = (query @ key.mT) / length

    def inputs_of(cosines):
        return cap * torch.tanh(scale * length * cosines / cap)

    slope = (inputs_of(cosines + 1e-6) - inputs_of(cosines - 1e-6)) / 2e-6
    kept = torch.ones(12, 12, dtype=torch.bool).tril()
    assert cap == CAP
    for index in range(small.HEADS):
        plain = scale * length[:, index][:, kept].mean().item()
        assert heads[0, index].beta == pytest.approx(
            slope[:, index][:, kept].mean().item(), rel=1e-4
        )
        assert heads[0, index].beta < 0.9 * plain
        assert heads[0, index].mismatch < 1e-4
        assert heads[0, index].beta_peak <= CAP + 1e-6


def test_what_cannot_be_seen_is_said():
    """A registered rule weighs otherwise than the softmax that is measured."""
    model, inputs = small.build("llama")
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.q_proj.weight.mul_(30)
    small.skip_unless_interceptable(model)
    with probe.watch(model) as heads:
        run(model, inputs)
    assert all(head.mismatch < 1e-5 and not head.hidden for head in heads)
    model.set_attn_implementation(nn.register("nearest_alone", Argmax()))
    said = pytest.warns(UserWarning, match=r"in \d of 8 heads the output is not the read")
    with said, probe.watch(model) as heads:
        run(model, inputs)
    assert heads[0, 0].mismatch > 0.05
    assert heads[0, 0].hidden
    assert "not all of it seen" in repr(heads[0, 0])
    with probe.watch(model, shuffled=True) as heads:
        run(model, inputs)
    assert heads[0, 0].mismatch is None
    model.set_attn_implementation("sdpa")
    with probe.replace(model, Argmax()), probe.watch(model) as heads:
        run(model, inputs)  # the head itself is measured, whatever replaces it
    assert heads[0, 0].mismatch < 1e-5


class Letters:
    """A minimal tokenizer."""

    pad_token = " "

    def __call__(self, texts, **more):
        ids = [[ord(letter) % 50 for letter in text] for text in texts]
        return {"input_ids": torch.tensor(ids) if "return_tensors" in more else ids}


def test_an_examination_leaves_circles_out_where_scores_are_more_than_cosines():
    model, _ = sinks()
    texts = ["one text", "no other"]
    plan = Plan(replace=("circles", "nearest"), controls=False)
    found = examine(Reader("sinks", model, Letters()), texts, plan)
    assert [row["memory"] for row in found.effects] == ["nearest"]
    assert found.sweep == []
    notes = " ".join(found.notes)
    assert "8 of 8 heads have a learned sink" in notes
    assert "Circles and caps take cosines" in notes
    assert all(row["null"] > 0 for row in found.rows)
    plain, _ = small.build("llama")
    found = examine(Reader("plain", plain, Letters()), texts, plan)
    assert [row["memory"] for row in found.effects] == ["circles", "nearest"]
    assert found.notes == []
    plain.set_attn_implementation(nn.register("nearest_again", Argmax()))
    found = examine(Reader("plain", plain, Letters()), texts, plan)
    assert "in a way that cannot be seen" in " ".join(found.notes)
