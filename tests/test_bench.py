"""The benchmarks at tiny sizes: checks of routes, rows and pages, without any timing."""

import json
import math
import sys
import time

import pytest
import torch

import kanerva
from kanerva.lab import bench
from kanerva.lab.bench import Case, Limits, Route
from kanerva.lab.plot.benchmarks import benchmark_dots

# The routes of a softmax read.
ROUTES = ("kanerva", "torch, scaled_dot_product_attention", "torch, softmax(beta q Xᵀ) X")
TITLES = (
    "Active locations",
    "Writing to locations",
    "Reading from locations",
    "Softmax reads",
    "Reads by other rules",
    "Five steps",
    "Pruned reads",
    "The nearest pattern",
    "A density",
    "Registers of counts",
    "Codes of data",
    "Training of attention",
    "Layers to train",
    "Gates of a model",
    "Gates of residual blocks",
)
RACES = (
    "activation",
    "write",
    "read",
    "softmax",
    "rules",
    "recall",
    "nearest",
    "density",
    "encode",
    "linked",
    "diffusion",
    "entropic",
    "train",
    "layers",
    "quarks",
    "gates",
)


@pytest.fixture(scope="module")
def tiny():
    """Run all operations that need no new process."""
    return bench.run("tiny", [name for name in bench.OPERATIONS if name != "start"])


def route(name, seconds, off=0.0, ours=False):
    return Route(name, lambda: time.sleep(seconds), lambda: off, ours)


def row(operation, name, median, ours=False, **setting):
    """Return a row of a run."""
    spread = {
        "low": median,
        "high": median,
        "rounds": 3,
        "peak": 0,
        "difference": 0.0,
        "faster": None,
        "over_limit": None,
        "limit": None,
    }
    return {
        "operation": operation,
        "setting": setting,
        "route": name,
        "ours": ours,
        "median": median,
        **spread,
    }


def test_every_operation_has_the_right_answer_and_is_timed(tiny):
    assert tiny.notes == []
    assert {found["operation"] for found in tiny.rows} >= {*RACES, "million", "growth"}
    for found in tiny.rows:
        assert 0 < found["low"] <= found["median"] <= found["high"]
        assert found["peak"] is None or found["peak"] >= 0


@pytest.mark.parametrize("operation", RACES)
def test_ours_is_compared_with_a_peer_on_the_same_data(tiny, operation):
    rows = [found for found in tiny.rows if found["operation"] == operation]
    best = min(
        found["median"]
        for found in rows
        if not found["ours"] and found["setting"] == rows[0]["setting"]
    )
    ours = [found for found in rows if found["ours"] and found["setting"] == rows[0]["setting"]]
    assert ours
    for found in ours:
        assert found["faster"] == pytest.approx(best / found["median"])


def test_a_route_with_another_answer_is_not_timed():
    calls = []
    wrong = Route("wrong", lambda: calls.append("timed"), lambda: 0.5)
    rows, notes = bench.compare(
        Case("read", {"B": 1}, [route("right", 0.0, ours=True), wrong], 0.1), 0.01
    )
    assert [found["route"] for found in rows] == ["right"]
    assert calls == []
    assert notes == [
        "read B=1: wrong gave another answer (off by 0.5, 0.1 allowed) and was not timed"
    ]
    # Without a peer there is no ratio.
    assert rows[0]["faster"] is None


def test_an_answer_of_nan_is_wrong():
    rows, notes = bench.compare(Case("read", {}, [route("lost", 0.0, math.nan)], 1e9), 0.01)
    assert rows == []
    assert "gave another answer" in notes[0]


def test_a_route_that_fails_does_not_stop_the_others():
    def fail():
        raise RuntimeError("no such kernel")

    rows, notes = bench.compare(
        Case("read", {"B": 1}, [Route("broken", fail, fail), route("right", 0.0)], 0.0), 0.01
    )
    assert [found["route"] for found in rows] == ["right"]
    assert notes == ["read B=1: broken failed: RuntimeError: no such kernel"]


def test_ratios_are_to_the_fastest_peer_and_to_the_limit():
    case = Case(
        "read",
        {},
        [route("ours", 0.01, ours=True), route("slow", 0.04), route("fast", 0.02)],
        0.0,
        limit=0.005,
    )
    rows, _ = bench.compare(case, 0.2)
    ours = next(found for found in rows if found["ours"])
    assert ours["best_peer"] == "fast"
    fast = next(found for found in rows if found["route"] == "fast")
    assert ours["faster"] == fast["median"] / ours["median"]
    assert ours["over_limit"] == ours["median"] / 0.005


def test_rounds_call_all_routes_in_rotating_order():
    calls = []
    times = bench.rounds(
        {name: lambda name=name: (calls.append(name), time.sleep(0.021)) for name in "ab"}, 0.3
    )
    # Each route is called once for its memory; then each round starts with another route.
    assert "".join(calls)[:8] == "ab" + "ab" + "ba" + "ab"
    assert times["a"].rounds >= 3


def test_a_call_longer_than_its_share_is_timed_once():
    calls = []
    times = bench.rounds(
        {"long": lambda: (calls.append(1), time.sleep(0.05)), "short": lambda: None}, 0.02
    )
    assert len(calls) == times["long"].rounds == 1
    assert times["short"].rounds >= 3


def test_memory_of_a_call_is_its_peak():
    def use():
        torch.ones(2**23).sum()

    held, _ = bench.peak(lambda: None)
    size, seconds = bench.peak(use)
    if size is None:
        pytest.skip("this system does not report it")
    assert held < 2**20
    assert 2**25 * 0.95 < size < 2**25 * 1.3  # 32 MiB
    assert seconds > 0


def test_limits_turn_work_into_seconds():
    limits = Limits(
        words=1e9, single=1e10, half=2e10, exponentials=1e9, bandwidth={2**20: 1e11, 2**30: 1e10}
    )
    assert limits.reading(2**20) == pytest.approx(2**20 / 1e11)
    # Larger sizes have the rate of the largest size that was measured.
    assert limits.reading(2**40) == pytest.approx(2**40 / 1e10)
    assert limits.counting(1e9, 8) == pytest.approx(1.0)
    assert limits.counting(1, 2**30) == pytest.approx(2**30 / 1e10)
    assert limits.attending(100, 1000, 64) == pytest.approx(
        4 * 100 * 1000 * 64 / 1e10 + 100 * 1000 / 1e9
    )
    assert Limits(None, 1.0, 1.0, 1.0, {1: 1.0}).counting(1, 1) is None


def test_growth_is_the_slope_of_logarithms():
    rows = [
        {"setting": {"what": "a read", "count": count}, "median": 1e-6 * count**1.5}
        for count in (10, 100, 1000, 10_000)
    ]
    assert bench.exponents(rows, "median") == pytest.approx((1.5, 1.5))
    rows[-1]["median"] *= 10
    assert bench.exponents(rows, "median")[1] == pytest.approx(2.5)


def test_a_million_in_small_recalls_every_cue(tiny):
    both = next(
        found for found in tiny.rows if found["operation"] == "million" and found["route"] == "both"
    )
    assert both["right"] == both["asked"] == 20
    assert both["setting"]["radius"] == kanerva.theory.radius.optimal(256, 600).radius
    assert both["held"] >= 600 * 32


def test_a_requirement_is_compared_with_the_worst_measurement():
    softmax = [
        row("softmax", name, median, ours, d=64, N=10_000, B=batch)
        for batch, times in ((1, (1.0, 2.0, 0.5)), (64, (2.2, 2.0, 9.0)))
        for name, median, ours in zip(ROUTES, times, (True, False, False), strict=True)
    ]
    found = {one.asked.what: one for one in bench.found(softmax)}
    one = found["softmax read"]
    assert (one.worst, one.where, one.reached, one.sizes) == (
        2.0,
        "d = 64, N = 10,000, B = 1",
        1,
        2,
    )
    assert set(found) == {"softmax read", "softmax read, memory beyond its input"}


def test_a_lower_bound_is_compared_with_the_least_measurement():
    sizes = {"n": 1000, "M": 100_000}
    rows = [
        row("read", "kanerva, numba", 1.0, True, B=1, **sizes),
        row("read", "torch-hd", 20.0, B=1, **sizes),
    ]
    rows += [
        row("read", "kanerva, numba", 1.0, True, B=16, **sizes),
        row("read", "torch-hd", 10.0, B=16, **sizes),
    ]
    rows += [
        row("read", "kanerva, numba", 1.0, True, B=256, **sizes),
        row("read", "torch-hd", 1.0, B=256, **sizes),
    ]
    (one,) = bench.found(rows)
    assert (one.worst, one.reached, one.sizes) == (10.0, 1, 2)  # B = 256 has no requirement.


def test_the_page_contains_the_measurements_but_no_name_of_the_machine(tiny, tmp_path):
    import platform

    files = bench.save(tiny, tmp_path)
    text = files[1].read_text(encoding="utf-8")
    assert json.loads(files[0].read_text(encoding="utf-8"))["rows"] == json.loads(
        json.dumps(tiny.rows)
    )
    for title in TITLES:
        assert f"## {title}" in text
    assert "20 of 20 cues were recalled" in text
    assert f"torch {torch.__version__}" in text
    assert platform.node() not in text
    for line in text.splitlines():
        if line.startswith("|---"):
            width = line.count("|")
        elif line.startswith("|") and "|---" in text[text.index(line) :]:
            assert line.replace("\\|", "").count("|") > 2
    assert width == 9  # The last table contains all rows.


def test_missing_peers_are_left_out_and_named(monkeypatch):
    for module in ("torchhd.memory", "x_transformers.attend", "sklearn.neighbors"):
        monkeypatch.setitem(sys.modules, module, None)
    result = bench.run("tiny", ["write", "softmax", "nearest", "density"])
    assert result.notes == []
    names = {found["route"] for found in result.rows}
    assert not any(
        "torch-hd" in name or "x-transformers" in name or "scikit" in name for name in names
    )
    assert "not installed: torch-hd, x-transformers, scikit-learn" in bench.page(
        result, pictured=False
    )


def test_an_operation_that_fails_does_not_stop_the_others(monkeypatch):
    def fail(sizes, limits):
        raise MemoryError("too large")
        yield

    monkeypatch.setitem(
        bench.OPERATIONS, "density", bench.OPERATIONS["density"]._replace(cases=fail)
    )
    result = bench.run("tiny", ["density", "nearest"])
    assert {found["operation"] for found in result.rows} == {"nearest"}
    assert result.notes == ["density failed: MemoryError: too large"]


def test_an_interrupted_run_keeps_the_finished_operations(monkeypatch, tmp_path):
    def stop(sizes, limits):
        raise KeyboardInterrupt
        yield

    monkeypatch.setitem(
        bench.OPERATIONS, "density", bench.OPERATIONS["density"]._replace(cases=stop)
    )
    with pytest.raises(KeyboardInterrupt):
        bench.run("tiny", ["nearest", "density"], out=tmp_path)
    rows = json.loads((tmp_path / "benchmarks.json").read_text(encoding="utf-8"))["rows"]
    assert {found["operation"] for found in rows} == {"nearest"}
    text = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert "The nearest pattern" in text
    assert "interrupted" in text


def test_the_number_of_threads_is_restored():
    before = torch.get_num_threads()
    result = bench.run("tiny", ["nearest"], threads=1)
    assert result.machine["threads"] == 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("given", "argument"),
    [
        ({"size": "huge"}, "size"),
        ({"only": ["speed"]}, "only"),
        ({"threads": 0}, "threads"),
        ({"seconds": 0}, "seconds"),
    ],
)
def test_bad_input_is_refused(given, argument):
    with pytest.raises(kanerva.InputError) as error:
        bench.run(**given)
    assert error.value.argument == argument


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("given", "argument"),
    [
        ({"only": "read"}, "only"),
        ({"only": 0.5}, "only"),
        ({"only": ["nearest"], "size": ["tiny"]}, "size"),
        ({"only": ["nearest"], "out": 1}, "out"),
        ({"only": ["nearest"], "out": "a\0b"}, "out"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(given, argument):
    with pytest.raises(kanerva.InputError) as error:
        bench.run(**given)
    assert error.value.argument == argument


@pytest.mark.untyped
def test_what_is_no_result_is_not_saved(tmp_path):
    with pytest.raises(kanerva.InputTypeError, match="bench: result must be the Result of a run"):
        bench.save("junk", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_dots_are_at_their_ratios():
    rows = [
        {"label": "read, B=1", "series": "torch-hd", "ratio": 20.0},
        {"label": "read, B=1", "series": "limit of the machine", "ratio": 0.2},
        {"label": "write, B=1", "series": "torch-hd", "ratio": 15.0},
    ]
    (axes,) = benchmark_dots(rows).axes
    lines = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    assert lines["torch-hd"].get_xdata().tolist() == [20.0, 15.0]
    assert lines["limit of the machine"].get_xdata().tolist() == [0.2]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["read, B=1", "write, B=1"]
    assert axes.get_yticks()[0] > axes.get_yticks()[1]  # The first is on top.
    assert axes.get_xscale() == "log"


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"label": "read", "series": "torch-hd"}],
        [{"label": "read", "series": "torch-hd", "ratio": 0.0}],
    ],
)
def test_dots_that_cannot_be_drawn_are_refused(rows):
    with pytest.raises(kanerva.InputError):
        benchmark_dots(rows)
