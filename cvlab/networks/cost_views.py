"""A cost report as text, as the columns of a table, and as a picture.

Text     exact counts with commas; bytes in MB of 10**6 bytes; a blank where nothing is defined
Columns  one entry for each call of a layer, the inputs of the model first
Picture  one bar for each call, in the order of the rows, and the largest of each kind named;
         where others are equally large, the first, and how many more there are
Latency  where the report has one. Of the whole model: below the text, in the attributes of the data
         frame, above the picture. Of the layers: the last column, the last panel, with the median,
         in milliseconds; in the picture a line from the fastest to the slowest, and layers count as
         equally large if their lines overlap

The numbers and their conventions are those of :mod:`cvlab.networks.cost_report`.
Derived in chapter 08-architectures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cvlab._validate import integer
from cvlab.networks.cost_report import CostReport, LayerReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def format_report(report: CostReport, largest: int | None = None, *, by: str = "macs") -> str:
    """Return a report as text, a line for each call of a layer, and the totals.

    Parameters
    ----------
    report : CostReport
    largest : int, optional
        Show only so many layers, those with the most of something, in the order of the model.
    by : str
        Of what: "macs", "parameters", "output_bytes", or "ms" where the layers were measured.

    Raises
    ------
    ValueError
        If `largest` is not positive, or there is nothing of that name.

    Examples
    --------
    >>> import keras
    >>> from cvlab.networks.cost_report import cost_report
    >>> conv = keras.layers.Conv2D(8, 5, name="conv")
    >>> model = keras.Sequential([keras.Input((32, 32, 3), name="image"), conv], name="small")
    >>> print(format_report(cost_report(model)))
    layer  class       output     parameters  trained     MACs     MB  field
    image  InputLayer  32x32x3             0        0        0  0.012
    conv   Conv2D      28x28x8           608      608  470,400  0.025      5
    <BLANKLINE>
    small: 608 parameters, 608 of them trained
    470,400 MACs for one image, 940,800 FLOPs
    activations, float32, batch of 1: 0.037 MB to run, 0.037 MB to train
    """
    rows = [["layer", "class", "output", "parameters", "trained", "MACs", "MB", "field", "ms"]]
    for layer in _most_expensive(report, largest, by):
        rows.append(
            [
                layer.name,
                layer.kind,
                "x".join(map(str, layer.output_shape)),
                f"{layer.parameters:,}",
                f"{layer.trained:,}",
                f"{layer.macs:,}",
                f"{layer.output_bytes / 1e6:,.3f}",
                _field(layer.receptive_field),
                "" if layer.latency is None else f"{1000 * layer.latency.median:,.2f}",
            ]
        )
    if not _layers_are_measured(report):
        rows = [row[:-1] for row in rows]
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
    if report.latency is not None:
        lines.append(f"latency of the batch, measured: {_milliseconds(report.latency)}")
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
        receptive_field``; and ``ms`` where the layers were measured, NaN for inputs.

    Examples
    --------
    >>> import keras
    >>> from cvlab.networks.cost_report import cost_report
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    >>> columns = report_columns(cost_report(model))
    >>> columns["parameters"], columns["flops"]
    ([0, 15], [0, 24])
    """
    names = [*LayerReport._fields[:5], "untrained", "macs", "flops", *LayerReport._fields[6:-1]]
    columns = {name: [getattr(layer, name) for layer in report.layers] for name in names}
    if _layers_are_measured(report):
        columns["ms"] = _layer_milliseconds(report)[0].tolist()
    return columns


def report_frame(report: CostReport) -> Any:
    """Return a report as a ``pandas.DataFrame``, with the names of the layers as its index.

    Parameters
    ----------
    report : CostReport

    Returns
    -------
    pandas.DataFrame
        With the columns of :func:`report_columns`; its ``attrs`` hold what belongs to the whole
        model: ``name, batch, dtype, inference_bytes, training_bytes, latency``.

    Raises
    ------
    ImportError
        If pandas, which this package does not need otherwise, is not installed.
    """
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise ImportError(
            "report_frame needs pandas, which is not installed; report_columns does without"
        ) from error
    frame = pandas.DataFrame(report_columns(report)).set_index("name")
    whole = ("name", "batch", "dtype", "inference_bytes", "training_bytes", "latency")
    frame.attrs = {name: getattr(report, name) for name in whole}
    return frame


def plot_report(report: CostReport) -> Figure:
    """Draw what each layer costs: multiply-adds, parameters, activation memory, measured time.

    Parameters
    ----------
    report : CostReport

    Returns
    -------
    matplotlib.figure.Figure
        7 inches wide, three panels one above the other, a fourth where the layers are measured; the
        first of the largest bars is named, with the number of others that are as large.

    Examples
    --------
    >>> import keras
    >>> from cvlab.networks.cost_report import cost_report
    >>> model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(8, 5, name="conv")])
    >>> figure = plot_report(cost_report(model))
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['thousand MACs', 'parameters', 'kB of activations']
    """
    from matplotlib.figure import Figure

    from cvlab.plot.output import WIDTH, book_style

    columns = report_columns(report)
    panels = [
        ("macs", "MACs", ("", "thousand ", "million ", "billion ")),
        ("parameters", "parameters", ("", "thousand ", "million ", "billion ")),
        ("output_bytes", "B of activations", ("", "k", "M", "G")),
    ]
    if "ms" in columns:
        panels.append(("ms", "ms", ("",)))
    names, places = columns["name"], np.arange(len(report.layers))
    with book_style():
        figure = Figure(figsize=(WIDTH, 1.2 + 1.8 * len(panels)), layout="constrained")
        all_axes = figure.subplots(len(panels), 1, sharex=True)
        for k, (axes, (column, what, units)) in enumerate(zip(all_axes, panels, strict=True)):
            values = np.array(columns[column], dtype=float)
            power = min(int(np.log10(max(np.nanmax(values), 1)) // 3), len(units) - 1)
            values /= 1000.0**power
            axes.bar(places, values, width=1.0 if len(places) > 40 else 0.8, color=f"C{k}")
            axes.set_ylabel(units[power] + what)
            axes.margins(x=0.01, y=0.2)
            most = int(np.nanargmax(values))
            lowest = highest = values
            if column == "ms":
                _, lowest, highest = _layer_milliseconds(report)
                axes.vlines(places, lowest, highest, color="0.25", linewidth=1)
            equal = int((highest >= lowest[most]).sum()) - 1
            label = names[most] + (f" and {equal} more" if equal else "")
            edge = _edge((most + 0.5) / len(places), len(label))
            axes.annotate(
                label,
                (most + {"left": -0.4, "center": 0, "right": 0.4}[edge], np.nanmax(highest)),
                xytext=(0, 3),
                textcoords="offset points",
                ha=edge,
            )
        all_axes[-1].set_xlabel("layer, from input to output")
        if report.latency is not None:
            figure.suptitle(f"latency {_milliseconds(report.latency)}")
        if len(places) <= 25:
            all_axes[-1].set_xticks(places, names, rotation=90)
    return figure


def _layers_are_measured(report) -> bool:
    """Tell whether a report has the latency of its layers."""
    return any(layer.latency is not None for layer in report.layers)


def _layer_milliseconds(report):
    """Return the median, the fastest and the slowest time of each layer, NaN for inputs."""
    nothing = (np.nan,) * 3
    return 1000 * np.array([layer.latency or nothing for layer in report.layers]).T


def _most_expensive(report, largest, by):
    """Return the layers with the most of something in the order of the model; all for None."""
    known = ("macs", "parameters", "output_bytes", "ms")
    columns = {name: column for name, column in report_columns(report).items() if name in known}
    if by not in columns:
        raise ValueError(f"by must be one of {', '.join(sorted(columns))}, got {by!r}")
    if largest is None:
        return report.layers
    costs = np.nan_to_num(-np.array(columns[by], dtype=float))
    chosen = np.argsort(costs, kind="stable")[: integer(largest, "largest", minimum=1)]
    return [report.layers[i] for i in sorted(chosen)]


def _edge(place: float, letters: int) -> str:
    """Return how a label is aligned to its bar: centred, unless it would leave the panel."""
    half = 0.007 * letters  # of the panel's width
    return "left" if place < half else "right" if place > 1 - half else "center"


def _field(size) -> str:
    """Return a receptive field as text: a single number if height and width agree."""
    if size is None:
        return ""
    return f"{size[0]}" if size[0] == size[1] else f"{size[0]}x{size[1]}"


def _milliseconds(latency) -> str:
    """Return a latency as text."""
    median, fastest, slowest = (f"{1000 * seconds:,.1f}" for seconds in latency)
    return f"{median} ms (median; {fastest} to {slowest})"
