"""The parts of the recipes of Burns 2024 that their numbers do not show."""

import networkx
import pytest
import torch

import kanerva
from kanerva.lab import runner
from kanerva.lab.papers import RECIPES
from kanerva.lab.papers.burns2024 import _flow, _graphs, _memories


@pytest.mark.untyped
def test_short_steps_follow_the_flow():
    source = torch.Generator().manual_seed(0)
    patterns = _memories.uniform(6, 200, source)
    noise = torch.rand(patterns.shape, generator=source, dtype=torch.float64) - 0.5
    memory = _memories.linked(patterns, _memories.ring(6), 1.0, auto=-0.5, hetero=1.5)
    flow = _flow.flow(memory, patterns, noise, 1.0, 2.0)
    errors = [
        (memory.recall(patterns + noise, steps=steps, rate=2 / steps) - flow).abs().max().item()
        for steps in (500, 1000)
    ]
    assert errors[0] < 0.01
    assert errors[1] == pytest.approx(errors[0] / 2, rel=0.1), "Euler's method is of first order"


@pytest.mark.parametrize(
    ("name", "nodes", "edges", "known"),
    [
        ("karate", 34, 78, 2),
        ("tutte", 46, 69, None),
        ("three", 15, 30, 3),
        ("barbell", 20, 91, 2),
        ("rooms", 100, 164, 4),
    ],
)
def test_graphs(name, nodes, edges, known):
    groups = _graphs.community(name)
    assert (len(groups.graph), groups.graph.number_of_edges()) == (nodes, edges)
    assert networkx.is_connected(groups.graph)
    assert len(groups.found) == nodes
    assert (groups.known and len(set(groups.known))) == known


def test_three_groups_are_regular():
    assert set(dict(_graphs.community("three").graph.degree).values()) == {4}


def test_means_beyond_a_small_ring_are_missing():
    ring = _memories.ring(5)
    assert _memories.by_distance(torch.eye(5), ring, 4) == [1.0, 0.0, 0.0, None, None]
    assert _memories.change([1.0, 0.2, None, -0.1]) == 3
    assert _memories.change([1.0, 0.2, 0.05], 0.1) == 2
    assert _memories.change([1.0]) == 1


def test_a_led_recall_looks_where_the_strengths_change():
    given = {"memories": 5, "neurons": 50, "steps": 7, "part": "led", "auto": 0.5, "hetero": 0.5}
    rows = runner.run(RECIPES["cdam.range"], given=given).rows
    assert sorted({row["step"] for row in rows}) == [0, 7, 10, 14, 20, 21]


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("name", "given", "argument"),
    [
        ("cdam.modes", {"memories": 2}, "memories"),
        ("cdam.range", {"part": "back"}, "part"),
        ("cdam.step", {"time": 0}, "time"),
        ("cdam.miyashita", {"items": 2}, "items"),
        ("cdam.miyashita", {"data": "faces", "neurons": 10}, "neurons"),
        ("cdam.communities", {"graph": "star"}, "graph"),
    ],
)
def test_a_parameter_out_of_range_gets_the_sentence(name, given, argument):
    with pytest.raises(kanerva.InputError, match=f"{argument} must be"):
        runner.run(RECIPES[name], given=given)
