"""Numbers as they are read: pages in HTML, tables for the terminal, files for other programs."""

from kanerva.lab.report._page import Column, Grid, Section, article
from kanerva.lab.report._report import page, summarise, table, write_csv, write_json

__all__ = [
    "Column",
    "Grid",
    "Section",
    "article",
    "page",
    "summarise",
    "table",
    "write_csv",
    "write_json",
]
