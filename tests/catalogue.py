"""The memories that the laws run on: one entry for each kind."""

import torch
from torch import nn

import kanerva
from kanerva import Locations, Patterns, activation, bits, similarity
from kanerva.activation import Identity, Sign, Unit
from kanerva.bits import Packed
from kanerva.entropic import EntropicMemory, HeteroEntropicMemory, Quantiser, Triangular
from kanerva.separation import (
    Argmax,
    Circle,
    Compact,
    Difference,
    Entmax,
    Exponential,
    Inhibition,
    Linear,
    Mixed,
    Normalised,
    Power,
    Sink,
    Softmax,
    Step,
    TopK,
)

N = 64


def learned(value: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(value))


CATALOGUE = {
    # The paper-named constructors.
    "sdm": lambda: kanerva.sdm(N, 4000, 24),
    "sdm hetero": lambda: kanerva.sdm(N, 4000, 24, value_bits=33),
    "sdm int8": lambda: kanerva.sdm(100, 2000, 40, counters=torch.int8, overflow="saturate"),
    "sdm_patterns": lambda: kanerva.sdm_patterns(N, 20),
    "sdm_patterns hetero": lambda: kanerva.sdm_patterns(N, 20, value_bits=40, tie="plus"),
    "sdm_patterns finite": lambda: kanerva.sdm_patterns(N, 24, locations=1e6),
    "sdm_attention": lambda: kanerva.sdm_attention(N, 15),
    "sdm_continuous": lambda: kanerva.sdm_continuous(N, 800, 26),
    "sdm_continuous hetero": lambda: kanerva.sdm_continuous(
        N, 600, 25.5, 9, activation=Identity(), counters=torch.float64
    ),
    "sdm_continuous bits": lambda: kanerva.sdm_continuous(
        N, 600, 26, 9, activation=Sign(), counters=torch.int16
    ),
    "sdm_continuous_patterns": lambda: kanerva.sdm_continuous_patterns(N, 15),
    "sdm_continuous_patterns float64": lambda: kanerva.sdm_continuous_patterns(
        N, 20.5, dtype=torch.float64
    ),
    "sdm_continuous_patterns hetero": lambda: kanerva.sdm_continuous_patterns(
        N, 27, 5, Identity(), dtype=torch.bfloat16
    ),
    "sdm_continuous_attention": lambda: kanerva.sdm_continuous_attention(N, 15),
    "sdm_selected": lambda: kanerva.sdm_selected(N, 600, 5),
    "sdm_selected int8": lambda: kanerva.sdm_selected(
        N, 500, 4, 33, counters=torch.int8, overflow="saturate"
    ),
    "sdm_hyperplane": lambda: kanerva.sdm_hyperplane(N, 600, 4, ones=32, value_bits=20, tie="plus"),
    "attention": lambda: kanerva.attention(N, value_dim=7),
    "attention auto": lambda: kanerva.attention(N, beta=0.3),
    "attention learned": lambda: kanerva.attention(N, beta=learned(0.3), value_dim=5),
    "attention float64": lambda: kanerva.attention(N, 0.3, dtype=torch.float64),
    "attention float16": lambda: kanerva.attention(N, 0.3, dtype=torch.float16),
    "attention bfloat16": lambda: kanerva.attention(N, 0.3, 5, dtype=torch.bfloat16),
    "modern_hopfield": lambda: kanerva.modern_hopfield(N, beta=0.5),
    "modern_hopfield learned": lambda: kanerva.modern_hopfield(N, beta=learned(0.5)),
    "hopfield": lambda: kanerva.hopfield(N),
    "hopfield kept": lambda: kanerva.hopfield(N, "kept"),
    "hopfield float64": lambda: kanerva.hopfield(N, dtype=torch.float64),
    "dense 2": lambda: kanerva.dense(N, 2),
    "dense 5": lambda: kanerva.dense(N, 5),
    "exponential": lambda: kanerva.exponential(N),
    "exponential learned": lambda: kanerva.exponential(N, beta=learned(0.2)),
    "sparse_hopfield 1": lambda: kanerva.sparse_hopfield(N, 0.2, alpha=1.0),
    "sparse_hopfield 1.3": lambda: kanerva.sparse_hopfield(N, 0.2, alpha=1.3),
    "sparse_hopfield 1.5": lambda: kanerva.sparse_hopfield(N, 0.2, alpha=1.5),
    "sparse_hopfield 2": lambda: kanerva.sparse_hopfield(N, 0.2),
    "sparse_hopfield learned": lambda: kanerva.sparse_hopfield(N, learned(0.2), alpha=1.5),
    # Sparse codes.
    "willshaw": lambda: kanerva.willshaw(N),
    "willshaw hetero": lambda: kanerva.willshaw(N, value_bits=33, winners=5),
    "covariance": lambda: kanerva.covariance(N, 0.4),
    "covariance hetero": lambda: kanerva.covariance(N, 0.3, 33, value_activity=0.5, threshold=0.2),
    "covariance winners": lambda: kanerva.covariance(N, 0.5, winners=32, empty="keep"),
    # Patterns stored in fewer bytes.
    "sdm_patterns bits": lambda: kanerva.sdm_patterns(N, 20, storage="bits"),
    "sdm_patterns bits hetero": lambda: kanerva.sdm_patterns(
        100, 40, value_bits=33, storage="bits", dtype=torch.float64
    ),
    "sdm_patterns bits finite": lambda: kanerva.sdm_patterns(N, 24, locations=1e6, storage="bits"),
    "hopfield bits": lambda: kanerva.hopfield(N, storage="bits"),
    "exponential bits": lambda: kanerva.exponential(70, beta=learned(0.2), storage="bits"),
    "modern_hopfield bfloat16": lambda: kanerva.modern_hopfield(
        N, beta=0.5, storage=torch.bfloat16
    ),
    "attention learned float16": lambda: kanerva.attention(
        N, learned(0.3), 5, storage=torch.float16
    ),
    "kernel density float32": lambda: Patterns(
        N,
        similarity=similarity.closeness,
        separation=Softmax(0.2),
        dtype=torch.float64,
        storage=torch.float32,
    ),
    # Combinations of parts without a name in the literature.
    "linear": lambda: Patterns(N, separation=Linear()),
    "power": lambda: Patterns(N, separation=Power(3), dtype=torch.float64),
    "power sign": lambda: Patterns(N, separation=Power(3), activation=Sign("keep")),
    "step dot": lambda: Patterns(N, separation=Step(0.0)),
    "normalised power": lambda: Patterns(N, separation=Normalised(Power(30))),
    "normalised exponential": lambda: Patterns(
        N, value_dim=3, similarity=similarity.cosine, separation=Normalised(Exponential(5.0))
    ),
    "exponential cosine": lambda: Patterns(
        N, similarity=similarity.cosine, separation=Exponential(2.0)
    ),
    "softmax cosine unit": lambda: Patterns(
        N, similarity=similarity.cosine, separation=Softmax(10.0), activation=Unit()
    ),
    "softmax manhattan": lambda: Patterns(
        N, similarity=similarity.manhattan, separation=Softmax(0.5)
    ),
    "kernel density": lambda: Patterns(N, similarity=similarity.closeness, separation=Softmax(0.2)),
    "epanechnikov": lambda: Patterns(
        N, similarity=similarity.closeness, separation=Normalised(Compact(0.02))
    ),
    "compact": lambda: Patterns(N, similarity=similarity.closeness, separation=Compact(0.02)),
    "nearest": lambda: Patterns(N, similarity=similarity.closeness, separation=Argmax()),
    "top 3": lambda: Patterns(N, separation=TopK(3, 0.2)),
    "inhibition": lambda: Patterns(
        N, similarity=similarity.cosine, separation=Inhibition(3), activation=Unit()
    ),
    "excitation": lambda: Patterns(
        N, similarity=similarity.cosine, separation=Inhibition(3, -0.5), activation=Unit()
    ),
    "entmax closeness": lambda: Patterns(
        N, similarity=similarity.closeness, separation=Entmax(1.5, 0.05)
    ),
    "entropic": lambda: EntropicMemory(N, 8, quantiser=Quantiser(8, -3.0, 3.0)),
    "entropic binary": lambda: EntropicMemory(
        N,
        4,
        spread=Triangular(),
        xi=N,
        cap=1,
        quantiser=Quantiser(4, -1.0, 1.0, "undefined"),
        empty="keep",
        dtype=torch.float64,
    ),
    "entropic float16": lambda: EntropicMemory(
        N, 16, iota=0.1, xi=9, quantiser=Quantiser(16, -3.0, 3.0), dtype=torch.float16
    ),
    "entropic pairs": lambda: HeteroEntropicMemory(
        16, 4, 6, 3, quantiser=Quantiser(4, -2.0, 2.0), value_quantiser=Quantiser(3, -2.0, 2.0)
    ),
    "annealed": lambda: kanerva.diffusion.memory(N, high=8.0, low=1.5, steps=6),
    "sink": lambda: Patterns(N, separation=Sink(Softmax(0.3), 0.5)),
    "sink learned": lambda: Patterns(
        N, value_dim=5, separation=Sink(Softmax(learned(0.3)), learned(0.5))
    ),
    "sink entmax": lambda: Patterns(
        N, similarity=similarity.closeness, separation=Sink(Entmax(1.5, 0.05), -60.0)
    ),
    # Memories with links. The laws write no links; tests/test_linked.py does.
    "cdam": lambda: kanerva.cdam(N, 0.3, auto=0.5, hetero=0.5, dtype=torch.float64),
    "cdam learned": lambda: kanerva.cdam(N, learned(0.3), mean=0.0),
    "cdam, other values": lambda: kanerva.cdam(N, 0.3, value_dim=5, rate=1.0),
    "cdam float16": lambda: kanerva.cdam(N, 0.3, storage=torch.float16),
    "correlated_hopfield": lambda: kanerva.correlated_hopfield(N, auto=1.5),
    "correlated_hopfield bits": lambda: kanerva.correlated_hopfield(70, 1.5, storage="bits"),
    "sequence_hopfield": lambda: kanerva.sequence_hopfield(N, order=3),
    "linked circles": lambda: kanerva.correlated.Linked(
        N, similarity=similarity.agreement, separation=Circle(N, 10), auto=0.5
    ),
    "linked entmax": lambda: kanerva.correlated.Linked(
        N, separation=Entmax(1.5, 0.2), mean=1.0, dtype=torch.float64
    ),
    "mixed": lambda: Patterns(N, separation=Mixed(Softmax(0.3), auto=0.8, mean=0.4)),
    "keeps the query": lambda: kanerva.sdm_patterns(N, 10, empty="keep"),
    "real locations": lambda: Locations(
        torch.randn(200, N, generator=torch.Generator().manual_seed(5)),
        9,
        similarity=similarity.cosine,
        separation=Step(0.2),
        activation=activation.Identity(),
        counters=torch.float32,
    ),
    "soft locations": lambda: Locations(
        bits.random(50, N, seed=5),
        similarity=similarity.dot,
        separation=Softmax(0.2),
        activation=Sign(),
        counters=torch.float64,
    ),
    "outer product": lambda: Locations(
        torch.eye(N),
        similarity=similarity.dot,
        separation=Linear(),
        activation=Sign("keep"),
        counters=torch.float32,
    ),
    "bits, real values": lambda: Locations(
        Packed.random(3000, N, seed=2),
        4,
        separation=Step(N - 24),
        activation=activation.Identity(),
        counters=torch.float64,
    ),
    "difference": lambda: Patterns(N, separation=Difference(Linear()), activation=Sign("minus")),
}
