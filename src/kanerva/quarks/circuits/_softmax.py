"""Softmax by units and gates: exponentials, the reciprocal of their sum, and a gate for each."""

from torch import Tensor

from kanerva.quarks import _parts
from kanerva.quarks._transfers import TRANSFERS

__all__ = ["normalised"]


def normalised(scores: Tensor) -> Tensor:
    """Return weights that sum to one over the last dimension; zeros where all scores are -inf.

    The units that compute the scores have the transfer exp; one unit more sums them, with the
    transfer reciprocal, and gates each.
    """
    if not scores.shape[-1]:  # there is no largest score
        return scores
    # The largest score cancels; it keeps the exponentials from overflowing.
    peak = scores.detach().amax(-1, keepdim=True)
    peak = peak.masked_fill(peak.isneginf(), 0)
    exponentials = TRANSFERS["exp"](scores - peak)
    mass = _parts.total(exponentials).unsqueeze(-1)
    # Where everything is masked, the sum is empty: one in its place gives weights of zero.
    scale = TRANSFERS["reciprocal"](mass + (mass == 0).to(mass.dtype))
    return _parts.gated(exponentials, scale)
