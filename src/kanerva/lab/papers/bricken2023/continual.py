"""Learn pictures in tasks of two classes, without replay, and name those of all classes."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab.papers._common import LAW, SEPARATE, Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["continual"]

SEEDS = range(5)
# The layer as it is trained in this recipe, and what else is trained or written.
USUAL: Cell = {
    "data": "digits",
    "tasks": 5,
    "neurons": 1000,
    "method": "plain",
    "importance": 0.0,
    "momentum": 0.0,
    "batches": 300,
    "batch": 32,
}
LAYER: Cell = {"network": "sdm", "k": 3, "switch": 3000.0, "rate": 1.0}
SWITCHLESS = LAYER | {"switch": 0.0}
TOP_K = LAYER | {"network": "top-k"}
MLP = LAYER | {"network": "mlp", "switch": 0.0}
ATTENTION: Cell = {"network": "attention", "k": 3, "switch": 0.0, "rate": 0.0, "batches": 0}
FLY = ATTENTION | {"network": "fly", "k": 50}
# Strengths of the penalties; each method has a scale of its own.
STRENGTHS = {
    "ewc": (1.0, 100.0, 1e5),
    "si": (0.1, 1.0, 100.0),
    "mas": (0.1, 1.0, 10.0),
    "l2": (0.01, 0.1, 1.0),
}


def _cells(base: Cell, seeds: range = SEEDS, **sweeps: Any) -> list[Cell]:
    return grid(**USUAL | base | sweeps, seed=seeds)


def _paper() -> Iterator[Cell]:
    """Yield the cells of the larger size."""
    for base in (LAYER, SWITCHLESS, MLP, TOP_K, TOP_K | {"switch": 0.0}, ATTENTION, FLY):
        yield from _cells(base)
    yield from _cells(LAYER, k=(1, 10))
    yield from _cells(LAYER, k=(30, 100), seeds=range(2))
    yield from _cells(LAYER, rate=0.05)
    yield from _cells(LAYER, rate=(0.2, 3.0), seeds=range(2))
    # The steps of momentum add up to those of a rate ten times as large.
    yield from _cells(LAYER, momentum=0.9, rate=(0.1, 1.0), seeds=range(2))
    yield from _cells(LAYER, network=("no-norm", "no-sign", "with-bias"), seeds=range(3))
    for base in (LAYER, MLP):
        yield from _cells(base, method="joint", seeds=range(2))
        for method, strengths in STRENGTHS.items():
            yield from _cells(base, method=method, importance=strengths, seeds=range(1))


def _quick() -> Iterator[Cell]:
    """Yield the cells of the smaller size."""
    for base in (LAYER, SWITCHLESS, MLP, TOP_K, ATTENTION, FLY):
        yield from _cells(base, seeds=range(1))


def _checks() -> Iterator[Check]:
    """Yield the accuracies over all classes after the last task, and counts of neurons."""
    low, last = "the last task alone", {"task": 5}
    wanted = (
        ("layer with switch", LAYER, 0.855, 0.055, SEPARATE),
        ("layer without switch", SWITCHLESS, 0.32, 0.1, SEPARATE),
        ("rectified perceptron", MLP, 0.2, 0.05, low),
        ("top-k perceptron", TOP_K | {"switch": 0.0}, 0.2, 0.05, low),
        ("top-k perceptron with switch", TOP_K, 0.2, 0.05, low),
        ("layer with k = 10", LAYER | {"k": 10}, 0.73, 0.05, SEPARATE),
        ("attention, labels as values", ATTENTION, 0.985, 0.01, SEPARATE),
        ("counters of the fly", FLY, 0.85, 0.03, SEPARATE),
    )
    for what, base, expected, tolerance, source in wanted:
        at = USUAL | base | last
        yield Check(f"accuracy of the {what}", "right", expected, tolerance, source, at)
    slow = LAYER | {"rate": 0.05}
    what = "accuracy of the layer at rate 1 less that at 0.05"
    source = f"0.855 less 0.3 to 0.4, {SEPARATE}"
    yield Check(what, "right", 0.5, 0.2, source, USUAL | LAYER | last, less=USUAL | slow | last)
    for what, base, expected, tolerance, source in (
        ("with the switch", LAYER, 0, 0, LAW),
        ("without", SWITCHLESS, 815, 60, SEPARATE),
    ):
        name = f"neurons that never fired, {what}"
        yield Check(name, "dead", expected, tolerance, source, USUAL | base | last)
    for what, base in (("attention", ATTENTION), ("counters of the fly", FLY)):
        name = f"answers of the {what} that the order of the tasks changes"
        yield Check(name, "moved", 0.0, 0.0, LAW, USUAL | base, aggregate="max")


def _draw(rows: list[Row]) -> Any:
    from kanerva.lab.papers.bricken2023 import _figures

    return _figures.drawn(rows)


@recipe(
    "layers.continual",
    "Digits in five tasks, without replay",
    "bricken2023",
    "section 4, with other data",
    quick=list(_quick()),
    paper=list(_paper()),
    checks=list(_checks()),
    draw=_draw,
)
def continual(
    network: Annotated[str, "sdm, no-norm, no-sign, with-bias, top-k, mlp, attention or fly"],
    method: Annotated[str, "plain, ewc, mas, si, l2 or joint"],
    data: Annotated[str, "digits, or a set of pictures with classes, such as mnist or cifar10"],
    tasks: Annotated[int, "number of tasks, a divisor of the number of classes"],
    neurons: Annotated[int, "neurons of the hidden layer"],
    k: Annotated[int, "neurons that are not inhibited"],
    switch: Annotated[float, "samples after which a neuron is inhibited in full; 0 for no switch"],
    rate: Annotated[float, "learning rate of the descent; 0 for what is written"],
    momentum: Annotated[float, "momentum of the descent"],
    importance: Annotated[float, "strength of the penalty of ewc, mas, si and l2"],
    batches: Annotated[int, "batches of each task; 0 for what is written"],
    batch: Annotated[int, "pictures in a batch"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Learn digits in tasks of two classes without replay, and name all classes after each task.

    The pictures come task after task, a quarter of them is kept for testing, and no earlier picture
    comes back. One head names all classes. After each task ``right`` is the share of all test
    pictures that are named, those of later tasks included, so that one of five tasks gives 0.2 at
    most. ``dead`` counts neurons that fire for no picture. ``sdm`` is ``nn.SDMLayer``. ``no-norm``,
    ``no-sign`` and ``with-bias`` are the layer without lengths of one, with weights of either sign,
    and with biases; ``top-k`` and ``mlp`` are perceptrons. ``attention`` and ``fly`` are written
    and not trained: attention with the classes as values, and counters of classes at random sparse
    addresses.

    With three active neurons of 1,000 and a switch at 3,000 samples, the SDM layer names 0.87 of
    all digits after the fifth task (0.80 to 0.90 over five orders of the classes), and no neuron is
    dead. Without the switch it names 0.31, and 806 neurons are dead. Perceptrons name 0.20 to 0.21,
    which is the last task alone, with the switch, too. One active neuron gives 0.93, ten 0.71. The
    rate matters: 0.24 at 0.05. A unit without lengths of one names 0.21 and one with a bias 0.13,
    while weights of either sign do no harm. Momentum of 0.9 at a tenth of the rate costs 0.1.

    Penalties on changed weights (EWC, SI, MAS, L2) add at most 0.02 to the layer at their best
    strength, and bring the perceptron to 0.53 at most; strengths were chosen on the test pictures
    of one order. Memories that are written forget nothing, and no answer depends on the order of
    the tasks: attention names 0.99, counters 0.86. Trained on all tasks at once, the layer and the
    perceptron name 0.98. So a layer that is trained task by task is worth its place where the
    number of rows is fixed, or where gradients must pass through it.
    """
    from kanerva.lab.papers.bricken2023 import _tasks, _training, _written

    for name, value in (("tasks", tasks), ("neurons", neurons), ("k", k), ("batch", batch)):
        checks.integer(name, value, 1, checks.LONGEST)
    checks.integer("batches", batches, 0, checks.LONGEST)
    for name, number in (("switch", switch), ("rate", rate), ("importance", importance)):
        checks.number(name, number, 0)
    checks.number("momentum", momentum, 0, 1)
    given = _tasks.tasks(data, tasks, seed)
    found: Any
    if network in _written.MEMORIES:
        found = _written.written(network, given, neurons, k, seed)
    else:
        trained = (network, method, neurons, k, switch, rate, momentum, importance)
        design = _training.Design(*trained, batches, batch, seed)
        found = ((one, None) for one in _training.trained(design, given))
    for number, (one, moved) in enumerate(found, 1):
        task = tasks if method == "joint" else number
        yield {"task": task} | one._asdict() | {"moved": moved}
