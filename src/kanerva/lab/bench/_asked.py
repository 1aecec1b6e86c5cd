"""Requirements of the operations beside the measurements of a run."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from kanerva.lab.bench._codes import PRODUCT
from kanerva.lab.bench._diffusion import DENOISED, FILED, NUMPY, READ, SAMPLED
from kanerva.lab.bench._entropic import ATTENDED, FEWER, LOOP, RECALLED, RECOGNISED
from kanerva.lab.bench._entropic import READ as REGISTER
from kanerva.lab.bench._gates import DIA, UNGATED
from kanerva.lab.bench._layers import RECTIFIED, SDM
from kanerva.lab.bench._linked import UNLINKED
from kanerva.lab.bench._measure import Row
from kanerva.lab.bench._patterns import BATCHED, SINGLE
from kanerva.lab.bench._quarks import FORWARD, REBUILT, WATCHED
from kanerva.lab.bench._training import PLAIN

__all__ = ["ASKED", "Asked", "Found", "found", "setting"]

Measured = Iterator[tuple[float, str]]
Measure = Callable[[Sequence[Row]], Measured]


class Asked(NamedTuple):
    """A requirement.

    * ``what``: the operation and its sizes.
    * ``bound``: the number.
    * ``kind``: ``"at most"`` or ``"at least"``.
    * ``unit``: such as ``"times the limit"``.
    * ``measured``: a function that yields the numbers of a run, each with its sizes.
    """

    what: str
    bound: float
    kind: str
    unit: str
    measured: Measure


class Found(NamedTuple):
    """The measurements for a requirement.

    * ``asked``: the requirement.
    * ``worst``, ``where``: the worst number and its sizes.
    * ``reached``, ``sizes``: how many sizes meet the requirement, and how many there are.
    """

    asked: Asked
    worst: float
    where: str
    reached: int
    sizes: int


def found(rows: Sequence[Row]) -> list[Found]:
    """Return the measurements for each requirement; those that were not run are left out.

    Args:
        rows: of a run.

    Returns:
        the worst number for each requirement, and how many sizes meet it.

    Example:
        >>> from kanerva.lab.bench import found
        >>> row = {"operation": "softmax", "setting": {"d": 64}, "route": "kanerva", "peak": 2**21}
        >>> [(one.asked.what, one.worst) for one in found([row])]
        [('softmax read, memory beyond its input', 2.0)]
    """
    lines = []
    for asked in ASKED:
        numbers = list(asked.measured(rows))
        if numbers:
            most = asked.kind == "at most"
            worst, where = max(numbers) if most else min(numbers)
            met = [value <= asked.bound if most else value >= asked.bound for value, _ in numbers]
            lines.append(Found(asked, worst, where, sum(met), len(numbers)))
    return lines


def setting(row: Row) -> str:
    """Write the sizes of a row."""
    parts = [
        f"{name} = {value:,}" if isinstance(value, int) else f"{name} {value}"
        for name, value in row["setting"].items()
    ]
    return ", ".join(parts)


def _cases(
    rows: Sequence[Row], operation: str, **sizes: tuple[int, ...]
) -> Iterator[dict[str, Row]]:
    """Yield the routes of each case of an operation at these sizes, by name."""
    cases: dict[str, dict[str, Row]] = {}
    for row in rows:
        fits = all(row["setting"].get(name) in some for name, some in sizes.items())
        if row["operation"] == operation and fits:
            cases.setdefault(setting(row), {})[row["route"]] = row
    yield from cases.values()


def _over_limit(bits: int) -> Measure:
    """Measure the activation with numba over the limit of the machine."""

    def measured(rows: Sequence[Row]) -> Measured:
        for case in _cases(rows, "activation", n=(bits,), B=(16, 256)):
            row = case.get("kanerva, numba")
            if row and row["over_limit"]:
                yield row["over_limit"], setting(row)

    return measured


def _than_torchhd(engine: str) -> Measure:
    """Measure the time of torch-hd over that of an engine, for writes and reads."""

    def measured(rows: Sequence[Row]) -> Measured:
        for operation in ("write", "read"):
            for case in _cases(rows, operation, n=(1000,), M=(100_000,), B=(1, 16)):
                row, other = case.get(f"kanerva, {engine}"), case.get("torch-hd")
                if row and other:
                    yield other["median"] / row["median"], f"{operation}, {setting(row)}"

    return measured


def _than(operation: str, ours: str, *others: str, faster: bool = False) -> Measure:
    """Measure our time over that of the fastest of the others, or the inverse."""

    def measured(rows: Sequence[Row]) -> Measured:
        for case in _cases(rows, operation):
            times = [case[other]["median"] for other in others if other in case]
            if ours in case and times:
                ratio = case[ours]["median"] / min(times)
                yield (1 / ratio if faster else ratio), setting(case[ours])

    return measured


def _peak(rows: Sequence[Row]) -> Measured:
    """Measure the memory of the softmax read in MiB."""
    for case in _cases(rows, "softmax"):
        row = case.get("kanerva")
        if row and row["peak"] is not None:
            yield row["peak"] / 2**20, setting(row)


def _million(column: str, scale: float) -> Measure:
    """Measure a column of the recall from a million patterns."""

    def measured(rows: Sequence[Row]) -> Measured:
        for case in _cases(rows, "million", N=(1_000_000,)):
            if case["both"][column] is not None:
                yield case["both"][column] / scale, setting(case["both"])

    return measured


def _first(cache: str) -> Measure:
    """Measure the first write and read of a process in seconds."""

    def measured(rows: Sequence[Row]) -> Measured:
        wanted = {"engine": "numba", "cache": cache}
        for row in rows:
            here = row["operation"] == "start" and row["setting"] == wanted
            if here and row["route"] == "first write and read":
                yield row["median"], cache

    return measured


# The largest time of each rule, as a multiple of the softmax read.
RULES = {
    "circle": 2.0,
    "circle of packed bits": 2.0,
    "cap": 2.0,
    "power 3": 2.0,
    "compact": 2.0,
    "entmax 1.5": 4.0,
    "top 32": 2.0,
}
# The same with links.
LINKED = {"softmax": 1.5, "power 3": 4.0, "entmax 1.5": 4.0}
LIMIT, THAN = "times the popcount limit", "times as fast as torch-hd"
BETTER = "times the better of torch's kernel and the formula"
FIVE = "kanerva, recall of five steps"
SHARP = "kanerva, tolerance of 1e-6"
SMALL = "SDM write and read, n = 1000, M = 100,000, B = 1 and 16"
MILLION = "a million patterns of 256 bits written and 1,000 cues recalled"
DOMINANT = "pruned read where one pattern has nearly all weight"
FIRST = "first write and read with numba"
ASKED = (
    Asked("SDM activation, n = 1000, B = 16 and 256", 2.0, "at most", LIMIT, _over_limit(1000)),
    Asked("SDM activation, n = 256, B = 16 and 256", 4.0, "at most", LIMIT, _over_limit(256)),
    Asked(SMALL, 12.0, "at least", THAN, _than_torchhd("numba")),
    Asked("the same with NumPy alone", 3.0, "at least", THAN, _than_torchhd("NumPy")),
    Asked("softmax read", 1.1, "at most", BETTER, _than("softmax", "kanerva", SINGLE, BATCHED)),
    Asked("softmax read, memory beyond its input", 64.0, "at most", "MiB", _peak),
    *(
        Asked(
            f"read by {name}",
            bound,
            "at most",
            "times the softmax read",
            _than("rules", f"kanerva, {name}", "softmax read"),
        )
        for name, bound in RULES.items()
    ),
    Asked(
        "recall of five steps",
        1.1,
        "at most",
        "times five reads by torch's kernel",
        _than("recall", FIVE, f"{SINGLE}, five times"),
    ),
    Asked(
        DOMINANT,
        3.0,
        "at least",
        "times as fast as plain float32 attention",
        _than("pruned", SHARP, SINGLE, BATCHED, faster=True),
    ),
    *(
        Asked(
            f"read with links, by {name}",
            bound,
            "at most",
            "times the softmax read without links",
            _than("linked", f"kanerva, linked, {name}", UNLINKED),
        )
        for name, bound in LINKED.items()
    ),
    *(
        Asked(what, 1.2, "at most", "times the read of the memory", _than("diffusion", name, READ))
        for what, name in (("exact denoiser", DENOISED), ("the same over a file", FILED))
    ),
    Asked(
        "samples of the exact denoiser",
        5.0,
        "at least",
        "times as fast as NumPy",
        _than("diffusion", SAMPLED, NUMPY, faster=True),
    ),
    *(
        Asked(
            f"{what} of a register of counts",
            bound,
            "at least",
            f"times as fast as {other}",
            _than("entropic", name, other, faster=True),
        )
        for what, name, bound, other in (
            ("recognition", RECOGNISED, 50.0, LOOP),
            ("recall", RECALLED, 50.0, LOOP),
            ("read", REGISTER, 5.0, ATTENDED),
        )
    ),
    Asked(
        "recall of a register that holds much",
        1.2,
        "at most",
        "times that of one that holds little",
        _than("entropic", RECALLED, FEWER),
    ),
    Asked(
        "encoding 100,000 rows of 784 numbers in 2,048 bits",
        1.5,
        "at most",
        "times the matrix product",
        _than("encode", "kanerva", PRODUCT),
    ),
    Asked(
        "training of attention",
        1.25,
        "at most",
        "times the same layer in plain torch",
        _than("train", "kanerva", PLAIN),
    ),
    Asked(
        "training of an SDM layer",
        2.2,
        "at most",
        "times the same sizes with a rectifier",
        _than("layers", SDM, RECTIFIED),
    ),
    *(
        Asked(what, bound, "at most", "times the plain forward", _than("quarks", name, FORWARD))
        for what, name, bound in (("watching", WATCHED, 1.5), ("rebuilding", REBUILT, 4.0))
    ),
    Asked(
        "training of a residual network with shared gates",
        1.35,
        "at most",
        "times the plain network",
        _than("gates", DIA, UNGATED),
    ),
    Asked(MILLION, 60.0, "at most", "s", _million("median", 1.0)),
    Asked("the same, memory beyond the patterns", 1.0, "at most", "GiB", _million("peak", 2**30)),
    Asked(f"{FIRST}, nothing compiled before", 2.0, "at most", "s", _first("nothing compiled")),
    Asked(f"{FIRST}, compiled before", 0.2, "at most", "s", _first("compiled before")),
)
