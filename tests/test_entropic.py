"""The entropic memory against loops over cells, closed forms, and attention."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import kanerva
from kanerva import InputError, functional
from kanerva._core.settings import settings
from kanerva.entropic import (
    EntropicClasses,
    EntropicMemory,
    Gaussian,
    Quantiser,
    Triangular,
)
from kanerva.separation import Softmax
from kanerva.similarity import closeness
from registers import filled, levels_of, source

# One column of five levels: counts 0, 2, 1, 0, 5.
COLUMN = torch.tensor([[1.0], [1.0], [2.0]] + [[4.0]] * 5)


# ---------------------------------------------------------------------------------------------
# Quantisers


def test_quantiser_rounds_halves_to_even_and_clips():
    quantiser = Quantiser(5, 0.0, 4.0)
    x = torch.tensor([-3.0, 0.5, 1.5, 2.5, 3.49, 9.0])
    assert quantiser.encode(x).tolist() == [0, 0, 2, 2, 3, 4]
    assert Quantiser(5, 0.0, 4.0, "undefined").encode(x).tolist() == [-1, 0, 2, 2, 3, -1]


def test_quantiser_sends_what_differs_from_a_constant_to_the_top():
    quantiser = Quantiser.fit(torch.tensor([[0.0, 1.0], [0.0, 3.0]]), 4)
    assert quantiser.encode(torch.tensor([0.0, 1.0])).tolist() == [0, 0]
    assert quantiser.encode(torch.tensor([1e-30, 1.0])).tolist() == [3, 0]
    strict = Quantiser(4, quantiser.low, quantiser.high, "undefined")
    assert strict.encode(torch.tensor([1e-30, 1.0])).tolist() == [-1, 0]


def test_one_level_is_the_middle():
    quantiser = Quantiser(1, 2.0, 6.0)
    assert quantiser.encode(torch.tensor([2.0, 6.0])).tolist() == [0, 0]
    assert quantiser.decode(torch.tensor([0])).tolist() == [4.0]


@given(st.integers(2, 300), st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
def test_levels_come_back(levels, low, span):
    quantiser = Quantiser(levels, low, low + span)
    every = torch.arange(levels)
    assert torch.equal(quantiser.encode(quantiser.decode(every.double())), every)


def test_quantiser_takes_percentiles_of_columns_or_of_all():
    x = torch.randn(1000, 3, generator=source(0)) * torch.tensor([1.0, 5.0, 25.0])
    columns = Quantiser.fit(x, 8, percentiles=(0.5, 99.5))
    low, high = np.percentile(x.double().numpy(), (0.5, 99.5), axis=0)
    assert np.allclose(columns.low, low)
    assert np.allclose(columns.high, high)
    whole = Quantiser.fit(x, 8, per="all")
    assert (whole.low, whole.high) == (x.min().item(), x.max().item())


# ---------------------------------------------------------------------------------------------
# One column by hand


def test_statistics_of_one_column():
    memory = filled(COLUMN, 5)
    assert memory.counts.flatten().tolist() == [0, 2, 1, 0, 5]
    assert memory.entropy() == pytest.approx(1.298795, abs=1e-6)
    assert filled(COLUMN, 5, cap=1).entropy() == pytest.approx(math.log2(3))
    assert memory.potential() == pytest.approx(math.log2(3))
    assert memory.fill() == pytest.approx(3 / 5)
    assert memory.recognise(torch.tensor([1.0])).mean.item() == pytest.approx(8 / 3)


def test_a_cap_flattens_the_entropy():
    counts = torch.tensor([6000, 3000, 1500, 1500])
    keys = torch.arange(4.0).repeat_interleave(counts).unsqueeze(-1)
    assert filled(keys, 4, cap=None).entropy() == pytest.approx(1.75)
    assert filled(keys, 4).entropy() == pytest.approx(2.0)


@pytest.mark.parametrize(("iota", "kept"), [(0.0, [1, 2, 4]), (0.3, [1, 2, 4]), (0.5, [1, 4])])
def test_iota_thins_the_register(iota, kept):
    memory = filled(COLUMN, 5, iota=iota)
    accepted = memory.recognise(torch.arange(5.0).unsqueeze(-1)).accepted
    assert accepted.nonzero().flatten().tolist() == kept


@pytest.mark.parametrize(
    ("cue", "known", "shares"),
    [
        (1.0, True, [0, 0.7513, 0.2278, 0, 0.0209]),
        (0.0, True, [0, 0.8985, 0.1002, 0, 0.0012]),
        (3.0, False, [0, 0.25, 0.125, 0, 0.625]),
    ],
)
def test_shares_of_one_column(cue, known, shares):
    memory = filled(COLUMN, 5, spread=Gaussian(0.2))
    found = memory.weights(torch.tensor([cue]), torch.tensor([known]))
    assert np.allclose(found[0], shares, atol=1e-4)


def test_sigma_of_zero_is_the_nearest_seen_level_and_the_heavier_of_two():
    memory = filled(COLUMN, 5, spread=Gaussian(0.0), xi=1)
    cues = torch.arange(5.0).unsqueeze(-1)
    assert memory.recall(cues, seed=0).flatten().tolist() == [1, 1, 2, 4, 4]
    even = filled(torch.tensor([[0.0], [2.0]]), 3, spread=Gaussian(0.0))
    assert even.weights(torch.tensor([1.0])).tolist() == [[0.5, 0, 0.5]]


@pytest.mark.parametrize("sigma", [1e-200, 1e-120, 1e-8])
def test_narrow_spreads_lose_no_mass(sigma):
    """The published code returns the top level where all masses underflow."""
    memory = filled(torch.tensor([[0.0], [1.0]]), 1000, spread=Gaussian(sigma), xi=1)
    assert memory.recall(torch.tensor([999.0])).item() == 1.0
    assert memory.read(torch.tensor([400.0])).item() == 1.0


def triangle(marked, cue, draws=200_000):
    """Draw from the triangle of the run around the cue, and round, as the published code does."""
    low = high = cue
    while low > 0 and marked[low - 1]:
        low -= 1
    while high < len(marked) - 1 and marked[high + 1]:
        high += 1
    drawn = np.random.default_rng(0).triangular(low, cue, high, draws) if low < high else cue
    return np.bincount(np.rint(drawn * np.ones(draws)).astype(int), minlength=len(marked)) / draws


@pytest.mark.parametrize("cue", [1, 2, 3, 4, 6])
def test_triangle_is_the_rounded_one(cue):
    marked = [False, True, True, True, True, False, True]
    keys = torch.tensor([[float(at)] for at, on in enumerate(marked) if on])
    memory = filled(keys, 7, spread=Triangular(), cap=1)
    found = memory.weights(torch.tensor([float(cue)]))[0].numpy()
    assert np.allclose(found, triangle(marked, cue), atol=0.005)
    assert found.sum() == pytest.approx(1)


def test_triangle_off_the_marked_levels_is_uniform():
    memory = filled(torch.tensor([[1.0], [2.0], [4.0]]), 5, spread=Triangular(), cap=1, xi=1)
    third = [0, 1 / 3, 1 / 3, 0, 1 / 3]
    assert np.allclose(memory.weights(torch.tensor([3.0])), [third])
    assert np.allclose(memory.weights(torch.tensor([1.0]), torch.tensor([False])), [third])


# ---------------------------------------------------------------------------------------------
# Against loops over cells


def plain(keys, levels, cap):
    """Return the register, one cell at a time."""
    counts = np.zeros((levels, keys.shape[1]), dtype=int)
    for key in keys.int().tolist():
        for column, level in enumerate(key):
            counts[level, column] = min(cap, counts[level, column] + 1)
    return counts


def plain_recognised(counts, cue, known, iota, kappa, xi, fail):
    """Accept or not, one column at a time."""
    means, mismatches, weight = [], 0, 0
    for column in range(counts.shape[1]):
        cells = counts[:, column]
        mean = cells[cells > 0].mean() if cells.any() else 0.0
        means.append(mean)
        if not known[column]:
            mismatches += fail
            continue
        cell = cells[int(cue[column])]
        mismatches += cell == 0 or cell < iota * mean
        weight += cell
    weight = weight / counts.shape[1]
    accepted = mismatches <= xi and weight >= kappa * np.mean(means)
    return accepted, mismatches, weight, np.mean(means)


@pytest.mark.parametrize("undefined", ["pass", "fail"])
@pytest.mark.parametrize(
    ("iota", "kappa", "xi", "cap"), [(0, 0, 0, 1023), (0.7, 0, 2, 3), (0.2, 1.1, 4, 1023)]
)
def test_recognition_is_that_of_a_loop(iota, kappa, xi, cap, undefined):
    keys, cues = levels_of(40, 6, 8), levels_of(60, 6, 8, seed=1)
    known = torch.rand(60, 6, generator=source(2)) > 0.2
    given = {"iota": iota, "kappa": kappa, "xi": xi, "cap": cap, "undefined": undefined}
    memory = filled(keys, 8, **given)
    counts = plain(keys, 8, cap)
    assert np.array_equal(memory.counts, counts)
    found = memory.recognise(cues, known)
    for row in range(60):
        fail = undefined == "fail"
        one = plain_recognised(counts, cues[row], known[row], iota, kappa, xi, fail)
        got = [part[row].item() for part in found]
        assert got == [one[0], one[1], pytest.approx(one[2]), pytest.approx(one[3])]


def test_weights_are_those_of_a_loop():
    keys, cues = levels_of(30, 4, 6), 5 * torch.rand(7, 4, generator=source(3))
    memory = filled(keys, 6, spread=Gaussian(0.15), dtype=torch.float32, xi=4)
    counts, wide = plain(keys, 6, 1023), 0.15 * 6
    found = memory.weights(cues)
    for row in range(7):
        for column in range(4):
            mass = [
                counts[level, column]
                * math.exp(-((level - cues[row, column].item()) ** 2) / 2 / wide**2)
                for level in range(6)
            ]
            assert np.allclose(found[row, column], np.array(mass) / sum(mass), atol=1e-6)
    assert np.allclose(memory.read(cues), found @ torch.arange(6.0), atol=1e-5)


def test_register_is_attention_with_a_head_for_each_column():
    """The mean recall is the softmax read over everything that was written, column by column."""
    keys = levels_of(50, 5, 16).double()
    cues = 15 * torch.rand(9, 5, generator=source(1), dtype=torch.float64)
    memory = filled(keys, 16, spread=Gaussian(0.1), xi=5, dtype=torch.float64)
    rule = Softmax(1 / 1.6**2)
    for column in range(5):
        rows, cue = keys[:, column : column + 1], cues[:, column : column + 1]
        read = functional.read(cue, rows, rows, closeness, rule)
        assert torch.allclose(memory.read(cues)[:, column : column + 1], read, atol=1e-12)


def test_slope_of_the_energy_is_the_query_less_the_read():
    keys = levels_of(50, 5, 16).double()
    memory = filled(keys, 16, spread=Gaussian(0.1), dtype=torch.float64)
    cues = (keys[:4] + 0.3).clamp(max=14.9).requires_grad_()
    (slope,) = torch.autograd.grad(memory.energy(cues).sum(), cues)
    assert torch.allclose(slope, (cues - memory.read(cues)).detach(), atol=1e-12)
    assert torch.autograd.gradcheck(memory.read, cues.detach().requires_grad_())


def test_energy_of_a_triangle_is_refused():
    with pytest.raises(InputError, match="spread must be one with an energy"):
        filled(COLUMN, 5, spread=Triangular()).energy(torch.tensor([1.0]))


# ---------------------------------------------------------------------------------------------
# Draws


def test_recalls_have_the_shares_of_the_weights():
    keys = levels_of(40, 3, 6)
    memory = filled(keys, 6, spread=Gaussian(0.3))
    drawn = memory.recall(keys[:2], seed=3, draws=20_000).long()
    weights = memory.weights(keys[:2]).double()
    for row in range(2):
        for column in range(3):
            shares = torch.bincount(drawn[:, row, column], minlength=6) / 20_000
            error = (weights[row, column] * (1 - weights[row, column]) / 20_000).sqrt()
            assert ((shares - weights[row, column]).abs() <= 4.5 * error).all()


def test_columns_are_drawn_independently():
    memory = filled(torch.tensor([[0.0, 0.0], [1.0, 1.0]]), 2, spread=Gaussian(10.0))
    drawn = memory.recall(torch.zeros(2), draws=40_000)
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.02
    assert (drawn.mean(0) - 0.5).abs().max() < 0.01


@pytest.mark.parametrize("spread", [Gaussian(0.3), Gaussian(0.0), Triangular()])
def test_recalls_do_not_depend_on_batch_mates_tables_or_chunks(spread):
    """Many cues are looked up in a table of all levels, few are weighed one by one."""
    keys = levels_of(60, 5, 7)
    memory = filled(keys, 7, spread=spread, xi=5)
    cues, known = levels_of(40, 5, 7, seed=1), torch.rand(40, 5, generator=source(2)) > 0.3
    whole = memory.recall(cues, known=known, draws=3)
    alone = [memory.recall(cue, known=on, draws=3) for cue, on in zip(cues, known, strict=True)]
    assert torch.equal(whole, torch.stack(alone, 1))
    with settings.use(budget=1):
        assert torch.equal(memory.recall(cues, known=known, draws=3), whole)
    assert torch.equal(memory.recall(cues, known=known), whole[0])


def test_hidden_columns_have_no_part_in_a_recall():
    memory = filled(levels_of(60, 5, 7), 7, spread=Gaussian(0.3))
    known = torch.tensor([True, False, True, True, False])
    cues = levels_of(20, 5, 7, seed=1)
    other = torch.where(known, cues, torch.nan)
    assert torch.equal(memory.recall(cues, known=known), memory.recall(other, known=known))


def test_levels_never_seen_never_return():
    keys = 2 * levels_of(30, 4, 4)
    memory = filled(keys, 8, spread=Gaussian(5.0), xi=4)
    assert set(memory.recall(levels_of(200, 4, 8)).unique().tolist()) <= {0.0, 2.0, 4.0, 6.0}


# ---------------------------------------------------------------------------------------------
# Laws


def test_what_was_written_is_accepted_and_forgetting_is_exact():
    keys = levels_of(30, 6, 5)
    memory = filled(keys, 5, cap=None)
    assert memory.recognise(keys).accepted.all()
    before = memory.counts.clone()
    more = levels_of(11, 6, 5, seed=9)
    memory.write(more)
    memory.forget(more)
    assert torch.equal(memory.counts, before)
    assert len(memory) == 30


def test_acceptance_grows_with_xi_and_falls_with_iota_and_kappa():
    keys, cues = levels_of(25, 8, 6), levels_of(200, 8, 6, seed=1)

    def accepted(**more):
        return filled(keys, 6, **more).recognise(cues).accepted

    for name, values, grows in (
        ("xi", range(9), True),
        ("iota", (0, 0.3, 0.6, 1, 2, 9), False),
        ("kappa", (0, 0.5, 1, 1.5), False),
    ):
        several = [accepted(**{name: value}) for value in values]
        for less, more in itertools.pairwise(several):
            assert (less <= more if grows else less >= more).all(), name


def test_chains_stay_and_end_for_good():
    keys = levels_of(10, 4, 8)
    memory = filled(keys, 8, spread=Gaussian(0.2))
    chain = memory.chain(torch.cat((keys[:5], levels_of(20, 4, 8, seed=4))), depth=6)
    assert chain.states.shape == (7, 25, 4)
    fallen = chain.accepted[:-1].int() - chain.accepted[1:].int()
    assert (fallen >= 0).all()
    assert not chain.accepted[-1].all()
    assert not chain.states[1:][~chain.accepted[1:]].any()
    # Recalls of a register are accepted again.
    assert torch.equal(chain.accepted[1], chain.accepted[-1])
    assert not torch.equal(chain.states[1, :5], chain.states[2, :5])


def test_a_chain_through_a_map_may_be_rejected_later():
    memory = filled(torch.tensor([[1.0], [2.0]]), 8)
    chain = memory.chain(torch.tensor([1.0]), 4, through=lambda state: (state + 1).clamp(max=7))
    assert chain.accepted.tolist() == [True, True, True, False, False]


@pytest.mark.parametrize("empty", ["zero", "keep", "raise"])
def test_rejected_cues_and_unseen_columns(empty):
    quantiser = Quantiser(4, 10.0, 13.0)
    memory = EntropicMemory(2, 4, quantiser=quantiser, empty=empty, xi=2)
    cue = torch.tensor([11.0, 12.0])
    if empty == "raise":
        with pytest.raises(InputError, match="query must be accepted"):
            memory.recall(cue)
        return
    expected = [0.0, 0.0] if empty == "zero" else [11.0, 12.0]
    for found in (memory.recall(cue), memory.read(cue), memory.settle(cue).state):
        assert found.tolist() == expected
    assert memory.recognise(cue).accepted
    assert not EntropicMemory(2, 4, quantiser=quantiser).recognise(cue).accepted


def test_one_level_accepts_all():
    memory = EntropicMemory(3, 1, quantiser=Quantiser(1, 0.0, 1.0))
    memory.write(torch.rand(5, 3, generator=source(0)))
    assert memory.recognise(torch.rand(9, 3, generator=source(1))).accepted.all()
    assert memory.entropy() == 0


def test_pattern_weights_are_the_shares_of_whole_recalls():
    keys = levels_of(6, 2, 3)
    memory = filled(keys, 3, spread=Gaussian(0.4))
    drawn = memory.recall(keys[0], draws=20_000)
    every = torch.cartesian_prod(torch.arange(3.0), torch.arange(3.0))
    shares = (drawn.unsqueeze(1) == every).all(-1).double().mean(0)
    found = memory.pattern_weights(keys[0], every)
    assert found.sum() == pytest.approx(1)
    assert np.allclose(found, shares, atol=0.015)


def test_explanations_agree_with_the_verbs():
    keys = levels_of(20, 3, 5)
    memory = filled(keys, 5, spread=Gaussian(0.2))
    cues = levels_of(6, 3, 5, seed=2)
    found = memory.explain(cues)
    assert torch.equal(found.value, memory.read(cues))
    assert torch.equal(found.weights, memory.weights(cues))
    assert torch.equal(found.accepted, memory.recognise(cues).accepted)
    shares = found.weights.double()
    assert np.allclose(
        found.entropy, -(shares * shares.clamp(min=1e-300).log2()).sum(-1), atol=1e-6
    )


def test_a_fitted_memory_is_one_with_the_fitted_quantiser(tmp_path):
    x = torch.randn(50, 4, generator=source(0))
    memory = EntropicMemory(4, 8, xi=1)
    memory.write(torch.zeros(9, 4))
    memory.fit(x, percentiles=(1, 99))
    other = EntropicMemory(4, 8, xi=1, quantiser=Quantiser.fit(x, 8, percentiles=(1, 99)))
    other.write(x)
    assert torch.equal(memory.counts, other.counts)
    assert len(memory) == 50
    memory.save(tmp_path / "memory.safetensors")
    back = kanerva.load(tmp_path / "memory.safetensors")
    assert torch.equal(back.read(x), other.read(x))
    with pytest.raises(InputError, match="x must be"):
        memory.fit(x[:, :2])
    assert torch.equal(memory.counts, other.counts)


def test_memories_come_back_from_files(tmp_path):
    x = torch.randn(50, 4, generator=source(0))
    quantiser = Quantiser.fit(x, 8, percentiles=(1, 99), outside="undefined")
    given = {"iota": 0.1, "kappa": 0.2, "xi": 1, "cap": 9, "undefined": "fail", "empty": "keep"}
    memory = EntropicMemory(4, 8, spread=Gaussian(0.2), quantiser=quantiser, **given)
    memory.write(x)
    classes = EntropicClasses(3, 4, 8, rule="penalty", quantiser=quantiser)
    classes.write(x, torch.arange(50) % 3)
    for one in (memory, classes):
        one.save(tmp_path / "memory.safetensors")
        back = kanerva.load(tmp_path / "memory.safetensors")
        assert repr(back) == repr(one)
        assert torch.equal(back.read(x), one.read(x))
        assert len(back) == 50


# ---------------------------------------------------------------------------------------------
# Classes


def test_rules_choose_as_their_formulas_say():
    keys, labels = levels_of(90, 5, 4), torch.arange(90) % 3
    keys = torch.where(labels.unsqueeze(-1) == 2, keys.clamp(max=2), keys)  # registers differ
    cues = levels_of(50, 5, 4, seed=1)
    for rule in ("entropy", "penalty", "likelihood"):
        memory = EntropicClasses(3, 5, 4, rule=rule, xi=1, iota=0.6)
        memory.write(keys, labels)
        answer = memory.answer(cues)
        registers = [filled(keys[labels == at], 4, xi=1, iota=0.6) for at in range(3)]
        for row, cue in enumerate(cues):
            costs = {}
            for at, register in enumerate(registers):
                found = register.recognise(cue)
                if not found.accepted:
                    continue
                counts = register.counts
                share = found.weight.item() / counts.max().item()
                smooth = (counts + 1) / (counts.sum(0) + 4)
                logs = smooth.gather(0, cue.long()[None]).log().sum().item()
                penalty = register.entropy() / share if share else math.inf
                costs[at] = {
                    "entropy": register.entropy(),
                    "penalty": penalty,
                    "likelihood": -logs,
                }[rule]
            best = min(costs, key=costs.__getitem__) if costs else -1
            assert answer.label[row] == best
            assert answer.accepted[row].nonzero().flatten().tolist() == list(costs)
            if costs:
                assert torch.equal(answer.value[row], registers[best].recall(cue))
            else:
                assert not answer.value[row].any()


def test_verbs_of_classes_use_the_register_that_answers():
    keys, labels = levels_of(60, 4, 4), torch.arange(60) % 2
    memory = EntropicClasses(2, 4, 4, rule="likelihood", spread=Gaussian(0.3))
    memory.write(keys, labels)
    answer = memory.answer(keys)
    registers = [filled(keys[labels == at], 4, spread=Gaussian(0.3)) for at in range(2)]
    for row in range(20):
        register = registers[answer.label[row]]
        assert torch.equal(memory.read(keys)[row], register.read(keys[row]))
        assert torch.equal(memory.explain(keys).weights[row], register.weights(keys[row]))
        shares = memory.pattern_weights(keys, keys[:3])[row]
        assert torch.allclose(shares, register.pattern_weights(keys[row], keys[:3]))
    memory.clear()
    assert len(memory) == 0
    assert (memory.answer(keys).label == -1).all()


# ---------------------------------------------------------------------------------------------
# Bad input


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"levels": 0}, "levels must be an integer from 1"),
        ({"columns": 0}, "columns must be an integer from 1"),
        ({"iota": -1}, "iota must be a finite number >= 0"),
        ({"kappa": -0.1}, "kappa must be a finite number >= 0"),
        ({"kappa": math.nan}, "kappa must be a finite number >= 0"),
        ({"xi": 4}, "xi must be an integer from 0 to 3"),
        ({"xi": 0.5}, "xi must be a whole number from 0 to 3"),
        ({"xi": -1}, "xi must be an integer from 0 to 3"),
        ({"cap": 0}, "cap must be an integer from 1"),
        ({"undefined": "ignore"}, "undefined must be one of 'pass', 'fail'"),
        ({"empty": "none"}, "empty must be one of"),
        ({"spread": 0.1}, "spread must be a Spread"),
        ({"dtype": torch.int8}, "dtype must be torch.float16"),
        ({"quantiser": Quantiser(5, 0.0, 1.0)}, "quantiser must be of 4 levels"),
        ({"quantiser": Quantiser(4, torch.zeros(2), torch.ones(2))}, "quantiser must be for 3"),
        ({"quantiser": Quantiser(4, 0.0, 1e9), "dtype": torch.float16}, "of ends within"),
    ],
)
def test_wrong_arguments_get_a_sentence(given, words):
    with pytest.raises(InputError, match=words):
        EntropicMemory(**{"columns": 3, "levels": 4} | given)


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (torch.tensor([[0.0, 1.0]]), "keys must be a float32 tensor of shape"),
        (torch.tensor([[0.0, 1.0, 4.0]]), "keys must be levels from 0 to 3"),
        (torch.tensor([[0.0, 1.0, -1.0]]), "keys must be levels from 0 to 3"),
        (torch.tensor([[0.0, 1.0, 1.5]]), "keys must be whole levels"),
        (torch.tensor([[0.0, 1.0, math.nan]]), "leave missing numbers out with known"),
        (torch.tensor([[0.0, 1.0, math.inf]]), "keys must be finite"),
        (torch.tensor([[0, 1, 2]]), "keys must be a float32 tensor"),
        (torch.tensor([[0.0, 1.0, 2.0]], dtype=torch.float16), "keys must be a float32 tensor"),
    ],
)
def test_wrong_keys_write_nothing(keys, words):
    memory = EntropicMemory(3, 4)
    good = torch.tensor([[1.0, 1.0, 1.0]])
    with pytest.raises(InputError, match=words):
        memory.write(torch.cat((good.to(keys), keys)) if keys.shape[1] == 3 else keys)
    assert len(memory) == 0
    assert not memory.counts.any()


@pytest.mark.untyped
def test_forgetting_is_refused_at_the_cap_and_beyond_what_is_stored():
    memory = EntropicMemory(2, 3, cap=2)
    key = torch.tensor([1.0, 2.0])
    memory.write(key)
    with pytest.raises(InputError, match="keys must be of what was written"):
        memory.forget(torch.tensor([0.0, 2.0]))
    memory.write(key)
    with pytest.raises(InputError, match="keys must be of cells below the cap"):
        memory.forget(key)
    assert memory.counts.sum() == 4


@pytest.mark.untyped
@pytest.mark.parametrize("labels", [[0, 2], [0, -1], [0], [0.5, 1], torch.tensor([0.0, 1.0])])
def test_wrong_labels_write_nothing(labels):
    memory = EntropicClasses(2, 3, 4)
    with pytest.raises(InputError, match="labels must be whole numbers from 0 to 1"):
        memory.write(torch.zeros(2, 3), labels)
    assert len(memory) == 0


@pytest.mark.untyped
def test_states_of_other_memories_are_refused():
    memory, other = EntropicMemory(2, 3, cap=2), EntropicMemory(2, 3)
    other.write(torch.zeros(5, 2))
    with pytest.raises(InputError, match="counts must be whole numbers from 0 to 2"):
        memory.load_state_dict(other.state_dict())
    assert not memory.counts.any()


def test_no_cap_counts_beyond_the_dtype():
    memory = EntropicMemory(1, 2, cap=None, dtype=torch.float16, spread=Gaussian(0.5))
    memory.write(torch.zeros(70_000, 1, dtype=torch.float16))
    memory.write(torch.ones(1, 1, dtype=torch.float16))
    assert memory.counts.flatten().tolist() == [70_000, 1]
    assert memory.read(torch.ones(1, dtype=torch.float16)).isfinite().all()


def test_no_key_and_no_query_are_fine():
    memory = EntropicMemory(2, 3)
    memory.write(torch.zeros(0, 2))
    assert len(memory) == 0
    assert memory.recall(torch.zeros(0, 2), draws=2).shape == (2, 0, 2)
    assert memory.read(torch.zeros(3, 0, 2)).shape == (3, 0, 2)
    assert memory.potential() == -math.inf


@pytest.mark.untyped
def test_classes_take_the_arguments_of_registers_and_no_others():
    assert EntropicClasses(2, 3, 4, xi=1, undefined="fail").registers[0].limits.xi == 1
    with pytest.raises(InputError, match="keyword must be one of 'spread'"):
        EntropicClasses(2, 3, 4, unknown=1)
