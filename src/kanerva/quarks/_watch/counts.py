"""What is counted: of one operation, of a module, of a whole model."""

from dataclasses import dataclass, fields

__all__ = ["COUNTS", "Counts"]


@dataclass(slots=True, eq=False)
class Counts:
    """How many products, sums and choices there are, by their kind.

    Attributes:
        output: output gates.
        synaptic: synaptic gates.
        contracted: how many of both are products inside a contraction.
        additive: sums of two signals.
        linear: products by weights inside a contraction.
        tied: products of functions of the same number.
        selected: values that a signal chose.
    """

    output: int = 0
    synaptic: int = 0
    contracted: int = 0
    additive: int = 0
    linear: int = 0
    tied: int = 0
    selected: int = 0

    def add(self, other: "Counts") -> None:
        """Add other counts to these."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


COUNTS = tuple(one.name for one in fields(Counts))
