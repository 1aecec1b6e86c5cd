"""The cells of LSTM and GRU networks by units and output gates."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.quarks import _inputs, _parts
from kanerva.quarks._transfers import TRANSFERS
from kanerva.quarks.circuits._size import Circuit, Size, trained

__all__ = ["GRU", "LSTM", "gru", "lstm"]

State = Float[Tensor, "*batch hidden"]
SIGMOID, TANH = TRANSFERS["sigmoid"], TRANSFERS["tanh"]


class Cell(Circuit):
    """A recurrent cell with the weights of torch's.

    Attributes:
        weight: ``(c H, n)`` weights from the input, trained, for c groups of H units.
        onto: ``(c H, H)`` weights from the state, trained.
        bias: ``(c H,)`` biases with the input, trained; None without biases.
        bias_state: ``(c H,)`` biases with the state.
    """

    def __init__(self, cell: nn.RNNCellBase) -> None:
        super().__init__()
        self.hidden = cell.hidden_size
        given = (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
        copies = [None if each is None else nn.Parameter(each.detach().clone()) for each in given]
        self.weight, self.onto, self.bias, self.bias_state = copies

    def extra_repr(self) -> str:
        return f"{self._weight.shape[1]}, {self.hidden}"

    @property
    def _weight(self) -> Tensor:
        assert self.weight is not None
        return self.weight

    def _state(self, argument: str, value: Any, x: Tensor) -> Tensor:
        """Return a checked state, or zeros."""
        if value is None:
            return x.new_zeros(*x.shape[:-1], self.hidden)
        lead = x.shape[:-1]
        return _inputs.rows(argument, value, self.hidden, self._weight, lead, "input")


class LSTM(Cell):
    """The cell of an LSTM network, with three gates for each coordinate of its state."""

    def size(self) -> Size:
        """Return the size of the circuit."""
        return Size(6 * self.hidden, 3 * self.hidden, 3, trained(self))

    @door
    def forward(
        self, input: Float[Tensor, "*batch n"], hx: tuple[State, State] | None = None
    ) -> tuple[State, State]:
        """Return the next state, as ``torch.nn.LSTMCell`` does when it is called.

        Args:
            input: ``(..., n)`` in the dtype of the weights, finite.
            hx: the state h and c, ``(..., H)`` each; zeros if omitted.

        Returns:
            h and c, ``(..., H)`` each.
        """
        _inputs.like("input", input, self._weight.shape[1], self._weight)
        if hx is not None and not (isinstance(hx, tuple | list) and len(hx) == 2):
            must, do = "two tensors of shape (..., H)", "give h and c"
            refuse("hx", hx, must=must, do=do, error=InputTypeError)
        h, c = (self._state("hx", each, input) for each in hx or (None, None))
        bias = None if self.bias is None else self.bias + self.bias_state
        sums = _parts.multiplexed(input, h, self._weight, self.onto, bias)
        _inputs.blame(sums, input=input, hx=h)
        write, keep, fresh, show = sums.chunk(4, -1)
        kept = _parts.gated(c, SIGMOID(keep))
        written = _parts.gated(TANH(fresh), SIGMOID(write))
        new = _parts.total(torch.stack((kept, written), -1))
        _inputs.blame(new, hx=c)
        return _parts.gated(TANH(new), SIGMOID(show)), new


class GRU(Cell):
    """The cell of a GRU network, with three gates for each coordinate of its state."""

    def size(self) -> Size:
        """Return the size of the circuit."""
        return Size(6 * self.hidden, 3 * self.hidden, 3, trained(self))

    @door
    def forward(self, input: Float[Tensor, "*batch n"], hx: State | None = None) -> State:
        """Return the next state, as ``torch.nn.GRUCell`` does when it is called.

        Args:
            input: ``(..., n)`` in the dtype of the weights, finite.
            hx: the state h, ``(..., H)``; zeros if omitted.

        Returns:
            h, ``(..., H)``.
        """
        _inputs.like("input", input, self._weight.shape[1], self._weight)
        h, gates = self._state("hx", hx, input), 2 * self.hidden
        weight, new = self._weight[:gates], self._weight[gates:]
        assert self.onto is not None
        own = self.onto[gates:]
        if self.bias is None or self.bias_state is None:
            bias = bias_new = bias_own = None
        else:
            bias, bias_new = self.bias[:gates] + self.bias_state[:gates], self.bias[gates:]
            bias_own = self.bias_state[gates:]
        sums = _parts.multiplexed(input, h, weight, self.onto[:gates], bias)
        _inputs.blame(sums, input=input, hx=h)
        reset, keep = SIGMOID(sums).chunk(2, -1)
        shown = _parts.gated(_parts.summed(h, own, bias_own), reset)
        fresh = TANH(_parts.multiplexed(input, shown, new, None, bias_new))
        both = (_parts.gated(fresh, 1 - keep), _parts.gated(h, keep))
        return _inputs.blame(_parts.total(torch.stack(both, -1)), hx=h)


@door
def lstm(cell: nn.LSTMCell) -> LSTM:
    r"""Return a circuit of the cell of an LSTM network, from a module of torch.

    .. math:: c' = f \odot c + i \odot g, \quad h' = o \odot \tanh(c')

    The units of f, i and o are logistic and gate outputs: of the state c, of the tanh units g, and
    of the tanh units of the new state.

    Size for H coordinates of the state: 6 H units, 3 H gates, depth 3, and the parameters of the
    cell.

    Args:
        cell: its weights are copied.

    Returns:
        a module with the call of ``cell``.

    Raises:
        InputError: another module; when called, input that does not fit.

    Example:
        >>> import torch
        >>> from kanerva.quarks import circuits
        >>> cell = torch.nn.utils.skip_init(torch.nn.LSTMCell, 3, 4)
        >>> for each in cell.parameters():
        ...     _ = torch.nn.init.constant_(each, 0.1)
        >>> x, circuit = torch.eye(2, 3), circuits.lstm(cell)
        >>> torch.allclose(circuit(x)[0], cell(x)[0]), circuit.size().gates
        (True, 12)

    Source: Hochreiter and Schmidhuber 1997; Baldi and Vershynin 2022.
    """
    return LSTM(_checked(cell, nn.LSTMCell))


@door
def gru(cell: nn.GRUCell) -> GRU:
    r"""Return a circuit of the cell of a GRU network, from a module of torch.

    .. math:: h' = (1 - z) \odot n + z \odot h, \quad
        n = \tanh(W x + b + r \odot (U h + c))

    The logistic units r gate linear units of the state; z and 1 - z gate the state and the tanh
    units n.

    Size for H coordinates of the state: 6 H units, 3 H gates, depth 3, and the parameters of the
    cell.

    Args:
        cell: its weights are copied.

    Returns:
        a module with the call of ``cell``.

    Raises:
        InputError: another module; when called, input that does not fit.

    Example:
        >>> import torch
        >>> from kanerva.quarks import circuits
        >>> cell = torch.nn.utils.skip_init(torch.nn.GRUCell, 3, 4)
        >>> for each in cell.parameters():
        ...     _ = torch.nn.init.constant_(each, 0.1)
        >>> x, circuit = torch.eye(2, 3), circuits.gru(cell)
        >>> torch.allclose(circuit(x), cell(x)), circuit.size().gates
        (True, 12)

    Source: Cho and others 2014; Baldi and Vershynin 2022.
    """
    return GRU(_checked(cell, nn.GRUCell))


def _checked(cell: Any, kind: type) -> Any:
    checks.instance("cell", cell, kind, f"give a torch.nn.{kind.__name__}")
    if cell.weight_ih.dtype not in arrays.FLOATS:
        must, do = "of a floating dtype", "convert it with cell.float()"
        refuse("cell", got=str(cell.weight_ih.dtype), must=must, do=do, error=InputTypeError)
    return cell
