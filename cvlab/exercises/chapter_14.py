"""Exercises of chapter 14-segmentation.

Conventions
-----------
Labels and masks are (height, width), batches of masks (n, height, width), boxes xyxy.
A label map numbers its instances from 1; 0 is the background.
References are written in another way than the solutions in the exercise notebook.
A mistake is a function of the same arguments: what it returns is what the slip returns.
"""

from __future__ import annotations

import numpy as np

from cvlab.check import Exercise


def _rng(seed):
    return np.random.default_rng(seed)


# 14.1 the confusion matrix


def _confusion(truth, guess, classes, ignore):
    table = [[np.sum((truth == t) & (guess == p)) for p in range(classes)] for t in range(classes)]
    return np.array(table)


def _labels(seed, classes, shape, ignored):
    rng = _rng(seed)
    truth = rng.integers(0, classes, shape)
    truth[rng.random(shape) < ignored] = 255
    return truth, rng.integers(0, classes, shape), classes, 255


def _ignored_as_background(truth, guess, classes, ignore):
    return _confusion(np.where(truth == ignore, 0, truth), guess, classes, ignore)


_CONFUSION = Exercise(
    reference=_confusion,
    cases=[
        (np.array([[0, 1, 1], [2, 2, 0]]), np.array([[0, 1, 2], [2, 0, 0]]), 3, 255),
        _labels(1, 3, (6, 6), 0.2),
        _labels(2, 2, (4, 9), 0.3),
    ],
    hidden_cases=[_labels(3, 5, (8, 8), 0.1), _labels(4, 4, (3, 5), 0)],
    mistakes=[
        (
            lambda t, g, c, i: _confusion(t, g, c, i).T,
            "Rows are the true classes and columns the predicted ones: yours is transposed.",
        ),
        (
            _ignored_as_background,
            "Ignored pixels are no background: take them out of the count.",
        ),
        (
            lambda t, g, c, i: np.diag(np.diag(_confusion(t, g, c, i))),
            "Only the right pixels are counted: the wrong ones belong off the diagonal.",
        ),
        (
            lambda t, g, c, i: _confusion(t, g, c, i) / max(1, _confusion(t, g, c, i).sum()),
            "Count pixels, not shares of them: tables of several images must add up.",
        ),
    ],
)


# 14.2 the mean IoU


def _mean_iou(confusion):
    values = []
    for k in range(len(confusion)):
        union = confusion[k, :].sum() + confusion[:, k].sum() - confusion[k, k]
        if union:
            values.append(confusion[k, k] / union)
    return float(np.mean(values))


def _ious(confusion, twice=0):
    hits = np.diag(confusion)
    sizes = confusion.sum(0) + confusion.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (1 + twice) * hits / (sizes - (1 - twice) * hits)


def _with_absent_class(seed, classes):
    table = _rng(seed).integers(0, 20, (classes, classes))
    table[1], table[:, 1] = 0, 0
    return (table,)


_MEAN_IOU = Exercise(
    reference=_mean_iou,
    cases=[
        (np.array([[6, 2], [1, 4]]),),
        (np.array([[6, 2, 0], [0, 4, 0], [0, 0, 0]]),),
        _with_absent_class(5, 4),
    ],
    hidden_cases=[_with_absent_class(6, 6), (_rng(7).integers(1, 50, (5, 5)),)],
    mistakes=[
        (
            lambda c: np.nan_to_num(_ious(c)).mean(),
            "A class that occurs nowhere has no IoU: leave it out of the mean, do not count it as 0.",  # noqa: E501
        ),
        (
            lambda c: np.nan_to_num(_ious(c), nan=1.0).mean(),
            "A class that occurs nowhere has no IoU: leave it out, do not count it as 1.",
        ),
        (
            lambda c: np.nanmean(_ious(c, 1)),
            "This is the mean Dice: the IoU counts the hits once above, and once in the union.",
        ),
        (
            lambda c: np.nanmean(np.diag(c) / (c.sum(0) + c.sum(1))),
            "Row plus column count the hits twice: take them off once.",
        ),
        (
            lambda c: np.mean([c[k, k] / c[k].sum() for k in range(len(c)) if c[k].sum()]),
            "This divides by the true pixels only, the recall: false alarms must count too.",
        ),
        (lambda c: np.trace(c) / c.sum(), "This is the pixel accuracy."),
    ],
)


# 14.3 the trimap


def _edge(labels, sides=((0, 1), (0, -1), (1, 0), (-1, 0))):
    padded = np.pad(labels, 1, mode="edge")
    height, width = labels.shape
    neighbours = [padded[1 + r : 1 + r + height, 1 + c : 1 + c + width] for r, c in sides]
    return np.any([neighbour != labels for neighbour in neighbours], axis=0)


def _trimap(instances):
    return np.where(instances == 0, 0, 1 + _edge(instances))


def _as_one_object(instances):
    return np.where(instances == 0, 0, 1 + _edge((instances > 0).astype(int)))


def _outer_edge(instances):
    return np.where(_edge(instances), 2, instances > 0)


def _frame_as_edge(instances):
    return _trimap(np.pad(instances, 1))[1:-1, 1:-1]


def _with_corners(instances):
    sides = [(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1) if r or c]
    return np.where(instances == 0, 0, 1 + _edge(instances, sides))


def _blocks(seed, size):
    rng = _rng(seed)
    instances = np.zeros((size, size), int)
    for number in range(1, 5):
        row, column = rng.integers(0, size - 3, 2)
        instances[row : row + 4, column : column + 4] = number
    return (instances,)


_TOUCHING = np.zeros((6, 8), int)
_TOUCHING[1:5, 1:4], _TOUCHING[1:6, 4:8] = 1, 2

_TRIMAP = Exercise(
    reference=_trimap,
    cases=[(_TOUCHING,), _blocks(8, 9), _blocks(9, 10)],
    hidden_cases=[_blocks(10, 12), _blocks(11, 8)],
    mistakes=[
        (
            _as_one_object,
            "Objects that touch have a boundary between them: compare instance numbers.",
        ),
        (_outer_edge, "The boundary belongs to objects: pixels of the background stay 0."),
        (
            _frame_as_edge,
            "Where the image ends is no boundary: nothing else is known to be there.",
        ),
        (
            _with_corners,
            "Only neighbours along an edge count: above, below, left and right.",
        ),
    ],
)


# 14.4 the soft Dice loss


def _dice_loss(truth, probabilities, smooth):
    losses = []
    for g, p in zip(truth, probabilities, strict=True):
        losses.append(1 - (2 * np.vdot(g, p) + smooth) / (g.sum() + p.sum() + smooth))
    return float(np.mean(losses))


def _sums(masks):
    return masks.sum(axis=(1, 2))


def _dice_batch(seed, shape, fill, smooth):
    rng = _rng(seed)
    truth = (rng.random(shape) < np.reshape(fill, (-1, 1, 1))).astype(float)
    return truth, rng.random(shape), smooth


_DICE = Exercise(
    reference=_dice_loss,
    cases=[
        _dice_batch(12, (2, 4, 4), [0.1, 0.8], 1.0),
        _dice_batch(13, (3, 5, 4), [0.0, 0.3, 0.9], 0.5),
    ],
    hidden_cases=[
        _dice_batch(14, (4, 6, 6), [0.05, 0.1, 0.5, 1], 2.0),
        _dice_batch(15, (1, 3, 3), [0.4], 1.0),
    ],
    mistakes=[
        (
            lambda g, p, s: 1 - (2 * (g * p).sum() + s) / (g.sum() + p.sum() + s),
            "The sums run over one image; then comes the mean. Over the whole batch, large "
            "objects drown small ones.",
        ),
        (
            lambda g, p, s: 1 - _dice_loss(g, p, s),
            "This is the coefficient: the loss is 1 minus it.",
        ),
        (
            lambda g, p, s: _dice_loss(g, p, 1e-12),
            "The smoothing is missing: it goes above and below.",
        ),
        (
            lambda g, p, s: 1 - np.mean(2 * _sums(g * p) / (_sums(g + p) + s)),
            "The smoothing belongs above as well: nothing to find, nothing found is a Dice of 1.",
        ),
        (
            lambda g, p, s: 1 - np.mean((_sums(g * p) + s) / (_sums(g + p - g * p) + s)),
            "This is the soft IoU: Dice has twice the overlap above and the sum of sizes below.",
        ),
    ],
)


# 14.5 its gradient


def _dice_gradient(truth, probabilities, smooth):
    """Central differences: Dice is a quotient of two linear functions, so these are precise."""
    step, slope = 1e-5, np.zeros(truth.shape)
    for index in np.ndindex(truth.shape):
        low, high = probabilities.copy(), probabilities.copy()
        low[index], high[index] = low[index] - step, high[index] + step
        values = [_dice_loss(truth[None], p[None], smooth) for p in (low, high)]
        slope[index] = (values[1] - values[0]) / (2 * step)
    return slope


def _parts(g, p, s):
    return 2 * (g * p).sum() + s, g.sum() + p.sum() + s


def _one_image(seed, shape, fill, smooth):
    truth, probabilities, smooth = _dice_batch(seed, (1, *shape), [fill], smooth)
    return truth[0], probabilities[0], smooth


_GRADIENT = Exercise(
    reference=_dice_gradient,
    cases=[_one_image(16, (4, 4), 0.3, 1.0), _one_image(17, (3, 5), 0.7, 0.5)],
    hidden_cases=[_one_image(18, (5, 5), 0.1, 1.0), _one_image(19, (4, 6), 0.0, 2.0)],
    mistakes=[
        (
            lambda g, p, s: -_dice_gradient(g, p, s),
            "The sign is that of Dice: the loss is 1 - Dice, so its gradient has the other sign.",
        ),
        (
            lambda g, p, s: -2 * g / _parts(g, p, s)[1],
            "The denominator depends on p as well: use the rule for quotients.",
        ),
        (
            lambda g, p, s: _parts(g, p, s)[0] / _parts(g, p, s)[1] ** 2 + 0 * g,
            "The numerator depends on p as well, at the pixels of the object.",
        ),
        (
            lambda g, p, s: _dice_gradient(g, p, 1e-9),
            "The smoothing is missing in numerator and denominator.",
        ),
        (
            lambda g, p, s: _dice_gradient(g, p, s) / g.size,
            "This is divided by the pixels: Dice is a quotient of sums, not a mean.",
        ),
    ],
    tolerance=1e-4,
)


# 14.6 run lengths


def _run_lengths(mask, order="F"):
    counts, inside = [0], 0
    for pixel in np.asarray(mask).ravel(order=order):
        if pixel != inside:
            counts.append(0)
            inside = pixel
        counts[-1] += 1
    return counts


def _random_mask(seed, shape, fill):
    return ((_rng(seed).random(shape) < fill).astype(int),)


_RUNS = Exercise(
    reference=_run_lengths,
    cases=[
        (np.array([[0, 1, 1], [0, 1, 0]]),),
        (np.array([[1, 1, 0], [1, 0, 0]]),),
        _random_mask(20, (4, 5), 0.4),
    ],
    hidden_cases=[_random_mask(21, (6, 3), 0.7), (np.zeros((3, 4), int),), (np.ones((2, 3), int),)],
    mistakes=[
        (
            lambda m: _run_lengths(m, "C"),
            "COCO reads columns: go down the first column, then down the second.",
        ),
        (
            lambda m: [n for n in _run_lengths(m) if n],
            "The first count is the run outside the mask: 0 if the mask begins at once.",
        ),
        (
            lambda m: [n for n in _run_lengths(m, "C") if n],
            "COCO reads columns; and the first run is outside, of length 0 if need be.",
        ),
        (
            lambda m: np.cumsum(_run_lengths(m)),
            "These are the places where runs end: counts are the lengths between them.",
        ),
        (
            lambda m: _run_lengths(m)[1::2],
            "Runs outside the mask count, too.",
        ),
    ],
)


# 14.7 RoI align


def _middles(box, bins):
    x0, y0, x1, y1 = box
    steps = (np.arange(bins) + 0.5) / bins
    return y0 + steps * (y1 - y0), x0 + steps * (x1 - x0)


def _roi_align(grid, box, bins, shift=0.5, nearest=False):
    def weights(places, length):
        distance = np.abs(places[:, None] - shift - np.arange(length))
        if nearest:
            return (distance == distance.min(axis=1, keepdims=True)).astype(float)
        return np.maximum(0, 1 - distance)

    y, x = _middles(box, bins)
    return weights(y, grid.shape[0]) @ grid @ weights(x, grid.shape[1]).T


def _rounded(grid, box, bins):
    return _roi_align(grid, np.floor(np.asarray(box) + 0.5), bins)


def _swapped(grid, box, bins):
    x0, y0, x1, y1 = box
    return _roi_align(grid, (y0, x0, y1, x1), bins)


_PEAK = np.array([[0, 0, 0, 0], [0, 8, 4, 0], [0, 4, 8, 0], [0, 0, 0, 4.0]])

_ROI = Exercise(
    reference=_roi_align,
    cases=[
        (_PEAK, (0.5, 0.9, 3.5, 3.3), 2),
        (_rng(22).normal(size=(6, 7)), (1.2, 0.7, 6.1, 4.3), 3),
        (_rng(23).normal(size=(8, 5)), (1.0, 2.3, 3.9, 7.2), 2),
    ],
    hidden_cases=[
        (_rng(24).normal(size=(9, 9)), (0.8, 3.1, 7.7, 6.4), 4),
        (_rng(25).normal(size=(5, 8)), (2.25, 1.5, 2.75, 3.5), 1),
    ],
    mistakes=[
        (
            lambda f, b, n: _roi_align(f, b, n, shift=0.0),
            "Half a unit is missing: the centre of unit 0 lies at 0.5, so index = place - 0.5.",
        ),
        (
            lambda f, b, n: _roi_align(f, b, n, nearest=True),
            "This takes the nearest unit: interpolate between four of them.",
        ),
        (_rounded, "The box has been rounded, as in RoI pooling: keep its edges as they are."),
        (_swapped, "x runs along columns and y along rows: a box is (x0, y0, x1, y1)."),
        (
            lambda f, b, n: _roi_align(f, b, n).T,
            "The result is transposed: bins down come first, then bins across.",
        ),
    ],
)


# 14.8 panoptic quality


def _quality(iou):
    pairs = [float(v) for v in np.ravel(iou) if v > 0.5]
    segments = sum(np.shape(iou)) / 2  # TP + FP / 2 + FN / 2: every segment counts half
    fit = np.mean(pairs) if pairs else 0.0
    return np.array([sum(pairs) / segments, fit, len(pairs) / segments])


def _with(change):
    """Return the quality with its pairs, or the number of segments, computed by a slip."""

    def mistake(iou):
        pairs, segments = change(np.asarray(iou, float))
        fit = pairs.mean() if pairs.size else 0.0
        return np.array([pairs.sum() / segments, fit, pairs.size / segments])

    return mistake


def _unions(iou):
    pairs = iou[iou > 0.5]
    return pairs, sum(iou.shape) - pairs.size


_CLEAR = np.array([[0.9, 0, 0], [0, 0.6, 0.1], [0, 0.3, 0.5], [0, 0, 0.2]])

_PANOPTIC = Exercise(
    reference=_quality,
    cases=[
        (_CLEAR,),
        (np.array([[0.7, 0.0], [0.2, 0.8]]),),
        (np.array([[0.4, 0.0, 0.45], [0.0, 0.75, 0.0]]),),
    ],
    hidden_cases=[
        (np.array([[0.3], [0.2], [0.4]]),),
        (np.diag([0.55, 0.95, 0.5, 0.85]),),
        (np.array([[0.0, 0.51, 0.0, 0.1, 0.0]]),),
    ],
    mistakes=[
        (
            _with(lambda t: (t[t >= 0.5], sum(t.shape) / 2)),
            "A pair needs an IoU above one half: at exactly 0.5 two segments could claim it.",
        ),
        (
            _with(_unions),
            "False positives and false negatives count half each.",
        ),
        (
            _with(lambda t: (t[t > 0.5], t.shape[0])),
            "This divides by the true segments: predicted ones without a partner cost, too.",
        ),
        (
            _with(lambda t: (t.max(axis=1)[t.max(axis=1) > 0], sum(t.shape) / 2)),
            "Overlap is not enough: a pair needs an IoU above one half.",
        ),
        (
            lambda t: _quality(t)[[1, 2, 0]],
            "The order is PQ, SQ, RQ.",
        ),
        (
            lambda t: _quality(t)[[0, 2, 1]],
            "SQ is the mean IoU of the pairs, RQ the share of segments found: they are swapped.",
        ),
    ],
)


# 14.9 the maps of a U-Net


def _unet_maps(side, filters, joined=lambda up, skip: up + skip, halved=True, joins=True):
    down = []
    for width in filters:
        down.append((side, width))
        side = side // 2 if halved else side
    up = []
    for here, width in down[-2::-1]:
        up += [(here, joined(width, width))] * joins + [(here, width)]
    return np.array(down + up)


_UNET = Exercise(
    reference=_unet_maps,
    cases=[(32, (8, 16, 32)), (64, (4, 6)), (48, (10, 20, 30, 40))],
    hidden_cases=[(128, (16, 32, 64, 128)), (16, (3, 5, 7))],
    mistakes=[
        (
            lambda side, filters: _unet_maps(side, filters, joined=lambda up, skip: up),
            "A skip is concatenated, not added: the channels of both maps are there.",
        ),
        (
            lambda side, filters: _unet_maps(side, filters, joins=False),
            "Two shapes for each level on the way up: the concatenation is missing.",
        ),
        (
            lambda side, filters: _unet_maps(side, filters, halved=False),
            "Between levels height and width are halved.",
        ),
        (
            lambda side, filters: _unet_maps(side, filters, joined=lambda up, skip: 3 * skip),
            "The transposed convolution already gives the map the filters of the level above.",
        ),
        (
            lambda side, filters: _unet_maps(side, filters)[: 2 * len(filters) - 1],
            "The way up is not complete: two shapes for every level but the middle.",
        ),
    ],
)


# 14.10 accuracy in the band along an outline


def _band(truth, corners=False, border=False, sides=(0, 1)):
    """Ask every pixel for its neighbours."""
    band = np.zeros(truth.shape, bool)
    for i, j in np.ndindex(truth.shape):
        for u, v in np.ndindex(3, 3):
            p, q = i + u - 1, j + v - 1
            near = corners or u == 1 or v == 1
            inside = 0 <= p < len(truth) and 0 <= q < truth.shape[1]
            other = truth[p, q] != truth[i, j] if inside else border
            band[i, j] |= near and other and truth[i, j] in sides
    return band


def _band_accuracy(truth, prediction, swap=False, band_of="truth", **options):
    band = _band(truth if band_of == "truth" else prediction, **options)
    right = (truth == prediction).astype(float)
    scores = [(right * part).sum() / part.sum() for part in (band, ~band)]
    return np.array(scores[::-1] if swap else scores)


def _outline(height, width, box, flips, seed):
    truth = np.zeros((height, width), int)
    truth[box[0] : box[1], box[2] : box[3]] = 1
    noise = np.random.default_rng(seed).random(truth.shape) < flips
    return truth, np.where(noise, 1 - truth, truth)


_BAND = Exercise(
    reference=_band_accuracy,
    cases=[
        _outline(8, 9, (2, 6, 3, 8), 0.3, 1),
        _outline(10, 8, (0, 5, 2, 7), 0.2, 2),
        _outline(9, 9, (3, 9, 0, 6), 0.4, 3),
    ],
    hidden_cases=[_outline(12, 11, (1, 9, 2, 8), 0.25, 4), _outline(8, 12, (0, 6, 4, 12), 0.3, 5)],
    mistakes=[
        (
            lambda t, p: _band_accuracy(t, p, swap=True),
            "First the band, then elsewhere.",
        ),
        (
            lambda t, p: _band_accuracy(t, p, corners=True),
            "Neighbours along an edge only: above, below, left and right.",
        ),
        (
            lambda t, p: _band_accuracy(t, p, border=True),
            "Where the image ends is no outline: only neighbours inside the image count.",
        ),
        (
            lambda t, p: _band_accuracy(t, p, sides=(1,)),
            "The band lies on both sides of the outline: background pixels belong to it too.",
        ),
        (
            lambda t, p: _band_accuracy(t, p, band_of="prediction"),
            "The outline is that of the truth: a prediction cannot choose where it is judged.",
        ),
    ],
)


# 14.11 the checkerboard of a constant


def _phases(kernel, stride, weight=lambda k: k, first=0):
    """Paint a long row, and read one period in the middle."""
    kernel = weight(np.asarray(kernel))
    count = 4 * len(kernel)
    row = np.zeros(count * stride + len(kernel))
    for i in range(count):
        row[i * stride : i * stride + len(kernel)] += kernel
    start = count // 2 * stride + first
    return row[start : start + stride], np.full(stride, kernel.sum())


_PHASES = Exercise(
    reference=_phases,
    cases=[
        (np.array([1.0, 2.0, 4.0]), 2),
        (np.array([1.0, -1.0, 3.0, 2.0]), 2),
        (np.array([2.0, 1.0, 0.0, 5.0, 1.0]), 3),
    ],
    hidden_cases=[(np.array([3.0, 1.0, 4.0, 1.0, 5.0]), 2), (np.array([1.0, 2.0, 0.0, 7.0]), 3)],
    mistakes=[
        (
            lambda k, s: _phases(k, s, np.ones_like),
            "That is how often each place is covered: the weights that meet there must be added.",
        ),
        (
            lambda k, s: _phases(k, s)[::-1],
            "The two results are swapped: first the transposed convolution.",
        ),
        (
            lambda k, s: _phases(k, s, lambda kernel: kernel[::-1]),
            "The kernel came out reversed: painting writes it as it stands.",
        ),
        (
            lambda k, s: (_phases(k, s)[0], _phases(k, s)[0]),
            "After repeating, every place meets the whole kernel: the second result is constant.",
        ),
        (
            lambda k, s: (np.full(s, np.sum(k)), np.full(s, np.sum(k))),
            "A kernel begins only every `stride` places, so a place meets some weights, not all.",
        ),
    ],
)


EXERCISES = {
    "14.1": _CONFUSION,
    "14.2": _MEAN_IOU,
    "14.3": _TRIMAP,
    "14.4": _DICE,
    "14.5": _GRADIENT,
    "14.6": _RUNS,
    "14.7": _ROI,
    "14.8": _PANOPTIC,
    "14.9": _UNET,
    "14.10": _BAND,
    "14.11": _PHASES,
}
