"""One of several threshold units, selected by further inputs."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanerva._core import arrays, checks
from kanerva._core.errors import door, refuse
from kanerva.quarks import _inputs, _parts
from kanerva.quarks._transfers import TRANSFERS
from kanerva.quarks.circuits._products import product
from kanerva.quarks.circuits._size import Circuit, Size, doublings, trained

__all__ = ["Select", "select"]

WAYS = ("and", "product", "addition", "synapse")
MOST = 1024
# Sums are rounded, so the least number that forces a unit is taken a little larger.
MARGIN = 1 + 2**-10


class Select(Circuit):
    """A selection among threshold units.

    Attributes:
        weight: ``(k, n)``, trained.
        bias: ``(k,)``, trained.
        onto: weights of the selectors, of the constant unit and of attending units, trained.
        largest: the largest of these, which forces a unit.
    """

    def __init__(self, weight: Tensor, bias: Tensor, way: str) -> None:
        super().__init__()
        self.way, (k, self.n) = way, weight.shape
        self.bits = doublings(k)
        self.weight, self.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
        onto = ONTO[way](_forcing(weight, bias), self.bits)
        self.onto = nn.ParameterList(nn.Parameter(rows) for rows in onto)
        self.largest = max(float(rows.abs().max()) for rows in onto)

    def extra_repr(self) -> str:
        return f"{len(self.bias)} of {self.n} inputs, way={self.way!r}"

    def size(self) -> Size:
        """Return the size of the circuit."""
        k = len(self.bias)
        if self.way in ("and", "product"):
            return Size(k, k - 1, doublings(k), trained(self))
        return Size(2, int(self.way == "synapse"), 2, trained(self))

    @door
    def forward(
        self, x: Float[Tensor, "*batch n"], z: Float[Tensor, "*batch bits"]
    ) -> Float[Tensor, "*batch"]:
        """Return the output of the selected unit for each input.

        Args:
            x: ``(..., n)`` of -1/+1, in the dtype of the weights.
            z: ``(..., bits)`` of -1/+1: the number of the unit, from 0, highest bit first, with
                -1 for 0.
        """
        arrays.bipolar("x", _inputs.like("x", x, self.n, self.weight))
        arrays.bipolar("z", _inputs.rows("z", z, self.bits, self.weight, x.shape[:-1]))
        self._check_numbers(z)
        signal = torch.cat((z, torch.ones_like(z[..., :1])), -1)
        if self.way == "addition":
            return self._added(x, signal)
        if self.way == "synapse":
            return self._weighed(x, signal)
        activation = _parts.multiplexed(x, signal, self.weight, self.onto[0], self.bias)
        return product(TRANSFERS["step" if self.way == "and" else "sign"](activation))

    def _added(self, x: Tensor, signal: Tensor) -> Tensor:
        """Add the first unit, which is forced to -1 where it is not selected, to the second."""
        first = _parts.multiplexed(x, signal, self.weight[:1], self.onto[0], self.bias[:1])
        signal = torch.cat((TRANSFERS["sign"](first), signal), -1)
        second = _parts.multiplexed(x, signal, self.weight[1:], self.onto[1], self.bias[1:])
        return TRANSFERS["sign"](second).squeeze(-1)

    def _weighed(self, x: Tensor, signal: Tensor) -> Tensor:
        """Gate the selector's synapse onto the first unit by the second, or by +1."""
        second = _parts.multiplexed(x, signal, self.weight[1:], self.onto[0], self.bias[1:])
        gate = TRANSFERS["sign"](second).unsqueeze(-1)
        # The large terms are added apart from the others, so that they cancel without rounding.
        synapse = _parts.weighed(signal[..., :1], gate, self.onto[1][:, :1])
        rest = torch.cat((torch.ones_like(self.onto[1][:, :1]), self.onto[1][:, 1:]), -1)
        signal = torch.cat((synapse, signal), -1)
        first = _parts.multiplexed(x, signal, self.weight[:1], rest, self.bias[:1])
        return TRANSFERS["sign"](first).squeeze(-1)

    def _check_numbers(self, z: Tensor) -> None:
        """Refuse the number of a unit that is not there."""
        k = len(self.bias)
        if arrays.tracing() or k == 2**self.bits:
            return
        powers = 2.0 ** torch.arange(self.bits - 1, -1, -1, device=z.device)
        most = int(((z.detach() > 0) * powers).sum(-1).max()) if z.numel() else 0
        if most >= k:
            must = f"the bits of a number from 0 to {k - 1}"
            refuse("z", got=f"those of {most}", must=must, do="give the number of a unit")


@door
def select(weight: Float[Tensor, "k n"], bias: Float[Tensor, " k"], way: str = "product") -> Select:
    r"""Return a circuit that computes one of k threshold units, as further inputs select.

    .. math:: (x, z) \mapsto f_z(x), \quad f_i(x) = \text{sgn}(w_i \cdot x + b_i)

    The selectors z are the bits of the number of the unit, from 0 on: the highest bit first, -1 for
    0 and +1 for 1. With k = 4, z = (-1, +1) selects the unit of row 1, and (+1, -1) that of row 2.

    Weights above the largest activation, onto the selectors z, force every unit that is not
    selected to a constant. So a single gated pair computes any two threshold functions of n bits,
    with one bit more: gating at least adds the capacities of its units.

    * "and": k step units, forced to 1 and multiplied; the result is 0 or 1.
    * "product": k sign units, forced to +1 and multiplied.
    * "addition": the first of two sign units, forced to -1, is added to the second one's
      activation.
    * "synapse": the second of two sign units, forced to +1, gates the selector's synapse onto the
      first.

    The large terms are powers of two that cancel without rounding, so the result is exactly that of
    the selected unit.

    Size: "and" and "product" have k units, k - 1 gates, depth ceil(log2 k), and with
    c = ceil(log2 k) selectors k (n + c + 2) parameters; "addition" has 2 units, no gate, depth 2
    and 2 n + 7 parameters; "synapse" 2 units, 1 gate, depth 2, and 2 n + 7 parameters.

    Args:
        weight: ``(k, n)``, floating and finite, 2 <= k <= 1024; k = 2 for "addition" and "synapse".
        bias: ``(k,)`` of the same dtype.
        way: "and", "product", "addition" or "synapse".

    Returns:
        a module that takes x ``(..., n)`` and z ``(..., ceil(log2 k))``, both of -1/+1, and returns
        ``(...)``: z is the number of the unit, highest bit first.

    Raises:
        InputError: shapes or dtypes that do not fit, or an unknown way; when called, inputs other
            than -1/+1, or the number of a unit that is not there.

    Example:
        >>> import torch
        >>> from kanerva.quarks import circuits
        >>> both = circuits.select(torch.tensor([[1.0, 1.0], [2.0, 0.0]]), torch.tensor([1.0, 0.0]))
        >>> x = torch.tensor([-1.0, 1.0])
        >>> [both(x, torch.tensor([z])).item() for z in (-1.0, 1.0)]  # their own outputs
        [1.0, -1.0]

    Source: Baldi and Vershynin 2022.
    """
    checks.choice("way", way, WAYS)
    _inputs.matrix("weight", weight)
    if bias is None:
        do = "give zeros for units without a bias"
        refuse("bias", bias, must="a tensor of shape (k,)", do=do)
    _inputs.bias(bias, weight)
    k, pair = weight.shape[0], way in ("addition", "synapse")
    if not 2 <= k <= (2 if pair else MOST):
        must = f"of 2 units for way={way!r}" if pair else f"of 2 to {MOST} units"
        do = "give two rows, or choose 'product'" if pair else "give a row for each unit"
        refuse("weight", got=f"of {k}", must=must, do=do)
    arrays.finite("weight", weight)
    arrays.finite("bias", bias)
    found = Select(weight.detach(), bias.detach(), way)
    most = torch.finfo(weight.dtype).max
    if not found.largest <= most / (2 * found.bits + 2):
        must, do = f"small enough to be forced in {weight.dtype}", "scale weight and bias down"
        refuse("weight", weight, must=must, do=do)
    return found


def _forcing(weight: Tensor, bias: Tensor) -> Tensor:
    """Return powers of two above the largest absolute activation of each unit, ``(k,)``."""
    most = (weight.double().abs().sum(-1) + bias.double().abs()) * MARGIN
    return torch.ldexp(torch.ones_like(most), torch.frexp(most).exponent).to(weight.dtype)


def _all(force: Tensor, bits: int) -> tuple[Tensor, ...]:
    """Force every unit on where one bit or more of the selectors is not that of its number."""
    numbers = torch.arange(len(force), device=force.device)[:, None]
    places = torch.arange(bits - 1, -1, -1, device=force.device)
    code = (2 * ((numbers >> places) & 1) - 1).to(force.dtype)
    each = force[:, None] / 2
    return (torch.cat((-each * code, each * bits), -1),)


def _addition(force: Tensor, bits: int) -> tuple[Tensor, ...]:
    first, second = force.tolist()
    attending, attended = [[-first / 2, -first / 2]], [[second, second / 2, second / 2]]
    return force.new_tensor(attending), force.new_tensor(attended)


def _synapse(force: Tensor, bits: int) -> tuple[Tensor, ...]:
    first, second = force.tolist()
    attending, attended = [[-second / 2, second / 2]], [[first, -first / 2, first / 2]]
    return force.new_tensor(attending), force.new_tensor(attended)


ONTO: dict[str, Any] = {"and": _all, "product": _all, "addition": _addition, "synapse": _synapse}
