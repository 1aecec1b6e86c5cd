"""The memory of a head: known heads give back their radius, and circles between whole distances are circles."""

import math

import pytest
import torch

import kanerva
from kanerva import probe, theory
from kanerva.probe import _fit
from kanerva.probe._summary import Summary
from kanerva.probe._taps import Call
from kanerva.separation import Circle

N = 64


def seen(beta, rows=40, count=30, space=None, radius=None, dim=N):
    """Sum up a head whose keys lie on the sphere and whose softmax has this beta, queries near some of its keys."""
    source = torch.Generator().manual_seed(0)
    key = torch.nn.functional.normalize(torch.randn(1, 1, count, dim, generator=source), dim=-1)
    noise = torch.nn.functional.normalize(torch.randn(1, 1, count, dim, generator=source), dim=-1)
    query = torch.nn.functional.normalize(key + 0.7 * noise, dim=-1)
    summary = Summary(1, None, rows, 0)
    summary.add(Call(query, key, key, None, None, beta), None, None)
    return summary


@pytest.mark.parametrize(("beta", "radius"), [(10.0, 15), (25.0, 7), (15.9, 11)])
def test_the_radius_of_a_head_is_that_of_its_beta(beta, radius):
    found = _fit.fit(seen(beta), 0, 1024, "binary")
    assert found.radius == radius == theory.beta.radius(N, beta).radius
    assert found.activation == theory.circle.activation(N, radius)
    assert found.beta == theory.beta.fit(N, radius).beta


def test_regimes_are_those_of_the_paper():
    optima = _fit.optima(N, 1024)
    assert optima == tuple(theory.beta.fit(N, radius).beta for radius in (15, 11, 5))
    regimes = {
        beta: _fit.fit(seen(beta), 0, 1024, "binary") for beta in (3.0, 10.5, 15.0, 30.0, 90.0)
    }
    assert [one.regime for one in regimes.values()] == [
        "noise",
        "noise",
        "snr",
        "capacity",
        "capacity",
    ]
    assert [one.outside for one in regimes.values()] == ["broader", "", "", "", "sharper"]


def test_agreement_is_that_of_the_weights_by_hand():
    summary = seen(10.0, rows=5, count=12)
    found = _fit.agreement(summary, "binary")[15][0]
    variations, misses, own = [], 0.0, []
    for inputs, cosines in summary.rows:
        mine, theirs = inputs[0].double().softmax(0), probe.CosineCircle(N, 15)(cosines[0].double())
        variations.append((mine - theirs).abs().sum().item() / 2)
        misses += (mine - theirs).square().sum().item()
        own.append(mine)
    own = torch.cat(own)
    assert found.variation == pytest.approx(sum(variations) / 5)
    assert found.r2 == pytest.approx(1 - misses / (own - own.mean()).square().sum().item())
    assert found.unreached == 0


def test_a_head_made_of_circles_is_matched_exactly():
    summary = seen(1.0, rows=8)
    part = probe.CosineCircle(N, 13)
    summary.rows = [
        (part.log_weights(cosines.double()).float(), cosines) for _, cosines in summary.rows
    ]
    summary.compared.clear()
    found = _fit.fit(summary, 0, None, "binary")
    assert found.matched == 13
    assert found.matched_agreement.variation < 1e-5
    assert found.matched_agreement.r2 > 1 - 1e-8


def test_rows_with_nothing_in_reach_count_as_apart():
    summary = seen(10.0)
    found = _fit.agreement(summary, "binary")[1][0]
    assert found.unreached > 0.5
    assert found.variation >= found.unreached


def test_caps_can_be_fitted_too():
    found = _fit.fit(seen(20.0), 0, 64, "continuous")
    assert found.radius == theory.beta.radius(N, 20.0, space="continuous").radius
    assert found.activation == theory.cap.activation(N, found.radius)


def test_a_beta_beyond_all_radii_gets_the_smallest():
    found = _fit.fit(seen(500.0), 0, 64, "binary")
    assert (found.radius, found.outside) == (1, "sharper")


# Circles of cosines.


@pytest.mark.parametrize(("bits", "radius"), [(64, 5), (64, 15), (32, 7), (7, 0), (1000, 451)])
def test_at_whole_distances_they_are_circles(bits, radius):
    distances = torch.arange(bits + 1.0, dtype=torch.float64)
    cosines = 1 - 2 * distances / bits
    mine, theirs = (
        probe.CosineCircle(bits, radius).log_weights(cosines),
        Circle(bits, radius).log_weights(bits - distances),
    )
    assert torch.equal(mine.isinf(), theirs.isinf())
    assert torch.allclose(mine[mine.isfinite()], theirs[mine.isfinite()], atol=1e-6)
    chosen = torch.tensor([0, 2 * radius if 2 * radius <= bits else 0, bits])
    assert torch.allclose(
        probe.CosineCircle(bits, radius)(cosines[chosen]),
        Circle(bits, radius)((bits - distances)[chosen]),
    )


def test_between_whole_distances_they_fall_and_end_at_twice_the_radius():
    part = probe.CosineCircle(64, 9)
    distances = torch.linspace(0, 64, 6401, dtype=torch.float64)
    logs = part.log_weights(1 - 2 * distances / 64)
    assert (logs[1:] <= logs[:-1] + 1e-9).all()
    assert logs[distances < 18 - 1e-9].isfinite().all()
    assert logs[distances > 18 + 1e-9].isinf().all()


def test_rows_masks_and_dtypes():
    part = probe.CosineCircle(64, 5)
    scores = torch.tensor([[1.0, 0.9, -1.0], [-1.0, -0.5, 0.0]])
    weights = part(scores)
    assert weights.sum(-1).tolist() == pytest.approx([1, 0])
    masked = part(scores, torch.tensor([False, True, True]))
    assert masked[0].tolist() == pytest.approx([0, 1, 0])
    assert part(scores.bfloat16()).dtype == torch.bfloat16
    grad = torch.tensor([0.97, 0.9], requires_grad=True)
    part(grad)[0].backward()
    assert grad.grad.isfinite().all()
    assert grad.grad[0] > 0


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("break_it", "argument"),
    [
        (lambda: probe.CosineCircle(0, 0), "bits must be"),
        (lambda: probe.CosineCircle(8, 8), "radius must be"),
        (lambda: probe.CosineCircle(8, 2)(torch.tensor([1])), "scores must be"),
        (lambda: probe.CosineCircle(8, 2)(torch.tensor([1.5])), "scores must be"),
        (lambda: probe.CosineCircle(8, 2)(torch.tensor([math.nan])), "scores must be"),
        (lambda: probe.CosineCircle(8, 2).potential(torch.tensor([1.0])), "separation must be"),
        (lambda: _fit.fit(seen(9.0), 0, 1, "binary"), "patterns must be"),
        (lambda: _fit.fit(seen(9.0), 0, 9, "round"), "space must be"),
        (
            lambda: _fit.fit(Summary(1, None, 4, 0), 0, None, "binary"),
            "head must be one that was watched",
        ),
    ],
)
def test_bad_input_gets_a_sentence(break_it, argument):
    with pytest.raises(kanerva.InputError, match=argument):
        break_it()


def test_weights_that_do_not_vary_are_explained_or_not():
    def found(scores):
        summary = Summary(1, None, 4, 0)
        query, key = torch.tensor([[[[1.0] + [0.0] * (N - 1)]]]), torch.zeros(1, 1, 1, N)
        key[..., 0], key[..., 1] = scores, (1 - scores**2) ** 0.5
        summary.add(Call(query, key, key, None, None, 1.0), None, None)
        return _fit.agreement(summary, "binary")[1][0]

    assert found(1.0) == (0.0, 1.0, 0.0)
    assert found(0.0) == (1.0, 0.0, 1.0)  # nothing in reach
