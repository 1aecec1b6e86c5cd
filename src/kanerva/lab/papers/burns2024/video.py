"""Burns 2024: sequences of frames on a directed cycle, with anti-Hebbian auto-association."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import Seed
from kanerva.lab.papers.burns2024._words import Auto, Beta, Hetero, Rate, pair
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["video"]

STEPS, EVERY = 200, 10
ONE_CODE, THREE_SEEDS = "computed independently", "computed independently, three seeds"
RAW: Cell = {"data": "gif", "form": "raw", "beta": 0.6, "rate": 0.2, "mean": 1.0}
CLIP: Cell = {"data": "gif", "form": "centred", "beta": 100.0, "rate": 0.2, "mean": 1.0}
SMOOTH: Cell = {"data": "smooth", "form": "raw", "beta": 0.6, "rate": 0.2, "mean": 1.0}
RANDOM: Cell = {"data": "random", "form": "raw", "beta": 0.6, "rate": 0.2, "mean": 1.0}
SLOW: Cell = RANDOM | {"beta": 1.0, "rate": 0.1}
# Steps forward of 200, by auto; hetero is 1 - auto.
CLIPPED = {0.5: 1, 0.0: 54, -1.0: 143, -2.0: 198, -3.0: 200}
COLDER = {0.5: 0, 0.0: 16, -1.0: 91, -2.0: 146, -3.0: 191}
SMOOTHED = {0.0: 42, -2.0: 131, -3.0: 168}
SLOWED = {0.5: 6, 0.0: 74, -1.0: 191, -2.0: 196, -3.0: 197}
# Beside the clip without the mean term.
KEPT = {0.5: 1, 0.0: 59, -1.0: 143, -2.0: 199, -3.0: 200}
DATA = {"gif": "clip", "smooth": "smooth", "random": "random"}


def _pairs(base: Cell, *autos: float, **more: Any) -> list[Cell]:
    """Return a cell for each strength of auto-association, with hetero 1 - auto."""
    return [
        cell | {"auto": auto, "hetero": 1 - auto} for auto in autos for cell in grid(**base, **more)
    ]


def _forward(
    name: str, base: Cell, auto: float, steps: float, tolerance: float, source: str
) -> Check:
    at = base | {"auto": auto, "hetero": 1 - auto, "step": STEPS, "reverse": "forward"}
    return Check(f"{name}, a = {auto:g}: steps forward", "forward", steps, tolerance, source, at)


def _checks() -> Iterator[Check]:
    for auto in (0.0, -1.0, -2.0, -3.0):
        yield _forward("clip as it is, at most 6", RAW, auto, 3, 3, ONE_CODE)
    for auto, steps in CLIPPED.items():
        yield _forward("clip, centred, beta 100", CLIP, auto, steps, 2, ONE_CODE)
    for auto, steps in KEPT.items():
        name = "clip, centred, beta 100, mean kept"
        yield _forward(name, CLIP | {"mean": 0.0}, auto, steps, 2, ONE_CODE)
    for auto, steps in COLDER.items():
        yield _forward("clip, centred, beta 20", CLIP | {"beta": 20.0}, auto, steps, 2, ONE_CODE)
    at = CLIP | {"auto": -2.0, "hetero": 3.0, "step": STEPS, "reverse": "backward"}
    what = "clip, centred, reversed links, a = -2: steps along the links"
    yield Check(what, "forward", 198, 2, "the same frames in the other order", at)
    for auto, steps in SMOOTHED.items():
        yield _forward("smooth noise", SMOOTH, auto, steps, 6, THREE_SEEDS)
    at = SMOOTH | {"auto": -1.0, "hetero": 3.0, "step": STEPS}
    yield Check("smooth noise, (-1, 3): steps forward", "forward", 66, 6, THREE_SEEDS, at)
    for more, less in ((-1.0, 0.0), (-2.0, -1.0), (-3.0, -2.0)):
        what = f"smooth noise: more steps forward for a = {more:g} than for {less:g}, 1 to 99"
        at, under = (SMOOTH | {"auto": a, "hetero": 1 - a, "step": STEPS} for a in (more, less))
        yield Check(what, "forward", 50, 49, THREE_SEEDS, at, less=under)
    yield _forward("random patterns, beta 0.6, 195 of 200 at least", RANDOM, -2.0, 200, 5, ONE_CODE)
    at = RANDOM | {"auto": -2.0, "hetero": 3.0, "step": STEPS}
    what = "random patterns, beta 0.6, a = -2: steps elsewhere"
    yield Check(what, "other", 0, 0, THREE_SEEDS, at, "max")
    for auto, steps in SLOWED.items():
        yield _forward("random patterns, beta 1", SLOW, auto, steps, 8, THREE_SEEDS)
    source = f"{THREE_SEEDS}; of eight draws six pass about 100 and two about 178"
    yield _forward("random patterns, beta 1", SLOW, -0.5, 105, 55, source)


def _name(row: Row) -> str:
    """Return the name of a line: the frames and how they are read."""
    form = ", centred" if row["form"] == "centred" else ""
    return f"{DATA[row['data']]}{form}, beta {row['beta']:g}"


def _draw(rows: list[Row]) -> Any:
    forward = [row for row in rows if row["reverse"] == "forward"] or rows
    whole = [row for row in forward if abs(row["auto"] + row["hetero"] - 1) < 1e-9] or forward
    whole = [row for row in whole if row["mean"] == 1] or whole
    last = [
        row | {"line": _name(row), "share": row["forward"] / row["step"]}
        for row in whole
        if row["step"] == row["steps"]
    ]
    frame = plot.Frame(
        "With a negative a, recall goes from frame to frame",
        "a, strength of auto-association; that of the links is 1 - a",
        "share of the steps that go to the next frame",
        limits=(-0.04, 1.04),
    )
    figures = {"forward": plot.lines(last, "auto", "share", frame, by="line")}
    figures["forward"].axes[0].set_xticks(sorted({row["auto"] for row in last}))
    first = {key: whole[0][key] for key in CLIP}
    wanted = CLIP if any(_is(row, CLIP) for row in whole) else first
    path = [row | {"line": pair(row["auto"], row["hetero"])} for row in whole if _is(row, wanted)]
    frame = plot.Frame(
        f"Frames passed: {_name(path[0])}",
        "steps",
        "steps to the next frame so far",
        diagonal=True,
    )
    figures["path"] = plot.lines(path, "step", "forward", frame, by="line")
    return figures


def _is(row: Row, cell: Cell) -> bool:
    return all(row[key] == value for key, value in cell.items())


AUTOS = (0.5, 0.0, -1.0, -2.0, -3.0)
# The pairs of the published video.
PAIRS = ((-1.0, 3.0), (-1.5, 3.0), (-2.0, 3.0), (-2.0, 3.5))


@recipe(
    "cdam.video",
    "Frames of a clip, recalled one after the other",
    "burns2024",
    "the figures of recalled video; the clips here are others",
    quick=[
        *_pairs(RAW, *AUTOS[1:]),
        *_pairs(CLIP, *AUTOS),
        *_pairs(CLIP, -2.0, reverse="backward"),
        *_pairs(SMOOTH, *AUTOS[1:]),
        *_pairs(RANDOM, 0.0, -1.0, -2.0),
    ],
    paper=[
        *_pairs(RAW, *AUTOS),
        *_pairs(CLIP, *AUTOS),
        *_pairs(CLIP | {"beta": 20.0}, *AUTOS),
        *_pairs(CLIP | {"mean": 0.0}, *AUTOS),
        *_pairs(CLIP, *AUTOS, reverse="backward"),
        *_pairs(SMOOTH, *AUTOS, seed=range(3)),
        *(
            cell | {"auto": auto, "hetero": hetero}
            for auto, hetero in PAIRS
            for cell in grid(**SMOOTH, seed=range(3))
        ),
        *_pairs(RANDOM, *AUTOS, seed=range(3)),
        *_pairs(SLOW, *AUTOS, -0.5, seed=range(3)),
    ],
    checks=_checks(),
    draw=_draw,
)
def video(
    data: Annotated[
        str, "gif: 24 frames of a clip; smooth: 49 frames of 2,000 values; random: 30 of 1,000"
    ],
    form: Annotated[str, "raw, or centred: the mean frame is removed, and each has length one"],
    beta: Beta,
    rate: Rate,
    auto: Auto,
    hetero: Hetero,
    mean: Annotated[float, "how often the mean pattern is subtracted from a read"] = 1.0,
    reverse: Annotated[str, "forward, or backward: links lead to the frame before"] = "forward",
    steps: Annotated[int, "number of steps"] = STEPS,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Link every frame to the next in a closed cycle, and recall from the first frame.

    At each step the frame is noted with which the state has the largest Pearson correlation. A step
    goes forward where that frame is the next along the links. With a > 0 the state remains near its
    frame. The more negative a is, the faster and the more regularly the state moves, until it
    passes one frame a step. Smooth noise, whose neighbouring frames are alike, and random patterns
    agree in this. At beta 1, rate 0.1 and a = -0.5 the speed depends on the patterns: of eight
    draws six pass half a pattern a step, and two nearly one.

    The frames of the packaged clip correlate at 0.99, and as they are the state comes to rest after
    a few steps for every a, near a mixture of all. Without the mean frame, and scaled to length
    one, the same clip is recalled in order. The scaled frames have a small mean again: whether the
    memory subtracts it (mean 1) or not (mean 0) changes the numbers of steps at the lower beta.

    The figure shows the share of the steps that go forward against a, with a line for each kind of
    frames, and the second figure how many frames were passed after how many steps; the dotted line
    is one frame a step. The published code multiplies by the graph the other way round, so its
    clips are recalled backwards; ``reverse=backward`` does the same.
    """
    checks.choice("data", data, tuple(DATA))
    checks.choice("form", form, ("raw", "centred"))
    checks.choice("reverse", reverse, ("forward", "backward"))
    checks.integer("steps", steps, 1, 10**5)
    from kanerva.lab.papers.burns2024 import _video

    patterns = _video.frames(data, form, seed)
    memory = _video.model(patterns.shape[1], beta, rate, auto, hetero, mean)
    way = -1 if reverse == "backward" else 1
    for moment in _video.follow(patterns, memory, way, steps, EVERY):
        yield moment._asdict()
