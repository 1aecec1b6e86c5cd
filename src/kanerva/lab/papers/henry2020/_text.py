"""The docstrings of SciPy as a text of characters, for small language models."""

import ast
import functools
import math
from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor, nn

__all__ = ["SYMBOLS", "batch", "held_out", "judge", "replace", "split"]

# Line breaks and the printable characters of ASCII; every other character becomes "?".
SYMBOLS = "\n" + "".join(map(chr, range(32, 127)))
# The share of the text that is held out.
HELD = 0.05
# The pieces of it on which a model is judged, and how many at a time.
JUDGED, TOGETHER = 400, 24


@functools.cache
def split() -> tuple[Int64[Tensor, "train"], Int64[Tensor, "held"]]:
    """Return the text as places in ``SYMBOLS``, and its last part, which is held out.

    The docstrings of all modules, classes and functions outside the tests and the folder ``_lib``
    are joined in the order of the files, so the text depends on the installed version of SciPy
    alone. Docstrings repeat phrases: of all pieces of 64 characters of the last part, 11 % also
    occur in the text before.
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


@torch.no_grad()
def judge(predict: Callable[[Tensor], Tensor], context: int, replaced: float = 0.0) -> float:
    """Return the bits a character of a model on the text that is held out.

    Args:
        predict: maps places ``(rows, context)`` to the logits of the characters that follow.
        context: characters a piece.
        replaced: the share of input characters that are replaced by random ones.
    """
    x, following = held_out(context, JUDGED)
    x = replace(x, replaced, torch.Generator().manual_seed(0))
    losses = [
        nn.functional.cross_entropy(predict(some).flatten(0, 1), right.flatten(), reduction="sum")
        for some, right in zip(
            torch.split(x, TOGETHER), torch.split(following, TOGETHER), strict=True
        )
    ]
    return float(torch.stack(losses).sum()) / following.numel() / math.log(2)
