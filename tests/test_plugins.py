"""Objects from outside the library: entry points of installed packages, and ``module:NAME``."""

import json
import os
import subprocess
import sys
import types

import pytest
import torch

from choices import chosen_of
from kanerva import InputError, cli
from kanerva.lab import data, memories, plugins, recall


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Work in an empty folder; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        home = getattr(sys.modules[name], "__file__", None) or ""
        if home.startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def install(monkeypatch, tmp_path):
    """Return a function that installs a package with one module and its entry points."""
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(str(site))

    def add(package, points, code=""):
        info = site / f"{package}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(points)
        (site / f"{package}.py").write_text(code)

    yield add
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(site)):
            del sys.modules[name]


def keep(name, value):
    return value


class TestEntryPoints:
    def test_names_are_found_without_an_import(self, install):
        install("acme", "[some.group]\nb = acme:missing\na = acme:one\n", "raise OSError")
        assert plugins.names("some.group") == ["a", "b"]
        assert list(plugins.entry_points("some.group")) == ["a", "b"]
        assert "acme" not in sys.modules

    def test_objects_are_loaded(self, install):
        install("acme", "[some.group]\none = acme:one\nwhole = acme\n", "one = 1")
        found = plugins.load_all(plugins.entry_points("some.group"), keep)
        assert found["one"] == 1
        assert isinstance(found["whole"], types.ModuleType)

    @pytest.mark.parametrize(
        ("code", "reason"),
        [
            ("raise OSError('no disk')", r"OSError: no disk \(acme.py, line 1\)"),
            ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
            ("one =", r"SyntaxError: invalid syntax \(acme.py, line 1\)"),
            ("raise SystemExit", "SystemExit"),
            ("two = 2", "AttributeError"),
        ],
    )
    def test_a_broken_one_is_named_in_a_warning(self, install, code, reason):
        install("acme", "[some.group]\none = acme:one\n", code)
        with pytest.warns(UserWarning, match=f"'one' of the package 'acme' is left out: {reason}"):
            assert plugins.load_all(plugins.entry_points("some.group"), keep) == {}

    def test_an_object_of_the_wrong_kind_is_named_in_a_warning(self, install):
        install("acme", "[some.group]\none = acme:one\ntwo = acme:two\n", "one, two = 1, '2'")
        with pytest.warns(UserWarning, match="'two' .* TypeError: "):
            found = plugins.load_all(
                plugins.entry_points("some.group"), lambda name, value: value + 1
            )
        assert found == {"one": 2}

    def test_two_of_one_name_are_refused(self, install):
        install("acme", "[some.group]\none = acme:one\n")
        install("bolt", "[some.group]\none = bolt:one\n")
        with pytest.raises(InputError) as caught:
            plugins.entry_points("some.group")
        assert str(caught.value) == (
            "entry point 'one' of 'some.group' must be defined once, but it was defined by the "
            "package 'acme' and by the package 'bolt'; uninstall one of them."
        )

    def test_a_name_of_the_library_is_refused(self, install):
        install("acme", "[some.group]\none = acme:one\n")
        with pytest.raises(InputError, match="must be a name that kanerva does not use itself"):
            plugins.entry_points("some.group", taken=("one",))


class TestLocations:
    @pytest.mark.parametrize("text", ["mine:LSR", "package.module:LSR", "mine:models.LSR"])
    def test_the_form(self, text):
        assert plugins.is_location(text)

    @pytest.mark.parametrize(
        "text", ["LSR", "mine:", ":LSR", "C:\\mine.npy", "mine.py:1", "mine:a:b", "a/b:c", ""]
    )
    def test_other_texts(self, text):
        assert not plugins.is_location(text)

    def test_a_module_of_the_current_folder(self, folder):
        (folder / "outside_one.py").write_text("class models:\n    LSR = 3\n")
        path = list(sys.path)
        assert plugins.load("memory", "outside_one:models.LSR") == 3
        assert sys.path == path

    @pytest.mark.parametrize(
        ("location", "got"),
        [
            ("outside_nowhere:LSR", "ModuleNotFoundError: No module named 'outside_nowhere'"),
            ("outside_two:LSR", "ZeroDivisionError: division by zero (outside_two.py, line 2)"),
            ("outside_three:LSR", "SystemExit: 1 (outside_three.py, line 1)"),
        ],
    )
    def test_a_module_that_cannot_be_imported(self, folder, location, got):
        (folder / "outside_two.py").write_text("LSR = 1\nLSR / 0\n")
        (folder / "outside_three.py").write_text("raise SystemExit(1)\n")
        with pytest.raises(InputError) as caught:
            plugins.load("memory", location)
        assert caught.value.argument == "memory"
        assert caught.value.got == f"{location!r}: {got}"

    def test_a_name_that_is_not_there(self, folder):
        (folder / "outside_four.py").write_text("")
        with pytest.raises(InputError, match="something in the module 'outside_four'"):
            plugins.load("memory", "outside_four:LSR")


class TestCall:
    def test_errors_become_a_sentence(self):
        with pytest.raises(InputError) as caught:
            plugins.call("data", "mine", lambda: [][1])
        assert str(caught.value).startswith(
            "data must be a callable that raises no error, but it was 'mine': "
            "IndexError: list index out of range (test_plugins.py, line "
        )

    @pytest.mark.parametrize(
        ("error", "words"),
        [
            (SystemExit(0), "SystemExit: 0 ("),
            (GeneratorExit(), "GeneratorExit ("),
            (type("Stop", (KeyboardInterrupt,), {})("now"), "Stop: now ("),
            (type("Own", (BaseException,), {})(), "Own ("),
            (type("Mute", (Exception,), {"__str__": lambda self: 1 / 0})(), "Mute ("),
        ],
    )
    def test_whatever_is_raised_becomes_a_sentence(self, error, words):
        def raising():
            raise error

        with pytest.raises(InputError) as caught:
            plugins.call("data", "mine", raising)
        assert caught.value.got.startswith(f"'mine': {words}test_plugins.py, line ")
        assert caught.value.__cause__ is error

    def test_a_ctrl_c_passes(self):
        def interrupted():
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            plugins.call("data", "mine", interrupted)

    def test_keywords_of_any_name(self):
        given = {"name": 1, "argument": 2, "function": 3, "args": 4, "kwargs": 5}
        assert plugins.call("data", "mine", dict, **given) == given

    def test_a_sentence_stays_as_it_is(self):
        def refusing():
            raise InputError("f", "x", "1", "2", "give 1")

        with pytest.raises(InputError, match=r"^mine: f: x must be 1, but it was 2; give 1"):
            plugins.call("data", "mine", refusing)


MEMORIES = """
import kanerva
from kanerva.lab.memories import Entry, Parameter

def nearest_of(dim, beta=8.0):
    return kanerva.modern_hopfield(dim, beta=beta)

def needs(dim, beta):
    return kanerva.modern_hopfield(dim, beta=beta)

def turned(memory, data):
    memory.write(-data.real)

entry = Entry(
    "Turned",
    ("bits",),
    ("ramsauer2021", "@misc{me2026, title = {Turned}}"),
    lambda facts, chosen: [Parameter("beta", 64.0, "sharp")],
    nearest_of,
    fill=turned,
)
bits = Entry("Bits", ("bits",), (), lambda facts, chosen: [], nearest_of)
number = 3
built = kanerva.modern_hopfield(64, beta=1.0)

def nothing(dim):
    return None

def shorter(dim):
    return kanerva.modern_hopfield(dim - 1, beta=1.0)

def failing(dim):
    return 1 / 0

def no_argument():
    return None

def keyword_only(*, dim):
    return kanerva.modern_hopfield(dim, beta=1.0)

def other_values(dim):
    return kanerva.Patterns(dim, value_dim=3, separation=kanerva.separation.Softmax(1.0))

def doubles(dim):
    return kanerva.modern_hopfield(dim, beta=1.0).double()

def flagged(dim, name=0, argument=0, function=0, flag=True, nothing=3):
    assert (name, argument, function, flag, nothing) == (1, 2, "three", False, None)
    return kanerva.modern_hopfield(dim, beta=64.0)

class Mine(kanerva.Patterns):
    def __init__(self, dim):
        super().__init__(dim, separation=kanerva.separation.Softmax(64.0))

class Leaving(Mine):
    def write(self, *given, **more):
        raise SystemExit(0)

class Empty(Mine):
    def settle(self, query, **more):
        return (None, *super().settle(query, **more)[1:])

class Short(Mine):
    def settle(self, query, **more):
        found = super().settle(query, **more)
        return (found[0][:1], *found[1:])

class Odd(Mine):
    nbytes = "many"

class Stop(KeyboardInterrupt):
    pass

def stopping(dim):
    raise Stop

def raising(*given):
    raise RuntimeError("no")

picks = Entry("Picks", ("bits",), (), raising, nearest_of)
picked = Entry("Picked", ("bits",), (), lambda facts, chosen: ["beta"], nearest_of)
fills = Entry("Fills", ("bits",), (), lambda facts, chosen: [], nearest_of, fill=raising)
untitled = lambda: Entry(3, ("bits",), (), raising, nearest_of)

dense = cue = nearest_of
"""
QUICK = {"levels": (0.0,), "seeds": 1, "cues": 26, "codecs": ("none",), "capacity": False}


def compare(*names, given=None, domain="bits"):
    plan = recall.Plan(memories=names, given=given or {}, domain=domain, **QUICK)
    return recall.compare(data.load("letters"), plan)


@pytest.fixture
def outside(folder):
    """Put the memories of ``MEMORIES`` into the current folder."""
    (folder / "outside.py").write_text(MEMORIES)


class TestMemories:
    def test_a_callable_takes_part(self, outside):
        result = compare("outside:nearest_of", "dense", given={"nearest_of.beta": 2.0})
        assert list(chosen_of(result)) == ["dense", "nearest_of"]
        assert chosen_of(result)["nearest_of"] == [("beta", 2.0, "given")]
        rows = [row for row in result.rows if row["memory"] == "nearest_of"]
        assert [(row["title"], row["exact"]) for row in rows] == [("Nearest of", 1.0)]
        assert compare("outside:nearest_of", domain="real").rows[-1]["exact"] == 1.0

    def test_an_entry_fills_its_memory(self, outside):
        result = compare("outside:entry")
        assert result.rows[-1]["title"] == "Turned"
        assert result.rows[-1]["exact"] == 0.0
        assert chosen_of(result)["entry"] == [("beta", 64.0, "sharp")]
        given = compare("outside:entry", given={"entry.beta": 32})
        assert chosen_of(given)["entry"] == [("beta", 32, "given")]

    def test_entry_points_take_part(self, install):
        install("acme", "[kanerva.memories]\nacme.turned = acme:entry\n", MEMORIES)
        assert memories.names()[-2:] == ["eam", "acme.turned"]
        assert list(memories.find())[-2:] == ["eam", "acme.turned"]
        entries = recall.Plan(domain="real").entries
        real = [name for name, entry in entries.items() if "real" in entry.domains]
        # The third where it is named.
        assert real == [
            "modern_hopfield",
            "sparse_hopfield",
            "cdam",
            "kernel",
            "crp",
            "diffusion",
            "eam",
        ]
        result = compare("acme.turned", given={"acme.turned.beta": 32})
        assert chosen_of(result) == {"acme.turned": [("beta", 32, "given")]}

    @pytest.mark.untyped
    def test_broken_entry_points_are_left_out(self, install):
        install("acme", "[kanerva.memories]\none = acme:number\ntwo = acme:bits\n", MEMORIES)
        with pytest.warns(UserWarning, match="'one' of the package 'acme' is left out: .* memory"):
            assert list(memories.find())[-1] == "two"
        with (
            pytest.warns(UserWarning, match="'one' of the package 'acme'"),
            pytest.raises(InputError, match=r"memory must be one of hopfield, .*, one, two, or"),
        ):
            memories.find(["one"])

    def test_names_of_the_library_are_refused(self, install):
        install("acme", "[kanerva.memories]\ndense = acme:entry\n", MEMORIES)
        with pytest.raises(InputError, match="a name that kanerva does not use itself"):
            memories.find()

    @pytest.mark.untyped
    @pytest.mark.parametrize(
        ("name", "given", "sentence"),
        [
            ("outside:number", {}, "memory must be a callable that builds a memory from"),
            ("outside:built", {}, "memory must be a callable that builds a memory from"),
            ("outside:nothing", {}, "memory must be a callable that returns a kanerva.Memory"),
            ("outside:shorter", {}, "returns one of length 63"),
            ("outside:failing", {}, "'outside:failing': ZeroDivisionError: division by zero"),
            ("outside:no_argument", {}, "'no_argument', which takes no argument"),
            ("outside:keyword_only", {}, "'keyword_only', which takes keyword arguments only"),
            ("outside:other_values", {}, "'outside:other_values', .* of value length 3"),
            ("outside:doubles", {}, "^outside:doubles: Patterns.write: .*float64"),
            ("outside:Leaving", {}, "stores and recalls .*'outside:Leaving': SystemExit: 0"),
            ("outside:Empty", {}, "^outside:Empty: memory must be one whose reads have .* None"),
            ("outside:Short", {}, "^outside:Short: .* shape of their queries"),
            ("outside:Odd", {}, "^outside:Odd: nbytes must be an integer"),
            ("outside:stopping", {}, r"'outside:stopping': Stop \(outside.py, line"),
            ("outside:picks", {}, "whose pick raises no error, .*'outside:picks': RuntimeError"),
            ("outside:picked", {}, r"'outside:picked', which returns \['beta'\]"),
            ("outside:fills", {}, "'outside:fills': RuntimeError: no .outside.py"),
            ("dense", {"dense.order": 1}, "^dense: order must be"),
            ("sdm", {"sdm.locations": "many"}, "^sdm: locations must be a finite number"),
            ("outside:needs", {"needs.beta": 2, "needs.dim": 3}, "multiple values for .*'dim'"),
            ("dens", {}, "but it was 'dens' .*; write 'dense'"),
            ("dense", {"dense.ordre": 3}, "it was dense.ordre; write 'order'"),
            ("outside:needs", {}, "set must be what needs.dim, beta. takes, .* left out"),
            ("outside:needs", {"needs.beat": 1}, "it was needs.beat"),
            ("outside:needs", {"needs.beta": -1}, "beta must be"),
            ("outside:entry", {"entry.gamma": 1}, "set must be one of entry.beta"),
            ("outside:dense", {}, "a name that kanerva does not use itself"),
            ("outside:cue", {}, "a name that kanerva does not use itself"),
            ("outside:absent", {}, "something in the module 'outside'"),
            ("absent:memory", {}, "No module named 'absent'"),
            ("outside", {}, "or module:NAME of your own, but it was 'outside'"),
        ],
    )
    def test_what_is_no_memory_gets_a_sentence(self, outside, name, given, sentence):
        with pytest.raises(InputError, match=sentence):
            compare(name, given=given)

    @pytest.mark.untyped
    def test_an_entry_needs_a_title_and_functions(self):
        with pytest.raises(InputError, match="Entry: title must be a few words"):
            memories.Entry("", ("bits",), (), min, min)
        with pytest.raises(InputError, match="Entry: fill must be a function, or None"):
            memories.Entry("One", ("bits",), (), min, min, fill=3)

    def test_parameters_of_any_name_and_kind(self, outside):
        given = {"name": 1, "argument": 2, "function": "three", "flag": False, "nothing": None}
        given = {f"flagged.{name}": value for name, value in given.items()}
        assert compare("outside:flagged", given=given).rows[-1]["exact"] == 1.0

    @pytest.mark.untyped
    @pytest.mark.parametrize("name", ["failing", "Leaving", "picks", "fills", "Odd", "stopping"])
    def test_a_plugin_that_fails_is_left_out_where_it_is_not_named(self, install, name):
        install("acme", f"[kanerva.memories]\nmine = acme:{name}\n", MEMORIES)
        with pytest.warns(UserWarning, match=f"'mine' is left out: .*acme:{name}") as caught:
            result = compare()
        assert len(caught) == 1
        names = {row["memory"] for row in result.rows}
        entries = memories.ENTRIES.items()
        own = {name for name, one in entries if one.suits is None and "bits" in one.domains}
        assert names == {"cue", "nearest", *own}
        assert set(chosen_of(result)) == own
        assert "Mine" not in [title for title, _ in result.pictures]
        for asked in ({"given": {"mine.beta": 1.0}}, {"names": ("mine",)}):
            with pytest.raises(InputError):
                compare(*asked.get("names", ()), given=asked.get("given"))

    def test_two_of_one_name_get_a_sentence(self, outside, folder):
        (folder / "outside_again.py").write_text(MEMORIES)
        with pytest.raises(InputError, match="two of the name 'needs'"):
            compare("outside:needs", "outside_again:needs")

    def test_bits_only_in_real_numbers_get_a_sentence(self, outside):
        with pytest.raises(InputError, match="'bits', which stores bits; use --domain bits"):
            compare("outside:bits", domain="real")


DATA = """
import numpy as np
from kanerva.lab.data import DataSet

def stripes():
    return DataSet.of(np.arange(60.0).reshape(5, 3, 4) % 7, name="stripes", labels=[0, 1, 0, 1, 2])

def failing():
    raise OSError("no disk")

def nothing():
    return None

number = 3
"""


class TestData:
    @pytest.fixture
    def source(self, folder):
        (folder / "shapes.py").write_text(DATA)
        return "shapes:stripes"

    def test_a_function_is_loaded(self, source):
        found = data.load(source)
        assert (found.name, found.shape) == ("stripes", (3, 4))
        assert found.labels.tolist() == [0, 1, 0, 1, 2]
        assert found.bits.shape == found.real.shape == (5, 12)

    def test_patterns_and_domain(self, source):
        few = data.load(source, patterns=3, seed=1)
        assert few.real.shape == (3, 12)
        assert "3 of 5 patterns kept, chosen at random with seed 1" in few.notes
        assert data.load(source, domain="real").bits is None
        only = data.load(source, domain="bits")
        assert torch.equal(only.real, only.bits)

    def test_entry_points(self, install):
        install("acme", "[kanerva.data]\nacme = acme:stripes\n", DATA)
        assert data.names()[-1] == "acme"
        assert data.load("acme").name == "stripes"

    def test_a_broken_entry_point_is_named(self, install):
        install("acme", "[kanerva.data]\nacme = acme:absent\n", DATA)
        assert len(data.load("letters").bits) == 26
        with (
            pytest.warns(UserWarning, match="'acme' of the package 'acme' is left out"),
            pytest.raises(InputError, match="which is not there"),
        ):
            data.load("acme")

    def test_a_name_of_the_library_is_refused(self, install):
        install("acme", "[kanerva.data]\ndigits = acme:stripes\n", DATA)
        with pytest.raises(InputError, match="a name that kanerva does not use itself"):
            data.load("digits")

    @pytest.mark.parametrize(
        ("name", "options", "sentence"),
        [
            ("shapes:failing", {}, "source must be a callable that raises no error, .*no disk"),
            ("shapes:nothing", {}, "source must be a function that returns a DataSet, .*None"),
            ("shapes:number", {}, "'shapes:number', which is of type int"),
            ("shapes:absent", {}, "something in the module 'shapes'"),
            ("absent:stripes", {}, "No module named 'absent'"),
            ("shapes:stripes", {"threshold": 2.0}, "threshold must be None for the data of a"),
            ("shapes:stripes", {"patterns": 6}, "patterns must be an integer from 2 to 5"),
        ],
    )
    def test_what_is_no_data_gets_a_sentence(self, source, name, options, sentence):
        with pytest.raises(InputError, match=f"^data.load: .*{sentence}"):
            data.load(name, **options)


RECIPES = """
from typing import Annotated

from kanerva.lab import plot
from kanerva.lab.recipe import grid, recipe

def draw(rows):
    return plot.lines(rows, "n", "square", plot.Frame("Squares", "n"))

@recipe("my.squares", "Squares", "kanerva1988", "nowhere", quick=grid(n=(1, 2)), paper=grid(n=9),
        draw=draw)
def squares(n: Annotated[int, "a number"]):
    \"""Square a number.\"""
    yield {"square": n * n}

@recipe("NAME", "Cubes", "hopfield1982", "nowhere", quick=grid(n=(1, 2)), paper=grid(n=9),
        draw=draw)
def cubes(n: Annotated[int, "a number"]):
    \"""Cube a number.\"""
    yield {"square": n**3}
"""


BAD_RECIPES = """
from typing import Annotated, Any
import kanerva
from kanerva.lab import plot
from kanerva.lab.recipe import grid, recipe

class Stop(KeyboardInterrupt):
    pass

def draw(rows):
    return plot.lines(rows, "n", "x", plot.Frame("X", "n"))

def failing(rows):
    rows.clear()
    raise SystemExit(0)

def make(name, measure, draw=draw, source="kanerva1988"):
    return recipe(name, name, source, "x", quick=grid(n=(1, 2)), paper=[], draw=draw)(measure)

def raising(n: int):
    raise RuntimeError("no")
    yield {}

def leaving(n: int):
    raise SystemExit(0)
    yield {}

def stopping(n: int):
    raise Stop
    yield {}

def refusing(n: int):
    yield {"x": kanerva.dense(4, order=n - 1)}

def nothing(n: int):
    return None

def a_row(n: int):
    return {"x": 1}

def words(n: int):
    yield "x"

def lists(n: int):
    yield {"x": [1, 2]}

def numbered(n: int):
    yield {3: 1}

def comma(n: int):
    yield {"x,y": 1}

def empty(n: int):
    return iter(())

def good(n: int):
    yield {"x": n}

OWN = "@misc{me2026, title = {Mine}}"
made = {one.__name__: make("my." + one.__name__, one) for one in
        (raising, leaving, stopping, refusing, nothing, a_row, words, lists, numbered, comma,
         empty)}
globals().update(made)
drawn = make("my.drawn", good, failing)
undrawn = make("my.undrawn", good, lambda rows: None)
own = make("my.own", good, source=OWN)
up = lambda: make("../../up", good)
"""


class TestCommands:
    @pytest.mark.untyped
    @pytest.mark.parametrize(
        ("name", "sentence"),
        [
            ("raising", "'bad_recipes:raising': RuntimeError: no (bad_recipes.py, line"),
            ("leaving", "'bad_recipes:leaving': SystemExit: 0 (bad_recipes.py, line"),
            ("stopping", "'bad_recipes:stopping': Stop (bad_recipes.py, line"),
            ("refusing", "kanerva: bad_recipes:refusing: dense: order must be"),
            ("nothing", "rows must be yielded by a generator, but it was None"),
            ("a_row", "bad_recipes:a_row: my.a_row: rows must be dicts of numbers, words and None"),
            ("words", "rows must be dicts of numbers, words and None, but it was 'x' (str)"),
            ("lists", "column 'x', must be a finite number, but it was [1, 2] (list)"),
            ("numbered", "rows must be dicts with names of columns"),
            ("comma", "but it was 'x,y' (str); rename the column"),
            ("empty", "rows must be one or more, but it was none in any cell"),
        ],
    )
    def test_a_recipe_that_fails_gets_a_sentence(self, command, folder, name, sentence):
        (folder / "bad_recipes.py").write_text(BAD_RECIPES)
        code, out, error = command("run", f"bad_recipes:{name}", "--out", "here")
        assert (code, out) == (2, "")
        assert sentence.removeprefix(f"bad_recipes:{name}: my.{name}: ") in error
        assert error.count("; ") >= 1
        assert not (folder / "here").exists() or list((folder / "here").iterdir()) == []

    @pytest.mark.untyped
    def test_a_figure_that_fails_keeps_the_rows(self, command, folder):
        (folder / "bad_recipes.py").write_text(BAD_RECIPES)
        code, _, error = command("run", "bad_recipes:drawn", "--out", "here")
        assert code == 2
        assert "'bad_recipes:good': SystemExit: 0 (bad_recipes.py, line" in error
        assert "goes on from the rows that are kept" in error
        assert (folder / "here" / "table.csv").read_text() == "n,x\n1,1\n2,2\n"
        code, _, error = command("run", "bad_recipes:undrawn", "--out", "there")
        assert (code, "draw must be a function that returns a matplotlib figure" in error) == (
            2,
            True,
        )

    def test_a_recipe_may_bring_its_own_source(self, command, folder):
        (folder / "bad_recipes.py").write_text(BAD_RECIPES)
        assert command("run", "bad_recipes:own", "--json")[0] == 0
        assert "Source: me2026" in command("show", "bad_recipes:own")[1]
        assert command("cite", "bad_recipes:own")[1].strip() == "@misc{me2026, title = {Mine}}"
        code, _, error = command("cite", "bad_recipes:good")
        assert (code, "must be a memory with a source, or a recipe" in error) == (2, True)

    @pytest.mark.untyped
    @pytest.mark.filterwarnings("default")
    def test_all_recipes_run_without_a_plugin_that_fails(self, command, install, monkeypatch):
        from kanerva.lab import papers

        install("acme", "[kanerva.recipes]\nacme = acme:raising\n", BAD_RECIPES)
        shelf = {name: papers.RECIPES[name] for name in ("sdm.weights",)}
        monkeypatch.setattr(papers, "RECIPES", shelf)
        code, out, error = command("run", "--all")
        assert (code, "1 of 1 recipes" in out) == (0, True)
        assert error.count("warning: The recipe 'my.raising' is left out: run: recipe must be") == 1
        assert "'acme:raising': RuntimeError: no" in error

    @pytest.mark.filterwarnings("default")
    def test_list_names_memories_and_data(self, command, install):
        points = "[kanerva.memories]\nturned = acme:entry\nno = acme:number\n"
        points += "[kanerva.data]\nmine = acme:number\ncrops = acme:nearest_of\n"
        install("acme", points, MEMORIES)
        _, out, error = command("list")
        assert error.count("is left out") == 2
        assert "willshaw, covariance, kernel, crp, diffusion, eam, turned\n" in out
        assert "fashion, cifar10, crops\n" in out

    def test_errors_of_list_are_called_list(self, command, install):
        install("acme", "[kanerva.memories]\ndense = acme:entry\n", MEMORIES)
        assert command("list")[2].startswith("kanerva: recall: entry point 'dense'")
        install("bolt", "[kanerva.recipes]\nbolt = bolt:squares\n", RECIPES)
        install("cord", "[kanerva.recipes]\nbolt = bolt:squares\n")
        assert command("list")[2].startswith("kanerva: list: entry point 'bolt'")

    @pytest.fixture
    def command(self, monkeypatch, capsys):
        def run(*arguments):
            monkeypatch.setattr(sys, "argv", ["kanerva", *map(str, arguments)])
            with pytest.raises(SystemExit) as ended:
                cli.main()
            printed = capsys.readouterr()
            return ended.value.code or 0, printed.out, " ".join(printed.err.split())

        return run

    def test_a_memory_and_data(self, command, outside, folder):
        (folder / "shapes.py").write_text(DATA)
        small = ("--seeds", 1, "--levels", 0, "--codec", "none", "--no-capacity")
        options = ("--memory", "outside:nearest_of", "--set", "nearest_of.beta=4", *small)
        code, out, _ = command("recall", "shapes:stripes", *options)
        assert code == 0
        assert "Nearest of" in out
        (folder / "runs" / "shapes.stripes" / "report.html").unlink()
        given = ("name=1", "argument=2", "function=three", "flag=false", "nothing=None")
        words = [word for one in given for word in ("--set", f"flagged.{one}")]
        words += ["--memory", "outside:flagged", *small]
        assert command("recall", "shapes:stripes", *words)[0] == 0
        assert (folder / "runs" / "shapes.stripes" / "report.html").is_file()

    @pytest.mark.untyped
    def test_recipes(self, command, folder):
        (folder / "squares_one.py").write_text(RECIPES.replace("NAME", "my.cubes"))
        (folder / "squares_two.py").write_text("import squares_one as both")
        code, out, error = command("run", "squares_one:squares", "--jobs", 2)
        assert code == 0, error
        assert "my.squares: Squares" in out
        assert "Square a number." in command("show", "squares_one:squares")[1]
        assert "Sparse Distributed Memory" in command("cite", "squares_one:squares")[1]
        code, out, _ = command("run", "squares_two:both", "--out", "here")
        assert code == 0
        assert "2 of 2 recipes" in out
        assert (folder / "here" / "my.cubes" / "table.csv").is_file()
        code, _, error = command("show", "squares_two:both")
        assert code == 2
        assert "name must be one recipe, but it was 2 of them: my.squares, my.cubes" in error

    def test_entry_points_of_recipes(self, command, install, folder):
        install("acme", "[kanerva.recipes]\nacme = acme\n", RECIPES.replace("NAME", "my.cubes"))
        listed = json.loads(command("list", "--json")[1])
        assert [one["name"] for one in listed[-2:]] == ["my.squares", "my.cubes"]
        assert command("run", "my.cubes")[0] == 0
        assert "Hopfield" in command("cite", "my.cubes")[1]

    def test_a_recipe_with_a_name_of_the_library(self, command, install, folder):
        code = RECIPES.replace("NAME", "sdm.weights")
        (folder / "squares_three.py").write_text(code)
        assert "one of 'sdm.weights'" in command("run", "squares_three:cubes")[2]
        install("acme", "[kanerva.recipes]\nacme = acme\n", code)
        assert "'sdm.weights' of the entry point 'acme' must be" in command("list")[2]

    def test_sources_of_memories(self, command, install):
        install("acme", "[kanerva.memories]\nturned = acme:entry\nbits = acme:bits\n", MEMORIES)
        out = command("cite", "turned")[1]
        assert "@inproceedings{ramsauer2021" in out
        assert "@misc{me2026" in out
        assert list(json.loads(command("cite", "turned", "--json")[1])) == [
            "ramsauer2021",
            "me2026",
        ]
        assert "@misc{me2026" in command("cite", "acme:entry")[1]
        assert "name must be a memory with a source" in command("cite", "bits")[2]

    def test_help_lists_the_names_of_entry_points(self, command, install):
        install("acme", "[kanerva.memories]\nturned = acme:entry\n[kanerva.data]\ncrops = acme:x\n")
        out = command("recall", "--help")[1]
        assert "turned" in out
        assert "crops" in out

    def test_warnings_are_one_sentence(self, install, folder):
        install("acme", "[kanerva.memories]\nturned = acme:entry\n", "import absent")
        words = ("recall", "letters", "--seeds", "1", "--cues", "3", "--levels", "0", "--json")
        words += ("--codec", "none", "--no-capacity", "--set", "sdm.locations=100")
        run = subprocess.run(
            [sys.executable, "-m", "kanerva", *words],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run.stderr
        assert run.stderr.strip() == (
            "kanerva: warning: The entry point 'turned' of the package 'acme' is left out: "
            "ModuleNotFoundError: No module named 'absent' (acme.py, line 1)."
        )

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (("run", "absent:squares"), "name must be module:NAME of a module that can be"),
            (("run", "outside:number"), "recipes must be a Recipe, or a module of them"),
            (("show", "sdm.wieghts"), "name must be one of the names that kanerva list prints"),
            (("show", "sdm.wieghts"), "write 'sdm.weights'"),
            (("cite", "nobody"), "name must be one of the names of recipes, memories and"),
            (("recall", "letters", "--memory", "LSR"), "or module:NAME of your own"),
            (("recall", "letters", "--memory", "outside:nothing"), "returns None"),
        ],
    )
    def test_bad_input_ends_with_a_sentence(self, command, outside, folder, arguments, sentence):
        before = sorted(folder.iterdir())
        code, out, error = command(*arguments)
        assert (code, out) == (2, "")
        assert sentence in error
        assert [path for path in sorted(folder.iterdir()) if path not in before] in (
            [],
            [folder / "__pycache__"],
        )


# Run one after the other in one process, and print the exit code and whether torch is there.
ONE_BY_ONE = """
import json, sys
from kanerva.cli import main
found = []
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:] = arguments
    try:
        main()
    except SystemExit as stop:
        found.append([stop.code or 0, "torch" in sys.modules])
print(json.dumps(found), file=sys.stderr)
"""


def test_commands_that_do_not_compute_do_not_import_torch():
    commands = [
        ("--version",),
        ("--help",),
        ("recall", "--help"),
        ("list",),
        ("cite", "sdm"),
        ("recall", "letters", "--hue"),
    ]
    run = subprocess.run(
        [sys.executable, "-c", ONE_BY_ONE, json.dumps(commands)], capture_output=True, text=True
    )
    found = json.loads(run.stderr.splitlines()[-1])
    assert found == [[0, False]] * 5 + [[2, False]], run.stderr
