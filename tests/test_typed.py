"""The run-time type checker of the tests refuses what it should."""

import pytest
import torch
from jaxtyping import Float, Int, TypeCheckError, jaxtyped
from torch import Tensor

import typed

ROWS = torch.zeros(3, 2)


@jaxtyped(typechecker=typed.check)
def scaled(rows: Float[Tensor, "n d"], by: float, to: int = 2) -> Float[Tensor, "n {to}"]:
    """Return the first columns, or all rows of a wrong type or length."""
    if by < 0:
        return rows.long()
    return (by * rows)[: int(by), :2]


class Scale:
    @jaxtyped(typechecker=typed.check)
    def __call__(self, rows: Float[Tensor, "n d"], /, *more: Int[Tensor, " n"]) -> None:
        """Return the wrong thing where there is more than one further tensor."""
        return len(more) if len(more) > 1 else None


def test_what_fits_is_accepted():
    assert scaled(ROWS, 3).shape == (3, 2)
    assert scaled(rows=ROWS.double(), by=3.0, to=2).shape == (3, 2)
    assert Scale()(ROWS, torch.zeros(3, dtype=torch.long)) is None


@pytest.mark.parametrize("rows", [ROWS.long(), ROWS[0], [[0.0]], None])
def test_arguments_are_checked(rows):
    with pytest.raises(TypeCheckError, match="checking the parameters"):
        scaled(rows, 3.0)
    with pytest.raises(TypeCheckError, match="checking the parameters"):
        Scale()(rows)


def test_every_argument_is_checked():
    for by, to in (("3", 2), (3.0, 2.5)):
        with pytest.raises(TypeCheckError, match="checking the parameters"):
            scaled(ROWS, by, to)
    with pytest.raises(TypeCheckError, match="checking the parameters"):
        Scale()(ROWS, torch.zeros(2, dtype=torch.long))


@pytest.mark.parametrize(("by", "to"), [(-1.0, 2), (1.0, 2), (3.0, 3)])
def test_results_are_checked_with_the_lengths_of_the_arguments(by, to):
    for _ in range(2):
        with pytest.raises(TypeCheckError, match="checking the return value"):
            scaled(ROWS, by, to)
    with pytest.raises(TypeCheckError, match="checking the return value"):
        Scale()(ROWS, *[torch.zeros(3, dtype=torch.long)] * 2)
