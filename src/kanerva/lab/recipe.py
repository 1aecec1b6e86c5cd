"""Experiments as objects: what is varied, what is measured, what must come out, and how it is drawn.

A recipe is made by a decorator on a generator of rows. The command line, the pages of the documentation and the tests are
all made from that one object.
"""

import importlib
import inspect
import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, get_type_hints

from kanerva._core.checks import choice, integer
from kanerva._core.errors import door, refuse
from kanerva.lab import citations

__all__ = ["Check", "Parameter", "Recipe", "Verdict", "grid", "recipe"]

Value = str | int | float | None
Row = dict[str, Any]  # text, numbers and None
Cell = dict[str, Any]
SIZES = ("quick", "paper")
AGGREGATES: dict[str, Callable[[list[float]], float]] = {
    "mean": statistics.fmean,
    "min": min,
    "max": max,
}


class Parameter(NamedTuple):
    """One parameter of a recipe, read from its signature.

    * ``name``: as ``--set`` takes it.
    * ``kind``: int, float or str.
    * ``help``: what it means, with its unit.
    * ``default``: its value where a size does not say; None where every size does.
    """

    name: str
    kind: type
    help: str
    default: Value


class Verdict(NamedTuple):
    """What a check found.

    * ``what``: the number in words.
    * ``value``: ours; None where the run has no row for it.
    * ``expected``, ``tolerance``, ``source``: theirs, how near is near enough, and who says so.
    * ``ok``: whether it came out as it should; None where the run has no row for it.
    * ``reason``: why ours is known to differ, where it is.
    """

    what: str
    value: float | None
    expected: float
    tolerance: float
    source: str
    ok: bool | None
    reason: str

    def sentence(self) -> str:
        """Write the verdict on one line.

        Example:
            >>> from kanerva.lab.recipe import Verdict
            >>> Verdict("cosine", 0.412, 0.41, 0.02, "the authors, table 1", True, "").sentence()
            'cosine: 0.412 (expected 0.41 +- 0.02, the authors, table 1) ok'
        """
        if self.value is None:
            return f"{self.what}: not in this run"
        told = f"{self.what}: {self.value:.7g} (expected {self.expected:.7g} +- {self.tolerance:.3g}, {self.source})"
        if self.reason:
            return f"{told} {'differs' if self.ok else 'FAILED to differ'}: {self.reason}"
        return f"{told} {'ok' if self.ok else 'FAILED'}"


@dataclass(frozen=True)
class Check:
    """A number that must come out.

    * ``what``: the number in words.
    * ``column``: where it stands in the table.
    * ``expected``: what it must be.
    * ``tolerance``: how far off it may be, in the unit of the column.
    * ``source``: who says so: a publication and where in it, or how it was computed apart from this library.
    * ``at``: the values of other columns that choose the rows.
    * ``aggregate``: ``"mean"``, ``"min"`` or ``"max"`` of the rows chosen.
    * ``reason``: why ours is known to differ; the check then holds while it does.

    Example:
        >>> from kanerva.lab.recipe import Check
        >>> check = Check("beta at radius 11", "beta", 15.85, 0.01, "the authors", at={"radius": 11})
        >>> check.judge([{"radius": 11, "beta": 15.8528}, {"radius": 15, "beta": 10.1104}]).ok
        True
    """

    what: str
    column: str
    expected: float
    tolerance: float
    source: str
    at: Mapping[str, Any] = field(default_factory=dict)
    aggregate: str = "mean"
    reason: str = ""

    @door
    def judge(self, rows: Iterable[Row]) -> Verdict:
        """Look the number up in the rows of a table and compare it.

        Raises:
            InputError: a row that the check is about lacks its column.

        Example:
            >>> from kanerva.lab.recipe import Check
            >>> Check("error", "error", 0.0, 0.1, "theory").judge([{"error": 0.25}]).ok
            False
        """
        chosen = [
            row
            for row in rows
            if all(_same(row.get(name), value) for name, value in self.at.items())
        ]
        if any(self.column not in row for row in chosen):
            got = f"rows with {', '.join(map(repr, chosen[0]))}"
            must = f"rows with the column {self.column!r}"
            refuse("rows", must=must, got=got, do="yield it, or name another column")
        values = [float(value) for row in chosen if (value := row[self.column]) is not None]
        if not values:
            return Verdict(
                self.what, None, self.expected, self.tolerance, self.source, None, self.reason
            )
        value = AGGREGATES[self.aggregate](values)
        near = abs(value - self.expected) <= self.tolerance + 1e-12 * abs(self.expected)
        return Verdict(
            self.what,
            value,
            self.expected,
            self.tolerance,
            self.source,
            near != bool(self.reason),
            self.reason,
        )


@dataclass(frozen=True)
class Recipe:
    """An experiment: ``recipe`` makes it, ``kanerva.lab.runner.run`` runs it.

    * ``name``: as the command line takes it, such as ``sdm.weights``.
    * ``title``: what it shows, in a few words.
    * ``measure``: the generator of rows; called once for each cell, with the values of that cell.
    * ``source``, ``figure``: a key of ``kanerva.lab.citations.SOURCES``, and where in it.
    * ``sizes``: the cells of ``"quick"`` and of ``"paper"``.
    * ``checks``: numbers that must come out.
    * ``draw``: makes the figure from the rows alone.

    Example:
        >>> from kanerva.lab.papers import RECIPES
        >>> RECIPES["sdm.weights"].source
        'bricken2021'
    """

    name: str
    title: str
    measure: Callable[..., Iterator[Row]]
    source: str
    figure: str
    sizes: Mapping[str, Sequence[Cell]]
    checks: Sequence[Check]
    draw: Callable[[list[Row]], Any]

    @door("recipe")
    def __post_init__(self) -> None:
        known = {parameter.name for parameter in self.parameters}
        for cell in itertools.chain(*self.sizes.values()):
            if not set(cell) <= known:
                got, do = ", ".join(set(cell) - known), f"name one of {', '.join(sorted(known))}"
                must = "made of cells that its generator takes"
                refuse(self.name, must=must, got=got, do=do)

    @property
    def about(self) -> str:
        """What it shows, in plain words: the docstring of the generator."""
        return inspect.getdoc(self.measure) or ""

    @property
    def parameters(self) -> list[Parameter]:
        """What can be set, from the signature of the generator."""
        hints = get_type_hints(self.measure, include_extras=True)
        found = []
        for name, one in inspect.signature(self.measure).parameters.items():
            hint = hints[name]
            kind, words = (
                (hint.__origin__, hint.__metadata__[0])
                if hasattr(hint, "__metadata__")
                else (hint, "")
            )
            found.append(
                Parameter(name, kind, words, None if one.default is one.empty else one.default)
            )
        return found

    @door
    def cells(
        self, size: str = "quick", seed: int = 0, given: Mapping[str, str | Value] | None = None
    ) -> list[Cell]:
        """Return the cells of a run: what the generator is called with, one after the other.

        Args:
            size: ``"quick"`` or ``"paper"``.
            seed: added to the seed of every cell.
            given: parameters to take instead, such as ``{"radius": "9,11"}``; commas make a sweep.

        Returns:
            a dict of all parameters for each cell; no two are the same.

        Raises:
            InputError: an unknown size or parameter, or a value of the wrong kind.

        Example:
            >>> from kanerva.lab.papers import RECIPES
            >>> [cell["radius"] for cell in RECIPES["sdm.weights"].cells(given={"bits": "64", "radius": "9,11"})]
            [9, 11]
        """
        cells = self.sizes[choice("size", size, SIZES)]
        seed = integer("seed", seed, 0, 2**31)
        known = {parameter.name: parameter for parameter in self.parameters}
        sweeps = {}
        for name, text in (given or {}).items():
            choice("set", name, tuple(known))
            sweeps[name] = tuple(_value(known[name], part) for part in str(text).split(","))
        defaults = {name: parameter.default for name, parameter in known.items()}
        found: dict[tuple[Value, ...], Cell] = {}
        for cell in cells:
            for chosen in grid(**sweeps):
                whole = defaults | cell | chosen
                if "seed" in whole:
                    whole["seed"] = seed + int(whole["seed"] or 0)
                found[tuple(whole.values())] = whole
        return list(found.values())

    def judge(self, rows: list[Row]) -> list[Verdict]:
        """Compare the rows of a table with every number that must come out.

        Example:
            >>> from kanerva.lab.papers import RECIPES
            >>> verdicts = RECIPES["sdm.weights"].judge([])
            >>> {verdict.ok for verdict in verdicts}  # nothing was run
            {None}
        """
        return [check.judge(rows) for check in self.checks]

    def __reduce__(self) -> Any:
        # The decorator put the recipe where its generator had been, so it is sent to other processes by that name.
        home = importlib.import_module(self.measure.__module__)
        name = self.measure.__name__
        # What stands in a script or a notebook has no name elsewhere, and travels whole.
        known = home.__name__ != "__main__" and getattr(home, name, None) is self
        return (_found, (home.__name__, name)) if known else super().__reduce__()


@door
def recipe(
    name: str,
    title: str,
    source: str,
    figure: str,
    *,
    quick: Sequence[Cell],
    paper: Sequence[Cell],
    draw: Callable[[list[Row]], Any],
    checks: Sequence[Check] = (),
) -> Callable[[Callable[..., Iterator[Row]]], Recipe]:
    """Turn a generator of rows into a recipe.

    The generator takes the parameters of one cell, annotated as ``Annotated[int, "what it means, in which unit"]``, and
    yields rows: dicts of numbers, text or None, with the same keys in the same order every time. The values of the cell
    are put before them. A parameter called ``seed`` is counted from the seed of the run. Its docstring says in plain
    words what the experiment shows and what is to be seen.

    Args:
        name: as the command line takes it, such as ``sdm.weights``.
        title: what it shows, in a few words.
        source: a key of ``kanerva.lab.citations.SOURCES``.
        figure: where in the source, such as ``figure 2``.
        quick: cells that are done in seconds.
        paper: cells of the size of the paper.
        draw: makes a figure from the rows alone.
        checks: numbers that must come out.

    Returns:
        a decorator that gives a ``Recipe``.

    Raises:
        InputError: the source is unknown, or a cell has a parameter that the generator does not take.

    Example:
        >>> from typing import Annotated
        >>> from kanerva.lab.recipe import grid, recipe
        >>> @recipe("demo.squares", "Squares", "kanerva1988", "nowhere", quick=grid(n=(2, 3)), paper=grid(n=4), draw=len)
        ... def squares(n: Annotated[int, "a number"]):
        ...     yield {"square": n * n}
        >>> [next(squares.measure(**cell))["square"] for cell in squares.cells()]
        [4, 9]
    """
    choice("source", source, tuple(citations.SOURCES))

    def made(measure: Callable[..., Iterator[Row]]) -> Recipe:
        return Recipe(
            name,
            title,
            measure,
            source,
            figure,
            {"quick": list(quick), "paper": list(paper)},
            tuple(checks),
            draw,
        )

    return made


def grid(**sweeps: Value | Sequence[Value]) -> list[Cell]:
    """Return every combination of values: a dict each, the last name changing fastest.

    Args:
        **sweeps: a value, or a tuple or list of values, for each parameter.

    Returns:
        the cells; add lists of cells to join grids.

    Example:
        >>> from kanerva.lab.recipe import grid
        >>> grid(bits=64, radius=(5, 9))
        [{'bits': 64, 'radius': 5}, {'bits': 64, 'radius': 9}]
    """
    columns = [
        values if isinstance(values, tuple | list) else (values,) for values in sweeps.values()
    ]
    return [dict(zip(sweeps, values, strict=True)) for values in itertools.product(*columns)]


def _same(value: Value, wanted: Value) -> bool:
    if isinstance(value, float) and isinstance(wanted, int | float):
        return math.isclose(value, wanted, rel_tol=1e-9)
    return value == wanted


def _value(parameter: Parameter, text: str) -> Value:
    """Read a value of ``--set`` as what the parameter is."""
    try:
        value: Value = parameter.kind(text)
        if not isinstance(value, float) or math.isfinite(value):
            return value
    except ValueError:
        pass
    must = {int: "whole numbers", float: "finite numbers"}.get(parameter.kind, "words")
    got = repr(text) if len(text) <= 60 else f"of {len(text)} characters"
    do = f"write --set {parameter.name}=VALUE"
    refuse(parameter.name, must=f"{must} with commas between", got=got, do=do)


def _found(home: str, name: str) -> Any:
    return getattr(importlib.import_module(home), name)
