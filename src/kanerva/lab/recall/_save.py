"""Write a comparison to a folder: its tables, its manifest, its figures and its report."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from kanerva._core import checks, files
from kanerva._core.errors import door, refuse
from kanerva.lab import plot, report
from kanerva.lab.memories import Number
from kanerva.lab.recall._compare import Comparison

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
    if not all(map(find_spec, ("matplotlib", "jinja2"))):
        return written
    figures = _figures(result, folder, columns[0], written)
    stored, memories = f"{result.manifest['patterns']:,}", len(result.parameters)
    page = report.page(
        heading=(
            f"Recall of {result.name}",
            f"{stored} patterns in {memories} memories, read with damaged cues.",
        ),
        verdicts=result.verdicts,
        rows=result.rows,
        columns=columns,
        figures=figures,
        notes=result.notes,
        parameters=_parameters(result),
        manifest=result.manifest,
    )
    written.append(folder / "report.html")
    with files.atomic(written[-1]) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")
    return written


def _tables(result: Comparison, folder: Path) -> list[Path]:
    """Write the rows, the weights, the patterns that were found, and the manifest."""
    tables = {"table.csv": result.rows, "weights.csv": result.weights, "found.csv": result.found}
    written = [folder / name for name, rows in tables.items() if rows]
    for path in written:
        report.write_csv(tables[path.name], path)
    parameters = {
        name: [parameter._asdict() for parameter in chosen]
        for name, chosen in result.parameters.items()
    }
    texts = {"parameters": parameters, "notes": result.notes, "verdicts": result.verdicts}
    written.append(folder / "manifest.json")
    report.write_json(result.manifest | texts, written[-1])
    return written


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
    if result.weights:
        weights = plot.weight_curves(result.weights)
        written += plot.save(weights, folder, "weights")
        caption = "Weight of a pattern, against its distance from the query"
        figures.append((caption, plot.svg(weights)))
    return figures


def _parameters(result: Comparison) -> list[tuple[str, str, Number, str]]:
    """List the parameters under the titles of their memories."""
    titles = {row["memory"]: row["title"] for row in result.rows}
    return [
        (titles[name], *parameter)
        for name, chosen in result.parameters.items()
        for parameter in chosen
    ]
