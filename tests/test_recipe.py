"""How recipes run: cells, checks, files, resuming, processes, commands and pages."""

import csv
import json
import pickle
import subprocess
import sys
from dataclasses import replace

import joblib
import pytest

import kanerva
import toys
from kanerva import InputError
from kanerva._core import checks
from kanerva.lab import pages, papers, plot, report, runner
from kanerva.lab.citations import MEMORIES, SOURCES, bibtex
from kanerva.lab.recipe import Check, Verdict, grid, recipe

pytestmark = pytest.mark.untyped


@pytest.fixture
def trace(monkeypatch, tmp_path):
    """Record which cells are measured."""
    monkeypatch.setenv("TOYS_TRACE", str(tmp_path / "trace"))
    return lambda: (tmp_path / "trace").read_text().split()


@pytest.fixture
def command(ran, monkeypatch):
    """Run a command in this process with the toys as recipes; return code, output and errors."""
    shelf = {one.name: one for one in (toys.squares, toys.wrong)}
    monkeypatch.setattr(papers, "RECIPES", shelf)

    def run(*arguments):
        code, out, error = ran(*arguments)
        return code, out, " ".join(error.split())

    return run


def one_cell(measure):
    """Make a recipe of one cell from a generator."""
    draw = lambda rows: toys.draw([{"n": 1, "square": 1, "seed": 0}])  # noqa: E731
    return recipe("toy.one", "One", "kanerva1988", "x", quick=grid(n=1), paper=[], draw=draw)(
        measure
    )


# The object.


def test_cells_are_the_product_of_the_sweeps():
    assert grid(a=1, b=(2, 3), c=("x", "y")) == [
        {"a": 1, "b": b, "c": c} for b in (2, 3) for c in ("x", "y")
    ]
    cells = toys.squares.cells("quick", seed=5, given={"n": "7,8", "power": 3})
    assert cells == [
        {"n": n, "power": 3.0, "seed": seed} for n, seed in ((7, 5), (8, 5), (7, 6), (8, 6))
    ]
    assert toys.squares.cells("paper") == [{"n": 100, "power": 2.0, "seed": 0}]


def test_parameters_come_from_the_signature():
    assert [(one.name, one.kind, one.help, one.default) for one in toys.squares.parameters] == [
        ("n", int, "a number", None),
        ("power", float, "how often", 2.0),
        ("seed", int, "the first seed", 0),
    ]
    assert toys.squares.about == "Square a number, twice in a row."


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: toys.squares.cells("huge"), "size must be one of"),
        (lambda: toys.squares.cells(given={"m": 1}), "set must be one of"),
        (
            lambda: toys.squares.cells(given={"n": "1,two"}),
            "n must be whole numbers with commas between, but it was 'two'",
        ),
        (lambda: toys.squares.cells(given={"n": "1.5"}), "n must be whole numbers"),
        (lambda: toys.squares.cells(given={"power": "nan"}), "power must be finite numbers"),
        (lambda: toys.squares.cells(given={"power": "1e400"}), "power must be finite numbers"),
        (
            lambda: toys.squares.cells(given={"n": "9" * 5000}),
            "n must be whole numbers.*of 5000 characters",
        ),
        (lambda: toys.squares.cells(seed=-1), "seed must be"),
        (lambda: runner.run(toys.squares, jobs=0), "jobs must be"),
        (lambda: runner.run(toys.squares, jobs=-2), "jobs must be"),
        (lambda: runner.run(toys.uneven), "yield the same keys in the same order"),
        (
            lambda: recipe("a", "b", "nobody1900", "c", quick=[], paper=[], draw=len),
            "source must be one of",
        ),
        (
            lambda: recipe("a", "b", "kanerva1988", "c", quick=grid(m=1), paper=[], draw=len)(
                toys.uneven.measure
            ),
            "a must be made of cells that its generator takes, but it was m",
        ),
        (lambda: bibtex("nobody1900"), "key must be one of"),
        (
            lambda: Check("a", "b", 0, 0, "c").judge([{"d": 1}]),
            "rows must be rows with the column 'b'",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, text):
    with pytest.raises(kanerva.InputError, match=text):
        call()


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../../up", "/tmp/x", "a/b", "a\\b", "a..b", ".a", "a b", "a\0", "a\n", 3],
)
def test_a_name_is_that_of_one_folder(name):
    with pytest.raises(kanerva.InputError, match="name must be words of letters, digits"):
        recipe(name, "b", "kanerva1988", "c", quick=[], paper=[], draw=len)(toys.uneven.measure)


def starred(*n: int):
    yield {}


def unannotated(n):
    yield {}


def misspelt(n: "Annotatde[int, '']"):
    yield {}


def flagged(n: bool):
    yield {}


@pytest.mark.parametrize(
    ("measure", "more", "text"),
    [
        (unannotated, {}, "'n' must be annotated with int, float or str, .* without an annotation"),
        (flagged, {}, "'n' must be annotated with int, float or str, .*bool.*; write n: Annotated"),
        (starred, {}, "'n' must be annotated with int, float or str"),
        (misspelt, {}, "annotations that can be read, .*'Annotatde' is not defined"),
        (len, {"quick": [{}]}, "must be annotated"),
        (3, {}, "measure must be a generator of rows"),
        (toys.uneven.measure, {"quick": [{}]}, "give every parameter, .* a cell without n"),
        (toys.uneven.measure, {"quick": [{"n": [1]}]}, "dicts of numbers, words and None"),
        (toys.uneven.measure, {"quick": [3]}, "dicts of numbers, words and None"),
        (toys.uneven.measure, {"draw": None}, "draw must be a function of the rows"),
        (toys.uneven.measure, {"checks": [1]}, "checks must be made of Check"),
        (toys.uneven.measure, {"source": "@"}, None),
    ],
)
def test_what_is_no_recipe_gets_a_sentence(measure, more, text):
    given = {"source": "kanerva1988", "quick": [], "paper": [], "draw": len} | more
    make = recipe("a", "b", figure="c", **given)
    if text is None:
        assert make(measure).source == given["source"]
        return
    with pytest.raises(kanerva.InputError, match=text):
        make(measure)


def test_checks_refuse_what_they_cannot_judge():
    with pytest.raises(kanerva.InputError, match=r"aggregate must be one of .* write 'mean'"):
        Check("a", "b", 0, 0, "c", aggregate="meen")
    with pytest.raises(kanerva.InputError, match="column 'b', must be a finite number"):
        Check("a", "b", 0, 0, "c").judge([{"b": "word"}])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_rows_hold_no_nan(value):
    def measure(n: int):
        yield {"value": value}

    with pytest.raises(kanerva.InputError, match=r"column 'value'.*finite.*yield None"):
        runner.run(one_cell(measure))


def test_verdicts_say_what_they_found():
    verdicts = runner.run(toys.squares).verdicts
    assert [verdict.ok for verdict in verdicts] == [True, None, True, True]
    assert [verdict.sentence() for verdict in verdicts] == [
        "square of 3: 9 (expected 9 +- 0, arithmetic) ok",
        "square of 100: not in this run",
        "largest square: 9 (expected 9 +- 0, arithmetic) ok",
        "square of 2 in a misprint: 4 (expected 5 +- 0, a misprint) differs: it is a misprint",
    ]
    stale = Check("a", "b", 1, 0, "c", reason="no longer").judge([{"b": 1}])
    assert not stale.ok
    assert "FAILED to differ" in stale.sentence()
    assert Check("a", "b", 1, 0.1, "c").judge([{"b": 1.2}, {"b": None}]) == Verdict(
        "a", 1.2, 1, 0.1, "c", False, ""
    )
    assert Check("a", "b", 1, 0.1, "c", aggregate="min").judge([{"b": 1.2}, {"b": 1}]).ok
    near = Check("a", "b", 1, 0.1, "c", at={"d": 0.1})
    assert near.judge([{"b": 1, "d": 0.1 + 1e-12}, {"b": 7, "d": 0.2}]).ok


def test_errors_of_a_generator_bear_the_name_of_the_recipe():
    def measure(n: int):
        kanerva.bits.random(-1, n, seed=0)
        yield {}

    def check(n: int):
        checks.integer("cues", 0, 1)
        yield {}

    for generator, name in ((measure, "random"), (check, "toy.one")):
        with pytest.raises(kanerva.InputError) as error:
            runner.run(one_cell(generator))
        assert error.value.function.endswith(name)


def test_a_recipe_travels_by_name():
    assert pickle.loads(pickle.dumps(toys.squares)) is toys.squares


def test_a_recipe_of_a_script_runs_in_processes_of_its_own(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from kanerva.lab import runner\nfrom kanerva.lab.recipe import grid, recipe\n"
        "@recipe('a.b', 'c', 'kanerva1988', 'd', quick=grid(n=(1, 2)), paper=[], draw=len)\n"
        "def measured(n: int):\n    yield {'square': n * n}\n"
        "print([row['square'] for row in runner.run(measured, jobs=2).rows])\n"
    )
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "[1, 4]\n"


# Files.


def test_a_recipe_may_draw_several_figures(tmp_path):
    both = lambda rows: {"first": toys.draw(rows), "other": toys.draw(rows[:2])}  # noqa: E731
    several = replace(toys.squares, draw=both)
    result = runner.run(several, tmp_path / "runs" / several.name)
    drawn = {path.name for path in result.files if path.suffix == ".svg"}
    assert drawn == {"figure.svg", "figure-other.svg"}
    pages.write({several.name: several}, {}, tmp_path / "runs", tmp_path / "docs")
    page = (tmp_path / "docs" / "recipes" / "toy.squares.md").read_text()
    assert "](toy.squares.png)" in page
    assert "](toy.squares-other.png)" in page
    assert (tmp_path / "docs" / "recipes" / "toy.squares-other.png").stat().st_size


@pytest.mark.parametrize(
    ("drawn", "words"),
    [
        (3, "draw must be a function that returns a matplotlib figure"),
        ({}, "draw must be a function that returns a matplotlib figure"),
        ({"a": 3}, "draw must be a function that returns a matplotlib figure"),
        ({"../a": 3}, "draw, a name of its figures, must be a word"),
        ({1: 3}, "draw, a name of its figures, must be a word"),
    ],
)
def test_what_is_no_figure_is_refused(drawn, words):
    with pytest.raises(InputError, match=words):
        replace(toys.squares, draw=lambda rows: drawn).figures([])


def test_a_run_leaves_table_figure_and_manifest(tmp_path):
    seen = []
    result = runner.run(
        toys.squares, tmp_path / "a" / "b", seed=3, progress=lambda *record: seen.append(record)
    )
    folder = tmp_path / "a" / "b"
    assert sorted(path.name for path in folder.iterdir()) == [
        "figure.png",
        "figure.svg",
        "manifest.json",
        "table.csv",
    ]
    assert sorted(result.files) == sorted(folder.iterdir())
    with (folder / "table.csv").open() as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == ["n", "power", "seed", "repeat", "square", "word"]
    assert [int(row["n"]) for row in table] == [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]
    assert {row["seed"] for row in table} == {"3", "4"}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["cells"], manifest["rows"], manifest["seed"]) == (6, 12, 3)
    assert [check["ok"] for check in manifest["checks"]] == [True, None, True, True]
    assert seen == [("toy.squares", done, 6) for done in range(7)]
    assert result.rows[0] == {
        "n": 1,
        "power": 2.0,
        "seed": 3,
        "repeat": 0,
        "square": 1.0,
        "word": "first, or so",
    }
    assert result.rows[1]["word"] is None
    again = runner.read(toys.squares, folder)
    assert (again.rows, again.verdicts) == (result.rows, result.verdicts)
    assert runner.run(toys.squares, seed=3).rows == result.rows


def test_an_interrupted_run_goes_on_where_it_was(tmp_path, monkeypatch, trace):
    whole = runner.run(toys.squares)
    monkeypatch.setenv("TOYS_FAIL", "2,1")
    with pytest.raises(KeyboardInterrupt):
        runner.run(toys.squares, tmp_path / "out")
    kept = (tmp_path / "out" / "table.csv").read_text()
    assert kept.count("\n") == 7  # names, and two rows for each of three cells
    assert not (tmp_path / "out" / "manifest.json").exists()
    with pytest.raises(kanerva.InputFileError, match=r"run it first: kanerva run toy\.squares"):
        runner.read(toys.squares, tmp_path / "out")
    # What the machine was writing when it stopped may be torn anywhere.
    for path in ("table.csv", "unfinished.jsonl"):
        with (tmp_path / "out" / path).open("a") as file:
            file.write('{"ce')
    with pytest.raises(kanerva.InputFileError, match="where another run is unfinished"):
        runner.run(toys.squares, tmp_path / "out", seed=1)
    monkeypatch.delenv("TOYS_FAIL")
    before = len(trace())
    result = runner.run(toys.squares, tmp_path / "out")
    assert trace()[before:] == ["2,1", "3,0", "3,1"]
    assert result.rows == whole.rows
    assert (tmp_path / "out" / "table.csv").read_text().startswith(kept)
    assert not (tmp_path / "out" / "unfinished.jsonl").exists()
    # A finished run is replaced.
    assert runner.run(toys.squares, tmp_path / "out", seed=1).manifest["seed"] == 1


def test_what_is_left_of_a_run_that_had_hardly_begun_is_replaced(tmp_path):
    for name, text in (("table.csv", "n,pow"), ("unfinished.jsonl", '{"rec')):
        (tmp_path / name).write_text(text)
    assert len(runner.run(toys.squares, tmp_path).rows) == 12


@pytest.mark.parametrize("left", [None, "", "n,power"])
def test_rows_that_were_lost_are_measured_again(tmp_path, monkeypatch, left):
    monkeypatch.setenv("TOYS_FAIL", "3,0")
    with pytest.raises(KeyboardInterrupt):
        runner.run(toys.squares, tmp_path)
    (tmp_path / "table.csv").unlink()
    if left is not None:
        (tmp_path / "table.csv").write_text(left)
    monkeypatch.delenv("TOYS_FAIL")
    assert runner.run(toys.squares, tmp_path).rows == runner.run(toys.squares).rows


def test_processes_and_a_cluster_give_the_same_table(tmp_path):
    from joblib import parallel_config

    distributed = pytest.importorskip("distributed")
    alone = runner.run(toys.squares, tmp_path / "alone")
    side = runner.run(toys.squares, tmp_path / "side", jobs=2)
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
        parallel_config(backend="dask"),
    ):
        far = runner.run(toys.squares, tmp_path / "far")
    assert alone.rows == side.rows == far.rows
    texts = {(tmp_path / name / "table.csv").read_text() for name in ("alone", "side", "far")}
    assert len(texts) == 1


@pytest.mark.parametrize("moment", ["figure", "table", "manifest"])
def test_a_run_that_is_stopped_while_it_ends_is_taken_up(tmp_path, monkeypatch, trace, moment):
    whole = runner.run(toys.squares)

    class Backwards:
        """In place of joblib.Parallel: run the cells one by one, the last one first."""

        def __init__(self, **_):
            pass

        def __call__(self, tasks):
            return (call(*args, **more) for call, args, more in reversed(list(tasks)))

    def stop(*_):
        raise KeyboardInterrupt

    ends = {
        "figure": (plot, "save"),
        "table": (report, "write_csv"),
        "manifest": (report, "write_json"),
    }
    with monkeypatch.context() as patch:
        patch.setattr(joblib, "Parallel", Backwards)
        patch.setattr(*ends[moment], stop)
        with pytest.raises(KeyboardInterrupt):
            runner.run(toys.squares, tmp_path)
    before = trace()
    assert runner.run(toys.squares, tmp_path).rows == whole.rows
    assert trace() == before  # nothing is measured again
    assert runner.read(toys.squares, tmp_path).rows == whole.rows


def test_a_table_that_others_changed_is_not_taken_up(tmp_path, monkeypatch):
    monkeypatch.setenv("TOYS_FAIL", "3,0")
    with pytest.raises(KeyboardInterrupt):
        runner.run(toys.squares, tmp_path)
    table = tmp_path / "table.csv"
    table.write_text(table.read_text().replace("\n", "\n\n"))
    with pytest.raises(kanerva.InputFileError, match="table as the run left it"):
        runner.run(toys.squares, tmp_path)


def test_two_runs_do_not_share_a_folder(tmp_path):
    pytest.importorskip("fcntl")

    def measure(n: int):
        with pytest.raises(kanerva.InputFileError, match="another run is at work"):
            runner.run(toys.squares, tmp_path)
        yield {"value": n}

    one = one_cell(measure)
    runner.run(one, tmp_path)
    with pytest.raises(kanerva.InputFileError, match=r"holds a run of 'toy\.one'"):
        runner.run(toys.squares, tmp_path)
    assert runner.read(one, tmp_path).rows == [{"n": 1, "value": 1}]


def test_what_is_refused_leaves_an_earlier_run_as_it_is(tmp_path):
    def measure(n: int):
        if n < 0:
            raise kanerva.InputError("toy", "n", "positive", str(n), "give more")
        yield {"value": n}

    one = one_cell(measure)
    before = runner.run(one, tmp_path)
    with pytest.raises(kanerva.InputError, match="n must be positive"):
        runner.run(one, tmp_path, given={"n": -1})
    assert runner.read(one, tmp_path).rows == before.rows
    with pytest.raises(kanerva.InputError, match="n must be positive"):
        runner.run(one, tmp_path / "new", given={"n": -1})
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("word", ["007", "1e5", "nan", "inf", "1_000", " 5", "٣", "a\rb"])
def test_words_that_read_as_numbers_are_refused(word):
    def measure(n: int):
        yield {"word": word}

    with pytest.raises(kanerva.InputError, match="a word that does not read as a number"):
        runner.run(one_cell(measure))


def test_words_come_back_as_they_were(tmp_path):
    words = ["a,b", 'say "no"', "two\nlines", "ü – \u2028", " x "]

    def measure(n: int):
        yield from ({"word": word} for word in words)

    one = one_cell(measure)
    runner.run(one, tmp_path)
    assert [row["word"] for row in runner.read(one, tmp_path).rows] == words
    (tmp_path / "table.csv").write_text("n,word\n1\n")
    with pytest.raises(kanerva.InputFileError, match="finished run"):
        runner.read(one, tmp_path)


def test_no_more_processes_than_cells(monkeypatch):
    jobs, parallel = [], joblib.Parallel

    def record(n_jobs, **more):
        jobs.append(n_jobs)
        return parallel(n_jobs=1, **more)

    monkeypatch.setattr(joblib, "Parallel", record)
    runner.run(toys.squares, jobs=100_000)
    assert jobs == [6]


def test_folders_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(kanerva.InputFileError, match="out must be a folder that can be written"):
        runner.run(toys.squares, tmp_path / "file" / "below")
    runner.run(toys.squares, tmp_path / "out")
    with pytest.raises(kanerva.InputFileError, match=r"that of a run of 'toy\.wrong'"):
        runner.read(toys.wrong, tmp_path / "out")


# Commands.


def test_list_and_show(command):
    code, out, _ = command("list")
    assert code == 0
    assert "toy.squares" in out
    assert [one["name"] for one in json.loads(command("list", "--json")[1])] == [
        "toy.squares",
        "toy.wrong",
    ]
    out = command("show", "toy.squares")[1]
    assert "how often" in out
    assert "6 cells quick, 1 cell paper; 4 numbers are checked." in out
    record = json.loads(command("show", "toy.squares", "--json")[1])
    assert record["parameters"][0] == {
        "name": "n",
        "kind": "int",
        "help": "a number",
        "default": None,
    }


def test_run_prints_checks_and_ends_with_1_when_one_fails(command, tmp_path):
    code, out, _ = command("run", "toy.squares")
    assert code == 0
    assert "square of 3: 9 (expected 9 +- 0, arithmetic) ok" in out
    assert (tmp_path / "runs" / "toy.squares" / "figure.svg").is_file()
    code, out, _ = command("run", "toy.wrong", "--out", "there")
    assert code == 1
    assert "one: 1 (expected 2 +- 0.5, a mistake) FAILED" in out
    assert (tmp_path / "there" / "table.csv").is_file()
    code, out, _ = command("run", "--all", "--jobs", "2")
    assert code == 1
    assert "1 of 2 recipes" in out
    code, out, _ = command("run", "toy.squares", "--json", "--set", "n=3", "--seed", "4")
    record = json.loads(out)
    assert record["manifest"]["given"] == {"n": "3"}
    assert record["checks"][0]["ok"]


def test_an_interrupted_command_says_that_nothing_is_lost(command, monkeypatch):
    monkeypatch.setenv("TOYS_FAIL", "2,0")
    code, _, err = command("run", "toy.squares")
    assert code == 130
    assert "kept in runs/toy.squares; the same command goes on from there" in err
    monkeypatch.delenv("TOYS_FAIL")
    assert command("run", "toy.squares")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("run",), "name must be one recipe, or --all"),
        (("run", "toy.squares", "--all"), "name must be one recipe, or --all"),
        (("run", "--all", "--set", "n=1"), "set must be given for one recipe"),
        (("run", "nothing"), "name must be one of"),
        (("show", "nothing"), "name must be one of"),
        (("cite", "nothing"), "name must be one of"),
        (("run", "toy.squares", "--set", "n"), "set must be NAME=VALUE"),
        (
            ("run", "toy.squares", "--set", "n=1", "--set", "n=2"),
            "set must be given once for each parameter",
        ),
        (("run", "toy.squares", "--set", "n=x"), "n must be whole numbers"),
        (("run", "toy.squares", "--size", "huge"), "size must be one of"),
        (("run", "toy.squares", "--jobs", "0"), "jobs must be"),
        (("pages", "nowhere"), "folder must be that of a finished run"),
    ],
)
def test_commands_refuse_in_a_sentence(command, arguments, text, tmp_path):
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert text in err
    assert list(tmp_path.iterdir()) == []


def test_cite(command):
    assert "Kanerva, Pentti" in command("cite", "toy.squares")[1]
    assert command("cite", "sdm")[1].count("@") == 2
    assert list(json.loads(command("cite", "kanerva1988", "--json")[1])) == ["kanerva1988"]


def test_every_memory_and_recipe_has_a_source():
    assert {key for keys in MEMORIES.values() for key in keys} <= set(SOURCES)
    constructors = {
        name
        for name in kanerva.__all__
        if name in MEMORIES or getattr(getattr(kanerva, name), "__module__", "") == "kanerva.models"
    }
    assert constructors <= set(MEMORIES)
    for key in SOURCES:
        entry = bibtex(key)
        assert entry.count("{") == entry.count("}")


def test_pages_put_what_differs_first(tmp_path):
    shelf = {one.name: one for one in (toys.squares,)}
    runner.run(toys.squares, tmp_path / "runs" / "toy.squares")
    written = pages.write(
        shelf, {"figure 9": "it needs a telescope."}, tmp_path / "runs", tmp_path / "docs"
    )
    assert all(path.is_file() for path in written)
    text = (tmp_path / "docs" / "fidelity.md").read_text()
    assert (
        "Of 4 numbers 2 come out within their tolerance. Known to differ: 1. Not run here: 1."
        in text
    )
    assert (
        text.index("it is a misprint")
        < text.index("figure 9: it needs a telescope.")
        < text.index("| square of 3 | 9 | 9 |")
    )
    page = (tmp_path / "docs" / "recipes" / "toy.squares.md").read_text()
    assert "| `n` | a number | 1, 2, 3 | 100 |" in page
    assert "![Squares](toy.squares.png)" in page


def test_numbers_that_one_run_leaves_open_come_from_another(tmp_path):
    shelf = {one.name: one for one in (toys.squares,)}
    runner.run(toys.squares, tmp_path / "quick" / "toy.squares")
    runner.run(toys.squares, tmp_path / "paper" / "toy.squares", size="paper", given={"power": 2})
    pages.write(shelf, {}, tmp_path / "quick", tmp_path / "docs", [tmp_path / "paper"])
    text = (tmp_path / "docs" / "fidelity.md").read_text()
    assert (
        "Of 4 numbers 3 come out within their tolerance. Known to differ: 1. Not run here: 0."
        in text
    )
    # Of the first run, not the 10,000 of the second.
    assert "| largest square | 9 | 9 | 0 | ok |" in text


def test_a_check_subtracts_other_rows():
    rows = [{"run": name, "beta": beta} for name, beta in (("a", 5.0), ("a", 7.0), ("b", 4.0))]
    check = Check("a less b", "beta", 2, 0.1, "by hand", {"run": "a"}, less={"run": "b"})
    verdict = check.judge(rows)
    assert verdict.value == 2
    assert verdict.ok
    assert check.judge(rows[:2]).ok is None
    assert check.judge(rows[2:]).ok is None


def test_names_of_figures_differ_in_more_than_case():
    drawn = toys.draw([{"n": 1, "square": 1, "seed": 0}])
    for names, words in ((("a", "B", "b"), "differ in more than case"), (("a", ""), "a word of")):
        several = replace(toys.squares, draw=lambda rows, names=names: dict.fromkeys(names, drawn))
        with pytest.raises(InputError, match=words):
            several.figures([])
