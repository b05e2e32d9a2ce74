"""Exercises of chapter 09-transfer-learning.

Conventions
-----------
Images are (n, height, width, 3), red first, with pixel values 0..255; boxes are x0, y0, x1, y1.
Features are (n, C), one row for each example; labels are class numbers from 0.
References are written in another way than the solutions in the exercise notebook.
A mistake is a function of the same arguments: what it returns is what the slip returns.
"""

from __future__ import annotations

import numpy as np

from cvlab.box_augmentation import flip_boxes
from cvlab.check import Exercise

_RNG = np.random.default_rng(9)
_EXACT = 1e-12

# 09.1 three ways to preprocess

_MEAN, _STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
_BGR = np.array([103.939, 116.779, 123.68])


def _preprocess(images, mode):
    x = np.asarray(images, dtype=np.float64)
    if mode == "tf":
        return (x - 127.5) / 127.5
    if mode == "torch":
        return (x - 255 * _MEAN) / (255 * _STD)
    return x[..., [2, 1, 0]] - _BGR


def _only(mode, slip):
    """Make a slip in one mode; elsewhere it cannot be made."""

    def answer(images, asked):
        if asked != mode:
            raise ValueError(asked)
        return slip(images.astype(np.float64))

    return answer


_PICTURE = _RNG.integers(0, 256, (2, 3, 4, 3)).astype(np.uint8)
_OTHER = _RNG.integers(0, 256, (1, 5, 2, 3)).astype(np.uint8)

_PREPROCESS = Exercise(
    reference=_preprocess,
    cases=[(_PICTURE, "tf"), (_PICTURE, "caffe"), (_PICTURE, "torch")],
    hidden_cases=[(_OTHER, "torch"), (_OTHER, "caffe"), (_OTHER, "tf")],
    mistakes=[
        (_only("tf", lambda x: x / 127.5), "Values must end at -1 and 1: subtract 1."),
        (_only("tf", lambda x: x / 255), "That is 0 to 1; this mode wants -1 to 1."),
        (_only("caffe", lambda x: x - _BGR), "The colours are still red, green, blue."),
        (
            _only("caffe", lambda x: (x - _BGR)[..., ::-1]),
            "The mean is for blue, green, red: turn the colours around first.",
        ),
        (
            _only("caffe", lambda x: (x[..., ::-1] - _BGR) / 255),
            "This mode does not divide: the values stay about -124 to 151.",
        ),
        (
            _only("torch", lambda x: (x - _MEAN) / _STD),
            "Mean and deviation are those of values in 0 to 1: divide by 255 first.",
        ),
        (_only("torch", lambda x: x / 255 - _MEAN), "The division by the deviation is missing."),
    ],
)

# 09.2 the first k


def _first_k(probabilities, k):
    rows = [
        sorted(range(len(row)), key=lambda i, row=row: (-row[i], i))[:k] for row in probabilities
    ]
    return np.array(rows)


_TIED = np.array([[0.1, 0.4, 0.4, 0.1], [0.25, 0.25, 0.2, 0.3]])

_FIRST_K = Exercise(
    reference=_first_k,
    tolerance=_EXACT,
    cases=[(_RNG.dirichlet(np.ones(6), 3), 3), (_TIED, 2)],
    hidden_cases=[(_RNG.dirichlet(np.ones(20), 5), 4), (_TIED[::-1], 3)],
    mistakes=[
        (
            lambda p, k: np.argsort(p, axis=1, kind="stable")[:, :k],
            "These are the smallest: sort the other way.",
        ),
        (
            lambda p, k: np.argsort(p, axis=1, kind="stable")[:, -k:],
            "The right ones, but the largest must come first.",
        ),
        (
            lambda p, k: np.argsort(p, axis=1, kind="stable")[:, ::-1][:, :k],
            "Of equal probabilities the smaller number comes first: sort the negative values.",
        ),
        (
            lambda p, k: -np.sort(-p, axis=1)[:, :k],
            "These are the probabilities: return the numbers of the classes.",
        ),
        (
            lambda p, k: np.argsort(-p, axis=0, kind="stable")[:, :k],
            "Each row is an image: sort along the classes, the last axis.",
        ),
    ],
)

# 09.3 what a stage trains


def _trained(layers, first, head):
    return head + sum(n for kind, n in layers[first:] if kind != "norm")


_STACK = [("conv", 864), ("norm", 64), ("conv", 4608), ("norm", 32), ("conv", 2304), ("norm", 96)]
_LONG = [*_STACK, ("conv", 27_648), ("norm", 192), ("conv", 110_592), ("norm", 640)]

_TRAINED = Exercise(
    reference=_trained,
    tolerance=_EXACT,
    cases=[(_STACK, 2, 11_529), (_STACK, 6, 1_285), (_STACK, 0, 6_405), (_LONG, 5, 325)],
    hidden_cases=[(_LONG, 7, 2_570), (_LONG, 4, 100), (_LONG, 1, 55)],
    mistakes=[
        (
            lambda layers, first, head: head + sum(n for _, n in layers[first:]),
            "The batch normalizations stay frozen, wherever they stand.",
        ),
        (
            lambda layers, first, head: _trained(layers, first, 0),
            "The head is always trained, too.",
        ),
        (
            lambda layers, first, head: _trained(layers[:first], 0, head),
            "These are the layers before `first`: they are the frozen ones.",
        ),
        (
            lambda layers, first, head: _trained(layers, first + 1, head),
            "Layer number `first` itself is trained.",
        ),
    ],
)

# 09.4 a split without common pixels


def _split(corners, size, width):
    columns = np.asarray(corners)[:, 1]
    middle = width // 2
    left = [i for i, column in enumerate(columns) if column + size <= middle]
    right = [i for i, column in enumerate(columns) if column >= middle]
    return np.array(left), np.array(right)


def _corners(count, size, height, width):
    corners = np.stack(
        [_RNG.integers(0, height - size + 1, count), _RNG.integers(0, width - size + 1, count)], 1
    )
    corners[:4, 1] = width // 2 - size, width // 2 - size + 1, width // 2, width // 2 - 1
    return corners


def _where(condition):
    return np.flatnonzero(condition)


_SPLIT = Exercise(
    reference=_split,
    tolerance=_EXACT,
    cases=[(_corners(12, 20, 90, 100), 20, 100), (_corners(15, 8, 300, 61), 8, 61)],
    hidden_cases=[(_corners(30, 48, 427, 640), 48, 640), (_corners(20, 5, 200, 33), 5, 33)],
    mistakes=[
        (
            lambda c, s, w: (_where(c[:, 1] < w // 2), _where(c[:, 1] >= w // 2)),
            "A patch that starts on the left may end on the right: it shares pixels with test "
            "patches. Leave it out.",
        ),
        (
            lambda c, s, w: (_where(c[:, 1] + s < w // 2), _where(c[:, 1] > w // 2)),
            "A patch may touch the middle from either side: columns `column` to `column + size - 1`"
            " are its own.",
        ),
        (
            lambda c, s, w: (_where(c[:, 0] + s <= w // 2), _where(c[:, 0] >= w // 2)),
            "A corner is (row, column), and the photograph is cut between columns.",
        ),
        (
            lambda c, s, w: _split(c, s, w)[::-1],
            "Training is on the left, test on the right: return them in this order.",
        ),
    ],
)

# 09.5 the nearest mean


def _nearest_mean(features, labels, queries, own=False):
    center, spread = features.mean(axis=0), features.std(axis=0)
    if own:
        asked = (queries - queries.mean(axis=0)) / queries.std(axis=0)
    else:
        asked = (queries - center) / spread
    known = (features - center) / spread
    classes = labels.max() + 1
    means = np.stack([known[labels == k].mean(axis=0) for k in range(classes)])
    return np.argmin(((asked[:, np.newaxis] - means) ** 2).sum(axis=-1), axis=1)


def _unscaled(features, labels, queries):
    means = np.stack([features[labels == k].mean(axis=0) for k in range(labels.max() + 1)])
    return np.argmin(((queries[:, np.newaxis] - means) ** 2).sum(axis=-1), axis=1)


def _nearest_example(features, labels, queries):
    center, spread = features.mean(axis=0), features.std(axis=0)
    gaps = (queries[:, np.newaxis] - features) / spread + 0 * center
    return labels[np.argmin((gaps**2).sum(axis=-1), axis=1)]


def _cloud(classes, count, asked):
    """Return a case: features of very different scales, and queries mostly of class 0."""
    centers, scale = _RNG.normal(size=(classes, 4)), np.array([1.0, 30.0, 0.1, 5.0])
    labels = np.arange(count) % classes
    truth = np.where(_RNG.random(asked) < 0.7, 0, _RNG.integers(classes, size=asked))
    centers[:, 1] = 0  # the loudest feature says nothing
    noise = _RNG.normal(size=(count + asked, 4))
    points = (centers[np.concatenate([labels, truth])] + noise) * scale + 3
    return points[:count], labels, points[count:]


_NEAREST_MEAN = Exercise(
    reference=_nearest_mean,
    tolerance=_EXACT,
    cases=[_cloud(3, 12, 40), _cloud(4, 20, 40)],
    hidden_cases=[_cloud(5, 30, 60), _cloud(2, 9, 40)],
    mistakes=[
        (
            lambda f, y, q: _nearest_mean(f, y, q, own=True),
            "The queries are standardised with their own mean and deviation: use those of the "
            "training features, or the answer for one image depends on the others.",
        ),
        (_unscaled, "Without standardising, the feature with the largest numbers decides alone."),
        (_nearest_example, "Compare with the mean of each class, not with single examples."),
    ],
)

# 09.6 labels move along


def _flip_example(image, boxes):
    return np.flip(image, axis=1), flip_boxes(boxes, image.shape[:2])


def _boxes(*rows):
    return np.array(rows, dtype=np.float64)


_FLIP = Exercise(
    reference=_flip_example,
    cases=[
        (_RNG.random((6, 10, 3)), _boxes([1, 0, 4, 2], [5, 3, 9, 6])),
        (_RNG.random((9, 7, 3)), _boxes([0, 1, 7, 8])),
        (_RNG.random((8, 12, 1)), _boxes([2, 2, 3, 7])),
    ],
    hidden_cases=[
        (_RNG.random((20, 31, 3)), _boxes([3, 4, 10, 15], [0, 0, 2, 20], [11.5, 1, 30, 3])),
        (_RNG.random((15, 4, 3)), _boxes([0, 5, 1, 9])),
    ],
    mistakes=[
        (
            lambda i, b: (i[:, ::-1], b),
            "The image moved and its boxes did not: they now frame something else.",
        ),
        (
            lambda i, b: (i, flip_boxes(b, i.shape[:2])),
            "The boxes moved and the image did not.",
        ),
        (
            lambda i, b: (
                i[:, ::-1],
                np.stack([i.shape[1] - b[:, 0], b[:, 1], i.shape[1] - b[:, 2], b[:, 3]], 1),
            ),
            "x0 is now larger than x1: the right edge becomes the left one, so swap them.",
        ),
        (
            lambda i, b: (i[:, ::-1], flip_boxes(b, i.shape[:2]) - [1, 0, 1, 0]),
            "Edges are continuous: x goes to width - x, not to width - 1 - x.",
        ),
        (
            lambda i, b: (i[::-1], flip_boxes(b, i.shape[:2], "vertical")),
            "This swaps top and bottom: columns are axis 1.",
        ),
        (
            lambda i, b: (i[:, ::-1], flip_boxes(b, i.shape[1::-1])),
            "x is measured along the width, `image.shape[1]`.",
        ),
    ],
)

# 09.7 how fast statistics drift


def _passes(share, momentum):
    count, old = 0, 1.0
    while 1 - old < share - 1e-12:
        count, old = count + 1, old * momentum
    return count


_PASSES = Exercise(
    reference=_passes,
    tolerance=_EXACT,
    cases=[(0.45, 0.99), (0.5, 0.5), (0.75, 0.5), (0.9, 0.9), (0.2, 0.999)],
    hidden_cases=[(0.95, 0.99), (0.3, 0.9), (0.875, 0.5)],
    mistakes=[
        (
            lambda s, m: int(np.floor(np.log(1 - s) / np.log(m) + 1e-9)),
            "One pass too few: after it less than the share is new. Round up.",
        ),
        (
            lambda s, m: int(np.ceil(np.log(s) / np.log(m) - 1e-9)),
            "After n passes the share momentum**n is *old*; the new share is 1 minus that.",
        ),
        (
            lambda s, m: int(np.ceil(s / (1 - m) - 1e-9)),
            "Each pass replaces a share of what is there, which is partly new already: not n "
            "times (1 - momentum).",
        ),
        (
            lambda s, m: int(np.ceil(np.log(1 - s) / np.log(1 - m) - 1e-9)),
            "Momentum is the share that is kept, not the share that is replaced.",
        ),
    ],
)

# 09.8 one step of a head


def _head_step(features, labels, kernel, bias, rate, decay):
    scores = features @ kernel + bias
    scores = scores - scores.max(axis=1, keepdims=True)
    wrong = np.exp(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)))
    wrong[np.arange(len(labels)), labels] -= 1
    slope = np.einsum("nc,nk->ck", features, wrong) / len(labels)
    return kernel - rate * (slope + decay * kernel), bias - rate * wrong.mean(axis=0)


def _head_case(count, width, classes, rate, decay):
    features, labels = _RNG.normal(size=(count, width)), np.arange(count) % classes
    return (
        features,
        labels,
        _RNG.normal(size=(width, classes)),
        _RNG.normal(size=classes),
        rate,
        decay,
    )


def _scaled_slope(features, labels, kernel, bias, rate, decay):
    """Forget to divide by the number of examples."""
    moved = _head_step(features, labels, kernel, bias, rate * len(labels), decay / len(labels))
    return moved


_HEAD = Exercise(
    reference=_head_step,
    cases=[_head_case(5, 3, 2, 0.1, 0.0), _head_case(9, 4, 3, 0.5, 0.1)],
    hidden_cases=[_head_case(20, 6, 5, 0.2, 0.05), _head_case(3, 2, 3, 1.0, 0.5)],
    mistakes=[
        (
            lambda f, y, w, b, r, d: _head_step(f, y, w, b, -r, d),
            "Up instead of down: step against the gradient.",
        ),
        (_scaled_slope, "The loss is the mean over the examples: divide by their number."),
        (
            lambda f, y, w, b, r, d: _head_step(f, y, w, b, r, 0.0),
            "The gradient of the penalty, decay times the kernel, is missing.",
        ),
        (
            lambda f, y, w, b, r, d: _head_step(f, y, w, b, r, 2 * d),
            "The penalty is half of decay times the sum of squares: its gradient has no 2.",
        ),
        (
            lambda f, y, w, b, r, d: (
                _head_step(f, y, w, b, r, d)[0],
                _head_step(f, y, w, b, r, d)[1] - r * d * b,
            ),
            "The penalty is on the kernel only: the bias is free.",
        ),
        (
            lambda f, y, w, b, r, d: (_head_step(f, y, w, b, r, d)[0], b),
            "The bias has a gradient, too: the mean of the differences.",
        ),
    ],
)


# 09.9 a rate that does not forget


def _choose_rate(rates, accuracy, frozen, before, after, choose=None):
    good = np.asarray(accuracy) >= frozen
    chosen = np.cumprod(good).sum() - 1 if choose is None else choose(good)
    kept = [a == b for a, b in zip(after[chosen], before, strict=True)]
    return np.array([rates[chosen], sum(kept) / len(kept)])


def _sweep(accuracy, frozen, photographs, seed):
    rng = np.random.default_rng(seed)
    rates = 10.0 ** np.arange(-5, len(accuracy) - 5)
    before = rng.integers(0, 9, photographs)
    lost = rng.random((len(accuracy), photographs)) < np.linspace(0.1, 0.9, len(accuracy))[:, None]
    return rates, np.array(accuracy), frozen, before, np.where(lost, before + 1, before)


_CHOOSE_RATE = Exercise(
    reference=_choose_rate,
    cases=[
        _sweep([0.71, 0.75, 0.74, 0.3, 0.72], 0.7, 12, 1),
        _sweep([0.8, 0.82, 0.85, 0.6], 0.78, 10, 2),
        _sweep([0.5, 0.5, 0.52, 0.53], 0.5, 8, 3),
    ],
    hidden_cases=[
        _sweep([0.9, 0.8, 0.95], 0.85, 9, 4),
        _sweep([0.6, 0.65, 0.61, 0.64], 0.61, 11, 5),
    ],
    mistakes=[
        (
            lambda *case: _choose_rate(*case, choose=lambda good: np.flatnonzero(good)[-1]),
            "Stop at the first rate that does harm: what lies beyond it did well by luck.",
        ),
        (
            lambda *case: _choose_rate(*case, choose=lambda good: np.argmax(case[1])),
            "That is the rate with the best accuracy; the largest safe one is asked for.",
        ),
        (
            lambda *case: _choose_rate(*case, choose=lambda good: min(good.sum(), len(good) - 1)),
            "One too far: that is the first rate that does harm.",
        ),
        (
            lambda *case: _choose_rate(*case) * [1, -1] + [0, 1],
            "That is the share that was forgotten: the agreement is what was kept.",
        ),
        (
            lambda *case: _choose_rate(*case, choose=lambda good: np.sum(case[1] > case[2]) - 1),
            "As good as frozen features is good enough: only a lower accuracy rules a rate out.",
        ),
    ],
)


# 09.10 licences and model cards


_FREE = ("MIT", "BSD-3-Clause", "Apache-2.0")
_NOT_FOR_SALE = ("CC-BY-NC-4.0", "research only")


def _usable(
    cards,
    commercial,
    *,
    licences=("code_licence", "weights_licence"),
    statements=("preprocessing", "training_data"),
    stated=lambda card, key: card.get(key, "") != "",
    also=(),
):
    known = {*_FREE, *also} | (set() if commercial else set(_NOT_FOR_SALE))
    good = [
        {card.get(key, "") for key in licences} <= known
        and sum(stated(card, key) for key in statements) == len(statements)
        for card in cards
    ]
    return np.flatnonzero(good)


def _card(code="MIT", weights="MIT", preprocessing="scaled to 0..1", training_data="ImageNet"):
    texts = (code, weights, preprocessing, training_data)
    keys = ("code_licence", "weights_licence", "preprocessing", "training_data")
    return {key: text for key, text in zip(keys, texts, strict=True) if text is not None}


_CARDS = [
    _card("Apache-2.0", "Apache-2.0"),
    _card(weights=None),
    _card(weights="CC-BY-NC-4.0"),
    _card(preprocessing=""),
    _card("research only", "BSD-3-Clause"),
    _card("", "MIT"),
    _card(training_data=None),
    _card("BSD-3-Clause", "MIT", "-1 to 1", "photographs of our own"),
    _card(weights="our own licence"),
]

_USABLE = Exercise(
    reference=_usable,
    tolerance=_EXACT,
    cases=[(_CARDS, True), (_CARDS, False), ([*_CARDS[::-1], _card()], True)],
    hidden_cases=[
        ([_CARDS[k] for k in (4, 2, 6, 0, 1, 3, 5, 8)], False),
        ([_CARDS[k] for k in (8, 2, 7, 1, 4, 5, 3, 6, 0)], True),
    ],
    mistakes=[
        (
            lambda cards, use: _usable(cards, use, licences=("weights_licence",)),
            "The code has a licence of its own, and you need both.",
        ),
        (
            lambda cards, use: _usable(cards, use, licences=("code_licence",)),
            "The licence of the code does not cover the weights.",
        ),
        (
            lambda cards, use: _usable(cards, use, also=("",)),
            "Where no licence is stated, nothing is allowed.",
        ),
        (
            lambda cards, use: _usable(cards, use, also=("our own licence",)),
            "A licence that is not in the list allows nothing until somebody has read it.",
        ),
        (
            lambda cards, use: _usable(cards, False),
            "Some of these licences forbid a commercial use.",
        ),
        (
            lambda cards, use: _usable(cards, True),
            "What is not commercial is allowed by more licences.",
        ),
        (
            lambda cards, use: _usable(cards, use, statements=()),
            "A licence is not enough: preprocessing and training data must be stated.",
        ),
        (
            lambda cards, use: _usable(cards, use, statements=("preprocessing",)),
            "Are the training data stated?",
        ),
        (
            lambda cards, use: _usable(cards, use, statements=("training_data",)),
            "Is the preprocessing stated?",
        ),
        (
            lambda cards, use: _usable(cards, use, stated=lambda card, key: key in card),
            "An empty text states nothing, though its key is there.",
        ),
    ],
)


EXERCISES = {
    "09.1": _PREPROCESS,
    "09.2": _FIRST_K,
    "09.3": _TRAINED,
    "09.4": _SPLIT,
    "09.5": _NEAREST_MEAN,
    "09.6": _FLIP,
    "09.7": _PASSES,
    "09.8": _HEAD,
    "09.9": _CHOOSE_RATE,
    "09.10": _USABLE,
}
