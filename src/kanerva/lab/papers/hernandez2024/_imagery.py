"""Figures of recalled colour pictures: what becomes of cues, curves, and galleries."""

from collections.abc import Sequence
from typing import Any

from kanerva.lab import plot
from kanerva.lab.papers.hernandez2024 import _bars
from kanerva.lab.recipe import Row

__all__ = ["figures"]

NAMES = {"clean": "clean cues", "noise": "noise of .3", "patch": "black square of 22 x 22"}
BARE = "classifier alone"
LIMITS = (0.0, 104.0)
# The side of a picture.
PIXELS = 32
# The shade of a cue that is rejected, from -1 to 1.
BLANK = 0.8


def figures(rows: Sequence[Row], width: float) -> dict[str, Any]:
    """Draw what the rows allow: bars by levels, curves, and pictures.

    Args:
        rows: of ``eam.images``.
        width: the standard deviation of the rows of sizes and fills.
    """
    usual = [row for row in rows if row["depth"] == 1 and row["sigma"] == width]
    clean = [row for row in usual if row["cue"] == "clean"]
    sizes = [row for row in clean if row["stored"] == 100]
    swept = [
        row for row in rows if row["depth"] == 1 and row["sigma"] != width and row["cue"] in NAMES
    ]
    chains = [row for row in rows if row["depth"] > 1]
    drawn = {
        "": _bars.drawn("More levels reject more cues", sizes or rows),
        "fills": _fills(clean),
        "cues": _cues(swept),
        "chains": _chains(chains),
        "recalled": _recalled(sizes, chains),
        "dreams": _dreams(chains, "clean"),
        "noisy": _dreams(chains, "noise"),
    }
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _lines(
    rows: Sequence[Row], x: str, columns: dict[str, str], frame: plot.Frame, panel: str
) -> Any:
    """Draw columns of rows as lines, in panels."""
    long = [
        {"x": row[x], "y": row[column], "line": line, "panel": row[panel]}
        for row in rows
        for column, line in columns.items()
    ]
    return plot.lines(long, "x", "y", frame, by="line", panel="panel") if long else None


def _fills(rows: Sequence[Row]) -> Any:
    several = {row["levels"] for row in rows if row["stored"] < 100}
    some = [row | {"of": f"{row['levels']} levels"} for row in rows if row["levels"] in several]
    some.sort(key=lambda row: (row["levels"], row["stored"]))
    names = {"precision": "precision", "recall": "recall", "accepted": "accepted", "bare": BARE}
    frame = plot.Frame(
        "A register that holds more accepts more",
        "% of the filling part that are stored",
        "% of the cues; precision: of the answers",
        log="x",
        limits=LIMITS,
    )
    return _lines(some, "stored", names, frame, "of")


def _cues(rows: Sequence[Row]) -> Any:
    some = [row | {"of": NAMES[row["cue"]]} for row in rows]
    some.sort(key=lambda row: list(NAMES).index(row["cue"]))
    if len({row["sigma"] for row in some}) < 2:
        return None
    names = {"accepted": "accepted", "recall": "recall", "bare": BARE}
    frame = plot.Frame(
        "Cues that are damaged: accepted, and answered right",
        "σ, as a share of the levels",
        "% of the cues",
        limits=LIMITS,
    )
    return _lines(some, "sigma", names, frame, "of")


def _chains(rows: Sequence[Row]) -> Any:
    long = [
        {
            "x": row["step"],
            "y": row["recall"],
            "line": f"σ {row['sigma']:g}",
            "panel": NAMES[row["cue"]],
        }
        for row in rows
        if row["cue"] in NAMES
    ]
    frame = plot.Frame(
        "Chains of recalls leave the class of their cue",
        "number of recalls; 0: the cue, without the memory",
        "% of the cues whose class is kept",
        limits=LIMITS,
        across=2,
    )
    return plot.lines(long, "x", "y", frame, by="line", panel="panel") if long else None


def _recalled(sizes: Sequence[Row], chains: Sequence[Row]) -> Any:
    """Draw cues, and what is recalled for them by registers of different levels."""
    cues = [row for row in chains if row["cue"] == "clean" and row["step"] == 0]
    shown = [("cue", cues[0]["pictures"])] if cues else []
    shown += [(f"{row['levels']} levels", row["pictures"]) for row in sizes]
    about = "Cues, and what registers of different levels recall for them"
    return _gallery([pair for pair in shown if pair[1]], 1 if cues else 0, about)


def _dreams(rows: Sequence[Row], cue: str) -> Any:
    """Draw cues, and the states of their chains for the least and the largest sigma."""
    mine = [row for row in rows if row["cue"] == cue and row["pictures"]]
    sigmas = sorted({row["sigma"] for row in mine})
    shown = [("cue", row["pictures"]) for row in mine if row["step"] == 0][:1]
    for row in mine:
        if row["step"] and row["sigma"] in (sigmas[0], sigmas[-1]):
            name = f"σ_{row['sigma']:g}, depth_{row['step']}".replace("_", "\N{NO-BREAK SPACE}")
            shown.append((name, row["pictures"]))
    about = "Clean cues" if cue == "clean" else "Noisy cues"
    return _gallery(shown, 1, f"{about}, and states of their chains of recalls by σ and depth")


def _gallery(shown: Sequence[tuple[str, str]], first: int, about: str) -> Any:
    """Draw rows of pictures; those of rejected cues are light grey."""
    import numpy as np

    from kanerva.lab.papers.hernandez2024 import _images

    blank = [BLANK] * (PIXELS * PIXELS * 3)
    drawn = []
    for name, words in shown:
        pictures = [
            blank if word == "-" else _images.SHADES.read(word) for word in words.split("/")
        ]
        drawn.append((name, np.array(pictures).reshape(-1, PIXELS, PIXELS, 3)))
    if not drawn:
        return None
    figure = plot.gallery(drawn, first=first)
    figure.set_label(f"{about}; light grey: no response. All are decoded.")
    return figure
