"""Labels of a figure: titles broken into lines, and labels moved apart."""

import textwrap
from collections.abc import Sequence

__all__ = ["apart", "balanced", "wrap"]


def wrap(title: str, width: int, lines: int = 2) -> str:
    """Break a title into lines, and end it with an ellipsis where it is too long.

    Example:
        >>> wrap("one two three four", 8)
        'one two\\nthree…'
    """
    return "\n".join(textwrap.wrap(title, width, max_lines=lines, placeholder="…")) or title


def balanced(title: str, width: int, lines: int = 2) -> str:
    """Break a title into as few lines as possible, of similar lengths.

    Example:
        >>> balanced("circles at the radius of the head's beta", 38).splitlines()
        ['circles at the radius', "of the head's beta"]
    """
    text = wrap(title, width, lines)
    for less in range(1, width):
        found = wrap(title, less, 99)
        if found.count("\n") == text.count("\n"):
            return found
    return text


def apart(places: Sequence[float], gaps: Sequence[float], low: float, high: float) -> list[float]:
    """Move labels as little as possible, such that they do not overlap.

    Labels that would overlap form a cluster, centred at the mean of their places.

    Args:
        places: the desired centres.
        gaps: the size of each label.
        low: the lower limit of all labels.
        high: the upper limit, which is respected where all labels fit.

    Returns:
        the centres, in the given order.

    Example:
        >>> apart([1.0, 1.0, 5.0], [1.0, 1.0, 1.0], 0.0, 9.0)
        [0.5, 1.5, 5.0]
    """

    def size(members: Sequence[int]) -> float:
        return sum(gaps[member] for member in members)

    # Labels that touch each other, and the centre of the room that they take together.
    clusters: list[tuple[list[int], float]] = []
    for index in sorted(range(len(places)), key=places.__getitem__):
        members, middle = [index], places[index]
        while True:
            room = size(members)
            middle = max(low + room / 2, min(high - room / 2, middle))
            if not clusters or clusters[-1][1] + size(clusters[-1][0]) / 2 <= middle - room / 2:
                break
            members = [*clusters.pop()[0], *members]
            middle = sum(places[member] for member in members) / len(members)
        clusters.append((members, middle))
    found = [0.0] * len(places)
    for members, middle in clusters:
        edge = middle - size(members) / 2
        for member in members:
            found[member] = edge + gaps[member] / 2
            edge += gaps[member]
    return found
