"""The memory of a head: known heads give back their radius; circles between whole distances."""

import math

import pytest
import torch
from torch.nn.functional import normalize

import kanerva
from kanerva import probe, theory
from kanerva.separation import Circle

N = 64


class Attend(torch.nn.Module):
    """An attention whose queries, keys and softmax inputs are given."""

    def forward(self, query, key, scale, mask=None):
        return torch.nn.functional.scaled_dot_product_attention(
            query, key, key, attn_mask=mask, scale=scale
        )


def measured(query, key, scale, mask=None, rows=40):
    """Return the measured head of an attention."""
    with probe.watch(Attend(), size=None, rows=rows) as heads:
        heads.model(query, key, scale, mask)
    return heads[0, 0]


def drawn(count=30):
    """Return keys on the sphere, and queries near some of them."""
    source = torch.Generator().manual_seed(0)
    key = normalize(torch.randn(1, 1, count, N, generator=source), dim=-1)
    noise = normalize(torch.randn(1, 1, count, N, generator=source), dim=-1)
    return normalize(key + 0.7 * noise, dim=-1), key


def head(beta, rows=40, count=30):
    """Return a measured head whose keys lie on the sphere and whose softmax has this beta."""
    return measured(*drawn(count), beta, rows=rows)


@pytest.mark.parametrize(("beta", "radius"), [(10.0, 15), (25.0, 7), (15.9, 11)])
def test_the_radius_of_a_head_is_that_of_its_beta(beta, radius):
    found = head(beta).fit(1024)
    assert found.radius == radius == theory.beta.radius(N, beta).radius
    assert found.activation == theory.circle.activation(N, radius)
    assert found.beta == theory.beta.fit(N, radius).beta


def test_regimes_are_those_of_the_paper():
    fits = [head(beta).fit(1024) for beta in (3.0, 10.5, 15.0, 30.0, 90.0)]
    optima = tuple(theory.beta.fit(N, radius).beta for radius in (15, 11, 5))
    assert {one.optima for one in fits} == {optima}
    assert [one.regime for one in fits] == ["noise", "noise", "snr", "capacity", "capacity"]
    assert [one.outside for one in fits] == ["broader", "", "", "", "sharper"]


def test_agreement_is_that_of_the_weights_by_hand():
    query, key = (part.double() for part in drawn(12))
    cosines = (query @ key.mT)[0, 0]
    own, other = (10 * cosines).softmax(-1), probe.CosineCircle(N, 15)(cosines)
    misses, whole = (own - other).square().sum(), (own - own.mean()).square().sum()
    found = head(10.0, rows=12, count=12).agreement()[15]
    assert found.variation == pytest.approx(((own - other).abs().sum(-1) / 2).mean().item())
    assert found.r2 == pytest.approx(1 - (misses / whole).item())
    assert found.unreached == 0


def test_a_head_made_of_circles_is_matched_exactly():
    query, key = drawn()
    logs = probe.CosineCircle(N, 13).log_weights((query @ key.mT).double()).float()
    found = measured(query, key, 0.0, logs, rows=8).fit()
    assert found.matched == 13
    assert found.matched_agreement.variation < 1e-5
    assert found.matched_agreement.r2 > 1 - 1e-8


def test_rows_with_nothing_in_reach_count_as_apart():
    found = head(10.0).agreement()[1]
    assert found.unreached > 0.5
    assert found.variation >= found.unreached


def test_caps_can_be_fitted_too():
    found = head(20.0).fit(64, "continuous")
    assert found.radius == theory.beta.radius(N, 20.0, space="continuous").radius
    assert found.activation == theory.cap.activation(N, found.radius)


def test_a_beta_beyond_all_radii_gets_the_smallest():
    found = head(500.0).fit(64)
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


def test_a_memory_of_real_vectors_reads_by_them():
    keys = torch.randn(6, 64, generator=torch.Generator().manual_seed(0))
    rule = probe.CosineCircle(64, 9)
    memory = kanerva.Patterns(64, similarity=kanerva.similarity.cosine, separation=rule)
    memory.write(keys)
    cosines = kanerva.similarity.cosine(keys[:2] + 0.1, keys)
    assert torch.allclose(memory.read(keys[:2] + 0.1), rule(cosines) @ keys, atol=1e-5)


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
        (lambda: head(9.0).fit(1), "patterns must be"),
        (lambda: head(9.0).fit(9, "round"), "space must be"),
        (lambda: head(9.0, rows=0).fit(), "rows must be one or more"),
        (
            lambda: measured(*drawn(2), 1.0, torch.zeros(2, 2, dtype=torch.bool)).fit(),
            "head must be one that attended",
        ),
    ],
)
def test_bad_input_gets_a_sentence(break_it, argument):
    with pytest.raises(kanerva.InputError, match=argument):
        break_it()


def test_weights_that_do_not_vary_are_explained_or_not():
    def found(cosine):
        query, key = torch.zeros(1, 1, 1, N), torch.zeros(1, 1, 1, N)
        query[..., 0], key[..., 0], key[..., 1] = 1.0, cosine, (1 - cosine**2) ** 0.5
        return measured(query, key, 1.0).agreement()[1]

    assert found(1.0) == (0.0, 1.0, 0.0)
    assert found(0.0) == (1.0, 0.0, 1.0)  # nothing in reach
