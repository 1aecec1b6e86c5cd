"""Short series of the log-weights, and reads by flexible attention, against the exact ones."""

import math

import pytest
import torch

import kanerva
from kanerva import bits, functional, settings
from kanerva._engine import flex
from kanerva.separation import (
    Cap,
    Circle,
    Compact,
    Exponential,
    Linear,
    Normalised,
    Power,
    Softmax,
    Step,
    TopK,
)
from kanerva.similarity import agreement, closeness, cosine, dot, manhattan

CIRCLES = (
    Circle(1, 0),
    Circle(2, 1),
    Circle(64, 5),
    Circle(64, 11),
    Circle(64, 24),
    Circle(63, 40),
    Circle(64, 63),
    Circle(128, 40),
)
CAPS = (Cap(3, 1.0), Cap(64, 0.5), Cap(64, 11), Cap(64, 24), Cap(128, 40.5), Cap(1000, 451))


class FarAway(torch.Tensor):
    """A tensor whose ``device`` is a GPU."""

    device = torch.device("cuda")


# torch.compile, which flexible attention uses, cannot trace run-time type checks.
compiles = pytest.mark.untyped


def cosines(part):
    """Return a hundred thousand cosines from 1 to -1, dense near 1, down to a gap of 1e-15."""
    near = torch.logspace(-15, 0, 20_000, dtype=torch.float64)
    return 1 - torch.cat([near, torch.linspace(0, 2, 80_000, dtype=torch.float64)])


def within(part, scores, exact):
    """Return which scores are in reach of a cap, without the last thousandth.

    There a rounding of the cosine changes the logarithm too much.
    """
    square = 4 * part.radius * (part.dim - part.radius) / part.dim**2
    return (exact > -math.inf) & (1 - scores < 2 * square * 0.999)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("part", CIRCLES, ids=str)
def test_the_series_of_a_circle_is_right_at_every_distance(part, tolerance):
    fit = flex.log_weight_fit(part, tolerance)
    scores = torch.arange(part.bits + 1, dtype=torch.float64)
    exact = part.log_weights(scores)
    exact = exact - exact[-1]
    there = exact > -math.inf
    assert torch.equal(fit(scores) > -math.inf, there)
    worst = (fit(scores) - exact)[there].abs().max().item()
    assert worst <= tolerance
    assert worst == pytest.approx(fit.error, abs=1e-9)
    assert fit.degree <= min(part.radius, 27)
    single = fit(scores.float())
    assert single.dtype == torch.float32
    found = single[there].double()
    torch.testing.assert_close(found, exact[there], rtol=1e-6, atol=tolerance + 2e-6)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("part", CAPS, ids=str)
def test_the_series_of_a_cap_is_right_at_every_angle(part, tolerance):
    fit = flex.log_weight_fit(part, tolerance)
    scores = cosines(part)
    exact = part.log_weights(scores)
    assert torch.equal(fit(scores) > -math.inf, exact > -math.inf)
    there = within(part, scores, exact)
    assert there.sum() > 1_000
    worst = (fit(scores) - exact)[there].abs().max().item()
    assert worst <= 1.01 * tolerance
    assert worst > 0.3 * fit.error
    assert fit.degree <= 12
    # Roundings matter more near the end of the reach, for the rule itself too.
    single, found = part.log_weights(scores.float()), fit(scores.float())
    torch.testing.assert_close(found[there], single[there], rtol=2e-5, atol=tolerance + 2e-6)


def test_a_smaller_tolerance_takes_a_longer_series():
    tolerances = (1e-2, 1e-3, 1e-4, 1e-6)
    for part, degrees in ((Cap(64, 11), [4, 6, 7, 10]), (Circle(64, 24), [9, 12, 15, 19])):
        assert [flex.log_weight_fit(part, each).degree for each in tolerances] == degrees


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("part", "tolerance"), [(Circle(1000, 451), 1e-6), (Cap(64, 11), 0.0), (Cap(64, 11), "none")]
)
def test_what_no_series_reaches_is_refused(part, tolerance):
    with pytest.raises(kanerva.InputError, match="log_weight_fit: tolerance must be"):
        flex.log_weight_fit(part, tolerance)


def test_the_tolerance_that_an_error_names_is_reached():
    with pytest.raises(kanerva.InputError) as caught:
        flex.log_weight_fit(Circle(1000, 451), 1e-6)
    least = float(caught.value.must.split()[2])
    assert 1e-6 < flex.log_weight_fit(Circle(1000, 451), least).error <= least < 1e-3


def test_a_table_is_used_in_place_of_a_long_series():
    """A circle of 256 bits takes 44 terms; its table has one entry for each distance."""
    rule, table = flex._rule(Circle(256, 103), 1e-6)
    assert rule is flex._table
    exact = Circle(256, 103).log_weights(torch.arange(256, -1, -1).double())
    assert torch.equal(table, exact - exact[0])
    assert flex._rule(Circle(64, 11), 1e-6)[0] is flex._circle
    scores, single = torch.tensor([256.0, 100.4, -3.0, 300.0]), table.float()
    assert torch.equal(flex._table(scores, single), single[[0, 156, 256, 0]])


BITS = (
    Circle(48, 4),
    Circle(48, 16),
    Circle(48, 30),
    Softmax(0.3),
    Normalised(Power(5)),
    Normalised(Step(26)),
    Cap(48, 20),
)
VECTORS = (
    (cosine, Cap(48, 11)),
    (cosine, Cap(48, 20.5)),
    (cosine, Softmax(8.0)),
    (dot, Softmax(torch.tensor(0.4))),
    (dot, Normalised(Power(30))),
    (dot, Normalised(Compact(0.2))),
    (dot, Normalised(Exponential(1.5))),
    (dot, Normalised(Step(2))),
    (closeness, Softmax(0.3)),
    (closeness, Normalised(Compact(0.025))),
)


def reads_alike(query, keys, values, similarity, separation):
    """Read both ways; return the share of queries that are empty."""
    value, empty = flex.flex_field(query, keys, values, similarity, separation)
    exact = functional.field(query, keys, values, similarity, separation)
    assert torch.equal(empty, exact.empty)
    assert value.dtype == exact.value.dtype
    torch.testing.assert_close(value, exact.value, rtol=1e-5, atol=5e-6)
    return empty.float().mean().item()


@compiles
@pytest.mark.parametrize("separation", BITS, ids=str)
def test_bits_are_read_as_without_it(separation):
    source = torch.Generator().manual_seed(0)
    query, keys = bits.random(9, 48, seed=source), bits.random(50, 48, seed=source)
    keys[:9] = bits.flip(query, 3, seed=source)
    values = torch.randn(50, 5, generator=source)
    similarity = cosine if isinstance(separation, Cap) else agreement
    assert reads_alike(query, keys, values, similarity, separation) == 0
    if isinstance(separation, Circle) and separation.radius < 10:
        assert 0.5 < reads_alike(-query, keys, values, similarity, separation) <= 1


@compiles
@pytest.mark.parametrize(
    ("similarity", "separation"), VECTORS, ids=lambda part: getattr(part, "__name__", str(part))
)
def test_vectors_are_read_as_without_it(similarity, separation):
    source, shapes = torch.Generator().manual_seed(0), ((2, 7, 48), (50, 48), (50, 17))
    query, keys, values = (torch.randn(*shape, generator=source) for shape in shapes)
    share = reads_alike(query, keys, values, similarity, separation)
    assert share == 1 if separation == Cap(48, 11) and share else share < 1


@compiles
def test_nothing_within_reach_reads_zeros():
    keys = torch.eye(20)[:3]
    query = torch.stack([-keys.sum(0), keys[0]])
    value, empty = flex.flex_field(query, keys, keys, dot, Normalised(Power(3)))
    assert value.tolist() == [[0.0] * 20, keys[0].tolist()]
    assert empty.tolist() == [True, False]


@compiles
def test_no_keys_and_no_queries():
    rule = (dot, Softmax(1.0))
    read = flex.flex_read(torch.ones(2, 3), torch.ones(0, 3), torch.ones(0, 4), *rule)
    assert read.tolist() == [[0.0] * 4] * 2
    read = flex.flex_read(torch.ones(0, 2, 3), torch.ones(5, 3), torch.ones(5, 4), *rule)
    assert read.shape == (0, 2, 4)


@compiles
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_dtypes_are_kept(dtype):
    source, rule = torch.Generator().manual_seed(0), (agreement, Circle(32, 12))
    query, keys = (bits.random(count, 32, seed=source, dtype=dtype) for count in (4, 30))
    read = flex.flex_read(query, keys, keys, *rule)
    assert read.dtype == dtype
    exact = functional.read(query.double(), keys.double(), keys.double(), *rule)
    near = 1e-5 if dtype == torch.float64 else 0.02
    torch.testing.assert_close(read.double(), exact, rtol=0, atol=near)


@pytest.mark.parametrize("separation", [Linear(), TopK(2, 1.0), Power(3), Circle(32, 5)])
def test_other_rules_are_refused(separation):
    assert not flex.takes(separation, 16)
    with pytest.raises(kanerva.InputError, match="flex_read: separation must be"):
        flex.flex_read(torch.ones(16), torch.ones(2, 16), torch.ones(2, 16), dot, separation)


def test_other_similarities_are_refused():
    keys = torch.ones(2, 16)
    with pytest.raises(kanerva.InputError, match="flex_read: separation must be"):
        flex.flex_read(keys[0], keys, keys, manhattan, Softmax(1.0))


def test_nan_is_refused():
    query, keys = torch.full((16,), torch.nan), torch.ones(2, 16)
    with pytest.raises(kanerva.InputError, match="read: query must be finite"):
        flex.flex_read(query, keys, keys, agreement, Circle(16, 5))


def test_a_trained_rule_is_read_by_another_route():
    beta = torch.tensor(1.0, requires_grad=True)
    assert not flex.takes(Softmax(beta), 8)
    with torch.no_grad():
        assert flex.takes(Softmax(beta), 8)


def test_the_cpu_reads_by_another_route():
    x = torch.ones(2, 16)
    assert not flex.reads(x, x, x, agreement, Circle(16, 5))


def test_reads_on_a_gpu_are_taken_where_they_fit(monkeypatch):
    """Tensors whose ``device`` is a GPU are enough for the choice."""
    monkeypatch.setattr(flex, "find_spec", lambda name: object())
    small, long = FarAway(torch.ones(2, 16)), FarAway(torch.ones(2, 300))
    rule = Circle(16, 5)
    assert flex.reads(small, small, small, agreement, rule)
    assert not flex.reads(long, long, long, cosine, Cap(300, 60))
    assert not flex.reads(small, small, long, agreement, rule)
    assert not flex.reads(small, small, small, agreement, Circle(17, 5))
    assert not flex.reads(small, small, small, manhattan, Softmax(1.0))
    assert not flex.reads(small, small[:0], small[:0], agreement, rule)
    assert not flex.reads(small.double(), small, small, agreement, rule)
    learned = FarAway(torch.ones(2, 16, requires_grad=True))
    assert not flex.reads(learned, small, small, agreement, rule)
    with settings.use(engine="torch"):
        assert not flex.reads(small, small, small, agreement, rule)


@pytest.mark.parametrize(("width", "padded"), [(1, 16), (16, 16), (17, 32), (64, 64), (100, 128)])
def test_heads_are_padded_to_what_a_kernel_multiplies(width, padded):
    rows = torch.arange(3.0 * width).reshape(3, width) + 1
    laid = flex._padded(rows)
    assert laid.shape == (1, 1, 3, padded)
    assert torch.equal(laid[0, 0, :, :width], rows)
    assert not laid[..., width:].any()
