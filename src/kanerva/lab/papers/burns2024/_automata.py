"""The tables of the automata, their words, and the network's course over them."""

from typing import Any, NamedTuple

import numpy as np
import torch

from kanerva._core.errors import refuse
from kanerva.correlated import Automaton, Run

__all__ = ["Course", "courses"]

FAMILY = {
    ("H", "wife"): "M", ("H", "son"): "B", ("H", "daughter"): "L", ("M", "husband"): "H",
    ("M", "son"): "B", ("M", "daughter"): "L", ("L", "mother"): "M", ("L", "father"): "H",
    ("L", "brother"): "B", ("B", "mother"): "M", ("B", "father"): "H", ("B", "sister"): "L",
}  # fmt: skip
# The published words, and the states after each symbol. Two symbols have no transition.
WORDS = (
    ("M", ("daughter", "daughter", "brother"), "MLLB"),
    ("B", ("father", "wife", "husband"), "BHMH"),
    ("H", ("father", "son", "mother"), "HHBM"),
)
TABLES: dict[str, dict[tuple[Any, Any], Any]] = {
    "family": FAMILY,
    "parity": {("even", 0): "even", ("even", 1): "odd", ("odd", 0): "odd", ("odd", 1): "even"},
    "modulo": {(0, "+"): 1, (1, "+"): 2, (2, "+"): 0},
    "contains": {
        (0, "a"): 1, (0, "b"): 0, (1, "a"): 1, (1, "b"): 2, (2, "a"): 2, (2, "b"): 2,
    },
}  # fmt: skip
# Of the random table.
STATES, SYMBOLS = 1000, 5


class Course(NamedTuple):
    """The course of the network over a word, and that of the table.

    * ``run``: of the network.
    * ``expected``: the states of the table.
    """

    run: Run
    expected: list[Any]


def courses(
    name: str, pattern: str, size: tuple[int, int], seed: int, noise: float, memory: dict[str, Any]
) -> list[Course]:
    """Run an automaton over words; ``size`` is their number and length, unless it has its own."""
    draw = np.random.default_rng(seed)
    if name == "regex":
        if not pattern:
            do = 'give one with --set pattern="(ab|ba)*"'
            refuse("pattern", got="empty", must="a regular expression", do=do)
        machine = Automaton.regex(pattern, seed=seed, **memory)
        moves = machine.table
    else:
        moves = TABLES.get(name) or _random(draw)
        machine = Automaton(moves, undefined="nearest", seed=seed, **memory)
    words = _words(machine, size, draw)
    starts = [
        machine.states[place] for place in draw.integers(len(machine.states), size=len(words))
    ]
    if name == "regex":
        starts = [machine.start] * len(words)
    expected = [_followed(moves, *pair) for pair in zip(starts, words, strict=True)]
    if name == "family":
        starts, words = [one[0] for one in WORDS], [list(one[1]) for one in WORDS]
        expected = [list(one[2]) for one in WORDS]
    rows = [machine.states.index(start) for start in starts]
    patterns = machine.memory.keys[: len(machine.states)][rows]
    drawn = torch.rand(patterns.shape, generator=torch.Generator().manual_seed(seed)) - 0.5
    runs = machine.run_all(words, patterns + noise * drawn.to(patterns))
    return [Course(*pair) for pair in zip(runs, expected, strict=True)]


def _random(draw: np.random.Generator) -> dict[tuple[Any, Any], Any]:
    targets = draw.integers(STATES, size=(STATES, SYMBOLS))
    return {
        (state, symbol): int(targets[state, symbol])
        for state in range(STATES)
        for symbol in range(SYMBOLS)
    }


def _words(machine: Automaton, size: tuple[int, int], draw: np.random.Generator) -> list[list[Any]]:
    places = draw.integers(len(machine.symbols), size=size)
    return [[machine.symbols[place] for place in row] for row in places.tolist()]


def _followed(moves: dict[Any, Any], start: Any, word: list[Any]) -> list[Any]:
    states = [start]
    for symbol in word:
        states.append(moves.get((states[-1], symbol), states[-1]))
    return states
