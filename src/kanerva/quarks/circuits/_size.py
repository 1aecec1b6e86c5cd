"""What a circuit is made of, in numbers."""

from typing import NamedTuple

from torch import nn

__all__ = ["Circuit", "Size", "doublings", "trained"]


class Size(NamedTuple):
    """What a circuit is made of, for one item of a batch.

    Attributes:
        units: number of units, each a sum with a transfer; the inputs are not counted.
        gates: number of products of two signals.
        depth: number of layers on the longest path. A unit is one layer, and one gate of its output
            or of its synapses is in the same layer. A gate of inputs, or of what is gated already,
            is one layer more. So ``dot`` has depth 2 by "output", gates of inputs and a unit, and
            depth 1 by "synapse", a unit with gated synapses.
        parameters: number of trained numbers.
    """

    units: int
    gates: int
    depth: int
    parameters: int


class Circuit(nn.Module):
    """A module made of plain units and the three quarks, whose size is known.

    Every function of this module returns one. ``size`` returns its ``Size``, for circuits over
    places or tokens at a given number of them.

    Example:
        >>> import torch
        >>> from kanerva.quarks import circuits
        >>> circuit = circuits.dot(4)
        >>> isinstance(circuit, circuits.Circuit), circuit.size().gates
        (True, 4)
    """


def trained(module: nn.Module) -> int:
    """Return the number of trained numbers of a module."""
    return sum(each.numel() for each in module.parameters())


def doublings(count: int) -> int:
    """Return the least number of doublings of one that reach a count, ``ceil(log2 count)``."""
    return (count - 1).bit_length()
