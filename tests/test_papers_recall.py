"""Helpers of the experiments that recall random patterns."""

import math

import numpy as np
import pytest
import torch

import kanerva
from kanerva import bits, similarity, theory
from kanerva.lab.papers import RECIPES
from kanerva.lab.papers.bricken2021 import _memories, _trials, finite_locations
from kanerva.separation import Circle


def test_rounded_counts_keep_the_mean_and_spread_by_less_than_one():
    log_scale = math.log(100_000)
    counts = _memories.Rounded(similarity.agreement, Circle(64, 15), log_scale, seed=0)
    query = bits.random(1, 64, seed=0)
    for distance, shared in ((0, 1.218229), (2, 0.556150)):
        keys = bits.flip(query.expand(40_000, -1), distance, seed=1)
        drawn = counts(query, keys)
        assert set(drawn.unique().tolist()) == {math.floor(shared), math.ceil(shared)}
        assert drawn.mean().item() == pytest.approx(shared, abs=4 * 0.5 / 200)
        assert not torch.equal(drawn, counts(query, keys))  # anew each time


@pytest.mark.untyped
@pytest.mark.parametrize("algorithm", ["sdm_rounded", "continuous_rounded"])
def test_rounded_counts_are_drawn_alike_on_any_number_of_threads(algorithm):
    directions = algorithm == "continuous_rounded"
    keys = _trials.patterns(300, 64, 0, directions)
    queries = _trials.cues(keys, keys, 6, directions, torch.Generator().manual_seed(0))

    def reads(threads, budget):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            with kanerva.settings.use(budget=budget):
                memory = _trials.build(algorithm, 64, 13, 1e6, seed=0)
                memory.write(keys)
                read = [memory.read(queries) for _ in range(3)]
                return torch.stack([*read, memory.recall(keys, steps=5)])
        finally:
            torch.set_num_threads(before)

    first = reads(1, 2**28)
    assert not torch.equal(first[0], first[1])
    for threads, budget in ((2, 2**28), (3, 2**18)):
        torch.testing.assert_close(reads(threads, budget), first, rtol=0, atol=1e-5)


@pytest.mark.untyped
def test_ties_of_rounded_counts_cost_what_a_simulation_loses():
    draw = np.random.default_rng(0)
    shared = np.exp(theory.circle.log_fraction(64, 15)) * 1e5
    part, whole = (some.astype(np.float32) for some in np.modf(shared))
    lost = []
    for _ in range(60):
        patterns = draw.choice(np.array([-1.0, 1.0], np.float32), (1024, 64))
        apart = ((64 - patterns @ patterns.T) / 2).astype(np.int8)
        counts = whole[apart] + (draw.random(apart.shape, np.float32) < part[apart])
        read = np.where(counts @ patterns > 0, 1, -1)  # a tied bit is read as -1
        lost.append(1 - (read * patterns).mean())
    expected, spread = finite_locations.ties(64, 15, 1024, 1e5)
    assert np.mean(lost) == pytest.approx(expected, abs=4 * spread / math.sqrt(60))
    assert np.std(lost) == pytest.approx(spread, rel=4 / math.sqrt(2 * 60))


def test_folded_cosines_weigh_as_the_bits_do():
    cosines = torch.from_numpy(
        theory.circle.cosine(64, torch.arange(65.0).double().numpy())
    ).float()
    expected = Circle(64, 15)(64 - torch.arange(65.0))
    assert torch.equal(_memories.Folded(64, 15)(cosines), expected)
    # 2.9 bits are rounded down to 2.
    between = _memories.Folded(64, 15)(torch.tensor([1.0, 1 - 2 * 2.9 / 64]))
    assert torch.allclose(between, Circle(64, 15)(torch.tensor([64.0, 62.0])))


def test_all_are_read_until_none_moves():
    memory = kanerva.sdm_patterns(64, 5, empty="zero")
    memory.write(bits.random(3, 64, seed=0))
    cues = torch.cat([bits.flip(memory.keys[:1], 6, seed=1), bits.random(1, 64, seed=2)])
    end = _trials.recall_together(memory, cues)
    assert torch.equal(end[0], memory.keys[0])
    assert (end[1] == -1).all()  # zeros are the bits 0


@pytest.mark.parametrize("directions", [False, True])
def test_cues_are_as_far_as_asked_and_nearest_to_their_own(directions):
    keys = _trials.patterns(1024, 64, 0, directions)
    cues = _trials.cues(keys[:200], keys, 14, directions, torch.Generator().manual_seed(0))
    near = torch.cosine_similarity(cues[:, None], keys, dim=-1)
    own = near.gather(1, torch.arange(200)[:, None])
    assert (own - (1 - 28 / 64)).abs().max() < 1e-5
    assert (near <= own + 2e-4).all()


def test_impossible_sizes_are_refused():
    for name, given, argument in (
        ("sdm.convergence", {"patterns": 100, "bits": 16, "levels": 2}, "patterns"),
        ("sdm.convergence", {"levels": 0}, "levels"),
        ("sdm.convergence", {"repeats": 0}, "repeats"),
        ("sdm.convergence", {"bits": 2000}, "bits"),
        ("sdm.convergence", {"algorithm": "hopfield"}, "algorithm"),
        ("sdm.convergence", {"stop": "never"}, "stop"),
        ("sdm.finite_locations", {"algorithm": "sdm_poisson", "cues": 2000}, "cues"),
        ("sdm.finite_locations", {"algorithm": "sdm_rounded", "locations": 0}, "locations"),
    ):
        with pytest.raises(kanerva.InputError) as error:
            list(RECIPES[name].measure(**({"radius": 5} | given)))
        assert error.value.argument == argument
