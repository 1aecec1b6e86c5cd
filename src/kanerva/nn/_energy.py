"""A block that moves tokens down an energy: attention and a memory as one gradient."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kanerva._core import arrays, checks
from kanerva._core.errors import InputError, door, refuse
from kanerva.nn._heads import blame, no_autocast, sound, weigh, widen
from kanerva.nn._reader import check_dtype, check_mask, positive
from kanerva.separation import Power, Separation, Softmax

__all__ = ["Descent", "EnergyBlock"]

Tokens = Float[Tensor, "b n dim"]
Energies = Float[Tensor, "b"]
Mask = Bool[Tensor, "b n"] | None

RULE = Power(2)
# What is added to the variance of a token.
EPSILON = 1e-5
# An energy is a sum of many numbers. A rise by fewer roundings than these is none.
ROUNDINGS = 64


class Descent(NamedTuple):
    """The states of an energy block, their energies, and the steps at which these rise.

    Attributes:
        states: ``(t + 1, b, n, dim)``, the input first.
        energies: ``(t + 1, b)``, in float32 or wider.
        rises: ``(t, b)`` bool, True at a step after which the energy is higher than before, by more
            than 64 roundings of its dtype. There the rate is too large, or ``gain`` is negative.
    """

    states: Float[Tensor, "times b n dim"]
    energies: Float[Tensor, "times b"]
    rises: Bool[Tensor, "_steps b"]


class EnergyBlock(nn.Module):
    r"""Moves tokens down an energy, made of attention between them and of a memory.

    .. math:: E(g) = - \sum_{h, c} \Phi\bigl((q_{hc} \cdot k_{hb})_{b \ne c}\bigr)
        - \sum_c \Phi_m(M g_c), \quad q_{hc} = Q_h g_c, \quad k_{hb} = K_h g_b

    .. math:: x \leftarrow x - \eta \frac{\partial E}{\partial g}, \quad
        g = \gamma \frac{x - \bar x}{\sqrt{\text{var}(x) + 10^{-5}}} + \delta

    The negative gradient is a sum of reads, and there are no other values: every query reads the
    keys by the weights w, every key reads the queries by the same weights, transposed, and every
    token reads the rows of the memory M:

    .. math:: -\frac{\partial E}{\partial g_c} = \sum_h Q_h^T \sum_b w_{hcb} k_{hb}
        + K_h^T \sum_b w_{hbc} q_{hb} + M^T w_m(M g_c)

    As g is the gradient of a convex function of x where gain > 0, the energy falls along
    :math:`\dot x = -\partial E/\partial g`. So it does along the steps, if the rate is small
    enough; ``trace`` says where it is not. No token attends to itself. Tokens have no order: add a
    code of their places to the input.

    The initial weights are those of ``reset(0)``.

    Args:
        dim: width of the tokens, >= 2.
        heads: number of heads, >= 1.
        width: of the queries and keys of each head, >= 1; it need not divide ``dim``.
        memories: number of rows of the memory, >= 0; ``4 * dim`` if omitted.
        steps: of a call, >= 1.
        rate: eta > 0, within the range of float32.
        separation: rule of the attention; ``Softmax(1 / sqrt(width))`` if omitted. It must be the
            gradient of its potential, as ``Entmax`` and ``TopK`` are.
        rule: of the memory, with the same condition; ``Power(2)`` gives rectified scores.

    Attributes:
        query: ``(heads, width, dim)``, trained.
        key: ``(heads, width, dim)``, trained.
        memory: ``(memories, dim)``, trained.
        gain: one number, gamma, trained.
        shift: ``(dim,)``, delta, trained.

    Raises:
        InputError: a number out of range, or a rule that is not the gradient of its potential, or
            is made for other scores than products.

    Example:
        >>> import torch
        >>> from kanerva import nn
        >>> block = nn.EnergyBlock(dim=32, heads=2, width=16)
        >>> x = torch.randn(3, 5, 32, generator=torch.Generator().manual_seed(0))
        >>> path = block.trace(x)
        >>> block(x).shape, bool((path.energies.diff(dim=0) < 0).all()), bool(path.rises.any())
        (torch.Size([3, 5, 32]), True, False)

    Source: Hoover and others 2023, "Energy Transformer"; potentials of any rule are this library's.
    """

    @door
    def __init__(
        self,
        dim: int,
        heads: int,
        width: int = 64,
        memories: int | None = None,
        steps: int = 12,
        rate: float = 0.1,
        separation: Separation | None = None,
        rule: Separation = RULE,
    ) -> None:
        super().__init__()
        do = "give tokens of two numbers or more, because they are normalised"
        self.dim = checks.integer("dim", dim, 2, checks.LONGEST, do)
        self.heads = checks.integer("heads", heads, 1, checks.LONGEST)
        self.width = checks.integer("width", width, 1, checks.LONGEST)
        memories = 4 * self.dim if memories is None else memories
        self.memories = checks.integer("memories", memories, 0, checks.LONGEST)
        self.steps = checks.integer("steps", steps, 1, checks.LONGEST)
        self.rate = positive("rate", rate)
        separation = Softmax(self.width**-0.5) if separation is None else separation
        self.separation = _potential("separation", separation, self.width)
        self.rule = _potential("rule", rule, self.dim)
        size = f"{self.dim}, with {self.heads} heads of {self.width} and {self.memories} memories"
        numbers = (2 * self.heads * self.width + self.memories) * self.dim
        with checks.room("dim", size, 8 * numbers):  # as many again while they are drawn
            self.query = nn.Parameter(torch.empty(self.heads, self.width, self.dim))
            self.key = nn.Parameter(torch.empty(self.heads, self.width, self.dim))
            self.memory = nn.Parameter(torch.empty(self.memories, self.dim))
            self.gain = nn.Parameter(torch.empty(()))
            self.shift = nn.Parameter(torch.empty(self.dim))
            self.reset(0)

    @torch.no_grad()
    @door
    def reset(self, seed: int | torch.Generator) -> "EnergyBlock":
        """Draw all weights again.

        ``query``, ``key`` and ``memory`` are normal with variance 1 / dim, ``gain`` is 1, and
        ``shift`` is 0.

        Args:
            seed: an integer >= 0, or a CPU generator to be shared by the layers of a model.

        Returns:
            the module itself.

        Example:
            >>> from kanerva import nn
            >>> one, other = nn.EnergyBlock(8, 2).reset(1), nn.EnergyBlock(8, 2).reset(2)
            >>> (one.memory == other.memory).any().item()
            False
        """
        source = arrays.generator(seed)
        for rows in (self.query, self.key, self.memory):
            rows.copy_(arrays.draw(torch.randn, rows, source) * self.dim**-0.5)
        self.gain.fill_(1.0)
        self.shift.zero_()
        return self

    @door("EnergyBlock")
    @blame
    def forward(self, x: Tokens, mask: Mask = None, steps: int | None = None) -> Tokens:
        """Move the tokens down the energy.

        Gradients, weights and sums are computed in float32 or wider, under autocast too.

        Args:
            x: ``(b, n, dim)``.
            mask: ``(b, n)`` bool; a token that is False is returned as it is, and acts on no other.
            steps: >= 0; that of the block if omitted.

        Returns:
            ``(b, n, dim)``, in the dtype of ``x``.

        Raises:
            InputError: shapes or dtypes that do not fit, numbers that are not finite, or a rate by
                which the tokens overflow. In a compiled module, what depends on them is NaN.

        Example: see ``EnergyBlock``.
        """
        steps = self._check(x, mask, steps)
        try:
            with no_autocast(x):
                now, keep = self._wide(x), _keep(x, mask)
                for _ in range(steps):
                    now = now + self.rate * self._descent(self._state(now, mask), keep, mask)
            return sound(now.to(x.dtype), x=x)
        except InputError:
            self._vet_rate(x, mask, steps)
            raise

    @door
    def state(self, x: Tokens) -> Tokens:
        """Return g, the normalised tokens, on which the energy depends.

        Args:
            x: ``(b, n, dim)``.

        Returns:
            ``(b, n, dim)``, in the dtype of ``x``.

        Raises:
            InputError: as ``forward``.

        Example:
            >>> import torch
            >>> from kanerva import nn
            >>> block = nn.EnergyBlock(dim=4, heads=1)
            >>> [round(g, 2) for g in block.state(torch.tensor([[[3.0, 1, 1, 3]]]))[0, 0].tolist()]
            [1.0, -1.0, -1.0, 1.0]
        """
        self._check(x, None, None)
        with no_autocast(x):
            return sound(self._state(self._wide(x), None).to(x.dtype), x=x)

    @door
    @blame
    def energy(self, x: Tokens, mask: Mask = None) -> Energies:
        """Return the energy of each element of the batch.

        Args:
            x: ``(b, n, dim)``.
            mask: as in ``forward``; masked tokens add nothing.

        Returns:
            ``(b,)``, in float32 or wider; infinite where a potential is, such as that of
            ``separation.Compact`` without a key within reach.

        Raises:
            InputError: as ``forward``, or a potential that overflows.

        Example:
            >>> import torch
            >>> from kanerva import nn
            >>> block = nn.EnergyBlock(dim=4, heads=1, memories=0)
            >>> block.energy(torch.zeros(1, 3, 4)).item()  # scores of 0: -3 sqrt(64) log 2
            -16.635...
        """
        self._check(x, mask, None)
        arrays.finite("x", x)
        with no_autocast(x):
            return self._energy(self._state(self._wide(x), mask), _keep(x, mask), mask)

    @door
    @blame
    def descent(self, x: Tokens, mask: Mask = None) -> Tokens:
        """Return the negative gradient of the energy by g, as a sum of reads.

        Args:
            x: ``(b, n, dim)``.
            mask: as in ``forward``; the gradient of masked tokens is 0.

        Returns:
            ``(b, n, dim)``, in the dtype of ``x``; one step adds ``rate`` times this.

        Raises:
            InputError: as ``forward``.

        Example:
            >>> import torch
            >>> from kanerva import nn
            >>> block, x = nn.EnergyBlock(dim=4, heads=1, rate=0.5), torch.eye(4)[None]
            >>> torch.allclose(block(x, steps=1), x + 0.5 * block.descent(x))
            True
        """
        self._check(x, mask, None)
        with no_autocast(x):
            step = self._descent(self._state(self._wide(x), mask), _keep(x, mask), mask)
        return sound(step.to(x.dtype), x=x)

    @torch.no_grad()
    @door
    @blame
    def trace(self, x: Tokens, mask: Mask = None, steps: int | None = None) -> Descent:
        """Return all states of a call, their energies, and where these rise; without gradients.

        Args:
            x: ``(b, n, dim)``.
            mask: as in ``forward``.
            steps: as in ``forward``.

        Returns:
            the states, the energies and the rises.

        Raises:
            InputError: as ``energy``.

        Example:
            >>> import torch
            >>> from kanerva import nn
            >>> x = torch.randn(1, 4, 8, generator=torch.Generator().manual_seed(0))
            >>> path = nn.EnergyBlock(dim=8, heads=1, width=4, steps=3).trace(x)
            >>> path.states.shape, path.energies.shape, path.rises.flatten().tolist()
            (torch.Size([4, 1, 4, 8]), torch.Size([4, 1]), [False, False, False])
        """
        steps = self._check(x, mask, steps)
        arrays.finite("x", x)
        states, energies = [], []
        try:
            with no_autocast(x):
                tokens, keep = self._wide(x), _keep(x, mask)
                for turn in range(steps + 1):
                    g = self._state(tokens, mask)
                    states.append(tokens.to(x.dtype))
                    energies.append(self._energy(g, keep, mask))
                    if turn < steps:
                        tokens = tokens + self.rate * self._descent(g, keep, mask)
            path, found = sound(torch.stack(states), x=x), torch.stack(energies)
        except InputError:
            self._vet_rate(x, mask, steps)
            raise
        before, after = found[:-1], found[1:]
        allowed = ROUNDINGS * torch.finfo(found.dtype).eps * before.abs().clamp_min(1)
        return Descent(path, found, after > before + allowed)

    def extra_repr(self) -> str:
        """Return the arguments that the module was built with."""
        return (
            f"dim={self.dim}, heads={self.heads}, width={self.width}, memories={self.memories}, "
            f"steps={self.steps}, rate={self.rate:g}, separation={self.separation}, "
            f"rule={self.rule}"
        )

    def _check(self, x: Any, mask: Any, steps: Any) -> int:
        """Refuse input of the wrong shape or dtype; return the number of steps."""
        arrays.floats("x", x, self.dim)
        if x.ndim != 3:
            must = f"of shape (batch, tokens, {self.dim})"
            refuse("x", x, must=must, do="give it three dimensions")
        # Without linear maps of torch, a block takes any dtype under autocast.
        if not torch.is_autocast_enabled(x.device.type):
            check_dtype("x", x, self.query.dtype)
        if mask is not None:
            do = "give True for the tokens that are there"
            check_mask(mask, (tuple(x.shape[:2]),), do, do)
        if self.separation.compares or self.rule.compares:
            arrays.finite("x", x)
        return self.steps if steps is None else checks.integer("steps", steps, 0, checks.LONGEST)

    @torch.no_grad()
    def _vet_rate(self, x: Tensor, mask: Tensor | None, steps: int) -> None:
        """Refuse the rate if finite tokens overflow by a step that is finite without it."""
        arrays.finite("x", x)
        with no_autocast(x):
            tokens, keep = self._wide(x), _keep(x, mask)
            for _ in range(steps):
                try:
                    step = self._descent(self._state(tokens, mask), keep, mask)
                except InputError:
                    return
                tokens = tokens + self.rate * step
                if arrays.sound(step) and not arrays.sound(tokens.to(x.dtype)):
                    must = f"small enough that the tokens stay finite in {x.dtype}"
                    do = "build the block with a smaller one"
                    refuse("rate", got=f"{self.rate:g}", must=must, do=do)

    def _wide(self, x: Tensor) -> Tensor:
        """Return tokens in the dtype of all sums: that of the weights and float32, or wider."""
        return widen(x.to(torch.promote_types(x.dtype, self.query.dtype)))

    def _state(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """Return g, zeros for masked tokens, whose scores then never overflow."""
        g = self.gain.to(tokens) * _normalised(tokens) + self.shift.to(tokens)
        return g if mask is None else g.masked_fill(~mask[..., None], 0)

    def _project(self, g: Tensor) -> tuple[Tensor, Tensor]:
        """Return queries and keys of all heads, ``(b, h, n, width)``."""
        shape = (*g.shape[:2], self.heads, self.width)
        queries, keys = (
            (g @ weight.to(g).flatten(0, 1).mT).reshape(shape).transpose(1, 2)
            for weight in (self.query, self.key)
        )
        return queries, keys

    def _descent(self, g: Tensor, keep: Tensor, mask: Tensor | None) -> Tensor:
        """Return the negative gradient of the energy by g."""
        queries, keys = self._project(g)
        weights = weigh(queries @ keys.mT, self.separation, keep)
        reads = ((weights @ keys, self.query), (weights.mT @ queries, self.key))
        memory = self.memory.to(g)
        step = weigh(g @ memory.mT, self.rule, None) @ memory
        for read, weight in reads:
            step = step + read.transpose(1, 2).flatten(2) @ weight.to(g).flatten(0, 1)
        return step if mask is None else step.masked_fill(~mask[..., None], 0)

    def _energy(self, g: Tensor, keep: Tensor, mask: Tensor | None) -> Tensor:
        """Return the energy of g, for each element of the batch."""
        queries, keys = self._project(g)
        # The potential of a token without any other is 0; its row is filled, as a logarithm of an
        # empty sum would have no gradient.
        others = keep.any(-1)
        filled = keep | ~others[..., None]
        attention = _total(self.separation, queries @ keys.mT, filled, others)
        kept = None if mask is None else mask[:, None]
        scores = g @ self.memory.to(g).mT
        return -attention - _total(self.rule, scores[:, None], None, kept)


def _normalised(tokens: Tensor) -> Tensor:
    """Return tokens of mean 0 and variance 1, also where the squares of their numbers overflow."""
    # The result does not depend on this scale, so it needs no gradient.
    scale = tokens.detach().abs().amax(-1, keepdim=True).clamp_min(1)
    centred = tokens / scale
    centred = centred - centred.mean(-1, keepdim=True)
    least = (EPSILON / scale / scale).clamp_min(torch.finfo(tokens.dtype).tiny)
    return centred * (centred.square().mean(-1, keepdim=True) + least).rsqrt()


def _total(rule: Separation, scores: Tensor, keep: Tensor | None, kept: Tensor | None) -> Energies:
    """Return the potentials of scores ``(b, h, n, m)``, summed over heads and the tokens kept."""
    if not scores.numel():
        return scores.sum((1, 2, 3))
    potentials = rule.potential(scores, keep)
    potentials = potentials if kept is None else potentials.masked_fill(~kept, 0)
    return potentials.sum((1, 2))


def _keep(x: Tensor, mask: Tensor | None) -> Bool[Tensor, "_batch 1 n n"]:
    """Return which token attends to which: all that are there, but not to themselves."""
    other = ~torch.eye(x.shape[1], dtype=torch.bool, device=x.device)[None, None]
    return other if mask is None else other & mask[:, None, None] & mask[:, None, :, None]


def _potential(argument: str, rule: Any, length: int) -> Separation:
    """Return a rule, if it is the gradient of its potential and takes products of real vectors."""
    do = "choose another, such as Softmax, Entmax or Power"
    checks.instance(argument, rule, Separation, do, "a rule of kanerva.separation")
    other = rule.expects and "dot" not in rule.expects
    if other or rule.bits is True or rule.length not in (None, length):
        must = f"a rule for products of real vectors of length {length}"
        refuse(argument, got=repr(rule), must=must, do=do)
    if not rule.gradient:
        must = "a rule that is the gradient of its potential"
        refuse(argument, got=repr(rule), must=must, do=do)
    checked: Separation = rule
    return checked
