"""The files of a run in progress: the table so far, and a journal of the complete cells."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from kanerva._core import files
from kanerva._core.errors import InputFileError, refuse
from kanerva.lab.recipe import Cell, Row
from kanerva.lab.runner import _rows

__all__ = ["JOURNAL", "MANIFEST", "TABLE", "Journal"]

TABLE, JOURNAL, MANIFEST = "table.csv", "unfinished.jsonl", "manifest.json"


class Journal:
    """The rows of a run, in memory and, where a folder is given, in its files.

    The table holds the rows of complete cells in the order in which the cells ended. The journal
    holds the request in its first line, then one line for each cell: its index, and the length of
    the table in bytes after it. A row that is not covered by the journal is cut off on resuming.

    Nothing is written before the first cell is complete, so a request that is refused leaves an
    earlier run unchanged.
    """

    def __init__(self, folder: Path | None, request: dict[str, Any], cells: Sequence[Cell]) -> None:
        self.folder, self.request, self.cells = folder, request, cells
        self.done: dict[int, str] = {}
        self.head = ""
        if folder is None:
            return
        self.table_path, self.journal_path = folder / TABLE, folder / JOURNAL
        with files.writing(folder):
            if self.journal_path.exists():
                self._resume()
            else:
                self._check_owner(folder)

    def add(self, index: int, rows: list[Row]) -> None:
        """Keep the rows of a complete cell: first the rows, then the line of the journal."""
        head, text = _rows.text(rows)
        if self.head and head:
            _rows.same_columns(self.head.strip(), head.strip())
        first_cell, first_rows = not self.done, not self.head
        self.head = self.head or head
        self.done[index] = text
        if self.folder is None:
            return
        with files.writing(self.folder):
            if first_cell:
                self._begin(self.folder)
            end = _append(self.table_path, (head if first_rows else "") + text)
            _append(self.journal_path, json.dumps({"cell": index, "end": end}) + "\n")

    def table(self) -> list[Row]:
        """Return all rows in the order of the cells, as they read from the file."""
        return _rows.parse(self.head + "".join(self.done[index] for index in sorted(self.done)))

    def forget(self) -> None:
        """Remove the files of a run that has no rows."""
        if self.folder is not None and self.done:
            with files.writing(self.folder):
                self.table_path.unlink(missing_ok=True)
                self.journal_path.unlink(missing_ok=True)

    def _begin(self, folder: Path) -> None:
        """Start table and journal; the manifest marks a complete table, so it is removed first."""
        (folder / MANIFEST).unlink(missing_ok=True)
        _append(self.table_path, "", fresh=True)
        _append(self.journal_path, json.dumps(self.request) + "\n", fresh=True)

    def _check_owner(self, folder: Path) -> None:
        """Refuse a folder with a finished run of another recipe."""
        try:
            name = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["recipe"]
        except (OSError, ValueError, KeyError, TypeError):
            return
        if name != self.request["recipe"]:
            do = "choose another --out, or remove the folder"
            _refuse(f"{str(folder)!r}, which holds a run of {name!r}", do)

    def _resume(self) -> None:
        """Load the complete cells of an interrupted run, and cut off what comes after them."""
        journal = self.journal_path.read_bytes()
        raw = self.table_path.read_bytes() if self.table_path.exists() else b""
        lines = _lines(journal)
        if len(lines) > 1 and lines[0] != json.loads(json.dumps(self.request)):
            do = "repeat its command to finish it, choose another --out, or remove the folder"
            _refuse(f"{str(self.folder)!r}, where another run is unfinished", do)
        kept = [line for line in lines[1:] if line["end"] <= len(raw)]
        if not kept:
            return
        start = raw.find(b"\n") + 1
        sizes, end = {}, start
        for line in kept:
            sizes[line["cell"]] = line["end"] - end
            end = line["end"]
        if self._cut(raw, start, sizes):
            os.truncate(self.table_path, end)
            written = journal.splitlines(keepends=True)[: 1 + len(kept)]
            os.truncate(self.journal_path, sum(map(len, written)))
            return
        # A run that stopped while it ended may have sorted the table by cells already.
        ended = len(kept) == len(self.cells)
        if not (ended and self._cut(raw, start, dict(sorted(sizes.items())))):
            must = "a folder with the table as the run left it"
            do = "bring the table back, or remove the folder"
            _refuse(f"changed since by others in {str(self.folder)!r}", do, must)

    def _cut(self, raw: bytes, place: int, sizes: Mapping[int, int]) -> bool:
        """Cut a table into cells of these sizes in bytes.

        Return whether each cell begins with its own arguments; a table that was edited does not.
        """
        self.done, self.head = {}, raw[:place].decode()
        for index, size in sizes.items():
            text = raw[place : place + size].decode(errors="replace")
            if text and not self._begins(text, index):
                return False
            self.done[index], place = text, place + size
        return True

    def _begins(self, text: str, index: int) -> bool:
        if index >= len(self.cells):
            return False
        arguments = _rows.text([self.cells[index]])[1][:-1]
        return text.startswith((arguments + ",", arguments + "\n"))


def _lines(journal: bytes) -> list[dict[str, Any]]:
    """Read the lines of a journal, up to the first that is torn."""
    lines = []
    for line in journal[: journal.rfind(b"\n") + 1].splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    return lines


def _append(path: Path, text: str, *, fresh: bool = False) -> int:
    """Append text, or start the file anew; return its length in bytes."""
    with path.open("wb" if fresh else "ab") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
        return file.tell()


def _refuse(got: str, do: str, must: str = "a folder of its own") -> NoReturn:
    refuse("out", must=must, got=got, do=do, error=InputFileError)
