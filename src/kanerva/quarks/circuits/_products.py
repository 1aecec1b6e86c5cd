"""Powers and parities: products of many outputs, by gates in pairs."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanerva._core import arrays, checks
from kanerva._core.errors import door, named
from kanerva.quarks import _inputs, _parts
from kanerva.quarks._units import Unit
from kanerva.quarks.circuits._size import Circuit, Size, doublings, trained

__all__ = ["Parity", "Power", "parity", "power", "product"]

# The products of so many factors are built as one tensor.
MOST = 1024


def product(factors: Tensor) -> Tensor:
    """Return the products over the last dimension, ``(...)``: one gate fewer than factors."""
    while factors.shape[-1] > 1:
        half = factors.shape[-1] // 2
        pairs = _parts.gated(factors[..., :half], factors[..., half : 2 * half])
        factors = torch.cat((pairs, factors[..., 2 * half :]), -1)
    return factors[..., 0]


class Power(Circuit):
    """A power by output gates."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def extra_repr(self) -> str:
        return f"k={self.k}"

    def size(self) -> Size:
        """Return the size for one number."""
        return Size(0, self.k - 1, doublings(self.k), 0)

    @door
    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Return the k-th power of each number.

        Args:
            x: any shape, floating and finite.
        """
        arrays.floats("x", x[None] if isinstance(x, Tensor) and x.ndim == 0 else x)
        return _inputs.blame(product(x[..., None].expand(*x.shape, self.k)), x=x)


@door
def power(k: int) -> Power:
    r"""Return a circuit of the k-th power, by gates whose two factors are tied.

    .. math:: x \mapsto x^k

    A monomial of degree k takes k - 1 output gates, in a tree of depth ceil(log2 k), whether its
    factors are one number or many. Here all are one number. Repeated squaring takes fewer gates,
    at most 2 log2 k, since equal products are then computed once.

    Size: no units, k - 1 gates, depth ceil(log2 k), no parameters.

    Args:
        k: the exponent, 1 <= k <= 1024.

    Returns:
        a module that takes a floating tensor of any shape and returns one of that shape.

    Raises:
        InputError: k is out of range; when called, a power that overflows.

    Example:
        >>> import torch
        >>> from kanerva.quarks import circuits
        >>> circuits.power(5)(torch.tensor([2.0, -1.0]))
        tensor([32., -1.])
        >>> circuits.power(5).size()
        Size(units=0, gates=4, depth=3, parameters=0)

    Source: Baldi and Vershynin 2022.
    """
    return Power(checks.integer("k", k, 1, MOST))


class Parity(Circuit):
    """The product of n threshold units.

    Attributes:
        unit: the ``Unit`` of n outputs with the transfer "sign".
    """

    def __init__(self, n: int) -> None:
        super().__init__()
        self.unit = Unit(n, n, "sign")
        nn.init.eye_(self.unit.weight)

    def size(self) -> Size:
        """Return the size of the circuit."""
        n = self.unit.weight.shape[0]
        return Size(n, n - 1, max(1, doublings(n)), trained(self))

    @named()
    def forward(self, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch"]:
        """Return the parity of each vector.

        Args:
            x: ``(..., n)`` of -1/+1, in the dtype of the weights.
        """
        arrays.bipolar("x", _inputs.like("x", x, self.unit.weight.shape[1], self.unit.weight))
        return product(self.unit(x))


@door
def parity(n: int) -> Parity:
    r"""Return a circuit of the parity of n bits: the product of n threshold units.

    .. math:: x \mapsto \prod_i x_i = \prod_i \text{sgn}(x_i), \quad x \in \{-1, 1\}^n

    The i-th unit has the weight 1 from the i-th input, and no others. No product of fewer linear
    threshold units of the inputs is the parity: a product of k of them is the sign of a polynomial
    of degree k, and parity is the sign of no polynomial of a degree below n.

    Size: n units, n - 1 gates, depth ceil(log2 n) and at least 1, n (n + 1) parameters.

    Args:
        n: number of bits, 1 <= n <= 1024.

    Returns:
        a module that takes ``(..., n)`` of -1/+1 in float32 and returns ``(...)`` of -1/+1, +1 for
        an even number of -1.

    Raises:
        InputError: n is out of range; when called, inputs other than -1/+1.

    Example:
        >>> import torch
        >>> from kanerva.quarks import circuits
        >>> circuits.parity(3)(torch.tensor([[1.0, -1.0, -1.0], [-1.0, -1.0, -1.0]]))
        tensor([ 1., -1.], grad_fn=<SelectBackward0>)

    Source: Baldi and Vershynin 2022.
    """
    return Parity(checks.integer("n", n, 1, MOST))
