"""Kanerva 1988, Sparse Distributed Memory: what a memory recalls, and how much it holds."""

import copy
import math
from collections.abc import Iterator
from typing import Annotated, Any

import torch

import kanerva
from kanerva import bits as bits_
from kanerva import dynamics, theory
from kanerva.lab import plot
from kanerva.lab.recipe import Check, Row, grid, recipe

__all__ = ["alphabet", "capacity", "fault_tolerance", "most_patterns"]

Bits = Annotated[int, "dimension n of the space"]
Locations = Annotated[int, "how many random locations there are"]
Radius = Annotated[int, "of reads and writes, in bits"]
Seed = Annotated[int, "of all that is drawn at random"]

# Memories in the quick size; a mean over so many is compared with one memory of others, so spreads add.
MEMORIES = 6
APART = 3 * math.sqrt(1 + 1 / MEMORIES)
SMALL = {"bits": 256, "locations": 10_000}
# By share of locations lost: bit errors of one read of clean patterns and of six reads from 26 wrong bits, and for each the
# standard deviation between memories.
LOST = {0.0: (0, 0, 0, 8e-6), 0.25: (0, 0, 0, 1.2e-3), 0.5: (0, 0, 0.0016, 4.2e-3), 0.75: (0, 3e-5, 0.070, 0.0145),
        0.9: (0.0037, 1.7e-3, 0.288, 0.0201), 0.95: (0.028, 7.9e-3, 0.396, 0.0247)}  # fmt: skip
# By wrong bits of the first letter: letters recalled out of 25, and the standard deviation between memories.
LETTERS = {
    0: (25, 0),
    20: (25, 0),
    40: (24.7, 0.17),
    50: (24.25, 0.19),
    60: (23.9, 0.09),
    70: (23.6, 0.86),
    80: (20.1, 1.73),
}
ONE_MEMORY = "one memory computed apart, three standard deviations between memories"


def _draw_fault(rows: list[Row]) -> Any:
    labels = {
        "clean": "clean query, one read",
        "noisy": "damaged query, several reads",
        "expected": "clean query, predicted",
    }
    long = [
        row | {"y": row[column], "line": label} for row in rows for column, label in labels.items()
    ]
    dots = ("reference, clean", "reference, damaged")
    if all(rows[0][key] == value for key, value in SMALL.items()):
        long += [
            {"lost": lost, "y": table[2 * place], "line": dots[place]}
            for lost, table in LOST.items()
            for place in (0, 1)
        ]
    frame = plot.Frame("A memory survives the loss of most locations", "share of the locations that died", "share of the bits read wrong",
                       dots=dots)  # fmt: skip
    return plot.lines(long, "lost", "y", frame, by="line")


@recipe(
    "kanerva.fault_tolerance",
    "Reading after locations died",
    "kanerva1988",
    "on the loss of neurons",
    quick=grid(**SMALL, radius=109, patterns=100, wrong=26, steps=6, seed=tuple(range(MEMORIES))),
    paper=grid(**SMALL, radius=109, patterns=100, wrong=26, steps=6, seed=tuple(range(24))),
    checks=[
        Check(
            f"{name}, {lost:.0%} dead",
            column,
            error,
            APART * spread + 5e-4,
            ONE_MEMORY,
            {"lost": lost},
        )
        for lost, (clean, near, noisy, far) in LOST.items()
        for name, column, error, spread in (
            ("clean query", "clean", clean, near),
            ("damaged query", "noisy", noisy, far),
        )
    ],
    draw=_draw_fault,
)
def fault_tolerance(
    bits: Bits,
    locations: Locations,
    radius: Radius,
    patterns: Annotated[int, "how many patterns are stored"],
    wrong: Annotated[int, "wrong bits of a damaged query"],
    steps: Annotated[int, "reads made from a damaged query, one after the other"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Store patterns, let a share of the locations die, and read.

    What is stored is spread over many locations, about a hundred here for each pattern, so none of them matters much.
    From clean queries the memory reads without an error until three quarters of its locations are gone, and with hardly
    any when nine in ten are. From damaged queries, which share fewer locations with the pattern, half may go. No
    pattern is lost before the others: all of them fade together.

    The reference numbers come from one memory, and agree with ours within what memories differ by. The prediction, that
    of a memory that never had more locations, is too high where few are left: it takes a handful of votes for a normal
    curve.
    """
    source = torch.Generator().manual_seed(seed)
    memory = kanerva.sdm(bits, locations, radius, seed=seed)
    stored = bits_.random(patterns, bits, seed=source)
    memory.write(stored)
    cues = bits_.flip(stored, wrong, seed=source)
    for lost in LOST:
        left = copy.deepcopy(memory)
        died = left.kill(lost, seed=source)
        yield {
            "lost": lost,
            "clean": (left.read(stored) != stored).double().mean(),
            "noisy": (left.recall(cues, steps=steps) != stored).double().mean(),
            "expected": theory.critical.curve(bits, radius, patterns, locations - died)[0] / bits,
        }


def _draw_alphabet(rows: list[Row]) -> Any:
    dots = [
        {"wrong": wrong, "recalled": letters, "line": "reference"}
        for wrong, (letters, _) in LETTERS.items()
    ]
    known = all(rows[0][key] == value for key, value in SMALL.items())
    frame = plot.Frame("From one damaged letter to the whole alphabet", "wrong bits in the first letter", "letters recalled exactly, of 25",
                       dots=("reference",))  # fmt: skip
    return plot.lines(
        [row | {"line": "measured"} for row in rows] + dots * known,
        "wrong",
        "recalled",
        frame,
        by="line",
    )


@recipe(
    "kanerva.alphabet",
    "A chain of letters recalled from the first",
    "kanerva1988",
    "chapter on the storage of sequences",
    quick=grid(**SMALL, radius=110, cues=20, seed=tuple(range(MEMORIES))),
    paper=grid(**SMALL, radius=110, cues=20, seed=tuple(range(24))),
    checks=[
        Check(
            f"letters recalled, {wrong} wrong bits",
            "recalled",
            letters,
            APART * spread + 0.05,
            ONE_MEMORY,
            {"wrong": wrong},
        )
        for wrong, (letters, spread) in LETTERS.items()
    ],
    draw=_draw_alphabet,
)
def alphabet(
    bits: Bits,
    locations: Locations,
    radius: Radius,
    cues: Annotated[int, "damaged first letters that are tried"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Store each letter under the one before, then call the chain up from a damaged A.

    Every read gives the next letter, and is the query for the one after. A letter that comes out with wrong bits is
    still a query near enough for the next, so the chain heals as it goes: from an A with 60 of 256 bits wrong all but
    the first letter or two come out without an error. Only where the first read leads too far away is the whole chain lost.

    The reference is one memory with 20 cues; ours is the mean over several memories, with a bar of one standard deviation
    between them.
    """
    source = torch.Generator().manual_seed(seed)
    memory = kanerva.sdm(bits, locations, radius, seed=seed)
    letters = bits_.random(26, bits, seed=source)
    memory.write(letters[:-1], letters[1:])
    for wrong in LETTERS:
        path = dynamics.chain(
            memory.read, bits_.flip(letters[0].expand(cues, -1), wrong, seed=source), 25
        )
        after = bits_.hamming(path[1:], letters[1:, None]).double()
        yield {
            "wrong": wrong,
            "recalled": (after == 0).double().sum(0).mean(),
            "after_one": after[0].mean(),
            "after_all": after[-1].mean(),
        }


def _draw_capacity(rows: list[Row]) -> Any:
    labels = {"random": "random values", "own": "each pattern its own value", "expected": "formula"}
    long = [
        row | {"y": row[column], "line": label} for row in rows for column, label in labels.items()
    ]
    frame = plot.Frame("Past its capacity a memory fails soon", "patterns stored", "share of patterns read without an error",
                       verticals={"capacity by the formula": float(rows[0]["most"] or 0)})  # fmt: skip
    return plot.lines(long, "patterns", "y", frame, by="line")


@recipe(
    "kanerva.capacity",
    "Patterns read without an error, by how many are stored",
    "kanerva1993",
    "the capacity by signal and noise",
    quick=grid(bits=256, locations=10_000, radius=107, targets=500),
    paper=grid(bits=1000, locations=100_000, radius=450, targets=500),
    checks=[
        Check("random values: right bits measured less the formula's, at most", "miss", 0.0, 0.002, "Kanerva 1993, signal and noise",
              aggregate="max"),
    ],
    draw=_draw_capacity,
)  # fmt: skip
def capacity(
    bits: Bits,
    locations: Locations,
    radius: Radius,
    targets: Annotated[int, "stored patterns that are looked for, at most"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Write more and more patterns into two memories, and read the first of them from queries without errors.

    The vertical line is the number at which, by the formula of signal and noise, half of the patterns are read right.
    What is to be seen: up to half of that nearly all are, and at twice that nearly none. The formula is meant for random
    values and right about single bits to within two in a thousand. It is a little too low for whole patterns, because it
    takes their bits to fail independently, while some queries simply activate fewer locations than others.
    Patterns that are their own values fare better still: a read is pulled towards the query, which here is right.
    """
    most = theory.capacity.patterns(bits, radius, locations)
    source = torch.Generator().manual_seed(seed)
    keys, values = (bits_.random(int(2.5 * most), bits, seed=source) for _ in range(2))
    memories = {name: (kanerva.sdm(bits, locations, radius, seed=seed, counters=torch.int16), what)
                for name, what in (("random", values), ("own", keys))}  # fmt: skip
    done = 0
    for tenths in range(1, 26):
        count = int(tenths * most / 10)
        right = {}
        for name, (memory, written) in memories.items():
            memory.write(keys[done:count], written[done:count])
            asked = slice(min(targets, count))
            right[name] = memory.read(keys[asked]) == written[asked]
        done = count
        yield {
            "patterns": count,
            "most": most,
            "random": right["random"].all(-1).double().mean(),
            "own": right["own"].all(-1).double().mean(),
            "expected": theory.capacity.word(bits, radius, count, locations),
            "miss": abs(
                right["random"].double().mean()
                - theory.capacity.bit(bits, radius, count, locations)
            ),
        }


# The chance that a whole pattern is right: half, nearly sure, and a ratio of signal to noise of 2.33 for each of 1000 bits.
CHANCES = {
    0.5: (3.197589, 1.77535e-4, 89_355),
    0.99: (4.263771, 2.18196e-4, 48_133),
    4.761145520358668e-05: (2.33, 1.42264e-4, 173_657),
}


def _draw_most(rows: list[Row]) -> Any:
    long = [row | {"y": row["share"], "line": f"chance {row['fidelity']:.2g}"} for row in rows]
    frame = plot.Frame(
        "Patterns grow in proportion to locations",
        "locations",
        "patterns stored, as a share of the locations",
        log="x",
    )
    return plot.lines(long, "locations", "y", frame, by="line")


@recipe(
    "kanerva.most_patterns",
    "The most patterns, by locations",
    "kanerva1993",
    "the capacity by signal and noise",
    quick=grid(bits=1000, fidelity=tuple(CHANCES), locations=tuple(10**power for power in range(3, 13))),
    paper=grid(bits=1000, fidelity=tuple(CHANCES), locations=tuple(10**power for power in range(3, 19))),
    checks=[
        Check(f"{what}, chance {chance:.2g}", column, expected, tolerance, "computed apart; authors' code for 2.33", at)
        for chance, (ratio, share, most) in CHANCES.items()
        for at in [{"fidelity": chance, "locations": 10**6}]
        for what, column, expected, tolerance in (
            ("signal to noise", "ratio", ratio, 6e-7), ("active share", "activation", share, 6e-10), ("patterns", "most", most, 0.6))
    ] + [Check("active share, a billion locations", "activation", 1.3976760802e-6, 1e-15, "authors' code",
               {"fidelity": 4.761145520358668e-05, "locations": 10**9})],
    draw=_draw_most,
)  # fmt: skip
def most_patterns(
    bits: Bits,
    fidelity: Annotated[float, "chance that all bits of a pattern are read right"],
    locations: Locations,
) -> Iterator[Row]:
    """Find the share of active locations that lets a memory hold the most patterns, and how many these are.

    Few active locations leave too few votes for a bit, many let the patterns drown one another; the best share lies in
    between, and falls as locations are added. What is to be seen: the patterns a memory holds grow in proportion to its
    locations, about one for every eleven where half of the patterns are to be read right, and fewer for a higher chance.
    They come near to the locations over the square of the ratio of signal to noise, and stay below.

    This is a formula, for queries without errors and random values; ``kanerva.capacity`` sets it beside a simulation.
    No radius gives the best share exactly, so the table tells the nearest radius too.
    """
    best = theory.radius.optimal(bits, 1, locations, "capacity", fidelity=fidelity)
    ratio = math.sqrt(theory.capacity.squared_quantile(bits, fidelity))
    yield {
        "ratio": ratio,
        "activation": best.activation,
        "radius": best.radius,
        "most": best.best,
        "share": best.best / locations,
        "limit": locations / ratio**2,
    }
