"""Grids of images, feature maps and kernels.

Conventions
-----------
Images   NHWC, uint8 in 0..255 or floats in [0, 1], one channel (grey) or three (colour)
Maps     any real values: red above zero, blue below, zero white; without negatives viridis
Kernels  HWIO, drawn like maps
Scale    one for all feature maps, given by a colour bar; one for each map of a pair
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cvlab.plot._drawing import color_scale, diverging_map, matching, real_values
from cvlab.plot._panels import Panel, color_bar, draw, lay_out
from cvlab.plot.output import book_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COVER = 0.995  # of the values of a map lie within its scale, the rest has the extreme colour


def image_grid(
    images: np.ndarray | Sequence[np.ndarray],
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    *,
    numbers: bool = False,
) -> Figure:
    """Draw images side by side.

    Parameters
    ----------
    images : array_like
        (batch, height, width, channels), or a list of images (height, width, channels) or
        (height, width) of any sizes. uint8, or floats in [0, 1]; one or three channels.
    titles : sequence of str, optional
        One for each image; at full width four to a row have room for 16 letters each.
    columns : int, optional
        Images in a row; up to 4 by default.
    numbers : bool
        Write its value into every pixel: for small grey images.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If values, shapes or channels are not those of images, the titles do not match, or
        numbers could not be read.

    Examples
    --------
    >>> from cvlab.data import photographs
    >>> figure = image_grid(photographs("temple", "flower"), titles=["temple", "flower"])
    """
    panels = [_image(image, "images") for image in _sequence(images, "images")]
    if numbers and any(panel.array.ndim == 3 for panel in panels):
        raise ValueError("numbers can be written into grey images only, got three channels")
    with book_style():
        figure, axes = lay_out(panels, titles, columns)
        draw(axes, panels, numbers)
    return figure


def feature_maps(
    maps: np.ndarray,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    *,
    label: str = "value",
) -> Figure:
    """Draw the channels of one image or activation as maps on a common scale.

    The scale covers 99.5 % of the values: arrows on the colour bar say that some are larger.

    Parameters
    ----------
    maps : array_like
        (height, width, channels) or (1, height, width, channels), real values.
    titles : sequence of str, optional
        One for each channel; ``"channel 0"``, ... by default.
    columns : int, optional
        Maps in a row; up to 4 by default, 8 for more than 16 maps.
    label : str
        Label of the colour bar: the quantity and its unit.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the array is not one of maps, or holds more than 96 channels.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> figure = feature_maps(rng.normal(size=(8, 8, 4)), label="activation")
    """
    maps = real_values(maps, "maps")
    if maps.ndim == 4 and len(maps) == 1:
        maps = maps[0]
    if maps.ndim != 3:
        raise ValueError(
            f"maps must have the shape (height, width, channels) of one image, got {maps.shape}"
        )
    channels = maps.shape[-1]
    few = channels <= 16
    if titles is None:
        titles = [f"channel {c}" if few else str(c) for c in range(channels)]
    if columns is None and not few:
        columns = 8
    scale = color_scale(maps, cover=_COVER)
    panels = [Panel(maps[..., c], scale) for c in range(channels)]
    with book_style():
        figure, axes = lay_out(panels, titles, columns, bar=True)
        draw(axes, panels)
        color_bar(figure, axes, label)
    return figure


def kernel_grid(
    kernels: np.ndarray | Sequence[np.ndarray],
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    *,
    rgb: bool = False,
    shared: bool = False,
    numbers: bool | None = None,
) -> Figure:
    """Draw convolution kernels: red weights add, blue ones subtract.

    Parameters
    ----------
    kernels : array_like
        (height, width, in, out), or a list of arrays (height, width) of any sizes. With several
        input channels there is one row for each of them and one column for each output.
    titles : sequence of str, optional
        One for each output channel or array.
    columns : int, optional
        Kernels in a row, for kernels with one input channel or in colour.
    rgb : bool
        Draw kernels with 3 input channels as colours: grey is zero.
    shared : bool
        One colour scale for all; otherwise each output channel has its own.
    numbers : bool, optional
        Write the weights into the cells; by default if there is room.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the array is not one of kernels, there are more than 96 panels, or numbers are
        wanted where they could not be read.

    Examples
    --------
    >>> sobel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    >>> figure = kernel_grid([sobel, sobel.T], titles=["left to right", "top to bottom"])
    """
    if rgb and numbers:
        raise ValueError("numbers cannot be written into kernels drawn in colour (rgb=True)")
    arrays, inputs = _kernels(kernels, rgb)
    outputs = len(arrays) // inputs
    titles = matching(titles, "titles", outputs, "") + [""] * (len(arrays) - outputs)
    limits = np.array([np.abs(array).max() for array in arrays], dtype=np.float64)
    limits = limits.reshape(inputs, outputs).max(axis=0)
    if shared:
        limits[:] = limits.max()
    limits[limits == 0] = 1
    panels = [
        Panel(0.5 + array / (2 * limit), {})
        if rgb
        else Panel(array, {"cmap": diverging_map(), "vmin": -limit, "vmax": limit})
        for array, limit in zip(arrays, np.tile(limits, inputs), strict=True)
    ]
    rows = [f"input {i}" for i in range(inputs)] if inputs > 1 else None
    with book_style():
        figure, axes = lay_out(panels, titles, outputs if rows else columns, rows)
        draw(axes, panels, False if rgb else numbers)
    return figure


def before_after(
    before: np.ndarray | Sequence[np.ndarray],
    *after: np.ndarray | Sequence[np.ndarray],
    titles: Sequence[str] = ("before", "after"),
    rows: Sequence[str] | None = None,
) -> Figure:
    """Draw images next to what was made of them, one pair (or more) a row.

    Parameters
    ----------
    before : array_like
        Images as `image_grid` takes them.
    *after : array_like
        One or more results, each with as many entries as `before`: images, or maps with one
        channel. An entry with values outside [0, 1] is drawn as a map, on its own scale,
        which covers 99.5 % of the values.
    titles : sequence of str
        One for each column.
    rows : sequence of str, optional
        One for each image.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the batches differ in length, an entry is neither an image nor a map, or titles
        or rows do not match.

    Examples
    --------
    >>> from cvlab.data import photograph
    >>> cat = photograph("cat") / 255
    >>> figure = before_after(cat, 1 - cat, titles=["cat", "negative"])
    """
    if not after:
        raise ValueError("after must hold at least one batch, got none")
    batches = [[_image(image, "before") for image in _sequence(before, "before")]]
    for batch in after:
        batches.append([_image_or_map(entry, "after") for entry in _sequence(batch, "after")])
        if len(batches[-1]) != len(batches[0]):
            raise ValueError(
                f"after must have as many entries as before, {len(batches[0])}, "
                f"got {len(batches[-1])}"
            )
    panels = [panel for row in zip(*batches, strict=True) for panel in row]
    titles = matching(titles, "titles", len(batches))
    titles += [""] * (len(panels) - len(titles))
    if rows is not None:
        rows = matching(rows, "rows", len(batches[0]))
    with book_style():
        figure, axes = lay_out(panels, titles, len(batches), rows)
        draw(axes, panels)
    return figure


def _sequence(images, name) -> list:
    """Return a batch (four axes) or a list of images as a list."""
    if isinstance(images, (list, tuple)):
        if not images:
            raise ValueError(f"{name} must hold at least one image, got none")
        return list(images)
    images = np.asarray(images)
    if images.ndim != 4 or len(images) == 0:
        raise ValueError(
            f"{name} must be a list or have 4 axes (batch, height, width, channels), "
            f"got shape {images.shape}"
        )
    return list(images)


def _image(image, name) -> Panel:
    """Return one image as a panel after checking shape and values."""
    image = real_values(image, name)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    if image.ndim != 2 and (image.ndim != 3 or image.shape[-1] != 3):
        raise ValueError(
            f"{name} must have the shape (height, width), (height, width, 1) or "
            f"(height, width, 3) each, got {image.shape}"
        )
    if not _has_image_values(image):
        raise ValueError(
            f"{name} must be uint8 or lie in [0, 1], got {image.dtype} from {image.min():.4g} "
            f"to {image.max():.4g}; feature_maps draws other values"
        )
    largest = 255 if image.dtype == np.uint8 else 1
    return Panel(image, {"cmap": "gray", "vmin": 0, "vmax": largest} if image.ndim == 2 else {})


def _image_or_map(entry, name) -> Panel:
    entry = real_values(entry, name)
    if _has_image_values(entry):
        return _image(entry, name)
    if entry.ndim == 3 and entry.shape[-1] == 1:
        entry = entry[..., 0]
    if entry.ndim != 2:
        raise ValueError(
            f"{name} must have one channel where values leave [0, 1], got shape {entry.shape}"
        )
    return Panel(entry, color_scale(entry, cover=_COVER))


def _has_image_values(array) -> bool:
    return array.dtype == np.uint8 or (array.min() >= 0 and array.max() <= 1)


def _kernels(kernels, rgb) -> tuple[list[np.ndarray], int]:
    """Return what to draw, one input channel after the other, and the number of inputs."""
    if isinstance(kernels, (list, tuple)):
        panels = [real_values(kernel, "kernels") for kernel in kernels]
        if not panels or rgb or any(panel.ndim != 2 for panel in panels):
            shapes = [panel.shape for panel in panels]
            raise ValueError(
                f"kernels in a list must have the shape (height, width) and no colour, got {shapes}"
            )
        return panels, 1
    kernels = real_values(kernels, "kernels")
    if kernels.ndim != 4 or (rgb and kernels.shape[2] != 3):
        expected = "(height, width, 3, out)" if rgb else "(height, width, in, out)"
        raise ValueError(f"kernels must have the shape {expected}, got {kernels.shape}")
    inputs, outputs = kernels.shape[2:]
    if rgb:
        return [kernels[..., o] for o in range(outputs)], 1
    return [kernels[:, :, i, o] for i in range(inputs) for o in range(outputs)], inputs
