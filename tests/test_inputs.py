"""What memories take: array-likes, inference mode, threads, orders of updates, transforms."""

import copy
import io
import itertools
import threading

import numpy as np
import pytest
import torch

import kanerva
from kanerva import InputError, Patterns, bits, dynamics, similarity
from kanerva.activation import Sign
from kanerva.separation import Cap, Entmax, Softmax

# Array-likes


@pytest.mark.untyped  # the checks take longer than the work
@pytest.mark.parametrize("kind", [np.int8, np.int64, np.float16, np.float32, np.float64])
def test_arrays_and_lists_of_bits(kind):
    x = bits.random(3, 16, seed=0)
    memory, other = kanerva.hopfield(16), kanerva.hopfield(16)
    memory.write(x)
    other.write(x.numpy().astype(kind))
    assert torch.equal(memory.keys, other.keys)
    query = bits.flip(x, 3, seed=1)
    for given in (query.numpy().astype(kind), query.int().tolist(), tuple(query.tolist())):
        for verb in ("read", "recall", "energy", "scores", "weights"):
            expected, found = getattr(memory, verb)(query), getattr(memory, verb)(given)
            assert isinstance(found, torch.Tensor)
            assert torch.equal(found, expected), verb
        assert torch.equal(memory.nearest(given).ids, memory.nearest(query).ids)
        assert torch.equal(memory.settle(given).state, memory.settle(query).state)


def test_a_mask_may_be_a_list():
    memory = kanerva.modern_hopfield(2, beta=1.0)
    memory.write(np.eye(2))
    assert memory.read([1.0, 0.0], mask=[False, True]).tolist() == [0, 1]
    assert memory.read([1.0, 0.0], mask=np.array([-np.inf, 0])).tolist() == [0, 1]


@pytest.mark.parametrize(
    "given",
    [
        [0.1, 0.5],
        np.array([0.1, 0.5]),
        np.array([2**24 + 1, 0]),
        np.array(["a", "b"]),
        [1.0, None],
        [[1.0], [1.0, 2.0]],
        np.ma.array([1.0, 2.0], mask=[True, False]),
        [torch.ones(1, requires_grad=True), torch.ones(1)],
        np.array([1j, 0]),
    ],
)
@pytest.mark.untyped
def test_what_would_be_lost_is_refused(given):
    memory = Patterns(2, separation=Softmax(1.0))
    with pytest.raises(kanerva.InputError, match="must be a float32 tensor"):
        memory.write(given)
    assert len(memory) == 0


def test_locations_take_arrays():
    memory = kanerva.sdm(bits=64, locations=500, radius=26)
    x = bits.random(2, 64, seed=0)
    memory.write(x.numpy().astype(int))
    assert torch.equal(memory.read(x.tolist()), memory.read(x))
    memory.forget(x.int().tolist())
    assert not memory.counters.any()


# Inference mode


MODELS = {
    "modern": lambda: kanerva.modern_hopfield(8, beta=1.0),
    "hopfield": lambda: kanerva.hopfield(8),
    "sdm": lambda: kanerva.sdm(bits=8, locations=50, radius=3),
    "sdm_hyperplane": lambda: kanerva.sdm_hyperplane(8, 50, 2, ones=3),
}


@pytest.mark.filterwarnings("ignore:sdm")
@pytest.mark.parametrize("name", MODELS)
def test_inference_mode_leaves_no_trace(name, tmp_path):
    x = bits.random(3, 8, seed=0)
    with torch.inference_mode():
        memory = MODELS[name]()
        memory.write(bits.random(3, 8, seed=0))
        read = memory.read(x).clone()
        clone = copy.deepcopy(memory)
        memory.save(tmp_path / "memory.safetensors")
        loaded = kanerva.load(tmp_path / "memory.safetensors")
        moved = copy.deepcopy(memory).double().float()
        state = MODELS[name]()
        state.load_state_dict(memory.state_dict())
    for one in (memory, clone, loaded, moved, state):
        assert not any(part.is_inference() for part in one.buffers())
        assert torch.equal(one.read(x), read)
        one.write(x)
        query = x.clone().requires_grad_()
        if name == "modern":
            one.read(query).sum().backward()


# Threads


def run(*works):
    failed = []

    def guarded(work):
        try:
            work()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed[0]


def test_four_writers_lose_nothing():
    memory = Patterns(4, separation=Softmax(1.0))
    memory.register_rows("tag")
    given = [[] for _ in range(4)]

    def writer(place):
        def work():
            for i in range(100):
                value = float(place * 100 + i)
                ids = memory.write(torch.full((1, 4), value), tag=torch.full((1,), value))
                given[place] += ids.tolist()

        return work

    run(*map(writer, range(4)))
    assert len(memory) == 400
    assert sorted(itertools.chain(*given)) == list(range(400))
    assert torch.equal(memory.keys[:, 0], memory.tag)
    order = memory.ids.argsort()
    for place in range(4):
        expected = torch.arange(100.0) + 100 * place
        assert torch.equal(memory.keys[order][given[place], 0], expected)


def test_a_reader_beside_a_writer_reads_one_state():
    """Every state stores k copies of one row and of its opposite, so that a read is always 0."""
    memory = Patterns(2, 1, separation=Softmax(1.0))
    memory.write(torch.zeros(2, 2), torch.tensor([[1.0], [-1.0]]))
    done = threading.Event()

    def write():
        for _ in range(150):
            ids = memory.write(torch.zeros(2, 2), torch.tensor([[1.0], [-1.0]]))
            memory.forget(ids[:0])
            memory.forget(ids)
        done.set()

    def read():
        while not done.is_set():
            assert memory.read(torch.zeros(3, 2)).abs().max() < 1e-6
            memory.nearest(torch.zeros(2), k=2)

    run(write, read)


def test_counters_change_between_reads_only():
    memory = kanerva.sdm(bits=64, locations=2000, radius=26)
    x = bits.random(20, 64, seed=0)
    memory.write(x)
    expected, done = memory.read(x), threading.Event()

    def write():
        for _ in range(40):
            memory.write(x)  # the same again leaves every sign
        done.set()

    def read():
        while not done.is_set():
            assert torch.equal(memory.read(x), expected)

    run(write, read)
    assert len(memory) == 20 * 41


def test_a_lock_is_neither_copied_nor_saved():
    memory = kanerva.modern_hopfield(4, beta=1.0)
    memory.write(torch.eye(4))
    stream = io.BytesIO()
    torch.save(memory, stream)
    stream.seek(0)
    for other in (copy.deepcopy(memory), torch.load(stream, weights_only=False)):
        other.write(torch.eye(4))
        assert len(other) == 8
        assert len(memory) == 4


def test_settings_belong_to_a_thread():
    seen, ready, go = {}, threading.Event(), threading.Event()

    def other():
        seen["before"] = kanerva.settings.budget
        ready.wait()
        seen["during"] = kanerva.settings.budget
        with kanerva.settings.use(budget=2**12):
            go.set()
            seen["own"] = kanerva.settings.budget

    def one():
        with kanerva.settings.use(budget=2**10):
            ready.set()
            go.wait()
            seen["first"] = kanerva.settings.budget

    run(other, one)
    plain = kanerva.settings.budget
    assert seen == {"before": plain, "during": plain, "own": 2**12, "first": 2**10}


# Orders of updates


def textbook(x, query, steps, seed):
    """Update single bits by the sign of their field, in the same order, ties kept."""
    weights = (x.double().mT @ x.double()).fill_diagonal_(0)
    source, state = torch.Generator().manual_seed(seed), query.double().clone()
    for _ in range(steps):
        for j in torch.randperm(len(state), generator=source).tolist():
            field = weights[j] @ state
            if field != 0:
                state[j] = field.sign()
    return state.to(query.dtype)


def test_asynchronous_updates_are_those_of_the_textbook():
    x = bits.random(12, 48, seed=3)
    memory = kanerva.hopfield(48)
    memory.write(x)
    for place, query in enumerate(bits.random(6, 48, seed=4)):
        found = memory.settle(query, order="async", seed=place)
        assert found.converged
        assert not found.swings
        assert torch.equal(found.state, textbook(x, query, 30, place))


@pytest.mark.parametrize(
    "memory", [kanerva.hopfield(32), kanerva.dense(32, 3), kanerva.exponential(32)]
)
def test_no_flip_raises_the_energy(memory):
    memory.write(bits.random(9, 32, seed=5))
    query = bits.random(5, 32, seed=6)
    path = memory.trace(query, order="async")
    assert (path.energies.diff(dim=0) <= 1e-3).all()
    assert path.converged.all()
    end = path.states[-1]
    # At rest no flip of one bit lowers the energy.
    for j in range(32):
        flipped = end.clone()
        flipped[:, j] *= -1
        assert (memory.energy(flipped) >= memory.energy(end) - 1e-3).all()


@pytest.mark.parametrize(
    ("memory", "smaller"),
    [(kanerva.dense(64, 300), "order of interactions"), (kanerva.exponential(200, 10.0), "beta")],
)
def test_asynchronous_updates_whose_energy_overflows_are_refused_in_the_memorys_words(
    memory, smaller
):
    memory.write(kanerva.bits.random(5, memory.dim, seed=0))
    query = kanerva.bits.flip(memory.keys[:2], 3, seed=1)
    said = rf'Patterns.recall: order must be "sync" .* overflows float64; .* a smaller {smaller}'
    with pytest.raises(InputError, match=said):
        memory.recall(query, order="async")
    # What is advised works; such energies are left out of a path.
    assert torch.equal(memory.recall(query, order="sync"), memory.keys[:2])
    assert memory.trace(query).energies is None
    with pytest.raises(InputError, match="energy: query must be such that"):
        memory.energy(query)


def test_asynchronous_updates_without_a_pattern_say_so():
    memory = kanerva.Patterns(4, separation=Softmax(1.0), activation=Sign("keep"))
    memory.write(torch.ones(1, 4))
    with pytest.raises(InputError, match=r"order must be .* left by the mask; store a pattern"):
        memory.recall(torch.ones(4), order="async", mask=torch.tensor([False]))


def test_masks_hold_in_asynchronous_updates():
    x = bits.random(6, 32, seed=0)
    memory, part = kanerva.hopfield(32), kanerva.hopfield(32)
    memory.write(x)
    part.write(x[:3])
    query, kept = bits.random(4, 32, seed=1), torch.arange(6) < 3
    expected = part.recall(query, order="async", seed=2)
    assert torch.equal(memory.recall(query, order="async", seed=2, mask=kept), expected)


def test_a_state_that_swings_is_named():
    memory = kanerva.hopfield(2)
    memory.write(torch.tensor([[1.0, -1.0]]))
    found = memory.settle(torch.tensor([[1.0, 1.0], [1.0, -1.0]]))
    assert found.swings.tolist() == [True, False]
    assert found.converged.tolist() == [False, True]


@pytest.mark.untyped
def test_orders_that_are_refused():
    memory = kanerva.modern_hopfield(4, beta=1.0)
    memory.write(torch.eye(4))
    with pytest.raises(kanerva.InputError, match='order must be "sync", unless bits'):
        memory.recall(torch.ones(4), order="async")
    with pytest.raises(kanerva.InputError, match="order must be"):
        memory.recall(torch.ones(4), order="parallel")
    with pytest.raises(kanerva.InputError, match="seed must be"):
        memory.recall(torch.ones(4), seed="x")


@pytest.mark.untyped
def test_a_step_that_is_not_used_is_checked():
    for call in (
        lambda: dynamics.settle("x", torch.ones(1, 2), steps=0),
        lambda: dynamics.trace("x", torch.ones(1, 2), steps=0),
        lambda: dynamics.chain("x", torch.ones(1, 2), 0),
        lambda: dynamics.flips("x", torch.ones(1, 2), torch.ones(1, 2), sweeps=0),
    ):
        with pytest.raises(kanerva.InputError, match="must be a function"):
            call()


# Transforms


@pytest.mark.untyped
@pytest.mark.filterwarnings("ignore:sdm")
@pytest.mark.parametrize("name", MODELS)
def test_a_read_maps_over_queries(name):
    memory, x = MODELS[name](), bits.random(5, 8, seed=0)
    memory.write(x)
    query = bits.flip(x, 1, seed=1)
    mapped = torch.func.vmap(memory.read)(query)
    torch.testing.assert_close(mapped, memory.read(query))


@pytest.mark.untyped
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # torch's own
@pytest.mark.parametrize(
    ("similar", "rule"),
    [(similarity.dot, Entmax(alpha, 0.7)) for alpha in (1.0, 1.3, 1.5, 2.0, 3.0)]
    + [(similarity.cosine, Cap(4, 1.8))],
)
def test_forward_derivatives(similar, rule):
    source = torch.Generator().manual_seed(0)
    memory = Patterns(4, similarity=similar, separation=rule, dtype=torch.float64)
    memory.write(torch.randn(6, 4, generator=source).double())
    query, turn = (torch.randn(3, 4, generator=source).double() for _ in range(2))
    _, slope = torch.func.jvp(memory.read, (query,), (turn,))
    step = 1e-6
    expected = (memory.read(query + step * turn) - memory.read(query - step * turn)) / (2 * step)
    torch.testing.assert_close(slope, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.untyped
@pytest.mark.filterwarnings("ignore:sdm")
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, 0.5])
@pytest.mark.parametrize("name", ["hopfield", "sdm", "dense", "patterns"])
def test_a_compiled_read_of_no_bits_is_nan(name, bad):
    made = {
        "hopfield": lambda: kanerva.hopfield(8),
        "sdm": lambda: kanerva.sdm(bits=8, locations=50, radius=3),
        "dense": lambda: kanerva.dense(8, 3),
        "patterns": lambda: kanerva.sdm_patterns(bits=8, radius=3),
    }
    memory, x = made[name](), bits.random(3, 8, seed=0)
    memory.write(x)
    query = x.clone()
    query[0, 2] = bad
    torch._dynamo.reset()
    read = torch.compile(memory.read, backend="eager")(query)
    assert read[0].isnan().all()
    assert torch.equal(read[1:], memory.read(x)[1:])


# What is shown


def test_an_explanation_fits_on_a_screen():
    memory = kanerva.hopfield(64)
    memory.write(bits.random(5, 64, seed=0))
    for count in (1, 20):
        shown = str(memory.explain(bits.random(count, 64, seed=1)))
        lines = shown.splitlines()
        assert len(lines) <= 11
        assert max(map(len, lines)) <= 80
        assert lines[0].startswith(f"{count} read")
        assert lines[1].split() == ["mass", "active", "effective", "entropy", "margin", "energy"]
    found = memory.explain(bits.random(1, 64, seed=1))
    assert float(str(found).split()[-1]) == pytest.approx(found.energy.item(), rel=1e-3)


def test_the_energy_of_the_textbook():
    x, query = bits.random(5, 32, seed=0).double(), bits.random(7, 32, seed=1).double()
    memory = kanerva.hopfield(32, dtype=torch.float64)
    memory.write(x)
    weights = (x.mT @ x).fill_diagonal_(0)
    textbook = -torch.einsum("bi,ij,bj->b", query, weights, query) / 2
    torch.testing.assert_close(memory.energy(query), textbook - (5 - 1) * 32 / 2)
