"""Finite automata that a memory runs: the published one, small ones, and a random one."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import Seed
from kanerva.lab.papers.burns2024._words import Beta, Rate
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["automata"]

NAMES = ("family", "parity", "modulo", "contains", "random", "regex")
# The published settings, and those of the large random table.
BASE: Cell = {
    "pattern": "", "neurons": 1000, "share": 0.25, "beta": 0.5, "rate": 0.1, "steps": 100,
    "mean": 1.0, "noise": 0.0, "words": 8, "length": 10,
}  # fmt: skip
FAST: Cell = BASE | {"share": 0.5, "beta": 1.0, "rate": 1.0, "steps": 2, "words": 40, "length": 6}
SMALL = ("parity", "modulo", "contains")
SEEDS = tuple(range(10))


def _checks() -> Iterator[Check]:
    source = "measured with separate code"
    usual = {name: BASE[name] for name in ("neurons", "share", "beta", "rate", "steps", "noise")}
    fast = {name: FAST[name] for name in ("neurons", "share", "beta", "rate", "steps")}
    for mean in (1.0, 0.001):
        family: Cell = usual | {"automaton": "family", "mean": mean}
        what = f"family, mean {mean:g}: share of states right in the three published words"
        yield Check(what, "right", 1.0, 0.0, source, family, "min")
    family = usual | {"automaton": "family", "mean": 1.0}
    what = "family, mean 1: overlap with the state that is read out"
    yield Check(what, "overlap", 0.93, 0.02, source, family)
    for name in SMALL:
        what = f"{name}: share of states right in random words"
        yield Check(what, "right", 1.0, 0.0, source, usual | {"automaton": name}, "min")
    for noise in (0.0, 0.5):
        what = f"1,000 states and 5 symbols, start noise {noise:g}: share of states right"
        at: Cell = fast | {"automaton": "random", "noise": noise}
        yield Check(what, "right", 1.0, 0.0, source, at, "min")


def _draw(rows: list[Row]) -> Any:
    first = rows[0]
    same = ("automaton", "mean", "noise", "seed")
    mine = [row for row in rows if all(row[name] == first[name] for name in same)]
    lines = [
        {"step": row["place"], "y": row[name], "line": title, "panel": f"word {row['word'] + 1}"}
        for row in mine
        if row["word"] < 3
        for name, title in (("overlap", "state that is read out"), ("second", "second-best state"))
    ]
    frame = plot.Frame(
        f"A memory runs the automaton {first['automaton']!r}",
        "symbols so far",
        "overlap of the network with the two best states",
        limits=(-0.3, 1.05),
    )
    return plot.lines(lines, "step", "y", frame, by="line", panel="panel")


@recipe(
    "cdam.automata",
    "Finite automata as memories",
    "burns2024",
    "the automaton of a family; the other automata are this library's",
    quick=[
        *grid(automaton="family", **BASE),
        *grid(automaton=SMALL, **BASE | {"words": 4, "length": 6}),
    ],
    paper=[
        *grid(automaton="family", **BASE, seed=SEEDS),
        *grid(automaton="family", **BASE | {"mean": 0.001}, seed=SEEDS),
        *grid(automaton=SMALL, **BASE, seed=SEEDS),
        *grid(automaton="random", **FAST | {"noise": (0.0, 0.5)}, seed=(0, 1)),
    ],
    checks=_checks(),
    draw=_draw,
)
def automata(
    automaton: Annotated[str, "family, parity, modulo, contains, random or regex"],
    pattern: Annotated[str, "the regular expression of regex"],
    neurons: Annotated[int, "number of neurons"],
    share: Annotated[float, "share of the neurons that stands for the state"],
    beta: Beta,
    rate: Rate,
    steps: Annotated[int, "steps for each symbol"],
    mean: Annotated[float, "how often the mean pattern is subtracted"],
    noise: Annotated[float, "width of the uniform noise on the first state"],
    words: Annotated[int, "number of random words; the family has three words of its own"],
    length: Annotated[int, "symbols of a random word"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Compile finite automata into a memory, and compare its states with those of the table.

    States, and pairs of a state and a symbol, are patterns; transitions are links. The family is
    the published example, with its three words; parity, a counter modulo 3 and "contains ab" are
    run on random words; the random table has 1,000 states and 5 symbols, so 6,000 patterns of
    1,000 neurons. Every state of every run is right, also with noise on the first state, and for
    the printed equation, which subtracts the mean 1 / n times. The figure shows how far the state
    that is read out is ahead of the second-best.

    ``kanerva run cdam.automata --set automaton=regex --set pattern="(ab|ba)*"`` compiles an
    expression of your own; its states are in ``table.csv`` and in the figure.
    """
    from kanerva.lab.papers.burns2024 import _automata

    checks.choice("automaton", automaton, NAMES)
    checks.integer("words", words, 1)
    checks.integer("length", length, 1)
    checks.number("noise", noise, 0.0)
    memory = {"neurons": neurons, "share": share, "beta": beta, "rate": rate, "steps": steps}
    memory["mean"] = mean
    size = (words, length)
    for word, course in enumerate(_automata.courses(automaton, pattern, size, seed, noise, memory)):
        states, expected = course.run.states, course.expected
        best = course.run.overlaps.max(-1).values
        for place, state in enumerate(states):
            overlap = float(best[place])
            yield {
                "word": word,
                "place": place,
                "state": f"state {state}",
                "right": int(state == expected[place]),
                "overlap": overlap,
                "second": overlap - float(course.run.margins[place]),
            }
