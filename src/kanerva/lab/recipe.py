"""Experiments as objects: what varies, what is measured, what must come out, and the figure.

The decorator ``recipe`` turns a generator of rows into a ``Recipe``. The command line, the pages of
the documentation and the tests are made from that object.
"""

import importlib
import inspect
import itertools
import math
import numbers
import re
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

from kanerva._core.checks import choice, integer, number
from kanerva._core.errors import InputTypeError, describe, door, refuse
from kanerva.lab import citations

__all__ = ["Check", "Parameter", "Recipe", "Verdict", "grid", "recipe"]

Value = str | int | float | None
PLAIN = (str, numbers.Number, type(None))
Row = dict[str, Any]  # text, numbers and None
Cell = dict[str, Any]
SIZES = ("quick", "paper")
# A name is also that of a folder below runs/ or --out.
NAME = re.compile(r"\w[\w-]{0,60}(\.\w[\w-]{0,60}){0,4}")
# The word of a figure, which is a part of the name of its file.
WORD = re.compile(r"\w[\w-]{0,60}")
KINDS = {int: "whole numbers", float: "finite numbers", str: "words"}
AGGREGATES: dict[str, Callable[[list[float]], float]] = {
    "mean": statistics.fmean,
    "min": min,
    "max": max,
}


class Parameter(NamedTuple):
    """One parameter of a recipe, read from the signature of its generator.

    * ``name``: the name that ``--set`` takes.
    * ``kind``: int, float or str.
    * ``help``: the meaning, with its unit.
    * ``default``: the value where a cell gives none; None where every cell gives one.
    """

    name: str
    kind: type
    help: str
    default: Value


class Verdict(NamedTuple):
    """The outcome of a check.

    * ``what``: the number in words.
    * ``value``: the number of this run; None where the run has no row for it.
    * ``expected``, ``tolerance``, ``source``: as in ``Check``.
    * ``ok``: whether the check holds; None where the run has no row for it.
    * ``reason``: why the number is known to differ, where it is.
    """

    what: str
    value: float | None
    expected: float
    tolerance: float
    source: str
    ok: bool | None
    reason: str

    def sentence(self) -> str:
        """Return the verdict as one line.

        Example:
            >>> from kanerva.lab.recipe import Verdict
            >>> Verdict("cosine", 0.412, 0.41, 0.02, "the authors, table 1", True, "").sentence()
            'cosine: 0.412 (expected 0.41 +- 0.02, the authors, table 1) ok'
        """
        if self.value is None:
            return f"{self.what}: not in this run"
        expected = f"expected {self.expected:.7g} +- {self.tolerance:.3g}, {self.source}"
        start = f"{self.what}: {self.value:.7g} ({expected})"
        if self.reason:
            return f"{start} {'differs' if self.ok else 'FAILED to differ'}: {self.reason}"
        return f"{start} {'ok' if self.ok else 'FAILED'}"


@dataclass(frozen=True)
class Check:
    """A number that a run must reproduce.

    * ``what``: the number in words.
    * ``column``: the column of the table that holds it.
    * ``expected``: its value.
    * ``tolerance``: the largest deviation allowed, in the unit of the column.
    * ``source``: where the value comes from: a publication and the place in it, or how it was
      computed independently of this library.
    * ``at``: the values of other columns that select the rows.
    * ``aggregate``: ``"mean"``, ``"min"`` or ``"max"`` over the selected rows.
    * ``less``: the values that select other rows, whose aggregate is subtracted; none where empty.
    * ``reason``: why this library is known to give another value; the check then holds as long as
      the value differs.

    Example:
        >>> from kanerva.lab.recipe import Check
        >>> beta = Check("beta", "beta", 15.85, 0.01, "the authors", at={"radius": 11})
        >>> beta.judge([{"radius": 11, "beta": 15.8528}, {"radius": 15, "beta": 10.1104}]).ok
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
    less: Mapping[str, Any] = field(default_factory=dict)

    @door
    def __post_init__(self) -> None:
        choice("aggregate", self.aggregate, tuple(AGGREGATES))

    @door
    def judge(self, rows: Iterable[Row]) -> Verdict:
        """Compare the expected number with the rows of a table.

        Args:
            rows: the table, a dict for each row.

        Returns:
            the verdict; its ``ok`` is None where no row is selected.

        Raises:
            InputError: a selected row lacks the column of the check, or has a word in it.

        Example:
            >>> from kanerva.lab.recipe import Check
            >>> Check("error", "error", 0.0, 0.1, "theory").judge([{"error": 0.25}]).ok
            False
        """
        rows = list(rows)
        value = self._aggregate(rows, self.at)
        if self.less:
            other = self._aggregate(rows, self.less)
            value = None if value is None or other is None else value - other
        ok = None
        if value is not None:
            near = abs(value - self.expected) <= self.tolerance + 1e-12 * abs(self.expected)
            ok = near != bool(self.reason)
        return Verdict(
            self.what, value, self.expected, self.tolerance, self.source, ok, self.reason
        )

    def _aggregate(self, rows: Iterable[Row], at: Mapping[str, Any]) -> float | None:
        """Return the aggregate over the rows with these values; None where there are none."""
        selected = [
            row for row in rows if all(_same(row.get(name), value) for name, value in at.items())
        ]
        for row in selected:
            if self.column not in row:
                got, must = f"rows with {', '.join(map(repr, row))}", "rows with the column"
                do = "yield it, or name another column"
                refuse("rows", must=f"{must} {self.column!r}", got=got, do=do)
        values = (row[self.column] for row in selected if row[self.column] is not None)
        numbers = [number(f"rows, column {self.column!r},", value) for value in values]
        return AGGREGATES[self.aggregate](numbers) if numbers else None


@dataclass(frozen=True)
class Recipe:
    """An experiment, made by the decorator ``recipe`` and run by ``kanerva.lab.runner.run``.

    * ``name``: the name on the command line, such as ``sdm.weights``, and that of its folder: words
      of letters, digits, ``_`` and ``-`` with dots between.
    * ``title``: what it shows, in a few words.
    * ``measure``: the generator of rows, called once for each cell with the values of that cell.
    * ``source``, ``figure``: a key of ``kanerva.lab.citations.SOURCES`` or a BibTeX entry as text,
      and the place in it.
    * ``sizes``: the cells of ``"quick"`` and of ``"paper"``.
    * ``checks``: the numbers that a run must reproduce.
    * ``draw``: a function that makes the figure from the rows alone, or several as a dict from
      words to figures, the main one first, whose word may be empty.

    Raises:
        InputError: the name or the source cannot be used, a parameter of the generator is not
            annotated, or a cell has other parameters than the generator takes.

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
        _check_names(self.name, self.source)
        if not callable(self.draw):
            refuse("draw", self.draw, must="a function of the rows", do="return a figure from it")
        for check in self.checks:
            if not isinstance(check, Check):
                refuse("checks", check, must="made of Check", do="see kanerva.lab.recipe.Check")
        known = {parameter.name for parameter in self.parameters}
        for cell in itertools.chain(*self.sizes.values()):
            self._check_cell(cell, known)

    def _check_cell(self, cell: Cell, known: set[str]) -> None:
        """Refuse a cell from which the generator cannot be called."""
        if not isinstance(cell, dict) or not all(isinstance(one, PLAIN) for one in cell.values()):
            must = "made of cells that are dicts of numbers, words and None"
            refuse(self.name, must=must, got=describe(cell), do="make them with grid(name=values)")
        unknown = set(cell) - known
        if unknown:
            must = "made of cells that its generator takes"
            do = f"name one of {', '.join(sorted(known))}"
            refuse(self.name, must=must, got=", ".join(map(str, unknown)), do=do)
        for name, one in inspect.signature(self.measure).parameters.items():
            if one.default is one.empty and name not in cell:
                must, got = "made of cells that give every parameter", f"a cell without {name}"
                refuse(self.name, must=must, got=got, do=f"give {name} a value, or a default")

    @property
    def origin(self) -> str:
        """The place of its generator as ``module:NAME``; empty for a recipe of this library."""
        home = self.measure.__module__
        return "" if home.startswith("kanerva.") else f"{home}:{self.measure.__name__}"

    @property
    def about(self) -> str:
        """What the experiment shows: the docstring of the generator."""
        return inspect.getdoc(self.measure) or ""

    @property
    def parameters(self) -> list[Parameter]:
        """The parameters that can be set, from the signature of the generator."""
        try:
            hints = get_type_hints(self.measure, include_extras=True)
        except NameError as error:
            must, do = "a generator with annotations that can be read", "import that name"
            refuse(self.name, must=must, got=f"one of which {error}", do=do)
        signature = inspect.signature(self.measure)
        return [_parameter(one, hints.get(name)) for name, one in signature.parameters.items()]

    @door
    def cells(
        self, size: str = "quick", seed: int = 0, given: Mapping[str, str | Value] | None = None
    ) -> list[Cell]:
        """Return the cells of a run: the arguments of each call of the generator, in order.

        Args:
            size: ``"quick"`` or ``"paper"``.
            seed: an integer >= 0, added to the seed of every cell.
            given: values that replace those of the cells, such as ``{"radius": "9,11"}``; commas
                make a sweep.

        Returns:
            a dict of all parameters for each cell; no two are the same.

        Raises:
            InputError: an unknown size or parameter, or a value of the wrong kind.

        Example:
            >>> from kanerva.lab.papers import RECIPES
            >>> cells = RECIPES["sdm.weights"].cells(given={"bits": "64", "radius": "9,11"})
            >>> [cell["radius"] for cell in cells]
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
                    whole["seed"] = integer("seed", seed + int(whole["seed"] or 0), 0, 2**62)
                found[tuple(whole.values())] = whole
        return list(found.values())

    def figures(self, rows: list[Row]) -> dict[str, Any]:
        """Return the figures of a table by the names of their files.

        The main one is ``figure``; each further one is ``figure-`` and its word.

        Args:
            rows: the table, a dict for each row; ``draw`` may change it.

        Returns:
            figures of matplotlib, the main one first.

        Raises:
            InputError: ``draw`` returns something else.

        Example:
            >>> from kanerva.lab import runner
            >>> from kanerva.lab.papers import RECIPES
            >>> recipe = RECIPES["sdm.weights"]
            >>> rows = runner.run(recipe, given={"bits": 64, "radius": 11}).rows
            >>> list(recipe.figures(rows))
            ['figure']
        """
        drawn = self.draw(rows)
        several = drawn if isinstance(drawn, Mapping) and drawn else {"": drawn}
        for place, (word, figure) in enumerate(several.items()):
            fits = isinstance(word, str) and (WORD.fullmatch(word) or (word == "" and place == 0))
            if not fits:
                must, do = "a word of letters, digits, _ and -", "name the figure with one"
                refuse("draw, a name of its figures,", word, must=must, do=do)
            if not hasattr(figure, "savefig"):
                must = "a function that returns a matplotlib figure, or a dict of them"
                of = f"{describe(figure)} as {word!r}" if word else describe(figure)
                refuse("draw", got=of, must=must, do="return what matplotlib made")
        words = list(several)
        if len({word.casefold() for word in words}) < len(words):
            must, do = "with words that differ in more than case", "rename a figure"
            refuse("draw", got=", ".join(words), must=must, do=do)
        names = ["figure", *(f"figure-{word}" for word in words[1:])]
        return dict(zip(names, several.values(), strict=True))

    def judge(self, rows: list[Row]) -> list[Verdict]:
        """Compare every expected number with the rows of a table.

        Example:
            >>> from kanerva.lab.papers import RECIPES
            >>> verdicts = RECIPES["sdm.weights"].judge([])
            >>> {verdict.ok for verdict in verdicts}  # nothing was run
            {None}
        """
        return [check.judge(rows) for check in self.checks]

    def __reduce__(self) -> Any:
        # Another process finds the recipe under the name of its generator, which it replaced. In
        # a script or a notebook that name cannot be imported, and the whole object is sent.
        home, name = self.measure.__module__, self.measure.__name__
        known = getattr(importlib.import_module(home), name, None) is self
        return (_find, (home, name)) if known and home != "__main__" else super().__reduce__()


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
    checks: Iterable[Check] = (),
) -> Callable[[Callable[..., Iterator[Row]]], Recipe]:
    """Turn a generator of rows into a recipe.

    The generator takes the parameters of one cell, annotated as ``Annotated[int, "the meaning, with
    its unit"]``. It yields rows: dicts of numbers, text or None, with the same keys in the same
    order every time. The columns of the parameters are added in front. A parameter named ``seed``
    is counted from the seed of the run. The docstring describes what the experiment shows, and how
    to read its figure.

    Args:
        name: the name on the command line, such as ``sdm.weights``.
        title: what the experiment shows, in a few words.
        source: a key of ``kanerva.lab.citations.SOURCES``, or a BibTeX entry as text.
        figure: the place in the source, such as ``figure 2``.
        quick: cells that take seconds.
        paper: cells of the size of the publication.
        draw: a function that makes a figure from the rows alone, or a dict from words to figures.
        checks: the numbers that a run must reproduce.

    Returns:
        a decorator that returns a ``Recipe``.

    Raises:
        InputError: what ``Recipe`` refuses.

    Example:
        >>> from typing import Annotated
        >>> from kanerva.lab.recipe import grid, recipe
        >>> sizes = {"quick": grid(n=(2, 3)), "paper": grid(n=4)}
        >>> @recipe("demo.squares", "Squares", "kanerva1988", "nowhere", draw=len, **sizes)
        ... def squares(n: Annotated[int, "a number"]):
        ...     yield {"square": n * n}
        >>> [next(squares.measure(**cell))["square"] for cell in squares.cells()]
        [4, 9]
    """
    _check_names(name, source)
    sizes = {"quick": list(quick), "paper": list(paper)}
    numbers = tuple(checks)

    def decorate(measure: Callable[..., Iterator[Row]]) -> Recipe:
        if not inspect.isroutine(measure):
            must, do = "a generator of rows", "put the decorator above a function"
            refuse("measure", measure, must=must, do=do, error=InputTypeError)
        return Recipe(name, title, door(name)(measure), source, figure, sizes, numbers, draw)

    return decorate


def grid(**sweeps: Value | Sequence[Value]) -> list[Cell]:
    """Return every combination of values as a dict; the last name changes fastest.

    Args:
        **sweeps: a value, or a sequence of values, for each parameter.

    Returns:
        the cells; add lists of cells to join grids.

    Example:
        >>> from kanerva.lab.recipe import grid
        >>> grid(bits=64, radius=range(5, 7))
        [{'bits': 64, 'radius': 5}, {'bits': 64, 'radius': 6}]
    """
    columns = [
        [values] if values is None or isinstance(values, str | int | float) else values
        for values in sweeps.values()
    ]
    return [dict(zip(sweeps, values, strict=True)) for values in itertools.product(*columns)]


def _same(value: Value, wanted: Value) -> bool:
    if isinstance(value, float) and isinstance(wanted, int | float):
        return math.isclose(value, wanted, rel_tol=1e-9)
    return value == wanted


def _check_names(name: str, source: str) -> None:
    """Refuse a name that cannot be that of a folder, and an unknown source."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        must = "words of letters, digits, _ and - with dots between"
        refuse("name", name, must=must, do="write a name such as mine.squares")
    if not citations.is_bibtex(source):
        choice("source", source, tuple(citations.SOURCES))


def _parameter(one: inspect.Parameter, hint: Any) -> Parameter:
    """Read a parameter from its annotation."""
    kind, words = get_args(hint)[:2] if get_origin(hint) is Annotated else (hint, "")
    if kind not in KINDS or one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
        must = "annotated with int, float or str"
        got = "without an annotation" if hint is None else describe(hint)
        do = f'write {one.name}: Annotated[int, "its meaning"]'
        refuse(f"the parameter {one.name!r}", must=must, got=got, do=do)
    return Parameter(one.name, kind, words, None if one.default is one.empty else one.default)


def _value(parameter: Parameter, text: str) -> Value:
    """Convert a value of ``--set`` to the kind of its parameter."""
    try:
        value: Value = parameter.kind(text)
        if not isinstance(value, float) or math.isfinite(value):
            return value
    except ValueError:
        pass
    must = f"{KINDS.get(parameter.kind, 'words')} with commas between"
    got = repr(text) if len(text) <= 60 else f"of {len(text)} characters"
    refuse(parameter.name, must=must, got=got, do=f"write --set {parameter.name}=VALUE")


def _find(home: str, name: str) -> Any:
    return getattr(importlib.import_module(home), name)
