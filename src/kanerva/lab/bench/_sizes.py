"""The sizes of the operations: tiny to try a run, quick for minutes, full for the page."""

from dataclasses import dataclass

__all__ = ["SIZES", "Sizes"]


@dataclass(frozen=True)
class Sizes:
    """The sizes of a run.

    * ``bits``, ``locations``, ``batches``: n, M and B of sparse distributed memory, in all
      combinations.
    * ``dims``, ``patterns``, ``queries``: d, N and B of reads of patterns, in all combinations.
    * ``one``: d, N and B of the operations of a single size: five steps, nearest, density.
    * ``pruned``: d, N and B of the pruned read.
    * ``codes``: the numbers of rows, of their coordinates, and of the bits of a code.
    * ``training``: the numbers of texts, of places in each, and d, of an update of attention.
    * ``sampling``: the numbers of rows, of their coordinates, of samples, and of steps.
    * ``register``: the numbers of columns, of levels, of objects that many and that few store, and
      of cues, of a register of counts.
    * ``layers``: the numbers of neurons, of inputs and of rows of a layer, and of pairs and of
      queries of a memory.
    * ``watched``: the number of layers of a transformer, its width, the numbers of texts and of
      places in each, and the number of inputs of a unit.
    * ``gated``: the number of pictures, and the blocks in each of the three stages of a network.
    * ``million``: the numbers of patterns and cues of the large recall.
    * ``growth``: the numbers of locations or patterns.
    * ``starts``: how many processes are started.
    * ``side``: the rows of the square matrices whose product measures the machine.
    * ``seconds``: the approximate time for each case.
    """

    bits: tuple[int, ...]
    locations: tuple[int, ...]
    batches: tuple[int, ...]
    dims: tuple[int, ...]
    patterns: tuple[int, ...]
    queries: tuple[int, ...]
    one: tuple[int, int, int]
    pruned: tuple[int, int, int]
    codes: tuple[int, int, int]
    training: tuple[int, int, int]
    sampling: tuple[int, int, int, int]
    register: tuple[int, int, int, int, int]
    layers: tuple[int, int, int, int, int]
    watched: tuple[int, int, int, int, int]
    gated: tuple[int, tuple[int, ...]]
    million: tuple[int, int]
    growth: tuple[int, ...]
    starts: int
    side: int
    seconds: float


SIZES = {
    "tiny": Sizes(
        bits=(128,),
        locations=(3000,),
        batches=(1, 4),
        dims=(16,),
        patterns=(400,),
        queries=(1, 5),
        one=(16, 400, 5),
        pruned=(16, 400, 5),
        codes=(100, 16, 64),
        training=(2, 8, 16),
        sampling=(400, 16, 6, 4),
        register=(16, 4, 300, 30, 40),
        layers=(200, 30, 8, 100, 6),
        watched=(1, 64, 2, 6, 3),
        gated=(2, (1, 2)),
        million=(600, 20),
        growth=(100, 1000),
        starts=1,
        side=128,
        seconds=0.02,
    ),
    "quick": Sizes(
        bits=(256, 1000),
        locations=(100_000,),
        batches=(1, 16),
        dims=(64, 512),
        patterns=(10_000, 100_000),
        queries=(1, 64),
        one=(64, 100_000, 64),
        pruned=(512, 100_000, 64),
        codes=(20_000, 784, 2048),
        training=(24, 64, 128),
        sampling=(20_000, 784, 256, 10),
        register=(1024, 16, 12_000, 100, 1000),
        layers=(10_000, 784, 128, 65_536, 64),
        watched=(6, 384, 8, 128, 4),
        gated=(16, (2,)),
        million=(1_000_000, 1000),
        growth=(1000, 10_000, 100_000),
        starts=1,
        side=1024,
        seconds=0.6,
    ),
    "full": Sizes(
        bits=(256, 1000),
        locations=(100_000, 1_000_000),
        batches=(1, 16, 256),
        dims=(64, 512),
        patterns=(10_000, 100_000, 1_000_000),
        queries=(1, 64, 1024),
        one=(64, 100_000, 64),
        pruned=(512, 100_000, 64),
        codes=(100_000, 784, 2048),
        training=(24, 64, 128),
        sampling=(60_000, 784, 1000, 20),
        register=(1024, 16, 12_000, 100, 1000),
        layers=(10_000, 784, 128, 65_536, 64),
        watched=(6, 384, 8, 128, 4),
        gated=(16, (6, 18)),
        million=(1_000_000, 1000),
        growth=(1000, 3162, 10_000, 31_623, 100_000, 316_228, 1_000_000),
        starts=3,
        side=1024,
        seconds=2.0,
    ),
}
