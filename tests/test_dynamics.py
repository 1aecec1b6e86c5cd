"""Iteration against plain loops: one query at a time, one bit at a time."""

import itertools
import math

import pytest
import torch

import kanerva
from kanerva import bits, dynamics, functional, separation, similarity
from kanerva.separation import Exponential, Linear, Power, Softmax


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def hopfield_step(keys, beta=1.0):
    return lambda q: functional.read(q, keys, keys, similarity.dot, Softmax(beta))


# Settle and trace


def by_hand(step, query, steps, rate, tolerance):
    """Iterate one query, as the docstring of settle defines it."""
    states, rest = [query], False
    while len(states) <= steps and not rest:
        here = states[-1]
        there = here + rate * (step(here[None])[0] - here)
        limit = tolerance * max(1.0, here.abs().max().item())
        rest = (there - here).abs().max().item() <= limit
        states.append(there)
    return states, len(states) - 1, rest


@pytest.mark.untyped
@pytest.mark.parametrize("rate", [1.0, 0.3])
@pytest.mark.parametrize("tolerance", [1e-12, 1e-9, 1e-3, 0.2])
@pytest.mark.parametrize("steps", [0, 1, 7, 60])
def test_each_query_is_iterated_independently(rate, tolerance, steps):
    """States, number of steps and convergence are those of a plain loop over one query."""
    step = hopfield_step(normal(5, 4, seed=1), 1.5)
    query = 3 * normal(12, 4, seed=2)
    end = dynamics.settle(step, query, steps=steps, rate=rate, tolerance=tolerance)
    path = dynamics.trace(step, query, steps=steps, rate=rate, tolerance=tolerance)
    assert path.energies is None
    for row in range(12):
        states, taken, rest = by_hand(step, query[row], steps, rate, tolerance)
        assert end.steps[row] == path.steps[row] == taken
        assert end.converged[row] == path.converged[row] == rest
        torch.testing.assert_close(end.state[row], states[-1], rtol=0, atol=1e-12)
        times = len(path.states)
        # After convergence the state is constant.
        expected = torch.stack([*states, *[states[-1]] * (times - len(states))])
        torch.testing.assert_close(path.states[:, row], expected, rtol=0, atol=1e-12)
    assert len(path.states) == int(path.steps.max()) + 1


def test_known_fixed_points():
    """Fixed points of the cosine and of Newton's square root, and a linear contraction."""
    query = torch.tensor([1.0, -3.0, 20.0])[:, None].double()
    end = dynamics.settle(torch.cos, query, tolerance=1e-14, steps=200)
    assert end.state.flatten().tolist() == pytest.approx([0.7390851332151607] * 3, abs=1e-13)
    end = dynamics.settle(
        lambda q: (q + 2 / q) / 2,
        torch.tensor([[1.0], [9.0]], dtype=torch.float64),
        tolerance=1e-15,
    )
    assert end.state.flatten().tolist() == pytest.approx([math.sqrt(2)] * 2, abs=1e-15)
    for rate in (1.0, 0.5, 0.1):
        end = dynamics.settle(lambda q: q / 2, torch.full((1, 3), 8.0), steps=10, rate=rate)
        torch.testing.assert_close(end.state, torch.full((1, 3), 8.0 * (1 - rate / 2) ** 10))
        assert not end.converged
        assert end.steps.item() == 10


def test_the_step_that_changes_nothing_is_counted():
    """A query at a fixed point takes one step; without any step it does not count as converged."""
    path = dynamics.trace(lambda q: q.clamp(-1, 1), torch.tensor([[0.5], [3.0]]))
    assert path.steps.tolist() == [1, 2]
    assert path.converged.tolist() == [True, True]
    none = dynamics.settle(lambda q: q, torch.zeros(2, 3), steps=0)
    assert none.steps.tolist() == [0, 0]
    assert none.converged.tolist() == [False, False]


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 1, 4, 3), (0, 3)], ids=str)
def test_any_leading_shape(shape):
    """The result has the shape of the query."""
    step = hopfield_step(normal(5, 3, seed=1))
    query = normal(*shape, seed=2)
    end = dynamics.settle(step, query, tolerance=1e-6)
    assert end.state.shape == shape
    assert end.steps.shape == end.converged.shape == shape[:-1]
    flat = dynamics.settle(step, query.reshape(-1, 3), tolerance=1e-6)
    torch.testing.assert_close(end.state.reshape(-1, 3), flat.state, rtol=0, atol=1e-12)


def test_only_queries_that_move_are_computed_with_their_rows_of_the_context():
    """A converged query is not read again, and every query keeps its row of the context."""
    seen = []

    def step(q, goal):
        seen.append(len(q))
        return q + (goal - q).clamp(-1, 1)

    goal = torch.tensor([[0.0], [3.0], [-5.0], [1.0]])
    end = dynamics.settle(step, torch.zeros(4, 1), context=(goal,))
    assert torch.equal(end.state, goal)
    assert end.steps.tolist() == [1, 4, 6, 2]
    assert seen == [4, 3, 2, 2, 1, 1]


# Cycles


def test_a_cycle_of_two_is_not_convergence():
    """A synchronous update can alternate between two states, which is no convergence."""
    memory = kanerva.hopfield(bits=2)
    memory.write(torch.tensor([[1.0, 1.0]]))
    path = memory.trace(torch.tensor([[1.0, -1.0], [1.0, 1.0]]), steps=9)
    assert path.converged.tolist() == [False, True]
    assert path.steps.tolist() == [9, 1]
    assert path.states[:3, 0].tolist() == [[1, -1], [-1, 1], [1, -1]]
    end = dynamics.flips(Linear().potential, torch.tensor([[1.0, -1.0]]), memory.keys)
    assert end.converged.item()
    assert end.state.abs().sum() == 2


def test_converged_states_are_fixed_points_and_the_others_alternate():
    """In an overloaded network both occur: fixed points, and cycles of two states."""
    memory = kanerva.hopfield(bits=30)
    memory.write(bits.random(12, 30, seed=1))
    path = memory.trace(bits.random(300, 30, seed=2), steps=200)
    assert 20 < path.converged.sum() < 280
    end = path.states[-1]
    once = memory.read(end)
    twice = memory.read(once)
    same = (once == end).all(-1)
    assert torch.equal(same, path.converged)
    # Symmetric weights have no longer cycles (Goles and others 1985).
    assert torch.equal(twice, end)


# Flips

RULES = {
    "Linear": Linear(),
    "Power 3": Power(3),
    "Power 6": Power(6),
    "Exponential": Exponential(0.5),
    "Softmax": Softmax(0.5),
}


@pytest.mark.untyped
@pytest.mark.parametrize("name", RULES)
def test_flips_are_those_of_a_loop_over_bits(name):
    """Each query ends where a loop ends that flips one bit at a time, in the same order."""
    phi = RULES[name].potential
    keys = bits.random(8, 15, seed=1, dtype=torch.float64)
    query = bits.random(20, 15, seed=2, dtype=torch.float64)
    end = dynamics.flips(phi, query, keys, sweeps=20, seed=3)
    for row, start in enumerate(query):
        state, draw = start.clone(), torch.Generator().manual_seed(3)
        energies = [-phi(keys @ start).item()]
        for _ in range(20):
            before = state.clone()
            for j in torch.randperm(15, generator=draw).tolist():
                other = state.clone()
                other[j] = -other[j]
                if phi(keys @ other) > phi(keys @ state):
                    state = other
                    energies.append(-phi(keys @ state).item())
            if torch.equal(state, before):
                break
        assert torch.equal(end.state[row], state)
        assert all(after < before for before, after in itertools.pairwise(energies))


@pytest.mark.parametrize("name", RULES)
def test_flips_end_where_no_single_flip_helps(name):
    """A converged state is a minimum over single flips, and not above the initial energy."""
    phi = RULES[name].potential
    keys = bits.random(20, 24, seed=1, dtype=torch.float64)
    query = bits.random(60, 24, seed=2, dtype=torch.float64)
    end = dynamics.flips(phi, query, keys, sweeps=50)
    assert end.converged.all()
    level = phi(end.state @ keys.T)
    assert (level >= phi(query @ keys.T)).all()
    for j in range(24):
        other = end.state.clone()
        other[:, j] = -other[:, j]
        assert (phi(other @ keys.T) <= level).all()
    short = dynamics.flips(phi, query, keys, sweeps=1)
    assert (phi(short.state @ keys.T) >= phi(query @ keys.T)).all()
    assert not short.converged.all()
    assert short.steps.tolist() == [1] * 60


def test_flips_do_not_depend_on_batch_mates():
    """A single query has the same final state and number of sweeps as in a batch."""
    phi = Power(4).potential
    keys, query = bits.random(15, 40, seed=1), bits.random(9, 40, seed=2)
    end = dynamics.flips(phi, query, keys, seed=5, sweeps=30)
    alone = [dynamics.flips(phi, one, keys, seed=5, sweeps=30) for one in query]
    assert torch.equal(end.state, torch.stack([one.state for one in alone]))
    assert end.steps.tolist() == [int(one.steps) for one in alone]
    assert len(set(end.steps.tolist())) > 1
    grid = dynamics.flips(phi, query.reshape(3, 3, 40), keys, seed=5, sweeps=30)
    assert torch.equal(grid.state.reshape(9, 40), end.state)
    other = dynamics.flips(phi, query, keys, seed=6, sweeps=30)
    assert not torch.equal(other.state, end.state)
    assert torch.equal(query, bits.random(9, 40, seed=2))  # The argument is not changed.


def test_flips_and_reads_have_the_same_fixed_points():
    """With a zero diagonal both kinds of update have the same fixed points."""
    memory = kanerva.hopfield(bits=60)
    memory.write(bits.random(5, 60, seed=1))
    cues = bits.flip(memory.keys, 6, seed=2)
    assert torch.equal(dynamics.flips(Linear().potential, cues, memory.keys).state, memory.keys)
    assert torch.equal(memory.recall(cues), memory.keys)
    end = dynamics.flips(Linear().potential, bits.random(40, 60, seed=3), memory.keys, sweeps=50)
    assert end.converged.all()
    assert torch.equal(memory.read(end.state), end.state)


# Chains


def test_a_chain_is_its_steps():
    """A sequence stored as pairs of consecutive elements is recalled from its first element."""
    patterns = bits.random(9, 64, seed=1)
    memory = kanerva.sdm_patterns(64, 15, value_bits=64)
    memory.write(patterns[:-1], patterns[1:])
    cue = bits.flip(patterns[:2], 5, seed=2)
    path = dynamics.chain(memory.read, cue, 6)
    assert path.shape == (7, 2, 64)
    assert torch.equal(path[0], cue)
    assert torch.equal(path[1:, 0], patterns[1:7])
    assert torch.equal(path[1:, 1], patterns[2:8])
    assert dynamics.chain(memory.read, cue[0], 0).shape == (1, 64)


# Gradients


@pytest.mark.untyped
@pytest.mark.parametrize("tolerance", [0.0, 0.05])
@pytest.mark.parametrize("rate", [1.0, 0.4])
def test_gradient_through_a_recall(tolerance, rate):
    """The gradient in query, keys and beta agrees with finite differences.

    With a tolerance, some queries converge before others.
    """
    query, keys = normal(4, 3, seed=1).requires_grad_(), normal(5, 3, seed=2).requires_grad_()
    beta = torch.tensor(1.2, dtype=torch.float64, requires_grad=True)

    def recall(q, k, b):
        return dynamics.settle(
            lambda x: functional.read(x, k, k, similarity.dot, Softmax(b)),
            q,
            steps=6,
            rate=rate,
            tolerance=tolerance,
        )

    steps = recall(query, keys, beta).steps
    assert tolerance == 0 or len(set(steps.tolist())) > 1
    assert torch.autograd.gradcheck(lambda *leaves: recall(*leaves).state, (query, keys, beta))
    (slope,) = torch.autograd.grad(recall(query, keys, beta).state.sum(), query)
    for row in range(4):
        q = query[row : row + 1].detach().requires_grad_()
        x = q
        for _ in range(int(steps[row])):
            x = x + rate * (torch.softmax(beta * x @ keys.T, -1) @ keys - x)
        torch.testing.assert_close(slope[row], torch.autograd.grad(x.sum(), q)[0][0])


def test_gradient_through_a_path_and_a_chain():
    """The gradient of every state of a path agrees with finite differences."""
    query, keys = normal(2, 3, seed=1).requires_grad_(), normal(4, 3, seed=2)
    assert torch.autograd.gradcheck(
        lambda q: dynamics.trace(hopfield_step(keys), q, steps=3).states, (query,)
    )
    assert torch.autograd.gradcheck(lambda q: dynamics.chain(hopfield_step(keys), q, 3), (query,))


def test_gradient_at_a_fixed_point_does_not_depend_on_the_query():
    """Within a basin of attraction the fixed point is the same for all queries nearby."""
    memory = kanerva.modern_hopfield(8, 8.0, dtype=torch.float64)
    memory.write(torch.eye(8, dtype=torch.float64))
    near = (torch.eye(8, dtype=torch.float64)[:1] * 0.9).requires_grad_()
    (slope,) = torch.autograd.grad(memory.recall(near, steps=50).sum(), near)
    assert slope.abs().max() < 1e-6


def test_settle_by_vmap():
    """Several sets of keys, each with its own queries, are computed by one vmap."""
    keys, query = normal(3, 5, 4, seed=1), normal(3, 6, 4, seed=2)
    together = torch.vmap(
        lambda k, q: dynamics.settle(hopfield_step(k), q, steps=8, tolerance=1e-2).state
    )(keys, query)
    for one in range(3):
        alone = dynamics.settle(hopfield_step(keys[one]), query[one], steps=8, tolerance=1e-2).state
        torch.testing.assert_close(together[one], alone)


@pytest.mark.parametrize("rule", [separation.Power(3), separation.Linear()], ids=repr)
def test_a_kept_diagonal_always_converges(rule):
    """Where the energy is a convex function of the state, every step lowers it: no cycles.

    With the linear rule this is a Hopfield network that keeps its diagonal.
    """
    memory = kanerva.Patterns(30, separation=rule, activation=kanerva.activation.Sign("keep"))
    memory.write(bits.random(12, 30, seed=1))
    assert memory.trace(bits.random(300, 30, seed=2), steps=200).converged.all()


@pytest.mark.parametrize("steps", [2, 3, 8, 9])
@pytest.mark.parametrize(
    "memory",
    [kanerva.hopfield(40), kanerva.dense(40, 3), kanerva.sdm(40, locations=300, radius=16)],
    ids=["hopfield", "dense", "sdm"],
)
def test_states_that_swing_are_those_of_plain_reads(memory, steps):
    memory.clear()
    memory.write(bits.random(30, 40, seed=0))
    query = bits.flip(bits.random(30, 40, seed=0).repeat(4, 1), 8, seed=1)
    path = memory.trace(query, steps=steps)
    state = query
    for row in path.states[1:]:
        state = torch.where((state == 0).any(-1, keepdim=True), state, memory.read(state))
        assert torch.equal(row, state)
    settled = memory.settle(query, steps=steps)
    assert torch.equal(settled.state, path.states[-1])
    assert int(settled.steps.max()) <= steps
    assert torch.equal(
        settled.steps[settled.swings], torch.full_like(settled.steps, steps)[settled.swings]
    )
    assert not bool((settled.swings & settled.converged).any())


def test_a_state_that_swings_is_read_no_further(monkeypatch):
    memory = kanerva.hopfield(2)
    memory.write(torch.tensor([[1.0, -1.0]]))
    reads = []
    plain = type(memory)._read
    monkeypatch.setattr(
        type(memory), "_read", lambda self, given: (reads.append(1), plain(self, given))[1]
    )
    assert memory.settle(torch.tensor([1.0, 1.0]), steps=100).swings.item()
    assert len(reads) == 2
