"""What a model was found to be made of."""

from dataclasses import dataclass, field

from kanerva.quarks._watch.counts import COUNTS, Counts

__all__ = ["Tally"]


@dataclass(eq=False, repr=False)
class Tally(Counts):
    """Gates, sums and products by weights of a model, counted while it ran.

    Products are tied only where whole tensors are recognised as functions of the same numbers, in
    the same order. Others count as output gates, such as a product with a tensor whose parts were
    cut and joined again. So ``output`` is an upper bound, and the sum of ``output`` and ``tied`` is
    sure.

    Attributes:
        output: output gates: products of two signals, entry by entry or inside a contraction; one
            for each entry of a softmax and of a normalisation.
        synaptic: synaptic gates: products of two signals inside a contraction one of whose factors
            was normalised to weigh.
        contracted: output and synaptic gates inside contractions. Torch's ``FlopCounterMode``
            counts ``2 * (linear + contracted)`` for a model without fused operations, and also the
            products of constants.
        additive: sums of two signals, one for each entry. A sum of two functions of the same number
            does not count, nor do the sums over the entries of one tensor.
        linear: products by weights inside contractions, such as a linear layer or a convolution.
        tied: products of two functions of the same number, as in x². They are a transfer function
            and no gate. A power by a whole constant k of 2 or more has k - 1 for each entry, in
            whichever way it is written; roots and other powers have none.
        selected: values that a signal chose, such as rows of an embedding by tokens.
        depth: the largest number of gates on a path from an input; all numbers of one tensor have
            the depth of the deepest. In ``modules`` it counts from the inputs of the whole model.
        parameters: the number of trained numbers.
        modules: the same for each module by its name, with all modules in it; "" is the whole. A
            module with several names has one tally under all of them.
        unread: the operations that could not be read, and how often each was met.

    Example:
        >>> import torch
        >>> from kanerva import quarks
        >>> cell = torch.nn.LSTMCell(6, 4)
        >>> with quarks.watch(cell) as tally:
        ...     _ = cell(torch.ones(1, 6))
        >>> tally
        Tally(output=12, additive=20, linear=160, depth=2, parameters=192)
        >>> tally.gates  # three for each number of the state
        12
    """

    depth: int = 0
    parameters: int = 0
    modules: dict[str, "Tally"] = field(default_factory=dict)
    unread: dict[str, int] = field(default_factory=dict)

    @property
    def gates(self) -> int:
        """The products of two signals, output and synaptic gates together."""
        return self.output + self.synaptic

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tally):
            return NotImplemented
        parts = [{**one.modules, "": one} for one in (self, other)]
        values = [{name: tally._values() for name, tally in one.items()} for one in parts]
        return values[0] == values[1]

    __hash__ = None  # type: ignore[assignment]

    def _values(self) -> tuple[object, ...]:
        numbers = (getattr(self, name) for name in (*COUNTS, "depth", "parameters"))
        return (*numbers, self.unread)

    def __repr__(self) -> str:
        counts = {name: getattr(self, name) for name in (*COUNTS, "depth", "parameters")}
        parts = [f"{name}={value:,}" for name, value in counts.items() if value]
        if self.unread:
            parts.append(f"unread={self.unread}")
        return f"Tally({', '.join(parts)})"
