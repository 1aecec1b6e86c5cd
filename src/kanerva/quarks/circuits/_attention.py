"""The heads of a transformer by units and gates."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.quarks import _inputs, _parts
from kanerva.quarks.circuits._masks import scores_mask
from kanerva.quarks.circuits._size import Circuit, Size, trained
from kanerva.quarks.circuits._softmax import normalised

__all__ = ["Attention", "attention"]

Result = tuple[Tensor, Tensor | None]


class Attention(Circuit):
    """Attention with several heads, with the weights and the call of torch's module.

    Attributes:
        weights: of the units of queries, keys and values: ``(D, D)``, ``(D, kdim)``, ``(D, vdim)``.
        biases: theirs, ``(D,)`` each; empty without biases.
        out: ``(D, D)``, weights of the last units.
        out_bias: ``(D,)``, or None.
        extra: a learned key and a learned value, ``(D,)`` each; empty without them.
    """

    def __init__(self, mha: nn.MultiheadAttention) -> None:
        super().__init__()
        self.heads, self.batch_first = mha.num_heads, mha.batch_first
        self.dim, self.zero = mha.embed_dim, mha.add_zero_attn
        if mha.in_proj_weight is not None:
            weights = list(mha.in_proj_weight.chunk(3))
        else:
            weights = [mha.q_proj_weight, mha.k_proj_weight, mha.v_proj_weight]
        biases = [] if mha.in_proj_bias is None else list(mha.in_proj_bias.chunk(3))
        learned = (mha.bias_k, mha.bias_v)
        extra = [each.flatten() for each in learned if each is not None]
        self.weights, self.biases, self.extra = map(_copies, (weights, biases, extra))
        self.out = nn.Parameter(mha.out_proj.weight.detach().clone())
        bias = mha.out_proj.bias
        self.out_bias = None if bias is None else nn.Parameter(bias.detach().clone())

    def extra_repr(self) -> str:
        return f"{self.dim}, heads={self.heads}, batch_first={self.batch_first}"

    @door
    def size(self, places: int = 1, context: int | None = None) -> Size:
        """Return the size for one item of a batch.

        Args:
            places: number of queries, >= 1.
            context: number of keys, >= 1; that of the queries if omitted.
        """
        queries = checks.integer("places", places, 1, checks.LONGEST)
        given = (
            queries if context is None else checks.integer("context", context, 1, checks.LONGEST)
        )
        keys = given + bool(len(self.extra)) + self.zero
        layers = self.dim * (3 * queries + 2 * given)
        units = layers + self.heads * queries * (keys + 1)
        gates = 2 * queries * keys * self.dim + self.heads * queries * keys
        return Size(units, gates, 5, trained(self))

    @door
    def forward(
        self,
        query: Float[Tensor, "*places dim"],
        key: Float[Tensor, "*context kdim"],
        value: Float[Tensor, "*context vdim"],
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> Result:
        """Attend, as ``torch.nn.MultiheadAttention`` does when it is called.

        Args:
            query: ``(b, q, D)`` with ``batch_first``, else ``(q, b, D)``; or ``(q, D)``. Finite, in
                the dtype of the weights.
            key: ``(b, k, kdim)``, ``(k, b, kdim)`` or ``(k, kdim)``.
            value: ``(b, k, vdim)``, ``(k, b, vdim)`` or ``(k, vdim)``.
            key_padding_mask: ``(b, k)`` or ``(k,)``: bool, True leaves a key out; or floating,
                added to the scores, with -inf for a key that is left out.
            need_weights: whether the weights are returned, too.
            attn_mask: ``(q, k)`` or ``(b heads, q, k)``: bool or floating, as above.
            average_attn_weights: whether the weights are averaged over the heads.
            is_causal: as in torch a hint that ``attn_mask`` is causal, which is needed with it.

        Returns:
            the output, of the shape of ``query``, and the weights ``(b, q, k)``, ``(b, heads, q,
            k)`` or those without b, or None. A query whose keys are all left out gets weights of
            zero, and so the bias of the last units, where torch returns NaN with
            ``need_weights=True``.
        """
        need = checks.flag("need_weights", need_weights)
        average = checks.flag("average_attn_weights", average_attn_weights)
        if checks.flag("is_causal", is_causal) and attn_mask is None:
            do = "give attn_mask, which torch needs too"
            refuse("is_causal", is_causal, must="False without attn_mask", do=do)
        rows, single = self._rows(query, key, value)
        shape = (len(rows[0]), self.heads, rows[0].shape[1], rows[1].shape[1])
        mask = scores_mask(attn_mask, key_padding_mask, shape, rows[0], single)
        output, weights = self._attend(rows, mask)
        _inputs.blame(output, query=query, key=key, value=value)
        weights = weights.mean(1) if average else weights
        if single:
            return output[0], weights[0] if need else None
        output = output if self.batch_first else output.transpose(0, 1)
        return output, weights if need else None

    def _rows(self, query: Any, key: Any, value: Any) -> tuple[tuple[Tensor, ...], bool]:
        """Return checked queries, keys and values, with the batch first, and whether it is one."""
        given = {"query": query, "key": key, "value": value}
        rows = []
        for weight, (name, tensor) in zip(self.weights, given.items(), strict=True):
            found = _inputs.like(name, tensor, weight.shape[1], weight)
            if found.ndim not in (2, 3) or found.ndim != query.ndim:
                must = "of 2 or 3 dimensions, as query is"
                do = "give rows (places, width), or a batch of them"
                refuse(name, got=f"of shape {tuple(found.shape)}", must=must, do=do)
            single = found.ndim == 2
            found = found.unsqueeze(0) if single else found
            rows.append(found if single or self.batch_first else found.transpose(0, 1))
        if len(rows[1]) != len(rows[0]):
            must, got = f"a batch of {len(rows[0])}, as query is", f"a batch of {len(rows[1])}"
            refuse("key", got=got, must=must, do="give keys for each query of the batch")
        if rows[2].shape[:2] != rows[1].shape[:2]:
            must, got = "one row for each key", f"of shape {tuple(value.shape)}"
            refuse("value", got=got, must=must, do="give as many rows as keys")
        return tuple(rows), query.ndim == 2

    def _attend(self, rows: tuple[Tensor, ...], mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the outputs ``(b, q, D)`` and the weights ``(b, heads, q, k)``."""
        biases = list(self.biases) or [None, None, None]
        units, names = [], ("query", "key", "value")
        for name, x, weight, bias in zip(names, rows, self.weights, biases, strict=True):
            units.append(_inputs.blame(_parts.summed(x, weight, bias), **{name: x}))
        more = (self._extended(unit, each) for each, unit in enumerate(units[1:]))
        query, key, value = (self._split(unit) for unit in (units[0], *more))
        shape = (*query.shape[:3], *key.shape[2:])
        pairs = _parts.gated(query.unsqueeze(3).expand(shape), key.unsqueeze(2).expand(shape))
        # A fixed weight of each sum.
        scores = _parts.total(pairs) * query.shape[-1] ** -0.5
        if mask is not None:
            # The masks do not reach the learned key and the key of zeros.
            scores = scores + nn.functional.pad(mask, (0, shape[3] - mask.shape[-1]))
        weights = normalised(scores)
        read = self._read(weights, value)
        return _parts.summed(read.transpose(1, 2).flatten(2), self.out, self.out_bias), weights

    def _extended(self, rows: Tensor, which: int) -> Tensor:
        """Append the learned key or value, and the key and value of zeros."""
        more = [self.extra[which].expand(len(rows), 1, -1)] if len(self.extra) else []
        more += [rows.new_zeros(len(rows), 1, self.dim)] if self.zero else []
        return torch.cat((rows, *more), 1)

    def _split(self, rows: Tensor) -> Tensor:
        """Return rows by heads, ``(b, heads, places, d)``."""
        return rows.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # type: ignore[no-untyped-call]

    def _read(self, weights: Tensor, value: Tensor) -> Tensor:
        """Gate the synapses of weight one from the values, in all channels of a query alike."""
        sources = value.mT.unsqueeze(2)
        shape = (*weights.shape[:3], sources.shape[3], weights.shape[3])
        gate = weights.unsqueeze(3).expand(shape).unsqueeze(-2)
        ones = value.new_ones(1, weights.shape[3])
        return _parts.weighed(sources.expand(shape), gate, ones).squeeze(-1)


@door
def attention(mha: nn.MultiheadAttention) -> Attention:
    r"""Return a circuit of the heads of a transformer, from a module of torch.

    Queries, keys and values are linear units. The scores are output gating of query and key units,
    and sums; a mask is a signal added to them. The softmax is exponential units, one unit of their
    sum with the reciprocal as its transfer, and output gating of all by that one. The read is
    synaptic gating: the weight of a key gates the synapses from its value, in all channels alike.

    All products are built: q k D numbers for an item of q queries and k keys.

    Size for n tokens, width D and h heads: 5 n D + h n (n + 1) units, 2 n^2 D + h n^2 gates, depth
    5, and the parameters of the module. With q queries and k keys n^2 is q k.

    Args:
        mha: its weights are copied. ``batch_first``, ``kdim``, ``vdim``, ``add_bias_kv`` and
            ``add_zero_attn`` are kept. Its dropout must be zero, or off by ``mha.eval()``.

    Returns:
        a module with the call and the result of ``mha``, except for a query whose keys are all
        left out by masks: its weights are zero and its output is the bias of the last units, as
        that of ``mha`` with ``need_weights=False``. With ``need_weights=True``, ``mha`` returns NaN
        for it.

    Raises:
        InputError: another module, or one with dropout; when called, input that does not fit.

    Example:
        >>> import torch
        >>> from kanerva.quarks import circuits
        >>> mha = torch.nn.utils.skip_init(torch.nn.MultiheadAttention, 8, 2, batch_first=True)
        >>> for each in mha.parameters():
        ...     _ = torch.nn.init.constant_(each, 0.1)
        >>> x = torch.eye(3, 8)[None]
        >>> circuit = circuits.attention(mha)
        >>> torch.allclose(circuit(x, x, x)[0], mha(x, x, x)[0]), circuit.size(3).gates
        (True, 162)

    Source: Vaswani and others 2017; Baldi and Vershynin 2022.
    """
    do = "give a torch.nn.MultiheadAttention"
    checks.instance("mha", mha, nn.MultiheadAttention, do)
    if mha.training and mha.dropout > 0:
        got, must = f"in training with dropout {mha.dropout}", "without dropout"
        refuse("mha", got=got, must=must, do="call mha.eval() first")
    if mha.out_proj.weight.dtype not in arrays.FLOATS:
        must, do = "of a floating dtype", "convert it with mha.float()"
        refuse("mha", got=str(mha.out_proj.weight.dtype), must=must, do=do, error=InputTypeError)
    return Attention(mha)


def _copies(tensors: list[Tensor]) -> nn.ParameterList:
    return nn.ParameterList(nn.Parameter(each.detach().clone()) for each in tensors)
