"""The files of a result in a folder: its tables, and its page where it can be drawn."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kanerva._core import files
from kanerva.lab.report._columns import Row
from kanerva.lab.report._report import write_csv, write_json

__all__ = ["draws", "holds_results", "remove_earlier", "write_page", "write_results"]

MANIFEST = "manifest.json"


def draws() -> bool:
    """Return whether the extra for figures and pages is installed."""
    return all(map(find_spec, ("matplotlib", "jinja2")))


def write_results(
    tables: Mapping[str, Sequence[Row]], manifest: Mapping[str, Any], folder: Path
) -> list[Path]:
    """Write the tables that have rows, by the names of their files, and the manifest."""
    written = [folder / name for name, rows in tables.items() if rows]
    for path in written:
        write_csv(tables[path.name], path)
    written.append(folder / MANIFEST)
    write_json(manifest, written[-1])
    return written


def holds_results(folder: Path) -> bool:
    """Return whether results were written to a folder."""
    return (folder / MANIFEST).is_file()


def remove_earlier(names: Iterable[str], written: Sequence[Path], folder: Path) -> None:
    """Remove files of earlier results that were not written again."""
    for name in names:
        if folder / name not in written:
            (folder / name).unlink(missing_ok=True)


def write_page(page: str, folder: Path) -> Path:
    """Write the page of a result."""
    path = folder / "report.html"
    with files.atomic(path) as temporary:
        # The name of a file may hold bytes that are no text.
        temporary.write_text(page, encoding="utf-8", errors="replace")
    return path
