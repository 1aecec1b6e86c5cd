"""Iterate a map of queries: to a fixed point, bit by bit, or along a sequence.

A step is a function from queries ``(b, d)`` to queries, such as the ``read`` of a memory. Each
query is iterated independently of the others in its batch.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, describe, door, refuse

__all__ = ["Path", "Settled", "chain", "flips", "follow", "settle", "trace"]

Step = Callable[..., Tensor]


class Settled(NamedTuple):
    """The final states of an iteration.

    Attributes:
        state: ``(..., d)``, the last state of each query.
        steps: ``(...)`` int64, the number of steps, including the last one, which changed nothing.
        converged: ``(...)`` bool, True where the last step changed the state by no more than the
            tolerance.
        swings: ``(...)`` bool, True where the last step went back to the state before the previous
            one: further steps alternate between these two states.
    """

    state: Float[Tensor, "*batch d"]
    steps: Int64[Tensor, "*batch"]
    converged: Bool[Tensor, "*batch"]
    swings: Bool[Tensor, "*batch"]


class Path(NamedTuple):
    """All states of an iteration, with the numbers of ``Settled``.

    Attributes:
        states: ``(t + 1, ..., d)``, the query first, or what was kept of each. A query that has
            converged keeps its state.
        energies: ``(t + 1, ...)``, or None where the memory has no energy, or where one of them
            overflows.
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
    r"""Iterate a step to a fixed point, each query independently.

    .. math:: q \leftarrow q + \eta\,(\text{step}(q) - q)
              \quad \text{until } \max_j |\Delta q_j| \le \epsilon \max(1, \max_j |q_j|)

    Args:
        step: from ``(b, d)`` queries, and the corresponding rows of ``context``, to ``(b, d)``.
        query: ``(..., d)``.
        steps: the largest number of steps, >= 0.
        rate: eta in (0, 1]; 1 is the whole step.
        tolerance: epsilon >= 0, as a share of the largest coordinate; with 0 the state must stay
            exactly equal, as that of bits does.
        context: tensors with one row for each query, such as masks, passed to every step.

    Returns:
        the final states, the number of steps of each, and whether it converged.

    Raises:
        InputError: an argument is out of range, or a step returns another shape, another dtype or
            numbers that are not finite.

    Example:
        >>> import torch
        >>> from kanerva import dynamics
        >>> found = dynamics.settle(torch.cos, torch.tensor([[1.0]]), tolerance=1e-6)
        >>> found.state.item()  # the fixed point of the cosine
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
    """Iterate as ``settle`` does, and return every state.

    Args:
        step: as in ``settle``.
        query: ``(..., d)``.
        steps: the largest number of steps, >= 0.
        rate: as in ``settle``.
        tolerance: as in ``settle``.
        context: as in ``settle``.

    Returns:
        the path, without energies.

    Raises:
        InputError: as in ``settle``.

    Example:
        >>> import torch
        >>> from kanerva import dynamics
        >>> dynamics.trace(lambda q: q / 2, torch.tensor([8.0]), steps=3).states.flatten().tolist()
        [8.0, 4.0, 2.0, 1.0]
    """
    return path_of(_states(step, query, steps, rate, tolerance, context))


def path_of(moments: Iterable[Settled]) -> Path:
    """Return the path through the states of an iteration."""
    found = list(moments)
    states = torch.stack([settled.state for settled in found])
    return Path(states, None, found[-1].steps, found[-1].converged)


def _states(
    step: Step,
    query: Tensor,
    steps: int,
    rate: float,
    tolerance: float,
    context: tuple[Tensor, ...],
) -> Iterator[Settled]:
    """Check the arguments of ``settle`` and ``trace``, and iterate."""
    _vet_step(step)
    arrays.finite("query", arrays.floats("query", query))
    checked = rules(steps, rate, tolerance, context, count=query[..., 0].numel())
    return iterate(step, query, checked)


class Rules(NamedTuple):
    """The checked settings of an iteration, as in ``settle``.

    Attributes:
        steps: the largest number of steps, >= 0.
        rate: eta in (0, 1].
        tolerance: epsilon >= 0.
        context: tensors with one row for each query.
        repeats: whether a step gives equal states for equal states, bit by bit. Then a query that
            swings between two states is computed no further: its states alternate.
    """

    steps: int
    rate: float
    tolerance: float
    context: tuple[Tensor, ...] = ()
    repeats: bool = False


def rules(
    steps: int, rate: float, tolerance: float, context: tuple[Tensor, ...], count: int
) -> Rules:
    """Check the settings of an iteration of ``count`` queries."""
    steps = checks.integer("steps", steps, 0, checks.LONGEST)
    rate = checks.number("rate", rate, 0, 1, open_low=True)
    tolerance = checks.number("tolerance", tolerance, 0)
    tensors = isinstance(context, tuple) and all(isinstance(part, Tensor) for part in context)
    if not tensors or any(part.shape[:1] != (count,) for part in context):
        must = f"a tuple of tensors with {count} rows, one for each query"
        refuse("context", context, must=must, do="give a row for each query")
    return Rules(steps, rate, tolerance, context)


def iterate(step: Step, query: Tensor, rules: Rules) -> Iterator[Settled]:
    """Yield the state of all queries before the first step and after each, without checks.

    A step is computed only for the queries whose next state is not known.
    """
    batch, state = query.shape[:-1], query.reshape(-1, query.shape[-1])
    moving = torch.ones(len(state), dtype=torch.bool, device=state.device)
    count = torch.zeros(len(state), dtype=torch.int64, device=state.device)
    swings, before = torch.zeros_like(moving), state
    tracing = arrays.tracing()
    known = rules.repeats and not tracing

    def current() -> Settled:
        numbers = (part.reshape(batch) for part in (count, ~(moving | swings), swings))
        return Settled(state.reshape(query.shape), *numbers)

    yield current()
    for turn in range(rules.steps):
        alternate = known and bool(swings.any())
        if alternate:
            back = swings.unsqueeze(-1)
            before, state = torch.where(back, state, before), torch.where(back, before, state)
            count = count + swings
        if not tracing and not moving.any():
            if not alternate:
                return
            yield current()
            continue
        rows = slice(None) if tracing or moving.all() else moving.nonzero().squeeze(-1)
        old = state[rows]
        new = _applied(step, old, *(part[rows] for part in rules.context))
        new = new if rules.rate == 1 else old + rules.rate * (new - old)
        allowed: Tensor | float = 0.0
        if rules.tolerance:
            allowed = rules.tolerance * old.abs().amax(-1).clamp_min(1)
        changed = (new - old).abs().amax(-1) > allowed
        returned = changed & (new == before[rows]).all(-1) if turn else swings[rows]
        before = torch.where(swings.unsqueeze(-1), before, state) if alternate else state
        if isinstance(rows, slice):
            state = torch.where(moving.unsqueeze(-1), new, old)
            count, swings = count + moving, returned & moving
            moving = moving & changed
        else:
            state = state.index_put((rows,), new)
            count = count.index_add(0, rows, torch.ones_like(rows))
            swings = swings.index_put((rows,), returned)
            moving = moving.index_put((rows,), changed)
        if known:
            moving = moving & ~swings
        yield current()


@door
def chain(
    step: Step, query: Float[Tensor, "*batch d"], length: int
) -> Float[Tensor, "times *batch d"]:
    r"""Recall a sequence: each read is the next query.

    .. math:: x_{t+1} = \text{step}(x_t), \quad x_0 = q

    Args:
        step: from ``(..., d)`` to ``(..., d)``, such as the ``read`` of a memory whose value for
            each element is the following one.
        query: ``(..., d)``, the first element or a cue of it.
        length: number of steps, >= 0.

    Returns:
        ``(length + 1, ..., d)``, the query first.

    Raises:
        InputError: as in ``settle``.

    Example:
        >>> import torch
        >>> from kanerva import dynamics
        >>> path = dynamics.chain(lambda q: q.roll(1, -1), torch.tensor([1.0, 0.0, 0.0]), 2)
        >>> path.argmax(-1).tolist()
        [0, 1, 2]

    Source: Kanerva 1988, on sequences.
    """
    _vet_step(step)
    links = [arrays.finite("query", arrays.floats("query", query))]
    for _ in range(checks.integer("length", length, 0, checks.LONGEST)):
        links.append(_applied(step, links[-1]))
    return torch.stack(links)


@door
def follow(steps: Iterable[Step], query: Float[Tensor, "*batch d"]) -> Path:
    r"""Apply steps that differ, one after another: annealing, a sampler, layers.

    .. math:: x_{t+1} = \text{step}_t(x_t), \quad x_0 = q

    Args:
        steps: functions from ``(..., d)`` to ``(..., d)``, such as the reads of a memory at rising
            inverse temperatures.
        query: ``(..., d)``.

    Returns:
        the path, without energies: as many steps for each query, which has converged where the last
        of them left it exactly as it was.

    Raises:
        InputError: as in ``settle``.

    Example:
        >>> import torch, kanerva
        >>> from kanerva import dynamics
        >>> memory = kanerva.modern_hopfield(dim=2, beta=1.0)
        >>> ids = memory.write(torch.eye(2))
        >>> reads = [memory.at(beta).read for beta in (1.0, 10.0, 100.0)]
        >>> dynamics.follow(reads, torch.tensor([0.6, 0.4])).states[-1].round().tolist()
        [1.0, 0.0]

    Source: Kirkpatrick, Gelatt and Vecchi 1983, on annealing.
    """
    # An array without dimensions is iterable by its type, but has nothing to iterate over.
    single = isinstance(steps, Tensor) or getattr(steps, "shape", None) == ()
    if single or not isinstance(steps, Iterable):
        must, do = "functions of the query", "give a list of them"
        refuse("steps", steps, must=must, do=do, error=InputTypeError)
    several = list(steps)
    for step in several:
        _vet_step(step, "steps", "functions of the query")
    arrays.finite("query", arrays.floats("query", query))
    return path_of(follow_each(several, query))


def follow_each(steps: Iterable[Step], query: Tensor) -> Iterator[Settled]:
    """Yield the state of all queries before the first of several steps and after each."""
    state = query
    nothing = torch.zeros_like(query[..., 0], dtype=torch.int64)
    still = torch.zeros_like(nothing, dtype=torch.bool)
    yield Settled(state, nothing, still, still)
    for count, step in enumerate(steps, 1):
        before, state = state, _applied(step, state, name="steps")
        yield Settled(state, nothing + count, (state == before).all(-1), still)


def _vet_step(step: Step, name: str = "step", must: str = "a function of the query") -> None:
    """Refuse what is no function, before any step."""
    if not callable(step) or isinstance(step, type):
        do = "give the read of a memory, or any function from queries to queries"
        refuse(name, step, must=must, do=do, error=InputTypeError)


def _applied(step: Step, state: Tensor, *context: Tensor, name: str = "step") -> Tensor:
    """Apply a step; refuse a result that cannot be the next query."""
    new = step(state, *context)
    if (
        not isinstance(new, Tensor)
        or new.shape != state.shape
        or new.dtype != state.dtype
        or new.device != state.device
    ):
        kind = f"{str(state.dtype).removeprefix('torch.')} of shape {tuple(state.shape)}"
        must, got = f"a function that returns {kind}, as its query is", _returned(new)
        refuse(name, must=must, got=got, do="return a state of the same kind")
    if not arrays.sound(new):
        must = "a function with finite results"
        refuse(name, must=must, got=_returned(new), do="keep it bounded")
    return new


def _returned(value: object) -> str:
    return f"one that returned {describe(value)}"


@door
def flips(
    potential: Callable[[Tensor], Tensor],
    query: Float[Tensor, "*batch d"],
    keys: Float[Tensor, "m d"],
    *,
    sweeps: int = 10,
    seed: int | torch.Generator = 0,
) -> Settled:
    r"""Flip -1/+1 bits one at a time where that lowers the energy: asynchronous dynamics.

    .. math:: q_j \leftarrow -q_j
              \quad \text{where} \quad \Phi(s - 2 q_j k_{\cdot j}) > \Phi(s), \quad s = K q

    On the cube of -1/+1 vectors the energy is E = -Phi up to a constant. Every flip lowers it, so a
    fixed point is always reached. A sweep visits every bit once. Its order is random, another one
    in each sweep, and the same for all queries.

    Args:
        potential: from dot scores ``(b, m)`` to ``(b,)``, such as
            ``separation.Linear().potential``.
        query: ``(..., d)`` of -1 and +1.
        keys: ``(m, d)`` of -1 and +1.
        sweeps: the largest number of sweeps, >= 0.
        seed: an integer >= 0 or a CPU generator, for the order.

    Returns:
        the final states, the number of sweeps of each, and whether the last sweep flipped no bit.

    Raises:
        InputError: an argument is out of range, or the potential is not finite.

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
    count = checks.integer("sweeps", sweeps, 0, checks.LONGEST)
    if not callable(potential):
        do = "give the potential of a separation"
        must = "a function from scores (b, m) to (b,)"
        refuse("potential", potential, must=must, do=do, error=InputTypeError)
    *_, last = iterate_flips(potential, query, keys, count, arrays.generator(seed))
    return last


def iterate_flips(
    potential: Callable[[Tensor], Tensor],
    query: Tensor,
    keys: Tensor,
    count: int,
    source: torch.Generator,
) -> Iterator[Settled]:
    """Yield the states before the first sweep and after each, without checks."""
    state, keys = query.reshape(-1, query.shape[-1]).clone(), keys.to(query.dtype)
    # Scores and potentials of bits are whole numbers for most rules: float64 keeps them exact.
    score = (state @ keys.mT).double()
    level = _level(potential, score)
    moving = torch.ones(len(state), dtype=torch.bool, device=state.device)
    taken = torch.zeros(len(state), dtype=torch.int64, device=state.device)
    batch = query.shape[:-1]

    def current() -> Settled:
        numbers = (part.reshape(batch) for part in (taken, ~moving, torch.zeros_like(moving)))
        return Settled(state.clone().reshape(query.shape), *numbers)

    yield current()
    for _ in range(count):
        if not moving.any():
            return
        taken += moving
        before = state.clone()
        for j in torch.randperm(state.shape[-1], generator=source).tolist():
            flipped = score - 2 * (state[:, j : j + 1] * keys[:, j]).double()
            other = _level(potential, flipped)
            better = other > level
            state[:, j] = torch.where(better, -state[:, j], state[:, j])
            score = torch.where(better.unsqueeze(-1), flipped, score)
            level = torch.where(better, other, level)
        moving = moving & (state != before).any(-1)
        yield current()


def _level(potential: Callable[[Tensor], Tensor], score: Tensor) -> Tensor:
    """Return the potential of every query; infinite values cannot be compared and are refused."""
    must, do = "a function from scores (b, m) to (b,)", "give the potential of a separation"
    level = potential(score)
    if not isinstance(level, Tensor) or level.shape != score.shape[:-1]:
        refuse("potential", must=must, got=_returned(level), do=do)
    if not arrays.sound(level):
        must, do = "finite for all scores", "choose one that grows more slowly, or give a key"
        refuse("potential", must=must, got=_returned(level), do=do)
    return level
