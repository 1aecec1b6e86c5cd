"""One operation as the rules see it, what they say about it, and the table that finds its rule."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from kanerva.quarks._watch.counts import Counts
from kanerva.quarks._watch.signals import Root, Signal, Signals, size

__all__ = ["RULES", "Call", "Effect", "Rule", "rule"]


@dataclass(slots=True)
class Effect(Counts):
    """What one operation counts, and what its results are.

    Attributes:
        deeper: the number of gates in a row that it puts on a path.
        behind: how many of these gates are behind an argument, where not all are: none for a bias.
        results: what the results are, one for each; one for all; None for new numbers.
        constant: whether the results depend on no input.
    """

    deeper: int = 0
    behind: dict[str, int] = field(default_factory=dict)
    results: Signal | Sequence[Signal] | None = None
    constant: bool = False


class Call:
    """One operation with its arguments by name, its results, and what is known of both.

    Attributes:
        name: of the operation, without its namespace and the sign of an operation in place.
        given: the arguments by name.
        known: what is known of those tensors that are signals, by the name of the argument.
        lists: the same for arguments that are lists of tensors.
        results: the tensors that came out.
        signals: all tensors that are signals.
    """

    __slots__ = ("given", "known", "lists", "name", "results", "signals")

    def __init__(self, name: str, given: dict[str, Any], signals: Signals) -> None:
        self.name, self.given, self.signals = name, given, signals
        self.known: dict[str, Signal] = {}
        self.lists: dict[str, list[Signal | None]] = {}
        self.results: list[Tensor] = []
        for key, value in given.items():
            if isinstance(value, Tensor):
                found = signals.of(value)
                if found is not None:
                    self.known[key] = found
            elif isinstance(value, list | tuple) and any(isinstance(one, Tensor) for one in value):
                listed = [signals.of(one) if isinstance(one, Tensor) else None for one in value]
                if any(listed):
                    self.lists[key] = listed

    @property
    def signal(self) -> bool:
        """Whether any argument is a signal."""
        return bool(self.known or self.lists)

    @property
    def all(self) -> list[Signal]:
        """Return what is known of the arguments that are signals."""
        listed = [one for group in self.lists.values() for one in group if one is not None]
        return [*self.known.values(), *listed]

    def depth(self, effect: Effect) -> int:
        """Return the depth of the results: each argument with the gates that are behind it."""
        listed = [one.depth for group in self.lists.values() for one in group if one is not None]
        through = [depth + effect.deeper for depth in listed]
        for name, one in self.known.items():
            through.append(one.depth + effect.behind.get(name, effect.deeper))
        return max(through, default=effect.deeper)

    @property
    def entries(self) -> int:
        """Return the number of entries of the first result."""
        return size(self.results[0]) if self.results else 0

    def tensor(self, name: str) -> Tensor:
        """Return an argument that is a tensor."""
        found = self.given[name]
        assert isinstance(found, Tensor)
        return found

    def fresh(self, result: int = 0) -> Root:
        """Return the root of new numbers in the shape of a result."""
        tensor = self.results[result]
        return self.signals.fresh((tensor.numel(),) if tensor.is_nested else tensor.shape)


Rule = Callable[[Call], Effect | None]
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Enter a rule into the table under the names of operations."""

    def enter(function: Rule) -> Rule:
        for name in names:
            RULES[name] = function
        return function

    return enter
