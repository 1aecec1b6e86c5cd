"""Write a count of gates to a folder: tables, a manifest, a figure and a report."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kanerva._core import checks, files
from kanerva._core.errors import door
from kanerva.lab import plot, report
from kanerva.lab.quarks import _tables
from kanerva.lab.quarks._count import Count
from kanerva.lab.report import Section
from kanerva.lab.report._files import (
    draws,
    holds_results,
    remove_earlier,
    write_page,
    write_results,
)

if TYPE_CHECKING:
    import matplotlib.figure

__all__ = ["save"]

# A caption, and a drawing in its wide and its narrow form.
Figure = tuple[str, *tuple[str, ...]]

POINTS = 49
LINES = {"gates": ("output", "synaptic"), "products by weights": ("linear",)}
CAPTION = (
    "Gates, output and synaptic ones together, and products by weights of one text, against its "
    "tokens, on logarithmic scales. The lines are exact polynomials."
)
GROWING = (
    "Products by weights grow with the tokens, since each token meets the same weights. The "
    "products of two signals in attention grow with their square, since each token meets each "
    "other one."
)
READING = (
    "A gate is a product of two signals: two numbers that both depend on the input. A product by a "
    "weight is none, because the weight is the same for every input. Each entry of a softmax or of "
    "a normalisation is one output gate, by the reciprocal of a sum or of a standard deviation.",
    "A sum of two signals, such as a residual connection, is a gate too, the additive one, which a "
    "plain unit has already. Products of two functions of the same number, such as a square or a "
    "GELU written out, are transfer functions and no gates.",
    "Counts say how a model computes. They say nothing about what it has learned.",
)


@door("quarks")
def save(result: Count, folder: str | Path) -> list[Path]:
    """Write a count to a folder: tables, manifest, and with the ``plot`` extra a report.

    Each file is written whole or not at all, the report last.

    Args:
        result: of ``count``.
        folder: made if it is not there.

    Returns:
        the files written; the last is ``report.html`` where the extra is installed.

    Raises:
        InputFileError: the folder cannot be written to.

    Example:
        >>> import tempfile
        >>> from transformers import BertConfig
        >>> from kanerva.lab import quarks
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     BertConfig(num_hidden_layers=1).save_pretrained(folder)
        ...     found = quarks.count(quarks.load(folder), 16)
        ...     [path.name for path in quarks.save(found, folder)][:3]
        ['kinds.csv', 'modules.csv', 'growth.csv']
    """
    checks.instance("result", result, Count, "give the result of quarks.count")
    folder = files.folder(folder)
    written = _write_tables(result, folder)
    if not draws():
        return written
    figures: list[Figure] = []
    if result.growth is not None:
        figure = _growth(result)
        written += plot.save(figure, folder, "figure")
        figures.append((CAPTION, plot.svg(figure)))
    read = "one picture" if result.tokens is None else f"{result.tokens:,} tokens"
    page = report.article(
        heading=(
            f"The gates of {Path(result.name).name}",
            f"{result.manifest['class']}, taken apart into units and gates while it read {read}.",
        ),
        verdicts=result.verdicts,
        sections=_sections(result, figures),
        notes=result.notes,
        grids=[_tables.modules(result)],
        manifest=result.manifest,
    )
    return [*written, write_page(page, folder)]


def _write_tables(result: Count, folder: Path) -> list[Path]:
    """Write the tables and the manifest, and remove those of an earlier count."""
    grown: list[dict[str, Any]] = [
        {"count": name, "constant": a, "slope": b, "square": c}
        for name, (a, b, c) in (result.growth or {}).items()
    ]
    tables = {"kinds.csv": result.kinds, "modules.csv": result.modules, "growth.csv": grown}
    hidden = ("kinds", "modules", "manifest")
    found = {name: getattr(result, name) for name in result._fields if name not in hidden}
    earlier = holds_results(folder)
    written = write_results(tables, result.manifest | found, folder)
    if earlier:
        remove_earlier((*tables, "figure.svg", "figure.png", "report.html"), written, folder)
    return written


def _growth(result: Count) -> "matplotlib.figure.Figure":
    """Draw gates and products by weights against the tokens."""
    known = [result.crossing, result.longest, result.tokens]
    last = 4 * max(one for one in (*known, 256) if one is not None)
    lengths = sorted({round(last ** (place / (POINTS - 1))) for place in range(POINTS)})
    rows: list[dict[str, Any]] = []
    for line, names in LINES.items():
        parts = [(result.growth or {})[name] for name in names]
        a, b, c = (sum(values) for values in zip(*parts, strict=True))
        rows += [{"tokens": n, "number": a + b * n + c * n * n, "line": line} for n in lengths]
    marks = {}
    if result.crossing is not None and result.crossing > 1:
        marks[f"gates outnumber: {result.crossing:,}"] = float(result.crossing)
    if result.longest is not None:
        marks[f"the model takes: {result.longest:,}"] = float(result.longest)
    frame = plot.Frame(
        "Gates against products by weights",
        x="tokens of a text",
        y="products",
        log="xy",
        verticals=marks,
    )
    return plot.lines(rows, "tokens", "number", frame, by="line")


def _sections(result: Count, figures: list[Figure]) -> list[Section]:
    """Return the sections of the page."""
    sections = [
        Section("What it is made of", (), [_tables.kinds(result)]),
        Section("Growth with the tokens", [GROWING], _tables.growth(result), figures),
        Section("What was not read", (), _tables.unread(result)),
        Section("How to read it", READING),
    ]
    return [one for one in sections if one.grids or one.figures or one.words is READING]
