"""Memories with links: the plain equation, graphs, views, files, masks and what happens to rows."""

import copy
import threading

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import kanerva
from kanerva import InputError, InputTypeError, activation, similarity
from kanerva.correlated import Linked
from kanerva.separation import (
    Argmax,
    Circle,
    Entmax,
    Exponential,
    Linear,
    Mixed,
    Normalised,
    Power,
    Softmax,
    TopK,
)

D, M = 16, 9


def drawn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def ring(count, directed=False):
    graph = nx.cycle_graph(count, create_using=nx.DiGraph if directed else nx.Graph)
    return graph


def random_links(count, seed=0, negative=False):
    source = np.random.default_rng(seed)
    strengths = source.random((count, count)) * (source.random((count, count)) < 0.4)
    return strengths - 0.3 * (strengths > 0) if negative else strengths


def build(graph=None, value_dim=None, rule=None, **more):
    memory = Linked(
        D, value_dim, separation=rule or Softmax(0.6), dtype=torch.float64,
        **{"auto": 0.7, "hetero": 0.4, "mean": 0.3} | more,
    )  # fmt: skip
    values = None if value_dim is None else drawn(M, value_dim, seed=2)
    ids = memory.write(drawn(M, D, seed=1), values)
    if graph is not None:
        memory.connect(graph)
    return memory, ids


def normalised(strengths, how):
    """Divide strengths by degrees, written out."""
    sent, taken = strengths.sum(1), strengths.sum(0)
    found = np.zeros_like(strengths)
    for i, j in zip(*np.nonzero(strengths), strict=True):
        if how == "symmetric":
            found[i, j] = strengths[i, j] / np.sqrt(sent[i] * taken[j])
        elif how == "rows":
            found[i, j] = strengths[i, j] / sent[i]
        else:
            found[i, j] = strengths[i, j]
    return torch.from_numpy(found)


RULES = {
    "softmax": Softmax(0.6),
    "linear": Linear(),
    "power": Power(3),
    "exponential": Exponential(0.1),
    "entmax": Entmax(1.5, 0.3),
    "top": TopK(3, 0.2),
    "argmax": Argmax(),
    "normalised": Normalised(Power(4)),
}


# The equation


@pytest.mark.parametrize("value_dim", [None, 5])
@pytest.mark.parametrize("how", ["symmetric", "rows", "none"])
@pytest.mark.parametrize("name", RULES)
def test_a_read_is_the_plain_equation(name, how, value_dim):
    strengths = random_links(M)
    memory, _ = build(strengths, value_dim, RULES[name], normalise=how)
    links, values = normalised(strengths, how), memory.values
    query = drawn(20, D, seed=3)
    weights = RULES[name](query @ memory.keys.mT)
    mixed = 0.7 * values + 0.4 * links @ values
    expected = weights @ mixed - 0.3 * values.mean(0)
    torch.testing.assert_close(memory.read(query), expected, rtol=1e-9, atol=1e-9)
    shares = 0.7 * weights + 0.4 * weights @ links - 0.3 / M
    torch.testing.assert_close(memory.weights(query), shares, rtol=1e-9, atol=1e-9)
    whole = memory.read(query, torch.ones(M, dtype=torch.bool))
    torch.testing.assert_close(whole, expected, rtol=1e-9, atol=1e-9)
    dense = 0.7 * torch.eye(M, dtype=torch.float64) + 0.4 * links
    torch.testing.assert_close(memory.mixing(), dense)


def test_masked_rows_neither_send_nor_receive():
    strengths = random_links(M)
    memory, _ = build(strengths, normalise="rows")
    links, query = normalised(strengths, "rows"), drawn(4, D, seed=3)
    kept = torch.arange(M) % 3 != 0
    weights = Softmax(0.6)(query @ memory.keys.mT, kept)
    shares = 0.7 * weights + 0.4 * weights @ links - 0.3 / kept.sum()
    shares[:, ~kept] = 0
    torch.testing.assert_close(memory.weights(query, kept), shares)
    torch.testing.assert_close(memory.read(query, kept), shares @ memory.values)
    added = torch.where(kept, 0.0, -torch.inf).double()
    torch.testing.assert_close(memory.read(query, added), shares @ memory.values)


def test_explain_tells_the_attention_before_it_spreads():
    memory, _ = build(random_links(M))
    query = drawn(3, D, seed=3)
    plain = kanerva.modern_hopfield(D, 0.6, dtype=torch.float64)
    plain.write(memory.keys)
    found, attention = memory.explain(query), plain.explain(query)
    torch.testing.assert_close(found.weights, memory.weights(query))
    assert (found.weights < 0).any()
    for name in ("mass", "active", "effective", "entropy"):
        torch.testing.assert_close(getattr(found, name), getattr(attention, name))


def test_without_links_and_mean_it_is_the_plain_memory():
    memory, _ = build(auto=1.0, mean=0.0)
    plain = kanerva.modern_hopfield(D, 0.6, dtype=torch.float64)
    plain.write(memory.keys)
    query = drawn(6, D, seed=4)
    assert torch.equal(memory.read(query), plain.read(query))
    torch.testing.assert_close(memory.energy(query), plain.energy(query))


@pytest.mark.parametrize("auto", [1.0, 0.4, -0.5])
def test_the_energy_without_links_is_exact(auto):
    """|q|^2 / 2 - a lse(beta s) / beta + c q . mean, whose gradient is q - read."""
    memory, _ = build(auto=auto)
    query = drawn(5, D, seed=5).requires_grad_()
    scores = query @ memory.keys.mT
    expected = query.square().sum(-1) / 2 - auto * torch.logsumexp(0.6 * scores, -1) / 0.6
    expected = expected + 0.3 * query @ memory.keys.mean(0)
    torch.testing.assert_close(memory.energy(query), expected)
    (slope,) = torch.autograd.grad(memory.energy(query).sum(), query)
    torch.testing.assert_close(slope, query - memory.read(query))
    with pytest.raises(InputError, match="hetero 0, or no edges"):
        build(ring(M))[0].energy(query)


def test_the_energy_falls_along_a_recall():
    memory = kanerva.cdam(200, 1.0, dtype=torch.float64)
    memory.write(torch.rand(12, 200, generator=torch.Generator().manual_seed(0)).double())
    path = memory.trace(memory.keys + 0.4 * drawn(12, 200, seed=1), steps=60)
    assert (path.energies[1:] - path.energies[:-1] <= 1e-9).all()


# Links


def test_links_add_up_and_are_removed():
    memory, ids = build()
    memory.link(ids[[0, 1, 0]], ids[[1, 2, 1]], [1.0, 2.0, 0.5])
    memory.link(0, 1, 1)
    links = memory.links
    assert links.sources.tolist() == [0, 1]
    assert links.targets.tolist() == [1, 2]
    assert links.strengths.tolist() == [2.5, 2.0]
    memory.unlink([0], [1])
    assert memory.links.sources.tolist() == [1]
    with pytest.raises(InputError, match="pairs that are linked"):
        memory.unlink([0], [1])
    assert len(memory.links.sources) == 1


def test_links_follow_what_happens_to_rows():
    graph = random_links(M)
    memory, ids = build(graph)
    memory.forget(ids[[0, 4]])
    left = [place for place in range(M) if place not in (0, 4)]
    torch.testing.assert_close(
        memory.mixing(),
        0.7 * torch.eye(M - 2, dtype=torch.float64)
        + 0.4 * normalised(graph[np.ix_(left, left)], "symmetric"),
    )
    more = memory.write(drawn(2, D, seed=9))
    assert not memory.mixing()[-2:, :-2].any()
    memory.link(more[:1], ids[1])
    assert memory.links.targets[-1] == ids[1]
    memory.clear()
    assert len(memory.links.sources) == len(memory) == 0
    assert memory.read(drawn(2, D)).abs().sum() == 0


def test_the_order_of_writing_does_not_matter_with_links_permuted_alike():
    graph, order = random_links(M), torch.randperm(M, generator=torch.Generator().manual_seed(3))
    one, _ = build(graph)
    other = Linked(D, separation=Softmax(0.6), dtype=torch.float64, auto=0.7, hetero=0.4, mean=0.3)
    other.write(drawn(M, D, seed=1)[order])
    other.connect(graph[np.ix_(order, order)])
    query = drawn(4, D, seed=3)
    torch.testing.assert_close(one.read(query), other.read(query))


def test_copies_and_files_keep_links(tmp_path):
    memory, ids = build(random_links(M), rate=0.5, normalise="rows")
    query = drawn(4, D, seed=3)
    memory.save(tmp_path / "memory.safetensors")
    loaded = kanerva.load(tmp_path / "memory.safetensors")
    assert type(loaded) is Linked
    assert (loaded.rate, loaded.normalise, loaded.auto) == (0.5, "rows", 0.7)
    empty = Linked(
        D, separation=Softmax(0.6), dtype=torch.float64, auto=0.7, hetero=0.4, mean=0.3,
        normalise="rows",
    )  # fmt: skip
    empty.load_state_dict(memory.state_dict())
    for other in (loaded, copy.deepcopy(memory), empty):
        assert torch.equal(other.read(query), memory.read(query))
        other.forget(ids[:1])
        assert len(other.links.sources) < len(memory.links.sources)
    half = copy.deepcopy(memory).to(torch.bfloat16)
    assert half.strengths.dtype == torch.float64
    assert torch.equal(half.links.strengths, memory.links.strengths)


def test_a_learned_beta_is_saved(tmp_path):
    memory = kanerva.cdam(D, torch.nn.Parameter(torch.tensor(0.5)))
    memory.write(drawn(M, D).float())
    memory.connect(ring(M))
    memory.read(drawn(2, D).float()).sum().backward()
    assert memory.beta.grad is not None
    memory.save(tmp_path / "memory.safetensors")
    other = kanerva.load(tmp_path / "memory.safetensors")
    assert isinstance(other.beta, torch.nn.Parameter)
    query = drawn(2, D).float()
    assert torch.equal(other.read(query), memory.read(query))


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state.update(sources=state["sources"].flip(0)),
        lambda state: state.update(targets=state["targets"] + M),
        lambda state: state.update(targets=state["targets"][1:]),
        lambda state: state.update(strengths=state["strengths"] * torch.nan),
        lambda state: state.update(strengths=-state["strengths"]),
        lambda state: state.update(sources=state["sources"].double()),
    ],
)
def test_damaged_links_are_refused_and_nothing_is_changed(damage):
    memory, _ = build(random_links(M))
    state = {name: rows.clone() for name, rows in memory.state_dict().items()}
    damage(state)
    before = memory.read(drawn(2, D))
    with pytest.raises(InputError, match="links"):
        memory.load_state_dict(state)
    assert torch.equal(memory.read(drawn(2, D)), before)


# Graphs


def test_graphs_of_all_kinds_link_alike():
    array = nx.to_numpy_array(nx.karate_club_graph(), weight=None)
    kinds = (
        nx.karate_club_graph(),
        sparse.csr_array(array),
        array,
        torch.from_numpy(array),
        [(int(i), int(j)) for i, j in zip(*np.nonzero(array), strict=True)],
    )
    found = []
    for graph in kinds:
        memory = kanerva.cdam(D, 1.0, hetero=1.0)
        memory.write(drawn(34, D).float())
        memory.connect(graph)
        found.append(memory.mixing())
    for other in found[1:]:
        assert torch.equal(found[0], other)
    weighted = kanerva.cdam(D, 1.0, hetero=1.0)
    weighted.write(drawn(34, D).float())
    weighted.connect(kinds[0], weight="weight")
    assert not torch.equal(weighted.mixing(), found[0])


def test_a_graph_links_some_rows():
    memory, ids = build()
    memory.connect(ring(3, directed=True), ids=ids[[5, 2, 7]])
    assert list(zip(*memory.links[:2], strict=True)) == [(2, 7), (5, 2), (7, 5)]


def test_an_edge_into_a_sink_is_kept_and_isolated_rows_are_fine():
    memory, _ = build(nx.path_graph(M, create_using=nx.DiGraph), auto=0.0, hetero=1.0, mean=0.0)
    assert torch.equal(memory.mixing().argmax(-1)[:-1], torch.arange(1, M))
    assert memory.mixing().sum() == M - 1  # the published normalisation loses the last edge
    assert not memory.mixing()[-1].any()


# Views


def test_a_view_shares_rows_links_and_later_changes():
    memory, ids = build(ring(M, directed=True), normalise="none")
    view = memory.at(auto=0.0, hetero=1.0, beta=50.0)
    assert view.keys.data_ptr() == memory.keys.data_ptr()
    unit = torch.nn.functional.normalize(memory.keys, dim=-1)
    after = memory.keys.roll(-1, 0) - 0.3 * memory.keys.mean(0)
    torch.testing.assert_close(view.read(20 * unit), after)
    assert memory.auto == 0.7
    memory.forget(ids[:1])
    assert len(view) == M - 1
    again = memory.at(auto=0.0, hetero=1.0, beta=50.0)
    query = drawn(3, D)
    assert torch.equal(view.read(query), again.read(query))
    memory.link(ids[3], ids[8], 5.0)
    assert torch.equal(view.read(query), again.read(query))
    torch.testing.assert_close(view.mixing(), memory.at(auto=0.0, hetero=1.0).mixing())


@pytest.mark.parametrize("verb", ["write", "forget", "clear", "link", "unlink", "connect", "save"])
def test_a_view_cannot_be_changed_or_saved(verb, tmp_path):
    memory, ids = build(ring(M))
    given = {
        "write": (drawn(1, D),), "forget": (ids[:1],), "clear": (), "link": (0, 1),
        "unlink": (0, 1), "connect": (ring(M),), "save": (tmp_path / "x.safetensors",),
    }[verb]  # fmt: skip
    view = memory.at(auto=0.0)
    with pytest.raises(InputError, match="a view made by at"):
        getattr(view, verb)(*given)
    assert len(memory) == M
    assert len(memory.links.sources) == 2 * M
    copied = copy.deepcopy(view)
    copied.clear()
    assert len(memory) == M


# Speed does not change answers


def test_folded_values_follow_every_change():
    memory, ids = build(ring(M))
    query = drawn(4, D, seed=3)

    def right():
        whole = memory.read(query, torch.ones(len(memory), dtype=torch.bool))
        torch.testing.assert_close(memory.read(query), whole, rtol=1e-10, atol=1e-10)

    right()
    memory.link(ids[0], ids[5], 2.0)
    right()
    memory.write(drawn(3, D, seed=8))
    right()
    memory.forget(ids[2:4])
    right()
    with torch.no_grad():
        memory.keys[0] = 3.0
    right()
    memory.load_state_dict(build(random_links(M))[0].state_dict())
    right()


def test_reads_while_rows_change_fit_one_state():
    memory, _ = build(ring(M), value_dim=1, rule=Softmax(1e-6), auto=0.0, hetero=1.0, mean=0.0)
    faults, done = [], threading.Event()

    def reading():
        while not done.is_set():
            try:
                memory.read(drawn(2, D))
                memory.weights(drawn(2, D))
            except Exception as error:
                faults.append(error)
                return

    threads = [threading.Thread(target=reading) for _ in range(2)]
    for thread in threads:
        thread.start()
    for turn in range(60):
        more = memory.write(drawn(3, D, seed=turn), drawn(3, 1, seed=turn))
        memory.link(more[:2], more[1:])
        memory.forget(more[:2])
    done.set()
    for thread in threads:
        thread.join()
    assert not faults, faults


@pytest.mark.parametrize("storage", [None, torch.bfloat16, "bits"])
def test_rows_may_be_kept_in_fewer_bytes(storage):
    memory = Linked(
        64, separation=Linear(), activation=activation.Sign(), auto=1.5, hetero=1.0,
        normalise="none", storage=storage,
    )  # fmt: skip
    patterns = kanerva.bits.random(M, 64, seed=0)
    memory.write(patterns)
    memory.connect(ring(M))
    cue = kanerva.bits.flip(patterns, 6, seed=1)
    overlaps = cue @ patterns.mT
    field = (1.5 * overlaps + overlaps.roll(1, -1) + overlaps.roll(-1, -1)) @ patterns
    expected = torch.where(field == 0, 1.0, field.sign())
    assert torch.equal(memory.read(cue), expected)


def test_circles_take_links():
    memory = Linked(
        64, 3, similarity=similarity.agreement, separation=Circle(64, 20), auto=0.0, hetero=1.0,
        normalise="rows",
    )  # fmt: skip
    keys = kanerva.bits.random(5, 64, seed=0)
    ids = memory.write(keys, drawn(5, 3).float())
    memory.link(ids, ids.roll(-1))
    weights = Circle(64, 20)(similarity.agreement(keys, keys))
    torch.testing.assert_close(memory.read(keys), weights @ memory.values.roll(-1, 0))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 7), st.integers(0, 2**20), st.sampled_from(["symmetric", "rows", "none"]))
def test_any_graph_gives_the_plain_equation(count, seed, how):
    strengths = random_links(count, seed)
    memory = Linked(4, separation=Softmax(0.5), hetero=0.8, auto=-0.2, mean=1.0, normalise=how,
                    dtype=torch.float64)  # fmt: skip
    memory.write(drawn(count, 4, seed=seed))
    memory.connect(strengths)
    query = drawn(3, 4, seed=seed + 1)
    weights = (0.5 * query @ memory.keys.mT).softmax(-1)
    shares = -0.2 * weights + 0.8 * weights @ normalised(strengths, how) - 1 / count
    torch.testing.assert_close(memory.read(query), shares @ memory.keys, rtol=1e-9, atol=1e-9)


# What a strict reader found


def test_a_view_follows_a_memory_that_is_moved():
    memory, _ = build(ring(M))
    view = memory.at(auto=0.0)
    memory.float()
    query = drawn(3, D).float()
    assert torch.equal(view.read(query), memory.at(auto=0.0).read(query))
    assert view.read(query).dtype == torch.float32
    state = build(ring(M))[0].state_dict()
    for change in (
        lambda: view.double(),
        lambda: view.load_state_dict(state),
        lambda: view.register_rows("more", default=0.0),
    ):
        with pytest.raises(InputError, match="a view made by at"):
            change()
    assert memory.dtype == torch.float32
    assert len(memory) == M


def test_a_read_in_inference_mode_leaves_training_as_it_is():
    memory = kanerva.cdam(D, torch.nn.Parameter(torch.tensor(1.0)), hetero=0.5)
    memory.write(drawn(4, D).float())
    memory.link(0, 1)
    with torch.inference_mode():
        memory.read(drawn(1, D).float())
        memory.at(auto=0.1).read(drawn(1, D).float())
    memory.read(drawn(2, D).float()).sum().backward()
    assert memory.beta.grad is not None


@pytest.mark.untyped
@pytest.mark.parametrize("masked", [False, True])
def test_reads_with_links_are_one_graph(masked):
    memory, _ = build(random_links(M))
    query, mask = drawn(3, D), torch.arange(M) != 2 if masked else None
    read = torch.compile(lambda x: memory.read(x, mask), backend="eager", fullgraph=True)
    torch.testing.assert_close(read(query), memory.read(query, mask))
    for transform in (torch.func.vmap, lambda f: torch.func.vmap(torch.func.jacrev(f))):
        assert transform(lambda x: memory.read(x, mask))(query).isfinite().all()
    twice = torch.func.jacrev(torch.func.jacrev(lambda x: memory.weights(x, mask).square().sum()))
    slope = twice(query[0])
    assert slope.isfinite().all()


def test_other_rows_without_links_drop_the_links():
    memory, _ = build(ring(M))
    plain = kanerva.modern_hopfield(D, 0.6, dtype=torch.float64)
    plain.write(drawn(M, D, seed=7))
    memory.load_state_dict(plain.state_dict(), strict=False)
    assert len(memory.links.sources) == 0
    assert torch.equal(memory.mixing(), 0.7 * torch.eye(M, dtype=torch.float64))


def test_strengths_are_kept_in_float64():
    memory, _ = build()
    memory.link([0, 1], [1, 2], [0.1, 1e-200])
    memory.link(2, 3, 0.1)
    assert memory.links.strengths.tolist() == [0.1, 1e-200, 0.1]
    memory.connect([(4, 5, 0.1)])
    assert memory.links.strengths[-1] == 0.1
    memory.link([0, 6], [1, 7], [0.0, 0.0])  # no links
    assert len(memory.links.strengths) == 4


def test_too_large_amounts_are_refused():
    memory = kanerva.cdam(D, 1.0)
    memory.write(drawn(M, D).float())
    memory.connect(ring(M))
    query = drawn(2, D).float()
    for view in (memory.at(auto=1e300), memory.at(hetero=1e300)):
        with pytest.raises(InputError, match="so small that reads stay within"):
            view.read(query)
        with pytest.raises(InputError, match="so small that reads stay within"):
            view.mixing()


@pytest.mark.parametrize("empty", ["zero", "keep", "raise"])
def test_what_is_empty_is_the_same_with_and_without_a_mask(empty):
    memory, _ = build(
        nx.path_graph(M, create_using=nx.DiGraph), rule=Argmax(), auto=0.0, hetero=1.0, mean=0.0,
        empty=empty,
    )  # fmt: skip
    sink, kept = memory.keys[-1:] * 9, torch.ones(M, dtype=torch.bool)
    if empty == "raise":
        for mask in (None, kept):
            with pytest.raises(InputError, match="near something that is stored"):
                memory.read(sink, mask)
        return
    assert torch.equal(memory.read(sink), memory.read(sink, kept))
    assert torch.equal(memory.read(sink), sink if empty == "keep" else 0 * sink)


def test_links_may_be_read_while_they_change():
    memory, _ = build(ring(M))
    faults, done = [], threading.Event()

    def reading():
        while not done.is_set():
            try:
                memory.links, memory.mixing(), memory.at(auto=0.1).read(drawn(1, D))
            except Exception as error:
                faults.append(error)
                return

    threads = [threading.Thread(target=reading) for _ in range(2)]
    for thread in threads:
        thread.start()
    for turn in range(60):
        more = memory.write(drawn(3, D, seed=turn))
        memory.link(more[:2], more[1:])
        memory.forget(more[:2])
    done.set()
    for thread in threads:
        thread.join()
    assert not faults, faults


# Bad input


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda memory, ids: memory.link([0, 99], [1, 2]), "sources must be stored"),
        (lambda memory, ids: memory.link([0], [99]), "targets must be stored"),
        (lambda memory, ids: memory.link([0, 1], [2]), "targets must be as many as the 2"),
        (lambda memory, ids: memory.link([0], [1], [1.0, 2.0]), "strengths must be"),
        (lambda memory, ids: memory.link([0], [1], -1.0), 'normalise="none"'),
        (lambda memory, ids: memory.link([0], [1], float("nan")), "NaN or infinite"),
        (lambda memory, ids: memory.link([0], [1], "strong"), "strengths must be"),
        (lambda memory, ids: memory.link([0.5], [1]), "sources must be integers"),
        (lambda memory, ids: memory.connect(ring(5)), "graph of 9 nodes"),
        (lambda memory, ids: memory.connect(np.full((M, M), np.nan)), "NaN or infinite"),
        (lambda memory, ids: memory.connect(7), "graph"),
        (lambda memory, ids: memory.at(auto=float("nan")), "auto must be"),
        (lambda memory, ids: memory.at(beta=-1.0), "beta must be"),
        (lambda memory, ids: Linked(4), "separation must be"),
        (lambda memory, ids: Linked(4, separation=Softmax(1.0), rate=0), "rate must be"),
        (lambda memory, ids: Linked(4, separation=Softmax(1.0), normalise="all"), "normalise"),
        (lambda memory, ids: Linked(4, separation=Softmax(1.0), auto="much"), "auto must be"),
        (
            lambda memory, ids: Linked(
                4, separation=Linear(), activation=activation.Sign(), rate=0.5
            ),
            "rate must be 1",
        ),
        (
            lambda memory, ids: Linked(4, separation=kanerva.hopfield(4).separation),
            "self-coupling",
        ),
    ],
)
def test_bad_input_is_named_and_changes_nothing(call, words):
    memory, ids = build(ring(M))
    before = memory.mixing()
    with pytest.raises((InputError, InputTypeError), match=words):
        call(memory, ids)
    assert torch.equal(memory.mixing(), before)


@pytest.mark.untyped
def test_bad_mixing_is_named():
    scores = torch.zeros(2, 3)
    for mixing, words in (
        (torch.zeros(2, 3), "square"),
        (torch.zeros(3, 3, dtype=torch.int64), "floating"),
        (torch.full((3, 3), torch.nan), "NaN or infinite"),
        ([[1.0]], "floating"),
    ):
        with pytest.raises((InputError, InputTypeError), match=words):
            Mixed(Softmax(1.0), hetero=1.0, mixing=mixing)
    with pytest.raises(InputError, match="over the 3 keys"):
        Mixed(Softmax(1.0), hetero=1.0, mixing=torch.zeros(4, 4))(scores)


# What the core gives every memory


def test_a_path_keeps_what_is_asked():
    memory, _ = build(ring(M))
    query = drawn(2, 3, D, seed=3)
    whole = memory.trace(query, steps=6)
    kept = memory.trace(query, steps=6, keep=lambda state: state @ memory.keys.mT)
    torch.testing.assert_close(kept.states, whole.states @ memory.keys.mT)
    assert torch.equal(kept.steps, whole.steps)
    plain = kanerva.modern_hopfield(D, 0.5, dtype=torch.float64)
    plain.write(memory.keys)
    one, other = plain.trace(query), plain.trace(query, keep=lambda state: state[..., :1])
    torch.testing.assert_close(other.energies, one.energies)
    assert other.states.shape == (*one.states.shape[:-1], 1)
    untouched = query.clone()
    memory.trace(query, steps=2, keep=lambda state: state.zero_())
    assert torch.equal(query, untouched)
    widths = iter(range(1, 9))
    growing = lambda state: state[..., : next(widths)]  # noqa: E731
    for wrong in (lambda state: 3, lambda state: state.sum(), lambda state: state[0], growing):
        with pytest.raises(InputError, match="keep must be a function that returns a tensor"):
            memory.trace(query, keep=wrong)


def test_the_rate_of_a_recall_is_the_memory_s_own():
    memory, _ = build(ring(M), rate=0.25)
    query = drawn(3, D, seed=3)
    step = query + 0.25 * (memory.read(query) - query)
    torch.testing.assert_close(memory.recall(query, steps=1), step)
    torch.testing.assert_close(memory.recall(query, steps=1, rate=1.0), memory.read(query))
    assert kanerva.modern_hopfield(4, 1.0).rate == 1.0


def test_a_memory_over_a_file_is_read_and_moved_but_not_linked(tmp_path):
    np.save(tmp_path / "keys.npy", drawn(5, D).float().numpy())
    memory = Linked.over(tmp_path / "keys.npy", separation=Softmax(0.5))
    plain = kanerva.Patterns.over(tmp_path / "keys.npy", separation=Softmax(0.5))
    query = drawn(3, D)
    assert torch.equal(memory.double().read(query), plain.double().read(query))
    with pytest.raises(InputError, match="build a Linked, write its rows to that, and link them"):
        memory.link(0, 1)


def test_rows_that_are_added_leave_the_shares_as_they_are():
    memory, ids = build(random_links(M))
    shares = memory.separation.mixing.strengths
    memory.write(drawn(2, D, seed=4))
    assert memory.separation.mixing.strengths is shares
    memory.link(ids[0], ids[1], 1.0)
    assert memory.separation.mixing.strengths is not shares
