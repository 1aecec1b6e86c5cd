"""Write a comparison to a folder: its tables, its manifest, its figures and its report."""

from collections.abc import Sequence
from pathlib import Path

from kanerva._core import checks, files
from kanerva._core.errors import door, refuse
from kanerva.lab import plot, report
from kanerva.lab.recall._compare import Comparison
from kanerva.lab.report._files import draws, write_page, write_results

__all__ = ["save"]

Figure = tuple[str, *tuple[str, ...]]


@door("recall")
def save(result: Comparison, folder: str | Path, columns: Sequence[str]) -> list[Path]:
    """Write a comparison to a folder: tables, manifest, and with the ``plot`` extra a report.

    Each file is written whole or not at all, the report last.

    Args:
        result: of ``compare``.
        folder: made if it is not there.
        columns: measures shown in the report, the main one first.

    Returns:
        the files written; the last is ``report.html`` where the extra is installed.

    Raises:
        InputFileError: the folder cannot be written to.

    Example:
        >>> import tempfile
        >>> from kanerva.lab import data
        >>> from kanerva.lab.recall import Plan, compare, save
        >>> plan = Plan(memories=("hopfield",), levels=(0.1, 0.2), seeds=1, cues=5)
        >>> result = compare(data.load("letters"), plan)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(result, folder, ["exact"])[-1].name
        'report.html'
    """
    checks.instance("result", result, Comparison, "give the result of recall.compare")
    columns = checks.several("columns", columns, "a sequence of measures")
    if not columns or not all(isinstance(name, str) for name in columns):
        refuse("columns", columns, must="the names of measures", do="give ['exact']")
    folder = files.folder(folder)
    written = _tables(result, folder)
    if not draws():
        return written
    figures = _figures(result, folder, columns[0], written)
    stored = f"{result.manifest['patterns']:,}"
    memories = len({row["memory"] for row in result.parameters})
    page = report.page(
        heading=(
            f"Recall of {result.name}",
            f"{stored} patterns in {memories} memories{_stored(result)}, read with damaged cues.",
        ),
        verdicts=result.best,
        numbers=_numbers(result, columns),
        figures=figures,
        notes=result.notes,
        manifest=result.manifest,
    )
    return [*written, write_page(page, folder)]


def _stored(result: Comparison) -> str:
    """Name the code of the patterns where there is one, and no comparison with others."""
    (code, *more) = result.manifest["codecs"]
    return "" if more or code == "none" else f", stored in the code {code}"


def _tables(result: Comparison, folder: Path) -> list[Path]:
    """Write the rows, the weights, the patterns that were found, and the manifest."""
    tables = {
        "table.csv": result.rows,
        "capacity.csv": result.sizes,
        "weights.csv": result.weights,
        "found.csv": result.found,
    }
    found = {"parameters": result.parameters, "capacity": result.capacity}
    texts = {name: getattr(result, name) for name in ("notes", "best", "verdicts")}
    return write_results(tables, result.manifest | found | texts, folder)


def _numbers(result: Comparison, columns: Sequence[str]) -> report.Numbers:
    """Gather the numbers of the report."""
    share = result.manifest["share"] or 1.0
    found = (result.capacity, result.parameters, share, result.verdicts)
    return report.Numbers(result.rows, columns, *found)


def _figures(result: Comparison, folder: Path, column: str, written: list[Path]) -> list[Figure]:
    """Draw and write the figures; return their captions and drawings."""
    figures: list[Figure] = []
    if result.pictures:
        gallery = plot.gallery(result.pictures)
        written += plot.save(gallery, folder, "pictures")
        figures.append(("Stored, damaged, recalled", plot.svg(gallery)))
    curves = plot.recall_curves(result.rows, column)
    written += plot.save(curves, folder, "figure")
    narrow = plot.svg(plot.recall_curves(result.rows, column, across=2))
    figures.append(("Recalled exactly, against damage", plot.svg(curves), narrow))
    if result.sizes:
        share, level = result.manifest["share"], result.manifest["capacity_level"]
        counts = plot.capacity_curves(result.sizes, share)
        written += plot.save(counts, folder, "capacity")
        narrow = plot.svg(plot.capacity_curves(result.sizes, share, across=2))
        caption = (
            f"Recalled exactly at a damage of {level:g}, against the number of patterns stored"
        )
        figures.append((caption, plot.svg(counts), narrow))
    if result.weights:
        weights = plot.weight_curves(result.weights)
        written += plot.save(weights, folder, "weights")
        caption = "Weight of a pattern, against its distance from the query"
        figures.append((caption, plot.svg(weights)))
    return figures
