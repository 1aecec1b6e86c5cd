"""Rules of recurrent networks in one operation: every step counts as its equations are written."""

from torch import Tensor

from kanerva.quarks._watch.attend import plus
from kanerva.quarks._watch.calls import Call, Effect, rule

__all__: list[str] = []

# Gates, sums, and rows of weights of one step for each number of the state, by torch's mode.
# LSTM: f c, i g, o tanh(c); GRU: r U h, z h, (1 - z) n.
GATES = {0: 0, 1: 0, 2: 3, 3: 3}
ROWS = {0: 1, 1: 1, 2: 4, 3: 3}
SUMS = {0: 1, 1: 1, 2: 5, 3: 4}
LSTM = 2


def _steps(mode: int, states: int, inner: int, width: int, hidden: int) -> Effect:
    """Count some steps of one layer in one direction.

    Args:
        mode: 0 and 1 for plain networks, 2 for an LSTM, 3 for a GRU.
        states: how many states, over all steps and batches.
        inner: the length of what the gates are computed from besides the input.
        width: the length of the input.
        hidden: the length of a cell.
    """
    linear = states * ROWS[mode] * hidden * (width + inner)
    return Effect(
        output=GATES[mode] * states * hidden, additive=SUMS[mode] * states * hidden, linear=linear
    )


@rule("mkldnn_rnn_layer")
def layer(call: Call) -> Effect:
    """Read one layer of an LSTM in one direction."""
    given = call.given
    source, hidden = call.tensor("input"), given["hidden_size"]
    states = source.shape[0] * source.shape[1]
    found = _steps(given["mode"], states, hidden, source.shape[2], hidden)
    # The steps come first, whatever ``batch_first`` says: torch turns the batch before the kernel.
    found.deeper = 2 * source.shape[0] if GATES[given["mode"]] else 0
    return found


@rule("_cudnn_rnn", "miopen_rnn")
def stack(call: Call) -> Effect:
    """Read all layers of a recurrent network in one operation."""
    given = call.given
    source, mode, hidden = call.tensor("input"), given["mode"], given["hidden_size"]
    packed = list(given.get("batch_sizes") or ())
    states = sum(packed) if packed else source.shape[0] * source.shape[1]
    steps = len(packed) or source.shape[1 if given["batch_first"] else 0]
    ways = 2 if given["bidirectional"] else 1
    kept = given.get("proj_size", 0) or hidden
    found, width = Effect(), source.shape[-1]
    for _ in range(given["num_layers"]):
        one = _steps(mode, states, kept, width, hidden)
        if kept != hidden:
            one.linear += states * hidden * kept
        found = plus(found, *[one] * ways)
        width = kept * ways
    found.deeper = 2 * steps * given["num_layers"] if GATES[mode] else 0
    return found


@rule("_thnn_fused_lstm_cell", "_thnn_fused_gru_cell")
def cell(call: Call) -> Effect:
    """Read the gates of one step; its linear layers are operations of their own."""
    mode = 2 if call.name == "_thnn_fused_lstm_cell" else 3
    state: Tensor = call.tensor("cx" if mode == LSTM else "hx")
    count = state.numel()
    return Effect(output=GATES[mode] * count, additive=SUMS[mode] * count, deeper=2)
