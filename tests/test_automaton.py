"""Automata in a memory against their tables, and regular expressions against ``re``."""

import importlib.util
import itertools
import os
import re
import subprocess
import sys
import warnings

import pytest
import torch

import kanerva
from kanerva import InputError, correlated
from kanerva.correlated import Automaton

FAMILY = {
    ("H", "wife"): "M",
    ("H", "son"): "B",
    ("H", "daughter"): "L",
    ("M", "husband"): "H",
    ("M", "son"): "B",
    ("M", "daughter"): "L",
    ("L", "mother"): "M",
    ("L", "father"): "H",
    ("L", "brother"): "B",
    ("B", "mother"): "M",
    ("B", "father"): "H",
    ("B", "sister"): "L",
}
UNDEFINED = [
    pair
    for pair in itertools.product("HMBL", dict.fromkeys(symbol for _, symbol in FAMILY))
    if pair not in FAMILY
]
WORDS = [
    ["daughter", "daughter", "brother"],
    ["father", "wife", "husband"],
    ["father", "son", "mother"],
]
PARITY = {(state, symbol): state ^ symbol for state in (0, 1) for symbol in (0, 1)}
MODULO = {(state, "t"): (state + 1) % 3 for state in range(3)}
CONTAINS = {
    (0, "a"): 1,
    (0, "b"): 0,
    (1, "a"): 1,
    (1, "b"): 2,
    (2, "a"): 2,
    (2, "b"): 2,
}
PARTIAL = {("p", "a"): "q", ("q", "b"): "r", ("r", "a"): "q"}


def simulated(table, word, start):
    """Return the states of a deterministic table; undefined transitions stay."""
    path = [start]
    for symbol in word:
        path.append(table.get((path[-1], symbol), path[-1]))
    return path


def drawn(symbols, count, length, seed=0):
    """Draw words of different lengths."""
    source = torch.Generator().manual_seed(seed)
    sizes = torch.randint(length + 1, (count,), generator=source).tolist()
    places = [torch.randint(len(symbols), (size,), generator=source).tolist() for size in sizes]
    return [[symbols[place] for place in word] for word in places]


def table_of(states, symbols, seed):
    """Draw a table in which every transition is defined."""
    source = torch.Generator().manual_seed(seed)
    ends = torch.randint(states, (states, symbols), generator=source).tolist()
    return {(state, x): ends[state][x] for state in range(states) for x in range(symbols)}


@pytest.mark.untyped
@pytest.mark.parametrize("mean", [1.0, 1 / 1000])
@pytest.mark.parametrize("undefined", ["stay", "nearest"])
def test_the_family_goes_through_the_published_words(mean, undefined):
    for seed in range(10):
        automaton = Automaton(FAMILY, undefined=undefined, mean=mean, seed=seed)
        runs = automaton.run_all(WORDS, ["M", "B", "H"])
        assert ["".join(run.states) for run in runs] == ["MLLB", "BHMH", "HHBM"]
        best, second = torch.cat([run.overlaps.topk(2).values for run in runs]).T
        low, high = (0.9, 0.96) if mean == 1 else (0.99, 1.01)
        assert best.min() > low
        assert best.max() < high
        assert second.max() < 0.25


def test_the_memory_is_the_published_one():
    automaton = Automaton(FAMILY, undefined="nearest")
    memory, links = automaton.memory, automaton.memory.links
    assert automaton.states == ("H", "M", "B", "L")
    assert automaton.symbols[:4] == ("wife", "son", "daughter", "husband")
    assert memory.keys.shape == (16, 1000)
    assert (memory.auto, memory.hetero, memory.mean, memory.normalise) == (0, 1, 1, "none")
    assert (memory.rate, memory.separation.part.beta) == (0.1, 0.5)
    pairs = list(zip(links.sources.tolist(), links.targets.tolist(), strict=True))
    ends = [automaton.states.index(state) for state in FAMILY.values()]
    assert pairs == [*((k, k) for k in range(4)), *((k, end) for k, end in enumerate(ends, 4))]
    assert (links.strengths == 1).all()
    for row, (state, symbol) in enumerate(FAMILY, 4):
        place = automaton.states.index(state)
        assert torch.equal(memory.keys[row, :250], memory.keys[place, :250])
        for other, (_, same) in enumerate(FAMILY, 4):
            equal = torch.equal(memory.keys[row, 250:], memory.keys[other, 250:])
            assert equal == (symbol == same)
    assert memory.keys.min() >= 0
    assert memory.keys.max() < 1
    # Recalled from each of the patterns, the network ends in the state that the table names.
    found = correlated.overlaps(memory.at(beta=1.0).recall(memory.keys), memory.keys)
    assert found.argmax(-1).tolist() == [0, 1, 2, 3, *ends]
    assert repr(automaton) == "Automaton(4 states, 8 symbols, 12 transitions, 1000 neurons)"


@pytest.mark.untyped
@pytest.mark.parametrize(("table", "seed"), [(PARITY, 0), (MODULO, 1), (CONTAINS, 2)])
def test_words_end_where_the_table_says(table, seed):
    automaton = Automaton(table, start=0, accept=[0], seed=seed)
    words = drawn(automaton.symbols, 30, 12, seed)
    for word, run in zip(words, automaton.run_all(words), strict=True):
        assert run.states == simulated(table, word, 0)
        assert run.margins.min() > 0.5
    assert automaton.accepts(words[0]) == (simulated(table, words[0], 0)[-1] == 0)


@pytest.mark.untyped
def test_words_together_run_as_each_alone():
    automaton = Automaton(FAMILY, start="H")
    words = [*drawn(automaton.symbols, 3, 5), []]
    for start in (None, "B", ["H", "M", "B", "L"]):
        runs = automaton.run_all(words, start)
        starts = start if isinstance(start, list) else [start] * len(words)
        assert len(runs) == len(words)
        for word, one, run in zip(words, starts, runs, strict=True):
            alone = automaton.run(word, one)
            assert run.states == alone.states == simulated(FAMILY, word, one or "H")
            assert run.overlaps.shape == (len(word) + 1, 4)
            torch.testing.assert_close(run.overlaps, alone.overlaps, rtol=0, atol=1e-4)
            torch.testing.assert_close(run.margins, alone.margins, rtol=0, atol=1e-4)
            top = run.overlaps.sort(descending=True).values
            torch.testing.assert_close(run.margins, top[:, 0] - top[:, 1])
    assert automaton.run_all([]) == automaton.run_all([], []) == []
    text = Automaton(MODULO, start=0)
    assert text.run("tt").states == text.run(("t", "t")).states == [0, 1, 2]


def test_the_start_is_not_changed():
    automaton = Automaton(PARITY, start=0)
    before = automaton.memory.keys.clone()
    automaton.run([1, 0, 1])
    assert torch.equal(automaton.memory.keys, before)


def test_symbols_without_a_transition_stay():
    automaton = Automaton(PARTIAL, start="p")
    assert automaton.states == ("p", "q", "r")
    assert automaton.run("bbabbaa").states == list("pppqrrqq")
    runs = Automaton(FAMILY).run_all([[x] for _, x in UNDEFINED], [state for state, _ in UNDEFINED])
    assert all(run.states == [state] * 2 for (state, _), run in zip(UNDEFINED, runs, strict=True))


def test_without_patterns_for_them_they_go_along_the_transition_of_another_state():
    """The published network stays only where this transition leads back, as in its words."""
    assert Automaton(PARTIAL, start="p", undefined="nearest").run("b").states == ["p", "r"]
    automaton = Automaton(FAMILY, undefined="nearest")
    runs = automaton.run_all([[x] for _, x in UNDEFINED], [state for state, _ in UNDEFINED])
    ends = {symbol: end for (_, symbol), end in FAMILY.items()}  # one end for each symbol
    assert all(run.states[-1] == ends[x] for (_, x), run in zip(UNDEFINED, runs, strict=True))


@pytest.mark.untyped
def test_the_trap_is_never_left():
    automaton = Automaton(PARTIAL, start="p", accept=["r"], undefined="trap")
    assert automaton.states == ("p", "q", "r", None)
    assert automaton.run("abbab").states == ["p", "q", "r", None, None, None]
    assert automaton.accepts("abab")
    assert not automaton.accepts("abb")
    # Where every transition is defined, nothing is added.
    tables = [Automaton(PARITY, undefined=mode).memory for mode in ("trap", "stay", "nearest")]
    assert all(torch.equal(memory.keys, tables[0].keys) for memory in tables)


@pytest.mark.untyped
def test_undefined_transitions_are_refused_by_step():
    automaton = Automaton(PARTIAL, start="p", undefined="raise")
    assert automaton.run("aba").states == list("pqrq")
    start = "Automaton.run: word must be of defined transitions, but it was 'b' (str) as "
    end = "symbol 3 in the state 'r' (str); build the automaton"
    assert sentence(lambda: automaton.run("abb")).startswith(start + end)
    found = sentence(lambda: automaton.run_all(["ab", "a", "aa"]))
    assert "'a' (str) as symbol 2 of word 3 in the state 'q' (str)" in found


@pytest.mark.untyped
def test_several_targets_are_mixed():
    table = {("p", "a"): ["q", "r"], ("q", "b"): "p", ("r", "b"): "p", ("p", "b"): "p"}
    for seed in range(3):
        mixed = Automaton(table, start="p", undefined="nearest", seed=seed, rate=1.0, steps=1)
        row = mixed.run("a").overlaps[1]
        assert row[1:].min() > 0.4
        assert (row[1] - row[2]).abs() < 0.1
        assert mixed.memory.links.strengths.tolist() == [1, 1, 1, 0.5, 0.5, 1, 1, 1]
        settled = Automaton(table, start="p", seed=seed)
        run = settled.run("ab")
        assert run.states[1] in ("q", "r")
        assert run.states[2] == "p"
        assert run.overlaps[1].max() > 0.8
        assert settled.run("ab").states == run.states


def test_lists_and_sets_mean_several_and_tuples_are_told_apart():
    several = [["q", "p"], {"q", "p"}, ("q", "p"), frozenset("qp")]
    for target in several:
        automaton = Automaton({("p", "a"): target, ("q", "a"): "p"})
        assert set(automaton.states) == {"p", "q"}
        assert len(automaton.memory.links.sources) == 5
    pairs = {((0, 0), "a"): (0, 1), ((0, 1), "a"): (0, 0)}
    automaton = Automaton(pairs, start=(0, 0))
    assert automaton.states == ((0, 0), (0, 1))
    assert automaton.run("aa").states == [(0, 0), (0, 1), (0, 0)]
    for further in ({"accept": [(0, 1)]}, {"start": (0, 1)}):
        assert Automaton({((0, 0), "a"): (0, 1)}, **further).states == ((0, 0), (0, 1))
    assert Automaton({((0, 0), "a"): [(0, 1)]}).states == ((0, 0), (0, 1))


def test_sets_have_one_order_in_every_process():
    lines = (
        "from kanerva.correlated import Automaton",
        "a = Automaton({('p', 'a'): set('qrstuvw')}, neurons=400)",
        "b = Automaton.regex('(a|b)*abc?[ab]', neurons=400)",
        "found = str((a.states, b.states, b.symbols, b.accept, b.run('abab').states,"
        " a.memory.keys.sum().item(), b.memory.keys.sum().item()))",
    )
    code, space = "\n".join(lines), {}
    exec(code, space)
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\nprint(found)"],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
    )
    assert run.stdout.strip() == space["found"], run.stderr


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("pattern", "letters"),
    [
        ("(a|b)*ab", "ab"),
        ("a+b?(ab)*", "ab"),
        ("ab|ba", "ab"),
        ("(aa)*", "a"),
        ("[ab]c*", "abc"),
        ("a{2,3}b", "ab"),
    ],
)
def test_expressions_accept_what_they_match(pattern, letters):
    automaton = Automaton.regex(pattern)
    assert automaton.symbols == tuple(letters)
    words = ["".join(word) for word in drawn(letters, 25, 6)]
    words += [
        "".join(word) for size in range(4) for word in itertools.product(letters, repeat=size)
    ]
    ends = [run.states[-1] for run in automaton.run_all(words)]
    expected = [re.fullmatch(pattern, word) is not None for word in words]
    assert any(expected)
    assert [end in automaton.accept for end in ends] == expected
    assert automaton.accepts(words[-1]) == expected[-1]


@pytest.mark.untyped
def test_expressions_over_a_larger_alphabet():
    automaton = Automaton.regex("a.b", alphabet="cab")
    assert automaton.symbols == ("c", "a", "b")
    assert automaton.states == (0, 1, 2, 3, None)
    assert [automaton.accepts(word) for word in ("acb", "abb", "ab", "acbb")] == [True, True, 0, 0]


def test_expressions_of_one_letter():
    nothing = Automaton.regex("", alphabet=["a"])
    assert (nothing.accepts(""), nothing.accepts("a")) == (True, False)
    everything = Automaton.regex("a*")
    run = everything.run("aa")
    assert (everything.states, run.states) == ((0,), [0, 0, 0])
    assert torch.equal(run.margins, run.overlaps[:, 0])
    with pytest.raises(InputError, match=r"word must be of defined transitions"):
        Automaton.regex("ab", undefined="raise").run("b")


def test_a_large_table_is_followed_in_two_steps_a_symbol():
    """The full size, 1,000 states and 5 symbols, was measured by hand."""
    table = table_of(150, 4, seed=0)
    fast = {"share": 0.5, "beta": 1.0, "rate": 1.0, "steps": 2}
    automaton = Automaton(table, seed=0, **fast)
    memory, count = automaton.memory, len(automaton.states)
    assert len(memory) == 750
    source = torch.Generator().manual_seed(1)
    words = torch.randint(4, (40, 6), generator=source).tolist()
    starts = torch.randint(150, (40,), generator=source).tolist()
    paths = [simulated(table, word, start) for word, start in zip(words, starts, strict=True)]
    assert [run.states for run in automaton.run_all(words, starts)] == paths
    # The same by hand, from starts with noise.
    places = torch.tensor([automaton.states.index(start) for start in starts])
    state = memory.keys[places] + torch.rand(40, 1000, generator=source) - 0.5
    inputs = {symbol: memory.keys[count + row, 500:] for row, (_, symbol) in enumerate(table)}
    for step in range(7):
        state = memory.recall(state, steps=2)
        found = correlated.overlaps(state, memory.keys[:count]).argmax(-1).tolist()
        assert [automaton.states[place] for place in found] == [path[step] for path in paths]
        if step < 6:
            state[:, 500:] = torch.stack([inputs[word[step]] for word in words])


def test_a_seed_gives_the_same_bytes_and_the_memory_is_saved(tmp_path):
    paths = [tmp_path / f"{name}.safetensors" for name in "abc"]
    made = [Automaton(FAMILY, seed=seed) for seed in (5, 5, 6)]
    for automaton, path in zip(made, paths, strict=True):
        automaton.memory.save(path)
    first, second, third = (path.read_bytes() for path in paths)
    assert first == second
    assert first != third
    by_generator = Automaton(FAMILY, seed=torch.Generator().manual_seed(5))
    assert torch.equal(by_generator.memory.keys, made[0].memory.keys)
    loaded, query = kanerva.load(paths[0]), made[2].memory.keys
    assert loaded.rate == 0.1
    assert torch.equal(loaded.recall(query), made[0].memory.recall(query))


@pytest.mark.untyped  # the checks add lines of their own
def test_few_neurons_warn_at_the_line_of_the_user():
    for make in (
        lambda: Automaton(PARITY, neurons=100),
        lambda: Automaton.regex("(a|b)*ab", neurons=100),
    ):
        with pytest.warns(UserWarning, match="it takes 384 neurons") as caught:
            make()
        assert [one.filename for one in caught] == [__file__]
    with pytest.warns(UserWarning, match="no number of neurons"):
        Automaton(PARITY, beta=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Automaton(PARITY, neurons=384)


def sentence(function):
    """Return the sentence of a refusal."""
    with pytest.raises(InputError) as raised:
        function()
    return str(raised.value)


REFUSED = {
    "empty table": (lambda: Automaton({}), "Automaton: table must be of one transition or more"),
    "no dict": (lambda: Automaton([(0, "a", 1)]), "Automaton: table must be a dict"),
    "no pair": (lambda: Automaton({"ab": 1}), "Automaton: table must be a dict"),
    "no target": (lambda: Automaton({(0, "a"): []}), "table must be a dict to one or more"),
    "twice": (lambda: Automaton({(0, "a"): [1, 1]}), "one or more different states, but it was"),
    "array": (lambda: Automaton({(0, "a"): torch.ones(2).numpy()}), "table must be a dict to"),
    "unknown tuple": (lambda: Automaton({(0, "a"): (1, 2)}), "and [(1, 2)] for one state"),
    "list in a list": (lambda: Automaton({(0, "a"): [[1]]}), "a dict to hashable states"),
    "None": (lambda: Automaton({(0, "a"): None}), "None, which stands for the trap"),
    "start": (lambda: Automaton(FAMILY, start="h"), "Automaton: start must be of the states"),
    "list as start": (lambda: Automaton(FAMILY, start=["H"]), "start must be a state, which is"),
    "accept": (lambda: Automaton(FAMILY, accept=["X"]), "Automaton: accept must be of the states"),
    "text": (lambda: Automaton(FAMILY, accept="H"), "accept must be a collection of states"),
    "share 0": (lambda: Automaton(FAMILY, share=0.0), "share must be such that each block"),
    "share 1": (lambda: Automaton(FAMILY, share=0.9999), "share must be such that each block"),
    "neurons": (lambda: Automaton(FAMILY, neurons=1), "neurons must be an integer from 2"),
    "huge": (lambda: Automaton(FAMILY, neurons=2**31 - 1), "neurons must be small enough"),
    "beta": (lambda: Automaton(FAMILY, beta=-1.0), "beta must be a finite number >= 0"),
    "rate": (lambda: Automaton(FAMILY, rate=0.0), "rate must be a finite number > 0"),
    "steps": (lambda: Automaton(FAMILY, steps=0), "steps must be an integer"),
    "mean": (lambda: Automaton(FAMILY, mean=float("nan")), "mean must be a finite number"),
    "keyword": (lambda: Automaton(FAMILY, neuron=5), "write 'neurons'"),
    "undefined": (lambda: Automaton(FAMILY, undefined="stop"), "undefined must be one of"),
    "seed": (lambda: Automaton(FAMILY, seed=-1), "seed must be"),
    "symbol": (
        lambda: Automaton(FAMILY).run(["son", "fater"], "H"),
        "Automaton.run: word must be of the symbols in the table, but it was 'fater' (str) as "
        "symbol 2; write 'father'",
    ),
    "unhashable symbol": (lambda: Automaton(FAMILY).run([["son"]], "H"), "of the symbols in"),
    "set": (lambda: Automaton(FAMILY).run({"son"}, "H"), "word must be a sequence of symbols"),
    "number": (lambda: Automaton(FAMILY).run(3, "H"), "word must be a sequence of symbols"),
    "no start": (lambda: Automaton(FAMILY).run([]), "Automaton.run: start must be given"),
    "unknown start": (lambda: Automaton(FAMILY).run([], "X"), "start must be of the states"),
    "words": (
        lambda: Automaton(FAMILY, "H").run_all([[], ["x"]]),
        "Automaton.run_all: words must be of the symbols in the table, but it was 'x' (str) as "
        "symbol 1 of word 2;",
    ),
    "one text": (lambda: Automaton(FAMILY, "H").run_all("ab"), "words must be a list of words"),
    "starts": (lambda: Automaton(FAMILY).run_all([[]], ["H", "M"]), "as many as the 1 words"),
    "accepts": (lambda: Automaton(FAMILY, "H").accepts([]), "Automaton.accepts: accept must be"),
    "expression": (
        lambda: Automaton.regex("a(b"),
        "Automaton.regex: pattern must be a regular expression of the signs",
    ),
    "no expression": (lambda: Automaton.regex(3), "pattern must be a regular expression"),
    "no word": (lambda: Automaton.regex("a&b"), "an expression that some word matches"),
    "no letters": (lambda: Automaton.regex(""), "pattern must be of one symbol or more"),
    "any letter": (lambda: Automaton.regex("a."), 'pattern must be without "."'),
    "other letters": (lambda: Automaton.regex("ab", "a"), "pattern must be a regular expression"),
    "escaped letters": (lambda: Automaton.regex("a\\[", "a"), "'[' is not in the alphabet"),
    "backslash": (lambda: Automaton.regex("a\\"), "nothing follows the last backslash"),
    "long letters": (lambda: Automaton.regex("ab", ["ab"]), "alphabet must be a string or"),
    "empty alphabet": (lambda: Automaton.regex("", ""), "alphabet must be a string or"),
    "letters twice": (lambda: Automaton.regex("ab", "aba"), "name each letter once"),
    "stay": (lambda: Automaton.regex("ab", undefined="stay"), "undefined must be one of 'trap'"),
}


@pytest.mark.untyped
@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused(case):
    function, expected = REFUSED[case]
    assert expected in sentence(function)


@pytest.mark.untyped
def test_the_package_for_expressions_may_be_missing(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = sentence(lambda: Automaton.regex("ab"))
    assert found.startswith("Automaton.regex: automata-lib must be installed")
    assert 'pip install "kanerva[automata]"' in found


def test_a_noisy_cue_stands_for_a_state():
    automaton = correlated.Automaton({(0, "a"): 1, (1, "a"): 2, (2, "a"): 0}, start=0)
    patterns = automaton.memory.keys[:3]
    drawn = torch.rand(3, 1000, generator=torch.Generator().manual_seed(1)) - 0.5
    runs = automaton.run_all(["aa", "a", ""], patterns + drawn)
    assert [run.states for run in runs] == [[0, 1, 2], [1, 2], [2]]
    assert automaton.run("aa", patterns[1] + drawn[1]).states == [1, 2, 0]
    for cue, words in ((patterns[0][:5], "start must be"), (patterns[:2], "a state, or a cue of")):
        with pytest.raises(InputError, match=words):
            automaton.run("a", cue)
    with pytest.raises(InputError, match="start must be a state, or a cue of shape"):
        automaton.run_all(["a"], patterns[0])
