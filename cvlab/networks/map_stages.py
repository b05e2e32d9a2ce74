"""A network as a row of stages: runs of layers whose maps have the same size.

Stage    its size is that of the map a layer returns; smaller arrays inside it, such as the gates of
         squeeze-and-excitation, belong to it; a classifier on vectors is the last stage, 1 x 1
Layers   counted where they have multiply-adds: convolutions and dense layers
Counts   those of :mod:`cvlab.networks.cost_report`, for one image
Derived in chapter 08-architectures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from cvlab.networks.cost_report import CostReport, LayerReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAINTS = ("#dbe9f6", "#a6cbe8", "#5aa0d0", "#2c6fa8")  # fewer than 10, 20, 40 % of the MACs; more


class Stage(NamedTuple):
    """A run of layers with maps of one size.

    Attributes
    ----------
    size : (int, int)
        Height and width of the map; (1, 1) for vectors.
    channels : int
        Of the last map.
    layers, parameters, macs : int
        Layers with multiply-adds, all weights, and multiply-adds.
    """

    size: tuple[int, int]
    channels: int
    layers: int
    parameters: int
    macs: int


def map_stages(report: CostReport) -> tuple[Stage, ...]:
    """Group the layers of a model by the size of their maps, from input to output.

    Parameters
    ----------
    report : CostReport
        Of a model that maps an image to a vector or to a map.

    Returns
    -------
    tuple of Stage
        The first is the image, without layers. Counts add up to those of the report.

    Raises
    ------
    ValueError
        If the model's input is no image.

    References
    ----------
    K. He et al., "Deep residual learning for image recognition", 2015, table 1 lists a network by
    its stages, https://arxiv.org/abs/1512.03385.

    Examples
    --------
    >>> import keras
    >>> from cvlab.networks.cost_report import cost_report
    >>> layers = keras.layers.Conv2D(8, 3), keras.layers.MaxPooling2D(), keras.layers.Conv2D(16, 3)
    >>> for stage in map_stages(cost_report(keras.Sequential([keras.Input((12, 12, 3)), *layers]))):
    ...     print(stage.size, stage.channels, stage.layers, stage.parameters)
    (12, 12) 3 0 0
    (10, 10) 8 1 224
    (5, 5) 8 0 0
    (3, 3) 16 1 1168
    """
    image, *rows = report.layers
    if len(image.output_shape) != 3:
        raise ValueError(f"report must be of a model of images, got input {image.output_shape}")
    rows = [row for row in rows if row.kind != "ZeroPadding2D"]
    sizes = _largest_from_here_on([_size(row) for row in rows])
    stages = [Stage(_size(image), image.output_shape[-1], 0, 0, 0)]
    first = 0
    for last in range(len(rows)):
        if last + 1 == len(rows) or sizes[last + 1] != sizes[last]:
            stages.append(_stage(sizes[last], rows[first : last + 1]))
            first = last + 1
    return tuple(stages)


def plot_stages(reports: Mapping[str, CostReport]) -> Figure:
    r"""Draw networks as rows of boxes, one for each stage with layers, wider for more channels.

    In a box stand the size of the map, its channels and the number of layers; the darker it is, the
    larger its share of the network's multiply-adds.

    Parameters
    ----------
    reports : mapping of str to CostReport
        By the title of the row.

    Returns
    -------
    matplotlib.figure.Figure
        7 inches wide.

    Raises
    ------
    ValueError
        If there is no report, or one is not of a model of images.

    Examples
    --------
    >>> import keras
    >>> from cvlab.networks.cost_report import cost_report
    >>> model = keras.Sequential([keras.Input((12, 12, 3)), keras.layers.Conv2D(8, 3)])
    >>> figure = plot_stages({"one layer": cost_report(model)})
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['12×12\n×3', '10×10\n×8\n1 layer']
    """
    if not reports:
        raise ValueError("reports must hold at least one report, got none")
    rows = {title: map_stages(report) for title, report in reports.items()}

    from matplotlib.figure import Figure

    from cvlab.plot.output import WIDTH, book_style

    with book_style():
        figure = Figure(figsize=(WIDTH, 1.2 * len(rows)), layout="constrained")
        all_axes = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
        for axes, (title, stages) in zip(all_axes, rows.items(), strict=True):
            _draw_row(axes, title, [stages[0], *(stage for stage in stages if stage.layers)])
    return figure


def _draw_row(axes, title: str, stages: list[Stage]) -> None:
    """Draw the boxes of one network side by side."""
    from matplotlib.patches import Rectangle

    total = sum(stage.macs for stage in stages) or 1
    left = 0.0
    for stage in stages:
        width = 1.3 + 0.03 * stage.channels.bit_length()
        share = stage.macs / total
        paint = (
            PAINTS[sum(share >= limit for limit in (0.1, 0.2, 0.4))] if stage.layers else "white"
        )
        axes.add_patch(Rectangle((left, 0), width, 1, facecolor=paint, edgecolor="0.3"))
        lines = [f"{stage.size[0]}×{stage.size[1]}", f"×{stage.channels}"]
        if stage.layers:
            lines.append(f"{stage.layers} layer{'s' if stage.layers > 1 else ''}")
        color = "white" if paint == PAINTS[-1] else "black"
        middle = (left + width / 2, 0.5)
        axes.text(*middle, "\n".join(lines), ha="center", va="center", color=color, fontsize=9)
        left += width + 0.12
    axes.set(xlim=(-0.05, max(left, 13.4)), ylim=(-0.05, 1.05))
    axes.set_title(title, loc="left")
    axes.axis("off")


def _size(row: LayerReport) -> tuple[int, int]:
    """Return height and width of a layer's output, 1 x 1 for a vector."""
    return row.output_shape[:2] if len(row.output_shape) == 3 else (1, 1)


def _largest_from_here_on(sizes: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return for each layer the largest size of it and all later ones: what shrinks comes back."""
    return [max(sizes[k:]) for k in range(len(sizes))]


def _stage(size, rows: list[LayerReport]) -> Stage:
    """Sum up the layers of a stage."""
    return Stage(
        size,
        rows[-1].output_shape[-1],
        sum(row.macs > 0 for row in rows),
        sum(row.parameters for row in rows),
        sum(row.macs for row in rows),
    )
