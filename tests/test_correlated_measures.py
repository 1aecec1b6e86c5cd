"""Measures of correlated attractors against NumPy, networkx and cases made by hand."""

import time

import hypothesis
import networkx as nx
import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import strategies as st
from scipy.cluster import hierarchy

from kanerva import InputError, correlated
from kanerva.memory import _graph


def normal(*shape, seed=0, dtype=torch.float64):
    source = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=source, dtype=torch.float64).to(dtype)


def correlation(x, y):
    """Correlate two vectors with NumPy; 0 where one of them does not vary."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    if (x == x[0]).all() or (y == y[0]).all():
        return 0.0
    return np.corrcoef(x, y)[0, 1]


# Overlaps


@pytest.mark.parametrize("shape", [(7,), (3, 7), (2, 3, 1, 7), (0, 7)], ids=str)
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-14), (torch.float32, 1e-6), (torch.bfloat16, 1e-6), (torch.float16, 1e-6)],
)
def test_overlaps_equal_those_of_numpy(shape, dtype, tolerance):
    states, patterns = 3 + normal(*shape, seed=1, dtype=dtype), normal(5, 7, seed=2, dtype=dtype)
    found = correlated.overlaps(states, patterns)
    assert found.shape == (*shape[:-1], 5)
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    rows = states.double().reshape(-1, 7).numpy()
    for row, state in zip(found.reshape(-1, 5), rows, strict=True):
        expected = [correlation(state, pattern) for pattern in patterns.double().numpy()]
        np.testing.assert_allclose(row, expected, rtol=0, atol=tolerance)


@hypothesis.given(st.data())
def test_overlaps_of_any_rows(data):
    """Whole numbers have many rows without variation; a scale and an offset change nothing."""
    d, m, b = (data.draw(st.integers(1, 6)) for _ in range(3))
    rows = st.lists(st.integers(-3, 3), min_size=d, max_size=d)
    states, patterns = (
        torch.tensor(data.draw(st.lists(rows, min_size=n, max_size=n))).double() for n in (b, m)
    )
    found = correlated.overlaps(states, patterns)
    for i, state in enumerate(states):
        for k, pattern in enumerate(patterns):
            assert abs(found[i, k].item() - correlation(state, pattern)) < 1e-12
    assert found.abs().max() <= 1
    scale, offset = data.draw(st.floats(1e-3, 1e3)), data.draw(st.floats(-1e3, 1e3))
    other = correlated.overlaps(states * scale + offset, patterns)
    varies = (states != states[:, :1]).any(-1)
    torch.testing.assert_close(other[varies], found[varies], rtol=0, atol=1e-7)
    back = correlated.overlaps(patterns, states)
    torch.testing.assert_close(back, found.mT, rtol=0, atol=1e-14)


def test_overlaps_without_variation_are_0():
    """No rounding of a mean is taken for a variation: 0.1 is no sum of powers of two."""
    for dtype in (torch.float32, torch.float64):
        same, usual = torch.full((2, 999), 0.1, dtype=dtype), normal(3, 999, dtype=dtype)
        assert (correlated.overlaps(same, usual) == 0).all()
        assert (correlated.overlaps(usual, same) == 0).all()
    assert (correlated.overlaps(normal(3, 1), normal(2, 1)) == 0).all()


def test_overlaps_of_extreme_numbers():
    usual = normal(4, 50)
    for factor in (1e-200, 1e305):
        found = correlated.overlaps(usual * factor, usual)
        torch.testing.assert_close(found, correlated.overlaps(usual, usual))
    largest = torch.finfo(torch.float64).max
    ends = torch.tensor([[largest, -largest, largest]], dtype=torch.float64)
    assert correlated.overlaps(ends, -ends).item() == pytest.approx(-1)
    far = 1e8 + normal(4, 50, dtype=torch.float64)
    expected = np.corrcoef((far - 1e8).numpy())
    np.testing.assert_allclose(correlated.overlaps(far, far), expected, rtol=0, atol=1e-12)


def test_overlaps_have_a_gradient():
    states, patterns = normal(3, 5, seed=1).requires_grad_(), normal(4, 5, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(correlated.overlaps, (states, patterns))
    same = torch.ones(1, 5, requires_grad=True)
    correlated.overlaps(same, normal(4, 5, dtype=torch.float32)).sum().backward()
    assert same.grad.isfinite().all()


# Edges


def matrix(found):
    """Add up the edges in a matrix."""
    made = np.zeros((found.count, found.count))
    np.add.at(made, (found.sources, found.targets), found.strengths)
    return made


def graphs():
    """Return graphs of networkx with their matrices, parallel edges added up."""
    several = nx.MultiDiGraph([(0, 1), (0, 1), (2, 2), (1, 0)])
    loops = nx.MultiGraph([("a", "b"), ("b", "a"), ("c", "c"), ("c", "c")])
    named = nx.Graph([("z", "a"), ("a", 3), (3, 3)])
    named.add_node("alone")
    return {
        "cycle": (nx.cycle_graph(5), nx.to_numpy_array(nx.cycle_graph(5))),
        "directed": (nx.DiGraph([(2, 0), (0, 1)]), [[0, 1, 0][::-1], [0, 0, 0], [0, 0, 0]]),
        "parallel": (several, [[0, 2, 0], [1, 0, 0], [0, 0, 1]]),
        "parallel, undirected": (loops, [[0, 2, 0], [2, 0, 0], [0, 0, 2]]),
        "named": (named, [[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]),
        "no edges": (nx.empty_graph(3), np.zeros((3, 3))),
        "no nodes": (nx.Graph(), np.zeros((0, 0))),
    }


@pytest.mark.parametrize("name", graphs())
def test_edges_of_networkx(name):
    graph, expected = graphs()[name]
    if name == "directed":  # nodes in the order of the graph: 2, 0, 1
        expected = nx.to_numpy_array(graph)
        assert expected.tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    found = _graph.edges(graph)
    np.testing.assert_array_equal(matrix(found), expected)
    assert (found.strengths == 1).all()
    assert [part.dtype for part in found[:3]] == [np.int64, np.int64, np.float64]
    assert len(found.sources) == np.sum(expected)


def test_a_strength_is_read_only_where_it_is_named():
    """The trap: networkx's karate club has weights, which its adjacency matrix holds."""
    graph = nx.karate_club_graph()
    plain, weighted = _graph.edges(graph), _graph.edges(graph, 34, "weight")
    assert set(plain.strengths) == {1.0}
    np.testing.assert_array_equal(matrix(plain), nx.to_numpy_array(graph, weight=None))
    np.testing.assert_array_equal(matrix(weighted), nx.to_numpy_array(graph, weight="weight"))
    assert matrix(weighted).sum() > matrix(plain).sum() == 2 * 78
    # Distances have no strengths, whichever form the graph is given in.
    table = normal(34, 34)
    array = nx.to_scipy_sparse_array(graph)
    assert correlated.by_distance(table, graph) == correlated.by_distance(table, array)


def forms(array):
    """Return one directed graph in each form."""
    strengths = {
        "NumPy": array,
        "torch": torch.from_numpy(array),
        "torch, half": torch.from_numpy(array).bfloat16(),
        "torch, with gradient": torch.from_numpy(array).requires_grad_(),
        "triples": [(int(i), j, array[i, j]) for i, j in zip(*np.nonzero(array), strict=True)],
    }
    sparse = ("coo", "csr", "csc", "lil", "dok", "bsr", "dia")
    strengths |= {kind: scipy.sparse.coo_array(array).asformat(kind) for kind in sparse}
    graph = nx.from_numpy_array(array, create_using=nx.DiGraph)
    return strengths | {"matrix": scipy.sparse.csr_matrix(array), "networkx": graph}


@pytest.mark.parametrize("form", forms(np.eye(2)))
def test_every_form_gives_the_same_edges(form):
    array = np.array([[0, 0.5, 0, 0], [-2, 0, 1, 0], [0, 0, 4, 0], [0, 0, 0, 0]])
    found = _graph.edges(forms(array)[form], 4, "weight" if form == "networkx" else None)
    np.testing.assert_array_equal(matrix(found), array)
    assert found.count == 4
    assert len(found.strengths) == 4
    assert [part.dtype for part in found[:3]] == [np.int64, np.int64, np.float64]


def test_edges_of_plain_lists_and_of_bits():
    found = _graph.edges([(0, 1), (0, 1), (2, 0)])
    assert found.sources.tolist() == [0, 0, 2]
    assert found.targets.tolist() == [1, 1, 0]
    assert found.count == 3
    assert _graph.edges(((np.int8(3), 1),), 9).count == 9
    assert _graph.edges(np.array([[3, 1], [0, 1], [2, 2]]).tolist()).count == 4
    assert _graph.edges([(0, 1, 0.0), (1, 0, 2)]).strengths.tolist() == [2.0]
    for none in ([], (), set()):
        assert _graph.edges(none).count == 0
        assert _graph.edges(none, 3).count == 3
    adjacency = np.array([[False, True], [False, False]])
    for bits in (adjacency, torch.from_numpy(adjacency), scipy.sparse.csr_array(adjacency)):
        found = _graph.edges(bits)
        assert (found.sources.tolist(), found.targets.tolist()) == ([0], [1])


def test_entries_of_one_place_are_added_as_scipy_does():
    ends = ([0, 0, 1, 1], [1, 1, 0, 0])
    array = scipy.sparse.coo_array(([1.0, 2.0, 3.0, -3.0], ends), shape=(2, 2))
    parts = (array.data, array.coords[1], [0, 2, 4])
    for one in (array, scipy.sparse.csr_array(parts, shape=(2, 2))):
        found = _graph.edges(one)
        assert (found.sources.tolist(), found.strengths.tolist()) == ([0], [3.0])
        assert one.nnz == 4  # what was given is not changed


def test_a_million_sparse_edges_are_quick():
    draw, size = np.random.default_rng(0), 100_000
    ends = (draw.integers(size, size=10**6), draw.integers(size, size=10**6))
    array = scipy.sparse.coo_array((np.ones(10**6), ends), shape=(size, size))
    seconds = []
    for _ in range(3):  # the best of three, because the machine may be busy
        start = time.perf_counter()
        assert _graph.edges(array, size).strengths.sum() == 10**6
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1


WEIGHTED = nx.Graph([(0, 1, {"w": 1.0}), (1, 2)])
BAD_GRAPHS = {
    "another size": (nx.path_graph(4), None, "a graph of 3 nodes.* one of 4 nodes; add the nodes"),
    "not square": (np.ones((2, 3)), None, r"square, but it was of shape \(2, 3\)"),
    "not square, sparse": (scipy.sparse.csr_array(np.ones((3, 2))), None, "must be square"),
    "not square, torch": (torch.ones(3), None, "must be square"),
    "NaN": (np.diag([1, np.nan, 1]), None, "finite strengths, but it was one with 1 of 3"),
    "infinity": ([(0, 1, np.inf)], None, "finite strengths"),
    "infinity, sparse": (scipy.sparse.csr_array(np.diag([np.inf, 1, 1])), None, "finite strengths"),
    "complex": (np.eye(3) * 1j, None, "real numbers"),
    "letters": (np.array([["a"]]), None, "real numbers"),
    "masked": (np.ma.masked_equal(np.eye(3), 0), None, "without a mask"),
    "sparse of torch": (torch.eye(3).to_sparse(), None, "to_dense"),
    "mixed": ([(0, 1), (1, 2, 0.5)], None, "edges of 2 and 3 numbers; give all edges in one form"),
    "quadruples": ([(0, 1, 2, 3)], None, "edges of 4 numbers"),
    "out of range": ([(0, 1), (1, 3)], None, "nodes 0 to 2, but it was one with node 3; number"),
    "below 0": ([(0, -1)], None, "node -1"),
    "fractions": ([(0.0, 1.0)], None, "between integers"),
    "bits": ([(True, False)], None, "between integers"),
    "beyond int64": ([(0, 2**70)], None, "between integers"),
    "names": ([("a", "b")], None, "between integers, but it was 'a'"),
    "no strength": ([(0, 1, "x")], None, "numbers as strengths, but it was 'x'"),
    "rows in a list": ([[0, 1], [1, 0]], None, "may be both, .*write edges as tuples"),
    "numbers": ([1, 2], None, "a networkx graph, a SciPy"),
    "unordered": ([{0, 1}], None, "a networkx graph, a SciPy"),
    "text": ("01", None, "a networkx graph, a SciPy"),
    "nothing": (None, None, "a networkx graph, a SciPy"),
    "class": (nx.Graph, None, "a networkx graph, a SciPy"),
    "edges alone": (nx.path_graph(3).edges, None, "a networkx graph, a SciPy"),
    "lacking": (WEIGHTED, "w", r"an attribute of every edge.*'w', which the edge \(1, 2\) lacks"),
    "no number": (nx.Graph([(0, 1, {"w": "1"}), (1, 2, {"w": 1})]), "w", "a number at every edge"),
    "no name": (nx.path_graph(3), True, "the name of an attribute"),
    "weight of an array": (np.eye(3), "weight", "None for a graph that is not of networkx"),
}


@pytest.mark.untyped
@pytest.mark.parametrize("name", BAD_GRAPHS)
def test_bad_graphs_are_refused(name):
    graph, weight, sentence = BAD_GRAPHS[name]
    with pytest.raises(InputError, match=sentence) as caught:
        _graph.edges(graph, 3, weight)
    assert caught.value.argument == ("graph" if weight is None else "weight")


# Correlations by distance


def by_hand(table, graph):
    """Collect the numbers at each distance that networkx finds."""
    number = {node: place for place, node in enumerate(graph)}
    found = {}
    for one, reached in nx.all_pairs_shortest_path_length(graph):
        for other, distance in reached.items():
            if distance:
                found.setdefault(distance, []).append(table[number[one], number[other]].item())
    return found


DISTANCES = {
    "cycle": nx.cycle_graph(9),
    "directed cycle": nx.cycle_graph(6, create_using=nx.DiGraph),
    "karate": nx.karate_club_graph(),
    "disconnected": nx.disjoint_union(nx.path_graph(4), nx.cycle_graph(5)),
    "isolated": nx.Graph({"b": ["a"], "a": ["c"], "alone": [], "lonely": []}),
    "directed": nx.gnp_random_graph(20, 0.1, seed=3, directed=True),
    "parallel": nx.MultiGraph([(0, 1), (0, 1), (1, 2), (2, 2)]),
    "one edge": nx.DiGraph([(0, 1)]),
}


@pytest.mark.parametrize("name", DISTANCES)
def test_distances_are_those_of_networkx(name):
    graph = DISTANCES[name]
    table = normal(len(graph), len(graph), seed=4)
    found, expected = correlated.by_distance(table, graph), by_hand(table, graph)
    assert [one.distance for one in found] == list(range(1, len(found) + 1)) == sorted(expected)
    for one in found:
        values = expected[one.distance]
        assert one.pairs == len(values)
        assert one.mean == pytest.approx(np.mean(values), abs=1e-14)
        assert one.std == pytest.approx(np.std(values), abs=1e-14)


def test_distances_of_a_cycle_are_those_of_the_published_code():
    """The mean and the standard deviation over i of C[i, i + k]."""
    table = normal(30, 30)
    table = table + table.T
    for one in correlated.by_distance(table, nx.cycle_graph(30))[:12]:
        shifted = np.array([table[i, (i + one.distance) % 30] for i in range(30)])
        assert one.mean == pytest.approx(shifted.mean())
        assert one.std == pytest.approx(shifted.std())


def test_nothing_connected_has_no_distance():
    for graph in ([], [(1, 1)], nx.empty_graph(3), np.zeros((3, 3)), [(0, 1, 0.0)]):
        assert correlated.by_distance(normal(3, 3), graph) == []
    assert correlated.by_distance(normal(1, 1), []) == []
    # Strengths that cancel are edges still, and so are those below 0.
    cancelled = correlated.by_distance(torch.eye(2), [(0, 1, 1.0), (0, 1, -1.0)])
    assert cancelled == [(1, 0.0, 0.0, 1)]
    assert len(correlated.by_distance(torch.eye(2), np.array([[0.0, -1], [0, 0]]))) == 1


# Communities


def same(labels, expected):
    """Compare labels as they are, and their kind."""
    assert labels.dtype == torch.int64
    assert labels.tolist() == expected


def test_communities_made_by_hand():
    block = torch.block_diag(torch.ones(2, 2), torch.ones(3, 3), torch.ones(1, 1))
    order = torch.tensor([5, 2, 0, 3, 1, 4])
    table = block[order][:, order]
    same(correlated.communities(table, count=3), [0, 1, 2, 1, 2, 1])
    same(correlated.communities(table, within=0.5), [0, 1, 2, 1, 2, 1])
    same(correlated.communities(table, count=1), [0] * 6)
    same(correlated.communities(table, within=2), [0] * 6)
    # Equal joins are made together: no two of the three blocks are nearer than the others.
    same(correlated.communities(table, count=2), [0] * 6)
    same(correlated.communities(torch.ones(4, 4), count=3), [0] * 4)
    same(correlated.communities(torch.ones(4, 4), count=4), [0, 1, 2, 3])  # nothing is joined
    same(correlated.communities(torch.ones(4, 4), within=0), [0] * 4)
    same(correlated.communities(torch.eye(1), count=1), [0])
    same(correlated.communities(torch.eye(1), within=0), [0])
    # Noise on both sides of 1 and of the diagonal changes nothing, and both triangles count.
    same(correlated.communities(table + 1e-6 * normal(6, 6).float(), count=3), [0, 1, 2, 1, 2, 1])
    same(correlated.communities(torch.tensor([[9.0, 1, 0], [0, 9, 0], [0, 0, 9]]), 2), [0, 0, 1])


def average_linkage(apart, count):
    """Join the two groups with the smallest mean distance, from the definition."""
    groups = [[i] for i in range(len(apart))]
    while len(groups) > count:
        pairs = [(i, j) for i in range(len(groups)) for j in range(i)]
        i, j = min(pairs, key=lambda p: apart[np.ix_(groups[p[0]], groups[p[1]])].mean())
        groups[j] += groups.pop(i)
    first = sorted(groups, key=min)
    return [next(k for k, group in enumerate(first) if i in group) for i in range(len(apart))]


@pytest.mark.parametrize("seed", range(3))
def test_communities_are_those_of_the_definition(seed):
    states = normal(12, 5, seed=seed)
    table = correlated.overlaps(states, states)
    apart = 1 - table.numpy()
    for count in range(1, 13):
        found = correlated.communities(table, count=count)
        same(found, average_linkage(apart, count))
    tree = hierarchy.linkage(apart[np.triu_indices(12, 1)], "average")
    for within in (0, 0.1, 0.5, 1.0, 3.0):
        left = 1 + (tree[:, 2] > within).sum()
        assert correlated.communities(table, within=within).max() + 1 == left
        assert correlated.communities(table, within=within).unique().numel() == left


# Scores


def scores_by_hand(states, patterns):
    """Count by loops over NumPy's correlations."""
    m = len(states)
    table = np.array([[correlation(x, p) for p in patterns] for x in states])
    table = table.round(12)
    row = np.mean([all(table[i, i] > table[i, k] for k in range(m) if k != i) for i in range(m)])
    column = np.mean([all(table[i, i] > table[k, i] for k in range(m) if k != i) for i in range(m)])
    states = np.asarray(states)
    spread = (states - states.mean(0)).std() / states.std()
    return row, column, spread


@pytest.mark.parametrize("noise", [0.1, 0.5, 1.0, 2.0, 5.0])
def test_scores_are_those_of_a_plain_loop(noise):
    patterns = normal(12, 20, seed=1)
    states = patterns + noise * normal(12, 20, seed=2) + 1
    expected = scores_by_hand(states, patterns)
    assert correlated.scores(states, patterns) == pytest.approx(expected, abs=1e-14)
    found = correlated.scores(states.float(), patterns.float())
    assert found == pytest.approx(expected, abs=1e-6)


def test_the_column_score_is_no_retrieval():
    """A trace of the start, 0.9 ** 100 of it in one common attractor, wins every column."""
    patterns = normal(20, 200, seed=1)
    states = normal(1, 200, seed=2) + 0.9**100 * patterns
    found = correlated.scores(states, patterns)
    assert found.column == 1
    assert found.row <= 1 / 20
    assert 0 < found.spread < 1e-4


def test_scores_of_ties():
    """What is equal is a tie wherever it stands, also where it is equal up to rounding."""
    patterns = normal(5, 300)
    twins = patterns[[0, 1, 2, 3, 0]]
    assert correlated.scores(twins, twins)[:2] == (0.6, 0.6)
    stretched = torch.cat([patterns[:4], 0.3 * patterns[:1] + 0.7])
    assert correlated.scores(patterns[[0, 1, 2, 3, 0]], stretched)[:2] == (0.6, 0.6)
    # All in one state: at most one start is right, and no column is decided.
    one = patterns[:1].expand(5, -1)
    assert correlated.scores(one, patterns) == (0.2, 0.0, 0.0)
    same = torch.full((5, 300), 0.1, dtype=torch.float64)
    assert correlated.scores(same, patterns) == (0.0, 0.0, 0.0)
    assert correlated.scores(patterns, same)[:2] == (0.0, 0.0)


def test_scores_of_one_pattern():
    assert correlated.scores(normal(1, 9), normal(1, 9, seed=1)) == (1.0, 1.0, 0.0)
    assert correlated.scores(normal(4, 1), normal(4, 1, seed=1)) == (0.0, 0.0, 1.0)


def test_spread_of_extreme_numbers():
    states = normal(6, 9)
    usual = correlated.scores(states, states).spread
    assert correlated.scores(1e305 * states, states).spread == pytest.approx(usual)
    assert correlated.scores(1e-200 * states, states).spread == pytest.approx(usual)
    # Rows of equal numbers vary over the starts alone.
    assert correlated.scores(states[:, :1].expand(6, 9), states).spread == pytest.approx(1)


# Bad input

X = normal(3, 4, dtype=torch.float32)
SQUARE = X[:, :3]
NAN = X.index_fill(1, torch.tensor([0]), torch.nan)
BAD = {
    "other length": (correlated.overlaps, (X, X[:, :3]), "states must be .*shape .*, 3"),
    "integers": (correlated.overlaps, (X.long(), X), "states must be a floating tensor"),
    "integer patterns": (correlated.overlaps, (X, X.long()), "patterns must be a floating tensor"),
    "other dtype": (
        correlated.overlaps,
        (X, X.double()),
        r"states must be torch.float64 on cpu, .*states\.to\(",
    ),
    "NaN": (correlated.overlaps, (NAN, X), "states must be finite, but it was 3 of 12 values"),
    "NaN in patterns": (correlated.overlaps, (X, NAN), "patterns must be finite"),
    "no patterns": (correlated.overlaps, (X, X[:0]), "patterns must be one row or more"),
    "no coordinates": (correlated.overlaps, (X[:, :0], X[:, :0]), "patterns must be"),
    "one pattern alone": (correlated.overlaps, (X, X[0]), "patterns must be a tensor of shape"),
    "list": (correlated.overlaps, ([[1.0]], X), "states must be .*torch.as_tensor"),
    "wide matrix": (correlated.by_distance, (X, []), "correlations must be square"),
    "whole matrix": (correlated.by_distance, (SQUARE.long(), []), "correlations must be a float"),
    "NaN in matrix": (correlated.by_distance, (NAN[:, :3], []), "correlations must be finite"),
    "empty matrix": (correlated.by_distance, (X[:0, :0], []), "correlations must be"),
    "other graph": (correlated.by_distance, (SQUARE, nx.path_graph(4)), "graph must be a graph of"),
    "no rule": (correlated.communities, (SQUARE,), "count must be given, .*as within is; give"),
    "both rules": (
        correlated.communities,
        (SQUARE, 2, 0.5),
        r"count must be .*2 \(int\) beside within",
    ),
    "no groups": (correlated.communities, (SQUARE, 0), "count must be an integer from 1 to 3"),
    "many groups": (correlated.communities, (SQUARE, 4), "count must be an integer from 1 to 3"),
    "half a group": (correlated.communities, (SQUARE, 1.5), "count must be an integer"),
    "below 0": (correlated.communities, (SQUARE, None, -1), "within must be a finite number >= 0"),
    "NaN within": (correlated.communities, (SQUARE, None, torch.nan), "within must be"),
    "wide": (correlated.communities, (X, 2), "correlations must be square"),
    "more starts": (correlated.scores, (X, X[:2]), r"states must be a tensor of shape \(2, 4\)"),
    "one start": (correlated.scores, (X[0], X[:1]), r"states must be a tensor of shape \(1, 4\)"),
    "NaN in states": (correlated.scores, (NAN, X), "states must be finite"),
    "no starts": (correlated.scores, (X[:0], X[:0]), "patterns must be one row or more"),
}


@pytest.mark.untyped
@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_a_sentence(name):
    function, arguments, sentence = BAD[name]
    with pytest.raises(InputError, match=f"^correlated.{function.__name__}: {sentence}"):
        function(*arguments)
