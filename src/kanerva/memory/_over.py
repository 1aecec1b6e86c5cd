"""Rows of a file that are mapped: what is read of them when a memory is opened over it."""

import torch
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core import map as map_
from kanerva._core.errors import refuse
from kanerva._core.map import Source
from kanerva.bits import WORD

# Rows of a file that are checked when it is opened.
GLANCE = 1024


def mapped(keys: Source, values: Source | None) -> dict[str, Tensor]:
    """Map the rows of keys, and of values where there are any."""
    rows = {"keys": map_.rows("keys", keys)}
    if values is not None:
        rows["values"] = map_.rows("values", values)
        if len(rows["values"]) != len(rows["keys"]):
            got = f"{len(rows['values'])} for {len(rows['keys'])} keys"
            do = "give a file with as many rows"
            refuse("values", got=got, must="one for each key", do=do)
    return rows


def widest(rows: dict[str, Tensor]) -> torch.dtype:
    """Return the dtype of queries: float64 where a file holds that."""
    double = any(part.dtype == torch.float64 for part in rows.values())
    return torch.float64 if double else torch.float32


def lengths(rows: dict[str, Tensor], bits: int | tuple[int, int] | None) -> dict[str, int]:
    """Return the lengths of keys and of values: in bits, where they are packed."""
    packed = [name for name in rows if rows[name].dtype == torch.int64]
    if bits is not None and not packed:
        got = f"{bits} for rows of {short(rows['keys'].dtype)}"
        must = "left out, unless rows are int64 words"
        refuse("bits", got=got, must=must, do="leave it out")
    both = bits if isinstance(bits, tuple) else (bits, bits)
    if len(both) != 2:
        must = "one length, or one of keys and one of values"
        refuse("bits", bits, must=must, do="give (key_bits, value_bits)")
    given = dict(zip(("keys", "values"), both, strict=True))
    found = {name: part.shape[1] for name, part in rows.items()}
    for name in packed:
        most = WORD * found[name]
        low, do = most - WORD + 1, f"give the length that the {name} had when they were packed"
        length = given[name]
        found[name] = most if length is None else checks.integer("bits", length, low, most, do)
    return found


def glance(name: str, rows: Tensor, length: int, binary: bool) -> None:
    """Check the first rows of a file for bits, where bits are needed."""
    first = rows[:GLANCE]
    if first.dtype != torch.int64:
        if binary:
            arrays.bipolar(name, first)
        return
    if not binary:
        must = "floating rows, for these parts take real numbers"
        do = "compare by agreement and read by Sign, or give a file of floats"
        refuse(name, got="int64 words", must=must, do=do)
    if length % WORD and (first[:, -1] >> length % WORD).any():
        must, got = f"0 beyond bit {length} of each row", "not: bits are set there"
        refuse(name, got=got, must=must, do="make them with bits.pack, or give bits")


def short(kind: torch.dtype | str) -> str:
    """Return the name of a dtype without its module."""
    return str(kind).removeprefix("torch.")
