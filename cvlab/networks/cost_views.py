"""A cost report as text, as the columns of a table, and as a picture; and measured latency.

Text     exact counts with commas; bytes in MB of 10**6 bytes; a blank where nothing is defined
Columns  one entry for each call of a layer, the inputs of the model first
Picture  one bar for each call, in the order of the rows, and the largest of each kind named;
         where others are equally large, the first, and how many more there are
Latency  wall-clock seconds for one batch on the machine that runs this, compiled, inference mode

The numbers and their conventions are those of :mod:`cvlab.networks.cost_report`.
Derived in chapter 08-architectures.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

import keras
import numpy as np

from cvlab._validate import integer
from cvlab.networks.cost_report import CostReport, LayerReport, input_shapes, node_shapes
from cvlab.networks.graph import walk

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Latency(NamedTuple):
    """Seconds for one batch: over the rounds the median, the fastest and the slowest."""

    median: float
    fastest: float
    slowest: float


def format_report(report: CostReport, largest: int | None = None) -> str:
    """Return a report as text, a line for each call of a layer, and the totals.

    Parameters
    ----------
    report : CostReport
    largest : int, optional
        Show only so many layers, those with the most multiply-adds, in their order.

    Raises
    ------
    ValueError
        If `largest` is not positive.

    Examples
    --------
    >>> from cvlab.networks.cost_report import cost_report
    >>> conv = keras.layers.Conv2D(8, 5, name="conv")
    >>> model = keras.Sequential([keras.Input((32, 32, 3), name="image"), conv], name="small")
    >>> print(format_report(cost_report(model)))
    layer  class       output     parameters     MACs     MB  field
    image  InputLayer  32x32x3             0        0  0.012
    conv   Conv2D      28x28x8           608  470,400  0.025      5
    <BLANKLINE>
    small: 608 parameters, 608 of them trained
    470,400 MACs for one image, 940,800 FLOPs
    activations, float32, batch of 1: 0.037 MB to run, 0.037 MB to train
    """
    rows = [["layer", "class", "output", "parameters", "MACs", "MB", "field"]]
    for layer in _most_expensive(report.layers, largest):
        rows.append(
            [
                layer.name,
                layer.kind,
                "x".join(map(str, layer.output_shape)),
                f"{layer.parameters:,}",
                f"{layer.macs:,}",
                f"{layer.output_bytes / 1e6:,.3f}",
                _field(layer.receptive_field),
            ]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        texts = zip(row, widths, range(len(row)), strict=True)
        cells = [text.ljust(width) if k < 3 else text.rjust(width) for text, width, k in texts]
        lines.append("  ".join(cells).rstrip())
    lines += [
        "",
        f"{report.name}: {report.parameters:,} parameters, {report.trained:,} of them trained",
        f"{report.macs:,} MACs for one image, {report.flops:,} FLOPs",
        f"activations, {report.dtype}, batch of {report.batch}: "
        f"{report.inference_bytes / 1e6:,.3f} MB to run, "
        f"{report.training_bytes / 1e6:,.3f} MB to train",
    ]
    if report.no_field_because:
        lines.append(f"no receptive fields: {report.no_field_because}")
    return "\n".join(lines)


def report_columns(report: CostReport) -> dict[str, list]:
    """Return a report as columns, as ``pandas.DataFrame`` takes them.

    Parameters
    ----------
    report : CostReport

    Returns
    -------
    dict of str to list
        ``name, kind, output_shape, parameters, trained, untrained, macs, flops, output_bytes,
        receptive_field``.

    Examples
    --------
    >>> from cvlab.networks.cost_report import cost_report
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    >>> columns = report_columns(cost_report(model))
    >>> columns["parameters"], columns["flops"]
    ([0, 15], [0, 24])
    """
    names = [*LayerReport._fields[:5], "untrained", "macs", "flops", *LayerReport._fields[6:]]
    return {name: [getattr(layer, name) for layer in report.layers] for name in names}


def report_frame(report: CostReport) -> Any:
    """Return a report as a ``pandas.DataFrame``, with the names of the layers as its index.

    Parameters
    ----------
    report : CostReport

    Raises
    ------
    ImportError
        If pandas, which this package does not need otherwise, is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "report_frame needs pandas, which is not installed; report_columns does without"
        ) from error
    return pandas.DataFrame(report_columns(report)).set_index("name")


def plot_report(report: CostReport) -> Figure:
    """Draw what each layer costs: multiply-adds, parameters and activation memory.

    Parameters
    ----------
    report : CostReport

    Returns
    -------
    matplotlib.figure.Figure
        7 inches wide, three panels one above the other; the first of the largest bars is named,
        with the number of others that are as large.

    Examples
    --------
    >>> from cvlab.networks.cost_report import cost_report
    >>> model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(8, 5, name="conv")])
    >>> figure = plot_report(cost_report(model))
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['thousand MACs', 'parameters', 'kB of activations']
    """
    from matplotlib.figure import Figure

    from cvlab.plot.output import WIDTH, book_style

    columns = report_columns(report)
    panels = (
        ("macs", "MACs", ("", "thousand ", "million ", "billion ")),
        ("parameters", "parameters", ("", "thousand ", "million ", "billion ")),
        ("output_bytes", "B of activations", ("", "k", "M", "G")),
    )
    names, places = columns["name"], np.arange(len(report.layers))
    with book_style():
        figure = Figure(figsize=(WIDTH, 6.6), layout="constrained")
        all_axes = figure.subplots(len(panels), 1, sharex=True)
        for k, (axes, (column, what, units)) in enumerate(zip(all_axes, panels, strict=True)):
            values = np.array(columns[column], dtype=float)
            power = min(int(np.log10(max(values.max(), 1)) // 3), 3)
            values /= 1000.0**power
            axes.bar(places, values, width=1.0 if len(places) > 40 else 0.8, color=f"C{k}")
            axes.set_ylabel(units[power] + what)
            axes.margins(x=0.01, y=0.2)
            most = int(values.argmax())
            equal = int((values == values[most]).sum()) - 1
            label = names[most] + (f" and {equal} more" if equal else "")
            edge = _edge((most + 0.5) / len(places), len(label))
            axes.annotate(
                label,
                (most + {"left": -0.4, "center": 0, "right": 0.4}[edge], values[most]),
                xytext=(0, 3),
                textcoords="offset points",
                ha=edge,
            )
        all_axes[-1].set_xlabel("layer, from input to output")
        if len(places) <= 25:
            all_axes[-1].set_xticks(places, names, rotation=90)
    return figure


def measure_latency(
    model: keras.Model,
    input_size: tuple[int, int] | None = None,
    *,
    batch: int = 1,
    rounds: int = 10,
    rng: np.random.Generator | None = None,
) -> Latency:
    """Run a model on noise and measure how long a batch takes on this machine.

    Parameters
    ----------
    model : keras.Model
    input_size : (int, int), optional
        Height and width of the image; those of the model if not given.
    batch : int
    rounds : int
        Measurements, after one that compiles and is not counted.
    rng : numpy.random.Generator, optional
        Of the noise, uniform in [0, 1).

    Returns
    -------
    Latency

    Raises
    ------
    ValueError
        If a number is not positive, the model leaves its input size open, or a layer cannot take
        images of this size.

    Examples
    --------
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)])
    >>> latency = measure_latency(model, rounds=3)
    >>> 0 < latency.fastest <= latency.median <= latency.slowest
    True
    """
    integer(batch, "batch", minimum=1)
    integer(rounds, "rounds", minimum=1)
    shapes = input_shapes(model, input_size)
    if input_size is not None:
        node_shapes(walk(model), shapes)  # says which layer cannot take images of this size
    rng = np.random.default_rng(0) if rng is None else rng
    images = [rng.random((batch, *shape), dtype=np.float32) for shape in shapes]
    images = images if len(images) > 1 else images[0]
    model.predict_on_batch(images)
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        model.predict_on_batch(images)
        seconds.append(time.perf_counter() - start)
    return Latency(float(np.median(seconds)), min(seconds), max(seconds))


@contextmanager
def zero_weights() -> Iterator[None]:
    """Let models that are built within start with zeros in place of random numbers.

    What a model costs does not depend on the values of its weights, and drawing tens of millions of
    random numbers takes seconds. Such a model can be counted and timed; it cannot be trained.

    Examples
    --------
    >>> with zero_weights():
    ...     model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)])
    >>> float(keras.ops.max(model.layers[0].kernel))
    0.0
    """

    def zeros(self, shape, dtype=None, **options):
        return keras.ops.zeros(shape, dtype or keras.config.floatx())

    with ExitStack() as stack:
        for drawn in (keras.initializers.VarianceScaling, keras.initializers.TruncatedNormal):
            stack.enter_context(patch.object(drawn, "__call__", zeros))
        yield


def _most_expensive(layers, largest):
    """Return the layers with the most multiply-adds in the order of the model; all for None."""
    if largest is None:
        return layers
    macs = [-layer.macs for layer in layers]
    chosen = np.argsort(macs, kind="stable")[: integer(largest, "largest", minimum=1)]
    return [layers[i] for i in sorted(chosen)]


def _edge(place: float, letters: int) -> str:
    """Return how a label is aligned to its bar: centred, unless it would leave the panel."""
    half = 0.007 * letters  # of the panel's width
    return "left" if place < half else "right" if place > 1 - half else "center"


def _field(size) -> str:
    """Return a receptive field as text: a single number if height and width agree."""
    if size is None:
        return ""
    return f"{size[0]}" if size[0] == size[1] else f"{size[0]}x{size[1]}"
