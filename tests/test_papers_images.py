"""Memories of real vectors and helpers of the experiments with pictures."""

import pytest
import torch

import kanerva
from kanerva import InputError, bits, theory
from kanerva.activation import Identity
from kanerva.functional import weights
from kanerva.lab.papers.bricken2021 import _memories, _pictures, regimes
from kanerva.nn import projection


def turned(count, dim, flips):
    """Draw directions, and others as far from them as so many flipped bits would be."""
    keys = torch.randn(count, dim, generator=torch.Generator().manual_seed(0))
    return keys, projection.tilt(keys, flips, seed=1)


def test_folded_memory_is_that_of_bits():
    keys = bits.random(50, 64, seed=0)
    folded, exact = _memories.memory("continuous_folded", 64, 15), kanerva.sdm_patterns(64, 15)
    for memory in (folded, exact):
        memory.write(keys)
    cues = bits.flip(keys, 7, seed=1)
    torch.testing.assert_close(folded.weights(cues), exact.weights(cues))


@pytest.mark.parametrize(
    ("algorithm", "beta"),
    [("continuous_attention", 21.53975), ("continuous_attention_circle", 15.852765)],
)
def test_attention_has_the_published_beta(algorithm, beta):
    assert _memories.memory(algorithm, 64, 11).separation.beta == pytest.approx(beta, abs=1e-5)


@pytest.mark.parametrize("draw", _memories.DRAWS)
def test_few_locations_are_shared_as_often_as_theory_says(draw):
    keys, _ = turned(1, 64, 0.0)
    locations, radius = 1e5, 15
    memory = _memories.few(64, radius, locations, draw=draw)
    others = projection.tilt(keys.expand(20_000, -1), 2.5, seed=2)  # 2 whole bits away
    drawn = memory.similarity(keys, others)
    mean = theory.circle.overlap(64, radius, int(locations))[2]
    assert drawn.mean().item() == pytest.approx(mean, abs=4 * mean**0.5 / 20_000**0.5)
    assert torch.equal(drawn, memory.similarity(keys, others)) == (draw == "poisson")


def test_many_locations_weigh_as_all_do():
    keys, cues = turned(30, 64, 6.0)
    parts = [_memories.few(64, 15, 1e15), _memories.memory("continuous_folded", 64, 15)]
    few, every = (weights(cues, keys, part.similarity, part.separation) for part in parts)
    assert (few - every).abs().max() < 1e-3


def test_a_picture_is_kept_where_nothing_is_in_reach():
    keys = torch.eye(4, 64)
    memory = _memories.memory("continuous", 64, 5, activation=Identity())
    memory.write(keys)
    cues = torch.stack([keys[0], torch.ones(64)])
    found = _pictures.through(memory.read, lambda x: x)(cues)
    torch.testing.assert_close(found, cues)


@pytest.mark.parametrize(
    "call",
    [lambda: _memories.memory("sdm", 64, 9), lambda: _memories.few(64, 9, 1e9, draw="normal")],
)
def test_unknown_names_are_refused(call):
    with pytest.raises(InputError, match="must be"):
        call()


def test_unknown_keys_are_refused():
    with pytest.raises(InputError, match="keys must be"):
        next(regimes.regimes.measure(criterion="snr", keys="letters"))
