"""Where denoising at a fixed noise rests, and how much noise stored rows come back from."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from kanerva import dynamics
from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, named, refuse, warn
from kanerva._engine.scores import HALVES
from kanerva.diffusion._exact import exact
from kanerva.diffusion._noise import LARGEST, level
from kanerva.diffusion._samples import Denoiser, Noise, denoised, recall, vetted

__all__ = ["Attractors", "attractors", "critical_sigma"]

# Numbers in one block of distances: 32 MiB of float64.
BLOCK = 2**22
# Noise is bisected on a geometric grid of 2^DEPTH steps.
DEPTH = 9


class Attractors(NamedTuple):
    """Where denoising at a fixed noise rests.

    Attributes:
        states: ``(k, d)`` the distinct resting states, that of the most starts first.
        basin: ``(k,)`` the share of the starts that rest at each; they sum to one.
        stored: the share of the starts that rest within ``reach`` of where they began.
        spurious: how many of the states are no stored row: further than ``reach`` from each.
    """

    states: Float[Tensor, "k d"]
    basin: Float64[Tensor, "k"]
    stored: float
    spurious: int


@named(x="starts", query="starts", step="denoiser")
def attractors(
    denoiser: Denoiser,
    starts: Float[Tensor, "m d"],
    sigma: float,
    merge: float = 0.02,
    reach: float = 0.1,
    rows: Float[Tensor, "n d"] | None = None,
    steps: int = 1000,
) -> Attractors:
    r"""Denoise again and again at one noise, and list the states at which that rests.

    .. math:: x \leftarrow D(x, \sigma)

    For an exact denoiser this is mean shift, which never raises its energy at that sigma: the
    states are the modes of the data plus noise of sigma, and a memory with this fixed inverse
    temperature rests there. Where noise is small each row is a mode; where it is large all rows
    are averaged.

    States are one and the same if steps of at most ``merge`` lead from one to the other over other
    states, so that neither the order of the starts nor the state that comes first matters. A flat
    valley, in which the starts rest side by side, is therefore one state; the one nearest to the
    mean stands for it.

    Args:
        denoiser: as in ``sample``.
        starts: ``(m, d)``, m >= 1, such as the rows that were stored.
        sigma: > 0, the noise, in the unit of the data.
        merge: >= 0, in the unit of the data, how far apart states may be that are counted as one.
        reach: >= 0, in the unit of the data, how far a state may be from a row that it stands for.
        rows: ``(n, d)`` the stored rows, which tell spurious states; None for the rows of the
            ``memory`` of the denoiser, such as an ``Exact``, and for the starts where it has none.
        steps: at most so many evaluations for each start, >= 1.

    Returns:
        the states, their basins, the share of the starts that are held, and how many states are
        spurious.

    Raises:
        InputError: an argument is out of range.

    Warns:
        UserWarning: some starts did not come to rest.

    Example:
        >>> import torch
        >>> from kanerva import diffusion
        >>> rows = torch.tensor([[0.0], [1.0], [5.0]], dtype=torch.float64)
        >>> denoise = diffusion.exact(rows)
        >>> found = diffusion.attractors(denoise, rows, sigma=0.8)
        >>> found.states.round(decimals=2).flatten().tolist(), found.basin.tolist()
        ([0.5, 5.0], [0.666..., 0.333...])
        >>> round(found.stored, 2), found.spurious
        (0.33, 1)

    Source: Fukunaga and Hostetler 1975, on mean shift; Pham and others 2025, on spurious states.
    """
    vetted(denoiser)
    _vet_rows("starts", starts)
    noise = level("sigma", sigma)
    merge = checks.number("merge", merge, 0, LARGEST)
    reach = checks.number("reach", reach, 0, LARGEST)
    steps = checks.integer("steps", steps, 1, checks.LONGEST)
    if rows is not None:
        _vet_rows("rows", rows, starts.shape[1])
    with torch.no_grad():
        read = partial(denoised, denoiser, sigma=noise)
        # Below this a step is rounding.
        small = 16 * torch.finfo(starts.dtype).eps
        found = dynamics.settle(read, starts, steps=steps, tolerance=small)
        restless = int((~found.converged).sum())
        if restless:
            words = f"{restless} of {len(starts)} starts did not come to rest in {steps} steps"
            warn(f"attractors: {words}; raise steps")
        states, counts = _merged(found.state, merge)
        stored = _apart(found.state, starts) <= reach
        far = _nearest(denoiser, states, starts if rows is None else rows, rows is None) > reach
    basin = counts.double() / len(starts)
    return Attractors(states, basin, float(stored.double().mean()), int(far.sum()))


@named(x="rows", start="rows")
def critical_sigma(
    denoiser: Denoiser,
    rows: Float[Tensor, "m d"],
    share: float = 0.9,
    reach: float = 0.1,
    low: float = 0.01,
    high: float = 10.0,
    trials: int = 10,
    seed: int | torch.Generator = 0,
) -> Float64[Tensor, "m"]:
    r"""Return the largest noise that each row comes back from: the size of its basin.

    .. math:: \sigma_c(x) = \sup \{\sigma : P_z[\,|R(x + \sigma z) - x| \le \epsilon\,] \ge p\}

    with ``recall`` as R, reach as epsilon and share as p. Each row has its own noise z, the same at
    every sigma, so that the share of the trials that come back falls with sigma, up to single
    trials, and is bisected on a geometric grid of 512 steps from ``low`` to ``high``. Every row is
    judged by its own trials alone.

    Args:
        denoiser: as in ``sample``.
        rows: ``(m, d)``, m >= 1, the stored rows.
        share: p in (0, 1], of the trials of a row.
        reach: > 0, in the unit of the data, the largest distance of a recall from its row.
        low: > 0, the least noise that is tried, in the unit of the data.
        high: above ``low``, the largest.
        trials: number of noise draws for each row, >= 1.
        seed: an integer >= 0 or a CPU generator, for the noise. That of a row depends on its place
            alone, not on the other rows.

    Returns:
        ``(m,)``: a step of the grid, at which the row comes back, while at the next one it does
        not; ``high`` where it comes back there, too, as an only row does from any noise; 0 where it
        does not even from ``low``.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import torch
        >>> from kanerva import diffusion
        >>> rows = torch.tensor([[0.0, 0.0], [1.0, 0.0], [9.0, 9.0]])
        >>> near, other, far = diffusion.critical_sigma(diffusion.exact(rows), rows, trials=50)
        >>> bool(0.2 < near < 0.6), bool(0.2 < other < 0.6), bool(3 < far < 8)
        (True, True, True)

    Source: Pham and others 2025, on the critical time.
    """
    vetted(denoiser)
    _vet_rows("rows", rows)
    share = checks.number("share", share, 0, 1, open_low=True)
    reach = checks.number("reach", reach, 0, LARGEST, open_low=True)
    low, high = level("low", low), level("high", high)
    if low >= high:
        refuse("high", high, must=f"above low, {low:g}", do="give a range of noise")
    trials = checks.integer("trials", trials, 1, checks.LONGEST)
    fresh, dim = Noise(seed), rows.shape[1]
    grid = [low * (high / low) ** (place / 2**DEPTH) for place in range(2**DEPTH)] + [high]

    def back(which: Tensor, sigma: float) -> Tensor:
        """Return which of some rows come back from a noise."""
        found = []
        for some in torch.split(which, max(1, BLOCK // (trials * dim))):
            own = rows[some].unsqueeze(1).expand(-1, trials, dim)
            noise = torch.stack([fresh(place, own[0]) for place in some.tolist()])
            cue = own + sigma * noise
            found.append((_apart(recall(denoiser, cue, sigma), own) <= reach).sum(-1))
        # Nine of ten trials are a share of 0.9, whatever the rounding.
        return torch.cat(found).cpu() >= share * trials - 1e-9

    with torch.no_grad():
        return _bisected(len(rows), grid, back).to(rows.device)


def _bisected(count: int, grid: list[float], back: Callable[[Tensor, float], Tensor]) -> Tensor:
    """Return the last noise of a grid from which each row comes back; 0 where from none."""
    every = torch.arange(count)
    # The place of the last noise known to be recalled, and of the first known not to be.
    good, bad = torch.full((count,), -1), torch.full((count,), len(grid))
    for place in (0, len(grid) - 1):
        held = back(every, grid[place])
        good = torch.where(held & (place > good), place, good)
        bad = torch.where(~held & (place < bad), place, bad)
    while bool((bad - good > 1).any()):
        middle = (good + bad) // 2
        open_ = bad - good > 1
        for place in sorted(set(middle[open_].tolist())):
            which = every[open_ & (middle == place)]
            held = back(which, grid[place])
            good[which[held]], bad[which[~held]] = place, place
    return torch.tensor([0.0, *grid], dtype=torch.float64)[good + 1]


def _vet_rows(name: str, value: Tensor, dim: int | None = None) -> None:
    """Refuse what is not one finite floating row or more."""
    arrays.finite(name, arrays.floats(name, arrays.rows(name, value, dim=dim)))
    if value.dtype in HALVES:
        must, do = "float32 or float64, in which rest can be told", "convert rows and denoiser"
        refuse(name, value, must=must, do=do, error=InputTypeError)
    if not len(value):
        refuse(name, got="none", must="one row or more", do="give the rows")


def _apart(one: Tensor, other: Tensor) -> Tensor:
    """Return the distances of rows."""
    return (one.double() - other.double()).norm(dim=-1)


def _nearest(denoiser: Denoiser, states: Tensor, rows: Tensor, own: bool) -> Tensor:
    """Return the distance of each state to the nearest stored row."""
    memory = getattr(denoiser, "memory", None) if own else None
    if memory is None:
        memory, states = rows.double(), states.double()
    # Without noise the energy is half the squared distance.
    return (2 * exact(memory).energy(states, 0.0)).clamp_min(0).sqrt()


def _merged(states: Tensor, merge: float) -> tuple[Tensor, Tensor]:
    """Return one state for each group that is linked by short steps, and how many each has."""
    # Sorted, so that the order of the starts has no part in what follows.
    states, several = torch.unique(states, dim=0, return_counts=True)
    chosen, counts = [], []
    for group in _linked(states.double(), merge):
        own = states[group].double()
        chosen.append(group[_apart(own, own.mean(0)).argmin()])
        counts.append(several[group].sum())
    total = torch.stack(counts)
    order = total.argsort(descending=True, stable=True)
    return states[torch.stack(chosen)[order]], total[order]


def _linked(states: Tensor, merge: float) -> Iterator[Tensor]:
    """Yield the places of the states of each group, in the order of their first."""
    left = torch.arange(len(states), device=states.device)
    while len(left):
        group, ahead, left = [left[:1]], left[:1], left[1:]
        while len(ahead) and len(left):
            near = _near(states[left], states[ahead], merge)
            ahead, left = left[near], left[~near]
            group.append(ahead)
        yield torch.cat(group).sort().values


def _near(states: Tensor, others: Tensor, merge: float) -> Tensor:
    """Return which states are near any of the others."""
    found = torch.zeros(len(states), dtype=torch.bool, device=states.device)
    for some in torch.split(others, max(1, BLOCK // len(states))):
        # Differences, not products, which would cancel.
        apart = torch.cdist(states, some, compute_mode="donot_use_mm_for_euclid_dist")
        found |= (apart <= merge).any(-1)
    return found
