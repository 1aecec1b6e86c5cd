"""Results as HTML pages, tables for the terminal, and files of rows."""

from kanerva.lab.report._page import Column, Grid, Section, article, written
from kanerva.lab.report._recall import Numbers
from kanerva.lab.report._report import page, summarise, table, write_csv, write_json

__all__ = [
    "Column",
    "Grid",
    "Numbers",
    "Section",
    "article",
    "page",
    "summarise",
    "table",
    "write_csv",
    "write_json",
    "written",
]
