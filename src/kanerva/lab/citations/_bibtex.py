"""Publications by their keys: as BibTeX entries, and named in running text."""

from kanerva._core import checks
from kanerva._core.errors import door
from kanerva.lab.citations._entropic import ENTROPIC
from kanerva.lab.citations._gates import GATES
from kanerva.lab.citations._publications import PUBLICATIONS
from kanerva.lab.citations._quarks import QUARKS

__all__ = ["SOURCES", "bibtex", "is_bibtex", "short"]

VENUES = {
    "book": "publisher",
    "article": "journal",
    "inproceedings": "booktitle",
    "incollection": "booktitle",
    "phdthesis": "school",
}

SOURCES = {**PUBLICATIONS, **ENTROPIC, **GATES, **QUARKS}


@door
def bibtex(key: str) -> str:
    """Write a publication as a BibTeX entry.

    Args:
        key: of ``SOURCES``, or a BibTeX entry as text, which is returned as it is.

    Returns:
        the entry, one field a line.

    Raises:
        InputError: the key is unknown.

    Example:
        >>> from kanerva.lab.citations import bibtex
        >>> print(bibtex("kanerva1988"))
        @book{kanerva1988,
          author = {Kanerva, Pentti},
          title = {{Sparse Distributed Memory}},
          year = {1988},
          publisher = {MIT Press},
          address = {Cambridge, MA},
        }
    """
    if is_bibtex(key):
        return key.strip()
    source = SOURCES[checks.choice("key", key, tuple(SOURCES))]
    fields = {"author": source.authors, "title": f"{{{source.title}}}", "year": str(source.year)}
    if source.where:
        fields[VENUES[source.kind]] = source.where
    lines = [f"  {name} = {{{value}}}," for name, value in (fields | source.more).items()]
    return "\n".join([f"@{source.kind}{{{key},", *lines, "}"])


def is_bibtex(source: object) -> bool:
    """Return whether a source is given as the text of a BibTeX entry, rather than by its key.

    Example:
        >>> from kanerva.lab.citations import is_bibtex
        >>> is_bibtex("hopfield1982")
        False
    """
    return isinstance(source, str) and source.lstrip().startswith("@")


@door
def short(source: str) -> str:
    """Name a source in running text.

    Args:
        source: a key of ``SOURCES``, or a BibTeX entry as text, which is named by its own key.

    Example:
        >>> from kanerva.lab.citations import short
        >>> short("hopfield1982"), short("@misc{mine2026, title = {Mine}}")
        ('Hopfield 1982', 'mine2026')
    """
    if is_bibtex(source):
        return source.partition("{")[2].partition(",")[0].strip()
    return SOURCES[checks.choice("source", source, tuple(SOURCES))].short()
