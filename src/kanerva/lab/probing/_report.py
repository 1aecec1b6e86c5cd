"""Write an examination of a transformer to files: tables, figures and a page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kanerva._core import files
from kanerva._core.errors import door, refuse
from kanerva.lab import plot, report
from kanerva.lab.probing._columns import CONTROLS, EFFECTS, HEADS, store_columns
from kanerva.lab.probing._examination import Examination
from kanerva.lab.probing._figures import FIGURES, drawings
from kanerva.lab.report import Column, Grid, Section
from kanerva.lab.report._files import (
    draws,
    holds_results,
    remove_earlier,
    write_page,
    write_results,
)

__all__ = ["save"]

Row = dict[str, Any]
# Caption, and the drawing in its wide and its narrow form.
Figure = tuple[str, str, str]

# Names of tables, and the fields of an examination that hold their rows.
TABLES = {
    "heads": "rows",
    "agreement": "curves",
    "effects": "effects",
    "sweep": "sweep",
    "controls": "controls",
    "values": "values",
    "stores": "stores",
}
COMPARE = (
    "A broad head agrees with any broad memory: where all tokens have nearly the same weight, the "
    "rule hardly matters. So compare the model with its controls. What it shares with permuted "
    "keys, whose coordinates are in another order, comes from the lengths of queries and keys; "
    "what it shares with random weights comes from its architecture. Only the rest was learned "
    "about which tokens match."
)
STORED = (
    "A feed-forward layer has a memory in each row: a key that is compared with the token, and a "
    "value that is added in proportion to the match. These memories were written during training, "
    "not by the text."
)
REPLACED = (
    "Every head of the model is replaced at once, without further training, and the model is "
    "called again on the same texts."
)
EFFECTS_CAPTION = (
    "One memory in place of every head: how near the outputs are to the original ones, and how "
    "often nothing was in reach."
)
CONTROLS_CAPTION = (
    "Means over all heads. Apart: total variation from circles at the radius of the beta; there: "
    "at the radius that agrees best."
)


@door("probing.save")
def save(examination: Examination, folder: str | Path) -> list[Path]:
    """Write an examination to a folder: tables, a manifest, and a report with figures.

    Figures and report need the ``plot`` extra. Each file is written completely or not at all, the
    report last. A table without rows is left out. Tables, figures and report of an earlier
    examination in the folder are removed.

    Args:
        examination: of ``examine``.
        folder: made if it does not exist.

    Returns:
        the files written; the last is ``report.html`` where the extra is installed.

    Raises:
        InputError: the examination has no heads.
        InputFileError: the folder cannot be written to.

    Example:
        >>> import tempfile
        >>> from kanerva.lab.probing import Examination
        >>> rows = [dict(layer=0, index=head, beta=4.0 + head, radius=9) for head in range(2)]
        >>> empty = dict.fromkeys(Examination._fields, []) | dict(name="toy", manifest={})
        >>> found = Examination(**empty | dict(rows=rows, optima={"noise": 5.6}))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     written = [path.name for path in save(found, folder)]
        >>> written[0], written[-1]
        ('heads.csv', 'report.html')
    """
    if not examination.rows:
        do = "examine a model with attention"
        refuse("examination", got="without rows", must="of one head or more", do=do)
    folder = files.folder(folder)
    written = _write_tables(examination, folder)
    if not draws():
        return written
    figures: dict[str, Figure] = {}
    for drawing in drawings(examination):
        wide = drawing.wide()
        written += plot.save(wide, folder, drawing.name)
        figures[drawing.name] = (drawing.caption, plot.svg(wide), plot.svg(drawing.narrow()))
    page = report.article(
        heading=_heading(examination),
        verdicts=examination.verdicts,
        sections=_sections(examination, figures),
        notes=examination.notes,
        grids=[Grid("Every head", _with_names(examination.rows), HEADS, "full slim")],
        manifest=examination.manifest,
    )
    return [*written, write_page(page, folder)]


def _write_tables(found: Examination, folder: Path) -> list[Path]:
    """Write the tables that have rows, and the manifest, and remove files of an earlier one."""
    tables = {f"{name}.csv": getattr(found, field) for name, field in TABLES.items()}
    results = {name: getattr(found, name) for name in ("verdicts", "notes", "optima")}
    earlier = holds_results(folder)
    written = write_results(tables, {**found.manifest, **results}, folder)
    if earlier:
        figures = [f"{name}.{end}" for name in FIGURES for end in ("png", "svg")]
        remove_earlier((*tables, *figures), written, folder)
    return written


def _heading(found: Examination) -> tuple[str, str]:
    """Return the title of the page and its first sentence."""
    count, layers = len(found.rows), len({row["layer"] for row in found.rows})
    heads = "1 head" if count == 1 else f"{count} heads"
    texts = f", watched on {found.manifest['texts']:,} texts" if "texts" in found.manifest else ""
    lead = (
        f"{heads} in {layers} {'layer' if layers == 1 else 'layers'}{texts}: the sparse "
        "distributed memory nearest to each, and what is lost by replacing it."
    )
    return f"The heads of {found.name} as memories", lead


def _sections(found: Examination, figures: Mapping[str, Figure]) -> list[Section]:
    """Return the sections of the page that have a table or a figure."""

    def drawn(*names: str) -> list[Figure]:
        return [figures[name] for name in names if name in figures]

    controls = found.controls if len(found.controls) > 1 else []
    effects = _grid(found.effects, EFFECTS_CAPTION, EFFECTS)
    compared = _grid(controls, CONTROLS_CAPTION, CONTROLS)
    columns, caption = store_columns(found.stores), "Each feed-forward layer as a memory."
    stores = _grid(found.stores, caption, columns, "full slim")
    sections = [
        Section("What is lost", [_introduction(found)], effects, drawn("replacements", "sweep")),
        Section("Which memory each head is", (), (), drawn("betas", "heads", "agreement")),
        Section("What to compare with", [COMPARE], compared),
        Section("Softmax inputs and cosines", (), (), drawn("histograms")),
        Section("Feed-forward layers", [STORED], stores),
    ]
    return [section for section in sections if section.grids or section.figures]


def _grid(
    rows: Sequence[Row], caption: str, columns: Mapping[str, Column], look: str = "full"
) -> list[Grid]:
    """Return a table, if it has rows."""
    return [Grid(caption, rows, columns, look)] if rows else []


def _introduction(found: Examination) -> str:
    """Return the text above the table of replacements, with the loss of the model itself."""
    for row in (*found.effects, *found.sweep):
        if row.get("loss_before") is not None:
            loss = f"The original model has a loss of {row['loss_before']:.3f} nats a token."
            return f"{REPLACED} {loss}"
    return REPLACED


def _with_names(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of heads with a first column that names the head."""
    return [{"head": f"{row['layer']}.{row['index']}"} | row for row in rows]
