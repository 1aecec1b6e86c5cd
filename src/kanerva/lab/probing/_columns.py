"""Columns of the tables in the report of an examination."""

from collections.abc import Sequence
from typing import Any

from kanerva.lab.report import Column

__all__ = ["CONTROLS", "EFFECTS", "HEADS", "store_columns"]

HEADS = {
    "head": Column("head", "text", "layer and place in it, both from 0"),
    "beta": Column(
        "beta",
        "number",
        "effective beta per unit of cosine: scale times the lengths of query and key, "
        "mean over pairs",
    ),
    "beta_spread": Column(
        "± beta", "number", "its standard deviation over its mean; 0 where all pairs have one beta"
    ),
    "beta_max": Column(
        "beta of top",
        "number",
        "largest softmax input of a query, mean over queries: a lower bound of its beta",
    ),
    "beta_peak": Column("largest input", "number", "largest softmax input of all queries"),
    "prior_spread": Column(
        "± prior",
        "number",
        "nats by which the log prior of a key, as one of a mixture on the sphere, changes by a "
        "standard deviation of its length; 0 where the keys lie on a sphere",
    ),
    "noise": Column(
        "best for noise of",
        "share",
        "wrong bits in the queries for which attention of this beta is the posterior",
    ),
    "straight": Column(
        "straight",
        "number",
        "share of the variance of a query's softmax inputs that is linear in the cosine; "
        "1 on a sphere",
    ),
    "regime": Column(
        "regime",
        "text",
        "the nearest of the three optimal radii, by beta: best for noise, for signal to noise "
        "(snr) or for capacity",
    ),
    "outside": Column(
        "outside",
        "text",
        "broader or sharper where beta is outside the range of the three optimal betas",
    ),
    "radius": Column("radius", "count", "bits; the radius whose fitted beta is nearest"),
    "activation": Column("activation", "number", "share of the space within that radius"),
    "variation": Column(
        "apart",
        "number",
        "total variation between the weights of the head and of circles at the radius of its "
        "beta, 0 to 1",
    ),
    "r2": Column(
        "R²",
        "number",
        "share of the variance of the head's weights that circles at the radius of its beta "
        "explain",
    ),
    "unreached": Column(
        "nothing in reach", "share", "queries with no token within the radius of the head's beta"
    ),
    "matched_radius": Column(
        "best radius", "count", "bits; of the circles that agree best on the head's own scores"
    ),
    "matched_variation": Column(
        "apart there", "number", "total variation from the circles that agree best"
    ),
    "matched_r2": Column(
        "R² there", "number", "share of the variance that the circles that agree best explain"
    ),
    "effective": Column(
        "effective tokens",
        "number",
        "effective number of tokens in a read, 1/Σw²; 1 for a single token",
    ),
    "entropy": Column("entropy", "number", "of the weights, in nats"),
    "top": Column("top", "share", "largest weight of a query"),
    "needed": Column(
        "needed", "number", "tokens that hold nine tenths of the weight: the median over queries"
    ),
    "phase": Column(
        "phase", "text", "retrieval of one token (single), a subset, or more than half (average)"
    ),
    "first": Column("first", "share", "weight on the first token"),
    "special": Column("special", "share", "weight on tokens that only mark the structure"),
    "sink": Column("sink", "share", "weight on the token that receives most"),
    "null": Column("to no token", "share", "weight on a learned sink, a key without a value"),
    "mismatch": Column(
        "not seen",
        "number",
        "distance of the output from the read with the measured weights, over its length; 0 where "
        "the head is a softmax of what was seen",
    ),
    "cosine": Column("cosine", "number", "mean cosine of queries and keys"),
    "query_norm": Column("|query|", "number", "mean length of queries"),
    "query_spread": Column(
        "± |query|", "number", "standard deviation of their lengths over the mean; 0 on a sphere"
    ),
    "key_norm": Column("|key|", "number", "mean length of keys"),
    "key_spread": Column(
        "± |key|", "number", "standard deviation of their lengths over the mean; 0 on a sphere"
    ),
    "value_norm": Column("|value|", "number", "mean length of values"),
    "value_attended": Column(
        "|value| read", "number", "mean length of values, weighted by their weights"
    ),
    "learned_scale": Column(
        "learned scale", "number", "beta according to the learned scales of queries and keys"
    ),
    "attended": Column("attended", "number", "tokens that a query may attend to"),
    "queries": Column("queries", "count", "analysed queries"),
    "dim": Column("n", "count", "dimension of queries and keys"),
    "kind": Column("kind", "text", "self- or cross-attention"),
    "norm": Column(
        "norm", "text", "of queries and keys themselves (qk), else the norm between layers"
    ),
}
EFFECTS = {
    "title": Column("memory", "text", "replacement of every head"),
    "embedding": Column(
        "embedding", "number", "mean cosine of a text's embedding, after and before"
    ),
    "last": Column(
        "last layer",
        "number",
        "mean cosine of a token's vector in the last layer, after and before",
    ),
    "nearest": Column("nearest text", "share", "texts whose nearest other text stays the same"),
    "neighbours": Column(
        "ten neighbours", "share", "of the ten nearest other texts, how many stay among them"
    ),
    "loss": Column("loss", "number", "cross-entropy of the next token, nats"),
    "divergence": Column(
        "divergence",
        "number",
        "Kullback-Leibler divergence of the predictions after from those before, nats a token",
    ),
    "unreached": Column("nothing in reach", "share", "reads with nothing in reach"),
}
AVERAGED = (
    "variation",
    "matched_variation",
    "r2",
    "matched_r2",
    "beta",
    "beta_max",
    "effective",
    "entropy",
    "top",
    "straight",
)
CONTROLS = {
    "control": Column("model", "text", "this model or a control; means over all its heads"),
    **{name: HEADS[name] for name in AVERAGED},
}
STORES = {
    "layer": Column("layer", "text", "place among the feed-forward layers, from 0"),
    "memories": Column("memories", "count", "rows of the layer: a key and a value each"),
    "tokens": Column("tokens", "count", "tokens that were read"),
    "active": Column("active", "share", "memories with a positive activation, for a token"),
    "effective": Column("effective", "number", "effective number of memories in a read"),
    "entropy": Column("entropy", "number", "of the weights, in nats"),
    "beta": Column("beta", "number", "of the nearest softmax over the same keys"),
    "overlap": Column(
        "overlap", "number", "of the weights with those of that softmax; 1 for equal weights"
    ),
    "r2": Column("R²", "number", "share of the variance of the weights that it explains"),
    "uniform": Column(
        "overlap of equal weights", "number", "of the weights with equal ones, for comparison"
    ),
}


def store_columns(rows: Sequence[dict[str, Any]]) -> dict[str, Column]:
    """Return the columns of feed-forward layers that hold numbers, and the layer."""
    columns = {"layer": STORES["layer"]}
    for row in rows:
        for name, value in row.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                plain = Column(name.replace("_", " "), "number", "")
                columns.setdefault(name, STORES.get(name, plain))
    return columns
