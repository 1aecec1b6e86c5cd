"""Dot products and quadratic forms of signals."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanerva._core import arrays, checks
from kanerva._core.errors import door, refuse
from kanerva.quarks import _inputs, _parts
from kanerva.quarks.circuits._size import Circuit, Size, trained

__all__ = ["Dot", "Quadratic", "dot", "quadratic"]

WAYS = ("output", "synapse")


class Dot(Circuit):
    """A dot product of two signals."""

    def __init__(self, d: int, way: str) -> None:
        super().__init__()
        self.d, self.way = d, way

    def extra_repr(self) -> str:
        return f"d={self.d}, way={self.way!r}"

    def size(self) -> Size:
        """Return the size of the circuit."""
        return Size(1, self.d, 2 if self.way == "output" else 1, 0)

    @door
    def forward(
        self, u: Float[Tensor, "*batch d"], v: Float[Tensor, "*batch d"]
    ) -> Float[Tensor, "*batch"]:
        """Return the dot products.

        Args:
            u: ``(..., d)``, floating and finite.
            v: of the same shape and dtype.
        """
        arrays.floats("u", u, self.d)
        _inputs.rows("v", v, self.d, u, u.shape[:-1], "u")
        if self.way == "output":
            found = _parts.total(_parts.gated(u, v))
        else:
            found = _parts.weighed(u, v.unsqueeze(-2), u.new_ones(1, self.d)).squeeze(-1)
        return _inputs.blame(found, u=u, v=v)


@door
def dot(d: int, way: str = "output") -> Dot:
    r"""Return a circuit of the dot product of two signals.

    .. math:: (u, v) \mapsto \sum_j u_j v_j

    By output gating, d gates multiply the coordinates and one linear unit adds them. By synaptic
    gating, v gates the synapses of one unit, whose weights are 1. Without gates, a network of
    threshold or rectified linear units only approximates a product.

    Size: 1 unit, d gates, depth 2 by "output" and 1 by "synapse", no parameters.

    Args:
        d: number of coordinates, >= 1.
        way: "output" or "synapse".

    Returns:
        a module that takes two tensors ``(..., d)`` and returns ``(...)``.

    Raises:
        InputError: an argument is out of range; when called, signals that do not fit.

    Example:
        >>> import torch
        >>> from kanerva.quarks import circuits
        >>> u, v = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 5.0])
        >>> circuits.dot(2)(u, v).item(), circuits.dot(2, way="synapse")(u, v).item()
        (13.0, 13.0)

    Source: Baldi and Vershynin 2022.
    """
    return Dot(checks.integer("d", d, 1, checks.LONGEST), checks.choice("way", way, WAYS))


class Quadratic(Circuit):
    """A quadratic form by gated pairs of linear units.

    Attributes:
        left: ``(gates, n)`` weights of the attended units, trained.
        right: ``(gates, n)`` weights of the attending units, trained.
    """

    def __init__(self, left: Tensor, right: Tensor) -> None:
        super().__init__()
        self.left, self.right = nn.Parameter(left), nn.Parameter(right)

    def size(self) -> Size:
        """Return the size of the circuit."""
        gates = len(self.left)
        return Size(2 * gates + 1, gates, 2, trained(self))

    @door
    def forward(self, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch"]:
        """Return the quadratic form of each vector.

        Args:
            x: ``(..., n)`` in the dtype of the matrix, finite.
        """
        _inputs.like("x", x, self.left.shape[1], self.left)
        pairs = _parts.gated(_parts.summed(x, self.left), _parts.summed(x, self.right))
        return _inputs.blame(_parts.total(pairs), x=x)


@door
def quadratic(matrix: Float[Tensor, "n n"]) -> Quadratic:
    r"""Return a circuit of a quadratic form, with the fewest gates.

    .. math:: x \mapsto x^\top A x = \sum_i (l_i \cdot x) (r_i \cdot x)

    Where the symmetric part of A has p positive and q negative eigenvalues, max(p, q) gates are
    enough: one pair of each sign is joined to one product,

    .. math:: \lambda u^2 - \mu v^2
        = (\sqrt\lambda u - \sqrt\mu v) (\sqrt\lambda u + \sqrt\mu v),

    and those left over are squares. Fewer are not enough: a product of two linear forms has at most
    one eigenvalue of each sign, and a sum of r such products at most r.

    Size: 2 max(p, q) + 1 units, max(p, q) gates, depth 2, 2 n max(p, q) parameters.

    Args:
        matrix: A, ``(n, n)`` floating and finite. Eigenvalues within n epsilon times the largest
            absolute one count as zero.

    Returns:
        a module that takes ``(..., n)`` and returns ``(...)``.

    Raises:
        InputError: a matrix that is not square, or not finite.

    Example:
        >>> import torch
        >>> from kanerva.quarks import circuits
        >>> form = circuits.quadratic(torch.tensor([[1.0, 0.0], [0.0, -4.0]]))
        >>> round(form(torch.tensor([3.0, 1.0])).item(), 4), form.size().gates
        (5.0, 1)

    Source: Baldi and Vershynin 2022 for pairs of gated linear units; Sylvester's law of inertia.
    """
    _inputs.matrix("matrix", matrix)
    if matrix.shape[0] != matrix.shape[1]:
        must = "of shape (n, n)"
        refuse("matrix", got=f"of shape {tuple(matrix.shape)}", must=must, do="give a square one")
    arrays.finite("matrix", matrix)
    left, right = _pairs(matrix.detach().double())
    return Quadratic(left.to(matrix.dtype), right.to(matrix.dtype))


def _pairs(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return both factors of each gate, ``(gates, n)``."""
    # Halves are added, since the sum of two large numbers overflows.
    values, vectors = torch.linalg.eigh(matrix / 2 + matrix.mT / 2)
    least = len(matrix) * torch.finfo(matrix.dtype).eps * values.abs().max()
    scaled = values.abs().sqrt() * vectors
    positive, negative = scaled.mT[values > least], scaled.mT[values < -least]
    paired = min(len(positive), len(negative))
    minus, plus = positive[:paired] - negative[:paired], positive[:paired] + negative[:paired]
    squares: Any = (positive[paired:], -negative[paired:])
    roots: Any = (positive[paired:], negative[paired:])
    return torch.cat((minus, *squares)), torch.cat((plus, *roots))
