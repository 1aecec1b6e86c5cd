"""The parameters of a comparison, as the tests compare them."""

from typing import NamedTuple


class Choice(NamedTuple):
    """A parameter of a memory in a result."""

    name: str
    value: object
    why: str


def chosen_of(result):
    """Return the parameters of each memory."""
    found = {}
    for one in result.parameters:
        choice = Choice(one["name"], one["value"], one["why"])
        found.setdefault(one["memory"], []).append(choice)
    return found
