"""Burns 2024: a sequence that is disturbed by other patterns of its own."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import Patterns, Seed
from kanerva.lab.papers.burns2024._words import Auto, Beta, Hetero, Neurons, Rate, pair
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["distractors"]

PAIRS = ((1.0, 0.0), (0.5, 0.5), (0.0, 1.0), (-0.5, 1.5), (-1.0, 2.0), (-2.0, 3.0), (-3.0, 4.0))
SIZE: Cell = {"patterns": 30, "neurons": 1000, "beta": 1.0, "rate": 0.1}
SOURCE = "computed independently, as a statement"


def _pair(auto: float) -> Cell:
    return {"auto": auto, "hetero": 1 - auto}


def _checks() -> Iterator[Check]:
    for auto, _ in PAIRS[1:]:
        at = SIZE | _pair(auto) | {"amplitude": 1.0, "every": 5, "since": 0}
        what = f"every 5 steps, a = {auto:g}: share of the stimuli that capture the state"
        yield Check(what, "captured", 1, 0.02, SOURCE, at)
    end = SIZE | {"amplitude": 1.0, "every": 20, "since": 20}
    for auto, _ in PAIRS[2:]:
        what = f"every 20 steps, a = {auto:g}: steps forward between two stimuli, 1 at least"
        yield Check(what, "walked", 10.5, 9.5, SOURCE, end | _pair(auto))
    at = end | _pair(0.5)
    what = "every 20 steps, a = 0.5: steps forward between two stimuli"
    yield Check(what, "walked", 0, 0.2, SOURCE, at)
    what = "every 20 steps, a = 0.5: share of the stimuli that are still the best match"
    yield Check(what, "captured", 1, 0.02, SOURCE, at)
    what = "every 5 steps, a = 1, amplitude 2: share of the stimuli that capture the state"
    at = SIZE | _pair(1.0) | {"amplitude": 2.0, "every": 5, "since": 0}
    yield Check(what, "captured", 1, 0.02, "twice the length of the state", at)


def _draw(rows: list[Row]) -> Any:
    amplitude = rows[0]["amplitude"]
    long = [
        row
        | {
            "line": pair(row["auto"], row["hetero"]),
            "panel": f"a stimulus every {row['every']} steps",
        }
        for row in rows
        if row["amplitude"] == amplitude
    ]
    walked = plot.Frame(
        "Between stimuli recall follows the sequence",
        "steps since the last stimulus",
        "places forward along the links",
    )
    captured = plot.Frame(
        "A stimulus captures the state, unless a is 1",
        "steps since the last stimulus",
        "share of the stimuli that are the best match",
        limits=(-0.04, 1.04),
    )
    return {
        "walked": plot.lines(long, "since", "walked", walked, by="line", panel="panel"),
        "captured": plot.lines(long, "since", "captured", captured, by="line", panel="panel"),
    }


def _cells(**more: Any) -> list[Cell]:
    base = SIZE | {"amplitude": 1.0}
    cells = [
        cell | _pair(auto) for cell in grid(**base, every=(5, 20), **more) for auto, _ in PAIRS
    ]
    return [*cells, *(cell | _pair(1.0) for cell in grid(**base | {"amplitude": 2.0}, every=5))]


@recipe(
    "cdam.distractors",
    "A sequence with distractors",
    "burns2024",
    "published code, the function for periodic stimulation",
    quick=_cells(),
    paper=_cells(seed=range(10)),
    checks=_checks(),
    draw=_draw,
)
def distractors(
    patterns: Patterns,
    neurons: Neurons,
    beta: Beta,
    rate: Rate,
    amplitude: Annotated[float, "factor of the pattern that is added to the state"],
    every: Annotated[int, "steps between two stimuli"],
    auto: Auto,
    hetero: Hetero,
    steps: Annotated[int, "number of steps in all"] = 200,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Recall a cycle of random patterns, and add another pattern to the state now and then.

    The patterns are linked in a directed cycle, and recall starts at the first. After so many steps
    a stimulus is added: the pattern that lies as many places behind the first, then the one as many
    places further back, and so on. Each row is a mean over the stimuli, so many steps after them:
    column ``captured`` is the share for which the stimulus is the pattern that correlates best with
    the state, and ``walked`` counts the places that the best match moved along the links since.

    A stimulus of amplitude 1 captures the state at once for every a up to 0.5. What follows depends
    on a: with (0.5, 0.5) the state remains at the stimulus, and with a of 0 or less it goes on
    along the sequence from there, the faster the more negative a is. With a stimulus every 5 steps
    little of the sequence is seen between them for a = 0, and a few steps for a = -2. With (1, 0)
    the state is as long as the stimulus and is not captured reliably; a stimulus of twice the
    amplitude captures it.
    """
    checks.integer("patterns", patterns, 2, 10**5)
    checks.integer("neurons", neurons, 1, 10**7)
    checks.integer("every", every, 1, 10**5)
    checks.integer("steps", steps, 2 * every, 10**6)
    from kanerva.lab.papers.burns2024 import _video

    memory = _video.model(neurons, beta, rate, auto, hetero, 1.0)
    for after in _video.disturbed(memory, (patterns, neurons, seed), amplitude, (every, steps)):
        yield after._asdict()
