"""The package as a whole: the cost of its import, its documentation, the size of its files."""

import ast
import doctest
import importlib
import importlib.metadata
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import kanerva

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
HEAVY = [
    "sklearn",
    "skimage",
    "PIL",
    "matplotlib",
    "jinja2",
    "numba",
    "scipy.special",
    "scipy.stats",
    "typer",
    "rich",
    "transformers",
    "automata",
]
SECONDS = 0.5
CODE_LINES, PARAMETERS, OPTIONS, FILE_LINES = 65, 8, 12, 300
# Entries of the package's folder; the families to come take four more.
ROOT_ENTRIES, FLOORS = 26, 9
# Python functions that a read of a few vectors may call.
FRAMES = 25

IMPORT = """
import json, sys, time
import torch
start = time.perf_counter()
import kanerva
print(json.dumps([time.perf_counter() - start, sorted(sys.modules)]))
"""


def python(code: str, folder: Path) -> str:
    """Run code in a process of its own, outside the checkout; return its output."""
    run = subprocess.run(
        [sys.executable, "-I", "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def module_name(path: Path) -> str:
    """Name the module that a source file holds."""
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def called(value: object) -> bool:
    """Return whether users call a value, so that its docstring needs an example."""
    if isinstance(value, type):
        # Users get errors and named tuples, but do not build them.
        return not issubclass(value, Exception | tuple)
    return inspect.isroutine(value)


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return every function and method of a file."""
    return [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def code_lines(tree: ast.Module, text: str) -> list[int]:
    """Return the lines of a file, in order, without docstrings, comments and blank lines."""
    found = enumerate(map(str.strip, text.splitlines()), 1)
    counted = {line for line, words in found if words and not words.startswith("#")}
    documented = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)
    for inner in ast.walk(tree):
        if isinstance(inner, documented) and ast.get_docstring(inner) is not None:
            counted -= set(range(inner.body[0].lineno, inner.body[0].end_lineno + 1))
    return sorted(counted)


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[int, int]:
    """Count the parameters of a function without self and cls: by position, and in all."""
    taken = function.args
    placed = [*taken.posonlyargs, *taken.args, taken.vararg]
    names = [argument.arg for argument in placed if argument is not None]
    by_place = sum(1 for name in names if name not in ("self", "cls"))
    return by_place, by_place + len(taken.kwonlyargs) + (taken.kwarg is not None)


def test_import_is_light_and_quick(tmp_path):
    costs = []
    for _ in range(3):  # the best of three, because the machine may be busy
        seconds, loaded = json.loads(python(IMPORT, tmp_path))
        heavy = ", ".join(name for name in HEAVY if name in loaded)
        assert not heavy, f"import kanerva loads {heavy}: import them inside functions"
        costs.append(seconds)
        if seconds < SECONDS:
            break
    assert min(costs) < SECONDS, f"import kanerva took {min(costs):.2f} s beyond torch"


@pytest.mark.parametrize("name", [name for name in map(module_name, SOURCES) if "._" not in name])
def test_public_names_are_documented_with_an_example(name):
    module = importlib.import_module(name)
    assert inspect.getdoc(module), f"{name} has no docstring"
    assert hasattr(module, "__all__"), f"{name} has no __all__"
    for public in module.__all__:
        assert hasattr(module, public), f"{name}.__all__ names {public}, which is not there"
        value = getattr(module, public)
        text = inspect.getdoc(value)
        assert text, f"{name}.{public} has no docstring"
        if called(value):
            assert doctest.DocTestParser().get_examples(text), f"{name}.{public} has no example"


def test_first_block_of_the_readme_runs(tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert blocks, "README.md has no python block"
    assert ">>>" not in blocks[0], "write the first block of README.md as plain code"
    assert python(blocks[0], tmp_path), "the first block of README.md should print its result"


def test_version_is_the_installed_one():
    installed = importlib.metadata.version("kanerva")
    advice = "the version changed since .venv was made: touch pyproject.toml and run make again"
    assert kanerva.__version__ == installed, advice


def test_types_are_announced():
    assert (Path(kanerva.__file__).parent / "py.typed").is_file()


def may_be_wide(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether a function is a command, a recipe or a compiled kernel.

    Their parameters are options of users or plain numbers, so there may be many.
    """
    marks = [ast.unparse(mark) for mark in function.decorator_list]
    return any(word in mark for mark in marks for word in ("command(", "recipe(", "compiled"))


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_parts_stay_small(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    lines = code_lines(tree, text)
    found = functions(tree)
    long, wide = [], []
    for function in found:
        inside = [line for line in lines if function.lineno <= line <= function.end_lineno]
        length, width = len(inside), parameters(function)
        if length > CODE_LINES:
            long.append(f"{function.name} ({length} lines)")
        too_wide = width[0] > PARAMETERS or width[1] > OPTIONS
        if too_wide and not may_be_wide(function):
            wide.append(f"{function.name} ({width[1]} parameters)")
    assert len(lines) <= FILE_LINES, (
        f"{path.name} has {len(lines)} lines of code; split it by ideas"
    )
    assert not long, f"cut into smaller functions: {', '.join(long)}"
    assert not wide, f"gather parameters into one object: {', '.join(wide)}"


def test_the_root_has_few_entries():
    home = Path(kanerva.__file__).parent
    entries = [path.name for path in home.iterdir() if path.name != "__pycache__"]
    assert len(entries) <= ROOT_ENTRIES, sorted(entries)


def parts() -> set[str]:
    """Return the names of the parts and stores that no code outside the engine compares with."""
    modules = (kanerva.separation, kanerva.similarity, kanerva.activation)
    names = {name for module in modules for name in module.__all__}
    return names - {"Separation", "Partial", "Activation"} | {"Patterns", "Locations"}


def named(node: ast.AST) -> set[str]:
    """Return the names in an expression, without the arguments of its calls."""
    if isinstance(node, ast.Call):
        return set()
    own = {node.id} if isinstance(node, ast.Name) else set()
    # torch has modules of the same names.
    if isinstance(node, ast.Attribute):
        return set() if ast.unparse(node).startswith(("nn.", "torch.")) else {node.attr}
    return own.union(*map(named, ast.iter_child_nodes(node)))


def comparisons(tree: ast.AST, known: set[str]) -> list[str]:
    """Return the comparisons with known names: ``is``, ``==``, ``in``, isinstance, issubclass."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            names = set().union(*(named(side) for side in (node.left, *node.comparators)))
        elif getattr(getattr(node, "func", None), "id", None) in ("isinstance", "issubclass"):
            names = named(node.args[1])
        else:
            continue
        if names & known:
            found.append(f"line {node.lineno}: {ast.unparse(node)}")
    return found


def test_no_code_compares_with_parts():
    """Properties of a part are its attributes; only the engine has faster ways by type."""
    found, known = [], parts()
    for path in SOURCES:
        place = path.relative_to(ROOT / "src" / "kanerva").as_posix()
        if not place.startswith(("_engine/", "lab/papers/")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found += [f"{place} {one}" for one in comparisons(tree, known)]
    assert not found, "\n".join(found)


def test_comparisons_with_parts_are_found():
    code = "isinstance(rule, (Softmax, Step)); x is similarity.dot; type(a) is Sign; b < 3"
    tree = ast.parse(code)
    assert len(comparisons(tree, parts())) == 3


@pytest.mark.untyped  # the run-time shape checks are calls, too
def test_a_small_read_takes_few_frames():
    memory = kanerva.modern_hopfield(16, beta=0.5)
    memory.write(torch.randn(32, 16, generator=torch.Generator().manual_seed(0)))
    query, called = memory.keys[:1].clone(), []
    memory.read(query)
    sys.setprofile(lambda frame, event, value: called.append(frame) if event == "call" else None)
    try:
        memory.read(query)
    finally:
        sys.setprofile(None)
    assert len(called) <= FRAMES, [frame.f_code.co_qualname for frame in called]
