"""A memory whose recall lets the noise fall: a sampler that starts at the cue."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from kanerva._core import checks
from kanerva._core.errors import door
from kanerva.diffusion._noise import level
from kanerva.diffusion._samples import flow
from kanerva.diffusion._schedule import KINDS, schedule
from kanerva.memory import Patterns
from kanerva.memory._inputs import Given
from kanerva.separation import Softmax
from kanerva.similarity import closeness

__all__ = ["Annealed", "memory"]


class Annealed(Patterns):
    """Keeps rows, and recalls by the probability-flow steps of ``sample``; see ``memory``.

    A read is one at the lowest noise. A view at another inverse temperature does not anneal: it
    recalls by equal reads.

    Example:
        >>> import torch
        >>> from kanerva import diffusion
        >>> memory = diffusion.memory(dim=2, high=1.0, low=0.05, steps=20)
        >>> ids = memory.write(torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
        >>> memory.recall(torch.tensor([0.7, 0.6]))
        tensor([1., 1.])
    """

    exempt: Mapping[str, str] = MappingProxyType(
        {
            "The energy never rises along a recall, where the potential is convex": (
                "each step descends the energy at its own noise, and these are different functions"
            )
        }
    )

    @door
    def __init__(
        self,
        dim: int,
        high: float,
        low: float,
        steps: int = 30,
        schedule: str = "geometric",
        dtype: torch.dtype = torch.float32,
        storage: torch.dtype | None = None,
        empty: str = "zero",
    ) -> None:
        sigmas = _sigmas(schedule, steps, high, low)
        rule = Softmax(1 / sigmas[-1] ** 2)
        kept: Any = {"dtype": dtype, "storage": storage, "empty": empty}
        super().__init__(dim, similarity=closeness, separation=rule, **kept)
        self.sigmas = sigmas

    def _stages(self, given: Given) -> list[Callable[[Tensor], Tensor]] | None:
        if self._view:
            return None

        def denoise(x: Tensor, sigma: float) -> Tensor:
            rows, rule = x.reshape(-1, x.shape[-1]), Softmax(1 / sigma**2)
            return self._read(given._replace(rows=rows, rule=rule)).reshape(x.shape)

        return flow(denoise, self.sigmas)


def _sigmas(kind: Any, steps: Any, high: Any, low: Any) -> tuple[float, ...]:
    """Return the levels of noise of a recall; one step is a read at the lowest."""
    kind = checks.choice("schedule", kind, KINDS)
    steps = checks.integer("steps", steps, 1, checks.LONGEST)
    found = schedule(kind, steps, high, low).tolist()
    return tuple(found) if steps > 1 else (level("low", low),)


@door
def memory(
    dim: int, high: float, low: float, steps: int = 30, schedule: str = "geometric", **store: Any
) -> Annealed:
    r"""Build a memory whose recall anneals: the noise falls from ``high`` to ``low``.

    .. math:: q \leftarrow D + \frac{\sigma'}{\sigma} (q - D), \quad
        D = \sum_i w_i x_i, \quad w_i \propto e^{-|q - x_i|^2 / 2 \sigma^2}

    and at the end q becomes D at the lowest noise. This is the exact denoiser of the stored rows,
    followed along its probability flow.

    Args:
        dim: d, length of a row.
        high: standard deviation of the noise at the start, in the unit of the data: that of a cue.
        low: at the end, well below the distance of neighbours.
        steps: reads of a recall, >= 1.
        schedule: ``"geometric"``, ``"karras"`` or ``"linear"``, as in ``diffusion.schedule``.
        **store: ``dtype``, ``storage`` and ``empty`` of ``Patterns``.

    Returns:
        an empty memory.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> from kanerva import diffusion
        >>> memory = diffusion.memory(dim=64, high=1.0, low=0.5)
        >>> len(memory.sigmas), memory.separation
        (30, Softmax(beta=4.0))

    Source: Hoover and others 2023.
    """
    checks.keywords(store, "dtype", "storage", "empty")
    return Annealed(dim, high, low, steps, schedule, **store)
