"""The publications on which this library is based, and their BibTeX entries."""

from kanerva.lab.citations._bibtex import SOURCES, bibtex, is_bibtex, short
from kanerva.lab.citations._memories import MEMORIES
from kanerva.lab.citations._source import Source

__all__ = ["MEMORIES", "SOURCES", "Source", "bibtex", "is_bibtex", "short"]
