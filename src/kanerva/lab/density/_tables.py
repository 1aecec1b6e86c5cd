"""The tables of an evaluation, for the terminal and for the report."""

from collections.abc import Mapping
from typing import Any

from kanerva._core import checks
from kanerva._core.errors import door
from kanerva.lab.density._evaluate import Evaluation
from kanerva.lab.density._words import nats
from kanerva.lab.report import Column, Grid

__all__ = ["drawn", "likelihoods", "strangest"]

Row = Mapping[str, Any]
COLUMNS = {
    "title": Column("memory", "text", "kernels of this shape around each row, or a mixture"),
    "bandwidth": Column(
        "bandwidth",
        "text",
        "standard deviation of a Gaussian, also of one memory of a mixture; radius of "
        "Epanechnikov's kernel; width of Laplace's",
    ),
    "held": Column(
        "held out", "text", "mean log-likelihood of held-out rows, nats, ± its standard error"
    ),
    "left": Column(
        "leave one out",
        "text",
        "mean log-likelihood of each kept row under all others, nats, ± its standard error",
    ),
    "unreached": Column("out of reach", "count", "held-out rows whose likelihood is zero"),
    "memories": Column("memories", "count", "kernels: one a row; of a mixture, those it made"),
    "bytes": Column("size", "bytes", "what the memory stores"),
    "ari": Column(
        "ARI", "number", "adjusted Rand index of the memories of a mixture and the classes"
    ),
}
STRANGE = {
    "title": Column("memory", "text", "under which the row is strange"),
    "rank": Column("place", "count", "1: the lowest likelihood"),
    "row": Column("row", "text", "of the data, counted from 0"),
    "class": Column("class", "text", "of the row"),
    "nats": Column("nats", "text", "log-likelihood of the row; −∞ where no kernel reaches it"),
    "nearest": Column("nearest row", "text", "of the kept ones, counted from 0"),
    "distance": Column("distance", "number", "to it, in the unit of the densities"),
}
# Strange rows of each memory, samples of each memory and numbers of a sample in the report.
LISTED, SAMPLES, NUMBERS = 3, 3, 8


@door("density")
def likelihoods(result: Evaluation) -> Grid:
    """Return the table of the memories, with likelihoods and their standard errors as text.

    Args:
        result: of ``evaluate``.

    Example:
        >>> from kanerva.lab import data
        >>> from kanerva.lab.density import Plan, evaluate, likelihoods
        >>> found = evaluate(data.load("iris"), Plan(("gaussian",), bandwidth=0.1, samples=0))
        >>> [row["bandwidth"] for row in likelihoods(found).rows]
        ['0.1']
    """
    checks.instance("result", result, Evaluation, "give the result of density.evaluate")
    lines = [
        {
            **row,
            "bandwidth": f"{row['bandwidth']:.4g}",
            "held": nats(row["held"], row["held_se"]),
            "left": nats(row["left"], row["left_se"]),
            "unreached": row["unreached"] or None,
        }
        for row in result.rows
    ]
    held = result.manifest["held_out"]
    caption = f"Log-likelihood in nats a row; {held:,} rows are held out."
    return Grid(caption, lines, COLUMNS)


def strangest(result: Evaluation) -> Grid:
    """Return the table of the strangest rows of each memory.

    Args:
        result: of ``evaluate``.
    """
    lines = [
        {**row, "row": str(row["row"]), "nearest": str(row["nearest"]), "nats": nats(row["nats"])}
        for row in result.strangest
        if row["rank"] <= LISTED
    ]
    return Grid("The strangest held-out rows; all are in strangest.csv.", lines, STRANGE)


def drawn(result: Evaluation) -> list[Grid]:
    """Return the table of some rows that were drawn, if any were.

    Args:
        result: of ``evaluate``.
    """
    if not result.samples:
        return []
    lines: list[Row] = []
    for title in dict.fromkeys(row["title"] for row in result.samples):
        lines += [row for row in result.samples if row["title"] == title][:SAMPLES]
    width = result.manifest["dim"]
    numbers = [f"x{place}" for place in range(1, min(width, NUMBERS) + 1)]
    columns = {name: Column(name, "number", "") for name in numbers}
    rest = f" The first {NUMBERS} of {width:,} numbers are shown." if width > NUMBERS else ""
    caption = f"Rows drawn from each memory; all are in samples.csv.{rest}"
    title = {"title": Column("memory", "text", "from which the row was drawn")}
    return [Grid(caption, lines, title | columns)]
