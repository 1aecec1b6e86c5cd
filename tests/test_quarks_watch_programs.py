"""Random programs, watched and run number by number, each of which knows what it is made of."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from kanerva import quarks
from watching import Of, normal

pytestmark = pytest.mark.untyped
SIZE = 3


@dataclass
class Number:
    """A value, and the name of the number that it is a function of; 0 for constants."""

    value: float
    name: int


class Machine:
    """Runs a program on arrays of numbers, and keeps what it counted."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.names, self.counts = 0, Counter()
        self.pool, self.steps, self.cut = [], [], set()

    def fresh(self, value):
        self.names += 1
        return Number(float(value), self.names)

    def given(self, tensor, constant=False):
        made = [Number(v, 0) if constant else self.fresh(v) for v in tensor.flatten().tolist()]
        self.pool.append(np.array(made, dtype=object).reshape(tensor.shape))

    def pairwise(self, one, two, function, kind):
        """Combine two arrays; None where some entries are tied and others are not."""
        seen, found = [], []
        for a, b in zip(one.flat, two.flat, strict=True):
            value = function(a.value, b.value)
            if not a.name or not b.name or a.name == b.name:
                seen.append("tied" if a.name and b.name else "constant")
                found.append(Number(value, a.name or b.name))
            else:
                seen.append(kind)
                found.append(self.fresh(value))
        if len(set(seen)) > 1:
            return None
        if seen[0] == kind or (seen[0] == "tied" and kind == "output"):
            self.counts[seen[0]] += len(seen)
        return np.array(found, dtype=object).reshape(one.shape)

    def multiply(self, one, two):
        return self.pairwise(one, two, lambda a, b: a * b, "output")

    def add(self, one, two):
        return self.pairwise(one, two, lambda a, b: a + b, "additive")

    def matmul(self, one, two):
        kinds = [bool(part.flat[0].name) for part in (one, two)]
        products = SIZE**3
        self.counts["output"] += products if all(kinds) else 0
        self.counts["linear"] += products if sum(kinds) == 1 else 0
        value = [
            [sum(a.value * b.value for a, b in zip(r, c, strict=True)) for c in two.T] for r in one
        ]
        make = self.fresh if any(kinds) else lambda v: Number(v, 0)
        return np.array([[make(v) for v in row] for row in value], dtype=object)

    def tanh(self, one):
        return np.vectorize(lambda a: Number(float(np.tanh(a.value)), a.name), otypes=[object])(one)

    def row(self, one):
        return np.broadcast_to(one[1:2], one.shape)

    def into(self, one, two):
        names = [[a.name for a in part.flat] for part in (one, two)]
        if names[0] == names[1] or not any(names[0]) or not any(names[1]):
            return None
        return np.concatenate([one[:1], two[1:]])

    def step(self):
        """Add one step that is not partly tied."""
        name = self.random.choice([*PAIRS, *SINGLES])
        # Mostly of the last few arrays, which are often functions of each other.
        first = max(0, len(self.pool) - 4) if self.random.random() < 0.8 else 0
        places = tuple(int(at) for at in self.random.integers(first, len(self.pool), size=2))
        if name in ("row", "into") and self.cut & set(places):
            return  # the same entries cut in two ways are not recognised
        before, named = self.counts.copy(), self.names
        found = getattr(self, name.removesuffix("_"))(
            *(self.pool[at] for at in places[: 2 if name in PAIRS else 1])
        )
        if found is None:
            self.counts = before
            return
        if name in ("row", "into") or (self.cut & set(places) and self.names == named):
            self.cut.add(len(self.pool))
        self.pool.append(found)
        self.steps.append((name, places))

    def turned(self, one):
        return one.T

    def shaped(self, one):
        return one.copy().reshape(-1).reshape(SIZE, SIZE)


def put(one: Any, two: Any) -> Any:
    buffer = torch.zeros(SIZE, SIZE)
    buffer[0] = one[0]
    buffer[1:] = two[1:]
    return buffer


PAIRS = {
    "multiply": torch.mul,
    "multiply_": lambda a, b: a.clone().mul_(b),
    "add": torch.add,
    "add_": lambda a, b: a.clone().add_(b),
    "matmul": torch.matmul,
    "into": put,
}
SINGLES = {
    "tanh": torch.tanh,
    "tanh_": lambda a: a.clone().tanh_(),
    "turned": torch.t,
    "shaped": lambda a: a.reshape(-1).view(SIZE, SIZE),
    "row": lambda a: a[1:2].expand(SIZE, SIZE),
}


@pytest.mark.parametrize("seed", range(100))
def test_random_programs_are_counted_as_they_are_by_number(seed):
    x, y, weight = (normal(SIZE, SIZE, seed=part + 10 * seed) / 2 for part in range(3))
    machine = Machine(seed)
    for tensor in (x, y):
        machine.given(tensor)
    machine.given(weight, constant=True)
    for _ in range(40):
        machine.step()

    def program(x, y, weight):
        pool = [x, y, weight]
        for name, places in machine.steps:
            if name in PAIRS:
                pool.append(PAIRS[name](pool[places[0]], pool[places[1]]))
            else:
                pool.append(SINGLES[name](pool[places[0]]))
        return pool

    model = Of(program, weight=weight)
    with quarks.watch(model) as tally:
        found = model(x, y)
    values = torch.tensor([[[a.value for a in row] for row in part] for part in machine.pool])
    torch.testing.assert_close(torch.stack(found), values.float(), rtol=1e-3, atol=1e-3)
    names = ("output", "additive", "linear", "tied")
    assert {name: getattr(tally, name) for name in names} == {
        name: machine.counts[name] for name in names
    }
