"""Write an audit to a folder: its tables, its manifest, its figures and its report."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kanerva._core import checks, files
from kanerva._core.errors import door
from kanerva.lab import plot, report
from kanerva.lab.audit import _tables
from kanerva.lab.audit._evaluate import Audit
from kanerva.lab.audit._words import far
from kanerva.lab.report import Section
from kanerva.lab.report._files import draws, write_page, write_results

if TYPE_CHECKING:
    import matplotlib.figure

__all__ = ["save"]

# A caption, and a drawing in its wide and its narrow form.
Figure = tuple[str, *tuple[str, ...]]
DRAWN = {
    "pairs": "The samples nearest to a training row, one for each such row, and the row below.",
    "repeats": "Samples that repeat one another: members of the largest groups.",
}
CURVES = (
    "The share of rows within a distance of a training row. Where samples rise before the "
    "hold-out rows, the model copies; where they rise together, it does not."
)
ALONE = (
    "The share of rows within a distance of a training row. Fresh rows are not known: training "
    "rows, each beside the nearest other one, stand in for them."
)


@door("audit")
def save(result: Audit, folder: str | Path) -> list[Path]:
    """Write an audit to a folder: tables, manifest, and with the ``plot`` extra a report.

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
        >>> from kanerva.lab import audit
        >>> result = audit.evaluate(audit.load("iris", "iris"), audit.Plan())
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [path.name for path in audit.save(result, folder) if path.suffix == ".csv"]
        ['table.csv', 'samples.csv', 'pairs.csv', 'repeats.csv', 'copied.csv', 'curves.csv']
    """
    checks.instance("result", result, Audit, "give the result of audit.evaluate")
    folder = files.folder(folder)
    written = _write_tables(result, folder)
    if not draws():
        return written
    figures = _figures(result, folder, written)
    held = result.manifest["holdout"]
    beside = "" if held is None else f", and {held:,} rows that it was not trained on"
    page = report.article(
        heading=(
            f"Are there copies in {result.name}?",
            f"{result.manifest['samples']:,} samples beside {result.manifest['train']:,} rows "
            f"that the model was trained on{beside}.",
        ),
        verdicts=[*(f"Warning: {words}" for words in result.warnings), *result.verdicts],
        sections=_sections(result, figures),
        notes=result.notes[1:],
        grids=[],
        manifest=result.manifest,
    )
    return [*written, write_page(page, folder)]


def _write_tables(result: Audit, folder: Path) -> list[Path]:
    """Write the tables that have rows, and the manifest."""
    members: list[dict[str, Any]] = [
        row | {"members": " ".join(map(str, row["members"]))} for row in result.repeats
    ]
    tables = {
        "table.csv": result.rows,
        "samples.csv": result.samples,
        "pairs.csv": result.pairs,
        "repeats.csv": members,
        "copied.csv": result.copied,
        "curves.csv": result.curves,
    }
    names = ("thresholds", "copying", "passed", "warnings", "verdicts", "notes")
    found = {name: getattr(result, name) for name in names}
    return write_results(tables, result.manifest | found, folder)


def _figures(result: Audit, folder: Path, written: list[Path]) -> dict[str, Figure]:
    """Draw and write the figures; return their captions and drawings."""
    figures: dict[str, Figure] = {}
    for name, pictures in result.pictures.items():
        gallery = plot.gallery(pictures, first=0)
        written += plot.save(gallery, folder, name)
        figures[name] = (DRAWN[name], plot.svg(gallery))
    curves = _curves(result)
    written += plot.save(curves, folder, "figure")
    figures["figure"] = (CURVES if result.copying else ALONE, plot.svg(curves))
    return figures


def _curves(result: Audit) -> "matplotlib.figure.Figure":
    """Draw how many rows are within a distance of a training row."""
    limit = result.thresholds["memorised"]
    frame = plot.Frame(
        "Distance to the nearest training row",
        x="distance",
        y="Share of rows within it",
        verticals={f"memorised: within {far(limit)}": limit},
        limits=(-0.02, 1.02),
    )
    # Each curve begins at no rows.
    known = list(dict.fromkeys(row["of"] for row in result.curves))
    starts = [
        {"of": name, "distance": min(_distances(result, name)), "share": 0.0} for name in known
    ]
    return plot.lines([*starts, *result.curves], "distance", "share", frame, by="of")


def _distances(result: Audit, name: str) -> list[float]:
    return [row["distance"] for row in result.curves if row["of"] == name]


def _sections(result: Audit, figures: dict[str, Figure]) -> list[Section]:
    """Return the sections of the page."""

    def drawn(name: str) -> list[Figure]:
        return [figures[name]] if name in figures else []

    often = _tables.copied(result) if any(row["times"] > 1 for row in result.copied) else []
    sections = [
        Section("Shares", result.notes[:1], [_tables.shares(result)]),
        Section("Copying", (), _tables.tested(result), drawn("figure")),
        Section("Nearest pairs", (), [_tables.pairs(result), *often], drawn("pairs")),
        Section("Repeats", (), _tables.repeats(result), drawn("repeats")),
    ]
    return [section for section in sections if section.grids or section.figures]
