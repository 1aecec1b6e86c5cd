"""Rules of contractions: sums of products, such as a linear layer or a product of matrices."""

import math

import torch
from torch import Tensor

from kanerva.quarks._watch.calls import Call, Effect, rule
from kanerva.quarks._watch.signals import Signal, size

__all__ = ["contraction"]


def contraction(
    first: Signal | None,
    second: Signal | None,
    products: int,
    bias: int = 0,
    added: str = "",
) -> Effect:
    """Count the products of two factors: gates if both are signals, and linear otherwise.

    Args:
        first: what is known of one factor; None for one that is no signal.
        second: the same of the other.
        products: how many products are summed in all.
        bias: how many entries of a signal are added.
        added: the name of the argument that holds them.
    """
    if first is None and second is None:
        return Effect()
    if first is None or second is None:
        return Effect(linear=products, additive=bias, behind={added: 0})
    effect = Effect(contracted=products, additive=bias, deeper=1, behind={added: 0})
    if first.weighs or second.weighs:
        effect.synaptic = products
    else:
        effect.output = products
    return effect


def _pair(call: Call, first: str, second: str, bias: str | None = None, times: int = 1) -> Effect:
    """Read a product of two matrices, whose entries sum over the last axis of the first.

    There are ``times`` products of matrices for each entry of the result.
    """
    if bias is not None and not _biased(call):
        return Effect(constant=True)
    matrix = call.tensor(first)
    if matrix.layout == torch.strided:
        count = times * call.entries * matrix.shape[-1]
    else:  # of a sparse matrix, what is stored
        count = matrix._nnz() * call.tensor(second).shape[-1]
    added = call.entries if bias is not None and bias in call.known else 0
    known = call.known
    return contraction(known.get(first), known.get(second), count, added, bias or "")


def _biased(call: Call) -> bool:
    """Leave a bias that is multiplied by zero out; return whether there is a signal then."""
    if call.given.get("beta", 1) == 0:
        call.known.pop("self", None)
    return call.signal


@rule("mm", "bmm", "matmul", "_int_mm", "_weight_int8pack_mm", "_scaled_mm")
def product(call: Call) -> Effect:
    """Read a product of two matrices."""
    second = next(name for name in ("mat2", "other", "tensor2") if name in call.given)
    if call.tensor("self").is_nested:
        return _nested(call, call.tensor("self"), call.tensor(second), call.known.get(second))
    return _pair(call, "self", second)


def _nested(call: Call, first: Tensor, second: Tensor, known: Signal | None) -> Effect:
    """Read products of matrices of several sizes."""
    if second.is_nested:
        pairs = zip(first._nested_tensor_size(), second._nested_tensor_size(), strict=True)
        count = sum(int(one.prod()) * int(two[-1]) for one, two in pairs)
    else:
        count = first.numel() * second.shape[-1]
    return contraction(call.known.get("self"), known, count)


@rule("mv", "dot", "vdot", "inner", "addmv")
def vector(call: Call) -> Effect:
    """Read a product with a vector."""
    if call.name == "addmv":
        return _pair(call, "mat", "vec", "self")
    second = next(name for name in ("vec", "tensor", "other") if name in call.given)
    return _pair(call, "self", second)


@rule("addmm", "_addmm_activation", "_sparse_addmm")
def affine(call: Call) -> Effect:
    """Read a product of two matrices plus a bias."""
    return _pair(call, "mat1", "mat2", "self")


@rule("baddbmm")
def batched(call: Call) -> Effect:
    """Read batched products of two matrices plus a bias."""
    return _pair(call, "batch1", "batch2", "self")


@rule("addbmm")
def summed(call: Call) -> Effect:
    """Read the sum of batched products of two matrices plus a bias."""
    return _pair(call, "batch1", "batch2", "self", call.tensor("batch1").shape[0])


@rule("addr", "ger", "outer")
def outer(call: Call) -> Effect:
    """Read the product of every entry of one vector with every entry of another."""
    names = ("vec1", "vec2") if call.name == "addr" else ("self", "vec2")
    if call.name == "addr" and not _biased(call):
        return Effect(constant=True)
    known = [name for name in names if name in call.known]
    gated = len(known) == 2
    return Effect(
        output=call.entries if gated else 0,
        additive=call.entries if call.name == "addr" and "self" in call.known else 0,
        deeper=1 if gated else 0,
        behind={"self": 0} if call.name == "addr" else {},
    )


@rule("linear", "mkldnn_linear", "_mkl_linear", "linear_dynamic_fp16")
def linear(call: Call) -> Effect:
    """Read a linear layer in one operation."""
    name = "input" if "input" in call.given else "self"
    inner = call.tensor("weight").shape[-1]
    bias = call.entries if "bias" in call.known else 0
    known = call.known
    return contraction(known.get(name), known.get("weight"), call.entries * inner, bias, "bias")


@rule("convolution", "_convolution", "convolution_overrideable", "mkldnn_convolution")
@rule("cudnn_convolution", "miopen_convolution", "_slow_conv2d_forward", "slow_conv3d_forward")
@rule("thnn_conv2d", "slow_conv3d", "_conv_depthwise2d", "conv_depthwise3d", "slow_conv_dilated2d")
@rule("slow_conv_transpose2d", "cudnn_convolution_transpose", "mkldnn_convolution_relu")
def convolution(call: Call) -> Effect:
    """Read a convolution; products with padding count, as in torch's counter."""
    name = "input" if "input" in call.given else "self"
    weight = call.tensor("weight")
    turned = "transpose" in call.name or bool(call.given.get("transposed", False))
    entries = size(call.tensor(name)) if turned else call.entries
    products = entries * math.prod(weight.shape[1:])
    bias = call.entries if "bias" in call.known else 0
    known = call.known
    return contraction(known.get(name), known.get("weight"), products, bias, "bias")


@rule("_grouped_mm", "_scaled_grouped_mm")
def grouped(call: Call) -> Effect:
    """Read products in which a group of rows meets a matrix of its own."""
    first, second = call.tensor("self"), call.tensor("mat2")
    if first.dim() == 2 and second.dim() == 2:
        products = first.shape[0] * first.shape[1] * second.shape[1]
    else:
        products = call.entries * first.shape[-1]
    return contraction(call.known.get("self"), call.known.get("mat2"), products)


@rule("_trilinear")
def trilinear(call: Call) -> Effect:
    """Read x1 W x2: a linear map of one input, then its products with the other."""
    known = call.known
    weight = size(call.tensor("i2"))
    first, second = call.tensor("i1"), call.tensor("i3")
    batch = size(first) // first.shape[-1]
    linear = batch * weight
    gates = linear // first.shape[-1]
    if "i1" in known and "i3" in known and "i2" not in known:
        return Effect(output=gates, contracted=gates, linear=linear, deeper=1)
    if "i2" not in known:
        return Effect(linear=linear + batch * weight // second.shape[-1])
    return Effect(output=linear + gates, contracted=linear + gates, deeper=2)


@rule("_cdist_forward", "_pdist_forward")
def distances(call: Call) -> Effect:
    """Read distances: differences of two signals, one for each coordinate."""
    names = [name for name in ("x1", "x2") if name in call.known]
    first = next(name for name in ("x1", "self") if name in call.given)
    both = len(names) == 2 or call.name == "_pdist_forward"
    return Effect(additive=call.entries * call.tensor(first).shape[-1] if both else 0)


@rule("linalg_cross", "cross")
def cross(call: Call) -> Effect:
    """Read a cross product: two products an entry."""
    gated = len(call.known) == 2
    return Effect(output=2 * call.entries if gated else 0, deeper=1 if gated else 0)


@rule("prod", "cumprod")
def products(call: Call) -> Effect:
    """Read products of many entries: one gate less than factors."""
    count = size(call.tensor("self"))
    if call.name == "prod":
        return Effect(output=max(0, count - call.entries), deeper=1)
    axis = call.tensor("self").shape[call.given["dim"]] if count else 1
    return Effect(output=count - count // axis, deeper=1)
