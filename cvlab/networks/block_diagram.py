"""A block of a network as boxes and arrows, from left to right: what is called on what.

Box      one layer with the normalizations and activations that nothing else reads: those after it,
         or before it where they come first; 3×3/2 is a window with its stride
Column   how many boxes the longest way from an input goes through
Row      branches lie below each other; a shortcut keeps a row of its own up to where it joins
Shape    of the box's output, (height, width, channels) without the batch, "?" where it is open
Derived in chapter 08-architectures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import keras
from keras import layers

from cvlab.networks.graph import Node, walk

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FOLLOWERS = (
    layers.BatchNormalization,
    layers.LayerNormalization,
    layers.Activation,
    layers.ReLU,
    layers.Dropout,
)
_SIGNS = {"Add": "+", "Multiply": "×", "Concatenate": "concatenate", "InputLayer": "input"}
_WINDOWED = {
    "Conv2D": "conv",
    "DepthwiseConv2D": "depthwise",
    "SeparableConv2D": "separable",
    "Conv2DTranspose": "transposed",
    "MaxPooling2D": "max pool",
    "AveragePooling2D": "mean pool",
}
HALF_WIDTH, HALF_HEIGHT = 0.41, 0.38  # of a box; columns and rows are 1 apart


class Box(NamedTuple):
    """A layer with the normalizations and activations that belong to it.

    Attributes
    ----------
    name : str
        Of the layer.
    lines : tuple of str
        What comes before the layer, what it does, what follows it.
    shape : tuple
        Of the output, without the batch; None where it is open.
    sources : tuple of str
        Names of the boxes that it reads.
    column : int
    row : float
        Where it is drawn.
    lane : tuple of float
        The rows in which its output passes the next columns, on its way to later ones.
    """

    name: str
    lines: tuple[str, ...]
    shape: tuple[int | None, ...]
    sources: tuple[str, ...]
    column: int
    row: float
    lane: tuple[float, ...]


def block_boxes(model: keras.Model) -> tuple[Box, ...]:
    """Return the boxes of a model, sources first, with their places.

    Parameters
    ----------
    model : keras.Model
        Functional or Sequential; models inside it are opened. It is only read.

    Returns
    -------
    tuple of Box

    Raises
    ------
    ValueError
        If the model has no graph of layers.

    Examples
    --------
    >>> x = keras.Input((8, 8, 4), name="x")
    >>> y = layers.ReLU()(layers.Conv2D(4, 3, padding="same", name="c")(x))
    >>> for box in block_boxes(keras.Model(x, layers.Add(name="sum")([x, y]))):
    ...     print(box.name, box.lines, box.sources, (box.column, box.row))
    x ('input',) () (0, 0.0)
    c ('conv 3×3', 'ReLU') ('x',) (1, 1.0)
    sum ('+',) ('x', 'c') (2, 0.0)
    """
    nodes = walk(model)
    groups = _grouped(nodes)
    holder = {node.name: members[0].name for members in groups for node in members}
    sources = {
        members[0].name: tuple(dict.fromkeys(holder[source] for source in members[0].sources))
        for members in groups
    }
    columns: dict[str, int] = {}
    for name, read in sources.items():
        columns[name] = 1 + max((columns[source] for source in read), default=-1)
    rows, lanes = _places(sources, columns)
    boxes = []
    for members in groups:
        name, shape = members[0].name, members[-1].shape[1:]
        place = columns[name], rows[name], tuple(lanes[name])
        boxes.append(Box(name, tuple(_described(members)), shape, sources[name], *place))
    return tuple(boxes)


def plot_blocks(models: Mapping[str, keras.Model]) -> Figure:
    r"""Draw blocks below each other, each from left to right.

    In a box stand what the layer does and the shape of what it returns. A line without a box on it
    is a shortcut.

    Parameters
    ----------
    models : mapping of str to keras.Model
        By title. For blocks of a few layers: a whole network gets too small to read.

    Returns
    -------
    matplotlib.figure.Figure
        7 inches wide.

    Raises
    ------
    ValueError
        If there is no model, or one has no graph of layers.

    Examples
    --------
    >>> x = keras.Input((8, 8, 4))
    >>> figure = plot_blocks({"one": keras.Model(x, layers.Conv2D(6, 3)(x))})
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['input\n8×8×4', 'conv 3×3\n6×6×6']
    """
    if not models:
        raise ValueError("models must hold at least one model, got none")
    drawings = {title: block_boxes(model) for title, model in models.items()}
    columns = max(5, *(box.column + 1 for boxes in drawings.values() for box in boxes))
    heights = [1 + max(box.row for box in boxes) for boxes in drawings.values()]

    said = [_said(box) for boxes in drawings.values() for box in boxes]
    longest = max(len(line) for lines in said for line in lines)
    points = min(9, 590 / (columns * longest), 30 / max(map(len, said)))  # to stay in the boxes

    from matplotlib.figure import Figure

    from cvlab.plot.output import WIDTH, book_style

    with book_style():
        figure = Figure(
            figsize=(WIDTH, sum(0.4 + 0.68 * height for height in heights)), layout="constrained"
        )
        grid = figure.add_gridspec(len(drawings), 1, height_ratios=[h + 0.4 for h in heights])
        for k, (title, boxes) in enumerate(drawings.items()):
            axes = figure.add_subplot(grid[k])
            _draw(axes, boxes, points)
            axes.set(xlim=(-0.5, columns - 0.5), ylim=(heights[k] - 0.5, -0.5))
            axes.set_title(title, loc="left")
            axes.axis("off")
    return figure


def _draw(axes, boxes: tuple[Box, ...], points: float) -> None:
    """Draw the boxes of one block with letters of so many points, and the arrows between them."""
    from matplotlib.patches import FancyArrowPatch, Rectangle

    at = {box.name: box for box in boxes}
    arrow = {"arrowstyle": "-|>", "mutation_scale": 9, "color": "0.3", "shrinkA": 0, "shrinkB": 0}
    for box in boxes:
        for source in map(at.get, box.sources):
            passed = range(source.column + 1, box.column)
            corners = [(source.column + HALF_WIDTH, source.row)]
            for column, row in zip(passed, source.lane, strict=False):  # others may read it later
                corners += [(column - HALF_WIDTH, row), (column + HALF_WIDTH, row)]
            line = {"color": "0.3", "linewidth": 1, "solid_capstyle": "round"}
            axes.plot(*zip(*corners, strict=True), **line)
            tip = box.column - HALF_WIDTH, box.row
            axes.add_patch(FancyArrowPatch(corners[-1], tip, **arrow))
    for box in boxes:
        first = box.column - HALF_WIDTH, box.row - HALF_HEIGHT
        paint = "#dbe9f6" if box.sources else "white"
        sides = 2 * HALF_WIDTH, 2 * HALF_HEIGHT
        axes.add_patch(Rectangle(first, *sides, facecolor=paint, edgecolor="0.3"))
        text = "\n".join(_said(box))
        options = {"ha": "center", "va": "center", "color": "black", "fontsize": points}
        axes.text(box.column, box.row, text, **options)


def _said(box: Box) -> list[str]:
    """Return the lines of a box, the shape below them."""
    return [*box.lines, "×".join("?" if side is None else str(side) for side in box.shape)]


def _grouped(nodes: list[Node]) -> list[list[Node]]:
    """Put normalizations and activations to the one layer before them, or else behind them.

    They belong to the layer that they alone read; where others read it, too, to the layer that
    alone reads them, as in a dense block.
    """
    readers = Counter(source for node in nodes for source in node.sources)
    readers.update(node.name for node in nodes if node.is_output)  # by whoever uses the model
    groups: dict[str, list[Node]] = {}  # by the name of the last member
    for node in nodes:
        source = node.sources[0] if len(node.sources) == 1 else None
        before = groups.get(source, []) if readers[source] == 1 else []
        waiting = before and all(isinstance(member.layer, _FOLLOWERS) for member in before)
        follows = isinstance(node.layer, _FOLLOWERS) and before and before[0].sources
        groups[node.name] = [*groups.pop(source), node] if follows or waiting else [node]
    order = {node.name: k for k, node in enumerate(nodes)}
    return sorted(groups.values(), key=lambda members: order[members[-1].name])


def _places(sources: Mapping[str, tuple[str, ...]], columns: Mapping[str, int]):
    """Return the row of each box, and the rows of its lane, by name.

    A lane is where the output of a box passes the boxes of the next columns on its way to later
    ones.
    """
    order = list(sources)
    readers = Counter(source for read in sources.values() for source in read)
    until = {
        name: max((columns[t] for t in order if name in sources[t]), default=0) for name in order
    }
    rows: dict[str, float] = {}
    lanes: dict[str, list[float]] = {name: [] for name in order}
    for column in range(1 + max(columns.values())):
        now = {name: lanes[name][-1] if lanes[name] else row for name, row in rows.items()}
        items = [(now[name], False, name) for name in now if until[name] > column]
        for name in order:
            if columns[name] == column:
                read = sources[name]
                shortcuts = [now[s] for s in read if columns[s] < column - 1 and readers[s] > 1]
                wanted = shortcuts or [now[source] for source in read] or [0.0]
                items.append((sum(wanted) / len(wanted), True, name))
        free = 0.0
        for wanted, is_box, name in sorted(items, key=lambda item: item[:2]):
            row = max(wanted, free)
            free = row + 1
            if is_box:
                rows[name] = row
            else:
                lanes[name].append(row)
    first = [name for name in order if columns[name] == 0]
    read_by = [rows[name] for name in order if columns[name] == 1]
    if len(first) == 1 and not lanes[first[0]] and read_by:
        rows[first[0]] = (min(read_by) + max(read_by)) / 2  # before the middle of its branches
    return rows, lanes


def _described(members: list[Node]) -> list[str]:
    """Return the lines of a box: what comes before its layer, the layer, and what comes after."""
    words = [_words(node.layer) for node in members]
    main = next((k for k, n in enumerate(members) if not isinstance(n.layer, _FOLLOWERS)), 0)
    parts = [words[:main], words[main : main + 1], words[main + 1 :]]
    return [", ".join(part) for part in parts if part]


def _words(layer) -> str:
    """Return a few words for a layer: what it does, its window, its stride, its activation."""
    if isinstance(layer, layers.Activation):
        return _activation(layer)
    return ", ".join(filter(None, [_operation(layer), _activation(layer)]))


def _operation(layer) -> str:
    """Return what a layer does, without its activation."""
    kind = type(layer).__name__
    if kind in _WINDOWED:
        window = layer.kernel_size if hasattr(layer, "kernel_size") else layer.pool_size
        text = f"{_WINDOWED[kind]} {window[0]}×{window[1]}"
        if tuple(layer.strides) != (1, 1):
            text += "/" + "×".join(str(step) for step in dict.fromkeys(layer.strides))
        if tuple(getattr(layer, "dilation_rate", (1, 1))) != (1, 1):
            text += f" dilated by {layer.dilation_rate[0]}"
        groups = getattr(layer, "groups", 1)
        return text + f", {groups} groups" * (groups > 1)
    if isinstance(layer, layers.GlobalAveragePooling2D):
        return "mean"
    if isinstance(layer, layers.BatchNormalization | layers.LayerNormalization):
        return "norm"
    if isinstance(layer, layers.ReLU):
        return "ReLU" if layer.max_value is None else f"ReLU{layer.max_value:g}"
    return _SIGNS.get(kind, kind.lower())


def _activation(layer) -> str:
    """Return the name of a layer's activation, nothing for a linear one."""
    function = getattr(layer, "activation", None)
    name = getattr(function, "__name__", "")
    return {"linear": "", "relu": "ReLU", "relu6": "ReLU6"}.get(name, name)
