"""Views of a memory at another inverse temperature, one for all queries or one for each."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva._core import arrays
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva._engine.routes import Field
from kanerva._engine.scores import Kept
from kanerva.memory._inputs import Given, Inputs

Found = TypeVar("Found")
Own = TypeVar("Own", bound="Views")


class Views(Inputs):
    """Makes views, and reads each query at its own temperature."""

    _separation: Any

    @door
    def at(self: Own, beta: float | Float[Tensor, "*batch"]) -> Own:
        r"""Return a view of the same memory at another inverse temperature.

        Nothing is copied, and what is written to the memory later is seen. A view cannot be
        changed or saved; a deep copy of it can.

        Args:
            beta: a number, or a tensor of one number that may be trained, for all queries; or a
                tensor that broadcasts to the leading dimensions of every query, one number for
                each.

        Returns:
            the view. Its energies are those of the rule at each temperature.

        Raises:
            InputError: a rule without inverse temperature, or a beta that it does not take.

        Example:
            >>> import torch, kanerva
            >>> memory = kanerva.modern_hopfield(dim=2, beta=1.0)
            >>> sharp = memory.at(100.0)
            >>> ids = memory.write(torch.eye(2))
            >>> cue = torch.tensor([0.6, 0.4])
            >>> sharp.read(cue).round().tolist()
            [1.0, 0.0]
            >>> memory.at(torch.tensor([0.0, 100.0])).read(cue.expand(2, 2)).round(decimals=1)
            tensor([[0.5000, 0.5000],
                    [1.0000, 0.0000]])
        """
        if self._separation.temperature() is None:
            must, do = f"left out where {self._separation} has none", "take a rule with one"
            refuse("beta", beta, must=must, do=do)
        other = self._viewed()
        if isinstance(beta, Tensor) and beta.ndim:
            other._betas = _numbers(self, beta)
            return other
        other._separation = self._separation.with_beta(beta)
        other.__dict__["_parameters"] = {**self._parameters, "beta": None}
        other._betas = None
        return other

    def _viewed(self: Own) -> Own:
        """Return a view: an object with the same buffers, lock and parts."""
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._view = True
        return other

    def _scales(self, given: Given, different: Tensor) -> bool:
        """Return whether several temperatures may multiply the scores of a read."""
        mask = given.kept.mask if isinstance(given.kept, Kept) else given.kept
        plain = mask is None or mask.dtype == torch.bool  # a number in a mask is a score
        fits = plain and given.rule.scales and not self._bits
        return fits and len(different) > 1 and bool((different > 0).all())

    def _at_each(self, given: Given, work: Callable[[Given], Found], scaled: bool = True) -> Found:
        """Work on queries whose temperatures differ.

        All at once where these multiply the scores, else those of one temperature at a time.
        """
        if given.betas is None:
            return work(given)
        different, group = torch.unique(given.betas, return_inverse=True)
        if scaled and self._scales(given, different):
            return work(given._replace(rule=given.rule.with_beta(1.0), scaled=True))
        order, found = [], []
        for place, beta in enumerate(different.tolist() or [given.rule.temperature()]):
            rows = (group == place).nonzero().squeeze(-1)
            rule = given.rule.with_beta(beta)
            found.append(work(given.of(rows)._replace(betas=None, rule=rule)))
            order.append(rows)
        return _rejoined(found, torch.cat(order).argsort())


def _rejoined(parts: list[Any], order: Tensor) -> Any:
    """Put what was found for groups of queries into the order of the queries."""
    first = parts[0]
    if first is None:
        return None
    if isinstance(first, Tensor):
        return torch.cat(parts)[order]
    columns = [_rejoined(list(column), order) for column in zip(*parts, strict=True)]
    return Field(*columns) if isinstance(first, Field) else tuple(columns)


def _numbers(memory: Views, beta: Tensor) -> Tensor:
    """Return one inverse temperature for each query; refuse what no rule takes."""
    must = "a number, or a floating tensor with one number >= 0 for each query"
    if arrays.dense("beta", beta, must).dtype not in arrays.FLOATS:
        refuse("beta", beta, must=must, do="convert it to floating", error=InputTypeError)
    if beta.requires_grad:
        do = "train one number for all queries, or give beta.detach()"
        refuse("beta", got="several numbers to be trained", must=must, do=do)
    arrays.finite("beta", beta)
    for number in torch.unique(beta).tolist():
        memory._separation.with_beta(number)  # refuses what the rule does not take
    return beta.to(memory.device, torch.float64)
