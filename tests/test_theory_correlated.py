"""The correlated memory of many neurons: printed numbers, the full model, the flow, its laws."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanerva import InputError, InputTypeError
from kanerva.theory import correlated

PAIRS = ((1, 0), (0.5, 0.5), (0, 1), (-0.5, 1.5), (-1, 2), (-2, 3))
SHARPNESS = 1000 / 12  # A thousand neurons of patterns uniform in 0 to 1, at beta 1.


def along(count):
    """Return the directed cycle 0 -> 1 -> ... -> 0."""
    return np.roll(np.eye(count), 1, axis=1)


def cycle(count):
    """Return the undirected cycle, normalised."""
    return (along(count) + along(count).T) / 2


def cubic(count):
    """Return a cycle with its diameters, a graph of degree 3, normalised."""
    return (along(count) + along(count).T + np.roll(np.eye(count), count // 2, axis=1)) / 3


def mixed(graph, a, h):
    return a * np.eye(len(graph)) + h * graph


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def flow(state, mixing, sharpness, mean=1.0):
    """Evaluate the right-hand side for one state, memory by memory."""
    weights = [math.exp(sharpness * (own - max(state))) for own in state]
    weights = [weight / sum(weights) for weight in weights]
    change = -np.array(state) - mean / len(state)
    for i, weight in enumerate(weights):
        change += weight * mixing[i]
    return change


def path(state, mixing, sharpness, rate, steps, mean=1.0):
    """Return the states of Euler's method from several states at once."""
    states = [state]
    for _ in range(steps):
        above = np.exp(sharpness * (state - state.max(1, keepdims=True)))
        weights = above / above.sum(1, keepdims=True)
        state = state + rate * (weights @ mixing - mean / len(mixing) - state)
        states.append(state)
    return np.stack(states)


def random(seed, count):
    return np.random.default_rng(seed).normal(size=(count, count))


# ---- pure states ----


@pytest.mark.parametrize(
    ("graph", "a", "h", "overlaps", "correlations"),
    [
        (cycle(30), 1, 0, (0.9832, -0.0339, -0.0339), (-0.0345, -0.0345, -0.0345)),
        (cycle(30), 0.5, 0.5, (0.7984, 0.3707, -0.0570), (0.6341, 0.0854, -0.0976)),
        (cycle(30), 0.8, 0.2, (0.9685, 0.0842, -0.0421), None),
        (cubic(30), 0.5, 0.5, (0.8520, 0.2434, -0.0609), None),
    ],
)
def test_pure_states_are_the_tabulated_ones(graph, a, h, overlaps, correlations):
    found = correlated.pure(mixed(graph, a, h))
    assert found.stable.all()
    for row in range(30):
        far = found.overlaps[row, (row + np.arange(3)) % 30]
        np.testing.assert_allclose(far, overlaps, rtol=0, atol=5.1e-5)
        if correlations is not None:
            far = found.correlations[row, (row + np.arange(1, 4)) % 30]
            np.testing.assert_allclose(far, correlations, rtol=0, atol=5.1e-5)


def test_pure_states_are_those_of_the_formula():
    mixing = random(0, 7)
    found = correlated.pure(mixing, mean=0.3)
    for i in range(7):
        for j in range(7):
            first, second = mixing[i] - 0.3 / 7, mixing[j] - 0.3 / 7
            assert found.overlaps[i, j] == pytest.approx(first[j] / math.hypot(*first))
            cosine = sum(first * second) / math.hypot(*first) / math.hypot(*second)
            assert found.correlations[i, j] == pytest.approx(cosine)


@pytest.mark.parametrize(("graph", "degree"), [(cycle(30), 2), (cubic(30), 3)])
def test_pure_states_are_stable_above_h_over_the_degree(graph, degree):
    for h in (0.1, 0.5, 0.7, 2.0):
        assert correlated.pure(mixed(graph, h / degree + 1e-6, h)).stable.all()
        assert not correlated.pure(mixed(graph, h / degree - 1e-6, h)).stable.any()
        # Equal entries are no strict maximum.
        even = np.where(mixed(graph, 1, 1) > 0, 0.5, 0.0)
        assert not correlated.pure(even).stable.any()


@given(st.integers(0, 2**32), st.integers(1, 6))
def test_stable_is_where_attention_stays(seed, count):
    mixing = random(seed, count)
    ends = correlated.settle(mixing, 1e6, rate=0.5, steps=60)
    for row in np.flatnonzero(correlated.pure(mixing).stable):
        np.testing.assert_allclose(ends[row], mixing[row] - 1 / count, rtol=0, atol=1e-12)
    for row in np.flatnonzero(~correlated.pure(mixing).stable):
        assert not np.allclose(ends[row], mixing[row] - 1 / count, atol=1e-6)


def test_states_that_vanish_have_no_overlap():
    found = correlated.pure(np.eye(1))
    assert found.stable.tolist() == [True]
    assert found.overlaps.tolist() == found.correlations.tolist() == [[0.0]]
    # The sum of ten tenths is not exactly one.
    found = correlated.pure(np.full((10, 10), 0.1 + 0.2 - 0.2), mean=1.0)
    assert not found.overlaps.any()
    assert not found.correlations.any()
    tiny = correlated.pure(1e-300 * np.eye(3), mean=0.0)
    np.testing.assert_array_equal(tiny.overlaps, np.eye(3))
    huge = correlated.pure(1e100 * np.eye(3)).overlaps
    np.testing.assert_allclose(huge, np.eye(3), rtol=0, atol=1e-90)


# ---- orientation, and the full model ----


def full(patterns, graph, a, h, beta, rate=0.1, steps=100):
    """Run the model on neurons, as it is printed: rows are states, columns of patterns memories."""
    projection = a * patterns + h * patterns @ graph.T
    state, mean = patterns.T.copy(), patterns.mean(axis=1)
    for _ in range(steps):
        scores = beta * state @ patterns
        above = np.exp(scores - scores.max(axis=1, keepdims=True))
        weights = above / above.sum(axis=1, keepdims=True)
        state += rate * (weights @ projection.T - mean - state)
    return state


@pytest.mark.untyped
@pytest.mark.parametrize(("a", "h"), [(0.6, 0.4), (0.8, 0.2), (1, 0), (1, -0.4)])
@pytest.mark.parametrize(
    "graph", [cycle(12), along(12), cubic(12)], ids=["cycle", "along", "cubic"]
)
def test_many_neurons_have_the_reduced_states(graph, a, h):
    patterns = np.random.default_rng(5).random((10_000, 12))
    state = full(patterns, graph, a, h, 1.0)
    both = np.corrcoef(np.concatenate([state, patterns.T]))
    overlaps, correlations = both[:12, 12:], both[:12, :12]
    ends = unit(correlated.settle(mixed(graph, a, h), 10_000 / 12))
    np.testing.assert_allclose(overlaps, ends, rtol=0, atol=0.05)
    np.testing.assert_allclose(correlations, ends @ ends.T, rtol=0, atol=0.05)
    found = correlated.pure(mixed(graph, a, h))
    assert found.stable.all()
    np.testing.assert_allclose(found.overlaps, ends, rtol=0, atol=1e-4)
    np.testing.assert_allclose(found.correlations, ends @ ends.T, rtol=0, atol=1e-4)


def test_a_directed_cycle_is_run_along_its_edges():
    graph = along(3)
    assert graph[0].tolist() == [0, 1, 0]
    found = correlated.pure(mixed(graph, 0.6, 0.4))
    assert found.overlaps[0, 1] > 0 > found.overlaps[0, 2]
    heads = [
        correlated.settle(mixed(graph, 0, 1), 1e4, steps=steps).argmax(1).tolist()
        for steps in range(80)
    ]
    for start in range(3):
        visits = [heads[0][start]]
        for head in heads:
            if head[start] != visits[-1]:
                visits.append(head[start])
        assert len(visits) > 4
        assert visits == [(start + step) % 3 for step in range(len(visits))]


# ---- the reduced dynamics ----


def test_settled_states_are_the_tabulated_ones():
    ends = unit(correlated.settle(mixed(cycle(30), 0.4, 0.6), 20_000 / 12))
    for row in range(30):
        place = (row + np.arange(4)) % 30
        np.testing.assert_allclose(ends[row, place[:2]], (0.6621, 0.4815), rtol=0, atol=5.1e-5)
        np.testing.assert_allclose(ends[row, place[2:]], -0.060, rtol=0, atol=5.1e-4)
        correlations = (ends @ ends.T)[row, place[1:]]
        np.testing.assert_allclose(correlations, (0.6739, 0.1848, -0.1087), rtol=0, atol=5.1e-5)


@pytest.mark.parametrize(
    ("seed", "sharpness", "mean"), [(0, 3.0, 1.0), (1, 10.0, 0.0), (2, 0, 2.5)]
)
def test_short_steps_follow_the_flow(seed, sharpness, mean):
    from scipy.integrate import solve_ivp

    mixing, far = random(seed, 6), []
    exact = [
        solve_ivp(
            lambda _, state: flow(state, mixing, sharpness, mean),
            (0, 3),
            start,
            method="LSODA",
            rtol=1e-10,
            atol=1e-12,
        ).y[:, -1]
        for start in np.eye(6)
    ]
    for steps in (1500, 3000):
        ends = correlated.settle(mixing, sharpness, mean, rate=3 / steps, steps=steps)
        far.append(np.abs(ends - exact).max())
    assert far[0] < 5e-3
    # Euler's method is of the first order.
    assert far[1] == pytest.approx(far[0] / 2, rel=0.02)


def test_single_steps():
    mixing = random(3, 5)
    np.testing.assert_array_equal(correlated.settle(mixing, 2.0, steps=0), np.eye(5))
    whole = correlated.settle(mixing, 2.0, mean=0.5, rate=1.0, steps=1)
    weights = np.exp(2 * np.eye(5))
    expected = weights @ mixing / weights.sum(1, keepdims=True) - 0.1
    np.testing.assert_allclose(whole, expected, rtol=0, atol=1e-14)
    # The exponential of a thousand is beyond the range of floats.
    assert np.isfinite(correlated.settle(mixing, 1e100, steps=3)).all()
    assert np.isfinite(correlated.settle(1e100 * mixing / 10, 1e100, steps=3)).all()
    whole = np.array([[2, 1], [1, 2]])
    np.testing.assert_array_equal(
        correlated.settle(whole, 5.0), correlated.settle(whole.astype(float), 5.0)
    )


# ---- the Lyapunov function ----


def energy(state, mixing, sharpness):
    """Evaluate the function as it is printed."""
    from scipy.special import logsumexp, softmax

    weights = softmax(sharpness * state)
    return (
        -weights @ mixing @ weights / 2 + state @ weights - logsumexp(sharpness * state) / sharpness
    )


@pytest.mark.parametrize("mean", [1.0, 0.0])
@pytest.mark.parametrize(("a", "h"), PAIRS)
def test_the_function_does_not_rise_along_short_steps(a, h, mean):
    mixing = mixed(cycle(30), a, h)
    states = path(np.eye(30), mixing, SHARPNESS, 0.01, 1000, mean)
    ends = correlated.settle(mixing, SHARPNESS, mean, rate=0.01, steps=1000)
    np.testing.assert_allclose(states[-1], ends, rtol=0, atol=1e-9)
    found = correlated.lyapunov(states, mixing, SHARPNESS)
    assert found.shape == (1001, 30)
    assert np.diff(found, axis=0).max() <= 1e-12
    assert (found[0] - found[-1]).min() > 0 or (a, h) == (1, 0)


@given(st.integers(0, 2**32), st.integers(1, 6), st.floats(0.01, 300), st.floats(-3, 3))
def test_the_function_falls_by_the_squared_speed(seed, count, sharpness, mean):
    draw = np.random.default_rng(seed)
    mixing = random(seed, count)
    mixing, state = mixing + mixing.T, draw.normal(size=count)
    found = float(correlated.lyapunov(state, mixing, sharpness))
    assert found == pytest.approx(energy(state, mixing, sharpness), rel=1e-10, abs=1e-10)
    # dL / dt by the flow is -sum_j p_j (v_j - the mean of v under p)^2 s, for the speed v.
    speed = flow(state, mixing, sharpness, mean)
    weights = np.exp(sharpness * (state - state.max()))
    weights /= weights.sum()
    expected = -sharpness * (weights @ speed**2 - (weights @ speed) ** 2)
    step = 1e-5 / (1 + sharpness)
    ahead, behind = (
        float(correlated.lyapunov(state + sign * step * speed, mixing, sharpness))
        for sign in (1, -1)
    )
    assert (ahead - behind) / (2 * step) == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_the_function_has_the_shape_of_the_states():
    mixing = mixed(cycle(4), 0.5, 0.5)
    states = np.random.default_rng(0).normal(size=(2, 3, 4))
    found = correlated.lyapunov(states, mixing, 5.0)
    assert found.shape == (2, 3)
    assert correlated.lyapunov(states[1, 2], mixing, 5.0).shape == ()
    assert float(correlated.lyapunov(states[1, 2], mixing, 5.0)) == pytest.approx(found[1, 2])
    # A common number changes neither the attention nor the function.
    np.testing.assert_allclose(correlated.lyapunov(states + 7, mixing, 5.0), found, atol=1e-12)
    assert np.isfinite(correlated.lyapunov(1e100 * states / 10, 1e100 * mixing, 1e100)).all()
    assert np.isfinite(correlated.lyapunov(states, mixing, 1e-100)).all()


# ---- uniform attention ----


def test_uniform_attention_of_the_cycle():
    second = math.cos(2 * math.pi / 30)
    assert second == pytest.approx(0.978, abs=5e-4)
    for a, h in ((0.3, 0.3), (0.5, 0.5), (0, 1), (-0.5, 1.5)):
        edge = 30 / (a + h * second)
        assert correlated.uniform(mixed(cycle(30), a, h), edge * (1 - 1e-9))
        assert not correlated.uniform(mixed(cycle(30), a, h), edge * (1 + 1e-9))
    for a, h in ((-1, 1), (-1, -1), (0, 0), (-0.5, 0.5)):
        assert correlated.uniform(mixed(cycle(30), a, h), 1e6)
    assert correlated.uniform(np.eye(1), 1e6)  # nothing to choose from


def test_patterned_states_may_be_stable_beside_uniform_attention():
    mixing, sharpness = mixed(cycle(30), 0.3, 0.3), 0.66 * 30 / (0.3 + 0.3 * 0.978)
    assert correlated.uniform(mixing, sharpness)
    ends = unit(correlated.settle(mixing, sharpness, steps=2000))
    assert (ends.argmax(1) == np.arange(30)).all()
    assert ends.diagonal().min() > 0.5


def even(seed, count):
    """Return a directed mixing with equal sums of columns, and unequal ones of rows."""
    mixing = random(seed, count)
    return mixing - mixing.mean(axis=0) + np.random.default_rng(seed).normal()


@given(st.integers(0, 2**32), st.integers(2, 8), st.floats(0, 10))
def test_uniform_is_that_of_the_derivatives_of_the_flow(seed, count, sharpness):
    mixing = even(seed, count)
    rest = np.full(count, mixing[:, 0].mean() - 1 / count)
    np.testing.assert_allclose(flow(rest, mixing, sharpness), 0, atol=1e-12)
    step = 1e-5
    slopes = np.stack(
        [
            (
                flow(rest + step * one, mixing, sharpness)
                - flow(rest - step * one, mixing, sharpness)
            )
            / (2 * step)
            for one in np.eye(count)
        ]
    )
    fastest = np.linalg.eigvals(slopes).real.max()
    if abs(fastest) > 1e-3:
        assert correlated.uniform(mixing, sharpness) == (fastest < 0)


@given(st.integers(0, 2**32), st.booleans(), st.floats(0.1, 60))
def test_uniform_is_where_small_disturbances_die_out(seed, directed, sharpness):
    draw = np.random.default_rng(seed)
    weights = draw.normal(size=9)  # what each memory gives to those after it
    if not directed:
        weights = weights + weights[-np.arange(9)]
    mixing = np.stack([np.roll(weights, shift) for shift in range(9)])
    rest = np.full(9, weights.sum() / 9 - 1 / 9)
    first = 1e-7 * draw.normal(size=(1, 9))
    ends = path(rest + first, mixing, sharpness, 0.02, 1000)
    left = [float(np.linalg.norm(state - state.mean())) for state in ends[[0, -1]]]
    growth = math.log(max(left[1], 1e-20) / left[0]) / 20
    pulls = sharpness / 9 * np.fft.fft(weights)[1:]  # the eigenvalues of a circulant array
    if abs(growth) > 0.2:  # in between, the slowest disturbances have not yet shown
        assert (np.abs(1 - 0.02 + 0.02 * pulls).max() < 1) == (growth < 0)
        assert directed or correlated.uniform(mixing, sharpness) == (growth < 0)
    if abs(pulls.real.max() - 1) > 1e-9:
        assert correlated.uniform(mixing, sharpness) == (pulls.real.max() < 1)


def test_directed_cycles_turn_small_disturbances():
    # The eigenvalues of three memories in a circle are 1 and -1 / 2 +- i sqrt(3) / 2.
    assert correlated.uniform(along(3), 1e6)
    assert correlated.uniform(mixed(along(3), 0.7, 1), 3 / 0.2 - 1e-6)
    assert not correlated.uniform(mixed(along(3), 0.7, 1), 3 / 0.2 + 1e-6)
    # The sums of the rows are equal, those of the columns are not: attention does not stay equal.
    star = np.array([[0, 1.0, 0], [0, 0, 1], [0, 1, 0]])
    assert np.ptp(correlated.settle(star, 0.0, steps=1000)[0]) > 0.1
    with pytest.raises(InputError, match="mixing must be an array whose columns have equal sums"):
        correlated.uniform(star, 1.0)


# ---- bad input ----

GOOD = np.eye(3)
BAD = {
    "not square": np.ones((3, 4)),
    "one axis": np.ones(3),
    "three axes": np.ones((3, 3, 3)),
    "empty": np.ones((0, 0)),
    "nan": np.array([[1, math.nan], [0, 1]]),
    "inf": np.array([[1, math.inf], [0, 1]]),
    "huge": np.array([[1e101]]),
    "complex": np.eye(3) * 1j,
    "bool": np.eye(3) > 0,
    "text": np.array([["a"]]),
    "list": [[1.0]],
    "nothing": None,
}
CALLS = {
    "pure": correlated.pure,
    "settle": lambda mixing: correlated.settle(mixing, 1.0),
    "lyapunov": lambda mixing: correlated.lyapunov(np.ones(3), mixing, 1.0),
    "uniform": lambda mixing: correlated.uniform(mixing, 1.0),
}


@pytest.mark.untyped
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("bad", BAD)
def test_a_bad_mixing_is_refused_by_name(name, bad):
    pattern = rf"correlated\.{name}: mixing must be .*, but it was .*; "
    with pytest.raises(InputError, match=pattern) as caught:
        CALLS[name](BAD[bad])
    types = bad in ("complex", "bool", "text", "list", "nothing")
    assert isinstance(caught.value, InputTypeError) == types


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: correlated.pure(GOOD, math.nan), "mean"),
        (lambda: correlated.pure(GOOD, "1"), "mean"),
        (lambda: correlated.settle(GOOD, -1.0), "sharpness"),
        (lambda: correlated.settle(GOOD, math.inf), "sharpness"),
        (lambda: correlated.settle(GOOD, 1.0, math.inf), "mean"),
        (lambda: correlated.settle(GOOD, 1.0, rate=0.0), "rate"),
        (lambda: correlated.settle(GOOD, 1.0, rate=1.5), "rate"),
        (lambda: correlated.settle(GOOD, 1.0, rate=math.nan), "rate"),
        (lambda: correlated.settle(GOOD, 1.0, steps=-1), "steps"),
        (lambda: correlated.settle(GOOD, 1.0, steps=1.5), "steps"),
        (lambda: correlated.lyapunov(np.ones(3), GOOD, 0.0), "sharpness"),
        (lambda: correlated.lyapunov(np.ones(3), GOOD, -1.0), "sharpness"),
        (lambda: correlated.lyapunov(np.ones(4), GOOD, 1.0), "coordinates"),
        (lambda: correlated.lyapunov(np.array(1.0), GOOD, 1.0), "coordinates"),
        (lambda: correlated.lyapunov([1.0, 2.0, 3.0], GOOD, 1.0), "coordinates"),
        (lambda: correlated.lyapunov(np.full(3, math.nan), GOOD, 1.0), "coordinates"),
        (lambda: correlated.lyapunov(np.ones(3), along(3), 1.0), "mixing"),
        (lambda: correlated.uniform(GOOD, -1.0), "sharpness"),
        (lambda: correlated.uniform(np.diag([1.0, 2.0]), 1.0), "mixing"),
    ],
)
def test_bad_arguments_are_refused_by_name(call, argument):
    with pytest.raises(InputError, match=f": {argument} must be .*, but it was .*; ") as caught:
        call()
    assert caught.value.function.startswith("correlated.")
