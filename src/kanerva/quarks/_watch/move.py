"""Rules of operations that rearrange, choose or summarise numbers."""

from torch import Tensor

from kanerva.quarks._watch.calls import Call, Effect, rule
from kanerva.quarks._watch.signals import Root, Signal, moved, repeats, size

__all__ = ["move"]

# Operations that change the shape or the storage of numbers, and not their order.
ORDERLY = frozenset(
    (
        *("view", "_unsafe_view", "reshape", "_reshape_alias", "_reshape_copy", "view_as"),
        *("unsqueeze", "squeeze", "flatten", "unflatten", "contiguous", "clone", "alias"),
        *("detach", "lift", "lift_fresh", "lift_fresh_copy", "_to_copy", "to", "_fw_primal"),
        *("view_copy", "detach_copy", "alias_copy", "unsqueeze_copy", "squeeze_copy"),
        *("to_padded_tensor", "_to_dense", "to_mkldnn", "copy", "resolve_conj", "resolve_neg"),
        *("dropout", "feature_dropout", "alpha_dropout", "positive", "_copy_from"),
    )
)
CUTS = frozenset(
    (
        *("slice", "narrow", "select", "split", "split_with_sizes", "unbind", "chunk"),
        *("unsafe_split", "unsafe_split_with_sizes", "unsafe_chunk"),
    )
)
TURNS = frozenset(("t", "t_copy", "transpose", "transpose_copy", "permute", "permute_copy"))


@rule(*ORDERLY, *TURNS, "expand", "slice", "select", "split", "split_with_sizes", "unbind", "chunk")
@rule("narrow", "unsafe_split", "unsafe_split_with_sizes", "unsafe_chunk", "diagonal", "unfold")
@rule("flip", "roll", "repeat", "repeat_interleave", "constant_pad_nd", "im2col", "as_strided")
@rule("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle", "tile")
@rule("reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "replication_pad1d", "expand_as")
@rule("replication_pad2d", "replication_pad3d", "tril", "triu", "rot90", "view_as_complex")
@rule("view_as_real", "real", "imag", "_conj", "diag_embed", "_reshape_from_tensor", "squeeze_")
@rule("expand_copy", "slice_copy", "select_copy", "split_copy", "unbind_copy")
@rule("unfold_copy", "as_strided_copy", "diagonal_copy", "_fill_mem_eff_dropout")
def move(call: Call) -> Effect:
    """Read an operation that rearranges the entries of one tensor."""
    source = next(iter(call.all))
    if len(call.known) != 1 or call.lists:
        return Effect(results=Signal(call.fresh(), weighs=all(one.weighs for one in call.all)))
    return Effect(
        results=[
            moved(source, _place(call, source.root, result, index))
            for index, result in enumerate(call.results)
        ]
    )


def _place(call: Call, root: Root, result: Tensor, index: int) -> Root:
    """Return the root of one result of a rearrangement."""
    signals, name = call.signals, call.name
    if result.is_nested:
        return signals.fresh((result.numel(),))
    before = next(value for key, value in call.given.items() if key in call.known)
    if name in ORDERLY and result.numel() == size(before):
        return Root(root.source, signals.fresh(result.shape).shape)
    if before.is_nested:
        return signals.fresh(result.shape)
    if name == "slice" and result.numel() == before.numel():
        return root
    if name == "expand" or name == "expand_as":
        return signals.spread(root, result.shape)
    if name in CUTS:
        axis = _axis(call, before.dim())
        part = None if name in ("select", "unbind") else result.shape[axis]
        found = signals.cut(root, before.shape, axis, part)
        if found is not None:
            return found
    if name in TURNS:
        return signals.turn(root, before.shape, _order(call, before.dim()))
    how = (key for key in call.given if key not in call.known)
    return signals.derive(root, result.shape, name, index, *(str(call.given[key]) for key in how))


def _axis(call: Call, count: int) -> int:
    """Return the axis of an operation, counted from the end."""
    dim: int = call.given.get("dim", 0)
    return dim if dim < 0 else dim - count


def _order(call: Call, count: int) -> tuple[int, ...]:
    """Return the new order of the axes of a tensor."""
    given = call.given
    axes = list(range(count))
    dims = given.get("dims", given.get("permutation"))
    if dims is not None:
        return tuple(axis % count for axis in dims)
    if count > 1:
        one, two = given.get("dim0", 0) % count, given.get("dim1", 1) % count
        axes[one], axes[two] = axes[two], axes[one]
    return tuple(axes)


@rule("cat", "stack", "concat", "concatenate", "hstack", "vstack", "block_diag", "_cat")
@rule("_pack_padded_sequence", "_pad_packed_sequence", "nested_tensor", "_nested_tensor_from_mask")
@rule(
    "_nested_tensor_from_tensor_list", "meshgrid", "broadcast_tensors", "_nested_view_from_buffer"
)
@rule("_nested_from_padded", "_nested_from_padded_and_nested_example", "combinations", "complex")
@rule("slice_scatter", "select_scatter", "diagonal_scatter", "as_strided_scatter")
def joined(call: Call) -> Effect:
    """Read tensors put together: they weigh if all signals among them do."""
    weighs = all(one.weighs for one in call.all)
    again = _repeated(call) if call.name in ("cat", "concat", "concatenate") else None
    if again is not None:
        return Effect(results=Signal(again, weighs=weighs))
    return Effect(results=[Signal(call.fresh(at), weighs=weighs) for at in range(_count(call))])


def _repeated(call: Call) -> Root | None:
    """Return the root of parts that are all the same numbers, repeated along the axis."""
    signals, result = call.signals, call.results[0]
    parts = zip(call.given["tensors"], call.lists.get("tensors", []), strict=True)
    known = [signal for tensor, signal in parts if tensor.numel()]
    if result.is_nested or not known:
        return None
    origins = {None if signal is None else signals.origin(signal.root) for signal in known}
    origin = origins.pop()
    if origins or origin is None:
        return None
    if len(known) > 1 and not repeats(origin, _axis(call, result.dim())):
        return None
    return signals.spread(origin, result.shape)


def _count(call: Call) -> int:
    return len(call.results)


@rule("copy_")
def copied(call: Call) -> Effect:
    """Read a copy into another tensor."""
    source = call.known.get("src")
    call.known.pop("self", None)
    if source is None:
        return Effect(constant=True)
    return Effect(results=moved(source, call.signals.spread(source.root, call.results[0].shape)))


@rule("fill_", "zero_", "fill", "zero", "normal_", "uniform_", "bernoulli_", "random_")
@rule("exponential_", "cauchy_", "geometric_", "log_normal_")
def filled(call: Call) -> Effect:
    """Read numbers written over others; they are a signal only if the value is one."""
    value = call.known.get("value")
    call.known.pop("self", None)
    if value is None:
        return Effect(constant=True)
    return Effect(results=moved(value, call.signals.spread(value.root, call.results[0].shape)))


@rule("gather", "index", "index_select", "take", "take_along_dim", "embedding", "_unsafe_index")
@rule("masked_select", "nll_loss_forward", "nll_loss2d_forward", "bucketize", "searchsorted")
@rule("_unsafe_masked_index", "take_along_axis", "one_hot", "nll_loss_nd")
def picked(call: Call) -> Effect:
    """Read rows or entries taken by an index: they are chosen where the index is a signal."""
    sources = [call.known[name] for name in ("self", "weight", "input") if name in call.known]
    named = {"self", "weight", "input"}
    if call.name in ("bucketize", "searchsorted", "one_hot"):
        return Effect()
    chosen = bool(set(call.known) - named) or bool(call.lists)
    weighs = bool(sources) and sources[0].weighs
    if sources and not chosen and len(call.known) == 1:
        return Effect(results=moved(sources[0], call.fresh()))
    picks = Signal(call.fresh(), weighs=weighs)
    return Effect(selected=call.entries if chosen else 0, results=picks)


@rule("_embedding_bag", "_embedding_bag_forward_only")
def bag(call: Call) -> Effect:
    """Read sums of rows that an index chose, each times a weight where there are any."""
    entries = size(call.tensor("indices")) * call.tensor("weight").shape[1]
    gated = "per_sample_weights" in call.known
    return Effect(
        output=entries if gated else 0,
        selected=entries if "indices" in call.known else 0,
        deeper=1 if gated else 0,
    )


@rule("scatter", "scatter_add", "scatter_reduce", "index_add", "index_put", "index_copy")
@rule("index_fill", "masked_scatter", "put", "_index_put_impl", "index_reduce", "_unsafe_index_put")
@rule("_unsafe_masked_index_put_accumulate")
def placed(call: Call) -> Effect:
    """Read values put at places by an index: chosen where the index is a signal.

    Values are added to or multiplied by what is at their place, one after the other. The first of
    them meets no signal where a constant is there.
    """
    valued = next((name for name in ("src", "source", "values", "value") if name in call.given), "")
    value, index, how = call.given.get(valued), call.given.get("index"), call.given.get("reduce")
    count = size(value) if isinstance(value, Tensor) else 0
    if isinstance(index, Tensor) and (count == 1 or call.name.startswith("scatter")):
        count = size(index)
    indexed = bool(call.lists) or any(name in call.known for name in ("index", "mask"))
    adds = "add" in call.name or bool(call.given.get("accumulate", False))
    adds = adds or how in ("add", "sum", "mean")
    both = "self" in call.known and valued in call.known
    known = [call.known[name] for name in ("self", valued) if name in call.known]
    factors = 0
    if how in ("prod", "multiply") and (valued in call.known or indexed):
        met = "self" in call.known and call.given.get("include_self", True)
        factors = count if met else count - _places(call, count)
    return Effect(
        output=factors,
        selected=count if indexed or how in ("amax", "amin") else 0,
        additive=count if adds and both else 0,
        deeper=1 if factors else 0,
        results=Signal(call.fresh(), weighs=bool(known) and all(one.weighs for one in known)),
    )


def _places(call: Call, count: int) -> int:
    """Return at how many places values are put; none is known of an index without numbers."""
    index = call.tensor("index")
    if index.is_meta or type(index) is not Tensor:
        return 0
    if call.name == "index_reduce":
        return len(set(index.flatten().tolist())) * count // max(1, index.numel())
    dim = call.given["dim"]
    return sum(
        len(set(row)) for row in index.movedim(dim, -1).reshape(-1, index.shape[dim]).tolist()
    )


@rule("topk", "sort", "kthvalue", "median", "nanmedian", "mode", "max", "min", "amax", "amin")
@rule("max_pool2d_with_indices", "max_pool3d_with_indices", "adaptive_max_pool2d", "cummax")
@rule("adaptive_max_pool3d", "fractional_max_pool2d", "mkldnn_max_pool2d", "aminmax", "cummin")
@rule("max_pool1d", "max_pool2d", "max_pool1d_with_indices", "quantile", "msort")
def best(call: Call) -> Effect:
    """Read the largest numbers of a signal: which ones, the signal chooses."""
    if len(call.all) > 1:  # max(a, b), entry by entry
        return Effect(selected=call.entries)
    source = next(iter(call.all))
    first = Signal(call.fresh(), weighs=source.weighs, reduced=source.root)
    rest = [Signal(call.fresh(at)) for at in range(1, _count(call))]
    return Effect(selected=call.entries, results=[first, *rest])


@rule("sum", "mean", "nansum", "nanmean", "norm", "linalg_vector_norm", "var", "std", "var_mean")
@rule("std_mean", "logsumexp", "any", "all", "argmax", "argmin", "argsort", "count_nonzero")
@rule("cumsum", "logcumsumexp", "special_logsumexp", "trace", "histc", "bincount", "_log_softmax")
@rule("log_softmax", "avg_pool1d", "avg_pool2d", "avg_pool3d", "_adaptive_avg_pool2d", "col2im")
@rule("_adaptive_avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "_local_scalar_dense")
@rule("mkldnn_adaptive_avg_pool2d", "upsample_nearest1d", "upsample_nearest2d", "upsample_linear1d")
@rule("upsample_nearest3d", "upsample_bilinear2d", "upsample_bicubic2d", "upsample_trilinear3d")
@rule("_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_bilinear2d_aa")
@rule("_upsample_bicubic2d_aa", "_fft_r2c", "_fft_c2c", "_fft_c2r", "nonzero", "_unique2", "unique")
@rule("unique_dim", "unique_consecutive", "unique_dim_consecutive", "diff", "segment_reduce")
@rule("nonzero_static", "isin", "equal", "is_nonzero", "_assert_async", "_assert_scalar", "item")
@rule("_linalg_check_errors", "_is_all_true", "_is_any_true", "_assert_tensor_metadata")
def summary(call: Call) -> Effect:
    """Read a sum or another summary of one signal, which multiplies nothing by a second one."""
    if not call.results:
        return Effect()
    source = next(iter(call.all))
    plain = call.name in ("sum", "nansum") or (
        call.name in ("norm", "linalg_vector_norm") and call.given.get("ord", 2) == 1
    )
    total = source.root if plain else None
    return Effect(
        results=[
            Signal(call.fresh(at), reduced=source.root, total=total) for at in range(_count(call))
        ]
    )


@rule("zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like", "new_zeros")
@rule("new_ones", "new_empty", "new_full", "randint_like", "new_empty_strided", "_shape_as_tensor")
@rule("_nested_tensor_size", "_nested_tensor_strides", "_nested_tensor_storage_offsets", "size")
@rule("numel", "sym_size", "sym_numel", "sym_stride", "stride", "dim", "is_same_size", "device")
@rule("is_floating_point", "is_complex", "result_type", "_has_compatible_shallow_copy_type")
@rule("empty_permuted", "is_pinned", "storage_offset", "sym_storage_offset", "resize", "layout")
@rule(
    "_nested_tensor_from_mask_left_aligned",
    "_has_same_storage_numel",
    "embedding_renorm",
    "bernoulli",
    "normal",
    "dropout_mask",
    "is_non_overlapping_and_dense",
)
def shaped(call: Call) -> Effect:
    """Read an operation that takes only the shape of a signal."""
    return Effect(constant=True)
