"""Sparse distributed memory: against loops over its definition, and against published numbers."""

import copy
import io
import json
import math
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
import torch

import kanerva
from kanerva import Locations, bits, functional, separation, settings, similarity
from kanerva.activation import Identity, Sign


class ByHand:
    """Sparse distributed memory, as loops over its definition (Kanerva 1988)."""

    def __init__(self, addresses, radius, value_bits):
        self.addresses, self.radius = np.asarray(addresses), radius
        self.counters = np.zeros((len(self.addresses), value_bits), int)
        self.written = np.zeros(len(self.addresses), int)

    def active(self, key):
        return np.flatnonzero((self.addresses != key).sum(1) <= self.radius)

    def write(self, key, value, end=None):
        near = self.active(np.asarray(key))
        self.counters[near] += np.asarray(value).astype(int)
        self.written[near] += 1
        if end is not None:
            self.counters.clip(-end, end, out=self.counters)
            self.written.clip(-end, end, out=self.written)

    def sums(self, query):
        near = self.active(np.asarray(query))
        return self.counters[near].sum(0), self.written[near].sum(), len(near)


def filled(count=100, seed=0, **more):
    """Build the memory of the fault tolerance table, and write patterns to it."""
    memory = kanerva.sdm(bits=256, locations=10_000, patterns=100, seed=seed, **more)
    patterns = bits.random(count, 256, seed=1000 + seed)
    memory.write(patterns)
    return memory, patterns


def tied(tie="random", count=40, seed=0):
    """Build a memory in which every sum is tied: each value is written with its complement."""
    memory = kanerva.sdm(bits=100, locations=1000, radius=48, tie=tie, seed=seed)
    keys, values = bits.random(count, 100, seed=1), bits.random(count, 100, seed=2)
    memory.write(torch.cat([keys, keys]), torch.cat([values, -values]))
    return memory, keys


# Against loops over the definition


@pytest.mark.parametrize(
    ("n", "value_bits", "radius"), [(33, 21, 13), (64, 64, 24), (9, 130, 3), (70, 1, 0)]
)
def test_by_hand(n, value_bits, radius):
    memory = Locations(bits.random(200, n, seed=5), value_bits, separation=near(n, radius))
    oracle = ByHand(memory.keys[:], radius, value_bits)
    keys, values = bits.random(30, n, seed=6), bits.random(30, value_bits, seed=7)
    keys[0] = memory.keys[3:4][0]
    memory.write(keys, values)
    for key, value in zip(keys, values, strict=True):
        oracle.write(key, value)
    assert (memory.counters.numpy() == np.column_stack([oracle.counters, oracle.written])).all()
    queries = torch.cat([keys, bits.flip(keys, n // 8, seed=8), bits.random(10, n, seed=9)])
    found = memory.explain(queries)
    results = (found.value, found.mass, found.active, found.margin)
    for query, value, mass, active, margin in zip(queries, *results, strict=True):
        sums, written, count = oracle.sums(query)
        assert (mass, active) == (written, count)
        assert (value[sums != 0] == torch.from_numpy(np.sign(sums[sums != 0]))).all()
        assert (value.abs() == (written > 0)).all()
        assert margin == pytest.approx(abs(sums).min() / max(written, 1))


def near(n, radius):
    return separation.Step(n - radius)


# Storage


def test_autoassociation_and_iterated_reading():
    memory, patterns = filled()
    assert torch.equal(memory.read(patterns), patterns)
    path = memory.trace(bits.flip(patterns, 40, seed=1), steps=10)
    distances = (path.states != patterns).sum(-1).float().mean(-1)
    assert distances[0] == 40
    assert distances[-1] < 1 < distances[1] < 30
    right = (path.states[-1] == patterns).all(-1)
    assert right.float().mean() > 0.9
    assert path.converged[right].all()


@pytest.mark.parametrize("value_bits", [5, 100, 300])
def test_values_of_another_length(value_bits):
    memory = kanerva.sdm(bits=256, locations=5000, radius=110, value_bits=value_bits)
    keys, values = bits.random(40, 256, seed=0), bits.random(40, value_bits, seed=1)
    memory.write(keys, values)
    assert torch.equal(memory.read(bits.flip(keys, 10, seed=2)), values)
    assert memory.read(keys.reshape(4, 5, 2, 256)).shape == (4, 5, 2, value_bits)


def test_heteroassociation_with_values_as_long_as_keys():
    memory = kanerva.sdm(bits=256, locations=5000, radius=110)
    keys, values = bits.random(40, 256, seed=0), bits.random(40, 256, seed=1)
    memory.write(keys, values)
    assert torch.equal(memory.read(keys), values)
    assert len(memory) == 40
    assert not memory.autoassociative


def test_real_values_at_the_locations_of_bits():
    """With floating counters, a read divided by its mass is the mean of the values written near."""
    memory = Locations(
        bits.random(2000, 64, seed=0),
        3,
        separation=near(64, 24),
        activation=Identity(),
        counters=torch.float64,
    ).double()
    key = bits.random(1, 64, seed=1, dtype=torch.float64)
    values = torch.tensor([[0.5, -2.0, 7.0], [1.5, 3.0, 7.0]]).double()
    memory.write(key.expand(2, -1), values)
    found = memory.explain(key[0])
    torch.testing.assert_close(found.value / found.mass, values.mean(0))


# Deletion


@pytest.mark.parametrize("counters", [torch.int8, torch.int32, torch.float32])
def test_forgetting_is_the_exact_reverse(counters):
    memory, patterns = filled(counters=counters)
    before = memory.counters.clone()
    extra = bits.random(20, 256, seed=9)
    memory.write(extra, -extra)
    memory.forget(extra, -extra)
    assert torch.equal(memory.counters, before)
    memory.forget(patterns[:50])
    memory.forget(patterns[50:].reshape(5, 10, 256))
    assert (memory.counters == 0).all()
    assert len(memory) == 0
    assert (memory.read(patterns) == 0).all()


def test_more_than_is_stored_cannot_be_forgotten():
    memory, patterns = filled(count=3)
    with pytest.raises(kanerva.InputError, match="no more than the 3 stored, but it was 4"):
        memory.forget(bits.random(4, 256, seed=1))
    assert torch.equal(memory.read(patterns), patterns)
    memory.forget(patterns)
    with pytest.raises(kanerva.InputError, match="no more than the 0 stored"):
        memory.forget(patterns[0])


# The range of counters


def small(**more):
    return kanerva.sdm(bits=20, locations=60, radius=9, counters=torch.int8, **more)


@pytest.mark.parametrize("engine", ["torch", "auto", "numpy"])
def test_a_write_that_would_overflow_writes_nothing(engine):
    memory, key = small(), bits.random(1, 20, seed=1)
    with settings.use(engine=engine):
        memory.write(key.expand(127, -1))
        assert memory.counters.abs().max() == 127
        before = memory.counters.clone()
        others = bits.random(5, 20, seed=2)
        with pytest.raises(kanerva.InputError, match=r"passes 127, but it was 6 more.*saturate"):
            memory.write(torch.cat([others, key]))
        assert torch.equal(memory.counters, before)
        assert len(memory) == 127
        memory.forget(key)
        memory.write(key)
        assert torch.equal(memory.counters, before)
        with pytest.raises(kanerva.InputError, match="passes 127"):
            # The value counters come back from the end, but the count of writes passes it.
            memory.write(key, -key)
        assert torch.equal(memory.counters, before)


def test_a_batch_is_written_one_key_after_the_other():
    """A batch is refused where its keys would be: at the count of writes, for any values."""
    key = bits.random(1, 20, seed=1)
    whole, parts = small(), small()
    with pytest.raises(kanerva.InputError, match="passes 127"):
        whole.write(key.expand(128, -1))
    assert (whole.counters == 0).all()
    for _ in range(127):
        parts.write(key)
    with pytest.raises(kanerva.InputError, match="passes 127"):
        parts.write(key)


def test_only_a_counter_that_overflows_is_refused():
    """More writes than a counter holds are accepted at other locations, or where they cancel."""
    memory = kanerva.sdm(bits=64, locations=500, radius=24, counters=torch.int8)
    patterns = bits.random(2000, 64, seed=3)
    memory.write(patterns)
    wide = kanerva.sdm(bits=64, locations=500, radius=24)
    wide.write(patterns)
    assert torch.equal(memory.counters.int(), wide.counters)
    for _ in range(150):
        memory.forget(patterns[:1])
        memory.write(patterns[:1])
    assert torch.equal(memory.counters.int(), wide.counters)


@pytest.mark.untyped  # the checks take longer than the work
@pytest.mark.parametrize("budget", [2**12, 2**28])
@pytest.mark.parametrize("engine", ["torch", "auto", "numpy"])
def test_saturation_is_clamping_one_by_one(engine, budget):
    memory = small(overflow="saturate", seed=4)
    oracle = ByHand(memory.keys[:], 9, 20)
    source = torch.Generator().manual_seed(5)
    keys = bits.flip(bits.random(1, 20, seed=source).expand(400, -1), 2, seed=source)
    value = bits.random(1, 20, seed=source)
    kept = torch.rand(400, 20, generator=source) < 0.85
    values = torch.where(kept, value, -value)
    with settings.use(engine=engine, budget=budget):
        for size in (100, 30, 1, 1, 268):
            memory.write(keys[:size], values[:size])
            for key, value in zip(keys[:size], values[:size], strict=True):
                oracle.write(key, value, end=127)
            keys, values = keys[size:], values[size:]
            expected = np.column_stack([oracle.counters, oracle.written])
            assert (memory.counters.numpy() == expected).all()
    assert memory.counters.aminmax() == (-127, 127)
    assert len(memory) == 400


def test_the_range_holds_after_loading(tmp_path):
    memory, key = small(), bits.random(1, 20, seed=1)
    memory.write(key.expand(120, -1))
    memory.save(tmp_path / "memory.safetensors")
    twin = small()
    twin.load_state_dict(memory.state_dict())
    for other in (kanerva.load(tmp_path / "memory.safetensors"), twin, copy.deepcopy(memory)):
        other.write(key.expand(7, -1))
        with pytest.raises(kanerva.InputError, match="passes 127"):
            other.write(key)
    assert memory.counters.max() == 120


@pytest.mark.parametrize("rule", [separation.Softmax(1.0), separation.Linear()])
def test_integer_counters_hold_whole_weights_only(rule):
    must = "floating dtype, unless bits are stored at the locations that a Step activates"
    with pytest.raises(kanerva.InputError, match=must):
        Locations(
            bits.random(9, 20, seed=0),
            similarity=similarity.dot,
            separation=rule,
            activation=Sign(),
        )


# Loss of locations


def test_kill_leaves_the_others_as_they_were():
    memory, _ = filled()
    addresses, counters = memory.addresses.clone(), memory.counters.clone()
    assert memory.kill(0.3, seed=1) == 3000
    assert memory.keys.shape == (7000, 256)
    assert memory.counters.shape == (7000, 257)
    whole = {tuple(words): place for place, words in enumerate(addresses.tolist())}
    places = torch.tensor([whole[tuple(words)] for words in memory.addresses.tolist()])
    assert (places.diff() > 0).all()
    assert torch.equal(memory.counters, counters[places])
    again, _ = filled()
    again.kill(0.3, seed=torch.Generator().manual_seed(1))
    assert torch.equal(again.addresses, memory.addresses)
    assert again.kill(0.0, seed=0) == 0


def test_kill_leaves_one_at_least():
    memory, _ = filled(count=1)
    with pytest.raises(kanerva.InputError, match="leave one of 10000 locations"):
        memory.kill(1.0, seed=0)
    assert memory.kill(0.9999, seed=0) == 9999
    assert memory.read(bits.random(2, 256, seed=0)).shape == (2, 256)


def test_patterns_can_be_forgotten_after_a_kill():
    memory, patterns = filled()
    memory.kill(0.5, seed=0)
    memory.forget(patterns)
    assert (memory.counters == 0).all()


@pytest.mark.parametrize("counters", [torch.int8, torch.int32, torch.float64])
def test_copies_after_a_kill(tmp_path, counters):
    memory, patterns = filled(counters=counters)
    memory.kill(0.4, seed=2)
    cues = bits.flip(patterns, 40, seed=3)
    expected = memory.read(cues)
    memory.save(tmp_path / "memory.safetensors")
    file = io.BytesIO()
    torch.save(memory.state_dict(), file)
    file.seek(0)
    fresh, _ = filled(count=1, counters=counters)
    fresh.load_state_dict(torch.load(file, weights_only=True))
    for other in (kanerva.load(tmp_path / "memory.safetensors"), fresh, copy.deepcopy(memory)):
        assert other.keys.shape == (6000, 256)
        assert other.counters.dtype == counters
        assert len(other) == 100
        assert torch.equal(other.read(cues), expected)
        other.write(cues)
        other.kill(0.5, seed=1)
    assert memory.keys.shape == (6000, 256)
    assert torch.equal(memory.read(cues), expected)


def test_other_dtypes_of_queries_change_nothing():
    memory, patterns = filled()
    cues = bits.flip(patterns, 50, seed=3)
    expected = memory.read(cues)
    for dtype in (torch.float64, torch.float16, torch.bfloat16):
        other = copy.deepcopy(memory).to(dtype)
        read = other.read(cues.to(dtype))
        assert read.dtype == other.dtype == dtype
        assert torch.equal(read.float(), expected)
        other.forget(patterns.to(dtype))
        assert (other.counters == 0).all()


# Ties and empty reads


def test_a_random_tie_is_a_fair_coin_and_the_same_for_the_same_query():
    memory, keys = tied()
    read = memory.read(keys)
    assert (read.abs() == 1).all()
    # The mean of 4000 fair signs, within four standard deviations.
    assert abs(read.mean()) < 4 / math.sqrt(4000)
    agreement = (read[:, None] == read).float().mean(-1)[~torch.eye(40, dtype=torch.bool)]
    assert abs(agreement.mean() - 0.5) < 4 / math.sqrt(4000)
    assert torch.equal(memory.read(keys.flip(0)).flip(0), read)
    assert torch.equal(memory.read(keys[7]), read[7])
    other, _ = tied(seed=3)
    assert 0.3 < (other.read(keys) == read).float().mean() < 0.7


def test_stated_ties():
    for tie, expected in (("plus", torch.ones(40, 100)), ("minus", -torch.ones(40, 100))):
        memory, keys = tied(tie)
        assert torch.equal(memory.read(keys), expected)
    memory, keys = tied("keep")
    assert torch.equal(memory.read(keys), keys)
    found = memory.explain(keys)
    assert (found.mass > 0).all()
    assert (found.margin == 0).all()


def test_where_nothing_was_written_a_read_is_empty_and_no_tie():
    key = bits.random(1, 100, seed=0)
    for empty, expected in (("zero", torch.zeros(1, 100)), ("keep", -key)):
        memory = kanerva.sdm(bits=100, locations=1000, radius=40, tie="plus", empty=empty)
        memory.write(key)
        found = memory.explain(-key)
        assert found.active > 0
        assert found.mass == 0
        assert torch.equal(found.value, expected)
        assert torch.equal(memory.read(-key), expected)
        assert torch.equal(memory.recall(-key), expected)
    memory = kanerva.sdm(bits=100, locations=1000, radius=40, empty="raise")
    memory.write(key)
    with pytest.raises(kanerva.InputError, match="1 of 2 of them"):
        memory.read(torch.cat([key, -key]))
    assert torch.equal(memory.read(key), key)


# The constructor


def test_a_warning_counts_the_locations_that_are_missing():
    """n = 64, d = 11 (Bricken and Pehlevan 2021): one point in 1.99e7 lies in a circle."""
    active = r"0\.0503 of 1000000 locations would be active at radius 11"
    with pytest.warns(UserWarning, match=active + r": it takes 1\.988e\+07 locations"):
        kanerva.sdm(bits=64, locations=1_000_000, radius=11)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kanerva.sdm(bits=64, locations=1000, radius=25)


@pytest.mark.parametrize(
    ("n", "locations", "patterns", "radius"), [(256, 10_000, 100, 109), (1000, 10_000, 100, 462)]
)
def test_the_radius_comes_from_theory(n, locations, patterns, radius):
    from scipy.stats import binom

    assert binom.ppf((2 * locations * patterns) ** (-1 / 3), n, 0.5) == radius
    assert kanerva.sdm(n, locations, patterns=patterns).separation == separation.Step(n - radius)
    assert kanerva.theory.radius.optimal(n, patterns, locations).radius == radius


# The Hopfield network as a special case


def test_hopfield_is_a_memory_with_a_location_at_every_pattern():
    """Writes at radius 0 and reads at all locations give the network with its diagonal."""
    patterns, source = bits.random(12, 80, seed=0), torch.Generator().manual_seed(1)
    outer = patterns.T @ patterns
    counters = torch.zeros_like(patterns)
    functional.deposit(patterns, patterns, patterns, counters, similarity.agreement, near(80, 0))
    assert torch.equal(counters, patterns)
    network = kanerva.hopfield(80, diagonal="kept")
    network.write(patterns)
    memory = Locations(
        patterns,
        similarity=similarity.dot,
        separation=separation.Linear(),
        activation=Sign("keep"),
        counters=torch.float32,
    )
    memory.counters[:, :-1] = counters
    memory.counters[:, -1] = 1
    for query in (patterns, bits.flip(patterns, 20, seed=source), bits.random(40, 80, seed=source)):
        field = query @ outer
        read = functional.read(query, patterns, counters, similarity.dot, separation.Linear())
        assert torch.equal(read, field)
        expected = torch.where(field == 0, query, field.sign())
        assert torch.equal(network.read(query), expected)
        massive = (query @ patterns.T).sum(-1) != 0  # the mass of weights of both signs may cancel
        assert torch.equal(memory.read(query)[massive], expected[massive])


def test_hopfield_without_its_diagonal():
    patterns = bits.random(12, 80, seed=0)
    outer = patterns.T @ patterns
    outer.fill_diagonal_(0)
    network = kanerva.hopfield(80)
    network.write(patterns)
    for query in (patterns, bits.flip(patterns, 30, seed=1), bits.random(40, 80, seed=2)):
        field = query @ outer
        assert torch.equal(network.read(query), torch.where(field == 0, query, field.sign()))


# Published tables, with other draws of memories, patterns and errors


def within_its_spread(draws, published):
    """Return whether a published value lies within three standard deviations of our draws."""
    draws = torch.tensor(draws, dtype=torch.float64)
    published = torch.tensor(published, dtype=torch.float64)
    spread = draws.std(0) * math.sqrt(1 + 1 / len(draws))
    return ((draws.mean(0) - published).abs() <= 3 * spread + 5e-4).all()


def test_fault_tolerance():
    """Bit errors after the loss of locations: n = 256, 10,000 locations, 100 patterns.

    One read of the stored patterns, and six reads from cues with 26 wrong bits.
    """
    shares = (0, 0.25, 0.5, 0.75, 0.9, 0.95)
    clean, noisy = [], []
    for seed in range(6):
        memory, patterns = filled(seed=seed)
        cues = bits.flip(patterns, 26, seed=seed)
        copies = [copy.deepcopy(memory) for _ in shares]
        for share, memory in zip(shares, copies, strict=True):
            memory.kill(share, seed=seed)
        reads = [memory.read(patterns) for memory in copies]
        recalls = [memory.recall(cues, steps=6) for memory in copies]
        clean.append([(read != patterns).double().mean() for read in reads])
        noisy.append([(recall != patterns).double().mean() for recall in recalls])
    assert within_its_spread(clean, [0, 0, 0, 0, 0.0037, 0.028])
    assert within_its_spread(noisy, [0, 0, 0.0016, 0.070, 0.288, 0.396])


def test_alphabet():
    """Letters recalled out of 25, each stored under the one before; 20 cues a memory.

    The cue is the first letter with k wrong bits.
    """
    recalled = []
    for seed in range(6):
        memory = kanerva.sdm(bits=256, locations=10_000, radius=110, seed=seed)
        letters = bits.random(26, 256, seed=100 + seed)
        memory.write(letters[:-1], letters[1:])
        first = letters[0].expand(20, -1)
        cues = [bits.flip(first, wrong, seed=seed) for wrong in (0, 20, 40, 50, 60, 70, 80)]
        path = kanerva.dynamics.chain(memory.read, torch.stack(cues), 25)
        right = (path[1:] == letters[1:, None, None]).all(-1).sum(0)
        recalled.append(right.double().mean(-1).tolist())
    assert within_its_spread(recalled, [25, 25, 24.7, 24.25, 23.9, 23.6, 20.1])


# Kanerva's reference memory: 1,000 bits, 1,000,000 locations, radius 451.
# Each memory is built in a process of its own.

SHARED = {0: 1071.850, 10: 795.874, 50: 476.874, 100: 285.831, 200: 103.461, 300: 32.324}
DISTANCES = (50, 100, 150, 200, 215, 220, 225, 230, 240, 250, 300, 400, 500)
AFTER = (1.0, 23.4, 87.7, 176.0, 204.0, 211.0, 223.6, 231.8, 246.2, 263.9, 333.1, 432.5, 498.1)
CURVE = dict(zip(DISTANCES, AFTER, strict=True))


def reference(seed, dtype, targets):
    """Measure overlaps of active locations, and distances after one read with 10,000 patterns."""
    import resource  # Windows has no such module

    began, source = time.perf_counter(), torch.Generator().manual_seed(seed)
    counters = {} if dtype == "int32" else {"counters": torch.int16}
    memory = kanerva.sdm(bits=1000, locations=1_000_000, radius=451, seed=seed, **counters)
    patterns = bits.random(10_000, 1000, seed=source)
    centres = patterns[:40]

    def active(keys):
        found = functional.active(keys, memory.keys, memory.similarity, memory.separation)
        return [set(near.tolist()) for near in found]

    circles = active(centres)
    shared = {0: sum(map(len, circles)) / 40}
    for distance in list(SHARED)[1:]:
        others = active(bits.flip(centres, distance, seed=source))
        pairs = zip(circles, others, strict=True)
        shared[distance] = sum(len(one & other) for one, other in pairs) / 40
    writing = time.perf_counter()
    memory.write(patterns)
    reading = time.perf_counter()
    kept = patterns[:targets]
    curve = {}
    for distance in CURVE:
        wrong = memory.read(bits.flip(kept, distance, seed=source)) != kept
        curve[distance] = wrong.sum(-1).double().mean().item()
    ended = time.perf_counter()
    seconds = {"write": reading - writing, "read": ended - reading, "all": ended - began}
    unit = 2**30 if sys.platform == "darwin" else 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return {
        "shared": shared,
        "curve": curve,
        "seconds": seconds,
        "gibibytes": peak,
        "counter": int(memory.counters.abs().max()),
    }


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no module resource")
def test_kanervas_reference_memory():
    """The overlaps are exact, and the curve of reads crosses the diagonal where it should."""
    results = []
    for seed, dtype in ((0, "int32"), (1, "int16")):
        done = subprocess.run(
            [sys.executable, __file__, str(seed), dtype, "100"],
            capture_output=True,
            text=True,
            check=True,
        )
        print(done.stdout)  # noqa: T201
        results.append(json.loads(done.stdout))
    for result, limit in zip(results, (6, 4), strict=True):
        assert result["gibibytes"] < limit
        for distance, expected in SHARED.items():
            # Locations are independent, so the counts of 40 pairs have a binomial spread.
            assert abs(result["shared"][str(distance)] - expected) < 4 * math.sqrt(expected / 40)
        for distance, expected in CURVE.items():
            assert abs(result["curve"][str(distance)] - expected) < 8
    first, second = (result["curve"] for result in results)
    mean = {distance: (first[str(distance)] + second[str(distance)]) / 2 for distance in CURVE}
    assert mean[225] < 225
    assert mean[230] > 230


if __name__ == "__main__":
    print(json.dumps(reference(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))  # noqa: T201
