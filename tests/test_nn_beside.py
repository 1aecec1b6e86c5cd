"""Attention with a memory of earlier windows, against attention over the tokens themselves."""

import copy
import io
import pickle

import pytest
import safetensors.torch
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

import kanerva
from kanerva import nn
from kanerva.separation import Argmax, Cap, Entmax, Inhibition, TopK

RULES = {
    "softmax": None,
    "entmax": Entmax(1.5, 4.0),
    "topk": TopK(3, 2.0),
    "argmax": Argmax(),
    "cap": Cap(4, 1.2),
    "inhibition": Inhibition(2),
}


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=source, dtype=torch.float64).to(dtype)


def close(one: Tensor, other: Tensor, atol: float = 1e-10) -> None:
    torch.testing.assert_close(one, other, atol=atol, rtol=0)


def layer(capacity: int = 6, k: int = 6, gate: float = 1e4, **options) -> nn.MemoryAttention:
    made = nn.MemoryAttention(16, 4, capacity, k, **options).double()
    torch.nn.init.constant_(made.gate, gate)
    return made


def by_hand(made: nn.MemoryAttention, x: Tensor, earlier: list[Tensor]) -> Tensor:
    """Return the output for one text ``(n, dim)`` after its earlier tokens, query by query."""
    own, h = made.attention, made.attention.heads
    past = torch.cat([x[:0], *earlier])[-made.capacity :]
    split = [
        [part.unflatten(-1, (h, -1)).transpose(0, 1) for part in (own.key(t), own.value(t))]
        for t in (x, past)
    ]
    queries = own.query(x).unflatten(-1, (h, -1)).transpose(0, 1)
    rows = []
    for head in range(h):
        beta, gate = own.log_beta[head].exp(), made.gate[head].sigmoid() if len(past) else 0.0
        reads = []
        for place, query in enumerate(queries[head]):
            found = []
            for which, (keys, values) in enumerate(split):
                many = place + 1 if which == 0 else len(past)
                cosine = torch.nn.functional.cosine_similarity(
                    query[None], keys[head][:many], dim=-1
                )
                best = cosine.argsort(descending=True)[: made.k] if which else slice(None)
                weights = (beta * cosine[best]).softmax(0)
                found.append(weights @ values[head][:many][best])
            reads.append(gate * found[1] + (1 - gate) * found[0])
        rows.append(torch.stack(reads))
    return own.out(torch.cat(rows, -1))


@pytest.mark.parametrize("k", [1, 3, 6, 99])
@pytest.mark.parametrize("gate", [0.0, -1.0, 1e4])
def test_the_formula_token_by_token_over_several_windows(k, gate):
    made, windows = layer(6, k, gate), [draw(2, n, 16, seed=n) for n in (3, 2, 4, 9, 1)]
    for at, window in enumerate(windows):
        output = made(window)
        for row in range(2):
            close(output[row], by_hand(made, window[row], [one[row] for one in windows[:at]]))
    assert len(made) == 6
    assert made.count.tolist() == [19, 19]


@pytest.mark.parametrize("name", RULES)
def test_open_and_whole_it_is_attention_over_the_last_tokens(name):
    made, earlier = layer(6, 6, separation=RULES[name]), draw(3, 11, 16)
    for part in earlier.split((4, 4, 3), 1):
        made(part)
    x = draw(3, 5, 16, seed=1)
    close(made(x, write=False), made.attention(x, earlier[:, -6:]))
    assert made.count.tolist() == [11] * 3


@pytest.mark.parametrize("name", RULES)
def test_the_nearest_are_read_by_any_rule(name):
    made, x = layer(9, 4, separation=RULES[name]), draw(2, 5, 16, seed=1)
    earlier = draw(2, 9, 16)
    made(earlier)
    own = made.attention
    queries, keys, values = own._project(x, earlier)
    scores = queries @ keys.mT
    keep = scores >= scores.topk(4).values[..., -1:]
    found = (own.separation(scores, keep) @ values).transpose(1, 2).flatten(2)
    close(made(x), own.out(found))


@pytest.mark.parametrize("gate", [-3.0, 0.0, 1e4])
def test_empty_it_is_plain_attention(gate):
    made, x = layer(gate=gate), draw(2, 5, 16)
    mask = torch.arange(5) < torch.tensor([[5], [2]])
    for options in ({"causal": True}, {"causal": False}, {"mask": mask}):
        options = {"causal": True} | options
        assert torch.equal(made(x, **options, write=False), made.attention(x, **options))
    made(x)
    made.forget([1])
    assert torch.equal(made(x, write=False)[1], made.attention(x, causal=True)[1])
    assert not torch.allclose(made(x, write=False)[0], made.attention(x, causal=True)[0])
    made.forget()
    assert (len(made), tuple(made.stored_key.shape)) == (0, (0, 4, 0, 4))
    assert torch.equal(made(x[:1]), made.attention(x[:1], causal=True))  # another batch


@pytest.mark.parametrize("k", [2, 7])
def test_places_that_are_left_out_are_not_written(k):
    """Texts of a batch that are padded differently remember what they do alone without padding."""
    made, texts = layer(7, k, 0.5), [draw(n, 16, seed=n) for n in (19, 12, 4)]
    windows = [(9, 5, 0), (2, 1, 4), (8, 6, 0)]
    alone = [layer(7, k, 0.5) for _ in texts]
    starts = [0, 0, 0]
    for lengths in windows:
        x = draw(3, 10, 16, seed=99)  # what stands in the padding does not count
        mask = torch.zeros(3, 10, dtype=torch.bool)
        for row, length in enumerate(lengths):
            # The padding is in front for one text, and behind for the others.
            where = slice(10 - length, 10) if row == 1 else slice(0, length)
            x[row, where] = texts[row][starts[row] : starts[row] + length]
            mask[row, where] = True
        output = made(x, mask)
        for row, length in enumerate(lengths):
            if length:
                part = texts[row][starts[row] : starts[row] + length]
                close(output[row, mask[row]], alone[row](part[None])[0])
            starts[row] += length
    assert made.count.tolist() == [19, 12, 4]
    assert len(made) == 7


def test_texts_of_a_batch_do_not_meet():
    whole, x = layer(5, 3, 0.0), draw(4, 9, 16)
    outputs = torch.cat([whole(part) for part in x.split(3, 1)], 1)
    for row in range(4):
        one = layer(5, 3, 0.0)
        close(torch.cat([one(part) for part in x[row : row + 1].split(3, 1)], 1)[0], outputs[row])


@pytest.mark.parametrize("k", [4, 99])
def test_a_budget_of_one_byte_changes_nothing(k):
    made, x = layer(20, k, 0.0), draw(3, 12, 16)
    made(x)
    later = draw(3, 7, 16, seed=1)
    expected = made(later, write=False)
    for budget in (1, 20_000, 60_000):
        with kanerva.settings.use(budget=budget):
            close(made(later, write=False), expected)


def test_gradients_reach_the_gate_and_the_maps_but_not_what_was_stored():
    for k in (2, 6):
        made = layer(6, k, 0.3)
        first, second = (draw(2, 5, 16, seed=seed).requires_grad_() for seed in (0, 1))
        # The memory is written after each read, and again before the gradient is computed.
        loss = made(first).sum() * 0 + made(second).square().sum()
        made(draw(2, 4, 16, seed=2))
        loss.backward()
        assert not first.grad.any()
        for name, parameter in made.named_parameters():
            assert parameter.grad.abs().sum() > 0, name
        assert not made.stored_key.requires_grad
        assert not made.stored_value.requires_grad


@pytest.mark.parametrize("k", [2, 5])
def test_gradients_are_right(k):
    made, x = nn.MemoryAttention(4, 2, 5, k).double(), draw(1, 3, 4)
    made(draw(1, 5, 4, seed=1))
    own = {name: value.detach().clone().requires_grad_() for name, value in made.named_parameters()}

    def run(x: Tensor, *parameters: Tensor) -> Tensor:
        given = dict(zip(own, parameters, strict=True))
        return torch.func.functional_call(made, given, (x,), {"write": False})

    assert torch.autograd.gradcheck(run, (x.requires_grad_(), *own.values()))


def test_states_and_copies_remember():
    made, x = layer(6, 3, 0.0), draw(2, 4, 16)
    for part in draw(2, 10, 16, seed=1).split(4, 1):
        made(part)
    file = io.BytesIO()
    torch.save(made.state_dict(), file)
    file.seek(0)
    other = layer(6, 3, 0.7)
    other.load_state_dict(torch.load(file, weights_only=True))
    twin = copy.deepcopy(made)
    expected = made(x)
    for one in (other, twin):
        assert torch.equal(one(x), expected)
        assert torch.equal(one(x), copy.deepcopy(made)(x))  # what was written is the same, too
    model = torch.nn.Sequential(layer(6, 3))
    model.load_state_dict(torch.nn.Sequential(made).state_dict())
    assert torch.equal(model[0](x), made(x))
    empty = layer(6, 3)
    empty.load_state_dict(layer(6, 3).state_dict())
    assert len(empty) == 0
    few = layer(9, 3)
    few(x)
    more = layer(99, 3)
    more.load_state_dict(few.state_dict())  # nothing has been forgotten yet
    close(more(x), few(x))


def test_a_state_is_a_file_of_safetensors():
    made, other = layer(6, 3), layer(6, 3)
    made(draw(2, 4, 16))
    other.load_state_dict(safetensors.torch.load(safetensors.torch.save(made.state_dict())))
    assert torch.equal(other(draw(2, 3, 16, seed=1)), made(draw(2, 3, 16, seed=1)))


def test_a_mask_of_true_is_no_mask_and_no_global_generator_is_used():
    before = torch.get_rng_state()
    one, two = layer(6, 3, 0.0), layer(6, 3, 0.0)
    for seed in range(3):
        x = draw(2, 4, 16, seed=seed)
        close(one(x, torch.ones(2, 4, dtype=torch.bool)), two(x))
    assert torch.equal(one.stored_key, two.stored_key)
    assert torch.equal(torch.get_rng_state(), before)


def test_narrow_dtypes_and_autocast():
    made = nn.MemoryAttention(16, 4, 6, 3).reset(1)
    narrow = copy.deepcopy(made).bfloat16()
    wide = copy.deepcopy(narrow).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = copy.deepcopy(made)
        first = [cast(draw(2, 5, 16, seed=seed, dtype=torch.float32)) for seed in range(3)]
    assert cast.stored_key.dtype == torch.float32
    for seed in range(3):
        x = draw(2, 5, 16, seed=seed, dtype=torch.float32)
        output = narrow(x.bfloat16())
        assert output.dtype == narrow.stored_value.dtype == torch.bfloat16
        close(output.float(), wide(x.bfloat16().float()), 0.05)
        close(first[seed].float(), made(x), 0.05)


def test_inference_mode_leaves_a_memory_that_can_be_trained_on():
    made, plain = layer(6, 3, 0.0), layer(6, 3, 0.0)
    x = draw(2, 4, 16)
    with torch.inference_mode():
        made(x)
        made(x)
    plain(x)
    plain(x)
    output = made(x)
    close(output, plain(x))
    output.sum().backward()
    assert made.gate.grad.abs().sum() > 0


@pytest.mark.untyped
@pytest.mark.parametrize(("capacity", "k"), [(8, 3), (5, 5)])
def test_forward_compiles_to_one_graph(capacity, k):
    made, plain = (nn.MemoryAttention(16, 4, capacity, k).reset(1) for _ in range(2))
    torch.compiler.reset()
    compiled = torch.compile(made, fullgraph=True, backend="aot_eager")
    mask = torch.arange(5) < torch.tensor([[5], [2]])
    for seed in range(3):
        x = draw(2, 5, 16, seed=seed, dtype=torch.float32)
        close(compiled(x, mask), plain(x, mask), 1e-5)
    assert made.count.tolist() == plain.count.tolist() == [15, 6]


def test_windows_of_nothing_and_batches_of_nothing():
    made = layer()
    assert made(draw(2, 0, 16)).shape == (2, 0, 16)
    assert made(draw(0, 3, 16)).shape == (0, 3, 16)
    assert len(made) == 0
    made(draw(2, 3, 16))
    assert made(draw(2, 0, 16)).shape == (2, 0, 16)
    mask = torch.zeros(2, 3, dtype=torch.bool)
    made(draw(2, 3, 16), mask)
    assert made.count.tolist() == [3, 3]
    nothing = layer()
    x = draw(2, 3, 16)
    close(nothing(x, mask), nothing.attention.out(torch.zeros_like(x)))
    close(nothing(x), nothing.attention(x, causal=True))


@pytest.mark.untyped
@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("k", [2, 6])
def test_a_checkpoint_that_does_not_write_has_the_same_gradients(reentrant, k):
    made, x = layer(6, k, 0.3), draw(2, 5, 16, seed=1).requires_grad_()
    made(draw(2, 9, 16))
    inputs = [x, *made.parameters()]
    for parameter in inputs:
        parameter.grad = None
    made(x, write=False).square().sum().backward()
    expected = [one.grad.clone() for one in inputs]
    for parameter in inputs:
        parameter.grad = None
    found = checkpoint(made, x, None, True, False, use_reentrant=reentrant)
    found.square().sum().backward()
    for one, other in zip(inputs, expected, strict=True):
        close(one.grad, other)


@pytest.mark.untyped
@pytest.mark.parametrize("reentrant", [False, True])
def test_a_checkpoint_that_writes_is_refused(reentrant):
    made, x = layer(6, 3, 0.3), draw(2, 5, 16, seed=1).requires_grad_()
    made(draw(2, 9, 16))
    found = checkpoint(made, x, use_reentrant=reentrant)
    with pytest.raises(kanerva.InputError, match=r"MemoryAttention: write must be False.*after"):
        found.sum().backward()
    assert made.count.tolist() == [14, 14]  # the repetition wrote nothing


@pytest.mark.untyped
def test_a_checkpoint_whose_memory_has_changed_is_refused():
    x = draw(2, 5, 16, seed=1).requires_grad_()
    for change in (
        lambda made: made(draw(2, 3, 16)),
        lambda made: made.forget([1]),
        lambda made: made.load_state_dict(made.state_dict()),
    ):
        made = layer(6, 3, 0.3)
        made(draw(2, 9, 16))
        found = checkpoint(made, x, None, True, False, use_reentrant=False)
        change(made)
        with pytest.raises(kanerva.InputError, match="MemoryAttention: memory must be written to"):
            found.sum().backward()


@pytest.mark.untyped
def test_pairs_that_do_not_fit_are_refused_and_change_nothing():
    made, other = layer(6, 3, 0.0), layer(6, 3, 0.7)
    made(draw(2, 4, 16))
    other(draw(3, 9, 16, seed=1))
    state = made.state_dict()
    key, value, count = (state[name] for name in ("stored_key", "stored_value", "count"))
    bad = [
        ({"count": torch.tensor(4)}, r"count must be an integer tensor of shape \(2,\)"),
        ({"count": [4, 4]}, r"count must be an integer tensor of shape \(2,\)"),
        ({"count": count[:1]}, r"count must be an integer tensor of shape \(2,\)"),
        ({"count": -count}, r"count must be an integer tensor .* counts >= 0"),
        ({"count": count.double()}, "count must be an integer tensor"),
        ({"stored_key": key[0]}, "stored_key must be a floating tensor of shape"),
        ({"stored_key": key.tolist()}, "stored_key must be a floating tensor of shape"),
        ({"stored_key": key.long()}, "stored_key must be a floating tensor of shape"),
        ({"stored_key": key / 0}, "stored_key must be finite"),
        ({"stored_key": key[:, :2]}, "stored_key must be a floating tensor of shape"),
        ({"stored_value": value[:1]}, "stored_value must be torch.float64 of 2 rows"),
        ({"stored_value": value[:, :, :3]}, "stored_value must be torch.float64 of 2 rows"),
        ({"stored_value": value.float()}, "stored_value must be torch.float64 of 2 rows"),
        ({"stored_value": value[..., :2]}, "stored_value must be a floating tensor of shape"),
        ({"count": count + 1}, "capacity must be 4"),
        (
            {"stored_key": key[:0], "stored_value": value[:0], "count": count[:0]},
            "stored_key must be without places",
        ),
    ]
    before = copy.deepcopy(other.state_dict())
    for change, sentence in bad:
        with pytest.raises(kanerva.InputError, match=f"load_state_dict: {sentence}"):
            other.load_state_dict(state | change)
        model = torch.nn.Sequential(other)
        with pytest.raises(kanerva.InputError, match="load_state_dict: "):
            model.load_state_dict({f"0.{name}": one for name, one in (state | change).items()})
    for name in ("stored_key", "stored_value", "count"):
        part = {one: tensor for one, tensor in state.items() if one != name}
        for strict in (True, False):
            with pytest.raises(kanerva.InputError, match=f"{name} must be"):
                other.load_state_dict(part, strict=strict)
    for name, tensor in before.items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_where_torch_refuses_another_entry_the_pairs_stay():
    made, other = layer(6, 3, 0.0), layer(6, 3, 0.7)
    made(draw(2, 4, 16))
    other(draw(3, 9, 16, seed=1))
    before = copy.deepcopy(other.state_dict())
    whole = made.state_dict()
    bad = [{name: one for name, one in whole.items() if name != "gate"}]
    bad += [whole | {"attention.key.weight": torch.zeros(3, 3)}, whole | {"more": whole["gate"]}]
    for state in bad:
        with pytest.raises(RuntimeError):
            other.load_state_dict(state)
        for name in ("stored_key", "stored_value", "count"):
            assert torch.equal(before[name], other.state_dict()[name])
    other.load_state_dict(bad[0], strict=False)
    assert other.count.tolist() == [4, 4]
    twin = layer(6, 3, 0.7)
    twin.load_state_dict(whole, assign=True)
    twin(draw(2, 2, 16))
    assert made.count.tolist() == [4, 4]  # assigned pairs are not shared


def test_pairs_that_are_loaded_in_inference_mode_can_be_written_to():
    made, other = layer(6, 3), layer(6, 3)
    made(draw(2, 4, 16))
    with torch.inference_mode():
        other.load_state_dict(made.state_dict())
    close(other(draw(2, 3, 16, seed=1)), made(draw(2, 3, 16, seed=1)))


def test_rows_that_are_forgotten_are_written_again():
    made, alone = layer(7, 3, 0.3), layer(7, 3, 0.3)
    x = draw(2, 24, 16)
    made(x[:, :5])
    made.forget([1])
    made(x[:, 5:8], torch.zeros(2, 3, dtype=torch.bool))  # nothing is written
    for start, end in ((8, 11), (11, 20), (20, 24)):
        close(made(x[:, start:end])[1:], alone(x[1:, start:end]))
    twin = pickle.loads(pickle.dumps(made))
    assert torch.equal(twin(x), copy.deepcopy(made)(x))


@pytest.mark.untyped
@pytest.mark.parametrize("name", RULES)
def test_errors_from_inside_name_the_layer(name):
    made, x = layer(separation=RULES[name]), draw(2, 5, 16)
    made(x)
    with pytest.raises(kanerva.InputError, match="MemoryAttention: x must be finite"):
        made(x / 0)
    with torch.no_grad():
        made.attention.query.weight.fill_(torch.nan)
    with pytest.raises(kanerva.InputError, match="MemoryAttention: x must be small enough"):
        made(x)


@pytest.mark.untyped
def test_it_refuses_in_a_sentence():
    made, x = layer(), draw(2, 5, 16)
    made(x)
    bad = [
        (lambda: nn.MemoryAttention(16, 4, 0, 3), "capacity must be an integer from 1"),
        (lambda: nn.MemoryAttention(16, 4, 5, 0), "k must be an integer from 1"),
        (
            lambda: nn.MemoryAttention(16, 3, 5, 2),
            "MemoryAttention: dim must be a multiple of the 3",
        ),
        (lambda: nn.MemoryAttention("16", 4, 5, 2), "MemoryAttention: dim must be an integer"),
        (lambda: nn.MemoryAttention(16, 4, 5, 2, beta=1e39), "MemoryAttention: beta must be from"),
        (lambda: layer().reset(-1), "MemoryAttention.reset: seed must be"),
        (lambda: nn.MemoryAttention(16, 4, 5, 2, steps=2), "keyword must be one of"),
        (lambda: made(x[:1]), "MemoryAttention: x must be of batch 2.*forget"),
        (lambda: made(x[0]), "x must be of shape"),
        (lambda: made(x[..., :8]), "x must be a floating tensor of shape"),
        (lambda: made(x.float()), "x must be torch.float64, as the weights are"),
        (lambda: made(x / 0), "MemoryAttention: x must be finite"),
        (lambda: made(x, torch.ones(2, 5, 5, dtype=torch.bool)), "mask must be a bool tensor"),
        (lambda: made(x, torch.ones(2, 5)), "mask must be a bool tensor"),
        (lambda: made(x, causal=None), "causal must be True or False"),
        (lambda: made(x, write=1), "write must be True or False"),
        (lambda: made.forget(2), "rows must be integers from 0 to 1"),
        (lambda: made.forget([0, -1]), "rows must be integers from 0 to 1"),
        (lambda: made.forget(torch.tensor([0.0])), "rows must be integers from 0 to 1"),
        (lambda: made.forget("0"), "rows must be integers from 0 to 1"),
        (lambda: layer().forget([0]), "rows must be omitted where nothing is stored"),
        (lambda: layer(4).load_state_dict(made.state_dict()), "capacity must be 5"),
    ]
    for make, sentence in bad:
        with pytest.raises(kanerva.InputError, match=sentence):
            make()
    assert made.count.tolist() == [5, 5]  # nothing was written


def test_a_transform_of_torch_cannot_write():
    layer, x = nn.MemoryAttention(8, 2, 10, 3), torch.linspace(-1, 1, 48).reshape(2, 3, 8)
    weights = dict(layer.named_parameters())

    def loss(given, **more):
        return torch.func.functional_call(layer, given, (x,), more).square().sum()

    with pytest.raises(kanerva.InputError, match=r"torch\.func.*True"):
        torch.func.grad(loss)(weights)
    assert len(layer) == 0
    assert not len(layer.count)
    found = torch.func.grad(loss)(weights, write=False)
    loss(weights, write=False).backward()
    assert torch.allclose(found["attention.out.weight"], layer.attention.out.weight.grad)
