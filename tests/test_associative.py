"""A store with a read of its own: what it must offer, and the laws that are checked on it."""

import pytest
import torch

import kanerva
from kanerva.dynamics import Settled, settle
from kanerva.memory import Associative, Explanation

LAST = {"The order of writing leaves a read unchanged": "the row that was written last is read"}


class Last(Associative):
    """Reads the row that was written last, whatever the query."""

    exempt = LAST

    def __init__(self, dim):
        super().__init__()
        self.register_buffer("row", torch.zeros(dim))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    dim = property(lambda self: len(self.row))
    value_dim = property(lambda self: len(self.row))
    dtype = property(lambda self: self.row.dtype)
    device = property(lambda self: self.row.device)

    def __len__(self):
        return int(self.count)

    def _rows(self, name, rows):
        rows = kanerva._core.arrays.listed(rows, self.dtype, self.device)
        rows = kanerva._core.arrays.vectors(name, rows, self.dim, self.dtype)
        return kanerva._core.arrays.finite(name, rows)

    @kanerva._core.errors.door
    def write(self, keys, values=None):
        rows = self._rows("keys", keys).detach().reshape(-1, self.dim)
        with torch.inference_mode(False):
            self.row = rows[-1].clone() if len(rows) else self.row
            self.count = self.count + len(rows)

    @kanerva._core.errors.door
    def read(self, query):
        return self.row + 0 * self._rows("query", query)

    def settle(self, query, *, steps=100) -> Settled:
        return settle(self.read, query, steps=steps)

    @kanerva._core.errors.door
    def explain(self, query):
        read = self.read(query)
        one = torch.ones_like(read[..., :1]) * min(1, len(self))
        some = one.squeeze(-1)
        return Explanation(read, one, some, some.long(), some, 0 * some, None, None)

    def pattern_weights(self, query, patterns):
        return torch.ones(*query.shape[:-1], len(patterns))

    def clear(self):
        self.row, self.count = torch.zeros_like(self.row), torch.zeros_like(self.count)


@pytest.mark.untyped  # it refuses bad input itself
def test_a_store_with_a_read_of_its_own_keeps_the_laws_that_it_promises():
    memory = Last(16)
    laws = kanerva.check_memory(memory)
    assert laws.exempt == LAST
    assert "As many items are stored as were written" in laws.held
    assert "Copies, state dicts and files read as the memory does" in laws.held
    # What needs weights, masks or a potential is for weighted sums alone.
    assert not [law for law in laws.held if "mask" in law and "finite" not in law]
    assert not [law for law in laws.held if law.startswith(("Weights", "One read"))]


def test_a_law_that_does_not_hold_is_found():
    memory = Last(16)
    memory.exempt = {}
    with pytest.raises(kanerva.check.ContractError, match="in another order"):
        kanerva.check_memory(memory)


def test_a_class_that_leaves_out_a_member_cannot_be_built():
    class Half(Associative):
        pass

    with pytest.raises(TypeError, match=r"clear.*explain.*pattern_weights.*settle"):
        Half()


def test_its_defaults():
    memory = Last(4)
    assert (memory.autoassociative, memory.key_bits, memory.value_bits) == (True, False, False)
    assert (memory.nbytes, memory.empty, bool(memory)) == (16, "zero", True)
