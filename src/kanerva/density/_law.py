"""What a density is made of: an unnormalised logarithm, its normaliser, and draws."""

import math
from abc import ABC, abstractmethod
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from kanerva._core.errors import refuse

__all__ = ["Law", "directed", "directions"]


class Law(ABC):
    """The density of a memory as it is now; rows are checked, ``(n, d)``, in float64.

    Attributes:
        space: ``"real"``, ``"sphere"`` or ``"cube"``.
        temperature: T, in units of the energy.
    """

    space: str
    temperature: float

    @property
    @abstractmethod
    def empty(self) -> bool:
        """Whether nothing is stored."""

    @abstractmethod
    def log_weight(self, rows: Tensor) -> Tensor:
        """Return -E(x) / T ``(n,)``."""

    @abstractmethod
    def log_normaliser(self) -> float:
        """Return log Z; refuse where it is not known."""

    def state(self) -> tuple[Any, ...] | None:
        """Return what the normaliser depends on; None where a change cannot be seen."""
        return None

    def posterior(self, rows: Tensor) -> Tensor:
        """Return how probable each kernel is ``(n, m)``; refuse where there are none."""
        self.refuse_kernels()

    def leave_one_out(self, places: Tensor | None = None) -> Tensor:
        """Return the log density of some stored rows, or of all, each under all others."""
        self.refuse_kernels()

    def draw(self, count: int, source: np.random.Generator) -> Tensor | None:
        """Draw exactly; None where that is not possible."""
        return None

    def starts(self, count: int, source: np.random.Generator) -> Tensor:
        """Return where random walks start."""
        raise NotImplementedError

    def slope(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return -E(x) / T ``(n,)`` and its gradient ``(n, d)``; zero where the density is."""
        with torch.inference_mode(False), torch.enable_grad():
            # No gradient reaches a tensor that was made in inference mode.
            rows = rows.clone().detach().requires_grad_()
            level = self.log_weight(rows)
            there = level > -math.inf
            total = torch.where(there, level, 0.0).sum()
            slope = torch.zeros_like(rows)
            if total.requires_grad:
                (slope,) = torch.autograd.grad(total, rows)
        return level.detach(), torch.where(there.unsqueeze(-1), slope, 0.0)

    def refuse_kernels(self) -> NoReturn:
        """Refuse: the density is no sum of kernels."""
        must = "a density that is a sum of kernels"
        do = "take Softmax, Compact or Circle, at temperature 1 / beta"
        refuse("memory", got="one with another rule or temperature", must=must, do=do)


def directed(name: str, rows: Tensor, short: float = 0.0) -> Tensor:
    """Refuse rows that have no direction: no entry is larger than ``short``."""
    zeros = int((rows.abs().amax(-1) <= short).sum()) if rows.numel() else 0
    if zeros:
        got = f"zeros in {zeros} of {len(rows)} rows"
        do = "leave these rows out"
        must = "of rows with a direction, not all zero"
        refuse(name, got=got, must=must, do=do)
    return rows


def directions(rows: Tensor) -> Tensor:
    """Return rows of any length but zero at length one."""
    # Squares of scaled rows neither overflow nor vanish.
    return torch.nn.functional.normalize(rows / rows.abs().amax(-1, keepdim=True), dim=-1)
