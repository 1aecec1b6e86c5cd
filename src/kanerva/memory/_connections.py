"""Stores for codes with few ones, which keep a number for each pair of a key bit and a value bit.

Both are ``Locations`` with one location for each bit of a key, active where that bit is +1.
"""

import math
from typing import Any, NoReturn

import torch
from torch import Tensor

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva._engine import routes, writes
from kanerva._engine.routes import Field
from kanerva.activation import Activation, Sign
from kanerva.memory._inputs import Given, changes
from kanerva.memory._locations import Locations
from kanerva.separation import Step
from kanerva.similarity import dot

__all__ = ["Clipped", "Covariance"]


class _Connections(Locations):
    """Locations that are the bits of a key themselves."""

    def __init__(
        self,
        dim: int,
        value_dim: int | None,
        activation: Activation | None,
        empty: str,
        counters: torch.dtype,
        overflow: str,
    ) -> None:
        dim = checks.integer("dim", dim, 1, checks.LONGEST)
        with checks.room("dim", f"{dim}, with one location for each of the bits"):
            lines = torch.eye(dim, dtype=torch.int8)
        # At exactly the threshold a unit is active.
        rule = Sign("plus") if activation is None else activation
        super().__init__(
            lines,
            value_dim,
            similarity=dot,
            separation=Step(1.0),
            activation=rule,
            empty=empty,
            counters=counters,
            overflow=overflow,
        )


class Clipped(_Connections):
    r"""Keeps which pairs of bits were ever +1 together: sums of outer products, clipped at one.

    .. math:: c_{ji} = \min\Bigl(1, \sum_\mu [a_{\mu j} = 1] [v_{\mu i} = 1]\Bigr), \quad
        y_i = \mathrm{activation} \sum_{j:\, q_j = 1} (c_{ji} - 1)

    Keys and values are -1/+1, and +1 is an active unit. The field of a unit counts, with a minus
    sign, the active bits of the query without a connection to it. By default a unit is active where
    none is missing, which is the threshold of Willshaw and others: the number of active bits.

    ``counters`` holds c - 1: 0 for a connection, -1 for none, and in its last column whether
    anything is stored. What was written cannot be taken back.

    Args:
        dim: d, length of a key.
        value_dim: e, length of a value; None for d.
        activation: what is done with the field; default ``Sign("plus")``, the threshold;
            ``Winners(k)`` activates the k units with the fewest missing connections.
        empty: what is read where nothing is stored or no bit of the query is +1: ``"zero"``,
            ``"keep"`` or ``"raise"``.

    Example:
        >>> import torch
        >>> from kanerva.memory import Clipped
        >>> memory = Clipped(4)
        >>> memory.write(torch.tensor([[1.0, 1.0, -1.0, -1.0]]))
        >>> memory.read(torch.tensor([1.0, -1.0, -1.0, -1.0])).tolist()
        [1.0, 1.0, -1.0, -1.0]
        >>> memory.fill
        0.25

    Source: Willshaw, Buneman and Longuet-Higgins 1969.
    """

    @door
    def __init__(
        self,
        dim: int,
        value_dim: int | None = None,
        *,
        activation: Activation | None = None,
        empty: str = "zero",
    ) -> None:
        super().__init__(dim, value_dim, activation, empty, torch.int8, "saturate")
        self.counters[:, :-1] = -1

    @property
    def fill(self) -> float:
        """The share of the connections that are on, as in ``theory.capacity.fill``."""
        return 1 + self.values.double().mean().item()

    @door
    def forget(self, keys: Any, values: Any = None) -> NoReturn:
        """Refuse: a connection does not tell how many pairs it belongs to."""
        do = "clear the memory and write what is to stay, or use kanerva.covariance"
        refuse("memory", got="one of clipped sums", must="one whose writes can be undone", do=do)

    @door
    @changes
    def clear(self) -> None:
        """Remove every connection."""
        super().clear()
        self.counters[:, :-1] = -1

    def _add(self, keys: Tensor, given: Tensor, times: int) -> None:
        """Connect the active bits of each key with those of its value."""
        if len(keys) == 0:
            return
        together = torch.zeros_like(self.counters, dtype=torch.int32)
        rule = (self.similarity, self.separation)
        writes.deposit(keys, (given > 0).to(given), self.keys, together, *rule, times)
        connected = (together[:, :-1] > 0).to(self.counters.dtype) - 1
        self.counters[:, :-1] = torch.maximum(self.counters[:, :-1], connected)
        self.counters[:, -1] = 1


class Covariance(_Connections):
    r"""Sums outer products of bits from which their mean activity is subtracted.

    .. math:: J_{ji} = \sum_\mu (a_{\mu j} - f)(v_{\mu i} - g), \quad
        y_i = \mathrm{activation}\Bigl(\sum_j (q_j - f) J_{ji} - \theta\Bigr)

    Here bits are 0 and 1; in keys, values and queries they are -1 and +1, and +1 is an active unit.
    Where values are as long as keys no unit acts on itself, J_ii = 0. The threshold that makes the
    fewest errors in one read of an undamaged key, after M writes of random codes, is

    .. math:: \theta = n f (1 - f) (\tfrac12 - g) + M f (1 - f)\, g (1 - g) \ln \frac{1 - g}{g}

    ``counters`` holds how often two bits were +1 together, as integers, so that ``forget`` is the
    exact reverse of ``write``, and the order of writing is of no consequence.

    Args:
        dim: d, length of a key.
        activity: f, the share of +1 in keys, between 0 and 1.
        value_dim: e, length of a value; None for d.
        value_activity: g, the share of +1 in values; None for f.
        threshold: theta, in units of the field; None for the formula above.
        activation: what is done with the field; default ``Sign("plus")``, the threshold;
            ``Winners(k)`` activates the k units with the largest field, whatever the threshold.
        empty: what is read where nothing is stored or no bit of the query is +1: ``"zero"``,
            ``"keep"`` or ``"raise"``.

    Example:
        >>> import torch
        >>> from kanerva.memory import Covariance
        >>> memory = Covariance(6, activity=1 / 3)
        >>> codes = torch.tensor([[1.0, 1, -1, -1, -1, -1], [-1, -1, 1, 1, -1, -1]])
        >>> memory.write(codes)
        >>> bool((memory.read(codes) == codes).all())
        True

    Source: Tsodyks and Feigel'man 1988.
    """

    ones: Tensor

    @door
    def __init__(
        self,
        dim: int,
        activity: float,
        value_dim: int | None = None,
        *,
        value_activity: float | None = None,
        threshold: float | None = None,
        activation: Activation | None = None,
        empty: str = "zero",
    ) -> None:
        super().__init__(dim, value_dim, activation, empty, torch.int32, "raise")
        self.activity = _share("activity", activity)
        given = value_activity is not None
        self.value_activity = _share("value_activity", value_activity) if given else self.activity
        self.threshold = None if threshold is None else checks.plain("threshold", threshold)
        self.register_buffer("ones", torch.zeros(self.value_dim, dtype=torch.int64))

    @property
    def values(self) -> Tensor:
        """J, ``(d, e)`` in float64; J_ii too, which takes no part where e = d."""
        counts, f, g = self.counters.double(), self.activity, self.value_activity
        keys, values = counts[:, -1:], self.ones.double()
        return counts[:, :-1] - g * keys - f * values + f * g * self._stored.double()

    @door
    @changes
    def clear(self) -> None:
        """Set every count to zero."""
        super().clear()
        self.ones.zero_()

    @door
    def kill(self, share: float, *, seed: int | torch.Generator) -> NoReturn:
        """Refuse: every bit of a key has its own place."""
        do = "leave bits out of a read with a mask"
        refuse("memory", got="one location for each bit", must="one of random locations", do=do)

    def _add(self, keys: Tensor, given: Tensor, times: int) -> None:
        """Count the bits that are +1 together."""
        on = (given > 0).to(given)
        super()._add(keys, on, times)
        self.ones += times * on[:, :-1].sum(0, dtype=torch.float64).long()

    def _field(self, given: Given) -> Field:
        """Return the field above the threshold, from whole numbers that are summed exactly.

        The part of a sum over all j that belongs to bits of 0 is that over all bits that are left
        by the mask, less that of the active ones.
        """
        parts = (given.keys, given.values, self.similarity, given.rule)
        f, g = self.activity, self.value_activity
        with self._alone():
            active, left = self._weights(given).double(), _left(given)
            some = routes.field(given.rows.double(), *parts, _wide(given.kept)).value
            whole = left @ given.values.double() if len(left) else given.values.sum(0).double()
            stored, values = self._stored.double(), self.ones.double()
            keys, own = given.values[:, -1].double(), given.values.diagonal().double()
        left = left if len(left) else torch.ones_like(active[:1])
        size = active.sum(-1, keepdim=True)
        sums, count = some - f * whole, size - f * left.sum(-1, keepdim=True)
        value = sums[:, :-1] - g * sums[:, -1:] - count * (f * values - f * g * stored)
        if self.value_dim == self.dim:
            value = value - (active - f * left) * (own - g * keys - f * values + f * g * stored)
        return Field(value - self._level(stored), (size.squeeze(-1) == 0) | (stored == 0))

    def _level(self, stored: Tensor) -> Tensor | float:
        """Return the threshold."""
        if self.threshold is not None:
            return self.threshold
        f, g = self.activity, self.value_activity
        signal, spread = self.dim * f * (1 - f), f * (1 - f) * g * (1 - g)
        return signal * (0.5 - g) + stored * spread * math.log((1 - g) / g)


def _share(name: str, value: float | None) -> float:
    do = "give the share of +1 among the bits, such as 0.05"
    share = checks.number(name, value, 0.0, 1.0, do=do)
    if share in (0, 1):
        refuse(name, value, must="above 0 and below 1", do=do)
    return share


def _left(given: Given) -> Tensor:
    """Return 1 for the bits that the mask leaves, and 0 for the others; no row for no mask."""
    kept = given.kept
    if kept is None:
        return given.rows.new_empty(0, given.rows.shape[-1], dtype=torch.float64)
    return (kept if kept.dtype == torch.bool else kept > -math.inf).double()


def _wide(kept: Tensor | None) -> Tensor | None:
    """Return a mask for queries in float64."""
    return kept.double() if kept is not None and kept.is_floating_point() else kept
