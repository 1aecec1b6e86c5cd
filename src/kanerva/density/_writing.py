"""Energies in context of a memory that writes its context, without training."""

import copy
import math

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import door, refuse
from kanerva.density import _points
from kanerva.memory import Memory

__all__ = ["context_energy"]

# Short contexts are written together, up to so many rows, as each call takes its time.
ROWS = 64


@door
def context_energy(
    context: Float[Tensor, "*batch n d"], query: Float[Tensor, "*more k d"], memory: Memory
) -> Float[Tensor, "*shared k"]:
    r"""Return the energy of each query in a memory that holds the points of the context before it.

    .. math:: E_i = E(q_i), \quad \text{the memory holding } x_1, \ldots, x_{i-1}

    It is the quantity that ``InContext.energy`` learns, of a memory that writes: nothing is
    trained. Every context is written to a copy of the memory, and what the memory holds already is
    seen by every query.

    With similarity ``closeness`` and ``Softmax(beta)``, beta = 1 / sigma^2, the energy is that of
    a kernel density: -log p = beta E_i + log(i - 1) + (d / 2) log(2 pi / beta), for a memory that
    was empty. A prior is one kernel more, with log p joined by ``logaddexp``. Where nothing is held
    the energy of a normalised rule is +inf, and such a sum is the prior alone.

    Args:
        context: ``(..., n, d)`` in the memory's dtype, finite; n may be 0.
        query: ``(..., k, d)``, k <= n + 1; query i sees the points before i. Leading dimensions
            broadcast.
        memory: auto-associative, with an energy, and keeping a row for each point, such as
            ``Patterns``; it is not changed.

    Returns:
        ``(..., k)``, through which gradients reach the query alone.

    Raises:
        InputError: shapes or dtypes that do not fit, numbers that are not finite, or a memory
            without an energy.

    Example:
        >>> import torch
        >>> from kanerva import Patterns
        >>> from kanerva.density import context_energy
        >>> from kanerva.separation import Softmax
        >>> from kanerva.similarity import closeness
        >>> memory = Patterns(1, similarity=closeness, separation=Softmax(beta=1.0))
        >>> context, query = torch.tensor([[0.0], [4.0]]), torch.tensor([[0.0], [2.0], [1.0]])
        >>> [round(energy, 3) for energy in context_energy(context, query, memory).tolist()]
        [inf, 2.0, 0.482]

    Source: Schaeffer and others 2024, for energies in context.
    """
    do = "build one, such as kanerva.Patterns(dim, separation=Softmax(beta=1.0))"
    checks.instance("memory", memory, Memory, do)
    like = torch.empty(0, dtype=memory.dtype, device=memory.device)
    context, query = _points.checked(context, query, memory.dim, like)
    _points.visible(context, query, None)
    for name, points in (("context", context), ("query", query)):
        if memory.key_bits:
            arrays.bipolar(name, points)
    shape = arrays.together(context.shape[:-2], query.shape[:-2])
    assert shape is not None
    # Dimensions that only queries have stay with them, so that each context is written once.
    lead, held, count = len(shape) - (context.ndim - 2), context.shape[-2], query.shape[-2]
    several = math.prod(shape[lead:])
    contexts = context.expand(*shape[lead:], -1, -1).reshape(several, held, memory.dim)
    queries = query.expand(*shape, -1, -1).reshape(*shape[:lead], several, count, memory.dim)
    size = max(1, ROWS // max(1, held))
    energies = [
        _energies(memory, some, part)
        for some, part in zip(
            torch.split(contexts, size), torch.split(queries, size, -3), strict=True
        )
    ]
    return torch.cat(energies, -2).reshape(*shape, count)


def _energies(memory: Memory, contexts: Tensor, query: Tensor) -> Tensor:
    """Write contexts ``(c, n, d)`` to a copy, and return the energies ``(..., c, k)``."""
    written, before, (several, held, _) = copy.deepcopy(memory), len(memory), contexts.shape
    written.write(contexts.flatten(0, 1))
    total, device = written.keys.shape[0], query.device
    if total != before + several * held:
        must, do = "one that keeps a row for each point", "give a kanerva.Patterns"
        refuse("memory", got=f"{type(memory).__name__} of {total} rows", must=must, do=do)
    # A row that the mask leaves out counts as one that is not held.
    earlier = torch.ones(query.shape[-2], held, dtype=torch.bool, device=device).tril(-1)
    own = torch.eye(several, dtype=torch.bool, device=device)[:, None, :, None]
    mask = (own & earlier[None, :, None]).flatten(-2)
    always = torch.ones(*mask.shape[:-1], before, dtype=torch.bool, device=device)
    return written.energy(query, mask=torch.cat((always, mask), -1))
