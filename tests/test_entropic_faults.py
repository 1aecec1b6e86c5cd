"""The entropic memory at its edges: tables of answers, odd sizes, dtypes, threads, transforms."""

import copy
import shutil
from concurrent.futures import ThreadPoolExecutor

import hypothesis
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kanerva import InputError, bits, functional
from kanerva._core.settings import settings
from kanerva._engine.draws import chances, pick
from kanerva.entropic import (
    EntropicClasses,
    EntropicMemory,
    Gaussian,
    HeteroEntropicMemory,
    Quantiser,
    Triangular,
    _recall,
)
from kanerva.separation import Softmax
from kanerva.similarity import dot
from registers import filled, levels_of, source

Q = Quantiser(3, 0.0, 1e6)
SPREADS = (Gaussian(0.3), Gaussian(0.0), Triangular())


# ---------------------------------------------------------------------------------------------
# Tables of answers


@pytest.mark.parametrize("levels", [1, 2, 3, 7, 16, 33])
@pytest.mark.parametrize("spread", SPREADS)
def test_draws_are_those_of_the_search_of_the_engine(levels, spread):
    memory = filled(levels_of(5, 6, levels), levels, spread=spread, xi=6)
    memory.counts[:, 2] = 0  # a column in which nothing was seen
    levels_given = levels_of(40, 6, levels, 1).long()
    known = torch.rand(40, 6, generator=source(2)) < 0.8
    hashed, which = _recall.hashes(levels_given, 3), torch.arange(1, 4)
    found = _recall.draw(spread, memory.counts, levels_given, known, hashed, which)
    table = spread.forward(levels_given.double(), known, memory.counts).cumsum(-1)
    chance = chances(hashed, which, torch.arange(6) + 1)
    place = torch.arange(240).reshape(40, 6).expand(3, -1, -1)
    assert torch.equal(found, pick(table.reshape(-1, levels), place, chance))
    assert (found[..., 2] == -1).all()


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_means_of_a_table_are_those_of_each_cue(spread, dtype):
    keys = levels_of(30, 5, 9).to(dtype)
    memory = filled(keys, 9, spread=spread, xi=5, dtype=dtype)
    query = levels_of(50, 5, 9, 1).to(dtype)
    known = torch.rand(50, 5, generator=source(2)) < 0.8
    whole = memory.read(query, known)
    each = torch.stack([memory.read(x, k) for x, k in zip(query, known, strict=True)])
    assert torch.equal(whole, each)
    between = query.clone()
    between[0, 0] = 3.25  # no cue is tabulated now, unless the spread rounds all
    assert torch.equal(memory.read(between, known)[1:], whole[1:])
    sloped = memory.read(query.requires_grad_(), known)
    assert torch.equal(sloped.detach(), whole)
    assert sloped.requires_grad is (spread == Gaussian(0.3))


def test_hashes_of_pieces_are_those_of_all(monkeypatch):
    memory = filled(levels_of(30, 5, 9), 9, xi=5)
    query = levels_of(50, 5, 9, 1)
    expected = memory.recall(query, seed=4, draws=3)
    monkeypatch.setattr(_recall, "CLOSE", 7)
    assert torch.equal(memory.recall(query, seed=4, draws=3), expected)
    monkeypatch.setattr(settings, "budget", 1)
    assert torch.equal(memory.recall(query, seed=4, draws=3), expected)


# ---------------------------------------------------------------------------------------------
# Laws of writing and of recall


@st.composite
def written(draw):
    """Draw keys, what is known of them, the number of levels, and a cap."""
    count, columns, levels = (draw(st.integers(*ends)) for ends in ((1, 12), (1, 5), (1, 9)))
    seed = draw(st.integers(0, 10**6))
    known = torch.rand(count, columns, generator=source(seed)) < 0.8
    return levels_of(count, columns, levels, seed), known, levels


@pytest.mark.untyped
@hypothesis.settings(max_examples=60)
@given(case=written(), cap=st.sampled_from([1, 2, 5, None]), cut=st.integers(1, 12))
def test_writes_in_any_split_are_one_write(case, cap, cut):
    keys, known, levels = case
    whole, parts = (EntropicMemory(keys.shape[1], levels, cap=cap) for _ in range(2))
    whole.write(keys, known)
    for some, seen in zip(keys.split(cut), known.split(cut), strict=True):
        parts.write(some, seen)
    assert torch.equal(whole.counts, parts.counts)
    assert len(whole) == len(parts) == len(keys)


@pytest.mark.untyped
@hypothesis.settings(max_examples=60)
@given(case=written(), at=st.integers(0, 12))
def test_forgetting_undoes_a_write(case, at):
    keys, known, levels = case
    memory = EntropicMemory(keys.shape[1], levels, cap=None)
    memory.write(keys[:at], known[:at])
    before, held = memory.counts.clone(), len(memory)
    memory.write(keys[at:], known[at:])
    memory.forget(keys[at:], known[at:])
    assert torch.equal(memory.counts, before)
    assert len(memory) == held


@pytest.mark.untyped
@hypothesis.settings(max_examples=60)
@given(case=written(), spread=st.sampled_from(SPREADS), seed=st.integers(0, 99))
def test_recalls_return_levels_that_were_seen_and_explanations_agree(case, spread, seed):
    keys, known, levels = case
    columns = keys.shape[1]
    memory = EntropicMemory(columns, levels, spread=spread, xi=columns, empty="keep")
    memory.write(keys, known)
    cues = levels_of(4, columns, levels, seed)
    drawn, found = memory.recall(cues, seed=seed, draws=3), memory.explain(cues)
    seen = memory.counts.gather(0, drawn.long().flatten(0, 1)) > 0
    empty = ~(memory.counts > 0).any(0)
    assert bool((seen | empty).all())
    assert torch.equal(drawn[..., empty], cues[:, empty].expand(3, -1, -1))
    assert torch.equal(found.value, memory.read(cues))
    assert torch.equal(found.weights, memory.weights(cues))
    for name, part in memory.recognise(cues)._asdict().items():
        assert torch.equal(getattr(found, name), part)
    assert found.mass.tolist() == pytest.approx([float((~empty).sum())] * 4, abs=1e-5)


# ---------------------------------------------------------------------------------------------
# Dtypes, copies, threads, transforms


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtypes_read_alike(dtype):
    keys, cues = levels_of(30, 4, 7), levels_of(5, 4, 7, 1)
    plain = filled(keys, 7, xi=4)
    other = filled(keys.to(dtype), 7, xi=4, dtype=dtype)
    assert torch.equal(plain.counts, other.counts)
    assert torch.equal(plain.recall(cues, seed=2), other.recall(cues.to(dtype), seed=2).float())
    read = other.read(cues.to(dtype))
    assert read.dtype == dtype
    assert torch.allclose(read.float(), plain.read(cues), atol=0.03)


def test_copies_and_states_are_apart_and_answer_alike():
    memory, cues = filled(levels_of(30, 4, 7), 7), levels_of(30, 4, 7)
    copied, loaded = copy.deepcopy(memory), EntropicMemory(4, 7)
    loaded.load_state_dict(memory.state_dict())
    moved = copy.deepcopy(memory).to(torch.float64)
    expected = memory.recall(cues, seed=1)
    memory.clear()
    for other in (copied, loaded):
        assert torch.equal(other.recall(cues, seed=1), expected)
        assert len(other) == 30
    assert moved.dtype == torch.float64
    assert moved.counts.dtype == torch.int64
    assert torch.equal(moved.recall(cues.double(), seed=1), expected.double())


def test_threads_that_write_lose_no_count():
    memory, keys = EntropicMemory(50, 6, cap=None), levels_of(80, 50, 6)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(memory.write, keys.split(1)))
    assert torch.equal(memory.counts, filled(keys, 6, cap=None).counts)
    assert len(memory) == 80


@pytest.mark.untyped
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # torch's own
def test_vmap_and_jvp_of_the_read():
    keys = levels_of(30, 4, 7).double()
    memory = filled(keys, 7, spread=Gaussian(0.2), xi=4, dtype=torch.float64)
    query = levels_of(12, 4, 6, 1).double() + 0.3
    expected = memory.read(query)
    assert torch.allclose(torch.func.vmap(memory.read)(query), expected)
    value, slope = torch.func.jvp(memory.read, (query,), (torch.ones_like(query),))
    assert torch.allclose(value, expected)
    moved = memory.read(query + 1e-5) - memory.read(query - 1e-5)
    assert torch.allclose(slope, moved / 2e-5, atol=1e-4)


@pytest.mark.untyped
@pytest.mark.parametrize("name", ["columns", "levels"])
@pytest.mark.parametrize("value", [0, -1, 2.5, True, "4", 2**70])
def test_sizes_that_are_none_are_refused(name, value):
    with pytest.raises(InputError) as caught:
        EntropicMemory(**{"columns": 3, "levels": 4} | {name: value})
    assert caught.value.argument == name


def test_a_million_levels_of_one_column():
    levels = 2**20
    memory = EntropicMemory(1, levels, spread=Gaussian(1e-6), cap=None, xi=1)
    memory.write(torch.tensor([[0.0], [500_000.0], [levels - 1.0]]))
    cues = torch.tensor([[1.0], [500_003.0], [levels - 1.0]])
    assert memory.recall(cues).flatten().tolist() == [0.0, 500_000.0, levels - 1.0]
    assert memory.read(cues).flatten().tolist() == [0.0, 500_000.0, levels - 1.0]
    assert memory.recognise(cues).mismatches.tolist() == [1, 1, 0]
    assert memory.entropy() == pytest.approx(1.584962500721156)


def test_no_cue_of_classes():
    memory = EntropicClasses(3, 4, 5)
    memory.write(levels_of(6, 4, 5), torch.tensor([0, 1, 2] * 2))
    assert memory.recognise(torch.ones(0, 4)).accepted.shape == (0, 3)
    assert memory.answer(torch.ones(2, 0, 4)).accepted.shape == (2, 0, 3)


@pytest.mark.untyped
def test_one_cue_of_classes_is_explained():
    memory = EntropicClasses(2, 3, 4)
    memory.write(torch.zeros(2, 3), torch.tensor([0, 1]))
    found = memory.explain(torch.zeros(3))
    assert found.accepted.shape == found.weight.shape == ()
    assert found.weights.shape == (3, 4)
    assert torch.equal(memory.settle(torch.zeros(3)).state, memory.read(torch.zeros(3)))


@pytest.mark.untyped
def test_states_of_other_quantisers_are_refused():
    one, other = EntropicMemory(2, 4), EntropicMemory(2, 4)
    one.fit(torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    other.fit(torch.tensor([[100.0, 100.0], [200.0, 200.0]]))
    for memory in (other, EntropicMemory(2, 4)):
        before = memory.counts.clone()
        with pytest.raises(InputError, match="state must be that of a memory with the same quant"):
            memory.load_state_dict(one.state_dict())
        assert torch.equal(memory.counts, before)
    pairs = [HeteroEntropicMemory(2, 3, 2, 3, quantiser=each) for each in (Q, None)]
    with pytest.raises(InputError, match="state must be that of a memory with the same quant"):
        pairs[0].load_state_dict(pairs[1].state_dict())


@pytest.mark.untyped
def test_dtypes_that_cannot_hold_the_numbers_are_refused():
    for memory in (EntropicMemory(1, 2**20), EntropicMemory(1, 3, quantiser=Q)):
        with pytest.raises(InputError, match=r"EntropicMemory\.to"):
            memory.half()
        assert memory.dtype == torch.float32
    with pytest.raises(InputError, match="levels must be few enough for "):
        EntropicMemory(3, 2**20, dtype=torch.float16)


@pytest.mark.untyped
def test_counts_do_not_wrap():
    memory = EntropicMemory(1, 2, cap=None)
    memory.counts.fill_(2**63 - 1)
    with pytest.raises(InputError, match="keys must be few enough that counts stay below"):
        memory.write(torch.zeros(1, 1))
    assert memory.counts.min() == 2**63 - 1


@pytest.mark.untyped
@pytest.mark.parametrize("stored", [torch.tensor(-5), torch.tensor(2.5), torch.tensor(1j)])
def test_numbers_of_objects_in_a_state_are_checked(stored):
    memory = EntropicMemory(1, 2)
    with pytest.raises(InputError, match="_stored must be whole numbers from 0"):
        memory.load_state_dict(memory.state_dict() | {"_stored": stored})


@pytest.mark.untyped
@pytest.mark.parametrize("draws", [2**70, 10**12])
def test_more_draws_than_fit_are_refused(draws):
    memory = EntropicMemory(2, 3)
    memory.write(torch.zeros(1, 2))
    with pytest.raises(InputError, match="draws must be"):
        memory.recall(torch.zeros(9, 2), draws=draws)
    given = (torch.zeros(9, 2), torch.eye(2), torch.eye(2), dot, Softmax(1.0))
    with pytest.raises(InputError, match="draws must be"):
        functional.draw(*given, seed=0, draws=draws)


@pytest.mark.untyped
def test_compiled_recalls_are_those_of_the_memory():
    memory = EntropicMemory(1, 8, spread=Gaussian(0.2), xi=1)
    memory.write(torch.arange(8.0).unsqueeze(1))
    cues = torch.arange(6.0).unsqueeze(1)
    compiled = torch.compile(lambda query: memory.recall(query, draws=50), backend="aot_eager")
    assert torch.equal(compiled(cues), memory.recall(cues, draws=50))


@pytest.mark.untyped
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_chances_do_not_overflow():
    """The C++ of these products was wrong; its plain loops were, too, and compile soonest."""

    def drawn(hashed):
        return chances(hashed, torch.arange(1, 51), torch.arange(1, 3))

    hashed = bits.mix(torch.arange(6))
    compiled = torch.compile(drawn, options={"cpp.vec_isa_ok": False})
    assert torch.equal(compiled(hashed), drawn(hashed))


@pytest.mark.untyped
def test_places_are_checked():
    quantiser = Quantiser(4, torch.zeros(3), torch.ones(3))
    for x in (torch.full((3,), torch.nan), torch.zeros(1), torch.zeros(2)):
        with pytest.raises(InputError, match="places: x must be"):
            quantiser.places(x)


@pytest.mark.untyped
def test_weights_of_unknown_columns_alone_are_refused():
    memory = HeteroEntropicMemory(2, 3, 1, 3)
    memory.write(torch.zeros(1, 2), torch.zeros(1, 1))
    given = {"weights": torch.tensor([1.0, 0.0]), "known": torch.tensor([False, True])}
    with pytest.raises(InputError, match="over the known columns"):
        memory.project(torch.zeros(2), **given)


@pytest.mark.untyped
def test_pairs_refuse_dtypes_and_states_as_registers_do():
    memory = HeteroEntropicMemory(1, 3, 1, 3, value_quantiser=Q)
    with pytest.raises(InputError, match=r"HeteroEntropicMemory\.to: dtype must be of ends"):
        memory.half()
    assert memory.dtype == torch.float32
    small, large = EntropicMemory(2, 3), EntropicMemory(2, 4)
    with pytest.raises(InputError, match="counts must be of shape"):
        small.load_state_dict(large.state_dict())
