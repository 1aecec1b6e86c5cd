"""Memories in place of heads: the head's own rule changes nothing; effects match the outputs."""

import pytest
import torch

import kanerva
import small
from kanerva import probe
from kanerva.separation import Argmax, Cap, Entmax, Softmax, Step, TopK

transformers = pytest.importorskip("transformers")
FAMILIES = list(small.families())


def run(model, inputs, **more):
    with torch.no_grad():
        return model(**inputs, **more)


def interceptable(family):
    """Build a model; skip where an older transformers gives no way to intercept its attention."""
    model, inputs = small.build(family)
    small.skip_unless_interceptable(model)
    return model, inputs


def is_released(model, inputs):
    """Return whether a model has no hooks, and can be measured without calling a replacement."""
    with probe.watch(model):
        run(model, inputs)
    return not small.has_hooks(model)


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_softmax_of_the_inputs_is_what_heads_do(family, padded):
    model, inputs = interceptable(family)
    if not padded:
        inputs = {name: one for name, one in inputs.items() if name != "attention_mask"}
    before = run(model, inputs)[0]
    with probe.replace(model, Softmax(1.0)) as reads:
        during = run(model, inputs)[0]
    assert torch.allclose(during, before, atol=2e-5)
    assert reads.unreached == 0
    assert torch.equal(run(model, inputs)[0], before)
    with probe.replace(model, Softmax(0.0)):
        assert not torch.allclose(run(model, inputs)[0], before, atol=1e-4)


def attention_outputs(model, inputs, **more):
    """Return what the last attention of a GPT-2 hands on, head by head, before heads are mixed."""
    caught = []
    hook = model.transformer.h[1].attn.c_proj.register_forward_pre_hook(
        lambda module, args: caught.append(args[0])
    )
    run(model, inputs)
    hook.remove()
    return caught[0].unflatten(-1, (small.HEADS, small.DIM))


def test_only_the_chosen_heads_change():
    model, inputs = small.build("gpt2")
    plain = attention_outputs(model, inputs)
    with probe.replace(model, Argmax(), layers=[1], heads=[0, 3]):
        changed = attention_outputs(model, inputs)
    assert torch.equal(changed[:, :, 1:3], plain[:, :, 1:3])
    assert not torch.allclose(changed[:, :, 0], plain[:, :, 0])
    with probe.replace(model, {(1, 2): Argmax(), (0, 0): Softmax(1.0)}, layers=[1]):
        changed = attention_outputs(model, inputs)
    assert torch.equal(changed[:, :, [0, 1, 3]], plain[:, :, [0, 1, 3]])


@pytest.mark.parametrize(
    "part",
    [
        Argmax(),
        Softmax(0.0),
        Softmax(2.5),
        TopK(2, 1.0),
        Entmax(1.5, 1.0),
        probe.CosineCircle(8, 3),
        Cap(8, 3),
    ],
)
def test_reads_are_those_of_the_core(part):
    model, inputs = small.build("gpt2")
    caught = []
    hook = model.transformer.h[1].attn.c_attn.register_forward_hook(
        lambda module, args, output: caught.append(output)
    )
    with probe.replace(model, part, layers=[1]):
        given = attention_outputs(model, inputs)
    hook.remove()
    query, key, value = (
        one.unflatten(-1, (small.HEADS, small.DIM)) for one in caught[0].split(small.WIDE, -1)
    )
    for text, length in ((0, 12), (1, 8)):
        for head in range(small.HEADS):
            for place in range(length):
                q, k, v = (
                    query[text, place, head],
                    key[text, : place + 1, head],
                    value[text, : place + 1, head],
                )
                alike = kanerva.similarity.cosine(q, k)
                scores = (
                    alike
                    if part.expects == ("cosine",)
                    else alike * q.norm() * k.norm(dim=-1) / small.DIM**0.5
                )
                assert torch.allclose(given[text, place, head], part(scores) @ v, atol=1e-5)


def test_several_steps_settle_as_a_hopfield_network_does():
    model, inputs = small.build("gpt2")
    caught = []
    hook = model.transformer.h[1].attn.c_attn.register_forward_hook(
        lambda module, args, output: caught.append(output)
    )
    with probe.replace(model, Softmax(3.0), layers=[1], steps=3):
        given = attention_outputs(model, inputs)
    hook.remove()
    q, k, v = (
        one.unflatten(-1, (small.HEADS, small.DIM))[0, :, 1]
        for one in caught[0].split(small.WIDE, -1)
    )
    memory = kanerva.attention(small.DIM, beta=3 / small.DIM**0.5)
    memory.write(k[:6])
    state = memory.read(memory.read(q[5]))
    weights = (3 / small.DIM**0.5 * k[:6] @ state).softmax(-1)
    assert torch.allclose(given[0, 5, 1], weights @ v[:6], atol=1e-5)


def test_gradients_flow_through_a_replaced_head():
    model, inputs = small.build("gpt2")
    with probe.replace(model, Entmax(1.5, 1.0)):
        model(**inputs, labels=inputs["input_ids"]).loss.backward()
    assert model.transformer.h[0].attn.c_attn.weight.grad.abs().sum() > 0


def test_measuring_a_replaced_model():
    model, inputs = small.build("bert")
    with probe.replace(model, Softmax(0.0), layers=[0]), probe.watch(model) as heads:
        changed = run(model, inputs).last_hidden_state
    with probe.watch(model) as plain:
        before = run(model, inputs).last_hidden_state
    assert not torch.allclose(changed, before)
    assert heads[0, 0].beta == pytest.approx(plain[0, 0].beta)
    assert heads[1, 0].beta != plain[1, 0].beta


def test_queries_that_reach_nothing_are_counted_and_read_zeros():
    model, inputs = small.build("gpt2")
    with probe.replace(model, probe.CosineCircle(8, 1), layers=[1]) as reads:
        assert reads.unreached is None
        given = attention_outputs(model, inputs)
    real = inputs["attention_mask"].bool()
    assert 0 < reads.unreached < 1
    empty = (given[real] == 0).all(-1)
    assert empty.any()


def test_circles_of_a_head_that_was_watched():
    model, inputs = small.build("gpt2")
    with probe.watch(model) as heads:
        run(model, inputs)
    found = probe.circles(heads)
    assert list(found) == [
        (layer, index) for layer in range(small.LAYERS) for index in range(small.HEADS)
    ]
    assert found[1, 2] == probe.CosineCircle(8, heads[1, 2].fit().radius)
    assert probe.circles(heads, matched=True)[0, 1].radius == heads[0, 1].fit().matched
    assert probe.circles(heads, 2, space="continuous")[0, 0] == Cap(8, 2)
    with pytest.raises(kanerva.InputError, match="radius must be an integer from 1 to 3"):
        probe.circles(heads, 4)


# Effects.


def test_effects_of_nothing_are_nothing():
    model, inputs = small.build("gpt2")
    for block in model.transformer.h:
        block.attn.c_attn.weight.data *= 20  # heads that are not all but uniform
    found = probe.effects(model, [inputs, inputs], {"own": Softmax(1.0), "uniform": Softmax(0.0)})
    own = found["own"]
    assert own.hidden == pytest.approx((1, 1, 1), abs=1e-5)
    assert own.divergence == pytest.approx(0, abs=1e-6)
    assert own.loss == pytest.approx(own.loss_before, abs=1e-6)
    assert (own.embedding, own.nearest, own.neighbours) == pytest.approx((1, 1, 1), abs=1e-5)
    assert found["uniform"].divergence > 10 * abs(own.divergence)
    assert found["uniform"].loss_before == own.loss_before


def test_loss_and_divergence_are_those_of_the_model():
    model, inputs = small.build("llama")
    before = run(model, inputs).logits.log_softmax(-1)
    labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
    with probe.replace(model, Argmax()):
        after = run(model, inputs, labels=labels)
    found = probe.effects(model, [inputs], {"nearest": Argmax()})["nearest"]
    real = inputs["attention_mask"].bool()
    logs = after.logits.log_softmax(-1)
    assert found.loss == pytest.approx(after.loss.item(), rel=1e-5)
    assert found.divergence == pytest.approx(
        (before.exp() * (before - logs)).sum(-1)[real].mean().item(), rel=1e-4
    )


def test_neighbours_are_counted_among_other_texts():
    model, _ = small.build("bert")
    texts = [
        {"input_ids": (7 * torch.arange(36).reshape(6, 6) ** 2 + place) % 50} for place in range(4)
    ]
    found = probe.effects(
        model, texts, {"own": Softmax(1.0), "far": (Softmax(0.0), 2)}, heads=[0, 1]
    )
    assert found["own"].neighbours == 1
    assert found["far"].hidden[0] == pytest.approx(1)
    assert found["own"].loss is None
    calls = []
    probe.effects(
        model,
        texts,
        {"a": Argmax(), "b": Argmax()},
        progress=lambda name, done: calls.append((name, done)),
    )
    assert calls == [(name, place) for place in range(4) for name in "ab"]


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("break_it", "argument"),
    [
        (lambda model, text: probe.replace(model, "circle"), "memory must be a separation"),
        (
            lambda model, text: probe.replace(model, {(0, 0): "circle"}),
            "memory must be a separation",
        ),
        (
            lambda model, text: probe.replace(model, {(5, 0): Argmax()}),
            "memory must be for one or more",
        ),
        (
            lambda model, text: probe.replace(model, {(0, 0): Argmax(), (5, 0): Argmax()}),
            "memory must be an integer from 0 to 1",
        ),
        (lambda model, text: probe.replace(model, {0: Argmax()}), "memory must be for places"),
        (lambda model, text: probe.replace(model, Argmax(), layers=[]), "layers must be a list"),
        (lambda model, text: probe.replace(model, Argmax(), heads=[]), "heads must be a list"),
        (lambda model, text: probe.replace(model, Argmax(), heads=1), "heads must be a list"),
        (lambda model, text: probe.replace(model, Argmax(), layers=[9]), "layers must be"),
        (lambda model, text: probe.replace(model, Argmax(), steps=0), "steps must be"),
    ],
)
def test_bad_replacements_get_a_sentence(break_it, argument):
    model, inputs = small.build("gpt2")
    with pytest.raises(kanerva.InputError, match=argument), break_it(model, inputs):
        run(model, inputs)
    assert is_released(model, inputs)


@pytest.mark.untyped
def test_heads_out_of_range_and_effects_of_nothing():
    model, inputs = small.build("gpt2")
    with (
        pytest.raises(kanerva.InputError, match="heads must be"),
        probe.replace(model, Argmax(), heads=[4]),
    ):
        run(model, inputs)
    assert is_released(model, inputs)
    with pytest.raises(kanerva.InputError, match="memories must be one or more"):
        probe.effects(model, [inputs], {})
    with pytest.raises(kanerva.InputError, match="batches must be one or more"):
        probe.effects(model, [], {"a": Argmax()})
    with pytest.raises(kanerva.InputError, match="memories must be one or more"):
        probe.effects(model, [inputs], [Argmax()])
    with pytest.raises(kanerva.InputError, match="batches must be a list"):
        probe.effects(model, inputs, {"a": Argmax()})
    with pytest.raises(kanerva.InputError, match="batches must be of one token"):
        probe.effects(
            model,
            [inputs | {"attention_mask": torch.zeros_like(inputs["attention_mask"])}],
            {"a": Argmax()},
        )
    with pytest.raises(kanerva.InputError, match="in evaluation mode"):
        probe.effects(model.train(), [inputs], {"a": Argmax()})


def test_position_in_the_scores_is_refused_for_cosines():
    model, inputs = interceptable("t5")
    with (
        pytest.raises(kanerva.InputError, match="adds a position bias"),
        probe.replace(model, probe.CosineCircle(8, 3)),
    ):
        run(model, inputs)
    with probe.replace(model, TopK(2, 1.0)):
        run(model, inputs)


def test_rules_that_do_not_sum_to_one_work_too():
    model, inputs = small.build("gpt2")
    with probe.replace(model, Step(0.0), layers=[1]):
        assert run(model, inputs).logits.isfinite().all()


def test_texts_of_padding_alone_do_not_count():
    model, inputs = small.build("bert")
    inputs["attention_mask"][1] = 0
    assert probe.effects(model, [inputs], {"own": Softmax(1.0)})["own"].embedding == pytest.approx(
        1, abs=1e-5
    )


def test_vectors_of_a_decoder_are_not_masked_like_those_of_its_encoder():
    model, inputs = small.build("bart")
    longer = inputs | {"decoder_input_ids": inputs["input_ids"]}
    masked = longer | {"decoder_attention_mask": torch.ones_like(inputs["input_ids"])}
    one, other = (probe.effects(model, [given], {"a": Argmax()})["a"] for given in (longer, masked))
    assert one.hidden == pytest.approx(other.hidden, abs=1e-6)
