"""Rules of normalisations: one output gate an entry, by one over a sum or a deviation."""

from dataclasses import replace

from kanerva.quarks._watch.calls import Call, Effect, rule
from kanerva.quarks._watch.elementwise import transfer
from kanerva.quarks._watch.signals import Signal

__all__: list[str] = []


@rule("_softmax", "softmax", "_safe_softmax", "_masked_softmax", "_sparse_softmax")
def softmax(call: Call) -> Effect:
    """Read a softmax: exponentials times one over their sum. The results weigh."""
    chosen = call.entries if "mask" in call.known else 0
    if "self" not in call.known:
        return Effect(selected=chosen, results=Signal(call.fresh(), weighs=True))
    result = Signal(call.fresh(), weighs=True)
    return Effect(output=call.entries, selected=chosen, deeper=1, results=result)


@rule("native_layer_norm", "layer_norm", "native_group_norm", "group_norm")
@rule("_fused_rms_norm", "rms_norm", "instance_norm")
def layer(call: Call) -> Effect:
    """Read a normalisation by deviations, or by squares, which are products of the same number."""
    gated = "input" in call.known
    squares = call.entries if gated and "rms" in call.name else 0
    return replace(_scaled(call, gated), tied=squares)


@rule("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training")
@rule("_batch_norm_no_update", "_batch_norm_with_update", "cudnn_batch_norm", "miopen_batch_norm")
@rule("batch_norm")
def batch(call: Call) -> Effect:
    """Read a normalisation by kept deviations, which gates nothing, or by those of the batch."""
    given = call.given
    own = bool(given.get("training", False)) or given.get("running_mean", 0) is None
    if not own and set(call.known) == {"input"} and not call.results[0].is_nested:
        return transfer(call) or Effect()
    return _scaled(call, own and "input" in call.known)


def _scaled(call: Call, gated: bool) -> Effect:
    """Count a normalisation, and the products and sums with a scale or shift that is a signal."""
    scaled, shifted = "weight" in call.known, "bias" in call.known
    return Effect(
        output=call.entries * (gated + scaled),
        additive=call.entries if shifted else 0,
        deeper=gated + scaled,
        behind={"weight": int(scaled), "bias": 0},
    )


@rule("renorm")
def renorm(call: Call) -> Effect:
    """Read rows scaled to a largest norm."""
    return Effect(output=call.entries, deeper=1)
