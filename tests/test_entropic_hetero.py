"""The hetero-associative entropic memory against plain loops written from the formulas."""

import copy
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

import kanerva
from kanerva import InputError, InputTypeError, settings
from kanerva.entropic import HeteroEntropicMemory, Quantiser, _search
from kanerva.entropic._projection import Relation
from kanerva.lab import runner
from kanerva.lab.papers import RECIPES
from kanerva.lab.papers.hernandez2024 import _hetero

N, M, P, Q = 4, 5, 3, 6


def data(count=40, seed=0, sizes=(N, M, P, Q)):
    """Keys and values around a few centres, as levels."""
    n, m, p, q = sizes
    source = np.random.default_rng(seed)
    centres = source.integers(0, [m] * n + [q] * p, (4, n + p))
    rows = centres[source.integers(0, 4, count)] + source.integers(-1, 2, (count, n + p))
    keys, values = rows[:, :n].clip(0, m - 1), rows[:, n:].clip(0, q - 1)
    return torch.tensor(keys).float(), torch.tensor(values).float()


def filled(count=40, seed=0, **more):
    memory = HeteroEntropicMemory(N, M, P, Q, **more)
    keys, values = data(count, seed)
    memory.write(keys, values)
    return memory, keys, values


def some_known(shape, seed):
    known = np.random.default_rng(seed).random(shape) < 0.7
    known[..., 0] = True
    return torch.from_numpy(known)


# Plain loops


def loop_counts(keys, values, known, value_known, sizes=(N, M, P, Q), cap=math.inf):
    n, m, p, q = sizes
    counts = np.zeros((n, p, m, q))
    for a, b, some, other in zip(keys, values, known, value_known, strict=True):
        for i, j in itertools.product(range(n), range(p)):
            if some[i] and other[j]:
                counts[i, j, int(a[i]), int(b[j])] += 1
    return np.minimum(counts, cap)


def loop_thin(counts, iota):
    thin = counts.copy()
    for i, j in itertools.product(*map(range, counts.shape[:2])):
        marked = counts[i, j][counts[i, j] > 0]
        if len(marked):
            thin[i, j][counts[i, j] < iota * marked.mean()] = 0
    return thin


def loop_project(thin, cue, known, weights=None):
    n, p, _, q = thin.shape
    weights = np.ones(n) if weights is None else n * np.array(weights) / np.sum(weights)
    plane = np.zeros((p, q))
    for j, k in itertools.product(range(p), range(q)):
        terms = [weights[i] * thin[i, j, int(cue[i]), k] for i in range(n) if known[i]]
        whole = [thin[i, j, int(cue[i]), k] > 0 for i in range(n) if known[i]]
        plane[j, k] = sum(terms) if whole and all(whole) else 0
    return plane


def loop_distance(thin, value, cue, known):
    plane = loop_project(thin, cue, known)
    weights = [plane[j, int(level)] for j, level in enumerate(value)]
    turned = thin.transpose(1, 0, 3, 2)
    back = np.zeros(thin.shape[::2])
    for i, k in itertools.product(*map(range, back.shape)):
        terms = [turned[j, i, int(level), k] for j, level in enumerate(value)]
        if all(term > 0 for term in terms):
            back[i, k] = sum(w * term for w, term in zip(weights, terms, strict=True))
    found = []
    for i in range(len(cue)):
        if known[i]:
            gap = (np.arange(back.shape[1]) - cue[i]) ** 2
            mass = back[i].sum()
            found.append((gap * back[i]).sum() / mass if mass > 0 else (back.shape[1] - 1) ** 2)
    return np.mean(found)


def loop_entropy(counts):
    total = 0.0
    for plane in counts.reshape(-1, counts.shape[2] * counts.shape[3]):
        for share in plane[plane > 0] / max(plane.sum(), 1):
            total -= share * math.log2(share)
    return total / (counts.shape[0] * counts.shape[1])


# Against the loops


@pytest.mark.parametrize("cap", [None, 3])
def test_counts_are_those_of_a_loop(cap):
    keys, values = data()
    known, shown = some_known(keys.shape, 1), some_known(values.shape, 2)
    memory = HeteroEntropicMemory(N, M, P, Q, cap=cap)
    memory.write(keys, values, known, shown)
    wanted = loop_counts(keys, values, known, shown, cap=cap or math.inf)
    assert (memory.counts.numpy() == wanted).all()
    assert wanted.max() >= 3
    assert len(memory) == 40


@pytest.mark.parametrize("iota", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_projections_are_those_of_a_loop(iota, weighted):
    memory, keys, _ = filled(iota=iota)
    known = some_known(keys.shape, 3)
    weights = torch.rand(keys.shape, generator=torch.Generator().manual_seed(1))
    thin = loop_thin(memory.counts.numpy().astype(float), iota)
    found = memory.project(keys, weights if weighted else None, known)
    wanted = [
        loop_project(thin, *row[:2], row[2] if weighted else None)
        for row in zip(keys.numpy(), known.numpy(), weights.double().numpy(), strict=True)
    ]
    assert found.dtype == torch.float64
    assert (np.array(wanted) > 0).any()
    assert np.allclose(found.numpy(), wanted, rtol=1e-12, atol=0)


@pytest.mark.parametrize("iota", [0.0, 0.4])
def test_distances_are_those_of_a_loop(iota):
    memory, keys, values = filled(iota=iota)
    known = some_known(keys.shape, 3)
    thin = loop_thin(memory.counts.numpy().astype(float), iota)
    other = values.flip(0)  # most are not of the cue, so that columns are empty
    found = memory.distance(torch.cat([values, other]), keys.repeat(2, 1), known.repeat(2, 1))
    wanted = [
        loop_distance(thin, value, cue, some)
        for value, cue, some in zip(
            torch.cat([values, other]).numpy(),
            keys.repeat(2, 1).numpy(),
            known.repeat(2, 1).numpy(),
            strict=True,
        )
    ]
    assert np.allclose(found.numpy(), wanted, rtol=1e-12)
    assert found.max() == (M - 1) ** 2
    assert found.min() < 3


def test_recognition_is_that_of_a_loop():
    memory, keys, values = filled(iota=0.3, kappa=0.8, xi=2)
    other, known, shown = values.flip(0), some_known(keys.shape, 3), some_known(values.shape, 4)
    found = memory.recognise(keys, other, known, shown)
    counts = memory.counts.numpy().astype(float)
    thin = loop_thin(counts, 0.3)
    means = [plane[plane > 0].mean() for plane in counts.reshape(N * P, -1)]
    for row in range(len(keys)):
        pairs = [
            (i, j, int(keys[row, i]), int(other[row, j]))
            for i, j in itertools.product(range(N), range(P))
            if known[row, i] and shown[row, j]
        ]
        fails = sum(thin[cell] == 0 for cell in pairs)
        weight = sum(counts[cell] for cell in pairs) / (N * P)
        assert found.mismatches[row] == fails
        assert found.weight[row].item() == pytest.approx(weight)
        assert found.mean[row].item() == pytest.approx(np.mean(means))
        assert bool(found.accepted[row]) == (fails <= 2 and weight >= 0.8 * np.mean(means))
    assert 0 < found.accepted.sum() < len(keys)


def test_entropy_is_that_of_a_loop():
    memory, *_ = filled()
    assert memory.entropy() == pytest.approx(loop_entropy(memory.counts.numpy()))
    assert memory.plane_entropy().mean().item() == memory.entropy()
    with settings.use(budget=1):
        assert memory.entropy() == pytest.approx(loop_entropy(memory.counts.numpy()))


# By hand


def pair():
    """Two pairs that differ in one column of the key: (0, 0) -> 0 and (0, 2) -> 2, twice."""
    memory = HeteroEntropicMemory(2, 3, 1, 3)
    memory.write([[0.0, 0.0], [0.0, 2.0], [0.0, 2.0]], [[0.0], [2.0], [2.0]])
    return memory


def test_a_small_register_by_hand():
    memory = pair()
    assert memory.counts[0, 0].tolist() == [[1, 0, 2], [0, 0, 0], [0, 0, 0]]
    assert memory.counts[1, 0].tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 2]]
    third = math.log2(3) - 2 / 3
    assert memory.entropy() == pytest.approx(third)
    # The first column supports both values, the second only its own.
    assert memory.project([0.0, 2.0]).tolist() == [[0, 0, 4]]
    assert memory.project([0.0, 2.0], weights=[3.0, 1.0]).tolist() == [[0, 0, 1.5 * 2 + 0.5 * 2]]
    half = memory.project([0.0, 2.0], known=[True, False])
    assert half.tolist() == [[1, 0, 2]]
    assert memory.read([0.0, 2.0], known=[True, False]).item() == pytest.approx(4 / 3)
    assert memory.pattern_weights([0.0, 2.0], [[0.0], [2.0]]).tolist() == [0, 1]
    assert memory.recognise([0.0, 2.0], [0.0]).mismatches.item() == 1
    # The mean of the marked cells is 1.5, and cells with 1 are below 0.7 times that.
    memory.limits = memory.limits._replace(iota=0.7)
    assert memory.project([0.0, 0.0]).tolist() == [[0, 0, 0]]


def test_a_distance_by_hand():
    memory = pair()
    # Value 2 projects back onto (0, 2), value 0 onto (0, 0): 4 levels squared in one column of two.
    # From the cue (0, 2) value 0 has weight 0, so that nothing comes back: (3 - 1)^2 each.
    assert memory.distance([[2.0], [0.0]], [0.0, 2.0]).tolist() == [0, 4]
    known = memory.distance([[2.0], [0.0]], [0.0, 2.0], known=[True, False])
    assert known.tolist() == [0, 0]  # the first column is 0 in both
    assert memory.distance([1.0], [0.0, 2.0]).item() == 4  # never seen: not 0, as published


def test_an_empty_column_never_makes_a_value_better():
    """A value that contradicts the cue in all columns costs the most there is."""
    memory = HeteroEntropicMemory(2, 4, 2, 2)
    memory.write([[0.0, 3.0], [3.0, 0.0]], [[0.0, 0.0], [1.0, 1.0]])
    mixed = memory.distance([[0.0, 1.0], [0.0, 0.0]], [0.0, 3.0])
    assert mixed.tolist() == [9, 0]


# Recall


@pytest.mark.untyped
def test_a_random_recall_follows_the_projection():
    memory, keys, _ = filled(200)
    cue = keys[0]
    plane = memory.project(cue)
    draws = torch.stack([memory.recall(cue, seed=seed) for seed in range(400)]).long()
    shares = torch.stack([(draws == level).double().mean(0) for level in range(Q)], -1)
    wanted = plane / plane.sum(-1, keepdim=True)
    assert (shares[plane == 0] == 0).all()
    assert (wanted < 1).any()
    error = (wanted * (1 - wanted) / 400).sqrt().clamp(min=1e-9)
    assert ((shares - wanted).abs() / error).max() < 4
    joint = memory.pattern_weights(
        cue, torch.tensor(list(itertools.product(range(Q), repeat=P)), dtype=torch.float32)
    )
    assert joint.sum().item() == pytest.approx(1, abs=1e-6)


def hashed(memory, keys, seed):
    levels = keys.long()
    return kanerva.bits.fingerprint(levels, seed)


@pytest.mark.parametrize("tries", [1, 7, 60])
def test_the_tested_value_is_the_best_of_the_first_that_differ(tries):
    memory, keys, _ = filled(200)
    thin = memory.counts.numpy().astype(float)
    cues = keys[:6]
    plane, known = memory.project(cues), torch.ones_like(cues, dtype=torch.bool)
    cue = _search.Cue(cues.long(), known, plane, hashed(memory, cues, 5))
    drawn = _search.drawn(cue, torch.arange(1, 8 * (tries + 1) + 1))
    found = memory.recall(cues, method="test", tries=tries, seed=5)
    for row in range(len(cues)):
        several = list(dict.fromkeys(map(tuple, drawn[:, row].tolist())))[: tries + 1]
        far = [loop_distance(thin, one, cues[row].numpy(), known[row]) for one in several]
        assert several[int(np.argmin(far))] == tuple(found[row].long().tolist())
        assert memory.recall(cues[row], seed=5).long().tolist() == list(several[0])


def test_the_search_ends_where_no_move_improves():
    memory, keys, _ = filled(200)
    cues = keys[:20]
    plane = memory.project(cues)
    start = memory.recall(cues, method="test", tries=1, seed=1)
    ends = memory.recall(cues, method="search", tries=1, seed=1)
    away = memory.distance(ends, cues)
    assert (away <= memory.distance(start, cues)).all()
    assert (away < memory.distance(start, cues)).any()
    for row, end in enumerate(ends.long()):
        for column, step in itertools.product(range(P), (-1, 1)):
            moved = end.clone()
            moved[column] += step
            inside = 0 <= moved[column] < Q and plane[row, column, moved[column]] > 0
            if inside:
                assert memory.distance(moved.float(), cues[row]) >= away[row] - 1e-12


def test_a_search_is_the_one_of_a_loop(monkeypatch):
    """However many moves are tried at a time, the first of the order that improves is taken."""
    memory, keys, _ = filled(200)
    ends = memory.recall(keys, method="search", tries=1)
    for block in (1, 3, 64):
        monkeypatch.setattr(_search, "BLOCK", block)
        assert memory.recall(keys, method="search", tries=1).equal(ends)


@pytest.mark.untyped
@examples(max_examples=30)
@given(st.integers(0, 2**62), st.integers(0, 100), st.sampled_from([0.0, 0.3]))
def test_searching_beats_testing_beats_one_draw(seed, which, iota):
    memory, keys, _ = filled(60, which, iota=iota)
    cues = keys[memory.explain(keys).accepted][:3]
    methods = ("random", "test", "search")
    away = [
        memory.distance(memory.recall(cues, method=method, seed=seed), cues) for method in methods
    ]
    assert (away[0] >= away[1]).all()
    assert (away[1] >= away[2]).all()


@pytest.mark.parametrize("method", ["random", "test", "search"])
def test_a_recall_depends_on_cue_and_seed_alone(method):
    memory, keys, _ = filled(100)
    whole = memory.recall(keys, method=method, seed=3)
    assert memory.recall(keys.flip(0), method=method, seed=3).equal(whole.flip(0))
    alone = [memory.recall(key, method=method, seed=3) for key in keys[:10]]
    assert torch.stack(alone).equal(whole[:10])
    with settings.use(budget=1):
        assert memory.recall(keys[:10], method=method, seed=3).equal(whole[:10])
    if method == "random":
        assert not memory.recall(keys, method=method, seed=4).equal(whole)


def test_a_projection_is_the_same_bits_in_any_batch():
    """A few cues gather their rows, many look them up in a table; the order of sums is one."""
    memory, keys, values = filled(200, iota=0.1)
    weights = torch.rand(keys.shape, generator=torch.Generator().manual_seed(0))
    whole = memory.project(keys, weights)
    alone = torch.stack([memory.project(*each) for each in zip(keys, weights, strict=True)])
    assert alone.equal(whole)
    far = memory.distance(values, keys)
    with settings.use(budget=1):
        assert memory.distance(values, keys).equal(far)


def test_a_traced_projection_is_that_of_the_table():
    memory, keys, _ = filled(iota=0.1)
    known = some_known(keys.shape, 0)
    relation = Relation.thinned(memory.counts, 0.1)
    parts = keys.long(), known, torch.ones(keys.shape, dtype=torch.float64)
    one = tuple(part.unsqueeze(1) for part in parts)
    traced = torch.func.vmap(relation.project)(*one).squeeze(1)
    assert traced.equal(relation.project(*parts))


def test_a_read_is_the_mean_of_the_projection():
    memory, keys, _ = filled()
    plane = memory.project(keys).numpy()
    wanted = (plane * np.arange(Q)).sum(-1) / plane.sum(-1)
    assert np.allclose(memory.read(keys).numpy(), wanted, rtol=1e-6)
    found = memory.explain(keys)
    assert found.value.equal(memory.read(keys))
    assert found.accepted.all()
    assert found.projection.equal(memory.project(keys))
    shares = plane / plane.sum(-1, keepdims=True)
    assert np.allclose(found.weights.numpy(), shares, rtol=1e-6)
    bits = -(shares * np.log2(np.where(shares > 0, shares, 1))).sum(-1)
    assert np.allclose(found.entropy.numpy(), bits, atol=1e-6)
    assert np.allclose(found.mass.numpy(), plane.sum((1, 2)))
    settled = memory.settle(keys)
    assert settled.state.equal(found.value)
    assert (settled.steps == 1).all()


# Rejection


def test_a_rejected_cue_is_what_empty_says():
    cue = [[0.0, 1.0], [0.0, 2.0]]  # the first was never stored
    for empty, wanted in (("zero", [[0.0, 0.0], [2.0, 1.0]]), ("keep", [[0.0, 1.0], [2.0, 1.0]])):
        memory = HeteroEntropicMemory(2, 3, 2, 3, empty=empty)
        memory.write([[0.0, 2.0]], [[2.0, 1.0]])
        assert memory.explain(cue).accepted.tolist() == [False, True]
        for method in ("random", "test", "search"):
            assert memory.recall(cue, method=method).tolist() == wanted
        assert memory.read(cue).tolist() == wanted
        assert memory.pattern_weights(cue, [[2.0, 1.0]]).tolist() == [[0.0], [1.0]]
    memory = HeteroEntropicMemory(2, 3, 2, 3, empty="raise")
    memory.write([[0.0, 2.0]], [[2.0, 1.0]])
    for verb in (memory.read, memory.recall):
        with pytest.raises(InputError, match="query must be accepted, but it was rejected in 1 of"):
            verb(cue)


def test_nothing_stored_and_nothing_known_are_rejected():
    memory = HeteroEntropicMemory(N, M, P, Q)
    cue = torch.zeros(N)
    for method in ("random", "test", "search"):
        assert memory.recall(cue, method=method).tolist() == [0, 0, 0]
    assert memory.entropy() == 0
    assert not memory.recognise(cue, torch.zeros(P)).accepted
    memory, keys, _ = filled()
    assert not memory.explain(keys, known=torch.zeros(N, dtype=torch.bool)).accepted.any()
    assert memory.recall(keys, known=torch.zeros(N, dtype=torch.bool), method="search").eq(0).all()


def test_one_level_accepts_all_and_no_rows_are_no_rows():
    memory = HeteroEntropicMemory(2, 1, 1, 1)
    memory.write([[0.0, 0.0]], [[0.0]])
    assert memory.entropy() == 0
    assert memory.recall([0.0, 0.0], method="search").tolist() == [0]
    memory, keys, values = filled()
    for method in ("random", "test", "search"):
        assert memory.recall(keys[:0], method=method).shape == (0, P)
    assert memory.read(keys[:0]).shape == (0, P)
    assert memory.project(keys[:0]).shape == (0, P, Q)
    assert memory.distance(values[:0], keys[:0]).shape == (0,)
    assert memory.recognise(keys[:0], values[:0]).accepted.shape == (0,)
    assert memory.pattern_weights(keys[:2], values[:0]).shape == (2, 0)
    before = memory.counts.clone()
    memory.write(keys[:0], values[:0])
    assert memory.counts.equal(before)
    assert len(memory) == 40


# Laws


@examples(max_examples=30)
@given(st.integers(0, 100), st.booleans())
def test_order_forgetting_and_reversal(seed, capped):
    keys, values = data(12, seed)
    more = {"cap": 65535 if capped else None, "iota": 0.2}
    once, other = (HeteroEntropicMemory(N, M, P, Q, **more) for _ in range(2))
    once.write(keys, values)
    other.write(keys.flip(0)[:5], values.flip(0)[:5])
    other.write(keys.flip(0)[5:], values.flip(0)[5:])
    assert once.counts.equal(other.counts)
    before = once.counts.clone()
    once.write(*data(7, seed + 1))
    once.forget(*data(7, seed + 1))
    assert once.counts.equal(before)
    assert once.counts.dtype == before.dtype
    assert len(once) == 12
    back = once.reversed()
    assert back.counts.equal(once.counts.permute(1, 0, 3, 2))
    assert len(back) == 12
    thin = loop_thin(once.counts.numpy().astype(float), 0.2).transpose(1, 0, 3, 2)
    wanted = [loop_project(thin, value, [True] * P) for value in values.numpy()]
    assert np.allclose(back.project(values).numpy(), wanted)
    again = back.reversed()
    assert again.counts.equal(once.counts)
    assert repr(again) == repr(once)
    assert again.recall(keys, seed=1).equal(once.recall(keys, seed=1))
    assert again.recognise(keys, values).weight.equal(back.recognise(values, keys).weight)
    back.clear()
    assert len(once) == 12
    assert len(back) == 0


def test_what_was_written_is_recognised_and_projects_onto_its_value():
    memory, keys, values = filled()
    assert memory.recognise(keys, values).accepted.all()
    assert (memory.project(keys).gather(-1, values.long().unsqueeze(-1)) > 0).all()


def test_a_capped_register_saturates_and_cannot_forget():
    memory = HeteroEntropicMemory(1, 2, 1, 2, cap=3)
    memory.write([[1.0]] * 5, [[0.0]] * 5)
    assert memory.counts.flatten().tolist() == [0, 0, 3, 0]
    assert memory.counts.dtype == torch.uint8
    with pytest.raises(InputError, match="cells that hold the cap of 3"):
        memory.forget([[1.0]], [[0.0]])
    memory.write([[0.0]], [[0.0]])
    with pytest.raises(InputError, match="were not written"):
        memory.forget([[0.0]], [[1.0]])
    memory.forget([[0.0]], [[0.0]])
    assert len(memory) == 5
    assert memory.counts.sum() == 3


@pytest.mark.parametrize(
    ("cap", "dtype"),
    [
        (1, torch.uint8),
        (255, torch.uint8),
        (256, torch.int16),
        (2**15 - 1, torch.int16),
        (2**15, torch.int32),
        (65535, torch.int32),
        (2**31 - 1, torch.int32),
        (2**31, torch.int64),
        (None, torch.int64),
    ],
)
def test_counts_take_the_smallest_dtype_that_holds_the_cap(cap, dtype):
    memory = HeteroEntropicMemory(1, 1, 1, 1, cap=cap)
    assert memory.counts.dtype == dtype
    memory.load_state_dict(memory.state_dict() | {"counts": torch.full((1, 1, 1, 1), cap or 2**40)})
    memory.write([[0.0]], [[0.0]])
    assert memory.counts.item() == (cap or 2**40 + 1)


def real(seed=0):
    source = torch.Generator().manual_seed(seed)
    return torch.randn(30, 4, generator=source), torch.randn(30, 3, generator=source)


def test_quantisers_give_the_units_of_keys_and_values():
    keys, values = real()
    parts = {
        "quantiser": Quantiser.fit(keys, 4),
        "value_quantiser": Quantiser.fit(values, 5),
    }
    memory, plain = HeteroEntropicMemory(4, 4, 3, 5, **parts), HeteroEntropicMemory(4, 4, 3, 5)
    memory.write(keys, values)
    levels = (
        parts["quantiser"].encode(keys).float(),
        parts["value_quantiser"].encode(values).float(),
    )
    plain.write(*levels)
    assert memory.counts.equal(plain.counts)
    recalled = plain.recall(levels[0], method="search")
    wanted = parts["value_quantiser"].decode(recalled)
    assert memory.recall(keys, method="search").equal(wanted)
    back = memory.reversed()
    assert back.quantiser is parts["value_quantiser"]
    assert back.value_quantiser is parts["quantiser"]
    assert torch.allclose(memory.distance(values, keys), plain.distance(*levels[::-1]))


def test_numbers_outside_a_quantiser_may_be_unknown():
    quantiser = Quantiser(3, 0.0, 2.0, outside="undefined")
    memory = HeteroEntropicMemory(2, 3, 1, 3, quantiser=quantiser)
    memory.write([[0.0, 9.0]], [[1.0]])
    assert memory.counts.sum() == 1
    assert memory.project([0.0, 9.0]).tolist() == [[0, 1, 0]]


@pytest.mark.untyped
def test_the_laws_of_memories_hold():
    ends = {"quantiser": Quantiser(3, -1.0, 1.0), "value_quantiser": Quantiser(2, -1.0, 1.0)}
    laws = kanerva.check_memory(HeteroEntropicMemory(6, 3, 4, 2, **ends))
    assert laws.exempt == {}
    assert len(laws.held) == 15
    ends["value_quantiser"] = Quantiser(3, -1.0, 1.0)
    more = {"iota": 0.3, "cap": None, "empty": "keep", "dtype": torch.float64}
    assert kanerva.check_memory(HeteroEntropicMemory(6, 3, 6, 3, **ends, **more)).exempt == {}


def test_copies_files_and_states_are_the_memory(tmp_path):
    keys, values = real()
    parts = {"quantiser": Quantiser.fit(keys, 4), "value_quantiser": Quantiser.fit(values, 5)}
    memory = HeteroEntropicMemory(4, 4, 3, 5, iota=0.1, xi=2, cap=None, **parts)
    memory.write(keys, values)
    for made in (memory, memory.reversed()):
        cues = keys if made is memory else values
        made.save(tmp_path / "memory.safetensors")
        loaded = kanerva.load(tmp_path / "memory.safetensors")
        for other in (loaded, copy.deepcopy(made)):
            assert other.recall(cues, seed=2).equal(made.recall(cues, seed=2))
            assert repr(other) == repr(made)
            assert len(other) == 30
    wide = copy.deepcopy(memory).to(torch.float64)
    assert wide.read(keys.double()).dtype == torch.float64
    assert wide.counts.dtype == torch.int64
    assert wide.reversed().dtype == torch.float64


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("counts", torch.full((N, P, M, Q), -1)),
        ("counts", torch.full((N, P, M, Q), 70000)),
        ("counts", torch.zeros(N, P, M, Q)),
        ("counts", torch.zeros(N, P, Q, M, dtype=torch.int64)),
        ("_stored", torch.tensor(-1)),
        ("_stored", torch.tensor([1])),
    ],
)
def test_a_state_that_is_none_of_this_memory_is_refused(name, value):
    memory, *_ = filled()
    before = memory.counts.clone()
    with pytest.raises(InputError, match=name):
        memory.load_state_dict(memory.state_dict() | {name: value})
    assert memory.counts.equal(before)


def test_a_half_precision_memory_counts_exactly():
    memory = HeteroEntropicMemory(N, M, P, Q, dtype=torch.float16)
    keys, values = data()
    for _ in range(60):
        memory.write(keys.half().repeat(40, 1), values.half().repeat(40, 1))
    assert memory.project(keys.half()).max() > 65504  # beyond float16
    assert memory.read(keys.half()).isfinite().all()
    assert memory.read(keys.half()).dtype == torch.float16


# Bad input


BAD = [
    (lambda m, k, v: m.write(k[:, :-1], v), "keys", "shape"),
    (lambda m, k, v: m.write(k, v[:, :-1]), "values", "shape"),
    (lambda m, k, v: m.write(k, v[:-1]), "values", "one for each key"),
    (lambda m, k, v: m.write(k), "values", "left out"),
    (lambda m, k, v: m.forget(k), "values", "left out"),
    (lambda m, k, v: m.write(k * 0.9, v), "keys", "whole levels"),
    (lambda m, k, v: m.write(k + M, v), "keys", "levels from 0 to 4"),
    (lambda m, k, v: m.write(k, v - Q), "values", "levels from 0 to 5"),
    (lambda m, k, v: m.write(k * torch.nan, v), "keys", "leave missing numbers out with known"),
    (lambda m, k, v: m.write(k, v * torch.inf), "values", "finite where known"),
    (lambda m, k, v: m.write(k.half(), v), "keys", "float32"),
    (lambda m, k, v: m.write(k, v.long()), "values", "float32"),
    (lambda m, k, v: m.write(k, v, known=k), "known", "bool"),
    (lambda m, k, v: m.write(k, v, value_known=torch.ones(9, dtype=torch.bool)), "known", "bool"),
    (lambda m, k, v: m.recognise(k, v[:3]), "values", "one for each key"),
    (lambda m, k, v: m.recall(v), "query", "shape"),
    (lambda m, k, v: m.recall(k * torch.nan), "query", "finite where known"),
    (lambda m, k, v: m.recall(k, method="best"), "method", "one of"),
    (lambda m, k, v: m.recall(k, tries=3), "tries", 'None for "random"'),
    (lambda m, k, v: m.recall(k, method="test", tries=0), "tries", "integer from 1"),
    (lambda m, k, v: m.recall(k, seed=-1), "seed", "integer from 0"),
    (lambda m, k, v: m.project(k, weights=-k), "weights", "at least 0"),
    (lambda m, k, v: m.project(k, weights=0 * k), "weights", "sum above 0"),
    (lambda m, k, v: m.project(k, weights=k * torch.nan), "weights", "finite"),
    (lambda m, k, v: m.project(k, weights=k[:3]), "weights", "broadcasts"),
    (lambda m, k, v: m.distance(v[:3], k[:2]), "values", "broadcast"),
    (lambda m, k, v: m.distance(v, k, k > 99), "known", "one column or more"),
    (lambda m, k, v: m.settle(k, steps=0), "steps", "integer >= 1"),
    (lambda m, k, v: m.pattern_weights(k, k), "patterns", "shape"),
]


@pytest.mark.untyped
@pytest.mark.parametrize(("call", "argument", "words"), BAD)
def test_bad_input_is_refused_by_a_sentence_and_nothing_is_written(call, argument, words):
    memory, keys, values = filled()
    before = memory.counts.clone()
    with pytest.raises(InputError, match=words) as caught:
        call(memory, keys, values)
    assert caught.value.argument == argument
    assert caught.value.function.startswith("HeteroEntropic")
    assert memory.counts.equal(before)
    assert len(memory) == 40


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("given", "argument", "words"),
    [
        ({"columns": 0}, "columns", "integer from 1"),
        ({"value_levels": 2.5}, "value_levels", "integer from 1"),
        ({"iota": -0.1}, "iota", ">= 0"),
        ({"kappa": math.nan}, "kappa", ">= 0"),
        ({"xi": 13}, "xi", "0 to 12.*pairs of columns"),
        ({"xi": -1}, "xi", "0 to 12"),
        ({"xi": 0.5}, "xi", "whole number from 0 to 12"),
        ({"cap": 0}, "cap", "integer from 1"),
        ({"empty": "keep"}, "value_columns", "as many as columns"),
        ({"empty": "none"}, "empty", "one of"),
        ({"quantiser": Quantiser(4, 0.0, 1.0)}, "quantiser", "of 5 levels"),
        ({"quantiser": 5}, "quantiser", "Quantiser"),
        (
            {"value_quantiser": Quantiser.fit(torch.randn(3, 2, generator=torch.Generator()), Q)},
            "value_quantiser",
            "for 3 columns",
        ),
        ({"dtype": torch.int64}, "dtype", "float"),
        ({"columns": 64, "value_columns": 64, "levels": 256, "value_levels": 257}, "levels", "GiB"),
    ],
)
def test_a_memory_that_cannot_be_built_is_refused(given, argument, words):
    sizes = {"columns": N, "levels": M, "value_columns": P, "value_levels": Q}
    with pytest.raises(InputError, match=words) as caught:
        HeteroEntropicMemory(**sizes | given)
    assert caught.value.argument == argument


def test_a_register_that_does_not_fit_is_refused(monkeypatch):
    from kanerva._core import machine

    monkeypatch.setattr(machine, "available_bytes", lambda: 10 * 2**20)
    with pytest.raises(InputError, match="memory at hand"):
        HeteroEntropicMemory(64, 16, 64, 16)


def test_too_many_counts_without_a_cap_are_refused():
    memory = HeteroEntropicMemory(1, 1, 1, 1, cap=None)
    memory.load_state_dict(memory.state_dict() | {"counts": torch.full((1, 1, 1, 1), 2**63 - 1)})
    with pytest.raises(InputError, match="2\\^63"):
        memory.write([[0.0]], [[0.0]])
    assert memory.counts.item() == 2**63 - 1


def test_projections_beyond_the_budget_are_refused():
    memory, keys, _ = filled()
    with settings.use(budget=200):
        assert memory.project(keys[0]).shape == (P, Q)
        for verb in (memory.project, memory.explain):
            with pytest.raises(InputError, match="bytes of projections"):
                verb(keys)


@pytest.mark.untyped
def test_types_of_errors():
    memory, keys, _ = filled()
    with pytest.raises(InputTypeError):
        memory.recall(keys.long())


# The recipe


@pytest.fixture(scope="module")
def run():
    return runner.run(
        RECIPES["eam.hetero"], given={"levels": 4, "pairs": 300, "iota": 0, "cues": 30}
    )


def test_partners_are_other_digits_of_the_same_class():
    setting = _hetero.Setting(8, 300, 0.0, 30, 1)
    made = _hetero.pairs(setting)
    places = torch.arange(len(made.partner))
    used = (places < 300) | (places >= _hetero.STORED)
    assert made.classes[made.partner].equal(made.classes)
    assert (made.partner != places)[used].all()
    assert (made.partner[:300] < 300).all()
    assert made.partner.sort().values.equal(places)
    # A quarter turn and a mirror image keep every pixel.
    flat = made.left.pictures.reshape(-1, 8, 8)
    assert made.right.pictures.reshape(-1, 8, 8).equal(flat.transpose(1, 2).flip(1).flip(2))
    parts = made.left.parts @ made.left.parts.T
    assert torch.allclose(parts, torch.eye(16, dtype=torch.float64), atol=1e-10)


def test_pictures_are_read_as_they_were_written():
    pixels = torch.rand(3, 64, generator=torch.Generator().manual_seed(0)) * 16
    words = " ".join(map(_hetero.SHADES.word, pixels.tolist()))
    found = _hetero.shades(words)
    assert found.shape == (3, 8, 8)
    assert np.abs(found.reshape(3, 64) - (pixels.numpy() / 8 - 1)).max() <= 1 / 15 + 1e-6


def test_the_rows_of_a_run(run):
    assert [(row["direction"], row["method"]) for row in run.rows] == [
        (direction, method)
        for direction in ("right from left", "left from right")
        for method in ("random", "test", "search")
    ]
    away = [row["distance"] for row in run.rows]
    assert away[0] >= away[1] >= away[2]
    assert away[3] >= away[4] >= away[5]
    assert all(row["further"] == 0 and row["stored"] == 100 for row in run.rows)
    assert len({round(row["entropy"], 12) for row in run.rows}) == 1
    assert list(RECIPES["eam.hetero"].figures(run.rows)) == [
        "figure",
        "figure-distance",
        "figure-right",
        "figure-left",
    ]


def test_a_run_in_which_every_cue_is_rejected():
    given = {"levels": 64, "pairs": 20, "iota": 0, "cues": 10}
    rows = runner.run(RECIPES["eam.hetero"], given=given).rows
    assert {row["recalled"] for row in rows} == {0}
    assert {row["right"] for row in rows} == {None}
    assert "figure" in RECIPES["eam.hetero"].figures(rows)
