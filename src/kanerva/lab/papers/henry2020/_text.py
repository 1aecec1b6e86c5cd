"""The docstrings of SciPy as a text of characters, for small language models."""

import ast
import functools
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor

__all__ = ["SYMBOLS", "batch", "held_out", "replace", "split"]

# Line breaks and the printable characters of ASCII; every other character becomes "?".
SYMBOLS = "\n" + "".join(map(chr, range(32, 127)))
# The share of the text that is held out.
HELD = 0.05


@functools.cache
def split() -> tuple[Int64[Tensor, "train"], Int64[Tensor, "held"]]:
    """Return the text as places in ``SYMBOLS``, and its last part, which is held out.

    The docstrings of all modules, classes and functions outside the tests are joined in the order
    of the files, so the text depends on the installed version of SciPy alone.
    """
    import scipy

    root = Path(scipy.__file__).parent
    found: list[str] = []
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
        parts = path.relative_to(root).parts
        if "tests" in parts or "_lib" in parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                found.append(ast.get_docstring(node) or "")
    known = {symbol: place for place, symbol in enumerate(SYMBOLS)}
    text = "\n\n".join(filter(None, found))
    places = torch.tensor([known.get(symbol, known["?"]) for symbol in text])
    start = len(places) - int(HELD * len(places))
    return places[:start], places[start:]


def batch(
    text: Int64[Tensor, "characters"], rows: int, context: int, source: torch.Generator
) -> tuple[Int64[Tensor, "rows context"], Int64[Tensor, "rows context"]]:
    """Draw pieces of a text, and the characters that follow each of theirs."""
    starts = torch.randint(len(text) - context, (rows, 1), generator=source)
    pieces = text[starts + torch.arange(context + 1)]
    return pieces[:, :-1], pieces[:, 1:]


def held_out(
    context: int, rows: int
) -> tuple[Int64[Tensor, "rows context"], Int64[Tensor, "rows context"]]:
    """Return pieces of the text that is held out, evenly spread, and the characters that follow."""
    _, text = split()
    starts = torch.arange(rows)[:, None] * ((len(text) - context - 1) // rows)
    pieces = text[starts + torch.arange(context + 1)]
    return pieces[:, :-1], pieces[:, 1:]


def replace(
    pieces: Int64[Tensor, "rows context"], share: float, source: torch.Generator
) -> Int64[Tensor, "rows context"]:
    """Replace a share of the characters by random ones."""
    if share == 0:
        return pieces
    drawn = torch.randint(len(SYMBOLS), pieces.shape, generator=source)
    return torch.where(torch.rand(pieces.shape, generator=source) < share, drawn, pieces)
