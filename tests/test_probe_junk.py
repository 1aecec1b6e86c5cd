"""Nonsense in every argument of ``kanerva.nn`` and ``kanerva.probe``: only documented errors."""

import functools
import inspect
import math

import pytest
import torch

import kanerva
import small
from kanerva import nn, probe
from kanerva.nn import projection
from kanerva.separation import Argmax, Entmax, Sink, Softmax, TopK

pytest.importorskip("transformers")
pytestmark = pytest.mark.untyped

JUNK = {
    "None": lambda: None,
    "text": lambda: "junk",
    "bytes": lambda: b"x",
    "NaN": lambda: math.nan,
    "infinity": lambda: math.inf,
    "minus one": lambda: -1,
    "zero": lambda: 0,
    "tiny": lambda: 1e-320,
    "huge": lambda: 2**70,
    "fraction": lambda: 1.5,
    "True": lambda: True,
    "dict": dict,
    "places": lambda: {(0, 0): 1},
    "named places": lambda: {("a", 0): Softmax(1.0)},
    "named head": lambda: {(0, "a"): Softmax(1.0)},
    "list": list,
    "list of None": lambda: [None],
    "list of text": lambda: ["a"],
    "tuple": lambda: (1,),
    "object": object,
    "generator": lambda: (place for place in ("a", "b")),
    "module": lambda: torch.nn.Identity(),
    "dtype": lambda: torch.float32,
    "number in a tensor": lambda: torch.tensor(1.0),
    "NaN in a tensor": lambda: torch.tensor([1.0, math.nan]),
    "tensor": lambda: torch.zeros(2, 3),
    "empty tensor": lambda: torch.zeros(0),
    "bool tensor": lambda: torch.zeros(2, 3, dtype=torch.bool),
    "complex tensor": lambda: torch.zeros(2, 2, dtype=torch.complex64),
    "sparse tensor": lambda: torch.eye(2).to_sparse(),
    "tensor on meta": lambda: torch.zeros(2, 3, device="meta"),
}
FLAGS = {"normalise", "bias", "causal", "shuffled", "matched"}


def entered(context):
    """Return a function that enters and leaves a context."""

    @functools.wraps(context)
    def call(*args, **kwargs):
        with context(*args, **kwargs):
            pass

    return call


@functools.cache
def calls():
    """Return public callables, each with good arguments."""
    model, inputs = small.build("gpt2")
    with probe.watch(model) as heads, torch.no_grad():
        model(**inputs)
    with probe.feedforward(model) as stores, torch.no_grad():
        model(**inputs)
    attention, latent = nn.Attention(8, 2), nn.LatentAttention(8, 2, 3)
    keys, circle = projection.Projection(4, 3), probe.CosineCircle(8, 2)
    x, q, rows = (
        torch.ones(2, 5, 8),
        torch.ones(1, 2, 3, 4),
        torch.linspace(0.1, 1, 16).sin().reshape(4, 4),
    )
    keep, cell = torch.ones(2, 5, dtype=torch.bool), nn.DIACell(8)
    rule = Softmax(1.0)
    attended = {"query": x, "context": None, "mask": keep, "causal": False}
    plain = {"dim": 8, "heads": 2, "normalise": True, "beta": 2.0, "persistent": 1, "value_dim": 8}
    return {
        "nn.Attention": (nn.Attention, plain | {"separation": rule, "bias": True}),
        "Attention()": (attention, attended),
        "Attention.forward": (attention.forward, attended),
        "Attention.weights": (attention.weights, attended),
        "Attention.reset": (attention.reset, {"seed": 1}),
        "nn.LatentAttention": (nn.LatentAttention, plain | {"latents": 3}),
        "LatentAttention()": (latent, {"context": x, "mask": keep}),
        "LatentAttention.weights": (latent.weights, {"context": x, "mask": keep}),
        "LatentAttention.reset": (latent.reset, {"seed": 1}),
        "nn.read_heads": (
            nn.read_heads,
            {"query": q, "key": q, "value": q, "similarity": "dot", "separation": rule}
            | {"keep": None, "bias": None},
        ),
        "nn.register": (
            nn.register,
            {"name": "junk_test", "separation": rule, "similarity": "dot"},
        ),
        "nn.DIACell": (
            nn.DIACell,
            {"channels": 8, "reduction": 4, "squash": "tanh", "cells": 1, "seed": 0},
        ),
        "DIACell()": (cell, {"pooled": x[:, 0], "state": None}),
        "DIACell.reset": (cell.reset, {"seed": 1}),
        "nn.share": (
            shared_anew,
            {"branches": "0", "example": x[0], "gate": "dia", "scope": "stage", "reduction": 1}
            | {"seed": 0, "channels_last": None, "name": "shared"},
        ),
        "nn.share of a model": (
            lambda model: nn.share(model, "0", x[0]).remove(),
            {"model": torch.nn.Sequential(torch.nn.Identity())},
        ),
        "nn.correlation": (
            nn.correlation,
            {"gates": rows.reshape(2, 2, 4), "over": "both", "pairs": "all", "null": None}
            | {"seed": 0},
        ),
        "Projection": (projection.Projection, {"dim_in": 4, "dim_out": 3, "seed": 0}),
        "Projection()": (keys, {"x": rows}),
        "projection.fit": (
            projection.fit,
            {"projection": keys, "images": rows, "beta": 1.0, "flips": (1, 2), "epochs": 1}
            | {"batch": 2, "rate": 0.01, "seed": 0},
        ),
        "projection.tilt": (projection.tilt, {"x": rows, "flips": 1, "seed": 0}),
        "projection.cosines": (projection.cosines, {"keys": rows}),
        "probe.CosineCircle": (probe.CosineCircle, {"bits": 8, "radius": 2}),
        "CosineCircle()": (circle, {"scores": torch.tensor([0.1, 0.5, 0.9]), "mask": None}),
        "CosineCircle.log_weights": (circle.log_weights, {"scores": torch.tensor([0.1, 0.5, 0.9])}),
        "separation.Sink": (Sink, {"part": rule, "score": 0.0}),
        "Sink()": (Sink(rule, 0.0), {"scores": torch.tensor([0.1, 0.5, 0.9]), "mask": None}),
        "Sink.potential": (
            Sink(rule, 0.0).potential,
            {"scores": torch.tensor([0.1, 0.5, 0.9]), "mask": None},
        ),
        "probe.watch": (
            entered(probe.watch),
            {"model": model, "layers": [0], "special": [1], "size": 4, "rows": 3}
            | {"shuffled": False, "seed": 0},
        ),
        "probe.replace": (
            entered(probe.replace),
            {"model": model, "memory": rule, "layers": [0], "heads": [0], "steps": 1},
        ),
        "probe.feedforward": (
            entered(probe.feedforward),
            {"model": model, "top": 2, "rows": 3, "seed": 0},
        ),
        "probe.effects": (
            probe.effects,
            {"model": model, "batches": [inputs], "memories": {"a": rule}, "layers": [0]}
            | {"heads": [0], "progress": None},
        ),
        "probe.circles": (
            probe.circles,
            {"heads": heads, "radius": 2, "space": "binary", "matched": False},
        ),
        "Heads.table": (heads.table, {"patterns": 5, "space": "binary"}),
        "Head.fit": (heads[0].fit, {"patterns": 5, "space": "binary"}),
        "Head.agreement": (heads[0].agreement, {"space": "binary"}),
        "Store.strongest": (stores[0].strongest, {"n": 2}),
    }


def shared_anew(**options):
    """Share a model of its own."""
    nn.share(torch.nn.Sequential(torch.nn.Identity()), **options)


NAMES = """nn.DIACell|DIACell()|DIACell.reset|nn.share|nn.share of a model|nn.correlation|
nn.Attention|Attention()|Attention.forward|Attention.weights|Attention.reset|
nn.LatentAttention|LatentAttention()|LatentAttention.weights|LatentAttention.reset|nn.read_heads|
nn.register|Projection|Projection()|projection.fit|projection.tilt|projection.cosines|
probe.CosineCircle|CosineCircle()|CosineCircle.log_weights|separation.Sink|Sink()|Sink.potential|
probe.watch|probe.replace|probe.feedforward|probe.effects|probe.circles|Heads.table|Head.fit|
Head.agreement|Store.strongest""".replace("\n", "").split("|")
# Layers that test_bad_input.py feeds with junk.
FURTHER = {"EnergyBlock", "Lookup", "MemoryAttention", "SDMLayer", "hopfield_layer"}
FURTHER |= {"hopfield_lookup", "hopfield_pooling", "sparse_hopfield_layer", "Descent"}
# Results, and what a gate is made from; the base class of gates has no forward.
FURTHER |= {"CellState", "Correlation", "Gate", "Shared", "Stage"}
# Made by the library, not by its users.
MADE = {"Activated", "Agreement", "Effect", "Fit", "Head", "Heads", "Reads", "Store", "StoreFit"}


def test_every_public_callable_is_called():
    called = set(NAMES)
    attention = set(nn.__all__) - FURTHER
    for place, names in (("nn", attention), ("probe", set(probe.__all__) - MADE - {"Memory"})):
        assert {f"{place}.{name}" for name in names} <= called
    assert called == set(calls())


@pytest.mark.parametrize("name", NAMES)
def test_nonsense_gets_the_sentence(name):
    call, good = calls()[name]
    call(**good)
    for argument in good:
        for what, make in JUNK.items():
            if argument == "progress" and callable(make()):
                continue  # what a function raises is its own
            try:
                call(**(good | {argument: make()}))
            except kanerva.InputError:
                continue
            else:
                taken = what == "True" or argument not in FLAGS or name == "nn.read_heads"
                assert taken, f"{argument}: {what} is taken for a bool"


def test_a_bool_is_a_bool():
    with pytest.raises(kanerva.InputTypeError, match="Attention: normalise must be True or False"):
        nn.Attention(8, 2, normalise="no")
    with pytest.raises(kanerva.InputTypeError, match="causal must be True or False"):
        nn.Attention(8, 2)(torch.ones(1, 3, 8), causal=torch.ones(3, 3))
    with pytest.raises(kanerva.InputTypeError, match="circles: heads must be heads that were"):
        probe.circles(None)


@pytest.mark.parametrize("worth", [math.nan, math.inf])
def test_a_bias_of_no_number_is_no_mask(worth):
    q, bias = torch.ones(1, 2, 3, 4), torch.zeros(1, 2, 3, 3)
    bias[0, 1, 2, 0] = worth
    with pytest.raises(kanerva.InputError, match="read_heads: bias must be made of finite numbers"):
        nn.read_heads(q, q, q, "dot", Softmax(1.0), bias=bias)
    model, inputs = small.build("t5")
    small.skip_unless_interceptable(model)
    table = model.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight
    table.data[0, 0] = worth
    with pytest.raises(kanerva.InputError, match="scores must be finite"), probe.watch(model):
        model(**inputs)


RULES = [Softmax(1.0), Argmax(), TopK(2, 1.0), Entmax(1.5, 1.0), Sink(Softmax(1.0), 0.0)]
LAYERS = {
    **{f"dot, {rule}": (False, rule) for rule in RULES},
    **{f"cosine, {rule}": (True, rule) for rule in RULES},
    "circle": (True, probe.CosineCircle(4, 1)),
}


@pytest.mark.parametrize("worth", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", LAYERS)
def test_numbers_that_are_not_finite_are_refused_by_every_layer(name, worth):
    normalise, rule = LAYERS[name]
    layer = nn.Attention(8, 2, normalise=normalise, separation=rule)
    query = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    for place in ("query", "context"):
        given = {"query": query.clone(), "context": query.clone()}
        given[place][1, 2, 3] = worth
        for call in (layer, layer.weights):
            with pytest.raises(kanerva.InputError, match=r"must be (finite|cosines)"):
                call(**given)
    pool = nn.LatentAttention(8, 2, 3, normalise=normalise, separation=rule)
    with pytest.raises(kanerva.InputError, match=r"must be (finite|cosines)"):
        pool(given["context"])
    heads = given["context"].reshape(2, 5, 2, 4).transpose(1, 2)
    good = query.reshape(2, 5, 2, 4).transpose(1, 2)
    similar = "cosine" if normalise else "dot"
    for rows in ((heads, good, good), (good, heads, good), (good, good, heads)):
        with pytest.raises(kanerva.InputError, match=r"must be (finite|cosines)"):
            nn.read_heads(*rows, similar, rule)


@pytest.mark.parametrize("name", LAYERS)
def test_in_a_compiled_layer_they_are_never_numbers(name):
    """The text with a NaN in it is NaN where it is read, and the other text is as before."""
    normalise, rule = LAYERS[name]
    layer = nn.Attention(8, 2, normalise=normalise, separation=rule)
    query = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    own = layer(query)
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(query), own)
    bad = query.clone()
    bad[1, 2, 3] = math.nan
    found = compiled(bad)
    torch.testing.assert_close(found[0], own[0])
    assert found[1].isnan().all()
    found = compiled(query, torch.stack((query[0], bad[1])))
    torch.testing.assert_close(found[0], own[0])
    assert found[1].isnan().all()


def test_signatures_name_what_is_called():
    for name, (call, good) in calls().items():
        known = inspect.signature(call).parameters
        assert set(good) <= set(known) or "options" in known or "args" in known, name
