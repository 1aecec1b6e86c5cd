"""What is kept of a publication."""

from typing import NamedTuple

__all__ = ["Source"]


class Source(NamedTuple):
    """A publication.

    * ``kind``: of BibTeX entry: ``"book"``, ``"article"``, ``"inproceedings"``,
      ``"incollection"``, ``"phdthesis"`` or ``"misc"``.
    * ``authors``: with ``and`` between.
    * ``title``, ``year``.
    * ``where``: the book, journal or conference, or the publisher of a book.
    * ``more``: further fields, such as volume, pages and arXiv number.
    """

    kind: str
    authors: str
    title: str
    year: int
    where: str
    more: dict[str, str]

    def short(self) -> str:
        """Return its name in running text.

        Example:
            >>> from kanerva.lab.citations import SOURCES
            >>> SOURCES["bricken2021"].short()
            'Bricken and Pehlevan 2021'
        """
        names = [author.split(",")[0] for author in self.authors.split(" and ")]
        authors = " and ".join(names) if len(names) < 3 else f"{names[0]} and others"
        return f"{authors} {self.year}"
