"""Write an evaluation to a folder: its tables, its manifest, its figures and its report."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from kanerva._core import checks, files
from kanerva._core.errors import door
from kanerva.lab import plot, report
from kanerva.lab.density import _tables
from kanerva.lab.density._evaluate import Evaluation
from kanerva.lab.report import Section
from kanerva.lab.report._files import draws, write_page, write_results

if TYPE_CHECKING:
    import matplotlib.figure

__all__ = ["save"]

# A caption, and a drawing in its wide and its narrow form.
Figure = tuple[str, *tuple[str, ...]]
BANDWIDTHS = (
    "Mean log-likelihood a row against the bandwidth: of kernels, that of held-out rows and of "
    "kept rows under all others; of the CRP mixture, that of a fifth of the kept rows, given the "
    "rest. Open dots: the bandwidth that was chosen."
)
DRAWN = {
    "samples": "Kept rows, held-out rows, and rows drawn from each memory.",
    "strangest": "The held-out rows of the lowest likelihood under each memory, lowest first.",
}


@door("density")
def save(result: Evaluation, folder: str | Path) -> list[Path]:
    """Write an evaluation to a folder: tables, manifest, and with the ``plot`` extra a report.

    Each file is written whole or not at all, the report last.

    Args:
        result: of ``evaluate``.
        folder: made if it is not there.

    Returns:
        the files written; the last is ``report.html`` where the extra is installed.

    Raises:
        InputFileError: the folder cannot be written to.

    Example:
        >>> import tempfile
        >>> from kanerva.lab import data
        >>> from kanerva.lab.density import Plan, evaluate, save
        >>> result = evaluate(data.load("iris"), Plan(("gaussian",), bandwidth=0.1, samples=2))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [path.name for path in save(result, folder) if path.suffix in (".csv", ".html")]
        ['table.csv', 'samples.csv', 'strangest.csv', 'curves.csv', 'report.html']
    """
    checks.instance("result", result, Evaluation, "give the result of density.evaluate")
    folder = files.folder(folder)
    written = _write_tables(result, folder)
    if not draws():
        return written
    figures = _figures(result, folder, written)
    page = report.article(
        heading=(
            f"{result.name} as a density",
            f"{result.manifest['kept']:,} rows in {len(result.rows)} memories: how likely other "
            "rows are, which are strange, and what rows look like that are drawn.",
        ),
        verdicts=result.verdicts,
        sections=_sections(result, figures),
        notes=result.notes,
        grids=[],
        manifest=result.manifest,
    )
    return [*written, write_page(page, folder)]


def _write_tables(result: Evaluation, folder: Path) -> list[Path]:
    """Write the tables that have rows, and the manifest."""
    tables = {
        "table.csv": result.rows,
        "samples.csv": result.samples,
        "strangest.csv": result.strangest,
        "curves.csv": result.curves,
    }
    found = {name: getattr(result, name) for name in ("best", "verdicts", "notes")}
    return write_results(tables, result.manifest | found, folder)


def _figures(result: Evaluation, folder: Path, written: list[Path]) -> dict[str, Figure]:
    """Draw and write the figures; return their captions and drawings."""
    figures: dict[str, Figure] = {}
    for name, pictures in result.pictures.items():
        gallery = plot.gallery(pictures, first=2 if name == "samples" else 0)
        written += plot.save(gallery, folder, name)
        figures[name] = (DRAWN[name], plot.svg(gallery))
    if result.curves:
        wide = _curves(result, 3)
        written += plot.save(wide, folder, "figure")
        figures["figure"] = (BANDWIDTHS, plot.svg(wide), plot.svg(_curves(result, 2)))
    return figures


def _curves(result: Evaluation, across: int) -> "matplotlib.figure.Figure":
    """Draw the likelihood against the bandwidth, in a panel for each memory."""
    named = {row["memory"]: row for row in result.rows}
    of = {"crp": "a fifth of the kept rows"}
    chosen = [
        one | {"of": "chosen"}
        for one in result.curves
        if math.isclose(one["bandwidth"], named[one["memory"]]["bandwidth"])
        and one["of"] == of.get(one["memory"], "leave-one-out")
    ]
    known = [row["nats"] for row in result.curves if row["nats"] is not None]
    # Below, a bandwidth is wrong by more than a nat in each number, and the scale would hide peaks.
    top, dim = max(known, default=0.0), result.manifest["dim"]
    low = max(min(known, default=0.0), top - dim) if len(known) > 1 else top - dim
    slack = 0.05 * (top - low) or 0.5
    frame = plot.Frame(
        "Likelihood by bandwidth",
        x="bandwidth, in the unit of the densities",
        y="Mean log-likelihood of a row, nats",
        across=across,
        dots=("chosen",),
        limits=(low - slack, top + slack),
    )
    rows = [*result.curves, *chosen]
    return plot.lines(rows, "bandwidth", "nats", frame, by="of", panel="title")


def _sections(result: Evaluation, figures: dict[str, Figure]) -> list[Section]:
    """Return the sections of the page."""

    def drawn(name: str) -> list[Figure]:
        return [figures[name]] if name in figures else []

    tables = [] if "samples" in figures else _tables.drawn(result)
    sections = [
        Section("Likelihood", (), [_tables.likelihoods(result)], drawn("figure")),
        Section("Strangest rows", (), [_tables.strangest(result)], drawn("strangest")),
        Section("Samples", (), tables, drawn("samples")),
    ]
    return [section for section in sections if section.grids or section.figures]
