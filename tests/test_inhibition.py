"""Inhibition by the strongest scores: the weights written out, ties, masks, slopes, routes."""

import copy
import pickle

import pytest
import torch

import kanerva
from kanerva import InputError, Patterns, functional
from kanerva.separation import Inhibition, Softmax
from kanerva.similarity import cosine, dot


def written_out(row, k, gains, kept):
    """Weigh one row by plain Python."""
    positive = [max(0.0, score) for score in row]
    ranked = sorted((score for score, there in zip(positive, kept, strict=True) if there))[::-1]
    taken = ranked[k] if len(ranked) > k else 0.0
    return [
        max(0.0, score - gain * taken) if there else 0.0
        for score, gain, there in zip(positive, gains, kept, strict=True)
    ]


@pytest.mark.untyped
@pytest.mark.parametrize("k", [1, 3, 6, 7, 9])
@pytest.mark.parametrize("gain", [1.0, 0.5, 0.0, -1.0, "each"])
def test_weights_are_those_written_out(k, gain):
    source = torch.Generator().manual_seed(k)
    scores = torch.randn(20, 7, dtype=torch.float64, generator=source)
    scores[:5] = scores[:5].round()  # ties
    gains = torch.rand(7, dtype=torch.float64, generator=source) * 2 - 1
    gain = gains if gain == "each" else gain
    listed = gains.tolist() if torch.is_tensor(gain) else [gain] * 7
    mask = torch.rand(20, 7, generator=source) > 0.3
    for kept in (torch.ones(20, 7, dtype=torch.bool), mask):
        expected = [
            written_out(row, k, listed, there)
            for row, there in zip(scores.tolist(), kept.tolist(), strict=True)
        ]
        torch.testing.assert_close(
            Inhibition(k, gain)(scores, kept), torch.tensor(expected).double()
        )


def test_a_gain_of_one_keeps_the_k_largest():
    scores = torch.tensor([5.0, 1.0, 4.0, 3.0, 2.0])
    assert Inhibition(3)(scores).tolist() == [3.0, 0.0, 2.0, 1.0, 0.0]
    tied = torch.tensor([5.0, 3.0, 3.0, 3.0])  # the k-th is the (k+1)-th: it goes too
    assert Inhibition(2)(tied).tolist() == [2.0, 0.0, 0.0, 0.0]
    assert Inhibition(9)(scores).tolist() == scores.tolist()


@pytest.mark.parametrize("gain", [1.0, 0.3, 0.0, -0.7])
def test_weights_are_the_slope_of_the_potential_where_the_inhibition_is_constant(gain):
    source = torch.Generator().manual_seed(0)
    scores = torch.randn(4, 9, dtype=torch.float64, generator=source).requires_grad_()
    rule = Inhibition(3, gain)
    # The slope of t is left out, so autograd takes it for a constant.
    (slope,) = torch.autograd.grad(rule.potential(scores).sum(), scores)
    torch.testing.assert_close(slope, rule(scores).detach())
    assert not rule.gradient
    assert rule.potential(torch.zeros(9)) == 0


def test_a_constant_inhibition_passes_slopes_to_active_keys_alone():
    scores = torch.tensor([3.0, 2.0, 1.0, -1.0], requires_grad=True)
    (slope,) = torch.autograd.grad(Inhibition(2)(scores).sum(), scores)
    assert slope.tolist() == [1.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize("gain", [1.0, 0.4, -0.5, "each"])
def test_large_reads_take_every_key_into_account(gain):
    source = torch.Generator().manual_seed(1)
    keys = torch.randn(4000, 16, dtype=torch.float64, generator=source)
    query = torch.randn(20, 16, dtype=torch.float64, generator=source)
    if gain == "each":
        gain = torch.rand(4000, dtype=torch.float64, generator=source)
    rule = Inhibition(10, gain)
    read = functional.read(query, keys, keys, similarity=dot, separation=rule)
    torch.testing.assert_close(read, rule(query @ keys.T) @ keys)


def test_a_memory_with_a_gain_for_each_key_is_saved_and_loaded(tmp_path):
    gain = torch.tensor([1.0, 0.0, -1.0])
    memory = Patterns(3, similarity=cosine, separation=Inhibition(1, gain))
    memory.write(torch.eye(3))
    query = torch.tensor([[0.5, 0.4, 0.1]])
    memory.save(tmp_path / "memory.safetensors")
    assert torch.equal(
        kanerva.load(tmp_path / "memory.safetensors").read(query), memory.read(query)
    )


@pytest.mark.untyped
def test_gains_that_do_not_fit_are_refused():
    with pytest.raises(
        InputError, match=r"gain must be \(4,\), one for each key, but it was \(3,\)"
    ):
        Inhibition(1, torch.ones(3))(torch.ones(2, 4))
    blank = torch.ones(3, device="meta")
    sparse = torch.ones(3).to_sparse()
    for gain in (1.5, torch.tensor([0.0, -2.0]), torch.tensor([0.0, torch.nan]), blank, sparse):
        with pytest.raises(InputError, match="Inhibition: gain must be a"):
            Inhibition(1, gain)
    with pytest.raises(InputError, match=r"without data \(on meta\); fill it with numbers first"):
        Inhibition(1, blank)


def test_rules_are_equal_where_k_and_all_gains_are():
    gain = torch.tensor([1.0, 0.0, -0.5])
    rule = Inhibition(2, gain)
    alike = (
        rule,
        Inhibition(2, gain.clone()),
        Inhibition(2, gain.double().requires_grad_()),
        copy.copy(rule),
        copy.deepcopy(rule),
        pickle.loads(pickle.dumps(rule)),
    )
    for other in alike:
        assert rule == other
        assert hash(rule) == hash(other)
        assert repr(other).startswith("Inhibition(k=2, gain=tensor([ 1.0")
    assert len(set(alike)) == 1
    others = (
        Inhibition(3, gain),
        Inhibition(2, -gain),
        Inhibition(2, gain[:2]),
        Inhibition(2, 1.0),
        Softmax(1.0),
        None,
    )
    for other in others:
        assert rule != other
        assert other != rule
    assert Inhibition(2) == Inhibition(2, 1)
    assert hash(Inhibition(2)) == hash(Inhibition(2, 1))
    assert Inhibition(2) != Inhibition(2, 0.5)
    assert Inhibition(2, torch.ones(3)) != Inhibition(2)
