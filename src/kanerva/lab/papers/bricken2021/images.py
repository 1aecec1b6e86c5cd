"""Bricken and Pehlevan 2021: pictures as they are, which are alike, as stored patterns (E8)."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva import theory
from kanerva.lab import plot
from kanerva.lab.papers._common import COMPUTED, Seed
from kanerva.lab.papers.bricken2021._words import (
    CONTINUOUS,
    DAMAGE,
    LABELS,
    Data,
    Method,
    Queries,
    Rest,
    Steps,
    Stored,
)
from kanerva.lab.recipe import Check, Row, grid, recipe

__all__ = ["images"]

# Shares of the space in one circle: of radius 5, 9, 11, 15, 19 and 27 among 64 bits, and of radius
# 290, 308, 314, 331, 345 and 374 among 784.
SHARES = (1e-13, 1e-9, 1e-8, 7e-6, 3.68e-4, 0.1)
# Cosines of undamaged digits after one read and after recall, a pair for each of CONTINUOUS: of 300
# or 1024 digits, chosen with seed 0, by radius.
WHOLE = {
    300: """
        5   .99942 .99942  .98874 .97456  .99964 .99964  .99460 .98985
        9   .98926 .96546  .96593 .90377  .99051 .97703  .97253 .92073
        11  .97431 .91190  .94973 .88236  .97680 .93460  .95605 .89483
        15  .93050 .86297  .91494 .85490  .93532 .87207  .92039 .86059
        19  .89213 .84797  .88528 .84503  .89667 .85036  .88944 .84765
        27  .84990 .83388  .84849 .83377  .85123 .83410  .84944 .83380
    """,
    1024: """
        5   .99766 .99638  .97913 .95360  .99857 .99832  .98738 .96847
        9   .97847 .94170  .95525 .90068  .98124 .95386  .96162 .91542
        11  .96152 .90732  .94030 .88069  .96578 .92422  .94650 .89208
        15  .92164 .86171  .90864 .85409  .92799 .87127  .91444 .85941
        19  .88690 .84471  .88088 .84194  .89231 .84772  .88543 .84456
        27  .84666 .83103  .84534 .83094  .84825 .83126  .84648 .83097
    """,
}


def _checks() -> Iterator[Check]:
    columns = [(algorithm, column) for algorithm in CONTINUOUS for column in ("once", "cosine")]
    for patterns, lines in WHOLE.items():
        memory = {"data": "digits", "patterns": patterns, "seed": 0, "distance": 0}
        for line in lines.strip().splitlines():
            radius, *numbers = line.split()
            for (algorithm, column), number in zip(columns, map(float, numbers), strict=True):
                at = {**memory, "radius": int(radius), "algorithm": algorithm}
                digits = f"{patterns} whole digits"
                what = f"{column}, {digits}, radius {radius}, {LABELS[algorithm]}"
                yield Check(what, column, number, 5e-5, COMPUTED, at)


def _draw(rows: list[Row]) -> Any:
    long, cues = [], {}
    for row in rows:
        panel = LABELS[row["algorithm"]]
        long.append(row | {"panel": panel, "line": f"radius {row['radius']}"})
        cues[panel, row["distance"]] = row | {"panel": panel, "line": "cue", "cosine": row["cue"]}
    frame = plot.Frame(
        "Recall of raw pictures ends at their mean",
        DAMAGE,
        "cosine of what is recalled with the picture",
        across=2,
        dots=("cue",),
        limits=(0, 1.05),
    )
    long += cues.values()
    return plot.lines(long, "distance", "cosine", frame, by="line", panel="panel")


@recipe(
    "sdm.images",
    "Raw pictures as memories",
    "bricken2021",
    "figures of MNIST without a projection",
    quick=grid(data="digits", activation=SHARES, patterns=300),
    paper=grid(data="digits", activation=SHARES, patterns=1024),
    checks=_checks(),
    draw=_draw,
)
def images(
    data: Data,
    activation: Annotated[
        float, "share of the space in one circle; the radius is the least that holds it"
    ],
    patterns: Stored = 1024,
    queries: Queries = 1024,
    method: Method = "published",
    steps: Steps = 100,
    rest: Rest = 0.05,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Store pictures as they are, and recall them from damaged ones by continuous memories.

    Pictures are scaled to length one. A damaged picture is turned by the angle that corresponds to
    a number of flipped bits, to a random side. Four memories recall them: the continuous memory;
    weights of circles at the distance that corresponds to a cosine; and attention with beta fitted
    to circles or to caps. The theory of all four takes patterns to be orthogonal, but the mean
    cosine of two digits is 0.69 (``alike``).

    Only the smallest circles distinguish pictures, and these correct the least damage. At every
    other radius recall ends near the mean of the pictures that resemble the cue, whatever the cue
    is. Each further read moves nearer to that mean, so one read (``once``) is often better than
    many. A cosine of 0.83 is therefore no success: it is that of the mean. The share of recalls
    whose own picture is the nearest (``recalled``) shows this more clearly.

    The digits of scikit-learn replace MNIST, which must be downloaded: ``--set data=mnist``. The
    paper has plots of MNIST and no numbers, so nothing is checked there. In a trial with 1024
    pictures this library agreed with the plots at the smallest radius, and gave smaller cosines at
    most others: 0.82 against about 0.99 at radius 308 and damage 200. The reason is not known.
    """
    from torch.nn.functional import normalize

    from kanerva.lab.papers.bricken2021 import _memories, _pictures
    from kanerva.nn import projection

    pictures = normalize(_pictures.load(data, patterns, seed), dim=-1)
    chosen, pixels = _pictures.choose(pictures, queries, seed), pictures.shape[-1]
    radius = theory.radius.quantile(pixels, activation)
    alike = projection.cosines(pictures).mean
    for algorithm in CONTINUOUS:
        memory = _memories.memory(algorithm, pixels, radius, method=method, empty="keep")
        memory.write(pictures)
        for distance in _pictures.damages(pixels):
            cues = projection.tilt(pictures[chosen], distance, seed=seed)
            start: Row = {"radius": radius, "algorithm": algorithm, "distance": distance}
            found = _pictures.outcome(memory.read, pictures, chosen, cues, steps, rest)
            yield start | {"alike": alike} | found
