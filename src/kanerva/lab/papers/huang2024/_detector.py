"""Digits on a canvas, a detector with one stage, and its average precision."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as plain

from kanerva import nn
from kanerva._core import arrays, checks
from kanerva.lab.papers.huang2024 import _digits
from kanerva.lab.papers.huang2024._vit import draw

__all__ = [
    "GATES",
    "Design",
    "Detector",
    "Epoch",
    "Found",
    "Scenes",
    "area",
    "build",
    "detect",
    "match",
    "overlap",
    "precision",
    "scenes",
    "suppress",
    "train",
]

CANVAS, GRID, CLASSES = 48, 6, 10
CELL = CANVAS // GRID
# Digits are so many pixels wide, and a canvas has so many of them.
SIZES, MOST = range(8, 17), 3
GATES = ("none", "se", "dia")
# Boxes that overlap by more are one digit, and a box is right that overlaps a digit by as much.
HALF = 0.5

Boxes = Float[Tensor, "*#batch 4"]  # left, top, right, bottom, in pixels


class Design(NamedTuple):
    """A detector and how it is trained."""

    blocks: int = 3
    width: int = 16
    epochs: int = 8
    canvases: int = 800
    rate: float = 3e-3
    batch: int = 16
    seed: int = 0


class Scenes(NamedTuple):
    """Canvases with digits; of the places for digits of a canvas the first are taken."""

    pictures: Float[Tensor, "n 1 48 48"]
    boxes: Float[Tensor, "n 3 4"]
    labels: Int64[Tensor, "n 3"]
    taken: Bool[Tensor, "n 3"]


class Found(NamedTuple):
    """What a detector found, of each canvas in falling order of the scores."""

    boxes: Float[Tensor, "n k 4"]
    labels: Int64[Tensor, "n k"]
    scores: Float[Tensor, "n k"]


class Epoch(NamedTuple):
    """What was measured after an epoch.

    * ``loss``: mean loss of the epoch in training; None before the first.
    * ``precision``: mean over the classes of the average precision at an overlap of 0.5.
    * ``places``: average precision where classes do not count.
    """

    epoch: int
    loss: float | None
    precision: float | None
    places: float | None


class Detector(torch.nn.Module):
    """Residual blocks on 24 x 24 and 12 x 12 places, and 15 numbers for each of 6 x 6 cells.

    The numbers of a cell are the logit of whether the middle of a digit lies in it, where it lies,
    the logarithms of width and height in cells, and the logits of the classes.
    """

    def __init__(self, design: Design, source: torch.Generator) -> None:
        super().__init__()
        width = design.width
        self.stem = _down(1, width)
        self.fine = _blocks(design.blocks, width)
        self.down = _down(width, 2 * width)
        self.coarse = _blocks(design.blocks, 2 * width)
        self.neck = _down(2 * width, 2 * width)
        self.head: torch.nn.Conv2d = torch.nn.utils.skip_init(  # type: ignore[no-untyped-call]
            torch.nn.Conv2d, 2 * width, 5 + CLASSES, 1
        )
        draw(self, source)

    def forward(self, x: Float[Tensor, "n 1 48 48"]) -> Float[Tensor, "n 36 15"]:
        x = self.coarse(self.down(self.fine(self.stem(x))))
        found: Tensor = self.head(self.neck(x)).flatten(2).mT
        return found


def build(design: Design, gate: str) -> Detector:
    """Return a detector with the gates of a variant; the same weights of all else for a seed."""
    options = _digits.VARIANTS[checks.choice("gate", gate, GATES)]
    net = Detector(design, arrays.generator(design.seed))
    if options is not None:
        example = torch.zeros(1, 1, CANVAS, CANVAS)
        nn.share(net, "*.branch", example, seed=1000 + design.seed, **options)
    return net


def scenes(count: int, digits: Tensor, classes: Tensor, source: torch.Generator) -> Scenes:
    """Paste one to three digits on each canvas, 8 to 16 pixels wide, that do not overlap.

    Args:
        count: number of canvases.
        digits: ``(m, 1, 8, 8)``.
        classes: ``(m,)``.
        source: of all draws.
    """
    low, high = digits.min(), digits.max()
    shades = (digits - low) / (high - low)
    scaled = {
        size: plain.interpolate(shades, (size, size), mode="bilinear", align_corners=False)
        for size in SIZES
    }
    pictures = torch.zeros(count, 1, CANVAS, CANVAS)
    boxes = torch.zeros(count, MOST, 4, dtype=torch.int64)
    labels = torch.zeros(count, MOST, dtype=torch.int64)
    numbers = torch.randint(1, MOST + 1, (count,), generator=source)
    for canvas, number in enumerate(numbers.tolist()):
        placed = 0
        while placed < number:
            size, left, top, which = _drawn(len(digits), source)
            box = torch.tensor([left, top, left + size, top + size])
            if (overlap(boxes[canvas, :placed].double(), box.double()) > 0).any():
                continue
            part = pictures[canvas, 0, top : top + size, left : left + size]
            part.copy_(scaled[size][which, 0])
            boxes[canvas, placed], labels[canvas, placed] = box, classes[which]
            placed += 1
    taken = torch.arange(MOST) < numbers[:, None]
    return Scenes(pictures, boxes.float(), labels, taken)


def overlap(one: Boxes, other: Boxes) -> Float[Tensor, "*_joined"]:
    """Return the area that two boxes share over that of their union."""
    low = torch.maximum(one[..., :2], other[..., :2])
    high = torch.minimum(one[..., 2:], other[..., 2:])
    common = (high - low).clamp_min(0).prod(-1)
    return common / (area(one) + area(other) - common).clamp_min(1e-9)


def area(boxes: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch"]:
    """Return the areas of boxes."""
    return (boxes[..., 2:] - boxes[..., :2]).prod(-1)


def train(
    net: Detector, given: Scenes, test: Scenes, design: Design, every: int = 1
) -> Iterator[Epoch]:
    """Train a detector in place; yield what was measured, the precision every so many epochs."""
    source = arrays.generator(2000 + design.seed)
    each = len(given.pictures) // design.batch
    optimizer = torch.optim.AdamW(net.parameters(), lr=design.rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, design.rate, total_steps=max(1, design.epochs * each), cycle_momentum=False
    )
    targets = _targets(given)
    yield Epoch(0, None, *_judged(net, test))
    for epoch in range(1, design.epochs + 1):
        net.train()
        order = torch.randperm(len(given.pictures), generator=source)
        losses = []
        for batch in order[: each * design.batch].reshape(each, -1):
            optimizer.zero_grad()
            loss = _loss(net(given.pictures[batch]), *(one[batch] for one in targets))
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            losses.append(loss.detach())
        mean = torch.stack(losses).mean().item()
        judged = epoch % every == 0 or epoch == design.epochs
        yield Epoch(epoch, mean, *(_judged(net, test) if judged else (None, None)))


@torch.no_grad()
def detect(net: torch.nn.Module, pictures: Float[Tensor, "n 1 48 48"]) -> Found:
    """Return a box, a class and a score for each cell; the score of a repeated box is 0."""
    net.eval()
    found = torch.cat([net(part) for part in torch.split(pictures, 100)])
    middle = (found[..., 1:3].sigmoid() + _cells()) * CELL
    half = found[..., 3:5].clamp(-4, 4).exp() * (CELL / 2)
    share, labels = found[..., 5:].softmax(-1).max(-1)
    scores, order = (found[..., 0].sigmoid() * share).sort(dim=-1, descending=True, stable=True)
    boxes = torch.cat((middle - half, middle + half), -1)
    boxes = boxes.gather(1, order[..., None].expand(-1, -1, 4))
    return suppress(Found(boxes, labels.gather(1, order), scores))


def suppress(found: Found) -> Found:
    """Set the score of each box to 0 that overlaps one of a higher score by more than half."""
    near = overlap(found.boxes[:, :, None], found.boxes[:, None]) > HALF
    kept = torch.ones_like(found.labels, dtype=torch.bool)
    for place in range(found.labels.shape[1]):
        later = near[:, place] & kept[:, place, None]
        later[:, : place + 1] = False
        kept &= ~later
    scores, order = (found.scores * kept).sort(dim=-1, descending=True, stable=True)
    boxes = found.boxes.gather(1, order[..., None].expand(-1, -1, 4))
    return Found(boxes, found.labels.gather(1, order), scores)


def match(found: Found, given: Scenes, classes: bool = True) -> Bool[Tensor, "n k"]:
    """Return which boxes are right: they overlap a digit by half that no better one has taken.

    Args:
        found: boxes in falling order of the scores.
        given: the digits.
        classes: whether the class must be right, too.
    """
    share = overlap(found.boxes[:, :, None], given.boxes[:, None])
    fits = given.taken[:, None]
    if classes:
        fits = fits & (found.labels[:, :, None] == given.labels[:, None])
    share = share.where(fits, torch.zeros(()))
    free = given.taken.clone()
    right = torch.zeros_like(found.labels, dtype=torch.bool)
    rows = torch.arange(len(free))
    for place in range(found.labels.shape[1]):
        best, which = share[:, place].max(-1)
        right[:, place] = (best >= HALF) & free[rows, which]
        free[rows, which] &= ~right[:, place]
    return right


def precision(right: Bool[Tensor, " k"], scores: Float[Tensor, " k"], digits: int) -> float:
    r"""Return the average precision of boxes.

    .. math:: \sum_n (R_n - R_{n-1}) P_n

    over thresholds of the score, with recall R among all digits and precision P.

    Args:
        right: whether each box is right.
        scores: of the boxes; those of 0 are left out.
        digits: the number of digits, >= 1.
    """
    right, scores = right[scores > 0], scores[scores > 0]
    if not len(scores):
        return 0.0
    scores, order = scores.sort(dim=-1, descending=True, stable=True)
    hits = right[order].double().cumsum(0)
    precise = hits / torch.arange(1, len(hits) + 1)
    # Boxes of one score pass the threshold together.
    last = torch.cat((scores[1:] != scores[:-1], torch.ones(1, dtype=torch.bool)))
    recall = hits[last] / digits
    return (recall.diff(prepend=torch.zeros(1).double()) * precise[last]).sum().item()


def _judged(net: torch.nn.Module, test: Scenes) -> tuple[float, float]:
    """Return the mean of the average precisions of all classes, and that without classes."""
    found = detect(net, test.pictures)
    right = match(found, test)
    each = []
    for label in range(CLASSES):
        digits = int((test.taken & (test.labels == label)).sum())
        mine = found.labels == label
        if digits:
            each.append(precision(right[mine], found.scores[mine], digits))
    right = match(found, test, classes=False)
    places = precision(right.flatten(), found.scores.flatten(), int(test.taken.sum()))
    return sum(each) / len(each), places


def _targets(given: Scenes) -> tuple[Tensor, Tensor, Tensor]:
    """Return for each cell whether a digit's middle lies in it, its box, and its class."""
    count = len(given.pictures)
    there = torch.zeros(count, GRID * GRID)
    boxes = torch.zeros(count, GRID * GRID, 4)
    labels = torch.zeros(count, GRID * GRID, dtype=torch.int64)
    middle = (given.boxes[..., :2] + given.boxes[..., 2:]) / (2 * CELL)
    cells = middle.long()
    size = ((given.boxes[..., 2:] - given.boxes[..., :2]) / CELL).clamp_min(1e-9).log()
    rows, places = given.taken.nonzero(as_tuple=True)
    at = cells[rows, places, 1] * GRID + cells[rows, places, 0]
    there[rows, at] = 1
    boxes[rows, at] = torch.cat((middle - cells, size), -1)[rows, places]
    labels[rows, at] = given.labels[rows, places]
    return there, boxes, labels


def _loss(found: Tensor, there: Tensor, boxes: Tensor, labels: Tensor) -> Tensor:
    """Return the loss of whether a digit is there, and of box and class where one is."""
    sure = plain.binary_cross_entropy_with_logits(found[..., 0], there)
    taken = there > 0
    mine, wanted = found[taken], boxes[taken]
    place = plain.binary_cross_entropy_with_logits(mine[:, 1:3], wanted[:, :2])
    size = plain.smooth_l1_loss(mine[:, 3:5], wanted[:, 2:])
    return 5 * sure + place + 2 * size + plain.cross_entropy(mine[:, 5:], labels[taken])


def _cells() -> Tensor:
    """Return column and row of each cell."""
    rows, columns = torch.meshgrid(torch.arange(GRID), torch.arange(GRID), indexing="ij")
    return torch.stack((columns, rows), -1).reshape(-1, 2)


def _drawn(count: int, source: torch.Generator) -> tuple[int, int, int, int]:
    """Draw the size of a digit, its left and top, and which it is."""
    size = int(torch.randint(SIZES.start, SIZES.stop, (), generator=source))
    left, top = torch.randint(CANVAS - size + 1, (2,), generator=source).tolist()
    return size, left, top, int(torch.randint(count, (), generator=source))


def _blocks(count: int, width: int) -> torch.nn.Sequential:
    return torch.nn.Sequential(*(_digits.Block(width, True, True) for _ in range(count)))


def _down(width: int, out: int) -> torch.nn.Sequential:
    """Return a convolution that halves the sides, normalised, and a rectifier."""
    options = {"stride": 2, "padding": 1, "bias": False}
    halved = torch.nn.utils.skip_init(torch.nn.Conv2d, width, out, 3, **options)  # type: ignore[no-untyped-call]
    return torch.nn.Sequential(halved, torch.nn.BatchNorm2d(out), torch.nn.ReLU())
