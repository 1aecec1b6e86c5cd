"""Iterate any step from query to query: to a fixed point, bit by bit, or along a chain.

A step is a function of queries ``(b, d)``, such as a memory's ``read``. Every query moves and stops on its own, so what it
becomes never depends on the queries beside it.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, describe, door, refuse

__all__ = ["Path", "Settled", "chain", "flips", "settle", "trace"]

Step = Callable[..., Tensor]


class Settled(NamedTuple):
    """Where each query came to rest.

    Attributes:
        state: ``(..., d)`` the last state.
        steps: ``(...)`` int64, reads made, the one that changed nothing included.
        converged: ``(...)`` whether the last read moved the state by no more than the tolerance.
    """

    state: Float[Tensor, "*batch d"]
    steps: Int64[Tensor, "*batch"]
    converged: Bool[Tensor, "*batch"]


class Path(NamedTuple):
    """The way there: what ``Settled`` tells, with every state in between.

    Attributes:
        states: ``(t + 1, ..., d)``, the query first; a query that has come to rest stays.
        energies: ``(t + 1, ...)``, or None where the memory has no energy.
        steps: ``(...)`` int64, as in ``Settled``.
        converged: ``(...)``, as in ``Settled``.
    """

    states: Float[Tensor, "times *batch d"]
    energies: Float[Tensor, "times *batch"] | None
    steps: Int64[Tensor, "*batch"]
    converged: Bool[Tensor, "*batch"]


@door
def settle(
    step: Step,
    query: Float[Tensor, "*batch d"],
    *,
    steps: int = 100,
    rate: float = 1.0,
    tolerance: float = 0.0,
    context: tuple[Tensor, ...] = (),
) -> Settled:
    r"""Repeat a step until it changes nothing, each query on its own.

    .. math:: q \leftarrow q + \eta\,(\text{step}(q) - q) \quad \text{until } \max_j |\Delta q_j| \le \epsilon \max(1, \max_j |q_j|)

    Args:
        step: from ``(b, d)`` queries, and the rows of ``context`` that belong to them, to ``(b, d)``.
        query: ``(..., d)``.
        steps: at most so many, >= 0.
        rate: eta in (0, 1]; 1 takes the whole step.
        tolerance: epsilon >= 0, as a share of the largest coordinate; 0 waits for exact rest, as bits can.
        context: tensors with one row for each query, such as masks, handed to every step.

    Returns:
        the states, how many steps each took, and whether it came to rest.

    Example:
        >>> import torch
        >>> from kanerva import dynamics
        >>> dynamics.settle(torch.cos, torch.tensor([[1.0]]), tolerance=1e-6).state.item()  # the fixed point of cos
        0.739...
    """
    *_, last = _states(step, query, steps, rate, tolerance, context)
    return last


@door
def trace(
    step: Step,
    query: Float[Tensor, "*batch d"],
    *,
    steps: int = 100,
    rate: float = 1.0,
    tolerance: float = 0.0,
    context: tuple[Tensor, ...] = (),
) -> Path:
    """Do as ``settle`` does, and keep every state.

    Args:
        step: as in ``settle``.
        query: ``(..., d)``.
        steps: at most so many.
        rate: share of each step taken.
        tolerance: when to stop.
        context: rows handed to every step.

    Returns:
        the path, without energies.

    Example:
        >>> import torch
        >>> from kanerva import dynamics
        >>> dynamics.trace(lambda q: q / 2, torch.tensor([8.0]), steps=3).states.flatten().tolist()
        [8.0, 4.0, 2.0, 1.0]
    """
    moments = list(_states(step, query, steps, rate, tolerance, context))
    states = torch.stack([moment.state for moment in moments])
    return Path(states, None, moments[-1].steps, moments[-1].converged)


def _states(
    step: Step,
    query: Tensor,
    steps: int,
    rate: float,
    tolerance: float,
    context: tuple[Tensor, ...],
) -> Iterator[Settled]:
    """Yield the state of all queries before the first step and after each; only those still moving are computed."""
    arrays.finite("query", arrays.floats("query", query))
    steps = checks.integer("steps", steps, 0, checks.LONGEST)
    rate = checks.number("rate", rate, 0, 1, open_low=True)
    tolerance = checks.number("tolerance", tolerance, 0)
    batch, state = query.shape[:-1], query.reshape(-1, query.shape[-1])
    if not isinstance(context, tuple) or any(
        not isinstance(part, Tensor) or part.shape[:1] != state.shape[:1] for part in context
    ):
        must = f"a tuple of tensors with {len(state)} rows, one for each query"
        refuse("context", context, must=must, do="give a row for each query")
    moving = torch.ones(len(state), dtype=torch.bool, device=state.device)
    taken = torch.zeros(len(state), dtype=torch.int64, device=state.device)

    def moment() -> Settled:
        return Settled(state.reshape(query.shape), taken.reshape(batch), ~moving.reshape(batch))

    yield moment()
    for _ in range(steps):
        rows = slice(None) if arrays.tracing() or moving.all() else moving.nonzero().squeeze(-1)
        if not arrays.tracing() and not moving.any():
            return
        here = state[rows]
        there = _taken(step, here, *(part[rows] for part in context))
        there = there if rate == 1 else here + rate * (there - here)
        reach = tolerance * here.abs().amax(-1).clamp_min(1) if tolerance else 0.0
        moved = (there - here).abs().amax(-1) > reach
        if isinstance(rows, slice):
            state = torch.where(moving.unsqueeze(-1), there, here)
            taken = taken + moving
            moving = moving & moved
        else:
            state = state.index_put((rows,), there)
            taken = taken.index_add(0, rows, torch.ones_like(rows))
            moving = moving.index_put((rows,), moved)
        yield moment()


@door
def chain(
    step: Step, query: Float[Tensor, "*batch d"], length: int
) -> Float[Tensor, "times *batch d"]:
    r"""Feed each read back as the next query: recall a sequence from its first element.

    .. math:: x_{t+1} = \text{step}(x_t), \quad x_0 = q

    Args:
        step: from ``(..., d)`` to ``(..., d)``, such as the ``read`` of a memory that stores each element under the one before.
        query: ``(..., d)`` the cue.
        length: steps to take, >= 0.

    Returns:
        ``(length + 1, ..., d)``, the cue first.

    Example:
        >>> import torch
        >>> from kanerva import dynamics
        >>> dynamics.chain(lambda q: q.roll(1, -1), torch.tensor([1.0, 0.0, 0.0]), 2).argmax(-1).tolist()
        [0, 1, 2]

    Source: Kanerva 1988, on sequences.
    """
    links = [arrays.finite("query", arrays.floats("query", query))]
    for _ in range(checks.integer("length", length, 0, checks.LONGEST)):
        links.append(_taken(step, links[-1]))
    return torch.stack(links)


def _taken(step: Step, state: Tensor, *context: Tensor) -> Tensor:
    """Take a step, and refuse one that does not end where another can begin."""
    if not callable(step):
        do = "give the read of a memory, or any function from queries to queries"
        refuse("step", step, must="a function of the query", do=do, error=InputTypeError)
    there = step(state, *context)
    if (
        not isinstance(there, Tensor)
        or there.shape != state.shape
        or there.dtype != state.dtype
        or there.device != state.device
    ):
        must = f"a function that returns {str(state.dtype).removeprefix('torch.')} of shape {tuple(state.shape)}, as its query is"
        refuse(
            "step",
            must=must,
            got=f"one that returned {describe(there)}",
            do="return a state of the same kind",
        )
    if not arrays.sound(there):
        refuse(
            "step",
            must="a function with finite results",
            got=f"one that returned {describe(there)}",
            do="keep it bounded",
        )
    return there


@door
def flips(
    potential: Callable[[Tensor], Tensor],
    query: Float[Tensor, "*batch d"],
    keys: Float[Tensor, "m d"],
    *,
    sweeps: int = 10,
    seed: int | torch.Generator = 0,
) -> Settled:
    r"""Turn -1/+1 bits over one at a time, each where that lowers the energy: asynchronous dynamics.

    .. math:: q_j \leftarrow -q_j \quad \text{where} \quad \Phi(s - 2 q_j k_{\cdot j}) > \Phi(s), \quad s = K q

    The energy is E = -Phi, up to a constant on the cube; it falls with every flip, so a fixed point is always reached. A
    sweep visits every bit once, in an order that is drawn anew for each sweep and is the same for all queries.

    Args:
        potential: from dot scores ``(b, m)`` to ``(b,)``, such as ``separation.Linear().potential``.
        query: ``(..., d)`` of -1 and +1.
        keys: ``(m, d)`` of -1 and +1.
        sweeps: at most so many.
        seed: an integer >= 0 or a CPU generator, for the order.

    Returns:
        the states, sweeps made by each, and whether the last one turned nothing over.

    Example:
        >>> from kanerva import bits, dynamics
        >>> from kanerva.separation import Linear
        >>> x = bits.random(3, 100, seed=0)
        >>> end = dynamics.flips(Linear().potential, bits.flip(x, 10, seed=1), x)
        >>> bits.hamming(end.state, x).tolist()
        [0, 0, 0]

    Source: Hopfield 1982, for Linear; Krotov and Hopfield 2016, for the others.
    """
    arrays.bipolar("keys", arrays.floats("keys", arrays.rows("keys", keys)))
    arrays.bipolar("query", arrays.vectors("query", query, keys.shape[-1], keys.dtype))
    draw, sweeps = arrays.generator(seed), checks.integer("sweeps", sweeps, 0, checks.LONGEST)
    state = query.reshape(-1, query.shape[-1]).clone()
    score = state @ keys.T
    level = _level(potential, score)
    moving = torch.ones(len(state), dtype=torch.bool, device=state.device)
    taken = torch.zeros(len(state), dtype=torch.int64, device=state.device)
    for _ in range(sweeps):
        if not moving.any():
            break
        taken += moving
        before = state.clone()
        for j in torch.randperm(state.shape[-1], generator=draw).tolist():
            turned = score - 2 * state[:, j : j + 1] * keys[:, j]
            gain = _level(potential, turned)
            better = gain > level
            state[:, j] = torch.where(better, -state[:, j], state[:, j])
            score, level = (
                torch.where(better.unsqueeze(-1), turned, score),
                torch.where(better, gain, level),
            )
        moving = moving & (state != before).any(-1)
    batch = query.shape[:-1]
    return Settled(state.reshape(query.shape), taken.reshape(batch), ~moving.reshape(batch))


def _level(potential: Callable[[Tensor], Tensor], score: Tensor) -> Tensor:
    """Return the potential of every query; beyond the range of floats no flip could be told from another."""
    must, do = "a function from scores (b, m) to (b,)", "give the potential of a separation"
    if not callable(potential):
        refuse("potential", potential, must=must, do=do, error=InputTypeError)
    level = potential(score)
    if not isinstance(level, Tensor) or level.shape != score.shape[:-1]:
        refuse("potential", must=must, got=f"one that returned {describe(level)}", do=do)
    if not arrays.sound(level):
        must, do = "finite for all scores", "choose a smaller beta or order, or store something"
        refuse("potential", must=must, got=f"one that returned {describe(level)}", do=do)
    return level
