"""The table of memories in the README, from what the library knows of its constructors."""

from typing import NamedTuple

from kanerva.lab.citations import MEMORIES, short

__all__ = ["table"]


class Row(NamedTuple):
    """Some constructors of ``kanerva.models``, what they build, and from which parts."""

    constructors: tuple[str, ...]
    about: str
    similarity: str
    separation: str


ROWS = (
    Row(
        ("sdm",),
        "sparse distributed memory: fixed random locations with counters",
        "agreement",
        "Step",
    ),
    Row(
        ("sdm_patterns",),
        "the same memory computed from its stored patterns; unlimited or finite locations",
        "agreement, Overlap",
        "Circle, Linear",
    ),
    Row(("sdm_attention",), "the attention nearest to it", "cosine", "Softmax"),
    Row(
        ("sdm_continuous",),
        "locations on the sphere; also `sdm_continuous_patterns`, `sdm_continuous_attention`",
        "cosine",
        "Step, Cap, Softmax",
    ),
    Row(
        ("sdm_selected", "sdm_hyperplane"),
        "locations that compare only a few bits each",
        "dot",
        "Step",
    ),
    Row(("attention",), "attention over stored keys and values", "dot", "Softmax"),
    Row(("modern_hopfield",), "attention, repeated until it converges", "dot", "Softmax"),
    Row(
        ("sparse_hopfield",),
        "the same with weights that can be exactly zero",
        "dot",
        "Entmax",
    ),
    Row(("hopfield",), "outer products of bits, diagonal zero or kept", "dot", "Linear"),
    Row(("dense",), "polynomial interactions", "dot", "Power"),
    Row(("exponential",), "exponential interactions", "dot", "Exponential"),
)


def table() -> list[str]:
    """Return the rows of the README's table of memories, in Markdown.

    Example:
        >>> from kanerva.lab import memories
        >>> memories.table()[-2]
        '| `dense` | polynomial interactions | dot | Power | Krotov and Hopfield 2016 |'
    """
    return [_line(row) for row in ROWS]


def _line(row: Row) -> str:
    """Write one row in Markdown, each source once."""
    names = ", ".join(f"`{name}`" for name in row.constructors)
    keys = [key for name in row.constructors for key in MEMORIES[name]]
    sources = "; ".join(dict.fromkeys(short(key) for key in keys))
    return f"| {names} | {row.about} | {row.similarity} | {row.separation} | {sources} |"
