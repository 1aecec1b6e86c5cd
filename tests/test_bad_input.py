"""Bad calls: each raises an InputError of four parts; odd but sound input gets the right result.

The tables below list calls that work, and odd objects that take the place of an argument.
No result is NaN.
"""

import math
import pickle
import warnings
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

import kanerva
from kanerva import (
    InputError,
    Locations,
    Patterns,
    activation,
    bits,
    correlated,
    density,
    diffusion,
    dynamics,
    entropic,
    estimators,
    functional,
    quarks,
    separation,
    similarity,
    theory,
)
from kanerva.activation import Sign
from kanerva.bits import Packed
from kanerva.nn import EnergyBlock
from kanerva.quarks import capacity
from kanerva.separation import (
    Argmax,
    Cap,
    Circle,
    Compact,
    Difference,
    Entmax,
    Exponential,
    Inhibition,
    Linear,
    Normalised,
    Power,
    Softmax,
    Step,
    TopK,
)

# The run-time shape checks would refuse bad input before the library does.
pytestmark = pytest.mark.untyped

SOURCE = torch.Generator().manual_seed(0)
X, KEYS, VALUES = (torch.randn(*shape, generator=SOURCE) for shape in ((3, 4), (5, 4), (5, 3)))
B, CORNERS = bits.random(3, 4, seed=0), bits.random(5, 4, seed=1)
MIXING = np.full((3, 3), 0.2) + np.eye(3)
MOVES = {(0, "a"): 1, (1, "b"): 0}
NAN, INF = math.nan, math.inf
SQUARE = X[:, :3]


def hetero() -> Patterns:
    memory = kanerva.attention(4, value_dim=3)
    memory.write(KEYS, VALUES)
    return memory


def auto() -> Patterns:
    memory = kanerva.modern_hopfield(4, 1.0)
    memory.write(KEYS)
    return memory


def half() -> Patterns:
    memory = kanerva.attention(4, dtype=torch.float16)
    memory.write(KEYS.half())
    return memory


def hopfield() -> Patterns:
    memory = kanerva.hopfield(4)
    memory.write(CORNERS)
    return memory


def circle() -> Patterns:
    memory = kanerva.sdm_patterns(4, 1)
    memory.write(CORNERS)
    return memory


def sdm() -> Locations:
    memory = kanerva.sdm(4, 50, 1)
    memory.write(CORNERS)
    return memory


def real() -> Locations:
    rules = {
        "similarity": similarity.cosine,
        "separation": Step(0.1),
        "activation": activation.Identity(),
    }
    memory = Locations(KEYS, 3, counters=torch.float32, **rules)
    memory.write(KEYS, VALUES)
    return memory


def empty() -> Patterns:
    return kanerva.hopfield(4)


MEMORIES = (hetero, auto, half, hopfield, circle, sdm, real, empty)


class Call(NamedTuple):
    """A public function, good arguments, and the shape of its result as a function of arguments."""

    function: Callable[..., Any]
    good: tuple[Any, ...]
    shape: Callable[..., tuple[int, ...]] | None = None


def suits(make: Callable[[], Any]) -> Tensor:
    """Return queries for a memory."""
    if make in (hopfield, circle, sdm, empty):
        return B
    return X.half() if make is half else X


def result_shape(memory: kanerva.Memory, verb: str) -> Callable[..., tuple[int, ...]] | None:
    """Return the function from a query to the shape of a result; None for named tuples."""
    if verb == "energy":
        return lambda q, mask=None: q.shape[:-1]
    count = memory.keys.shape[0]
    widths = {"read": memory.value_dim, "recall": memory.dim, "scores": count, "weights": count}
    if verb not in widths:
        return None
    return lambda q, mask=None: (*q.shape[:-1], widths[verb])


def of_memories() -> dict[str, Call]:
    """List the methods of every memory."""
    calls = {}
    for make in MEMORIES:
        query, memory, name = suits(make), make(), make.__name__
        kept = torch.ones(memory.keys.shape[0], dtype=torch.bool)
        again = ("recall", "settle", "trace") if memory.value_dim == memory.dim else ()
        has_energy = memory.autoassociative and memory.similarity is similarity.dot
        level = ("energy",) if has_energy else ()
        for verb in ("read", "explain", "scores", "weights", *again, *level):
            shape = result_shape(memory, verb)
            calls[f"{name} {verb}"] = Call(
                lambda q, m=make, v=verb: getattr(m(), v)(q), (query,), shape
            )
            calls[f"{name} {verb} masked"] = Call(
                lambda q, mask, m=make, v=verb: getattr(m(), v)(q, mask=mask), (query, kept), shape
            )
        for verb in again:
            for option in ("steps", "rate", "tolerance"):
                calls[f"{name} {verb} {option}"] = Call(
                    lambda o, m=make, v=verb, k=option: getattr(m(), v)(suits(m), **{k: o}), (1,)
                )
        values = torch.ones(3, 3) if make in (hetero, real) else B
        given = None if memory.autoassociative else values
        calls[f"{name} write"] = Call(lambda k, v, m=make: m().write(k, v), (query, given))
        if isinstance(memory, Locations):
            calls[f"{name} forget"] = Call(lambda k, v, m=make: m().forget(k, v), (query, values))
        else:
            calls[f"{name} forget"] = Call(lambda ids, m=make: m().forget(ids), ([],))
    calls["sdm kill"] = Call(lambda share, seed: sdm().kill(share, seed=seed), (0.5, 0))
    return calls


def mixture() -> density.Mixture:
    memory = density.crp(4, 1.0, 2.0, 1.0)
    memory.write(KEYS)
    return memory


def directions() -> density.Mixture:
    memory = density.elbo(4, 2, 0.5, "vmf")
    memory.write(KEYS)
    return memory


def of_mixtures() -> dict[str, Call]:
    """List mixtures, their methods, and how they are built."""
    calls = {
        "clam": Call(density.clam, (4, 2, 1.0, 3, 0.05, torch.float32)),
        "elbo": Call(density.elbo, (4, 2, 1.0, "vmf", None, torch.float32)),
        "crp": Call(
            lambda *a: density.crp(*a[:-1], dtype=a[-1]),
            (4, 1.0, 2.0, 1.0, 0.5, "soft", True, torch.float32),
        ),
        "Mixture": Call(density.Mixture, (4, mixture().rule, torch.float32)),
        "crp fit": Call(lambda x, sweeps, seed: mixture().fit(x, sweeps, seed), (X, 3, 0)),
        "elbo fit": Call(lambda x, seed, known: directions().fit(x, 5, seed, known), (X, 0, None)),
        "clam fit": Call(
            lambda x, seed, known: density.clam(4, 2, 1.0).fit(x, 5, seed, known),
            (X, 0, X > 0),
        ),
    }
    for make in (mixture, directions):
        name = make.__name__
        for verb in ("read", "recall", "settle", "explain", "energy", "posterior", "elbo"):
            calls[f"{name} {verb}"] = Call(lambda x, m=make, v=verb: getattr(m(), v)(x), (X,))
        q = torch.full((3, make().posterior(X).shape[-1]), 1 / make().posterior(X).shape[-1])
        calls[f"{name} elbo of shares"] = Call(lambda x, q, m=make: m().elbo(x, q), (X, q))
        calls[f"{name} write"] = Call(lambda x, v, m=make: m().write(x, v), (X, None))
        calls[f"{name} flow"] = Call(
            lambda x, t, r, k, m=make: m().flow(x, t, r, k), (X, 3, 0.5, "euclidean")
        )
        calls[f"{name} pattern_weights"] = Call(
            lambda x, p, m=make: m().pattern_weights(x, p), (X, KEYS)
        )
        for option in ("steps", "rate", "tolerance"):
            calls[f"{name} settle {option}"] = Call(
                lambda o, m=make, k=option: m().settle(X, **{k: o}), (1,)
            )
    return calls


def gaussian() -> density.Density:
    memory = density.kernel(4, 0.8)
    memory.write(KEYS)
    return density.Density(memory)


def sphere() -> density.Density:
    memory = density.vmf(4, 2.0)
    memory.write(KEYS)
    return density.Density(memory)


def boltzmann() -> density.Density:
    return density.Density(hopfield(), temperature=4.0)


def of_densities() -> dict[str, Call]:
    """List densities, their methods, and the memories that are kernel densities."""
    calls = {
        "kernel": Call(density.kernel, (4, 0.5, "laplace")),
        "kernel of halves": Call(lambda kind: density.kernel(4, 0.5, dtype=kind), (torch.float16,)),
        "vmf": Call(density.vmf, (4, 2.0)),
        "bandwidth": Call(density.bandwidth, (KEYS, "gaussian")),
        "Density": Call(density.Density, (auto(), 2.0)),
        "Density of a mixture": Call(density.Density, (mixture(), None)),
        "annealed": Call(lambda w, t, seed: boltzmann().annealed(w, t, seed), (3, 2, 0)),
    }
    for make in (gaussian, sphere, boltzmann):
        name, query = make.__name__, B if make is boltzmann else X
        calls[f"{name} log_prob"] = Call(
            lambda x, m=make: m().log_prob(x), (query,), lambda x: x.shape[:-1]
        )
        calls[f"{name} sample"] = Call(
            lambda n, seed, kind, t, r, m=make: m().sample(n, seed, kind, t, r),
            (2, 0, "auto", 3, 0.5),
        )
        if make is not boltzmann:
            calls[f"{name} score"] = Call(
                lambda x, m=make: m().score(x), (query,), lambda x: x.shape
            )
            calls[f"{name} posterior"] = Call(
                lambda x, m=make: m().posterior(x), (query,), lambda x: (*x.shape[:-1], 5)
            )
    return calls


def of_diffusion() -> dict[str, Call]:
    """List denoisers, their methods, schedules and samplers."""
    smooth, exact = diffusion.exact(KEYS, 0.5), diffusion.exact(KEYS)
    wiener = diffusion.gaussian(KEYS[0], torch.eye(4))
    falling = torch.tensor([2.0, 0.5])
    calls = {
        "exact": Call(diffusion.exact, (KEYS, 0.5)),
        "exact of a memory": Call(diffusion.exact, (gaussian().memory,)),
        "gaussian": Call(diffusion.gaussian, (KEYS[0], torch.eye(4))),
        "schedule": Call(diffusion.schedule, ("karras", 3, 2.0, 0.5)),
        "vp": Call(diffusion.vp, (3, "trailing")),
        "to_ve": Call(diffusion.to_ve, (X, 0.5)),
        "to_vp": Call(diffusion.to_vp, (X, 0.5)),
        "sample": Call(
            lambda *a: diffusion.sample(exact, *a), (X, falling, "ode", 0.5, True, 0, True)
        ),
        "sample by": Call(lambda d: diffusion.sample(d, X, falling), (exact,)),
        "recall by diffusion": Call(
            lambda *a: diffusion.recall(exact, *a), (X, 0.5, 3, X > 0), lambda x, *_: x.shape
        ),
        "recall by": Call(lambda d: diffusion.recall(d, X, 0.5, 2), (exact,)),
        "annealed": Call(diffusion.memory, (4, 2.0, 0.5, 3, "linear")),
        "attractors": Call(
            lambda *a: diffusion.attractors(exact, *a), (KEYS, 0.1, 0.02, 0.1, KEYS, 3)
        ),
        "attractors of": Call(lambda d: diffusion.attractors(d, KEYS, 0.1), (exact,)),
        "critical_sigma": Call(
            lambda *a: diffusion.critical_sigma(exact, *a), (X, 0.9, 0.1, 0.1, 2.0, 2, 0)
        ),
        "log_likelihood": Call(
            lambda *a: diffusion.log_likelihood(exact, *a), (X, torch.tensor([90.0, 0.5]), 1, 0)
        ),
        "log_likelihood by": Call(lambda d: diffusion.log_likelihood(d, X, [90.0, 0.5]), (exact,)),
        "classify": Call(diffusion.classify, (X, KEYS, 0.5, 0.1)),
        "copying": Call(diffusion.copying, (X, KEYS, KEYS + 1)),
        "Net": Call(diffusion.Net, (4, 8, 1, 0.5, True, 0, torch.float32)),
        "Net()": Call(diffusion.Net(4, 8), (X, 0.5), lambda x, *_: x.shape),
        "Net.energy": Call(diffusion.Net(4, 8, energy=True).energy, (X, 0.5)),
        "Training": Call(diffusion.Training, (8, 1e-3, -1.0, 0.9, 0.9)),
        "train": Call(
            lambda x, n, net, plan, seed: diffusion.train(x, n, net=net, training=plan, seed=seed),
            (KEYS, 1, diffusion.Net(4, 8), diffusion.Training(batch=4), 0),
        ),
        "train progress": Call(
            lambda every, call: diffusion.train(
                KEYS, 1, net=diffusion.Net(4, 8), every=every, progress=call
            ),
            (1, None),
        ),
    }
    for name, denoise in (("Exact", exact), ("smooth", smooth)):
        calls[f"{name}()"] = Call(denoise, (X, 0.5, X > 0), lambda x, *_: x.shape)
        calls[f"{name}() each"] = Call(denoise, (X, torch.tensor([0.5, 1.0, 2.0])))
        for verb in ("score", "energy", "log_prob", "weights", "effective"):
            calls[f"{name}.{verb}"] = Call(getattr(denoise, verb), (X, 0.5, None))
        calls[f"{name}.trace"] = Call(denoise.trace, (X, 0.5), lambda x, *_: x.shape[:-1])
    for verb in ("__call__", "trace", "score", "energy", "log_prob"):
        calls[f"Wiener.{verb}"] = Call(getattr(wiener, verb), (X, 0.5))
    return calls


LEVELS = torch.tensor([[0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 1.0, 3.0], [4.0, 1.0, 2.0, 0.0]])


def register() -> entropic.EntropicMemory:
    memory = entropic.EntropicMemory(4, 5)
    memory.write(LEVELS)
    return memory


def marks() -> entropic.EntropicMemory:
    quantiser = entropic.Quantiser.fit(X, 5, "column", (10, 90), "undefined")
    options = {"spread": entropic.Triangular(), "cap": 1, "xi": 4, "undefined": "fail"}
    memory = entropic.EntropicMemory(4, 5, quantiser=quantiser, empty="keep", **options)
    memory.write(X)
    return memory


def classes() -> entropic.EntropicClasses:
    memory = entropic.EntropicClasses(2, 4, 5, rule="likelihood", xi=1)
    memory.write(LEVELS, torch.tensor([0, 0, 1]))
    return memory


def built(kind: Callable[..., Any], *first: int) -> Callable[..., Any]:
    """Return a function of all arguments of an entropic memory, by place."""
    names = ("spread", "iota", "kappa", "xi", "cap", "undefined", "quantiser", "empty", "dtype")

    def make(*args: Any) -> Any:
        head, rest = args[: len(first)], args[len(first) :]
        return kind(*head, **dict(zip(names, rest, strict=True)))

    return make


def of_registers() -> dict[str, Call]:
    """List entropic memories, their methods, and their parts."""
    kept, labels = LEVELS > -1, torch.tensor([0, 0, 1])
    options = (entropic.Gaussian(), 0.1, 0.5, 1, 9, "pass", None, "zero", torch.float32)
    quantiser = entropic.Quantiser(5, X[0] - 3, X[0] + 3)
    calls = {
        "EntropicMemory": Call(built(entropic.EntropicMemory, 4, 5), (4, 5, *options)),
        "EntropicClasses": Call(built(entropic.EntropicClasses, 2, 4, 5), (2, 4, 5, *options)),
        "EntropicClasses rule": Call(
            lambda rule: entropic.EntropicClasses(2, 4, 5, rule=rule), ("penalty",)
        ),
        "Gaussian": Call(entropic.Gaussian, (0.1,)),
        "Quantiser": Call(entropic.Quantiser, (5, X[0] - 3, X[0] + 3, "clip")),
        "Quantiser of numbers": Call(entropic.Quantiser, (5, -3.0, 3.0)),
        "Quantiser.fit": Call(entropic.Quantiser.fit, (X, 5, "all", (1, 99), "undefined")),
        "Quantiser.encode": Call(quantiser.encode, (X,), lambda x: x.shape),
        "Quantiser.decode": Call(quantiser.decode, (LEVELS,), lambda x: x.shape),
        "register write": Call(lambda k, known: register().write(k, known), (LEVELS, kept)),
        "register forget": Call(lambda k, known: register().forget(k, known), (LEVELS, kept)),
        "register settle": Call(lambda q, n: register().settle(q, steps=n), (LEVELS, 2)),
        "register energy": Call(lambda q, known: register().energy(q, known), (LEVELS, kept)),
        "marks fit": Call(lambda *a: marks().fit(*a), (X, "column", (0, 100), "clip")),
        "classes write": Call(lambda *a: classes().write(*a), (LEVELS, labels, kept)),
        "classes recognise": Call(lambda *a: classes().recognise(*a), (LEVELS, kept)),
        "classes answer": Call(
            lambda q, s, known: classes().answer(q, seed=s, known=known), (LEVELS, 0, kept)
        ),
    }
    for make, cue in ((register, LEVELS), (marks, X)):
        name = make.__name__
        for verb in ("recognise", "weights", "read", "explain"):
            calls[f"{name} {verb}"] = Call(
                lambda q, known, m=make, v=verb: getattr(m(), v)(q, known), (cue, kept)
            )
        calls[f"{name} recall"] = Call(
            lambda q, s, n, known, m=make: m().recall(q, seed=s, draws=n, known=known),
            (cue, 0, 2, kept),
            lambda q, s, n, known: (*(() if n is None else (int(n),)), *q.shape),
        )
        calls[f"{name} chain"] = Call(
            lambda q, depth, s, f, m=make: m().chain(q, depth, seed=s, through=f),
            (cue, 2, 0, None),
        )
    for make, cue in ((register, LEVELS), (marks, X), (classes, LEVELS)):
        calls[f"{make.__name__} pattern_weights"] = Call(
            lambda q, p, m=make: m().pattern_weights(q, p), (cue, cue)
        )
    for verb in ("read", "settle", "explain"):
        calls[f"classes {verb}"] = Call(lambda q, v=verb: getattr(classes(), v)(q), (LEVELS,))
    return calls


PARTS = {
    "Linear": Linear(),
    "Power": Power(3),
    "Exponential": Exponential(1.0),
    "Softmax": Softmax(1.0),
    "learned Softmax": Softmax(nn.Parameter(torch.tensor(1.0))),
    "Step": Step(0.1),
    "Circle": Circle(4, 1),
    "Cap": Cap(4, 1.5),
    "Argmax": Argmax(),
    "TopK": TopK(2, 1.0),
    "Inhibition": Inhibition(2, 0.5),
    "Entmax 1.3": Entmax(1.3),
    "Entmax 1.5": Entmax(1.5),
    "Entmax 2": Entmax(2.0),
    "Compact": Compact(1.0),
    "Normalised": Normalised(Power(3)),
    "Difference": Difference(Exponential(1.0)),
}
CONSTRUCTORS = {
    Power: (3,),
    Exponential: (1.0,),
    Softmax: (1.0,),
    Step: (1.0,),
    Circle: (8, 2),
    Cap: (8, 2.5),
    TopK: (2, 1.0),
    Inhibition: (2, 0.5),
    Entmax: (1.5, 1.0),
    Compact: (1.0,),
    Normalised: (Power(3),),
    Difference: (Linear(),),
    Sign: ("plus", 0),
    similarity.Overlap: (8, 2, 100.0, 0),
}


def of_parts() -> dict[str, Call]:
    """List similarities, separations and activations."""

    def compared(q, k):
        return (*q.shape[:-1], len(k))

    calls = {}
    for name in ("agreement", "closeness", "cosine", "dot", "manhattan"):
        calls[name] = Call(getattr(similarity, name), (X, KEYS), compared)
    calls["Overlap()"] = Call(similarity.Overlap(4, 1, 100.0), (B, CORNERS), compared)
    scores, kept = torch.full((3, 5), 2.0), torch.ones(5, dtype=torch.bool)
    for name, part in PARTS.items():
        good = (scores / 4 if name == "Cap" else scores, kept)
        calls[f"{name}()"] = Call(part, good, lambda s, mask: s.shape)
        if name not in ("Circle", "Cap"):
            calls[f"{name}.potential"] = Call(
                part.potential, (scores, kept), lambda s, mask: s.shape[:-1]
            )
    for kind, good in CONSTRUCTORS.items():
        calls[f"new {kind.__name__}"] = Call(kind, good)
    calls["with_beta"] = Call(Softmax(1.0).with_beta, (1.0,))
    for part in (activation.Identity(), activation.Unit(), Sign(), Sign("keep")):
        calls[f"{part}()"] = Call(part, (X, X), lambda f, q: f.shape)
    return calls


def of_energies() -> dict[str, Call]:
    """List energies in context."""
    model = density.InContext(4, 8)

    def shared(context, query, *_):
        return (*torch.broadcast_shapes(context.shape[:-2], query.shape[:-2]), query.shape[-2])

    def drawn(source):
        return torch.randn(2, 3, 4, generator=source)

    def fit(updates, rate, penalty, negatives, chain, seed):
        options = {"rate": rate, "penalty": penalty, "negatives": negatives}
        trained = density.InContext(4, 8)
        density.fit_in_context(trained, drawn, updates, **options, chain=chain, seed=seed)

    return {
        "InContext": Call(
            lambda d, w, n, h, s, kind: density.InContext(d, w, n, h, seed=s, dtype=kind),
            (4, 8, 1, 2, 0, torch.float32),
        ),
        "InContext.energy": Call(model.energy, (X, X, None), shared),
        "InContext.energy seen": Call(model.energy, (KEYS, X, 2), shared),
        "InContext.score": Call(model.score, (X, X, None), lambda c, q, s: (*shared(c, q), 4)),
        "InContext.sample": Call(
            model.sample, (X, 2, density.Langevin(1), 0), lambda c, n, *_: (*c.shape[:-2], n, 4)
        ),
        "Langevin": Call(density.Langevin, (8, 0.3, 0.1, 9.0, 10.0)),
        "fit_in_context": Call(fit, (1, 1e-3, 1e-2, 1, density.Langevin(1), 0)),
        "fit_in_context model": Call(density.fit_in_context, (model, drawn, 0)),
        "context_energy": Call(density.context_energy, (X, X, auto()), shared),
        "context_energy bits": Call(density.context_energy, (B, B, hopfield()), shared),
    }


def of_layers() -> dict[str, Call]:
    """List layers to train, and what they do with a batch."""
    table = kanerva.nn.Lookup(4, 2, 5)

    def lookup(dim, heads, rows, wide, steps, normalise, beta, rule):
        options = {"steps": steps, "normalise": normalise, "beta": beta, "separation": rule}
        kanerva.nn.Lookup(dim, heads, rows, wide, **options)

    def load(keys, values):
        kanerva.nn.Lookup(4, 2, 5).load(keys, values)

    def beside(x, mask, causal, write, forgotten):
        layer = kanerva.nn.MemoryAttention(4, 2, 5, 2)
        layer(KEYS[None, :3])
        output = layer(x, mask, causal, write)
        layer.forget(forgotten)
        return output

    given = (X[None], torch.ones(1, 3, dtype=torch.bool), True, True, [0])
    return {
        "Lookup": Call(lookup, (4, 2, 5, 8, 1, True, 2.0, Softmax(1.0))),
        "Lookup.forward": Call(table, (X, torch.ones(5, dtype=torch.bool)), lambda x, _: x.shape),
        "Lookup.weights": Call(table.weights, (X, None), lambda x, _: (*x.shape[:-1], 2, 5)),
        "Lookup.load": Call(load, (KEYS, KEYS)),
        "Lookup.reset": Call(lambda seed: table.reset(seed) and None, (0,)),
        "MemoryAttention": Call(lambda *a: kanerva.nn.MemoryAttention(*a) and None, (4, 2, 9, 3)),
        "MemoryAttention.forward": Call(beside, given, lambda x, *_: x.shape),
        "hopfield_layer": Call(kanerva.nn.hopfield_layer, (4, 2, 2.0, 3)),
        "hopfield_lookup": Call(kanerva.nn.hopfield_lookup, (4, 2, 5, 2.0, 3)),
        "hopfield_pooling": Call(kanerva.nn.hopfield_pooling, (4, 2, 5, 2.0, 3)),
        "sparse_hopfield_layer": Call(kanerva.nn.sparse_hopfield_layer, (4, 2, 2.0, 3)),
    }


def of_functions() -> dict[str, Call]:
    """List the functions of plain tensors, and those of the theory."""
    rules = (similarity.dot, Softmax(1.0), None)
    packed, integers = Packed.random(5, 4, seed=0), torch.zeros(5, 4, dtype=torch.int32)
    circles, betas, radii = theory.circle, theory.beta, theory.radius
    block = EnergyBlock(4, 1, 2, separation=Entmax(1.5, 1.0))
    return {
        "correlated.overlaps": Call(
            correlated.overlaps, (X, KEYS), lambda q, k: (*q.shape[:-1], k.shape[0])
        ),
        "correlated.by_distance": Call(correlated.by_distance, (SQUARE, [(0, 1), (1, 2)])),
        "correlated.communities": Call(correlated.communities, (SQUARE, 2, None)),
        "correlated.scores": Call(correlated.scores, (X, X + 1)),
        "density.attention_as_vmf": Call(
            density.attention_as_vmf, (KEYS, X[0], X[1], X[:, 0].abs())
        ),
        "density.sphere_em": Call(density.sphere_em, (X, KEYS, 5.0, 3)),
        "functional.scores": Call(
            functional.scores,
            (X, KEYS, rules[0], None),
            lambda q, k, *_: (*q.shape[:-1], k.shape[0]),
        ),
        "functional.weights": Call(
            functional.weights, (X, KEYS, *rules), lambda q, k, *_: (*q.shape[:-1], k.shape[0])
        ),
        "functional.energy": Call(functional.energy, (X, KEYS, *rules), lambda q, *_: q.shape[:-1]),
        "functional.read": Call(
            functional.read,
            (X, KEYS, VALUES, *rules),
            lambda q, k, v, *_: (*q.shape[:-1], v.shape[1]),
        ),
        "functional.draw": Call(
            lambda *a: functional.draw(*a[:-2], seed=a[-2], draws=a[-1]),
            (X, KEYS, VALUES, *rules, 0, 2),
            lambda q, k, v, *_: (2, *q.shape[:-1], v.shape[-1]),
        ),
        "functional.read Step": Call(functional.read, (X, KEYS, VALUES, rules[0], Step(0.1), None)),
        "functional.field": Call(functional.field, (X, KEYS, VALUES, *rules)),
        "functional.read known": Call(
            lambda *a: functional.read(*a[:-1], known=a[-1]), (X, KEYS, VALUES, *rules, X > 0)
        ),
        "functional.field packed": Call(
            functional.field, (B, packed, VALUES, similarity.agreement, Step(3), None)
        ),
        "functional.deposit": Call(
            lambda *a: functional.deposit(*a[:-1], times=a[-1]),
            (X, torch.ones(3, 2), KEYS, torch.zeros(5, 2), rules[0], Step(0.1), 1),
        ),
        "functional.deposit packed": Call(
            lambda *a: functional.deposit(*a[:-1], times=a[-1]),
            (B, B, packed, integers, similarity.agreement, Step(2), 1),
        ),
        "settle": Call(
            lambda step, q, context: dynamics.settle(step, q, context=context), (torch.cos, X, ())
        ),
        "trace": Call(dynamics.trace, (torch.cos, X)),
        "follow": Call(lambda step, q: dynamics.follow([step, step], q), (torch.cos, X)),
        "settle options": Call(
            lambda n, r, t: dynamics.settle(torch.cos, X, steps=n, rate=r, tolerance=t),
            (1, 1.0, 0.0),
        ),
        "chain": Call(dynamics.chain, (torch.cos, X, 3)),
        "flips": Call(
            lambda p, q, k, n, s: dynamics.flips(p, q, k, sweeps=n, seed=s),
            (Linear().potential, B, CORNERS, 3, 0),
        ),
        "bits.random": Call(
            lambda m, n, s, d: bits.random(m, n, seed=s, dtype=d), (3, 4, 0, torch.float32)
        ),
        "bits.flip": Call(
            lambda x, n, s: bits.flip(x, n, seed=s), (B, 1, 0), lambda x, *_: x.shape
        ),
        "bits.hamming": Call(bits.hamming, (B, B)),
        "bits.majority": Call(
            lambda x, s: bits.majority(x, seed=s), (B, 0), lambda x, _: x.shape[1:]
        ),
        "bits.bind": Call(bits.bind, (B, B)),
        "bits.bundle": Call(
            lambda x, s: bits.bundle(x, seed=s), (B, 0), lambda x, _: (*x.shape[:-2], x.shape[-1])
        ),
        "bits.permute": Call(bits.permute, (B, 1), lambda x, _: x.shape),
        "EnergyBlock": Call(EnergyBlock, (4, 1, 2, 3, 2, 0.1, Softmax(1.0), Power(2))),
        "EnergyBlock read": Call(
            lambda x, m, n: block(x, m, n), (X[None], X[None, :, 0] > 0, 2), lambda x, *_: x.shape
        ),
        "EnergyBlock trace": Call(
            lambda x, m, n: tuple(block.trace(x, m, n)), (X[None], X[None, :, 0] > 0, 2)
        ),
        "EnergyBlock energy": Call(lambda x, m: block.energy(x, m), (X[None], None)),
        "bits.from_binary": Call(bits.from_binary, (torch.ones(3), torch.float32)),
        "bits.to_binary": Call(bits.to_binary, (B,)),
        "bits.pack": Call(bits.pack, (B,)),
        "bits.unpack": Call(
            bits.unpack, (bits.pack(B), 4, torch.float32), lambda w, n, _: (*w.shape[:-1], n)
        ),
        "bits.fingerprint": Call(bits.fingerprint, (B, 0)),
        "bits.uniform": Call(bits.uniform, (torch.tensor([1, 2]),)),
        "Packed": Call(Packed, (bits.pack(B), 4)),
        "Packed.random": Call(lambda m, n, s: Packed.random(m, n, seed=s), (3, 4, 0)),
        "Packed rows": Call(lambda rows: packed[rows], (slice(0, 2),)),
        "circle.intersection": Call(circles.intersection, (8, 2, 2)),
        "circle.log_fraction": Call(circles.log_fraction, (8, 4, 4)),
        "circle.ball": Call(circles.ball, (8, 2)),
        "circle.activation": Call(circles.activation, (8, 2)),
        "circle.log_activation": Call(circles.log_activation, (8, 2)),
        "circle.overlap": Call(circles.overlap, (8, 2, 10.0)),
        "beta.fit": Call(betas.fit, (8, 2, "kl")),
        "beta.leading": Call(betas.leading, (8, 2)),
        "beta.entropic": Call(betas.entropic, (8, 2)),
        "beta.fit reach": Call(
            lambda n, r, s, a, b: betas.fit(n, r, "ols", space=s, reach=(a, b)),
            (8, 3, "continuous", 0, 2),
        ),
        "beta.of": Call(betas.of, (circles.log_fraction(8, 2), "kl", (0, 2))),
        "beta.radius": Call(betas.radius, (8, 1.0, "kl")),
        "cap.log_fraction": Call(theory.cap.log_fraction, (8, 2.5, 0.5)),
        "cap.activation": Call(theory.cap.activation, (8, 2.5)),
        "cap.quantile": Call(theory.cap.quantile, (8, 0.1)),
        "overview.describe": Call(
            lambda n, m, r, q, o: theory.overview.describe(n, m, r, fidelity=q, other=o),
            (8, 5, 100.0, 0.5, 2),
        ),
        "radius.quantile": Call(radii.quantile, (8, 0.1)),
        "circle.log_fraction method": Call(
            lambda n, r, m: circles.log_fraction(n, r, method=m), (8, 2, "taylor")
        ),
        "circle.intersection form": Call(
            lambda n, r, f: circles.intersection(n, r, form=f), (8, 2, "sum")
        ),
        "circle.overlap kanerva1988": Call(
            lambda n, r, c, p: circles.overlap(n, r, c, "kanerva1988", activation=p),
            (8, 2, 10.0, 0.1),
        ),
        "circle.cosine": Call(circles.cosine, (8, 2)),
        "circle.distance": Call(circles.distance, (8, 0.5)),
        "approximation.log_fraction": Call(
            theory.approximation.log_fraction, (8, 2, "kanerva1988", 0.1)
        ),
        "critical.curve": Call(
            theory.critical.curve, (8, 2, 5, 100.0, "kanerva", "kanerva1988", 0.1)
        ),
        "critical.distance": Call(
            theory.critical.distance, (8, 2, 5, 100.0, "autoassociative", "exact")
        ),
        "critical.crossing": Call(
            theory.critical.crossing, (8, 2, 5, 100.0, "independent", "exact")
        ),
        "capacity.snr": Call(theory.capacity.snr, (8, 2, 5, 100.0)),
        "capacity.bit": Call(theory.capacity.bit, (8, 2, 5, 100.0)),
        "capacity.word": Call(theory.capacity.word, (8, 2, 5, 100.0)),
        "capacity.patterns": Call(theory.capacity.patterns, (8, 2, 100.0, 0.5, "log2")),
        "capacity.locations": Call(theory.capacity.locations, (8, 2, 2, 0.5, "log2")),
        "capacity.rate": Call(theory.capacity.rate, (0.1,)),
        "capacity.hopfield": Call(theory.capacity.hopfield, (8, "one")),
        "capacity.dense": Call(theory.capacity.dense, (8, 3, "count")),
        "capacity.exponential": Call(theory.capacity.exponential, (8, 0.1, "count")),
        "capacity.modern": Call(theory.capacity.modern, (20, 1.0, 3.0, 0.001, "count")),
        "capacity.kernel": Call(theory.capacity.kernel, (8, 3.0, "count")),
        "crp.expected": Call(theory.crp.expected, (10, 1.0, 0.5)),
        "entropic.acceptance": Call(theory.entropic.acceptance, (32, 16, 60, 2)),
        "entropic.entropy": Call(theory.entropic.entropy, (16, 60, 1)),
        "entropic.capacity": Call(theory.entropic.capacity, (64, 16, 0.01, 2)),
        "kernel.log_normaliser": Call(theory.kernel.log_normaliser, ("vmf", 8, 3.0)),
        "kernel.modes": Call(theory.kernel.modes, (2.0, 1.0)),
        "pull.location": Call(theory.pull.location, (8, 2)),
        "pull.query": Call(theory.pull.query, (8, 2, 5, 100.0)),
        "pull.nearest": Call(theory.pull.nearest, (8, 100.0)),
        "pull.within": Call(theory.pull.within, (8, 2, 100.0)),
        "jaeckel.selected_activation": Call(theory.jaeckel.selected_activation, (3,)),
        "jaeckel.selected_log_fraction": Call(theory.jaeckel.selected_log_fraction, (8, 3)),
        "jaeckel.selected_kernel": Call(theory.jaeckel.selected_kernel, (3, 0.5)),
        "jaeckel.selected_beta": Call(theory.jaeckel.selected_beta, (3,)),
        "jaeckel.hyperplane_activation": Call(theory.jaeckel.hyperplane_activation, (8, 4, 2)),
        "jaeckel.hyperplane_log_fraction": Call(theory.jaeckel.hyperplane_log_fraction, (8, 4, 2)),
        "correlated.pure": Call(theory.correlated.pure, (MIXING, 1.0)),
        "correlated.settle": Call(theory.correlated.settle, (MIXING, 3.0, 1.0, 0.1, 20)),
        "correlated.lyapunov": Call(theory.correlated.lyapunov, (np.eye(3), MIXING, 3.0)),
        "correlated.uniform": Call(theory.correlated.uniform, (MIXING, 3.0)),
        "radius.optimal": Call(
            lambda n, m, r, c, q: radii.optimal(n, m, r, c, fidelity=q), (8, 5, 100.0, "snr", 0.5)
        ),
    }


def of_models() -> dict[str, Call]:
    """List the named memories, the two stores, the settings and the contract."""

    def patterns(dim, width, similar, rule, active, nothing, dtype):
        rules = {"similarity": similar, "separation": rule, "activation": active, "empty": nothing}
        return Patterns(dim, width, dtype=dtype, **rules)

    def locations(addresses, width, similar, rule, active, nothing, counters, overflow):
        rules = {"similarity": similar, "separation": rule, "activation": active, "empty": nothing}
        return Locations(addresses, width, counters=counters, overflow=overflow, **rules)

    def use(budget, engine):
        with kanerva.settings.use(budget=budget, engine=engine):
            pass

    def contract(memory):
        return None if isinstance(memory, kanerva.Memory) else kanerva.check_memory(memory)

    def automaton(table, start, accept, undefined, seed):
        made = correlated.Automaton(
            table, start, accept, undefined=undefined, seed=seed, neurons=200, beta=2.0
        )
        return made.run([], start if made.start is None else None)

    def tuned(neurons, share, beta, rate, steps, mean):
        sizes = {"neurons": neurons, "share": share, "beta": beta, "rate": rate}
        return correlated.Automaton(MOVES, 0, steps=steps, mean=mean, **sizes).run("ab")

    rows = (4, 3, similarity.dot, Softmax(1.0), activation.Identity(), "zero", torch.float32)
    addresses = Packed.random(5, 4, seed=0)
    ab = correlated.Automaton(MOVES, 0, [1], neurons=200, beta=2.0, steps=20)
    rules = (similarity.agreement, Step(2), Sign(), "zero")
    store = (addresses, 3, *rules, torch.int32, "raise")
    return {
        "Patterns": Call(patterns, rows),
        "Locations": Call(locations, store),
        "sdm": Call(kanerva.sdm, (8, 100, 2, None, None, 0, "random")),
        "sdm by patterns": Call(kanerva.sdm, (8, 100, None, 5)),
        "sdm store": Call(
            lambda c, o, e: kanerva.sdm(8, 100, 2, counters=c, overflow=o, empty=e),
            (torch.int8, "raise", "zero"),
        ),
        "sdm_patterns": Call(kanerva.sdm_patterns, (8, 2, 100.0, None, 0, "random")),
        "sdm_attention": Call(kanerva.sdm_attention, (8, 2, None, "kl", "random")),
        "sdm_continuous": Call(
            kanerva.sdm_continuous, (8, 100, 3.0, None, 0, activation.Identity())
        ),
        "sdm_continuous_patterns": Call(
            kanerva.sdm_continuous_patterns, (8, 2.5, None, activation.Identity())
        ),
        "sdm_continuous_attention": Call(
            kanerva.sdm_continuous_attention, (8, 2, None, "kl", activation.Identity())
        ),
        "sdm_selected": Call(kanerva.sdm_selected, (8, 100, 2, None, 0, "random")),
        "sdm_hyperplane": Call(kanerva.sdm_hyperplane, (8, 100, 2, 4, None, 0, "random")),
        "attention": Call(kanerva.attention, (4, 1.0, 3, torch.float32)),
        "modern_hopfield": Call(kanerva.modern_hopfield, (4, 1.0, torch.float32)),
        "hopfield": Call(kanerva.hopfield, (4, "zero", torch.float32)),
        "dense": Call(kanerva.dense, (4, 3, torch.float32)),
        "exponential": Call(kanerva.exponential, (4, 1.0, torch.float32)),
        "sparse_hopfield": Call(kanerva.sparse_hopfield, (4, 1.0, 2.0, torch.float32)),
        "Automaton": Call(automaton, (MOVES, 0, [1], "stay", 0)),
        "Automaton by numbers": Call(tuned, (200, 0.25, 2.0, 0.5, 5, 1.0)),
        "Automaton of one move": Call(
            lambda end, more: correlated.Automaton({(0, "a"): end, (1, "b"): [0, more]}), (1, 2)
        ),
        "Automaton.run": Call(ab.run, ("ab", 0)),
        "Automaton.run_all": Call(ab.run_all, (["ab", ""], [0, 1])),
        "Automaton.accepts": Call(ab.accepts, ("ab",)),
        "Automaton.regex": Call(
            lambda pattern, letters, undefined: correlated.Automaton.regex(
                pattern, letters, undefined=undefined, neurons=200, beta=2.0
            ).run(""),
            ("(a|b)*ab", "ab", "trap"),
        ),
        "settings.use": Call(use, (2**20, "auto")),
        "check_memory": Call(contract, (empty(),)),
        "load": Call(lambda path: None if path is None else kanerva.load(path), (None,)),
        "save": Call(lambda path: None if path is None else auto().save(path), (None,)),
    }


def of_capacity() -> dict[str, Call]:
    """List the functions that count, bound and estimate how much units compute."""
    unit = capacity.functions("threshold", 2)
    return {
        "capacity.functions": Call(capacity.functions, ("and", 2, 1)),
        "capacity.functions by which": Call(
            lambda which: capacity.functions("synapse", 2, which=which), (0,)
        ),
        "capacity.count": Call(capacity.count, ("product", 3, 2)),
        "capacity.count by gate": Call(
            lambda gate: capacity.count("shared", 2, gate=gate), ("step",)
        ),
        "capacity.bounds": Call(capacity.bounds, ("masked", 3, 1)),
        "capacity.bounds by hidden": Call(
            lambda hidden: capacity.bounds("layer", 3, hidden=hidden), (3,)
        ),
        "capacity.reach": Call(capacity.reach, (2, 2, "and")),
        "capacity.estimate": Call(capacity.estimate, (2, 1, 3, 2, 0)),
        "Functions": Call(capacity.Functions, (2, unit.tables)),
        "Functions.union": Call(unit.union, (unit,)),
        "Functions &": Call(lambda other: unit & other, (unit,)),
        "Functions in": Call(lambda table: table in unit, (3,)),
    }


def of_estimators() -> dict[str, Call]:
    """List the estimators by their parameters; what they do with data is scikit-learn's check."""
    data = KEYS.numpy()

    def scored(made):
        return torch.tensor(made.fit(data).score_samples(data))

    def mixture(rule, sigma, memories, sweeps):
        return scored(estimators.MemoryMixture(rule, sigma, memories, sweeps=sweeps))

    def restaurant(*parameters):
        return scored(estimators.MemoryMixture("crp", 1.0, 2, *parameters))

    def kernels(shape, bandwidth):
        return scored(estimators.MemoryDensity(shape, bandwidth))

    found = estimators.MemoryDensity(bandwidth=1.0).fit(data)
    return {
        "MemoryDensity": Call(kernels, ("gaussian", 1.0)),
        "MemoryDensity.sample": Call(lambda n: torch.tensor(found.sample(n)), (3,)),
        "MemoryMixture": Call(mixture, ("elbo", 1.0, 2, 3)),
        "MemoryMixture by crp": Call(restaurant, (2.0, 1.0, 0.5)),
    }


def called(way: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that calls a model while it is watched."""

    def call(model: Any, signals: Any) -> int:
        with way(model, signals) as tally:
            model(X, SQUARE)
        return tally.gates

    return call


def of_quarks() -> dict[str, Call]:
    """List the gates, and the units and gates with weights of their own."""
    gate, onto, kind = torch.ones(3, 5, 4), torch.ones(5, 2), torch.float32
    sized = quarks.SynapticGate(4, 5, "relu", "tanh", 3, "source")
    return {
        "multiplex": Call(
            quarks.multiplex, (X, X[:, :2], KEYS, onto, KEYS[:, 0], "tanh"), lambda *_: (3, 5)
        ),
        "output_gate": Call(quarks.output_gate, (X, X)),
        "synaptic_gate": Call(
            quarks.synaptic_gate, (X, gate, KEYS, KEYS[:, 0], "relu"), lambda *_: (3, 5)
        ),
        "synaptic_gate by source": Call(quarks.synaptic_gate, (X, gate[:, :1], KEYS)),
        "Unit": Call(quarks.Unit, (4, 5, "tanh", True, 0, kind)),
        "Unit()": Call(quarks.Unit(4, 5), (X,), lambda x: (*x.shape[:-1], 5)),
        "Multiplex": Call(quarks.Multiplex, (4, 3, 5, "tanh", 0, kind)),
        "Multiplex()": Call(quarks.Multiplex(4, 3, 5), (X, SQUARE)),
        "OutputGate": Call(quarks.OutputGate, (4, 5, "tanh", "sigmoid", 3, 0, kind)),
        "OutputGate()": Call(quarks.OutputGate(4, 5), (X, None)),
        "SynapticGate": Call(quarks.SynapticGate, (4, 5, "relu", "tanh", 3, "source", 0, kind)),
        "SynapticGate()": Call(sized, (X, SQUARE)),
        "watch": Call(called(quarks.watch), (sized.eval(), ("weight",))),
        "rebuild": Call(called(quarks.rebuild), (sized.eval(), ())),
    }


def frozen(module: nn.Module) -> nn.Module:
    """Return a module of torch with weights that no generator draws."""
    for each in module.to_empty(device="cpu").parameters():
        nn.init.constant_(each, 0.25)
    return module.eval()


def of_circuits() -> dict[str, Call]:
    """List the circuits of gates, and how they are built."""
    from kanerva.quarks import circuits

    kind, tokens = torch.float32, X[None].expand(3, 3, 4)
    head = circuits.attention(frozen(nn.MultiheadAttention(4, 2, batch_first=True, device="meta")))
    lstm = circuits.lstm(frozen(nn.LSTMCell(4, 3, device="meta")))
    gru = circuits.gru(frozen(nn.GRUCell(4, 3, device="meta")))
    written = circuits.fast_weights(4, 3)
    chosen = circuits.select(KEYS[:4], KEYS[:4, 0])
    built = {
        "attention": ((frozen(nn.MultiheadAttention(4, 2, device="meta")),), (tokens,) * 3),
        "content_attention": ((3, 4, 5, 0, kind), (SQUARE, tokens)),
        "dot": ((4, "synapse"), (X, X)),
        "fast_weights": ((4, 3), (X, tokens, tokens[..., :3])),
        "film": ((4, 3, 0, kind), (X, SQUARE)),
        "glu": ((4, 3, "tanh", 0, kind), (X,)),
        "gru": ((frozen(nn.GRUCell(4, 3, device="meta")),), (X, None)),
        "hypernetwork": ((4, 3, 3, "tanh", 0, kind), (X, SQUARE)),
        "lstm": ((frozen(nn.LSTMCell(4, 3, device="meta")),), (X, None)),
        "mixture": ((4, 3, 2, "tanh", 0, kind), (X,)),
        "parity": ((4,), (B,)),
        "power": ((3,), (X,)),
        "quadratic": ((KEYS.T @ KEYS,), (X,)),
        "select": ((KEYS[:2], KEYS[:2, 0], "product"), (B, B[:, :1])),
        "squeeze_excite": ((3, 2, 0, kind), (tokens,)),
    }
    calls = {}
    for name, (options, given) in built.items():
        make = getattr(circuits, name)
        calls[name], calls[f"{name}()"] = Call(make, options), Call(make(*options), given)
    return calls | {
        "select of four()": Call(chosen, (B, B[:, :2])),
        "fast_weights read": Call(written.read, (X, torch.ones(3, 3, 4))),
        "fast_weights write": Call(written.write, (X, SQUARE)),
        "attention masked()": Call(
            lambda padding, need, mask, mean, causal: head(
                *(tokens,) * 3, padding, need, mask, mean, causal
            ),
            (torch.zeros(3, 3) > 0, True, torch.eye(3) > 0, True, False),
        ),
        "attention size": Call(head.size, (3, 2)),
        "squeeze_excite size": Call(circuits.squeeze_excite(3, 2).size, (3,)),
        "lstm of states()": Call(lambda x, h, c: lstm(x, (h, c)), (X, SQUARE, SQUARE)),
        "gru of a state()": Call(gru, (X, SQUARE)),
    }


def of_sdm() -> dict[str, Call]:
    """List the layer of sparse distributed memory."""
    layer = kanerva.nn.SDMLayer(4, 20, 3, k=2)

    def made(dim, neurons, classes, k, switch, seed):
        return kanerva.nn.SDMLayer(dim, neurons, classes, k, switch, seed)(X[:, :dim])

    return {
        "SDMLayer": Call(made, (4, 20, 3, 2, 50.0, 0)),
        "SDMLayer.forward": Call(layer, (X,), lambda x: (*x.shape[:-1], 3)),
        "SDMLayer.narrow": Call(layer.narrow, (1, 5)),
    }


def of_gates() -> dict[str, Call]:
    """List gates that blocks share, and the correlation of gates."""
    cell, gates = kanerva.nn.DIACell(4), torch.stack((X, X.flip(0)))

    def made(channels, reduction, squash, cells, seed):
        return kanerva.nn.DIACell(channels, reduction, squash, cells, seed)(X[:, :channels])[0]

    def stepped(pooled, hidden, state):
        return cell(pooled, kanerva.nn.CellState(hidden, state))[0]

    def share(branches, example, gate, scope, reduction, seed, last, name):
        if any(callable(one) and not isinstance(one, nn.Module) for one in (branches, gate)):
            return  # what a function raises is its own
        model = nn.Sequential(nn.Identity())
        options = {"seed": seed, "channels_last": last, "name": name}
        kanerva.nn.share(model, branches, example, gate, scope, reduction, **options).remove()

    def correlated(gates, over, pairs, null, seed):
        return kanerva.nn.correlation(gates, over, pairs, null, seed).mean

    return {
        "DIACell": Call(made, (4, 4, "sigmoid", 1, 0)),
        "DIACell.forward": Call(stepped, (X, X, X), lambda x, *_: x.shape),
        "DIACell.reset": Call(lambda seed: cell.reset(seed) and None, (0,)),
        "share": Call(share, ("0", X, "se", "block", 4, 0, None, "shared")),
        "correlation": Call(correlated, (gates, "channels", "all", None, 0)),
    }


CALLS = (
    of_memories()
    | of_mixtures()
    | of_densities()
    | of_diffusion()
    | of_registers()
    | of_parts()
    | of_energies()
    | of_layers()
    | of_functions()
    | of_models()
    | of_quarks()
    | of_circuits()
    | of_capacity()
    | of_estimators()
    | of_sdm()
    | of_gates()
)


class Mute:
    """An object whose repr raises."""

    def __repr__(self) -> str:
        raise ValueError("no")


def tensors() -> dict[str, Tensor]:
    """List tensors that are odd in one way each, most of them of the shape that calls expect."""
    one = torch.ones(3, 4)
    usual = ("float64", "float16", "bfloat16", "int64", "int8", "uint8", "bool")
    unusual = ("uint16", "uint64", "complex64", "float8_e4m3fn")
    rows = {dtype: one.to(getattr(torch, dtype)) for dtype in (*usual, *unusual)}
    full = {
        "nan": NAN,
        "inf": INF,
        "-inf": -INF,
        "1e38": 1e38,
        "-3e38": -3e38,
        "1e-30": 1e-30,
        "1e-45": 1e-45,
        "0": 0.0,
        "0.5": 0.5,
    }
    first = torch.tensor([0])
    rows |= {f"full of {name}": torch.full((3, 4), value) for name, value in full.items()}
    rows |= {f"one {name}": X.index_fill(1, first, value) for name, value in full.items()}
    rows |= {f"score of {name}": torch.full((3, 5), value) for name, value in full.items()}
    return rows | {
        "1e38 and -1e38": torch.tensor([[1e38, -1e38, 1e38, -1e38]] * 3),
        "60000": torch.full((3, 4), 60000.0).half(),
        "0-d": torch.tensor(1.0),
        "0-d nan": torch.tensor(NAN),
        "0-d below 0": torch.tensor(-1.0),
        "0-d bool": torch.tensor(True),
        "one number": torch.ones(1),
        "wrong length": torch.ones(3, 5),
        "no columns": torch.ones(3, 0),
        "2 x 3 x 4": torch.ones(2, 3, 4),
        "wrong mask": torch.ones(7, dtype=torch.bool),
        "mask of int": torch.ones(5, dtype=torch.int64),
        "mask of nan": torch.full((5,), NAN),
        "mask of inf": torch.full((5,), INF),
        "mask of 2 x 3 x 5": torch.ones(2, 3, 5, dtype=torch.bool),
        "meta": one.to("meta"),
        "sparse": one.to_sparse(),
        "csr": one.to_sparse_csr(),
        "mkldnn": one.to_mkldnn(),
        "nested": torch.nested.nested_tensor([torch.ones(2, 4), torch.ones(1, 4)]),
        "grad": torch.ones(3, 4, requires_grad=True),
        "quantised": torch.quantize_per_tensor(one, 0.1, 0, torch.qint8),
        "learned beta below 0": nn.Parameter(torch.tensor(-0.1)),
    }


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torch warns of kinds of tensors that are not stable yet
    TENSORS = tensors()
THINGS = {
    "nothing": None,
    "bytes": b"x",
    "list": [1.0, 2.0],
    "empty list": [],
    "dict": {},
    "object": object(),
    "mute": Mute(),
    "complex": 1j,
    "fraction": Fraction(1, 3),
    "decimal": Decimal("0.5"),
    "float32": np.float32(0.5),
    "int64": np.int64(3),
    "bool_": np.bool_(True),
    "array": np.zeros((3, 4), np.float32),
    "a class": Softmax,
    "a function that gives a string": lambda *_: "x",
    "a function that gives nan": lambda *given: given[0] * NAN,
    "a function that gives its first": lambda *given: given[0],
    "int32": torch.int32,
    "float8": torch.float8_e5m2,
    "complex64": torch.complex64,
    "generator": torch.Generator(),
    "packed": Packed.random(5, 4, seed=0),
    "separation": Softmax(1.0),
    "a path of no file": "no/such/\0file",
    "a folder": "/",
    "no folder": "no/such/folder/file",
}
# Numbers between a thousand and 2**31 are left out, because they make slow calls, not bad ones.
NUMBERS = st.one_of(
    st.integers(-100, 100),
    st.sampled_from([2**31, 2**53, 2**63 - 1, 2**63, 2**64, 10**30, 10**400, 10**5000, -(10**400)]),
    st.floats(allow_nan=True, allow_infinity=True),
    st.booleans(),
)
ODD = st.one_of(
    NUMBERS,
    st.text(st.characters(exclude_characters="/"), max_size=3),
    *map(st.sampled_from, (list(THINGS), list(TENSORS))),
)


def thing(drawn: Any) -> Any:
    """Return the object of a drawn name, or the drawn number or text itself."""
    return THINGS.get(drawn, TENSORS.get(drawn, drawn)) if isinstance(drawn, str) else drawn


def numbers_in(result: Any) -> list[Tensor]:
    """Return all floating tensors in a result."""
    if isinstance(result, Tensor):
        return [result] if result.is_floating_point() else []
    if isinstance(result, np.ndarray):
        return [torch.from_numpy(result.copy())] if result.dtype.kind == "f" else []
    if isinstance(result, float):
        return [torch.tensor(result, dtype=torch.float64)]
    if isinstance(result, tuple | list):
        return [found for part in result for found in numbers_in(part)]
    return []


# The energy and the logarithm of nothing are infinite, and so may the best radius be.
INFINITE = ("energy", "trace", "explain", "potential", "log_fraction", "optimal")


def outcome(name: str, arguments: list[Any]) -> str:
    """Return the sentence of a refused call, or "" for a sound result."""
    call = CALLS[name]
    refused = None
    try:
        result = call.function(*arguments)
    except InputError as error:
        refused = error
    if refused is not None:
        parts = (refused.function, refused.argument, refused.must, refused.got, refused.do)
        assert all(parts), f"a part is missing: {refused}"
        return str(refused)
    found = numbers_in(result)
    assert not any(part.isnan().any() for part in found), f"{name} gives NaN"
    if not any(word in name for word in INFINITE):
        assert all(part.isfinite().all() for part in found), f"{name} gives infinity"
    if call.shape is not None:
        assert result.shape == call.shape(*arguments), f"{name} gives shape {tuple(result.shape)}"
    return ""


@pytest.mark.parametrize("name", CALLS)
def test_the_calls_work_as_they_stand(name):
    assert outcome(name, list(CALLS[name].good)) == ""


def test_generated_bad_calls_are_refused_or_get_the_right_result(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a text of three letters is the name of a file
    seen = Counter()

    @hypothesis.settings(max_examples=4000)
    @hypothesis.given(
        name=st.sampled_from(list(CALLS)),
        place=st.integers(0, 9),
        drawn=ODD,
        second=st.none() | st.tuples(st.integers(0, 9), ODD),
    )
    def attack(name, place, drawn, second):
        arguments = list(CALLS[name].good)
        for where, what in ((place, drawn), *([] if second is None else [second])):
            arguments[where % len(arguments)] = thing(what)
        with warnings.catch_warnings():
            # A radius that activates nothing is warned of.
            warnings.simplefilter("ignore", UserWarning)
            seen["refused" if outcome(name, arguments) else "done"] += 1

    attack()
    assert seen["refused"] >= 1000, seen


@pytest.mark.parametrize("name", CALLS)
def test_odd_objects_in_every_place(name):
    """Each argument of a call is replaced by one in five of the objects."""
    odd = [*THINGS, *TENSORS]
    good = CALLS[name].good
    for place in range(len(good)):
        for what in odd[(len(name) + place) % 5 :: 5]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                outcome(name, [*good[:place], thing(what), *good[place + 1 :]])


def sentence(function: Callable[[], Any]) -> str:
    """Return the sentence of a refusal."""
    with pytest.raises(InputError) as raised:
        function()
    return str(raised.value)


def huge(similar: Callable[..., Tensor], rule: separation.Separation) -> Patterns:
    memory = Patterns(4, similarity=similar, separation=rule)
    memory.write(torch.full((3, 4), 1e38))
    return memory


ALTERNATING = torch.tensor([1e38, -1e38, 1e38, -1e38])
LEARNED = nn.Parameter(torch.tensor(1.0))

# Calls, and the beginning of their errors.
REFUSED = {
    "numbers for bits": (
        lambda: hopfield().read(X),
        "Patterns.read: query must be -1/+1 bits, but it was float32 of shape (3, 4)",
    ),
    "0/1 for bits": (
        lambda: sdm().write((B > 0).float()),
        "Locations.write: keys must be -1/+1 bits",
    ),
    "numbers for values of bits": (
        lambda: sdm().write(B, X),
        "Locations.write: values must be -1/+1 bits",
    ),
    "nan in keys": (
        lambda: auto().write(X * NAN),
        "Patterns.write: keys must be finite, but it was 12 of 12 values NaN or infinite",
    ),
    "inf in values": (
        lambda: hetero().write(X, torch.full((3, 3), INF)),
        "Patterns.write: values must be finite",
    ),
    "nan in a query": (
        lambda: auto().read(TENSORS["one nan"]),
        "Patterns.read: query must be finite, but it was 3 of 12 values",
    ),
    "length of a query": (
        lambda: auto().read(X[:, :3]),
        "Patterns.read: query must be a float32 tensor of shape (..., 4)",
    ),
    "0-d query": (
        lambda: auto().read(torch.tensor(1.0)),
        "Patterns.read: query must be a float32 tensor of shape (..., 4)",
    ),
    "a list": (
        lambda: auto().read([0.1] * 4),  # float32 has no 0.1
        "Patterns.read: query must be a float32 tensor of shape (..., 4), but it was [0.1, 0.1",
    ),
    "an array": (
        lambda: auto().read(np.full(4, 0.1)),
        "Patterns.read: query must be a float32 tensor of shape (..., 4), but it was float64 of",
    ),
    "float64": (
        lambda: auto().read(X.double()),
        "Patterns.read: query must be a float32 tensor of shape (..., 4), but it was float64",
    ),
    "float64 keys": (
        lambda: half().write(X),
        "Patterns.write: keys must be a float16 tensor of shape (..., 4), but it was float32",
    ),
    "sparse": (
        lambda: auto().read(TENSORS["sparse"]),
        "Patterns.read: query must be a float32 tensor of shape (..., 4), but it was sparse_coo",
    ),
    "meta": (
        lambda: auto().read(TENSORS["meta"]),
        "Patterns.read: query must be a float32 tensor of shape (..., 4), "
        "but it was float32 of shape (3, 4) without",
    ),
    "values of none": (
        lambda: auto().write(X, X),
        "Patterns.write: values must be None in an auto-associative memory",
    ),
    "none of values": (
        lambda: hetero().write(X),
        "Patterns.write: values must be a tensor of shape (..., 3), but it was left out",
    ),
    "fewer values": (
        lambda: hetero().write(X, VALUES[:2]),
        "Patterns.write: values must be one for each key, but it was of shape (2, 3)",
    ),
    "mask of another shape": (
        lambda: auto().read(X, torch.ones(3, dtype=torch.bool)),
        "Patterns.read: mask must be a bool (True keeps) or floating",
    ),
    "mask of int": (
        lambda: auto().read(X, torch.ones(5, dtype=torch.int64)),
        "Patterns.read: mask must be a bool (True keeps) or floating tensor",
    ),
    "mask of nan": (
        lambda: auto().read(X, torch.full((5,), NAN)),
        "Patterns.read: mask must be finite, or -inf for keys left out",
    ),
    "mask in a recall": (
        lambda: auto().recall(X, mask=torch.ones(3, 7)),
        "Patterns.recall: mask must be a bool (True keeps) or floating tensor",
    ),
    "unknown id": (
        lambda: auto().forget([7]),
        "Patterns.forget: ids must be stored, but it was [7], which is not",
    ),
    "negative id": (
        lambda: auto().forget(torch.tensor([-1, 0])),
        "Patterns.forget: ids must be stored, but it was [-1], which is not",
    ),
    "float id": (
        lambda: auto().forget([0.0]),
        "Patterns.forget: ids must be integers, but it was [0.0] (list)",
    ),
    "bool id": (
        lambda: auto().forget([True]),
        "Patterns.forget: ids must be integers, but it was [True] (list)",
    ),
    "id of text": (
        lambda: auto().forget("0"),
        "Patterns.forget: ids must be integers, but it was '0' (str)",
    ),
    "rate": (
        lambda: auto().recall(X, rate=0.0),
        "Patterns.recall: rate must be a finite number > 0 and <= 1, but it was 0",
    ),
    "rate of bits": (
        lambda: hopfield().recall(B, rate=0.5),
        "Patterns.recall: rate must be 1 where bits are read, but it was 0.5",
    ),
    "steps": (
        lambda: auto().recall(X, steps=-1),
        "Patterns.recall: steps must be an integer from 0 to",
    ),
    "fractional steps": (
        lambda: auto().trace(X, steps=1.5),
        "Patterns.trace: steps must be an integer from 0 to",
    ),
    "tolerance": (
        lambda: auto().settle(X, tolerance=NAN),
        "Patterns.settle: tolerance must be a finite number >= 0, but it was nan",
    ),
    "energy of values": (
        lambda: hetero().energy(X),
        "Patterns.energy: memory must be auto-associative, its values the keys",
    ),
    "energy of circles": (
        lambda: circle().energy(B),
        "Patterns.energy: separation must be one with a potential, but it was Circle",
    ),
    "energy at beta 0": (
        lambda: functional.energy(X, KEYS, similarity.dot, Softmax(0.0)),
        "energy: beta must be > 0, but it was 0",
    ),
    "huge with dot": (
        lambda: huge(similarity.dot, Softmax(1.0)).read(ALTERNATING),
        "Patterns.read: query must be such that weights and sums stay",
    ),
    "huge with dot in a batch": (
        lambda: huge(similarity.dot, Softmax(1.0)).read(ALTERNATING.expand(9, 4)),
        "Patterns.read: query must be such that weights and sums stay",
    ),
    "huge with cosine": (
        lambda: huge(similarity.cosine, Argmax()).read(ALTERNATING),
        "Patterns.read: query must be such that weights and sums stay",
    ),
    "huge with closeness": (
        lambda: huge(similarity.closeness, Compact(1.0)).read(ALTERNATING),
        "Patterns.read: query must be such that weights and sums stay",
    ),
    "huge with manhattan": (
        lambda: huge(similarity.manhattan, Step(0)).read(ALTERNATING),
        "Patterns.read: query must be such that weights and sums stay",
    ),
    "huge and a step": (
        lambda: huge(similarity.dot, Step(0)).read(ALTERNATING),
        "Patterns.read: query must be such that weights and sums stay",
    ),
    "huge in half": (
        lambda: half_linear().read(torch.full((4,), 60000.0).half()),
        "Patterns.read: query must be such that weights and sums stay within torch.float16",
    ),
    "huge energy": (
        lambda: auto().energy(torch.full((4,), 1e30)),
        "Patterns.energy: query must be such that weights and sums stay within",
    ),
    "exponent": (
        lambda: Exponential(1.0)(torch.tensor([1e4])),
        "Exponential: scores must be small enough that weights and sums stay finite",
    ),
    "nan to a step": (
        lambda: Step(0)(torch.tensor([NAN])),
        "Step: scores must be finite, but it was 1 of 1 values NaN or infinite",
    ),
    "nan to a sign": (
        lambda: Sign()(torch.tensor([NAN]), torch.ones(1)),
        "Sign: field must be finite, but it was 1 of 1 values NaN",
    ),
    "agreements beyond the bits": (
        lambda: Circle(4, 1)(torch.tensor([5.0])),
        "Circle: scores must be agreements of 4 bits, but it was float32",
    ),
    "packed: too few words": (
        lambda: Packed(bits.pack(B), 65),
        "Packed: words must be a tensor of shape (m, 2), but it was int64",
    ),
    "packed: bits beyond the last": (
        lambda: Packed(torch.tensor([[255]]), 4),
        "Packed: words must be 0 beyond bit 4 of each row",
    ),
    "packed: floats": (
        lambda: Packed(torch.ones(3, 1), 4),
        "Packed: words must be int64, but it was float32 of shape (3, 1)",
    ),
    "packed: real query": (
        lambda: functional.read(
            X, Packed.random(5, 4, seed=0), VALUES, similarity.agreement, Step(1)
        ),
        "read: query must be -1/+1 bits",
    ),
    "packed for cosine": (
        lambda: store(similarity=similarity.cosine),
        "Locations: addresses must be a tensor, unless compared by agreement",
    ),
    "addresses": (
        lambda: store(addresses=KEYS.tolist()),
        "Locations: addresses must be a tensor or bits.Packed, but it was [[",
    ),
    "no addresses": (
        lambda: store(addresses=KEYS[:0]),
        "Locations: addresses must be at least one location, but it was none",
    ),
    "counters": (
        lambda: kanerva.sdm(8, 50, 2, counters=torch.uint8),
        "sdm: counters must be a signed integer or a floating dtype",
    ),
    "overflow": (
        lambda: kanerva.sdm(8, 50, 2, overflow="wrap"),
        "sdm: overflow must be one of 'raise', 'saturate', but it was 'wrap'",
    ),
    "integer counters of shares": (
        lambda: store(separation=Normalised(Step(2))),
        "Locations: counters must be a floating dtype",
    ),
    "tie of other lengths": (
        lambda: kanerva.sdm(8, 50, 2, value_bits=3, tie="keep"),
        "sdm: value_bits must be the length of the keys",
    ),
    "empty of other lengths": (
        lambda: kanerva.sdm_patterns(8, 2, value_bits=3, empty="keep"),
        "sdm_patterns: value_bits must be the length",
    ),
    "nothing near": (
        lambda: kanerva.sdm(64, 50, 2, empty="raise").read(bits.random(1, 64, seed=0)),
        "Locations.read: query must be near something that is stored",
    ),
    "radius": (
        lambda: kanerva.sdm_patterns(8, 8),
        "sdm_patterns: radius must be an integer from 0 to 7, but it was 8; "
        "give a Hamming distance that leaves",
    ),
    "negative radius": (
        lambda: Circle(8, -1),
        "Circle: radius must be an integer from 0 to 7, but it was -1",
    ),
    "neither radius nor patterns": (
        lambda: kanerva.sdm(8, 50),
        "sdm: patterns must be an integer >= 1, but it was None",
    ),
    "bits": (
        lambda: kanerva.hopfield(bits=0),
        "hopfield: bits must be an integer >= 1, but it was 0",
    ),
    "true bits": (
        lambda: kanerva.hopfield(bits=True),
        "hopfield: bits must be an integer >= 1, but it was True (bool)",
    ),
    "bits of circles": (
        lambda: kanerva.sdm_patterns(10**12, 3),
        "sdm_patterns: bits must be an integer from 1 to 1048576",
    ),
    "order": (
        lambda: kanerva.dense(8, 1.5),
        "dense: order must be a finite number >= 2, but it was 1.5",
    ),
    "alpha": (
        lambda: kanerva.sparse_hopfield(8, 1.0, alpha=0.5),
        "sparse_hopfield: alpha must be a finite number >= 1, but it was 0.5",
    ),
    "k": (lambda: TopK(0, 1.0), "TopK: k must be an integer >= 1, but it was 0"),
    "k of inhibition": (
        lambda: Inhibition(0),
        "Inhibition: k must be an integer >= 1, but it was 0",
    ),
    "beta below 0": (
        lambda: kanerva.modern_hopfield(3, -1.0),
        "modern_hopfield: beta must be a finite number >= 0, but it was -1",
    ),
    "beta of nan": (
        lambda: kanerva.attention(3, NAN),
        "attention: beta must be a finite number >= 0, but it was nan",
    ),
    "beta of inf": (
        lambda: kanerva.exponential(3, INF),
        "exponential: beta must be a finite number > 0, but it was inf",
    ),
    "beta of text": (
        lambda: kanerva.attention(3, "1"),
        "attention: beta must be a finite number >= 0, but it was '1' (str)",
    ),
    "complex beta": (
        lambda: Softmax(1j),
        "Softmax: beta must be a finite number >= 0, but it was 1j (complex)",
    ),
    "true beta": (
        lambda: Softmax(True),
        "Softmax: beta must be a finite number >= 0, but it was True (bool)",
    ),
    "beta below 0 in a tensor": (
        lambda: Softmax(torch.tensor(-1.0)),
        "Softmax: beta must be a finite number >= 0, or a 0-dimensional floating",
    ),
    "two betas": (
        lambda: Softmax(torch.ones(2)),
        "Softmax: beta must be a finite number >= 0, or a 0-dimensional floating tensor of one",
    ),
    "value_bits": (
        lambda: kanerva.sdm_attention(8, 2, value_bits=0),
        "sdm_attention: value_bits must be an integer from 1 to",
    ),
    "dtype": (
        lambda: kanerva.hopfield(8, dtype=torch.int32),
        "hopfield: dtype must be torch.float16, bfloat16, float32 or float64",
    ),
    "keyword": (
        lambda: kanerva.sdm(8, 50, 2, colour="red"),
        "sdm: keyword must be one of 'empty', 'counters', 'overflow'",
    ),
    "negative seed": (
        lambda: kanerva.sdm(8, 50, 2, seed=-1),
        "sdm: seed must be an integer from 0 to 9223372036854775807, but it was -1",
    ),
    "fractional seed": (
        lambda: bits.random(2, 3, seed=0.5),
        "bits.random: seed must be an integer from 0 to 9223372036854775807",
    ),
    "seed too big": (
        lambda: Sign(seed=2**63),
        "Sign: seed must be an integer from 0 to 9223372036854775807",
    ),
    "an integer of many digits": (
        lambda: bits.random(10**5000, 3, seed=0),
        "bits.random: count must be an integer from 0 to 2147483647, "
        "but it was an integer of 16610 bits",
    ),
    "too many locations": (
        lambda: kanerva.sdm(2**20, 2**30, 2**19),
        "sdm: locations must be small enough for the memory at hand",
    ),
    "budget": (
        lambda: setattr(kanerva.settings, "budget", 0),
        "settings: budget must be an integer >= 1, but it was 0",
    ),
    "engine": (
        lambda: setattr(kanerva.settings, "engine", "abacus"),
        "settings: engine must be one of 'auto'",
    ),
    "no memory": (
        lambda: kanerva.check_memory(3),
        "check_memory: memory must be a kanerva.memory.Associative, such as a kanerva.Memory",
    ),
    "a class for a part": (
        lambda: Patterns(4, separation=Softmax),
        "Patterns: separation must be a part of kanerva.separation",
    ),
    "a separation for a similarity": (
        lambda: Patterns(4, similarity=Linear(), separation=Linear()),
        "Patterns: similarity must be a function",
    ),
    "circle on a dot": (
        lambda: Patterns(4, separation=Circle(4, 1)),
        "Patterns: similarity must be agreement for Circle(bits=4, radius=1), but it was dot",
    ),
    "normalised circle on a dot": (
        lambda: Patterns(4, separation=Normalised(Circle(4, 1))),
        "Patterns: similarity must be agreement for",
    ),
    "circle of other bits": (
        lambda: Patterns(4, similarity=similarity.agreement, separation=Circle(5, 1)),
        "Patterns: length must be 4, the length of the keys, but it was 5 in Circle",
    ),
    "counters of other rows": (
        lambda: functional.deposit(
            B, B, Packed.random(5, 4, seed=0), torch.zeros(3, 4), similarity.agreement, Step(2)
        ),
        "deposit: counters must be a tensor of shape (5, 4)",
    ),
    "counters that share numbers": (
        lambda: functional.deposit(
            X, X, KEYS, torch.zeros(1, 4).expand(5, 4), similarity.dot, Step(0)
        ),
        "deposit: counters must be numbers of their own, but it was an expanded tensor",
    ),
    "a dtype that cannot be calculated with": (
        lambda: auto().to(torch.float8_e5m2),
        "Patterns.to: dtype must be torch.float16, bfloat16,",
    ),
    "halves in integers": (
        lambda: functional.deposit(
            X, X, KEYS, torch.zeros(5, 4, dtype=torch.int32), similarity.dot, Step(0)
        ),
        "deposit: values must be whole numbers for integer counters",
    ),
    "a step to another length": (
        lambda: dynamics.chain(hetero().read, X, 2),
        "chain: step must be a function that returns float32 of shape (3, 4)",
    ),
    "a step to nan": (
        lambda: dynamics.settle(lambda q: q * NAN, X),
        "settle: step must be a function with finite results",
    ),
    "a potential without end": (
        lambda: dynamics.flips(lambda s: s.sum(-1) * INF, B, CORNERS),
        "flips: potential must be finite for all scores",
    ),
    "context": (
        lambda: dynamics.settle(lambda q, c: q, X, context=(torch.ones(2),)),
        "settle: context must be a tuple of tensors with 3 rows",
    ),
}


def half_linear() -> Patterns:
    memory = Patterns(4, separation=Linear(), dtype=torch.float16)
    memory.write(torch.full((3, 4), 60000.0).half())
    return memory


def store(**other: Any) -> Locations:
    rules = {
        "addresses": Packed.random(5, 4, seed=0),
        "similarity": similarity.agreement,
        "separation": Step(2),
        "activation": Sign(),
    }
    return Locations(**(rules | other))


@pytest.mark.filterwarnings("ignore:sdm")
@pytest.mark.parametrize("name", REFUSED)
def test_sentence(name):
    function, begin = REFUSED[name]
    refusal = sentence(function)
    assert refusal.startswith(begin), refusal
    assert refusal.endswith("."), refusal
    assert ";" in refusal, refusal


def forms(rows: Tensor) -> dict[str, Tensor]:
    """Return the same rows in other layouts, and as tensors with gradients."""
    wide = torch.zeros(len(rows), 2 * rows.shape[1], dtype=rows.dtype)
    wide[:, ::2] = rows
    return {
        "every second column": wide[:, ::2],
        "transposed": rows.T.contiguous().T,
        "backwards twice": rows.flip(0).flip(0),
        "a part of more": torch.cat([rows, rows])[: len(rows)],
        "trained": rows.clone().requires_grad_(),
        "a parameter": nn.Parameter(rows.clone()),
    }


# What is no tensor, and the start of an advice that is not followed by a second refusal.
UNLIKE = {
    "float64": (np.random.default_rng(0).random(4), "convert it with torch.as_tensor({0}, dtype="),
    "list": ([0.1, 0.2, 0.3, 0.4], "convert it with torch.as_tensor({0}, dtype="),
    "reversed": (np.array([0.1, 0.2, 0.3, 0.4])[::-1], "convert it with torch.as_tensor({0}.asty"),
    "big endian": (np.array([0.1] * 4, ">f8"), "convert it with torch.as_tensor({0}.astype("),
    "ragged": ([[1.0], [1.0, 2.0]], "give rows of one length"),
    "objects": (np.array([None] * 4), "give numbers"),
    "texts": (["a", "b", "c", "d"], "give numbers"),
    "complex list": ([1j, 2.0, 3.0, 4.0], "split it into real and imaginary parts"),
    "complex array": (np.ones(4, complex), "split it into real and imaginary parts"),
    "huge integer": ([10**400, 1, 1, 1], "give numbers that a float can hold"),
    "huge float": ([1e300, 1.0, 1.0, 1.0], "give numbers that torch.float32 can hold"),
    "masked": (np.ma.masked_array(np.ones(4), [1, 0, 0, 0]), "fill its masked entries first"),
    "tensors": ([torch.ones(4), torch.ones(4)], "join its tensors with torch.stack({0})"),
    "no numbers": ("text", "give a tensor"),
}


@pytest.mark.parametrize("name", UNLIKE)
def test_an_advice_is_not_followed_by_a_second_refusal(name):
    value, advice = UNLIKE[name]
    memory = kanerva.modern_hopfield(dim=4, beta=1.0)
    memory.write(torch.eye(4))
    calls = {"query": memory.read, "scores": Softmax(1.0)}
    for argument, call in calls.items():
        if argument == "query" and name == "tensors":
            continue  # taken as it is
        with pytest.raises(InputError) as caught:
            call(value)
        do = caught.value.do
        assert do.startswith(advice.format(argument)), do
        if do.startswith("convert it with "):
            call(eval(do.removeprefix("convert it with "), {"torch": torch, argument: value}))


def test_an_advice_on_bits_and_masks_names_their_dtype():
    cases = {
        "x": (partial(bits.flip, count=1, seed=0), [1, 1]),
        "words": (partial(bits.unpack, bits=3), np.array([5])),
        "mask": (partial(Softmax(1.0), torch.ones(2)), [True, False]),
    }
    for argument, (call, value) in cases.items():
        with pytest.raises(InputError) as caught:
            call(value)
        code = caught.value.do.removeprefix("convert it with ")
        call(eval(code, {"torch": torch, argument: value}))


@pytest.mark.parametrize("make", MEMORIES)
def test_odd_forms_of_good_tensors_are_written_and_read_alike(make):
    query, values = suits(make), None
    if not make().autoassociative:
        values = B if make is sdm else torch.tensor([[1.0, -1, 1], [-1, -1, 1], [1, 1, -1]])
    plain = make()
    plain.write(query, values)
    expected = plain.read(query)
    for name, form in forms(query).items():
        memory = make()
        memory.write(form, values)
        named = partial("{}: {}".format, name)
        torch.testing.assert_close(memory.read(form).detach(), expected, msg=named)
        assert not any(buffer.requires_grad for buffer in memory.buffers()), name
    if values is not None:
        for name, form in forms(values).items():
            memory = make()
            memory.write(query, form)
            named = partial("{}: {}".format, name)
            torch.testing.assert_close(memory.read(query), expected, msg=named)


@pytest.mark.parametrize("make", MEMORIES)
def test_expanded_rows_are_duplicates_and_their_weights_add(make):
    query = suits(make)[:1]
    rows = [query]
    if not make().autoassociative:
        rows.append(B[:1] if make is sdm else torch.ones(1, 3))
    memory, repeated = make(), make()
    memory.write(*(part.expand(4, -1) for part in rows))
    for _ in range(4):
        repeated.write(*(part.clone() for part in rows))
    torch.testing.assert_close(memory.read(query), repeated.read(query))
    assert len(memory) == len(make()) + 4
    torch.testing.assert_close(memory.explain(query).mass, repeated.explain(query).mass)


@pytest.mark.parametrize("make", MEMORIES)
def test_no_rows_are_written_and_read(make):
    memory, query = make(), suits(make)[:0]
    before = len(memory)
    rows = [query]
    if not memory.autoassociative:
        rows.append(query if make is sdm else torch.ones(0, 3))
    memory.write(*rows)
    assert len(memory) == before
    assert memory.read(query).shape == (0, memory.value_dim)
    assert memory.read(query.reshape(2, 0, 4)).shape == (2, 0, memory.value_dim)
    assert memory.explain(query).mass.shape == (0,)
    if memory.value_dim == memory.dim:
        assert memory.recall(query).shape == (0, 4)
        assert memory.trace(query).states.shape[1:] == (0, 4)


def test_one_pattern_and_constant_columns():
    for memory, rows in (
        (kanerva.hopfield(4), torch.ones(3, 4)),
        (kanerva.modern_hopfield(4, 1.0), torch.full((3, 4), 0.3)),
    ):
        memory.write(rows[0])
        torch.testing.assert_close(memory.read(rows[0]), rows[0])
        memory.write(rows[1:])
        torch.testing.assert_close(memory.read(rows), rows)
        assert torch.isfinite(memory.explain(rows).entropy).all()


@pytest.mark.parametrize(
    "rule", [Softmax(1.0), Linear(), Entmax(1.5), TopK(2, 1.0), Argmax(), Normalised(Compact(1.0))]
)
def test_cosine_with_a_zero_vector_is_zero(rule):
    memory = Patterns(4, similarity=similarity.cosine, separation=rule)
    memory.write(torch.stack([torch.zeros(4), torch.full((4,), 1e-30), torch.ones(4)]))
    assert memory.scores(torch.zeros(4)).tolist() == [0, 0, 0]
    zero, tiny, one = memory.scores(torch.ones(4)).tolist()
    assert zero == 0
    assert tiny == pytest.approx(0, abs=1e-15)
    assert one == pytest.approx(1)
    assert memory.read(torch.zeros(4)).isfinite().all()
    query = torch.zeros(4, requires_grad=True)
    read = memory.read(query).sum()
    if read.requires_grad:
        read.backward()
        assert query.grad.isfinite().all()


@pytest.mark.parametrize("scale", [1e-40, 1e-30, 1e-10, 1.0, 1e10, 1e30])
def test_unit_is_of_length_one_at_every_scale(scale):
    field = torch.tensor([[3.0, 4.0], [0.0, 0.0], [-1.0, 0.0]]) * scale
    expected = torch.tensor([[0.6, 0.8], [0, 0], [-1, 0]])
    torch.testing.assert_close(activation.Unit()(field, X[:, :2]), expected, rtol=1e-4, atol=1e-6)


def test_half_precision_votes_as_float32_does():
    """Signs are those of float32 sums, also where the sums are outside the range of float16."""
    for scale in (1e-9, 1e9):
        values = torch.tensor([[1.0, -1.0]])
        rules = {
            "similarity": lambda q, k, by=scale: (q @ k.mT) * by,
            "separation": Linear(),
            "activation": Sign("plus"),
        }
        narrow = Patterns(1, 2, dtype=torch.float16, **rules)
        narrow.write(torch.ones(1, 1).half(), values.half())
        assert narrow.read(torch.ones(1).half()).tolist() == [1.0, -1.0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: kanerva.hopfield(8),
        lambda: kanerva.dense(8, 3),
        lambda: kanerva.exponential(8),
        lambda: kanerva.modern_hopfield(8, 1.0),
        lambda: kanerva.sparse_hopfield(8, 1.0),
        lambda: kanerva.sdm(8, 50, 2),
        lambda: kanerva.sdm_patterns(8, 2),
        lambda: kanerva.sdm_patterns(8, 2, locations=100.0),
        lambda: kanerva.sdm_attention(8, 2),
        lambda: kanerva.attention(8, dtype=torch.float16),
    ],
)
def test_an_empty_memory_reads_zeros(make):
    memory = make()
    query = bits.random(3, 8, seed=0, dtype=memory.dtype)
    assert len(memory) == 0
    assert (memory.read(query) == 0).all()
    assert (memory.recall(query) == 0).all()
    path = memory.trace(query)
    assert (path.states[-1] == 0).all()
    assert path.converged.all()
    found = memory.explain(query)
    assert (found.mass == 0).all()
    for part in found[3:]:
        assert part is None or not part.isnan().any()
    if memory.autoassociative and memory.similarity is similarity.dot:
        nothing = query.float().square().sum(-1) / 2
        expected = torch.full((3,), INF) if memory.separation.normalised else nothing
        assert torch.equal(memory.energy(query).float(), expected)


@pytest.mark.parametrize("make", MEMORIES)
def test_a_mask_that_leaves_no_keys(make):
    memory, query = make(), suits(make)
    nothing = torch.zeros(memory.keys.shape[0], dtype=torch.bool)
    for mask in (nothing, torch.full(nothing.shape, -INF), nothing.expand(3, -1)):
        assert (memory.read(query, mask) == 0).all()
        assert (memory.weights(query, mask) == 0).all()
        assert (memory.explain(query, mask).mass == 0).all()


@pytest.mark.parametrize("make", MEMORIES)
def test_a_budget_of_one_byte_changes_no_read(make):
    memory, query = make(), suits(make)
    expected = memory.read(query)
    with kanerva.settings.use(budget=1):
        torch.testing.assert_close(memory.read(query), expected)
        torch.testing.assert_close(make().read(query), expected)  # the write has this budget, too
        if memory.keys.shape[0]:
            refused = sentence(lambda: memory.weights(query))
            assert "weights: query must be few enough for 1 bytes of weights" in refused


def test_a_refused_write_writes_nothing():
    full = kanerva.sdm(4, 50, 3, counters=torch.int8)
    full.write(B.repeat(42, 1))
    before = {name: tensor.clone() for name, tensor in full.state_dict().items()}
    refusal = sentence(lambda: full.write(B.repeat(2, 1)))
    must = "Locations.write: keys must be few enough that no counter passes 127"
    assert refusal.startswith(must)
    assert all(torch.equal(tensor, before[name]) for name, tensor in full.state_dict().items())
    assert len(full) == 126


def test_a_write_that_overflows_half_way_writes_nothing():
    rules = {"similarity": similarity.dot, "activation": activation.Identity()}
    memory = Locations(KEYS, 3, separation=Exponential(1.0), counters=torch.float32, **rules)
    memory.write(KEYS, VALUES)
    before = memory.counters.clone()
    keys = torch.cat([KEYS, 1e4 * KEYS.abs()])
    # The rows are written one by one, so five are deposited before the first overflows.
    with kanerva.settings.use(budget=1):
        sentence(lambda: memory.write(keys, torch.cat([VALUES, VALUES])))
    assert torch.equal(memory.counters, before)
    assert len(memory) == 5
    refusal = sentence(lambda: memory.write(KEYS, torch.full((5, 3), 3e38)))
    assert refusal.startswith("Locations.write: query must be such that weights and sums")
    assert torch.equal(memory.counters, before)


def test_a_write_that_runs_out_of_memory_writes_nothing(monkeypatch):
    memory = hetero()
    before, allocate, shapes = memory.read(X), Tensor.new_empty, []

    def limited(self, *shape, **options):
        if shapes:
            raise MemoryError
        shapes.append(shape)
        return allocate(self, *shape, **options)

    # The keys get more room, and the values get none.
    monkeypatch.setattr(Tensor, "new_empty", limited)
    with pytest.raises(MemoryError):
        memory.write(X, torch.ones(3, 3))
    monkeypatch.undo()
    assert shapes == [(10, 4)]
    assert len(memory) == len(memory.ids) == len(memory.values) == 5
    assert torch.equal(memory.read(X), before)
    assert memory.write(X, torch.ones(3, 3)).tolist() == [5, 6, 7]


def test_forgetting_an_unknown_id_forgets_none():
    memory = auto()
    refusal = sentence(lambda: memory.forget([1, 9]))
    assert refusal.startswith("Patterns.forget: ids must be stored, but it was [9]")
    assert len(memory) == 5
    memory.forget([1, 1])  # an id may be repeated
    memory.forget(torch.tensor([[0], [2]]))
    memory.forget(np.array([3]))
    assert memory.ids.tolist() == [4]


def test_generators_of_other_devices_are_refused():
    class Elsewhere(torch.Generator):
        device = torch.device("meta")

    refusal = sentence(lambda: bits.random(2, 3, seed=Elsewhere()))
    assert refusal.startswith("bits.random: seed must be an integer or a CPU generator")


def test_numpy_numbers_become_plain_ones(tmp_path):
    memory = kanerva.sdm_patterns(np.int64(8), np.int32(2), seed=np.int16(3))
    assert repr(memory.separation) == "Circle(bits=8, radius=2)"
    memory.save(tmp_path / "a.safetensors")
    for part in (
        Softmax(np.float32(0.5)),
        Power(np.int64(3)),
        Step(np.float64(0.5)),
        TopK(np.int8(2), np.float16(0.5)),
        Entmax(Fraction(3, 2)),
    ):
        public = [value for name, value in vars(part).items() if not name.startswith("_")]
        assert all(type(value) in (int, float) for value in public), part
        assert part(torch.ones(2, 3, requires_grad=True)).isfinite().all()


def test_a_learned_beta_below_zero_is_refused_in_reads_but_not_in_repr():
    memory = kanerva.modern_hopfield(4, nn.Parameter(torch.tensor(1.0)))
    memory.write(KEYS)
    with torch.no_grad():
        memory.beta.fill_(-0.1)
    must = "Softmax: beta must be a finite number >= 0, or a 0-dimensional floating tensor"
    assert sentence(lambda: memory.read(X)).startswith(must)
    assert "beta is learned" in repr(memory)


def test_errors_keep_their_parts_when_pickled():
    with pytest.raises(InputError) as raised:
        kanerva.hopfield(bits=0)
    again = pickle.loads(pickle.dumps(raised.value))
    assert str(again) == str(raised.value)
    assert (again.function, again.argument) == ("hopfield", "bits")
