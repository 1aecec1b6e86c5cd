"""How large each operation is asked for: tiny to see that everything works, quick in minutes, full as the page shows it."""

from dataclasses import dataclass

__all__ = ["SIZES", "Sizes"]


@dataclass(frozen=True)
class Sizes:
    """What an operation is run at.

    * ``bits``, ``locations``, ``batches``: n, M and B of sparse distributed memory, every combination.
    * ``dims``, ``patterns``, ``queries``: d, N and B of reads among patterns, every combination.
    * ``one``: d, N and B of what is read at one size: five steps, the nearest, a density.
    * ``pruned``: d, N and B of the pruned read.
    * ``million``: patterns and cues of the large recall.
    * ``growth``: how many locations or patterns, over decades.
    * ``starts``: how often a process is started.
    * ``seconds``: about so long is spent on each case.
    """

    bits: tuple[int, ...]
    locations: tuple[int, ...]
    batches: tuple[int, ...]
    dims: tuple[int, ...]
    patterns: tuple[int, ...]
    queries: tuple[int, ...]
    one: tuple[int, int, int]
    pruned: tuple[int, int, int]
    million: tuple[int, int]
    growth: tuple[int, ...]
    starts: int
    seconds: float


SIZES = {
    "tiny": Sizes(
        (128,),
        (3000,),
        (1, 4),
        (16,),
        (400,),
        (1, 5),
        (16, 400, 5),
        (16, 400, 5),
        (600, 20),
        (100, 1000),
        1,
        0.02,
    ),
    "quick": Sizes(
        (256, 1000),
        (100_000,),
        (1, 16),
        (64, 512),
        (10_000, 100_000),
        (1, 64),
        (64, 100_000, 64),
        (512, 100_000, 64),
        (1_000_000, 1000),
        (1000, 10_000, 100_000),
        1,
        0.6,
    ),
    "full": Sizes(
        (256, 1000),
        (100_000, 1_000_000),
        (1, 16, 256),
        (64, 512),
        (10_000, 100_000, 1_000_000),
        (1, 64, 1024),
        (64, 100_000, 64),
        (512, 100_000, 64),
        (1_000_000, 1000),
        (1000, 3162, 10_000, 31_623, 100_000, 316_228, 1_000_000),
        3,
        2.0,
    ),
}
