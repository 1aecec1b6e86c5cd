"""The files of a result in a folder: its tables, and its page where it can be drawn."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from kanerva._core import files
from kanerva.lab.report._columns import Row
from kanerva.lab.report._report import write_csv

__all__ = ["draws", "write_page", "write_tables"]


def draws() -> bool:
    """Return whether the extra for figures and pages is installed."""
    return all(map(find_spec, ("matplotlib", "jinja2")))


def write_tables(tables: Mapping[str, Sequence[Row]], folder: Path) -> list[Path]:
    """Write the tables that have rows, by the names of their files."""
    written = [folder / name for name, rows in tables.items() if rows]
    for path in written:
        write_csv(tables[path.name], path)
    return written


def write_page(page: str, folder: Path) -> Path:
    """Write the page of a result."""
    path = folder / "report.html"
    with files.atomic(path) as temporary:
        # The name of a file may hold bytes that are no text.
        temporary.write_text(page, encoding="utf-8", errors="replace")
    return path
