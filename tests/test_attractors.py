"""The modes of a memory with links, attractors beside the closed form, and the models of bits."""

import networkx as nx
import numpy as np
import pytest
import torch

import kanerva
from kanerva import InputError, InputTypeError, correlated, theory

RING = nx.cycle_graph(30)


def cycle(seed, neurons=1000, graph=RING, beta=1.0):
    memory = kanerva.cdam(neurons, beta, dtype=torch.float64)
    drawn = torch.Generator().manual_seed(seed)
    memory.write(torch.rand(len(graph), neurons, generator=drawn, dtype=torch.float64))
    memory.connect(graph)
    return memory


MODES = {
    (1, 0): "auto", (1, -1): "auto", (0.5, 0.5): "narrow", (0, 1): "wide", (-0.5, 1.5): "wide",
    (-1, 2): "wide", (-2, 3): "wide", (0, 0): "quiescent", (-1, 0): "quiescent",
    (-1, -1): "quiescent",
}  # fmt: skip


@pytest.mark.untyped
@pytest.mark.parametrize("seed", range(3))
def test_modes_are_named(seed):
    memory = cycle(seed)
    for (auto, hetero), mode in MODES.items():
        assert correlated.attractors(memory.at(auto=auto, hetero=hetero), seed=seed).mode == mode, (
            auto
        )


@pytest.mark.untyped
def test_a_directed_ring_recalls_alone_or_runs():
    memory = cycle(0, graph=nx.cycle_graph(30, create_using=nx.DiGraph))
    found = [correlated.attractors(memory.at(auto=a, hetero=1 - a)) for a in (1.0, 0.6, 0.0, -1.0)]
    assert [one.mode for one in found] == ["auto", "narrow", "sequence", "sequence"]
    assert not found[-1].converged.any()
    assert found[-1].speed > 0.1 > found[0].speed


@pytest.mark.parametrize("auto", [1.0, 0.8, 0.5])
def test_attractors_have_the_closed_form_of_many_neurons(auto):
    memory = cycle(0, 20_000).at(auto=auto, hetero=1 - auto)
    found = correlated.attractors(memory)
    pure = theory.correlated.pure(memory.mixing().numpy())
    assert pure.stable.all()
    for ours, closed in ((found.overlaps, pure.overlaps), (found.correlations, pure.correlations)):
        np.testing.assert_allclose(ours.numpy(), closed, atol=0.03)
        for distance in range(4):  # the mean over the ring is nearer
            means = [np.mean([part[i, (i + distance) % 30] for i in range(30)])
                     for part in (ours.numpy(), closed)]  # fmt: skip
            assert means[0] == pytest.approx(means[1], abs=0.003)


def test_memories_without_neighbours_and_alone():
    memory = kanerva.cdam(200, 1.0, dtype=torch.float64)
    memory.write(torch.rand(1, 200, generator=torch.Generator().manual_seed(0)).double())
    assert correlated.attractors(memory, steps=200).mode == "quiescent"  # the mean is the pattern
    alone = kanerva.cdam(200, 1.0, mean=0.0, dtype=torch.float64)
    alone.write(memory.keys)
    assert correlated.attractors(alone).mode == "auto"
    memory.write(memory.keys[:1])  # a duplicate
    assert correlated.attractors(memory, steps=200).mode == "quiescent"
    islands = cycle(0, graph=nx.empty_graph(5))
    assert correlated.attractors(islands).mode == "auto"


def test_starts_and_noise():
    memory = cycle(0)
    same = [correlated.attractors(memory, seed=3).states for _ in range(2)]
    assert torch.equal(*same)
    given = correlated.attractors(memory, starts=memory.keys.roll(1, 0))
    assert given.overlaps.argmax(-1).tolist() == [29, *range(29)]
    exact = correlated.attractors(memory, noise=0, steps=0)
    torch.testing.assert_close(exact.states, memory.keys)


@pytest.mark.untyped
def test_bad_input_is_named():
    memory = cycle(0)
    bits = kanerva.correlated_hopfield(20, 1.5)
    bits.write(kanerva.bits.random(3, 20, seed=0))
    other = kanerva.cdam(4, 1.0, value_dim=2)
    for call, words in (
        (lambda: correlated.attractors(kanerva.hopfield(4)), "memory must be"),
        (lambda: correlated.attractors(kanerva.cdam(4, 1.0)), "empty"),
        (lambda: correlated.attractors(other), "values of its own"),
        (lambda: correlated.attractors(bits), "noise must be 0"),
        (lambda: correlated.attractors(memory, noise=-1.0), "noise must be"),
        (lambda: correlated.attractors(memory, starts=torch.zeros(3, 1000).double()), "starts"),
    ):
        with pytest.raises((InputError, InputTypeError), match=words):
            call()
    assert correlated.attractors(bits, noise=0).states.abs().eq(1).all()


# Bits


def corners(count):
    """All combinations of signs: the exact average over random patterns."""
    sites = np.arange(2**count)
    signs = np.where((sites[None] >> np.arange(count)[:, None]) & 1, 1.0, -1.0)
    return torch.from_numpy(signs)


@pytest.mark.parametrize("auto", [1.5, 1.9])
def test_a_ring_of_bits_has_the_published_overlaps(auto):
    patterns = corners(15)
    memory = kanerva.correlated_hopfield(2**15, auto, dtype=torch.float64)
    memory.write(patterns)
    memory.connect(nx.cycle_graph(15))
    found = correlated.attractors(memory, noise=0)
    assert found.converged.all()
    overlaps = (patterns @ found.states[7] / 2**15 * 128).round(decimals=9)
    assert overlaps[7:].tolist() == [77, 51, 13, 3, 1, 0, 0, 0]
    assert torch.equal(overlaps[:7], overlaps[8:].flip(0))


def test_a_weak_own_pattern_swings_when_all_bits_are_updated_at_once():
    patterns = corners(15)
    memory = kanerva.correlated_hopfield(2**15, 1.1, dtype=torch.float64)
    memory.write(patterns)
    memory.connect(nx.cycle_graph(15))
    found = memory.settle(patterns[7])
    assert found.swings.item()
    both = [patterns @ state / 2**15 * 128 for state in (found.state, memory.read(found.state))]
    middles = sorted(one[7:11].round().tolist() for one in both)
    assert middles == [[76, 52, 12, 4], [79, 49, 15, 1]]  # around 77, 51, 13, 3


def test_a_strong_own_pattern_is_recalled_alone():
    patterns = corners(15)
    memory = kanerva.correlated_hopfield(2**15, 2.5, dtype=torch.float64)
    memory.write(patterns)
    memory.connect(nx.cycle_graph(15))
    assert torch.equal(memory.recall(patterns[4]), patterns[4])


@pytest.mark.parametrize(("order", "share"), [(1, 0.0), (3, 1.0)])
def test_sequences_of_bits_need_a_high_order(order, share):
    memory = kanerva.sequence_hopfield(100, order)
    patterns = kanerva.bits.random(300, 100, seed=0).double()
    ids = memory.write(patterns)
    memory.link(ids, ids.roll(-1))
    followed = (memory.read(patterns) == patterns.roll(-1, 0)).all(-1)
    assert followed.double().mean() == share
